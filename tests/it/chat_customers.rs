//! Customers of the chat surface: a claim is not a proof, and only a proof continues.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::text;
use crate::keyring::{demo_tenant, make_key};
use crate::requests::{Answer, now_ms, post, send};
use crate::service::Service;

const ORIGIN: &str = "https://customers.example";

/// Mints a JWT as a tenant's backend does.
fn mint(algorithm: hmac::Algorithm, secret: &str, header: &Value, claims: &Value) -> String {
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(algorithm, secret.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes())))
}

fn proof(secret: &str, claims: &Value) -> String {
    mint(hmac::HMAC_SHA256, secret, &json!({ "alg": "HS256", "typ": "JWT" }), claims)
}

/// A proof for `customer` that holds for a minute.
fn proof_of(service: &Service, customer: &str) -> String {
    proof_until(service, customer, now_ms() / 1000 + 60)
}

/// A proof for `customer` that holds until a second since 1970.
pub fn proof_until(service: &Service, customer: &str, exp: i64) -> String {
    let secret = &service.demo.demo.chat.identity_secret;
    proof(secret, &json!({ "sub": customer, "exp": exp }))
}

/// A widget of the demo tenant with the setting `identity`.
async fn widget(service: &Service, identity: &str) -> String {
    let settings =
        json!({ "allowsAllIntents": true, "identity": identity, "allowedOrigins": [ORIGIN] });
    make_key(service, &demo_tenant(service).await, "chat", settings).await.public
}

async fn open(service: &Service, key: &str, members: Value) -> Answer {
    let mut body = json!({ "publicKey": key });
    body.as_object_mut().expect("members").extend(members.as_object().expect("these").clone());
    post(&service.url("/api/public/v1/chat/sessions"), &[("origin", ORIGIN)], &body).await
}

async fn open_verified(service: &Service, key: &str, customer: &str, members: Value) -> Answer {
    let mut all = json!({ "customerId": customer, "customerToken": proof_of(service, customer) });
    all.as_object_mut().expect("members").extend(members.as_object().expect("these").clone());
    let opened = open(service, key, all).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    opened
}

async fn conversation(service: &Service, opened: &Answer) -> Value {
    let bearer = format!("Bearer {}", text(opened, "/sessionToken"));
    let headers = [("authorization", bearer.as_str()), ("origin", ORIGIN)];
    let url = service.url("/api/public/v1/chat/conversation");
    let read = send(Method::GET, &url, &headers, None).await;
    assert_eq!(read.status, 200, "{}", read.text);
    read.body
}

#[tokio::test]
async fn a_verified_customer_continues_and_variables_merge_key_by_key() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let first = json!({ "locale": "en-GB", "variables": { "a": 1, "b": [1, 2], "c": "x" } });
    let first = open_verified(service, &key, "verified-1", first).await;
    let second = json!({ "variables": { "b": [3], "c": null, "d": true } });
    let second = open_verified(service, &key, "verified-1", second).await;
    assert_eq!(second.body["conversationId"], first.body["conversationId"]);
    assert_ne!(second.body["sessionToken"], first.body["sessionToken"]);
    let seen = conversation(service, &second).await;
    assert_eq!(seen["variables"], json!({ "a": 1, "b": [3], "c": null, "d": true }));
    assert_eq!((&seen["locale"], &seen["customerId"]), (&json!("en-GB"), &json!("verified-1")));
    assert_eq!(conversation(service, &first).await["variables"], seen["variables"], "one row");
    let third = open_verified(service, &key, "verified-1", json!({ "locale": "de" })).await;
    assert_eq!(conversation(service, &third).await["locale"], "de", "a new locale replaces");
    let other = open_verified(service, &key, "verified-2", json!({})).await;
    assert_ne!(other.body["conversationId"], first.body["conversationId"]);
}

