//! Opening and reading sessions of the agent inbox: scope, chats, directory, answers.

use reqwest::Method;
use serde_json::{Value, json};
use vestibule::store::DirectoryKind;

use crate::callers::{bearer, text};
use crate::keyring::{make_key, make_tenant, members, open_demo, open_with};
use crate::requests::{Answer, get, send};
use crate::service::Service;

const EMPLOYEE: &str = "64f000000000000000000001";
const CHAT: &str = "64F0000000000000000000aB";
const ALL: [&str; 5] =
    ["showChatsList", "showChatPage", "showSendInput", "showStatusButton", "showAssigneeButton"];

fn asking(capabilities: &[&str], chat: Option<&str>) -> Value {
    let mut body = json!({ "employeeId": EMPLOYEE, "capabilities": capabilities });
    if let Some(chat) = chat {
        body["chatId"] = chat.into();
    }
    body
}

fn assert_broken(answer: &Answer, expected: &[(&str, &str, &str)]) {
    answer.refused(400, "invalid_request");
    let found = answer.violations();
    let found: Vec<_> =
        found.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str())).collect();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_session_for_one_chat_leads_there_and_says_so() {
    let service = Service::shared();
    let opened = open_demo(service, &asking(&["showChatPage", "showSendInput"], Some(CHAT))).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(opened.header("location"), "/v1/embed/session");
    assert_eq!(opened.header("cache-control"), "no-store");
    assert_eq!(opened.header("x-content-type-options"), "nosniff");
    assert_eq!(opened.header("content-type"), "application/json");
    assert_eq!(members(&opened.body), ["data"]);
    let data = &opened.body["data"];
    let expected =
        ["allowedChatId", "capabilities", "embedToken", "expiresAt", "expiresIn", "iframeUrl"];
    assert_eq!(members(data), expected);
    let token = text(&opened, "/data/embedToken");
    let url = format!("{}/embed/chats/{CHAT}#token={token}", service.base_url);
    assert_eq!(data["iframeUrl"], url);
    assert_eq!(data["allowedChatId"], CHAT);
    assert_eq!(data["capabilities"], json!(["showChatPage", "showSendInput"]));
    assert_eq!(data["expiresIn"], 900);
}

#[tokio::test]
async fn a_session_without_a_chat_leads_to_the_list() {
    let service = Service::shared();
    let opened = open_demo(service, &asking(&["showChatsList"], None)).await;
    let data = &opened.body["data"];
    assert_eq!(
        members(data),
        ["capabilities", "embedToken", "expiresAt", "expiresIn", "iframeUrl"]
    );
    let token = text(&opened, "/data/embedToken");
    assert_eq!(data["iframeUrl"], format!("{}/embed/chats#token={token}", service.base_url));
}

#[tokio::test]
async fn a_session_ends_after_15_minutes_written_with_milliseconds_and_z() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(1_778_241_600_000);
    let opened = open_demo(&service, &asking(&["showChatsList"], None)).await;
    assert_eq!(opened.body["data"]["expiresAt"], "2026-05-08T12:15:00.000Z", "{}", opened.text);
    assert_eq!(opened.body["data"]["expiresIn"], 900);
    // In mid-second the end is a whole second too, so that row, token and answer agree.
    service.context.clock.hold_at_ms(1_778_241_600_999);
    let opened = open_demo(&service, &asking(&["showChatsList"], None)).await;
    assert_eq!(opened.body["data"]["expiresAt"], "2026-05-08T12:15:00.000Z");
    assert_eq!(opened.body["data"]["expiresIn"], 900);
}

#[tokio::test]
async fn repeated_capabilities_are_folded_and_their_order_is_kept() {
    let service = Service::shared();
    let asked =
        ["showSendInput", "showChatsList", "showSendInput", "showChatPage", "showChatsList"];
    let opened = open_demo(service, &asking(&asked, None)).await;
    let folded = json!(["showSendInput", "showChatsList", "showChatPage"]);
    assert_eq!(opened.body["data"]["capabilities"], folded, "{}", opened.text);
    let read = get(&service.url("/v1/embed/session"), &text(&opened, "/data/embedToken")).await;
    assert_eq!(read.body["data"]["capabilities"], folded);
}

#[tokio::test]
async fn a_read_key_grants_the_list_and_the_page_alone() {
    let service = Service::shared();
    let embed = &service.demo.demo.embed;
    let (key, secret) = (&embed.read_key, &embed.read_secret);
    for granted in [&["showChatsList"][..], &["showChatPage"], &["showChatPage", "showChatsList"]] {
        let opened = open_with(service, key, secret, &asking(granted, Some(CHAT))).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
    }
    let refused = open_with(service, key, secret, &asking(&ALL, None)).await;
    refused.refused(403, "insufficient_scope");
    let missing = json!(["showSendInput", "showStatusButton", "showAssigneeButton"]);
    assert_eq!(refused.body["details"], json!({ "scope": "read", "missing": missing }));
    let write = ["showSendInput", "showStatusButton", "showAssigneeButton"];
    for beyond in write {
        let asked = asking(&["showChatsList", beyond, beyond], None);
        let refused = open_with(service, key, secret, &asked).await;
        assert_eq!(refused.body["details"]["missing"], json!([beyond]), "{}", refused.text);
        let opened = open_demo(service, &asked).await;
        assert_eq!(opened.status, 201, "a read-write key grants {beyond}");
    }
}

