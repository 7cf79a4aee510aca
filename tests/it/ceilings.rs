//! What becomes of openings and messages that a limit refuses: they are foretold, free their
//! idempotency key, and are told to the audit and to webhooks once for each window.

use std::collections::BTreeMap;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::callers::{admin, bearer, send_owned};
use crate::errors::{Callers, operation};
use crate::idempotency::{assert_same, fresh_key, send_under};
use crate::keyring::{Made, demo_tenant, own_key};
use crate::requests::{Answer, fresh_timestamp, open_iframe};
use crate::service::Service;
use crate::usage::usage;
use crate::webhook_deliveries::require_documented;
use crate::webhook_receiver::{Delivered, Receiver};
use crate::webhooks::Endpoint;

const HOUR_MS: i64 = 3_600_000;
const DOORS: [(&str, &str); 3] = [
    ("embed", "embedSessionCreate"),
    ("chat", "chatSessionCreate"),
    ("iframe", "iframeSessionCreate"),
];

/// Callers that open with a key of this kind and these ceilings, and that key.
async fn capped<'a>(service: &'a Service, kind: &str, ceilings: Value) -> (Callers<'a>, Made) {
    let (mut callers, tenant) = (Callers::new(service).await, demo_tenant(service).await);
    let (held, members) = (&mut callers.wallet.tenant, json!({ "ceilings": ceilings }));
    let key = own_key(service, held, &tenant, kind, &members).await;
    (callers, key)
}

async fn open(callers: &Callers<'_>, door: &str) -> Answer {
    callers.send(operation(door), callers.body(operation(door))).await
}

async fn raise(service: &Service, key: &Made, ceilings: Value) {
    let change = Some(json!({ "ceilings": ceilings }));
    let changed = admin(service, Method::PATCH, &format!("/keys/{}", key.id), change).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
}

