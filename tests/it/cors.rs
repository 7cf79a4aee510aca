//! CORS on the chat surface and nowhere else: preflights, errors, refused origins.

use reqwest::Method;
use serde_json::json;
use vestibule_api::register::OPERATIONS;

use crate::callers::{Target, Wallet, send_owned};
use crate::keyring::{demo_tenant, make_key, set_key};
use crate::requests::{Answer, post, send};
use crate::service::Service;

const PREFIX: &str = "access-control-";

fn cors_headers(answer: &Answer) -> Vec<&str> {
    let names = answer.headers.keys().map(|name| name.as_str());
    names.filter(|name| name.starts_with(PREFIX)).collect()
}

/// An answer that a page of `origin` may read.
#[track_caller]
fn readable(answer: &Answer, origin: &str) {
    assert_eq!(answer.header("access-control-allow-origin"), origin, "{}", answer.text);
    assert_eq!(answer.headers.get_all("access-control-allow-origin").iter().count(), 1);
    assert!(answer.headers.get("access-control-allow-credentials").is_none());
    assert_eq!(answer.header("vary"), "Origin");
}

/// An answer that no page may read.
#[track_caller]
fn unreadable(answer: &Answer) {
    assert_eq!(cors_headers(answer), Vec::<&str>::new(), "{}", answer.text);
}

async fn preflight(service: &Service, path: &str, origin: Option<&str>, method: &str) -> Answer {
    let mut headers = vec![
        ("access-control-request-method", method),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    headers.extend(origin.map(|origin| ("origin", origin)));
    send(Method::OPTIONS, &service.url(path), &headers, None).await
}

#[tokio::test]
async fn every_chat_path_answers_preflights() {
    let service = Service::shared();
    let origin = service.demo.demo.chat.origin.as_str();
    let chat = OPERATIONS.iter().filter(|operation| operation.document == "chat");
    let mut paths = 0;
    for operation in chat {
        paths += 1;
        assert!(operation.cors, "{}", operation.id);
        let answer =
            preflight(service, operation.path, Some(origin), operation.method.as_str()).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""), "{}", operation.id);
        readable(&answer, origin);
        assert_eq!(answer.header("access-control-allow-methods"), operation.method.as_str());
        let allowed = answer.header("access-control-allow-headers").to_ascii_lowercase();
        assert!(allowed.contains("authorization") && allowed.contains("content-type"), "{allowed}");
        let key = operation.idempotency.as_ref().map(|info| info.header);
        assert_eq!(allowed.contains("idempotency-key"), key.is_some(), "{allowed}");
        assert!(key.is_none_or(|key| allowed.contains(key)), "{allowed}");
        let clock = operation.test_clock.as_ref().expect("pages may move the clock of test keys");
        assert!(allowed.contains(clock.header), "{allowed}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert!(answer.header("access-control-max-age").parse::<u32>().is_ok());
    }
    assert_eq!(paths, 4);
}

#[tokio::test]
async fn a_preflight_of_a_refused_origin_permits_nothing() {
    let service = Service::shared();
    for operation in OPERATIONS.iter().filter(|operation| operation.cors) {
        for origin in [Some("https://evil.example"), Some("null"), Some("*"), None] {
            let answer = preflight(service, operation.path, origin, "POST").await;
            assert_eq!(answer.status, 204, "{origin:?}");
            unreadable(&answer);
            assert_eq!(answer.header("vary"), "Origin", "a cache must not keep it for others");
        }
    }
}

#[tokio::test]
async fn only_the_chat_surface_answers_preflights() {
    let service = Service::shared();
    let origin = service.demo.demo.chat.origin.as_str();
    for operation in OPERATIONS.iter().filter(|operation| operation.document != "chat") {
        assert!(!operation.cors, "{}", operation.id);
        let path = operation.path.replace(['{', '}'], "");
        let answer = preflight(service, &path, Some(origin), operation.method.as_str()).await;
        assert_eq!(answer.status, 405, "{}", operation.id);
        unreadable(&answer);
    }
}

#[tokio::test]
async fn other_surfaces_send_no_cors_headers_even_to_allowed_origins() {
    let service = Service::shared();
    let (wallet, target) =
        (Wallet::open(service, &service.demo.demo).await, Target::create(service).await);
    let client = reqwest::Client::new();
    let others = OPERATIONS.iter().filter(|it| !it.cors && it.method != Method::DELETE);
    for operation in others {
        let body =
            wallet.body(operation, &target.tenant_id).map(|body| body.to_string().into_bytes());
        let mut headers = wallet.headers(operation, body.as_deref().unwrap_or_default());
        headers.push(("origin", service.demo.demo.chat.origin.clone()));
        let url = service.url(&target.path(operation));
        let answer = send_owned(&client, operation.method.clone(), &url, &headers, body).await;
        unreadable(&answer);
    }
}

