//! The embed token: its form, its claims, where it counts and when it ends.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{Wallet, text};
use crate::keyring::{
    demo_tenant, make_key, make_tenant, open_demo, open_with, read_jwt, revoke_key, revoke_tenant,
    set_key, tenant_id, with_claims,
};
use crate::requests::{Answer, get, post, send};
use crate::service::Service;

const EMPLOYEE: &str = "64f000000000000000000001";
const CHAT: &str = "64f000000000000000000002";
const NOW: i64 = 1_800_000_000_500;

async fn open(service: &Service) -> String {
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatPage"], "chatId": CHAT });
    text(&open_demo(service, &body).await, "/data/embedToken")
}

async fn read(service: &Service, token: &str) -> Answer {
    get(&service.url("/v1/embed/session"), token).await
}

#[tokio::test]
async fn the_header_is_alg_and_typ_and_nothing_else() {
    let (header, _) = read_jwt(&open(Service::shared()).await);
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
}

#[tokio::test]
async fn the_claims_say_who_what_where_and_until_when() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    let token = open(&service).await;
    let (_, mut claims) = read_jwt(&token);
    let sid = text(&read(&service, &token).await, "/data/sessionId");
    assert_eq!(claims["sid"], sid);
    let jti = claims["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() >= 22), "{jti}");
    let expected = json!({
        "iss": service.base_url, "aud": "vestibule:embed", "sub": EMPLOYEE,
        "tid": demo_tenant(&service).await, "sid": sid, "jti": null,
        "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_900,
        "cap": ["showChatPage"], "chat": CHAT, "kg": 1,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn a_claim_of_a_chat_is_there_only_with_a_chat_and_no_two_tokens_are_equal() {
    let service = Service::shared();
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let one = text(&open_demo(service, &body).await, "/data/embedToken");
    let two = text(&open_demo(service, &body).await, "/data/embedToken");
    let (one, two) = (read_jwt(&one).1, read_jwt(&two).1);
    assert!(one.get("chat").is_none(), "{one}");
    assert_ne!(one["jti"], two["jti"]);
    assert_ne!(one["sid"], two["sid"]);
}

#[tokio::test]
async fn a_read_without_a_token_has_no_credentials() {
    let service = Service::shared();
    let url = service.url("/v1/embed/session");
    let refused = send(Method::GET, &url, &[], None).await;
    refused.refused(401, "missing_credentials");
    let in_query =
        send(Method::GET, &format!("{url}?token={}", open(service).await), &[], None).await;
    in_query.refused(401, "missing_credentials");
}

#[tokio::test]
async fn other_forms_of_the_header_are_not_a_token() {
    let service = Service::shared();
    let (url, token) = (service.url("/v1/embed/session"), open(service).await);
    for value in [
        format!("Basic {token}"),
        token.clone(),
        "Bearer".to_owned(),
        format!("Bearer {token} {token}"),
        format!("Bearer \"{token}\""),
        format!("Bearer {token},"),
    ] {
        let refused = send(Method::GET, &url, &[("authorization", &value)], None).await;
        refused.refused(401, "invalid_session_token");
    }
    let twice = format!("Bearer {token}");
    let twice = [("authorization", twice.as_str()), ("authorization", twice.as_str())];
    send(Method::GET, &url, &twice, None).await.refused(401, "invalid_session_token");
    let lower = format!("bearer {token}");
    let read = send(Method::GET, &url, &[("authorization", &lower)], None).await;
    assert_eq!(read.status, 200, "the scheme's name has no case (RFC 9110)");
}

#[tokio::test]
async fn a_changed_token_is_not_ours() {
    let service = Service::shared();
    let token = open(service).await;
    let parts: Vec<&str> = token.split('.').collect();
    // {"alg":"none","typ":"JWT"} and {"alg":"HS256","typ":"JWT","kid":"1"}
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
    let kid = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IjEifQ";
    let cases = [
        with_claims(&token, |claims| claims["cap"] = json!(["showSendInput"])),
        with_claims(&token, |claims| claims["exp"] = json!(4_000_000_000_i64)),
        with_claims(&token, |claims| claims["kg"] = json!(2)),
        format!("{none}.{}.", parts[1]),
        format!("{none}.{}.{}", parts[1], parts[2]),
        format!("{kid}.{}.{}", parts[1], parts[2]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{token}.{}", parts[2]),
        format!("{token}="),
        "a.b.c".to_owned(),
        "x".repeat(5000),
    ];
    for case in cases {
        read(service, &case).await.refused(401, "invalid_session_token");
    }
    assert_eq!(read(service, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_of_another_surface_or_tenant_never_counts() {
    let service = Service::shared();
    let wallet = Wallet::open(service, &service.demo.demo).await;
    let body = json!({ "cache_key": wallet.cache_key });
    let redeemed = post(&service.url("/api/v1/iframe/token"), &[], &body).await;
    let iframe = text(&redeemed, "/access_token");
    for foreign in [&wallet.chat_token, &iframe, &wallet.admin, &wallet.tenant.iframe.api_key] {
        read(service, foreign).await.refused(401, "invalid_session_token");
    }
    // Moved to the other tenant with its signature, and the other way round.
    let other = tenant_id(service, "Other shop").await;
    let moved = with_claims(&wallet.embed_token, |claims| claims["tid"] = Value::from(other));
    read(service, &moved).await.refused(401, "invalid_session_token");
    let stray =
        with_claims(&wallet.embed_token, |claims| claims["aud"] = json!("vestibule:iframe"));
    read(service, &stray).await.refused(401, "invalid_session_token");
}

#[tokio::test]
async fn a_token_of_another_deployment_never_counts() {
    let (here, there) = (Service::shared(), Service::start(|_| {}));
    let token = open(&there).await;
    read(here, &token).await.refused(401, "invalid_session_token");
    assert_eq!(read(&there, &token).await.status, 200);
}

#[tokio::test]
async fn a_token_ends_at_its_second() {
    let service = Service::start(|_| {});
    let clock = &service.context.clock;
    clock.hold_at_ms(NOW);
    let token = open(&service).await;
    for (later, left) in [(0, 900), (499, 900), (500, 899), (899_499, 1)] {
        clock.hold_at_ms(NOW + later);
        let read = read(&service, &token).await;
        assert_eq!(read.body["data"]["expiresIn"], left, "after {later}: {}", read.text);
    }
    let end = 1_800_000_900_000;
    for late in [0, 7, 3_600_000] {
        clock.hold_at_ms(end + late);
        let refused = read(&service, &token).await;
        refused.refused(401, "token_expired");
        let details = json!({ "server_time_ms": end + late, "skew_ms": late });
        assert_eq!(refused.body["details"], details);
    }
    clock.hold_at_ms(NOW - 1000);
    read(&service, &token).await.refused(401, "invalid_session_token");
}

#[tokio::test]
async fn a_paused_or_revoked_key_ends_its_sessions_at_once() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "embed", json!({})).await;
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let opened = open_with(&service, &key.public, &key.secret, &body).await;
    let (token, bystander) = (text(&opened, "/data/embedToken"), open(&service).await);
    assert_eq!(read(&service, &token).await.status, 200);
    set_key(&service, &key.id, "pause").await;
    read(&service, &token).await.refused(401, "token_revoked");
    set_key(&service, &key.id, "resume").await;
    assert_eq!(read(&service, &token).await.status, 200, "a pause is not the end");
    revoke_key(&service, &key.id).await;
    read(&service, &token).await.refused(401, "token_revoked");
    assert_eq!(read(&service, &bystander).await.status, 200, "other keys' sessions go on");
}

#[tokio::test]
async fn a_revoked_tenant_ends_its_sessions_at_once() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Short-lived" })).await;
    let key = make_key(&service, &tenant, "embed", json!({})).await;
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let opened = open_with(&service, &key.public, &key.secret, &body).await;
    let token = text(&opened, "/data/embedToken");
    assert_eq!(read(&service, &token).await.status, 200);
    assert_eq!(revoke_tenant(&service, &tenant).await.status, 204);
    read(&service, &token).await.refused(401, "token_revoked");
    let again = open_with(&service, &key.public, &key.secret, &body).await;
    again.refused(401, "invalid_signature");
}