/// What the demo tenant's own key is told of an opening with another one.
async fn explain(callers: &Callers<'_>, key: &Made, body: Option<Vec<u8>>) -> Value {
    let service = callers.service;
    let mut asked = json!({ "key_id": key.id, "origin": service.demo.demo.chat.origin });
    if let Some(body) = body {
        asked["request"] = String::from_utf8(body).expect("JSON").into();
    }
    let headers = [bearer(&service.demo.demo.iframe.api_key)];
    let (url, body) = (service.url("/v1/explain/session"), asked.to_string().into_bytes());
    let answer = send_owned(&Client::new(), Method::POST, &url, &headers, Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// The finding of the rule on ceilings, when that decides.
fn decided(explained: &Value, code: &str) -> String {
    assert_eq!(explained["decided_by"], "ceilings", "{explained}");
    let rules = explained["rules"].as_array().expect("rules");
    let rule = rules.iter().find(|rule| rule["rule"] == "ceilings").expect("it is told");
    assert_eq!((&rule["verdict"], &rule["code"]), (&json!("failed"), &json!(code)));
    assert!(rule["remedy"].as_str().is_some_and(|it| it.contains("ceilings")), "{rule}");
    rule["finding"].as_str().expect("a text").to_owned()
}

#[tokio::test]
async fn explanation_foretells_what_a_ceiling_refuses_and_uses_none_of_it() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(fresh_timestamp());
    for (kind, door) in DOORS {
        let ceilings = json!({ "sessionsPerDay": 2, "liveSessions": 1 });
        let (callers, key) = capped(&service, kind, ceilings).await;
        let body = || callers.body(operation(door));
        for _ in 0..3 {
            let explained = explain(&callers, &key, body()).await;
            assert_eq!(explained["decision"], "granted", "{kind}: {explained}");
        }
        assert!(open(&callers, door).await.status.is_success(), "{kind}: nothing was counted");
        for asked in [body(), None] {
            let finding = decided(&explain(&callers, &key, asked).await, "limit_exceeded");
            assert!(finding.contains("liveSessions has used 1 of 1"), "{finding}");
            assert!(!finding.contains("sessionsPerDay"), "{finding}");
        }
        open(&callers, door).await.refused(429, "limit_exceeded");
        let broken = explain(&callers, &key, Some(b"{}".to_vec())).await;
        assert_eq!(broken["decided_by"], "request", "what comes first decides: {broken}");
        raise(&service, &key, json!({ "sessionsPerDay": 1 })).await;
        let finding = decided(&explain(&callers, &key, body()).await, "limit_exceeded");
        assert!(finding.contains("sessionsPerDay has used 1 of 1"), "{finding}");
        raise(&service, &key, json!({})).await;
        assert_eq!(explain(&callers, &key, body()).await["decision"], "granted");
        assert!(open(&callers, door).await.status.is_success(), "{kind}: there is none");
    }
}

#[tokio::test]
async fn explanation_foretells_that_a_key_asks_too_often() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(fresh_timestamp());
    let (callers, key) = capped(&service, "iframe", json!({ "requestsPerMinute": 2 })).await;
    let door = operation("iframeSessionCreate");
    for _ in 0..2 {
        for _ in 0..3 {
            let explained = explain(&callers, &key, callers.body(door)).await;
            assert_eq!(explained["decision"], "granted", "{explained}");
        }
        assert_eq!(open(&callers, door.id).await.status, 200);
    }
    let finding = decided(&explain(&callers, &key, callers.body(door)).await, "rate_limited");
    assert!(finding.contains("the next in 30 s"), "{finding}");
    open(&callers, door.id).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn what_a_ceiling_refuses_frees_its_idempotency_key() {
    let service = Service::start(|_| {});
    // The day does not end here.
    service.context.clock.hold_at_ms(fresh_timestamp());
    for (kind, door) in DOORS {
        let (callers, key) = capped(&service, kind, json!({ "sessionsPerDay": 1 })).await;
        let (door, token) = (operation(door), fresh_key());
        assert!(open(&callers, door.id).await.status.is_success());
        let body = callers.body(door);
        let send = async || send_under(&callers, door, &token, body.clone()).await;
        for _ in 0..2 {
            send().await.refused(429, "limit_exceeded");
        }
        raise(&service, &key, json!({ "sessionsPerDay": 2 })).await;
        let info = door.idempotency.as_ref().expect("it takes a key");
        let opened = send().await;
        assert!(opened.status.is_success(), "{kind}: {}", opened.text);
        assert_eq!(opened.header(info.replayed), "", "{kind}: it took effect");
        assert_same(&opened, &send().await, info);
        open(&callers, door.id).await.refused(429, "limit_exceeded");
    }
}

/// Subject and limit of each event, and how often it came.
fn events(delivered: &[Delivered]) -> BTreeMap<(String, String), usize> {
    let mut events = BTreeMap::new();
    for it in delivered.iter().filter(|it| it.event() == "limit.exceeded") {
        require_documented(it);
        let data = &it.json()["data"];
        let told = ["subject", "limit"].map(|name| data[name].as_str().expect("told").to_owned());
        *events.entry(told.into()).or_default() += 1;
    }
    events
}

#[tokio::test]
async fn an_exceeded_limit_is_told_once_for_its_subject_and_window() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(fresh_timestamp());
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["limit.exceeded"]).await;
    let demo = &service.demo.demo;
    let limit = async |uid: &str, limits: Value| {
        let body = json!({ "uid": uid, "srcs": demo.iframe.source_ids, "limits": limits });
        assert_eq!(open_iframe(&service.base_url, demo, &body).await.status, 200);
    };
    let count =
        async |uid: &str| usage(&service, demo, Method::POST, &format!("/{uid}/messages")).await;
    limit("anna@example.com", json!({ "hourly": 1, "daily": 1 })).await;
    limit("ben", json!({ "hourly": 0 })).await;
    assert_eq!(count("anna@example.com").await.status, 201);
    let ceilings = json!({ "sessionsPerDay": 1, "liveSessions": 1 });
    let (callers, key) = capped(&service, "embed", ceilings).await;
    assert_eq!(open(&callers, "embedSessionCreate").await.status, 201);
    for _ in 0..5 {
        count("anna@example.com").await.refused(429, "limit_exceeded");
        count("ben").await.refused(429, "limit_exceeded");
        open(&callers, "embedSessionCreate").await.refused(429, "limit_exceeded");
    }
    let once = |subject: &str, limit: &str| ((subject.to_owned(), limit.to_owned()), 1);
    let mut expected = BTreeMap::from([
        once("uid:anna@example.com", "hourly"),
        once("uid:anna@example.com", "daily"),
        once("uid:ben", "hourly"),
        once(&key.id, "sessionsPerDay"),
        once(&key.id, "liveSessions"),
    ]);
    // A moved clock ends the leases of what is under way, which is sent again then.
    endpoint.settled(&service, 5).await;
    let delivered = receiver.all();
    delivered.iter().for_each(|it| it.verify(&endpoint.secret));
    assert_eq!(events(&delivered), expected);

    let now = service.context.clock.now_ms();
    service.context.clock.hold_at_ms(now + HOUR_MS);
    for _ in 0..3 {
        count("ben").await.refused(429, "limit_exceeded");
    }
    expected.insert(("uid:ben".to_owned(), "hourly".to_owned()), 2);
    // What was queued before it was sent before it.
    endpoint.post(&service, "test", None).await;
    let delivered = receiver.wait_for(7).await;
    assert_eq!(events(&delivered), expected, "a new window");
    assert_eq!(delivered.len(), 7);
    assert!(receiver.copies().values().all(|count| *count == 1), "{:?}", receiver.copies());

    let path = format!("/audit?tenantId={tenant}&action=limit.exceed");
    let told = admin(&service, Method::GET, &path, None).await;
    assert_eq!(told.body["items"].as_array().map(Vec::len), Some(6), "{}", told.text);
    assert!(!told.text.contains("anna@"), "the audit names nobody");
}
