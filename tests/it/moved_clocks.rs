//! Time tried out as an integrator does, over the wire, by moving the clock of test keys: where
//! expiries, windows and overlaps begin and end.

use reqwest::Method;
use serde_json::{Value, json};
use vestibule::limiter::{Mode, Rate};

use crate::callers::{Sent, admin, bearer, send_owned, signed_v2, text};
use crate::requests::{Answer, get, post, signed};
use crate::service::Service;
use crate::test_keys::{CLOCK, EMPLOYEE, HOUR, MINUTE, TestKeys, ahead};
use crate::usage::usage;

const SECOND: i64 = 1000;

async fn testers(service: &Service) -> (TestKeys<'_>, i64) {
    (TestKeys::of_demo(service, json!({})).await, ahead(service))
}

/// The id of an embed token's session.
async fn sid(keys: &TestKeys<'_>, token: &str, at: i64) -> String {
    text(&keys.read_embed(token, at).await, "/data/sessionId")
}

async fn renew(keys: &TestKeys<'_>, sid: &str, at: i64) -> Answer {
    keys.manage(Method::POST, &format!("/v1/sessions/{sid}/renew"), at, None).await
}

async fn is_active(keys: &TestKeys<'_>, token: &str, at: i64) -> bool {
    let asked =
        keys.manage(Method::POST, "/v1/tokens/introspect", at, Some(json!({ "token": token })));
    asked.await.body["active"] == true
}

#[tokio::test]
async fn an_embed_token_ends_to_the_second() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let token = keys.embed_token(at).await;
    let end = at + 15 * MINUTE;
    for (at, left) in [(at, 900), (end - SECOND, 1), (end - 1, 1)] {
        let read = keys.read_embed(&token, at).await;
        assert_eq!(read.body["data"]["expiresIn"], left, "{}", read.text);
        assert!(is_active(&keys, &token, at).await);
    }
    let over = keys.read_embed(&token, end).await;
    over.refused(401, "token_expired");
    assert_eq!(over.body["details"], json!({ "server_time_ms": end, "skew_ms": 0 }));
    assert!(!is_active(&keys, &token, end).await);
    // By the service's own time it has not begun.
    let url = service.url("/v1/embed/session");
    get(&url, &token).await.refused(401, "invalid_session_token");
}

#[tokio::test]
async fn a_chat_token_ends_to_the_second_and_is_refreshed_before() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let opened = keys.open_chat(at, json!({})).await;
    assert_eq!(opened.body["expiresIn"], 3600, "{}", opened.text);
    let (first, end) = (text(&opened, "/sessionToken"), at + HOUR);
    let read = async |token: &str, at| keys.chat(Method::GET, "/conversation", token, at).await;
    assert_eq!(read(&first, end - 1).await.body["expiresIn"], 1);
    read(&first, end).await.refused(401, "token_expired");
    let refreshed_at = at + 50 * MINUTE;
    let refreshed = keys.chat(Method::POST, "/sessions/refresh", &first, refreshed_at).await;
    let second = text(&refreshed, "/sessionToken");
    assert_eq!(refreshed.body["expiresIn"], 3600, "{}", refreshed.text);
    let overlap = refreshed_at + 30 * SECOND;
    assert_eq!(read(&first, overlap - 1).await.status, 200);
    read(&first, overlap).await.refused(401, "invalid_session_token");
    assert_eq!(read(&second, refreshed_at + HOUR - 1).await.status, 200);
    read(&second, refreshed_at + HOUR).await.refused(401, "token_expired");
    let ended = keys.chat(Method::DELETE, "/sessions/current", &second, overlap).await;
    assert_eq!(ended.status, 204, "{}", ended.text);
    assert_eq!(read(&second, overlap - 1).await.status, 200, "it ended later");
    read(&second, overlap).await.refused(401, "token_revoked");
}

#[tokio::test]
async fn a_test_customer_continues_nobodys_conversation() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let proof = |exp: i64| crate::chat_customers::proof_until(&service, "c-1", exp / SECOND);
    let mut seen = Vec::new();
    for _ in 0..2 {
        let customer = json!({ "customerId": "c-1", "customerToken": proof(at + SECOND) });
        let opened = keys.open_chat(at, customer).await;
        seen.push(text(&opened, "/conversationId"));
    }
    assert_ne!(seen[0], seen[1]);
    let late = json!({ "customerId": "c-1", "customerToken": proof(at) });
    keys.open_chat(at, late).await.refused(401, "invalid_customer_token");
}

