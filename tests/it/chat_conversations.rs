//! The chat session token: its form, what it opens, from where, and when it ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{Wallet, text};
use crate::keyring::{
    demo_tenant, make_key, make_tenant, members, revoke_key, revoke_tenant, set_key, tenant_id,
    with_claims,
};
use crate::requests::{Answer, open_chat, post, send};
use crate::service::Service;

const ORIGIN: &str = "https://conversations.example";
const NOW: i64 = 1_800_000_000_500;

async fn read_as(service: &Service, token: &str, headers: &[(&str, &str)]) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut all = vec![("authorization", bearer.as_str())];
    all.extend(headers);
    send(Method::GET, &service.url("/api/public/v1/chat/conversation"), &all, None).await
}

async fn read(service: &Service, token: &str) -> Answer {
    let origin = service.demo.demo.chat.origin.as_str();
    read_as(service, token, &[("origin", origin)]).await
}

async fn open(service: &Service) -> String {
    let demo = &service.demo.demo;
    let body = json!({ "publicKey": demo.chat.public_key });
    text(&open_chat(&service.base_url, demo, &body).await, "/sessionToken")
}

/// A session of a key of the tenant's own, from [`ORIGIN`].
async fn open_own(service: &Service, tenant: &str, settings: Value) -> (String, String) {
    let mut members = json!({ "allowsAllIntents": true, "allowedOrigins": [ORIGIN] });
    members.as_object_mut().expect("members").extend(settings.as_object().expect("these").clone());
    let key = make_key(service, tenant, "chat", members).await;
    let url = service.url("/api/public/v1/chat/sessions");
    let opened = post(&url, &[("origin", ORIGIN)], &json!({ "publicKey": key.public })).await;
    (key.id, text(&opened, "/sessionToken"))
}

#[tokio::test]
async fn a_conversation_is_what_its_opening_said() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let variables = json!({ "cart_total": 129, "page_path": "/pricing", "tags": ["vip", ["a"]] });
    let body = json!({
        "publicKey": demo.chat.public_key, "customerId": "customer-1842", "locale": "en-GB",
        "variables": variables,
    });
    let opened = open_chat(&service.base_url, demo, &body).await;
    let read = read(service, &text(&opened, "/sessionToken")).await;
    assert_eq!(read.status, 200, "{}", read.text);
    assert_eq!(read.header("cache-control"), "no-store");
    assert_eq!(read.header("access-control-allow-origin"), demo.chat.origin);
    let expected =
        ["conversationId", "customerId", "expiresAt", "expiresIn", "locale", "variables"];
    assert_eq!(members(&read.body), expected);
    assert_eq!(read.body["variables"], variables);
    assert_eq!(read.body["customerId"], "customer-1842");
    assert_eq!(read.body["locale"], "en-GB");
    assert_eq!(read.body["conversationId"], opened.body["conversationId"]);
    assert_eq!(read.body["expiresAt"], opened.body["expiresAt"]);
}

#[tokio::test]
async fn what_was_not_said_is_not_there() {
    let service = Service::shared();
    let read = read(service, &open(service).await).await;
    assert_eq!(members(&read.body), ["conversationId", "expiresAt", "expiresIn", "variables"]);
    assert_eq!(read.body["variables"], json!({}));
}

#[tokio::test]
async fn the_token_is_two_parts_and_begins_with_its_tenant() {
    let service = Service::shared();
    let token = open(service).await;
    let parts: Vec<&str> = token.split('.').collect();
    assert_eq!(parts.len(), 2, "{token}");
    let json = URL_SAFE_NO_PAD.decode(parts[0]).expect("unpadded base64url");
    let tenant = demo_tenant(service).await;
    assert!(json.starts_with(format!("{{\"tid\":\"{tenant}\",").as_bytes()));
    assert_eq!(URL_SAFE_NO_PAD.decode(parts[1]).expect("unpadded base64url").len(), 32);
}

#[tokio::test]
async fn a_read_needs_an_origin_that_the_key_allows() {
    let service = Service::shared();
    let token = open(service).await;
    read_as(service, &token, &[]).await.refused(403, "origin_not_allowed");
    for origin in ["https://evil.example", "null", "http://shop.example"] {
        let refused = read_as(service, &token, &[("origin", origin)]).await;
        refused.refused(403, "origin_not_allowed");
        assert!(refused.header("access-control-allow-origin").is_empty());
    }
    let tenant = demo_tenant(service).await;
    let (_, native) = open_own(service, &tenant, json!({ "allowNoOrigin": true })).await;
    assert_eq!(read_as(service, &native, &[]).await.status, 200);
    let elsewhere = read_as(service, &native, &[("origin", "https://shop.example")]).await;
    elsewhere.refused(403, "origin_not_allowed");
}

