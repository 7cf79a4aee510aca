//! The access log: one line per answered request, by operation and route template, with its caller
//! and its outcome; no address as it was sent.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::process::{LOG, Process};
use crate::requests::{Answer, get, open_chat, open_embed, open_iframe, post, raw, send};

/// Stands in every address below and must stand in no line.
const QUERY: &str = "whose=nobody-may-read-this";
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

#[tokio::test]
async fn every_request_is_one_line_with_its_caller_and_outcome() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start_with(data.path(), 0, &[("VESTIBULE__LOG__FORMAT", "json")]);
    let (base, demo) = (&process.base_url, &process.demo.demo);
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let opened = open_embed(base, demo, &body).await;
    let token = opened.body["data"]["embedToken"].as_str().expect("a token");
    let read = get(&format!("{base}/v1/embed/session"), token).await;
    let session = read.body["data"]["sessionId"].clone();
    let refused = get(&format!("{base}/v1/embed/session?{QUERY}"), token).await;
    let url = format!("{base}/api/public/v1/chat/sessions");
    let body_of_chat = json!({ "publicKey": demo.chat.public_key });
    let stranger = post(&url, &[("origin", "https://stranger.example")], &body_of_chat).await;
    assert_eq!(process.terminate().code(), Some(0));

    let lines = lines(data.path());
    let line = line_of(&lines, &opened);
    let span = &line["span"];
    assert_eq!((&line["status"], &line["level"]), (&json!(201), &json!("INFO")));
    assert_eq!(span["operation"], "embedSessionCreate");
    assert_eq!((&span["method"], &span["route"]), (&json!("POST"), &json!("/v1/embed/sessions")));
    assert_eq!(span["generation"], 1, "which of the key's secrets signed: {line}");
    assert_eq!(line["received_bytes"], body.to_string().len());
    assert_eq!(line["sent_bytes"], opened.text.len());
    assert!(line["took_us"].as_u64().is_some_and(|took_us| took_us > 0), "{line}");
    let (tenant, key) = (span["tenant"].clone(), span["key"].clone());
    assert!(tenant.is_string() && key.is_string(), "{line}");

    let span = &line_of(&lines, &read)["span"];
    assert_eq!((&span["tenant"], &span["key"]), (&tenant, &key));
    assert_eq!(span["session"], session);
    assert!(is_prefix(&span["token"]), "{span}");
    let line = line_of(&lines, &refused);
    assert_eq!((&line["status"], &line["code"]), (&json!(400), &json!("invalid_request")));
    assert_eq!(line["span"]["session"], session, "a refused caller is known too: {line}");
    let line = line_of(&lines, &stranger);
    assert_eq!(line["code"], "origin_not_allowed");
    assert_eq!(line["span"]["tenant"], tenant, "the key is known, its page is not allowed: {line}");
}

/// Its router refuses these before any code of ours runs.
#[tokio::test]
async fn what_dropshot_answers_itself_is_a_line_too() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let settings = [("VESTIBULE__LOG__FORMAT", "json"), ("VESTIBULE__LOG__LEVEL", "trace")];
    let process = Process::start_with(data.path(), 0, &settings);
    let base = process.base_url.clone();
    let nowhere = send(Method::GET, &format!("{base}/nowhere?{QUERY}"), &[], None).await;
    let url = format!("{base}/v1/embed/sessions?{QUERY}");
    let other = send(Method::DELETE, &url, &[], None).await;
    let url = format!("{base}/api/public/v1/chat/sessions?{QUERY}");
    let headers = [("origin", "https://a.example"), ("access-control-request-method", "POST")];
    let preflight = send(Method::OPTIONS, &url, &headers, None).await;
    let page = send(Method::GET, &format!("{base}/embed/chats/some-chat?{QUERY}"), &[], None).await;
    // Not even HTTP: hyper answers, and nobody else hears of it.
    assert_eq!(raw(&base, "NOT HTTP\r\n\r\n").status, 400);
    assert_eq!(process.terminate().code(), Some(0));

    let text = log(data.path());
    assert!(!text.contains("nobody-may-read-this") && !text.contains("/nowhere"), "{text}");
    assert!(!text.contains("some-chat"), "{text}");
    let lines = lines(data.path());
    for (answer, status, method, route) in [
        (&nowhere, 404, "GET", Value::Null),
        (&other, 405, "DELETE", Value::Null),
        (&preflight, 204, "OPTIONS", json!("/api/public/v1/chat/sessions")),
        (&page, 200, "GET", json!("/embed/chats/{chat_id}")),
    ] {
        let line = line_of(&lines, answer);
        assert_eq!(line["status"], status, "{line}");
        let said = &line["span"];
        assert_eq!((&said["method"], &said["route"]), (&json!(method), &route), "{line}");
    }
}