#[tokio::test]
async fn a_cache_key_is_redeemed_until_its_end_and_once() {
    let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let (mut keys, at) = testers(&service).await;
    let opened = keys.open_iframe(at, json!({ "ttl": 600 })).await;
    let (key, end) = (text(&opened, "/cache_key"), at + 600 * SECOND);
    let redeemed = keys.redeem(&key, end - 1).await;
    assert_eq!(redeemed.body["expires_in"], 1, "{}", redeemed.text);
    let token = text(&redeemed, "/access_token");
    assert!(is_active(&keys, &token, end - 1).await && !is_active(&keys, &token, end).await);
    keys.redeem(&key, end).await.refused(410, "cache_key_expired");
    // By the service's own time there is no such session yet.
    let url = service.url("/api/v1/iframe/token");
    post(&url, &[], &json!({ "cache_key": key })).await.refused(404, "cache_key_not_found");
    let once = json!({ "mode": "test", "redemptionMode": "single" });
    keys.iframe = crate::keyring::make_key(&service, &keys.tenant_id, "iframe", once).await;
    let key = text(&keys.open_iframe(at, json!({})).await, "/cache_key");
    assert_eq!(keys.redeem(&key, at).await.status, 200);
    keys.redeem(&key, at).await.refused(410, "cache_key_used");
}

#[tokio::test]
async fn a_signature_is_taken_to_the_edges_of_its_window_and_once() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let window = 5 * MINUTE;
    for skew in [-window, window] {
        let opened = keys.open_embed_signed(at, at + skew).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        keys.open_embed_signed(at, at + skew).await.refused(401, "signature_replayed");
    }
    for skew in [-window - 1, window + 1] {
        let refused = keys.open_embed_signed(at, at + skew).await;
        refused.refused(401, "timestamp_out_of_window");
        let told = json!({ "server_time_ms": at, "skew_ms": -skew });
        assert_eq!(refused.body["details"], told);
    }
    // Version 2 of the signature, of a request that the clock is moved around.
    let path = "/v1/sessions";
    let sent = Sent { method: "GET", target: path, body: b"" };
    let headers = signed_v2(&keys.embed.public, &keys.embed.secret, at, &sent).to_vec();
    let call = async |clock: i64| keys.send(Method::GET, path, clock, headers.clone(), None).await;
    for clock in [at - window - 1, at + window + 1] {
        call(clock).await.refused(401, "timestamp_out_of_window");
    }
    assert_eq!(call(at + window).await.status, 200);
    call(at - window).await.refused(401, "signature_replayed");
}

#[tokio::test]
async fn a_renewed_session_overlaps_for_thirty_seconds_and_ends_after_twelve_hours() {
    let service = Service::start(|_| {});
    let (keys, opened) = testers(&service).await;
    let first = keys.embed_token(opened).await;
    let sid = sid(&keys, &first, opened).await;
    let (mut at, mut token) = (opened, first);
    while at < opened + 12 * HOUR - 14 * MINUTE {
        at += 14 * MINUTE;
        let renewed = renew(&keys, &sid, at).await;
        let before = std::mem::replace(&mut token, text(&renewed, "/token"));
        assert_eq!(keys.read_embed(&before, at + 30 * SECOND - 1).await.status, 200);
        keys.read_embed(&before, at + 30 * SECOND).await.refused(401, "invalid_session_token");
    }
    let end = opened + 12 * HOUR;
    let renewed = renew(&keys, &sid, end - MINUTE).await;
    assert_eq!(renewed.body["expires_in"], 60, "{}", renewed.text);
    let last = text(&renewed, "/token");
    assert_eq!(keys.read_embed(&last, end - 1).await.status, 200);
    keys.read_embed(&last, end).await.refused(401, "token_expired");
    renew(&keys, &sid, end).await.refused(409, "session_ended");
}

