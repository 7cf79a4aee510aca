//! What the embed surface's signature promises, over the wire: one MAC, one window, one use.

use reqwest::{Client, Method};
use serde_json::json;
use vestibule_api::authenticate::windows::EMBED_TIMESTAMP_MS as WINDOW_MS;

use crate::callers::{fresh_timestamp, send_owned};
use crate::keyring::{demo_tenant, embed_key_with, make_key, revoke_key, set_key};
use crate::requests::{Answer, signed};
use crate::service::Service;

/// The golden vector, as the README has it:
/// `printf '%s' "1700000000000.$BODY" | openssl dgst -sha256 -hmac "$SECRET"`
const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NOW: i64 = 1_700_000_000_000;
const BODY: &str = r#"{"employeeId":"64f000000000000000000001","capabilities":["showChatsList"]}"#;
const SIGNATURE: &str = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";

type Headers = [(&'static str, String); 3];

async fn create(service: &Service, headers: &[(&'static str, String)], body: &str) -> Answer {
    let url = service.url("/v1/embed/sessions");
    send_owned(&Client::new(), Method::POST, &url, headers, Some(body.into())).await
}

/// Headers of the demo tenant's read-write key.
fn by_demo(service: &Service, timestamp_ms: i64, body: &str) -> Headers {
    let embed = &service.demo.demo.embed;
    signed(&embed.key, &embed.secret, timestamp_ms, body.as_bytes())
}

fn with(mut headers: Headers, name: &str, value: &str) -> Headers {
    let (_, old) = headers.iter_mut().find(|(known, _)| *known == name).expect("a header");
    *old = value.to_owned();
    headers
}

#[tokio::test]
async fn the_golden_vector_opens_a_session_at_its_time() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    embed_key_with(&service, "yk_golden_vector_0001", SECRET).await;
    let headers = [
        ("x-yolead-key", "yk_golden_vector_0001".to_owned()),
        ("x-yolead-timestamp", NOW.to_string()),
        ("x-yolead-signature", SIGNATURE.to_owned()),
    ];
    let opened = create(&service, &headers, BODY).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(opened.body["data"]["expiresAt"], "2023-11-14T22:28:20.000Z");
}

#[tokio::test]
async fn hex_counts_in_either_case_and_as_one_signature() {
    let service = Service::shared();
    let headers = by_demo(service, fresh_timestamp(), BODY);
    let upper = with(headers.clone(), "x-yolead-signature", &headers[2].1.to_uppercase());
    let opened = create(service, &upper, BODY).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let mixed: String = headers[2]
        .1
        .chars()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => digit.to_ascii_uppercase(),
            _ => digit,
        })
        .collect();
    for again in [headers.clone(), with(headers, "x-yolead-signature", &mixed)] {
        create(service, &again, BODY).await.refused(401, "signature_replayed");
    }
}

#[tokio::test]
async fn each_header_is_needed_exactly_once() {
    let service = Service::shared();
    for leave_out in 0..3 {
        let mut headers = by_demo(service, fresh_timestamp(), BODY).to_vec();
        headers.remove(leave_out);
        create(service, &headers, BODY).await.refused(401, "missing_credentials");
    }
    create(service, &[], BODY).await.refused(401, "missing_credentials");
    for double in 0..3 {
        let mut headers = by_demo(service, fresh_timestamp(), BODY).to_vec();
        headers.push(headers[double].clone());
        create(service, &headers, BODY).await.refused(401, "invalid_signature");
    }
}

#[tokio::test]
async fn a_malformed_timestamp_is_out_of_the_window() {
    let service = Service::shared();
    let now = fresh_timestamp().to_string();
    let cases = [
        String::new(),
        format!("{now}0"),
        now[..12].to_owned(),
        format!("0{}", &now[..12]),
        format!("+{}", &now[..12]),
        format!("-{}", &now[..12]),
        format!("{}.0", &now[..11]),
        "17e11".to_owned(),
        format!("{now} {now}"),
    ];
    for case in cases {
        let headers = with(by_demo(service, fresh_timestamp(), BODY), "x-yolead-timestamp", &case);
        let refused = create(service, &headers, BODY).await;
        refused.refused(401, "timestamp_out_of_window");
        let details = &refused.body["details"];
        assert!(details["server_time_ms"].is_i64(), "{case:?}: {details}");
        assert!(details.get("skew_ms").is_none() && details.get("hint").is_none(), "{details}");
    }
}

#[tokio::test]
async fn ten_digits_get_the_hint_that_milliseconds_are_expected() {
    let service = Service::shared();
    let seconds = (fresh_timestamp() / 1000).to_string();
    let headers = with(by_demo(service, fresh_timestamp(), BODY), "x-yolead-timestamp", &seconds);
    let refused = create(service, &headers, BODY).await;
    refused.refused(401, "timestamp_out_of_window");
    let hint = refused.body["details"]["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("milliseconds"), "{}", refused.text);
}

#[tokio::test]
async fn the_window_is_300000_ms_to_the_millisecond_both_ways() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    for skew in [0, WINDOW_MS, -WINDOW_MS, WINDOW_MS - 1, 1 - WINDOW_MS] {
        let taken = create(&service, &by_demo(&service, NOW - skew, BODY), BODY).await;
        assert_eq!(taken.status, 201, "skew {skew}: {}", taken.text);
    }
    for skew in [300_001, -300_001, 86_400_000, -86_400_000] {
        let refused = create(&service, &by_demo(&service, NOW - skew, BODY), BODY).await;
        refused.refused(401, "timestamp_out_of_window");
        assert_eq!(refused.body["details"], json!({ "server_time_ms": NOW, "skew_ms": skew }));
    }
}

#[tokio::test]
async fn a_replay_is_noticed_for_as_long_as_the_window_would_take_it() {
    let service = Service::start(|_| {});
    let clock = &service.context.clock;
    clock.hold_at_ms(NOW);
    let headers = by_demo(&service, NOW + WINDOW_MS, BODY);
    assert_eq!(create(&service, &headers, BODY).await.status, 201);
    for later in [0, 1, WINDOW_MS, 2 * WINDOW_MS] {
        clock.hold_at_ms(NOW + later);
        create(&service, &headers, BODY).await.refused(401, "signature_replayed");
    }
    clock.hold_at_ms(NOW + 2 * WINDOW_MS + 1);
    create(&service, &headers, BODY).await.refused(401, "timestamp_out_of_window");
}

#[tokio::test]
async fn a_signature_that_opened_nothing_is_not_used_up() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(NOW);
    let embed = &service.demo.demo.embed;
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "embed", json!({ "scope": "read-write" })).await;
    let headers = signed(&key.public, &key.secret, NOW, BODY.as_bytes());
    set_key(&service, &key.id, "pause").await;
    create(&service, &headers, BODY).await.refused(401, "invalid_signature");
    set_key(&service, &key.id, "resume").await;
    assert_eq!(create(&service, &headers, BODY).await.status, 201);
    // The same MAC under another key is another signature, but not a valid one there.
    let foreign = with(headers, "x-yolead-key", &embed.key);
    create(&service, &foreign, BODY).await.refused(401, "invalid_signature");
}

