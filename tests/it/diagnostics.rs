//! Why a session is not opened, and what is wrong with a signature: the answers to both questions,
//! held against what the doors really do.

use serde_json::{Value, json};
use vestibule::domain::signature;

use crate::callers::{admin, text};
use crate::keyring::{demo_tenant, key_id, set_key};
use crate::requests::{Answer, open_chat, open_embed, open_iframe, post};
use crate::service::Service;

const EMPLOYEE: &str = "64f000000000000000000001";

struct Desk {
    service: Service,
    tenant: String,
}

impl Desk {
    async fn new() -> Self {
        let service = Service::start(|_| {});
        let tenant = demo_tenant(&service).await;
        Self { service, tenant }
    }

    async fn key(&self, label: &str) -> String {
        key_id(&self.service, &self.tenant, label).await
    }

    async fn ask(&self, path: &str, body: &Value) -> Answer {
        let bearer = format!("Bearer {}", self.service.demo.demo.iframe.api_key);
        post(&self.service.url(path), &[("authorization", &bearer)], body).await
    }

    async fn explain(&self, key: &str, origin: Option<&str>, request: &Value) -> Value {
        let mut body = json!({ "key_id": key, "request": request.to_string() });
        if let Some(origin) = origin {
            body["origin"] = origin.into();
        }
        let answer = self.ask("/v1/explain/session", &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.body
    }
}

/// The deciding rule, its code and whether a remedy is told; nulls when the request is granted.
fn decision(explained: &Value) -> (Value, Value, bool) {
    let decided_by = &explained["decided_by"];
    let rules = explained["rules"].as_array().expect("rules");
    let failed = rules.iter().find(|rule| rule["rule"] == *decided_by);
    let of = |member: &str| failed.map_or(Value::Null, |rule| rule[member].clone());
    assert_eq!(failed.is_some(), explained["decision"] == "refused", "{explained}");
    (decided_by.clone(), of("code"), of("remedy").is_string())
}

#[tokio::test]
async fn explanation_of_every_surface_agrees_with_its_door() {
    let desk = Desk::new().await;
    let (base, demo) = (&desk.service.base_url, &desk.service.demo.demo);
    let origin = Some(demo.chat.origin.as_str());
    let evil = Some("https://evil.example");
    let sends = json!({ "employeeId": EMPLOYEE, "capabilities": ["showSendInput"] });
    let lists = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let (crm, read) = (desk.key("Demo CRM").await, desk.key("Demo CRM, read only").await);
    for (key, request, expected) in [
        (&crm, &lists, ("", "")),
        (&read, &sends, ("scope", "insufficient_scope")),
        (&crm, &json!({ "employeeId": "short" }), ("request", "invalid_request")),
        (
            &crm,
            &json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatPage"] }),
            ("request", "invalid_request"),
        ),
    ] {
        agree(&desk.explain(key, None, request).await, expected);
        if *key == crm {
            let opened = open_embed(base, demo, request).await;
            assert_eq!(opened.code(), expected.1, "{}", opened.text);
        }
    }

    let widget = desk.key("Demo widget").await;
    let opens = json!({ "publicKey": demo.chat.public_key });
    let unproved = json!({
        "publicKey": demo.chat.public_key, "customerId": "c", "customerToken": "a.b.c",
    });
    for (from, request, expected) in [
        (origin, &opens, ("", "")),
        (evil, &opens, ("origin", "origin_not_allowed")),
        (None, &opens, ("origin", "origin_not_allowed")),
        (origin, &unproved, ("customer", "invalid_customer_token")),
        (evil, &json!({}), ("request", "validation_failed")),
    ] {
        agree(&desk.explain(&widget, from, request).await, expected);
        if from == origin {
            assert_eq!(open_chat(base, demo, request).await.code(), expected.1);
        }
    }

    let analytics = desk.key("Demo analytics").await;
    let source = &demo.iframe.source_ids[0];
    for (request, expected) in [
        (json!({ "uid": "u", "srcs": [source] }), ("", "")),
        (json!({ "uid": "u", "srcs": ["nobody's"] }), ("sources", "unknown_source")),
        (
            json!({ "uid": "u", "srcs": [source], "theme": {}, "theme_id": 1 }),
            ("theme", "theme_conflict"),
        ),
        (json!({ "uid": "u", "srcs": [source], "theme_id": 4711 }), ("theme", "theme_not_found")),
        (json!({ "uid": "", "srcs": [source] }), ("request", "invalid_input")),
    ] {
        agree(&desk.explain(&analytics, None, &request).await, expected);
        assert_eq!(open_iframe(base, demo, &request).await.code(), expected.1);
    }
}

#[track_caller]
fn agree(explained: &Value, (rule, code): (&str, &str)) {
    let (decided_by, told, has_remedy) = decision(explained);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    assert_eq!((text(&decided_by).as_str(), text(&told).as_str()), (rule, code), "{explained}");
    assert_eq!(has_remedy, !rule.is_empty(), "{explained}");
    if rule == "request" && code != "invalid_json" {
        let rules = explained["rules"].as_array().expect("rules");
        let broken = rules.iter().any(|rule| rule["violations"].is_array());
        assert!(broken, "violations are listed: {explained}");
    }
}

#[tokio::test]
async fn keys_that_do_not_work_and_keys_of_others_are_told_apart_by_their_tenant_alone() {
    let desk = Desk::new().await;
    let crm = desk.key("Demo CRM").await;
    set_key(&desk.service, &crm, "pause").await;
    let lists = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let paused = desk.explain(&crm, None, &lists).await;
    agree(&paused, ("key_state", "invalid_signature"));
    assert!(paused.to_string().contains("The key is paused."), "{paused}");
    let made = admin(
        &desk.service,
        reqwest::Method::POST,
        "/tenants",
        Some(json!({ "name": "Stranger" })),
    )
    .await;
    let body = json!({
        "tenantId": text(&made, "/tenant/tenantId"), "kind": "embed", "label": "theirs",
    });
    let theirs = admin(&desk.service, reqwest::Method::POST, "/keys", Some(body)).await;
    let foreign = desk.explain(&text(&theirs, "/key/keyId"), None, &lists).await;
    let unknown = desk.explain(&format!("key_{}", "a".repeat(26)), None, &lists).await;
    agree(&foreign, ("key", "key_not_found"));
    assert_eq!(foreign, unknown, "another tenant's key is as good as none");
}

#[tokio::test]
async fn explaining_opens_nothing_and_says_who_may_frame() {
    let desk = Desk::new().await;
    let crm = desk.key("Demo CRM").await;
    let lists = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let written = || {
        let counts = desk.service.context.store.counts();
        (counts.commits, counts.writes)
    };
    let before = written();
    for (origin, verdict) in [
        (desk.service.demo.demo.chat.origin.as_str(), "passed"),
        ("https://evil.example", "failed"),
    ] {
        let explained = desk.explain(&crm, Some(origin), &lists).await;
        assert_eq!(explained["decision"], "granted", "framing decides nothing at the opening");
        let rules = explained["rules"].as_array().expect("rules");
        let framing = rules.iter().find(|rule| rule["rule"] == "framing").expect("it is told");
        assert_eq!(framing["verdict"], verdict);
    }
    assert_eq!(written(), before, "nothing was written");
    let bodiless = desk.ask("/v1/explain/session", &json!({ "key_id": crm })).await;
    assert_eq!(bodiless.body["decision"], "granted");
    assert_eq!(bodiless.body["rules"][2]["verdict"], "skipped", "{}", bodiless.text);
    let broken = json!({ "key_id": crm, "request": "{\"a\":1,\"a\":2}" });
    let broken = desk.ask("/v1/explain/session", &broken).await;
    agree(&broken.body, ("request", "invalid_json"));
}

#[tokio::test]
async fn signature_is_taken_apart_and_none_is_made() {
    let desk = Desk::new().await;
    let embed = &desk.service.demo.demo.embed;
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] }).to_string();
    let now = desk.service.context.clock.now_ms();
    let secret = embed.test_secret.as_str().into();
    let right = signature::sign(&secret, now, body.as_bytes());
    let asked = |timestamp: i64, signature: &str| {
        json!({
            "key": embed.test_key, "timestamp": timestamp.to_string(),
            "signature": signature, "body": body,
        })
    };
    let fine = desk.ask("/v1/debug/signature", &asked(now, &right)).await;
    assert_eq!((&fine.body["matches"], &fine.body["within_window"]), (&json!(true), &json!(true)));
    assert_eq!(fine.body["string_to_sign"], format!("{now}.{body}"));

    let late = now - 400_000;
    let signed_late = signature::sign(&secret, late, body.as_bytes());
    let stale = desk.ask("/v1/debug/signature", &asked(late, &signed_late)).await;
    assert_eq!(stale.body["within_window"], false, "{}", stale.text);
    assert!(stale.body["skew_ms"].as_i64().is_some_and(|skew| skew >= 400_000), "{}", stale.text);

    let wrong = signature::sign(&"ysk_wrong".into(), now, body.as_bytes());
    let mut question = asked(now, &wrong);
    question["string_to_sign"] = format!("{now}{body}").into();
    let refused = desk.ask("/v1/debug/signature", &question).await;
    assert_eq!(refused.body["matches"], false);
    assert_eq!(refused.body["first_difference"]["offset"], 13, "{}", refused.text);
    assert!(!refused.text.contains(&right), "the right signature is told to nobody");

    let line_end = format!("{}\n", embed.test_secret).as_str().into();
    let mistaken = signature::sign(&line_end, now, body.as_bytes());
    let told = desk.ask("/v1/debug/signature", &asked(now, &mistaken)).await;
    assert!(told.text.contains("line end"), "{}", told.text);
}