#[tokio::test]
async fn a_session_without_use_ends_and_one_in_use_lives_on() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({ "idleTimeoutSeconds": 100 })).await;
    let at = ahead(&service);
    // A quarter and five seconds of grace are documented with the key's setting.
    let grace = 130 * SECOND;
    let (unused, used) = (keys.embed_token(at).await, keys.embed_token(at).await);
    assert_eq!(keys.read_embed(&used, at + grace - 1).await.status, 200);
    keys.read_embed(&unused, at + grace).await.refused(401, "token_expired");
    // What was used a moment ago is written in a moment.
    service.context.store.write_uses().await.expect("written");
    let last = at + grace - 1;
    assert_eq!(keys.read_embed(&used, last + 24 * SECOND).await.status, 200);
    keys.read_embed(&used, last + grace).await.refused(401, "token_expired");
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let body = json!({ "uid": "tester", "srcs": [keys.live.iframe.source_ids[0]] });
    let create = async |at: i64| {
        let headers =
            vec![bearer(&keys.iframe.secret), ("idempotency-key", "of-a-tester".to_owned())];
        keys.send(Method::POST, "/api/v1/iframe/create", at, headers, Some(body.clone())).await
    };
    let first = create(at).await;
    assert_eq!(first.status, 200, "{}", first.text);
    for (later, is_same) in [(24 * HOUR - 1, true), (24 * HOUR, false)] {
        let again = create(at + later).await;
        assert_eq!(again.text == first.text, is_same, "{later}");
        assert_eq!(again.header("idempotent-replayed") == "true", is_same, "{later}");
    }
}

#[tokio::test]
async fn a_secret_signs_until_its_overlap_ends() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(1_778_241_600_000);
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let rotated = service.context.clock.now_ms();
    for id in [&keys.embed.id, &keys.iframe.id] {
        let body = json!({ "overlapSeconds": 3600 });
        let told = admin(&service, Method::POST, &format!("/keys/{id}/rotate"), Some(body)).await;
        assert_eq!(told.status, 200, "{}", told.text);
    }
    let end = rotated + HOUR;
    assert_eq!(keys.open_embed_signed(end - 1, end - 1).await.status, 201);
    keys.open_embed_signed(end, end).await.refused(401, "invalid_signature");
    assert_eq!(keys.open_iframe(end - 1, json!({})).await.status, 200);
    keys.open_iframe(end, json!({})).await.refused(401, "invalid_api_key");
}

#[tokio::test]
async fn many_sessions_end_by_when_they_were_opened_with_time_to_sign_in_again() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let (early, late) = (keys.embed_token(at).await, keys.embed_token(at + MINUTE).await);
    let before: Value = serde_json::to_value(vestibule_runtime::Timestamp(at + 1)).expect("a text");
    let body = json!({
        "targets": [format!("employee:{EMPLOYEE}"), format!("key:{}", keys.embed.id)],
        "issued_before": before, "reauth_margin_s": 60,
    });
    let asked = at + 2 * MINUTE;
    let ended = keys.manage(Method::POST, "/v1/sessions:revoke", asked, Some(body)).await;
    assert_eq!(ended.body, json!({ "revoked": 1, "not_revocable": 0 }), "{}", ended.text);
    assert_eq!(keys.read_embed(&early, asked + MINUTE - 1).await.status, 200);
    keys.read_embed(&early, asked + MINUTE).await.refused(401, "token_revoked");
    assert_eq!(keys.read_embed(&late, asked + MINUTE).await.status, 200);
}

#[tokio::test]
async fn a_signature_is_judged_by_the_clock_of_the_question() {
    let service = Service::start(|_| {});
    let (keys, at) = testers(&service).await;
    let [(_, key), (_, timestamp), (_, signature)] =
        signed(&keys.embed.public, &keys.embed.secret, at, b"{}");
    let body = json!({ "key": key, "timestamp": timestamp, "signature": signature, "body": "{}" });
    let url = service.url("/v1/debug/signature");
    let client = reqwest::Client::new();
    for (clock, is_within) in [(Some(at), true), (None, false)] {
        let mut headers = vec![bearer(&keys.iframe.secret)];
        headers.extend(clock.map(|at| (CLOCK, at.to_string())));
        let told = send_owned(&client, Method::POST, &url, &headers, Some(body.to_string().into()));
        let told = told.await;
        assert_eq!(
            (&told.body["matches"], &told.body["within_window"]),
            (&json!(true), &json!(is_within))
        );
    }
}

