//! Redeeming a cache key: how often, until when, from where, and the same token each time.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::text;
use crate::keyring::{
    demo_tenant, make_key, make_tenant, members, read_jwt, revoke_key, revoke_tenant, set_key,
};
use crate::requests::{Answer, get, open_iframe, post, send};
use crate::service::Service;

const NOW: i64 = 1_800_000_000_500;

async fn create(service: &Service, over: Value) -> Answer {
    let demo = &service.demo.demo;
    let mut body = json!({ "uid": "redeemer", "srcs": [demo.iframe.source_ids[0]] });
    body.as_object_mut().expect("members").extend(over.as_object().expect("these").clone());
    let created = open_iframe(&service.base_url, demo, &body).await;
    assert_eq!(created.status, 200, "{}", created.text);
    created
}

async fn redeem_from(service: &Service, key: &Value, headers: &[(&str, &str)]) -> Answer {
    post(&service.url("/api/v1/iframe/token"), headers, &json!({ "cache_key": key })).await
}

async fn redeem(service: &Service, created: &Answer) -> Answer {
    redeem_from(service, &created.body["cache_key"], &[]).await
}

/// A link made with an own key of the demo tenant: the key's id and the link.
async fn create_with(service: &Service, settings: Value) -> (String, Answer) {
    let key = make_key(service, &demo_tenant(service).await, "iframe", settings).await;
    let bearer = format!("Bearer {}", key.secret);
    let body = json!({ "uid": "u", "srcs": [service.demo.demo.iframe.source_ids[0]] });
    let url = service.url("/api/v1/iframe/create");
    (key.id, post(&url, &[("authorization", &bearer)], &body).await)
}

#[tokio::test]
async fn a_key_gives_the_token_and_what_the_page_needs() {
    let service = Service::shared();
    let created = create(service, json!({ "uid": "shape", "ttl": 600, "limits": null })).await;
    let redeemed = redeem(service, &created).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text);
    assert_eq!(redeemed.header("cache-control"), "no-store");
    assert_eq!(redeemed.header("x-content-type-options"), "nosniff");
    let expected = ["access_token", "expires_in", "session_id", "theme", "token_type", "uid"];
    assert_eq!(members(&redeemed.body), expected);
    assert_eq!(
        (&redeemed.body["token_type"], &redeemed.body["uid"]),
        (&json!("Bearer"), &json!("shape"))
    );
    let session = text(&redeemed, "/session_id");
    assert!(text(&created, "/iframe_url").contains(&format!("/iframe/{session}#")));
    assert!(!redeemed.text.contains(&text(&created, "/cache_key")), "the key is not repeated");
}

#[tokio::test]
async fn the_token_has_a_plain_header_and_the_claims_of_its_session() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    let created = create(&service, json!({ "uid": "\u{fc}ser@example.org", "ttl": 60 })).await;
    let redeemed = redeem(&service, &created).await;
    let (header, mut claims) = read_jwt(&text(&redeemed, "/access_token"));
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
    let jti = claims["jti"].take();
    assert!(jti.as_str().is_some_and(|jti| jti.len() >= 22), "{jti}");
    let expected = json!({
        "iss": service.base_url, "aud": "vestibule:iframe", "sub": "\u{fc}ser@example.org",
        "tid": demo_tenant(&service).await, "sid": redeemed.body["session_id"], "jti": null,
        "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_000_060, "kg": 1,
    });
    assert_eq!(claims, expected);
}

#[tokio::test]
async fn redeeming_again_gives_the_same_token_and_never_more_time() {
    let service = Service::start(|_| {});
    let clock = &service.context.clock;
    clock.hold_at_ms(NOW);
    let created = create(&service, json!({})).await;
    let first = redeem(&service, &created).await;
    assert_eq!(first.body["expires_in"], 900, "{}", first.text);
    for (later, left) in [(0, 900), (500, 899), (60_000, 840), (899_499, 1)] {
        clock.hold_at_ms(NOW + later);
        let again = redeem(&service, &created).await;
        assert_eq!(again.body["access_token"], first.body["access_token"], "{}", again.text);
        assert_eq!(again.body["expires_in"], left, "after {later}");
    }
    clock.hold_at_ms(1_800_000_900_000);
    redeem(&service, &created).await.refused(410, "cache_key_expired");
}

#[tokio::test]
async fn the_eleventh_redemption_finds_the_key_used_up() {
    let service = Service::shared();
    let created = create(service, json!({})).await;
    for n in 1..=10 {
        assert_eq!(redeem(service, &created).await.status, 200, "redemption {n}");
    }
    for _ in 0..2 {
        redeem(service, &created).await.refused(410, "cache_key_used");
    }
    let (_, once) = create_with(service, json!({ "maxRedemptions": 1 })).await;
    assert_eq!(redeem(service, &once).await.status, 200);
    redeem(service, &once).await.refused(410, "cache_key_used");
}

#[tokio::test]
async fn concurrent_redemptions_are_counted_one_by_one() {
    let service = Service::shared();
    let (_, created) = create_with(service, json!({ "maxRedemptions": 3 })).await;
    let all = futures::future::join_all((0..24).map(|_| redeem(service, &created))).await;
    let taken = all.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(taken, 3);
    for late in all.iter().filter(|answer| answer.status != 200) {
        late.refused(410, "cache_key_used");
    }
}

#[tokio::test]
async fn loading_the_page_redeems_nothing() {
    let service = Service::shared();
    let (_, created) = create_with(service, json!({ "maxRedemptions": 1 })).await;
    let page = text(&created, "/iframe_url");
    for _ in 0..3 {
        assert_eq!(send(Method::GET, &page, &[], None).await.status, 200);
    }
    assert_eq!(redeem(service, &created).await.status, 200);
}