#[tokio::test]
async fn the_merged_variables_keep_the_limits_of_each_request() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let keys = |prefix: &str, count: usize| -> Value {
        Value::Object((0..count).map(|n| (format!("{prefix}{n}"), json!(n))).collect())
    };
    open_verified(service, &key, "merger", json!({ "variables": keys("a", 30) })).await;
    let token = proof_of(service, "merger");
    let over = json!({
        "customerId": "merger", "customerToken": token, "variables": keys("b", 21),
    });
    let refused = open(service, &key, over).await;
    refused.refused(422, "validation_failed");
    let expected = [("body".to_owned(), "/variables".to_owned(), "maxProperties".to_owned())];
    assert_eq!(refused.violations(), expected);
    let fits = open_verified(service, &key, "merger", json!({ "variables": keys("b", 20) })).await;
    let seen = conversation(service, &fits).await;
    assert_eq!(
        seen["variables"].as_object().expect("variables").len(),
        50,
        "nothing was kept of the refused"
    );
    let long = json!({ "variables": { "a0": "x".repeat(4000) } });
    let token = proof_of(service, "merger");
    let long =
        json!({ "customerId": "merger", "customerToken": token, "variables": long["variables"] });
    let refused = open(service, &key, long).await;
    refused.refused(422, "validation_failed");
    assert_eq!(refused.violations()[0].2, "x-max-bytes", "{}", refused.text);
}

#[tokio::test]
async fn a_claimed_customer_never_continues_a_conversation() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let secret = json!({ "variables": { "card": "4111" } });
    let verified = open_verified(service, &key, "claimed-1", secret).await;
    let claim = json!({ "customerId": "claimed-1" });
    let one = open(service, &key, claim.clone()).await;
    let two = open(service, &key, claim).await;
    let ids = [&verified, &one, &two].map(|opened| text(opened, "/conversationId"));
    assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2], "{ids:?}");
    let seen = conversation(service, &one).await;
    assert_eq!(seen["variables"], json!({}), "nobody's history is opened by a claim");
    assert_eq!(seen["customerId"], "claimed-1", "the claim is kept for analytics");
    let again = open_verified(service, &key, "claimed-1", json!({})).await;
    assert_eq!(text(&again, "/conversationId"), ids[0], "nor is a claim's conversation continued");
}

#[tokio::test]
async fn the_same_customer_of_another_tenant_is_somebody_else() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let demo = open_verified(service, &key, "shared-name", json!({})).await;
    let other = &service.demo.other.chat;
    let token = proof(
        &other.identity_secret,
        &json!({ "sub": "shared-name", "exp": now_ms() / 1000 + 60 }),
    );
    let body = json!({
        "publicKey": other.public_key, "customerId": "shared-name", "customerToken": token,
    });
    let url = service.url("/api/public/v1/chat/sessions");
    let there = post(&url, &[("origin", &other.origin)], &body).await;
    assert_eq!(there.status, 200, "{}", there.text);
    assert_ne!(there.body["conversationId"], demo.body["conversationId"]);
    let foreign = json!({ "customerId": "shared-name", "customerToken": token });
    open(service, &key, foreign).await.refused(401, "invalid_customer_token");
}

/// Tokens that do not prove that somebody is `c1`.
fn no_proofs(secret: &str) -> Vec<String> {
    let now = now_ms() / 1000;
    let good = json!({ "sub": "c1", "exp": now + 60 });
    let plain = json!({ "alg": "HS256", "typ": "JWT" });
    let with = |name: &str, value: Value| {
        let mut claims = good.clone();
        claims[name] = value;
        proof(secret, &claims)
    };
    let none = mint(hmac::HMAC_SHA256, secret, &json!({ "alg": "none" }), &good);
    let unsigned = format!("{}.", none.rsplit_once('.').expect("three parts").0);
    vec![
        proof("cis_somebody_elses_secret", &good),
        with("sub", json!("c2")),
        with("sub", Value::Null),
        with("sub", json!("C1")),
        with("exp", json!(now - 1)),
        with("exp", Value::Null),
        with("nbf", json!(now + 600)),
        with("iat", json!(now + 600)),
        proof(secret, &json!({ "sub": "c1" })),
        mint(hmac::HMAC_SHA512, secret, &json!({ "alg": "HS512", "typ": "JWT" }), &good),
        mint(hmac::HMAC_SHA384, secret, &plain, &good),
        mint(hmac::HMAC_SHA256, secret, &json!({ "alg": "HS256", "kid": "1" }), &good),
        none,
        unsigned,
        "nonsense".to_owned(),
        String::new(),
    ]
}