#[tokio::test]
async fn quota_windows_begin_anew_and_take_back_and_are_apart_from_live_ones() {
    let service = Service::start(|_| {});
    let (keys, now) = testers(&service).await;
    // Half past in some hour to come: the hour ends in half an hour, whatever the day.
    let at = (now / HOUR + 1) * HOUR + HOUR / 2;
    let of_tests = async |method: Method, path: &str, at: i64| {
        let path = format!("/api/v1/usage/tester{path}");
        keys.manage(method, &path, at, None).await
    };
    let opened = keys.open_iframe(at, json!({ "limits": { "hourly": 1, "monthly": 3 } })).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let redeemed = keys.redeem(&text(&opened, "/cache_key"), at).await;
    assert_eq!(redeemed.body["limits"], json!({ "hourly": 1, "monthly": 3 }));
    let first = of_tests(Method::POST, "/messages", at).await;
    assert_eq!(first.body["usage"]["hourly"]["remaining"], 0, "{}", first.text);
    let full = of_tests(Method::POST, "/messages", at + HOUR / 2 - 1).await;
    full.refused(429, "limit_exceeded");
    assert_eq!(full.header("retry-after"), "1", "the hour ends in a millisecond");
    assert_eq!(of_tests(Method::POST, "/messages", at + HOUR / 2).await.status, 201);
    let refund = format!("/messages/{}", text(&first, "/message_id"));
    assert_eq!(of_tests(Method::DELETE, &refund, at + HOUR).await.status, 204);
    let read = of_tests(Method::GET, "", at + HOUR / 2).await;
    let windows = [&read.body["hourly"]["used"], &read.body["monthly"]["used"]];
    assert_eq!(windows, [1, 1], "taken back from the month, not from the later hour");
    // Forty days hold the end of any month: the next one has counted nothing.
    let later = at + 39 * 24 * HOUR;
    let read = of_tests(Method::GET, "", later).await;
    assert_eq!(read.body["monthly"]["used"], 0, "{}", read.text);
    // Live keys know nothing of it: neither limits nor messages nor windows that have not begun.
    let live = async |method: Method, path: &str| usage(&service, &keys.live, method, path).await;
    let read = live(Method::GET, "/tester").await;
    assert!(read.body["hourly"].get("limit").is_none(), "{}", read.text);
    assert_eq!(read.body["monthly"]["used"], 0, "{}", read.text);
    let refused = live(Method::DELETE, &format!("/tester{refund}")).await;
    refused.refused(404, "message_not_found");
    let listed = live(Method::GET, "").await;
    assert_eq!(listed.body["items"], json!([]), "{}", listed.text);
}

#[tokio::test]
async fn a_day_of_a_keys_ceiling_ends_at_midnight() {
    let service = Service::start(|_| {});
    let ceilings = json!({ "ceilings": { "sessionsPerDay": 1 } });
    let keys = TestKeys::of_demo(&service, ceilings).await;
    let midnight = (ahead(&service) / (24 * HOUR) + 2) * 24 * HOUR;
    for (at, status) in [(midnight - 2, 200), (midnight - 1, 429), (midnight, 200)] {
        let opened = keys.open_iframe(at, json!({})).await;
        assert_eq!(opened.status, status, "{}", opened.text);
    }
}

/// Edge limits share their cells: a key that moves its clock must not move theirs.
#[tokio::test]
async fn the_limits_at_the_edge_go_by_the_services_own_time() {
    let service = Service::start(|config| {
        config.limits.edge_mode = Mode::Enforce;
        config.limits.key = Rate { per_minute: 60, burst: 3 };
    });
    let (keys, at) = testers(&service).await;
    service.context.clock.hold_at_ms(service.context.clock.now_ms());
    let ask = async |at: i64| keys.manage(Method::GET, "/v1/sessions", at, None).await.status;
    for hours in 0..3 {
        assert_eq!(ask(at + hours * HOUR).await, 200);
    }
    assert_eq!(ask(at + 3 * HOUR).await, 429, "no hour has passed");
}