#[tokio::test]
async fn an_unknown_key_is_not_found() {
    let service = Service::shared();
    let known = text(&create(service, json!({})).await, "/cache_key");
    let (half, swapped) = (&known[..40], known.to_lowercase().replace("ck_", "CK_"));
    for unknown in [half, &swapped, "ck_", "x", &"\u{fc}".repeat(128), &format!(" {known}")] {
        let refused = redeem_from(service, &json!(unknown), &[]).await;
        refused.refused(404, "cache_key_not_found");
    }
    for (malformed, keyword) in
        [(json!(""), "minLength"), (json!("x".repeat(129)), "maxLength"), (json!(7), "type")]
    {
        let refused = redeem_from(service, &malformed, &[]).await;
        refused.refused(400, "invalid_input");
        let violation = &refused.body["details"]["violations"][0];
        assert_eq!(violation["keyword"], keyword, "{}", refused.text);
        assert!(!violation.to_string().contains("xxx"), "a sensitive value is not echoed");
    }
}

#[tokio::test]
async fn a_key_whose_api_key_or_tenant_does_not_work_has_ended() {
    let service = Service::start(|_| {});
    let (id, created) = create_with(&service, json!({})).await;
    set_key(&service, &id, "pause").await;
    redeem(&service, &created).await.refused(410, "cache_key_expired");
    set_key(&service, &id, "resume").await;
    assert_eq!(redeem(&service, &created).await.status, 200);
    revoke_key(&service, &id).await;
    redeem(&service, &created).await.refused(410, "cache_key_expired");
    let (tenant, _) = make_tenant(&service, json!({ "name": "Short-lived" })).await;
    let audit = service.context.audit(&tenant, "test", "source.put", "s");
    service.context.store.put_source(&tenant, "s", audit).await.expect("stored");
    let key = make_key(&service, &tenant, "iframe", json!({})).await;
    let bearer = format!("Bearer {}", key.secret);
    let url = service.url("/api/v1/iframe/create");
    let body = json!({ "uid": "u", "srcs": ["s"] });
    let created = post(&url, &[("authorization", &bearer)], &body).await;
    assert_eq!(redeem(&service, &created).await.status, 200);
    revoke_tenant(&service, &tenant).await;
    redeem(&service, &created).await.refused(410, "cache_key_expired");
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_without_cors_and_uses_nothing_up() {
    let service = Service::shared();
    let (_, created) = create_with(service, json!({ "maxRedemptions": 1 })).await;
    let own = service.base_url.as_str();
    let demo = service.demo.demo.chat.origin.as_str();
    let other_port = own.rsplit_once(':').expect("a port").0.to_owned() + ":1";
    let secure = own.replace("http:", "https:");
    for origin in ["https://evil.example", demo, "null", "", &other_port, &secure] {
        let refused = redeem_from(service, &created.body["cache_key"], &[("origin", origin)]).await;
        refused.refused(403, "origin_not_allowed");
        let cors =
            refused.headers.keys().filter(|name| name.as_str().starts_with("access-control"));
        assert_eq!(cors.count(), 0, "{:?}", refused.headers);
    }
    let redeemed = redeem_from(service, &created.body["cache_key"], &[("origin", own)]).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text);
    assert!(redeemed.header("access-control-allow-origin").is_empty(), "same origin needs none");
}

#[tokio::test]
async fn thirty_calls_of_an_address_pass_at_once_and_one_every_two_seconds() {
    let service = Service::start(|_| {});
    let clock = &service.context.clock;
    clock.hold_at_ms(NOW);
    let created = create(&service, json!({})).await;
    for n in 1..=30 {
        let status = redeem(&service, &created).await.status;
        assert_eq!(status, if n <= 10 { 200 } else { 410 }, "call {n}");
    }
    clock.hold_at_ms(NOW + 500);
    let limited = redeem(&service, &created).await;
    limited.refused(429, "rate_limited");
    assert_eq!(limited.header("retry-after"), "2");
    assert_eq!(limited.header("ratelimit-policy"), "\"redemption\";q=30;w=60");
    assert_eq!(limited.header("ratelimit"), "\"redemption\";r=0;t=60");
    assert_eq!(limited.body["details"]["retry_after_s"], 2);
    clock.hold_at_ms(NOW + 2_000);
    assert_eq!(redeem(&service, &created).await.status, 410, "one came back");
    assert_eq!(redeem(&service, &created).await.status, 429);
    clock.hold_at_ms(NOW + 62_000);
    let created = create(&service, json!({})).await;
    let redeemed = redeem(&service, &created).await;
    let told = (redeemed.header("ratelimit-policy"), redeemed.header("ratelimit"));
    assert_eq!(told, ("\"redemption\";q=30;w=60", "\"redemption\";r=29;t=2"), "all came back");
}

#[tokio::test]
async fn the_token_opens_nothing_of_the_other_surfaces() {
    let service = Service::shared();
    let redeemed = redeem(service, &create(service, json!({})).await).await;
    let token = text(&redeemed, "/access_token");
    get(&service.url("/v1/embed/session"), &token).await.refused(401, "invalid_session_token");
    let tenants = get(&service.url("/api/admin/v1/tenants"), &token).await;
    tenants.refused(401, "invalid_api_key");
    let bearer = format!("Bearer {token}");
    let url = service.url("/api/v1/iframe/create");
    let body = json!({ "uid": "u", "srcs": ["s"] });
    let created = post(&url, &[("authorization", &bearer)], &body).await;
    created.refused(401, "invalid_api_key");
}