#[tokio::test]
async fn a_token_that_proves_nothing_is_refused() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let secret = service.demo.demo.chat.identity_secret.as_str();
    for case in no_proofs(secret) {
        let refused =
            open(service, &key, json!({ "customerId": "c1", "customerToken": case })).await;
        assert_eq!(refused.code(), "invalid_customer_token", "{case}: {}", refused.text);
        assert_eq!(refused.status, 401);
        assert!(!refused.header("www-authenticate").is_empty());
        assert_eq!(refused.header("access-control-allow-origin"), ORIGIN, "on errors too");
        assert!(case.is_empty() || !refused.text.contains(&case), "never echoed");
    }
    let now = now_ms() / 1000;
    let more = proof(
        secret,
        &json!({ "sub": "c1", "exp": now + 60, "iat": now, "aud": "x", "name": "y" }),
    );
    let opened = open(service, &key, json!({ "customerId": "c1", "customerToken": more })).await;
    assert_eq!(opened.status, 200, "other claims are the tenant's business: {}", opened.text);
}

#[tokio::test]
async fn a_proof_needs_the_id_that_it_proves() {
    let service = Service::shared();
    let key = widget(service, "optional").await;
    let refused = open(service, &key, json!({ "customerToken": proof_of(service, "c1") })).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (422, "validation_failed"));
    assert_eq!(refused.violations()[0].1, "/customerId", "{}", refused.text);
}

#[tokio::test]
async fn a_key_that_requires_proof_takes_no_bare_claim() {
    let service = Service::shared();
    let key = widget(service, "required").await;
    let refused = open(service, &key, json!({ "customerId": "c1" })).await;
    refused.refused(401, "invalid_customer_token");
    let anonymous = open(service, &key, json!({})).await;
    assert_eq!(anonymous.status, 200, "nobody claims anything: {}", anonymous.text);
    open_verified(service, &key, "required-1", json!({})).await;
}

#[tokio::test]
async fn a_key_without_identity_ignores_proofs_and_continues_nothing() {
    let service = Service::shared();
    let (off, optional) = (widget(service, "off").await, widget(service, "optional").await);
    let ignored = json!({ "customerId": "off-1", "customerToken": "nonsense" });
    let opened = open(service, &off, ignored).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let verified = open_verified(service, &optional, "off-1", json!({})).await;
    let again = open_verified(service, &off, "off-1", json!({})).await;
    assert_ne!(again.body["conversationId"], verified.body["conversationId"]);
}

#[tokio::test]
async fn the_proofs_time_is_the_services() {
    let service = Service::start(|_| {});
    let key = widget(&service, "optional").await;
    let clock = &service.context.clock;
    let now = 1_800_000_000;
    let token = proof(
        &service.demo.demo.chat.identity_secret,
        &json!({ "sub": "c1", "exp": now + 60, "nbf": now, "iat": now }),
    );
    let claim = json!({ "customerId": "c1", "customerToken": token });
    for (at_ms, taken) in [(-1, false), (0, true), (59_999, true), (60_000, false)] {
        clock.hold_at_ms(now * 1000 + at_ms);
        let opened = open(&service, &key, claim.clone()).await;
        assert_eq!(opened.status == 200, taken, "at {at_ms}: {}", opened.text);
    }
}