#[tokio::test]
async fn the_services_own_page_reads_without_an_origin_header() {
    let service = Service::shared();
    let token = open(service).await;
    let own = [("sec-fetch-site", "same-origin")];
    assert_eq!(read_as(service, &token, &own).await.status, 200, "the demo key allows our origin");
    for site in ["cross-site", "same-site", "none"] {
        let refused = read_as(service, &token, &[("sec-fetch-site", site)]).await;
        refused.refused(403, "origin_not_allowed");
    }
    let (_, token) = open_own(service, &demo_tenant(service).await, json!({})).await;
    read_as(service, &token, &own).await.refused(403, "origin_not_allowed");
}

#[tokio::test]
async fn a_token_that_is_not_of_this_surface_and_tenant_never_counts() {
    let service = Service::shared();
    let wallet = Wallet::open(service, &service.demo.demo).await;
    let body = json!({ "cache_key": wallet.cache_key });
    let redeemed = post(&service.url("/api/v1/iframe/token"), &[], &body).await;
    let iframe = text(&redeemed, "/access_token");
    let (token, other) = (open(service).await, tenant_id(service, "Other shop").await);
    let stranger = open(&Service::start(|_| {})).await;
    let (payload, mac) = token.split_once('.').expect("two parts");
    for case in [
        wallet.embed_token.clone(),
        iframe,
        stranger,
        with_claims(&token, |claims| claims["tid"] = Value::from(other)),
        with_claims(&token, |claims| claims["exp"] = json!(4_000_000_000_i64)),
        payload.to_owned(),
        format!("{payload}."),
        format!(".{mac}"),
        format!("{token}="),
        format!("eyJhbGciOiJIUzI1NiJ9.{payload}.{mac}"),
        "nonsense".to_owned(),
        "x".repeat(5000),
    ] {
        read(service, &case).await.refused(401, "invalid_session_token");
    }
}

#[tokio::test]
async fn a_read_without_a_token_has_no_credentials() {
    let service = Service::shared();
    let url = service.url("/api/public/v1/chat/conversation");
    let origin = [("origin", service.demo.demo.chat.origin.as_str())];
    let refused = send(Method::GET, &url, &origin, None).await;
    refused.refused(401, "missing_credentials");
    let token = open(service).await;
    let url = format!("{url}?token={token}");
    send(Method::GET, &url, &origin, None).await.refused(401, "missing_credentials");
}

#[tokio::test]
async fn parameters_that_break_a_constraint_are_invalid_input() {
    let service = Service::shared();
    let (demo, token) = (&service.demo.demo.chat, open(service).await);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str()), ("origin", demo.origin.as_str())];
    let url = service.url("/api/public/v1/chat/conversation?limit=1");
    let refused = send(Method::GET, &url, &headers, None).await;
    refused.refused(400, "invalid_input");
    let unknown = ("query".to_owned(), "/limit".to_owned(), "additionalProperties".to_owned());
    assert_eq!(refused.violations(), [unknown]);
}

#[tokio::test]
async fn a_token_ends_at_its_second() {
    let service = Service::start(|_| {});
    let clock = &service.context.clock;
    clock.hold_at_ms(NOW);
    let token = open(&service).await;
    for (later, left) in [(0, 3600), (499, 3600), (500, 3599), (3_599_499, 1)] {
        clock.hold_at_ms(NOW + later);
        let read = read(&service, &token).await;
        assert_eq!(read.body["expiresIn"], left, "after {later}: {}", read.text);
    }
    let end = 1_800_003_600_000;
    for late in [0, 9] {
        clock.hold_at_ms(end + late);
        let refused = read(&service, &token).await;
        refused.refused(401, "token_expired");
        let details = json!({ "server_time_ms": end + late, "skew_ms": late });
        assert_eq!(refused.body["details"], details);
        assert_eq!(refused.header("access-control-allow-origin"), service.demo.demo.chat.origin);
    }
}

#[tokio::test]
async fn the_state_of_the_key_is_checked_on_every_call() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let (key, token) = open_own(&service, &tenant, json!({})).await;
    let read = async || read_as(&service, &token, &[("origin", ORIGIN)]).await;
    assert_eq!(read().await.status, 200);
    set_key(&service, &key, "pause").await;
    read().await.refused(403, "widget_disabled");
    set_key(&service, &key, "resume").await;
    assert_eq!(read().await.status, 200);
    revoke_key(&service, &key).await;
    read().await.refused(401, "token_revoked");
    let (tenant, _) = make_tenant(&service, json!({ "name": "Short-lived" })).await;
    let (_, token) = open_own(&service, &tenant, json!({})).await;
    revoke_tenant(&service, &tenant).await;
    let refused = read_as(&service, &token, &[("origin", ORIGIN)]).await;
    refused.refused(401, "token_revoked");
}

#[tokio::test]
async fn a_paused_widgets_expired_token_is_expired() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    let (key, token) = open_own(&service, &demo_tenant(&service).await, json!({})).await;
    set_key(&service, &key, "pause").await;
    service.context.clock.hold_at_ms(NOW + 3_600_000);
    let refused = read_as(&service, &token, &[("origin", ORIGIN)]).await;
    refused.refused(401, "token_expired");
}