#[tokio::test]
async fn a_line_names_the_callers_trace() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start_with(data.path(), 0, &[("VESTIBULE__LOG__FORMAT", "json")]);
    let url = format!("{}/v1/embed/session", process.base_url);
    let parent = format!("00-{TRACE}-b7ad6b7169203331-01");
    let traced = send(Method::GET, &url, &[("traceparent", &parent)], None).await;
    let bad = send(Method::GET, &url, &[("traceparent", &parent.to_uppercase())], None).await;
    assert_eq!(process.terminate().code(), Some(0));
    let lines = lines(data.path());
    assert_eq!(line_of(&lines, &traced)["span"]["trace_id"], TRACE);
    assert_eq!(line_of(&lines, &bad)["span"]["trace_id"], Value::Null);
}

#[tokio::test]
async fn text_lines_say_the_same() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let demo = &process.demo.demo;
    let chat = json!({ "publicKey": demo.chat.public_key });
    let opened = open_chat(&process.base_url, demo, &chat).await;
    let iframe = json!({ "uid": "u", "srcs": ["of nobody"] });
    let refused = open_iframe(&process.base_url, demo, &iframe).await;
    assert_eq!(process.terminate().code(), Some(0));
    let text = log(data.path());
    let line = |answer: &Answer| {
        let id = answer.header("x-request-id");
        let mut found = text.lines().filter(|line| line.contains(id) && line.contains("answered"));
        let line = found.next().unwrap_or_else(|| panic!("{id} in {text}"));
        assert_eq!(found.next(), None, "one line per request");
        line
    };
    for part in
        ["operation=\"chatSessionCreate\"", "route=\"/api/public/v1/chat/sessions\"", "status=200"]
    {
        assert!(line(&opened).contains(part), "{part}: {}", line(&opened));
    }
    for part in
        ["operation=\"iframeSessionCreate\"", "status=400", "code=\"unknown_source\"", "key="]
    {
        assert!(line(&refused).contains(part), "{part}: {}", line(&refused));
    }
}

fn log(data: &Path) -> String {
    std::fs::read_to_string(data.join(LOG)).expect("a log")
}

/// Every line is one JSON object.
fn lines(data: &Path) -> Vec<Value> {
    let text = log(data);
    let parsed = text.lines().map(serde_json::from_str::<Value>);
    parsed.collect::<Result<_, _>>().unwrap_or_else(|bad| panic!("{bad}: {text}"))
}

/// The one line that tells how a request was answered.
fn line_of<'a>(lines: &'a [Value], answer: &Answer) -> &'a Value {
    let id = answer.header("x-request-id");
    let of_it = |line: &&Value| line["message"] == "answered" && line["span"]["request_id"] == id;
    let mut found = lines.iter().filter(of_it);
    let line = found.next().unwrap_or_else(|| panic!("{id} in {lines:?}"));
    assert_eq!(found.next(), None, "one line per request");
    line
}

fn is_prefix(token: &Value) -> bool {
    token.as_str().is_some_and(|it| it.len() == 8 && it.bytes().all(|c| c.is_ascii_hexdigit()))
}