#[tokio::test]
async fn a_lone_chat_page_requires_a_chat() {
    let service = Service::shared();
    let refused = open_demo(service, &asking(&["showChatPage", "showSendInput"], None)).await;
    assert_broken(&refused, &[("body", "/chatId", "required")]);
    for (asked, chat) in [
        (&["showChatPage", "showChatsList"][..], None),
        (&["showChatPage"], Some(CHAT)),
        (&["showSendInput"], None),
    ] {
        let opened = open_demo(service, &asking(asked, chat)).await;
        assert_eq!(opened.status, 201, "{asked:?}: {}", opened.text);
    }
}

#[tokio::test]
async fn all_violations_of_body_and_query_come_at_once() {
    let service = Service::shared();
    let body = json!({ "employeeId": "64f", "chatId": null, "capabilities": ["showAll"], "x": 1 });
    let body = body.to_string();
    let embed = &service.demo.demo.embed;
    let stamp = crate::callers::fresh_timestamp();
    let headers = crate::requests::signed(&embed.key, &embed.secret, stamp, body.as_bytes());
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let url = service.url("/v1/embed/sessions?verbose=1");
    let refused = send(Method::POST, &url, &headers, Some(body.into())).await;
    let mut found = refused.violations();
    found.sort();
    let expected = [
        ("body", "/capabilities/0", "enum"),
        ("body", "/chatId", "type"),
        ("body", "/employeeId", "pattern"),
        ("body", "/x", "additionalProperties"),
        ("query", "/verbose", "additionalProperties"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(found, expected, "{}", refused.text);
}

#[tokio::test]
async fn missing_members_are_named_by_their_own_pointers() {
    let service = Service::shared();
    let refused = open_demo(service, &json!({})).await;
    let expected = [("body", "/capabilities", "required"), ("body", "/employeeId", "required")];
    let mut found = refused.violations();
    found.sort();
    assert_eq!(found.len(), 2, "{}", refused.text);
    for ((part, pointer, keyword), expected) in found.iter().zip(expected) {
        assert_eq!((part.as_str(), pointer.as_str(), keyword.as_str()), expected);
    }
    assert_broken(&open_demo(service, &json!([])).await, &[("body", "", "type")]);
}

#[tokio::test]
async fn a_strict_directory_refuses_whom_it_does_not_know() {
    let service = Service::shared();
    let strict = json!({ "name": "Strict", "directory": "strict" });
    let (tenant, _) = make_tenant(service, strict).await;
    let key = make_key(service, &tenant, "embed", json!({ "scope": "read-write" })).await;
    let open = async |chat| {
        open_with(service, &key.public, &key.secret, &asking(&["showChatsList"], chat)).await
    };
    let nobody = open(Some(CHAT)).await;
    nobody.refused(404, "employee_not_found");
    let add = async |kind, id| {
        let audit = service.context.audit(&tenant, "test", "directory.put", id);
        service.context.store.put_directory(&tenant, kind, id, audit).await.expect("stored");
    };
    add(DirectoryKind::Employee, EMPLOYEE).await;
    assert_eq!(open(None).await.status, 201);
    let no_chat = open(Some(CHAT)).await;
    no_chat.refused(404, "chat_not_found");
    add(DirectoryKind::Chat, CHAT).await;
    assert_eq!(open(Some(CHAT)).await.status, 201);
}

#[tokio::test]
async fn an_open_directory_takes_ids_as_they_come_and_is_the_default() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Open" })).await;
    let key = make_key(service, &tenant, "embed", json!({ "scope": "read" })).await;
    let asked = asking(&["showChatPage"], Some(CHAT));
    let opened = open_with(service, &key.public, &key.secret, &asked).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
}

#[tokio::test]
async fn the_token_tells_what_it_grants() {
    let service = Service::shared();
    let opened = open_demo(service, &asking(&ALL, Some(CHAT))).await;
    let token = text(&opened, "/data/embedToken");
    let read = get(&service.url("/v1/embed/session"), &token).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.header("cache-control"), "no-store");
    let data = &read.body["data"];
    let expected =
        ["allowedChatId", "capabilities", "employeeId", "expiresAt", "expiresIn", "sessionId"];
    assert_eq!(members(data), expected);
    assert_eq!((&data["employeeId"], &data["allowedChatId"]), (&json!(EMPLOYEE), &json!(CHAT)));
    assert_eq!(data["capabilities"], json!(ALL));
    assert_eq!(data["expiresAt"], opened.body["data"]["expiresAt"]);
    let id = text(&read, "/data/sessionId");
    assert!(id.starts_with("ses_") && id.len() == 30, "{id}");
    assert!(!read.text.contains(&token), "a read never shows the token again");
}

#[tokio::test]
async fn a_session_without_a_chat_reads_without_one() {
    let service = Service::shared();
    let opened = open_demo(service, &asking(&["showChatsList"], None)).await;
    let read = get(&service.url("/v1/embed/session"), &text(&opened, "/data/embedToken")).await;
    assert!(read.body["data"].get("allowedChatId").is_none(), "{}", read.text);
}

#[tokio::test]
async fn a_read_takes_no_query_parameter() {
    let service = Service::shared();
    let opened = open_demo(service, &asking(&["showChatsList"], None)).await;
    let token = text(&opened, "/data/embedToken");
    let url = service.url("/v1/embed/session?token=x");
    assert_broken(&get(&url, &token).await, &[("query", "/token", "additionalProperties")]);
    let (name, value) = bearer(&token);
    let with_origin = [(name, value.as_str()), ("origin", "https://shop.example")];
    let url = service.url("/v1/embed/session");
    let read = send(Method::GET, &url, &with_origin, None).await;
    assert_eq!(read.status, 200, "the page that holds the token is a browser");
    assert!(read.header("access-control-allow-origin").is_empty(), "CORS is the chat surface's");
}