#[tokio::test]
async fn errors_before_the_key_is_known_are_readable_by_any_allowed_origin() {
    let service = Service::shared();
    let url = service.url("/api/public/v1/chat/sessions");
    // The other tenant's origin: no key is known yet, so every enabled key's origins count.
    for origin in [&service.demo.demo.chat.origin, &service.demo.other.chat.origin] {
        let from = ("origin", origin.as_str());
        let text = |body: &str| Some(body.as_bytes().to_vec());
        let not_json = send(Method::POST, &url, &[from], text("{")).await;
        not_json.refused(400, "invalid_json");
        readable(&not_json, origin);
        let plain = ("content-type", "text/plain");
        let typed = send(Method::POST, &url, &[from, plain], text("{}")).await;
        typed.refused(415, "unsupported_media_type");
        readable(&typed, origin);
        let invalid = send(Method::POST, &url, &[from], text("{}")).await;
        invalid.refused(422, "validation_failed");
        readable(&invalid, origin);
        let large = send(Method::POST, &url, &[from], Some(vec![b' '; 16_385])).await;
        large.refused(413, "payload_too_large");
        readable(&large, origin);
        let unknown = json!({ "publicKey": "pk_live_00000000000000000000000000000000" });
        let disabled = post(&url, &[from], &unknown).await;
        disabled.refused(403, "widget_disabled");
        readable(&disabled, origin);
        let read = service.url("/api/public/v1/chat/conversation");
        let missing = send(Method::GET, &read, &[from], None).await;
        missing.refused(401, "missing_credentials");
        readable(&missing, origin);
        // What both document, and what dropshot sends everywhere.
        let exposed = missing.header("access-control-expose-headers");
        let names: Vec<_> = exposed.split(", ").collect();
        for name in ["Retry-After", "WWW-Authenticate", "X-Request-Id"] {
            assert!(names.contains(&name), "{exposed}");
        }
        // What opening a session documents alone.
        assert!(!exposed.contains("Idempotent-Replayed"), "{exposed}");
        let opening = invalid.header("access-control-expose-headers");
        assert!(opening.contains("Idempotent-Replayed"), "{opening}");
    }
}

#[tokio::test]
async fn a_refused_origin_reads_nothing_not_even_its_refusal() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": demo.public_key });
    for origin in ["https://evil.example", "null", "https://shop.example.evil.example"] {
        let refused = post(&url, &[("origin", origin)], &body).await;
        refused.refused(403, "origin_not_allowed");
        unreadable(&refused);
        let invalid = post(&url, &[("origin", origin)], &json!({})).await;
        invalid.refused(422, "validation_failed");
        unreadable(&invalid);
        assert_eq!(invalid.header("vary"), "Origin");
    }
    // Allowed by another key, but not by this one.
    let other = &service.demo.other.chat.origin;
    let refused = post(&url, &[("origin", other)], &body).await;
    refused.refused(403, "origin_not_allowed");
    unreadable(&refused);
}

#[tokio::test]
async fn answers_without_an_origin_vary_by_it_and_echo_nothing() {
    let service = Service::shared();
    let body = json!({ "publicKey": service.demo.demo.chat.public_key });
    let refused = post(&service.url("/api/public/v1/chat/sessions"), &[], &body).await;
    refused.refused(403, "origin_not_allowed");
    unreadable(&refused);
    assert_eq!(refused.header("vary"), "Origin");
}

#[tokio::test]
async fn a_success_echoes_its_own_origin() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": demo.public_key });
    for origin in [demo.origin.as_str(), service.base_url.as_str()] {
        let opened = post(&url, &[("origin", origin)], &body).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
        readable(&opened, origin);
    }
}

#[tokio::test]
async fn a_paused_keys_origins_are_allowed_no_more() {
    let service = Service::start(|_| {});
    let origin = "https://paused.example";
    let settings = json!({ "allowsAllIntents": true, "allowedOrigins": [origin] });
    let key = make_key(&service, &demo_tenant(&service).await, "chat", settings).await;
    let path = "/api/public/v1/chat/sessions";
    readable(&preflight(&service, path, Some(origin), "POST").await, origin);
    set_key(&service, &key.id, "pause").await;
    unreadable(&preflight(&service, path, Some(origin), "POST").await);
    set_key(&service, &key.id, "resume").await;
    readable(&preflight(&service, path, Some(origin), "POST").await, origin);
}