#[tokio::test]
async fn whatever_is_changed_after_signing_is_noticed() {
    let service = Service::shared();
    let edits = [
        BODY.replace("showChatsList", "showChatPage"),
        format!("{BODY} "),
        format!("\n{BODY}"),
        BODY.replace(':', ": "),
        String::new(),
    ];
    for edited in edits {
        let headers = by_demo(service, fresh_timestamp(), BODY);
        create(service, &headers, &edited).await.refused(401, "invalid_signature");
    }
    let headers = by_demo(service, fresh_timestamp(), BODY);
    let later = with(headers.clone(), "x-yolead-timestamp", &(fresh_timestamp() + 1).to_string());
    create(service, &later, BODY).await.refused(401, "invalid_signature");
    let signature = &headers[2].1;
    let flipped = if signature.starts_with('0') { "1" } else { "0" };
    let bad = [
        format!("{flipped}{}", &signature[1..]),
        signature[..62].to_owned(),
        format!("{signature}00"),
        format!("v2={signature}"),
        "g".repeat(64),
        String::new(),
    ];
    for case in bad {
        let headers = with(headers.clone(), "x-yolead-signature", &case);
        create(service, &headers, BODY).await.refused(401, "invalid_signature");
    }
    assert_eq!(create(service, &headers, BODY).await.status, 201, "the original still counts");
}

#[tokio::test]
async fn an_unknown_key_and_a_wrong_secret_cannot_be_told_apart() {
    let service = Service::start(|_| {});
    let (tenant, demo) = (demo_tenant(&service).await, &service.demo.demo);
    let paused = make_key(&service, &tenant, "embed", json!({})).await;
    set_key(&service, &paused.id, "pause").await;
    let revoked = make_key(&service, &tenant, "embed", json!({})).await;
    revoke_key(&service, &revoked.id).await;
    let cases = [
        ("yk_00000000000000000000000000000000", demo.embed.secret.as_str()),
        (demo.embed.key.as_str(), demo.embed.read_secret.as_str()),
        (paused.public.as_str(), paused.secret.as_str()),
        (revoked.public.as_str(), revoked.secret.as_str()),
        (demo.chat.public_key.as_str(), demo.embed.secret.as_str()),
        ("", demo.embed.secret.as_str()),
    ];
    let mut answers = Vec::new();
    for (key, secret) in cases {
        let headers = signed(key, secret, fresh_timestamp(), BODY.as_bytes());
        let mut refused = create(&service, &headers, BODY).await;
        refused.refused(401, "invalid_signature");
        let id = refused.body["request_id"].take();
        assert!(id.as_str().is_some_and(|id| !id.is_empty()));
        for own in ["x-request-id", "date"] {
            refused.headers.remove(own);
        }
        answers.push((refused.headers, refused.body));
    }
    for answer in &answers {
        assert_eq!(answer, &answers[0]);
    }
}

#[tokio::test]
async fn bad_credentials_come_before_a_bad_body_and_after_its_type_and_size() {
    let service = Service::shared();
    let bad = "{\"employeeId\":";
    let forged =
        with(by_demo(service, fresh_timestamp(), bad), "x-yolead-signature", &"0".repeat(64));
    create(service, &forged, bad).await.refused(401, "invalid_signature");
    let genuine = create(service, &by_demo(service, fresh_timestamp(), bad), bad).await;
    genuine.refused(400, "invalid_json");
    let mut typed = forged.to_vec();
    typed.push(("content-type", "text/plain".to_owned()));
    let refused = create(service, &typed, bad).await;
    refused.refused(415, "unsupported_media_type");
}

#[tokio::test]
async fn a_signed_request_from_a_page_is_refused() {
    let service = Service::shared();
    let own = service.base_url.clone();
    for origin in ["https://shop.example", "null", own.as_str()] {
        let mut headers = by_demo(service, fresh_timestamp(), BODY).to_vec();
        headers.push(("origin", origin.to_owned()));
        let refused = create(service, &headers, BODY).await;
        refused.refused(403, "secret_key_in_browser");
        assert!(refused.header("access-control-allow-origin").is_empty());
    }
}
