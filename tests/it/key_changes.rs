//! Keys that change: what is given and nothing else, at once, and every refusal by its pointer.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{admin, bearer, text};
use crate::keyring::{demo_tenant, make_key, make_tenant, open_with, revoke_key, set_key};
use crate::requests::{Answer, get, post, send};
use crate::service::Service;

async fn change(service: &Service, id: &str, body: Value) -> Answer {
    admin(service, Method::PATCH, &format!("/keys/{id}"), Some(body)).await
}

async fn read(service: &Service, id: &str) -> Value {
    let read = admin(service, Method::GET, &format!("/keys/{id}"), None).await;
    assert_eq!(read.status, 200, "{}", read.text);
    read.body
}

fn broken(answer: &Answer) -> Vec<(String, String)> {
    answer.refused(400, "invalid_input");
    answer.violations().into_iter().map(|(_, at, keyword)| (at, keyword)).collect()
}

fn one(pointer: &str, keyword: &str) -> Vec<(String, String)> {
    vec![(pointer.to_owned(), keyword.to_owned())]
}

#[tokio::test]
async fn only_the_given_members_of_a_key_change() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let settings = json!({
        "allowedIntents": ["track_order"], "allowedOrigins": ["https://a.example"],
        "identity": "optional", "idleTimeoutSeconds": 90, "maxLifetimeSeconds": 3600,
        "ceilings": { "liveSessions": 5, "sessionsPerDay": 9 },
    });
    let key = make_key(service, &tenant, "chat", settings).await;
    let mut expected = read(service, &key.id).await;
    let steps = [
        json!({ "label": "Renamed" }),
        json!({ "allowedOrigins": [] }),
        json!({ "identity": "required", "allowNoOrigin": true }),
        json!({ "allowedIntents": [] }),
        json!({ "idleTimeoutSeconds": 120 }),
        json!({ "ceilings": { "requestsPerMinute": 7 } }),
        json!({}),
    ];
    for step in steps {
        for (name, value) in step.as_object().expect("members") {
            expected[name] = value.clone();
        }
        let changed = change(service, &key.id, step.clone()).await;
        assert_eq!((changed.status.as_u16(), &changed.body), (200, &expected), "{step}");
        assert_eq!(read(service, &key.id).await, expected, "{step}");
    }
    let gone = json!({ "idleTimeoutSeconds": null, "maxLifetimeSeconds": null, "ceilings": {} });
    let gone = change(service, &key.id, gone).await;
    for name in ["idleTimeoutSeconds", "maxLifetimeSeconds", "ceilings"] {
        assert!(gone.body.get(name).is_none(), "{}", gone.text);
    }
    let all = change(service, &key.id, json!({ "allowsAllIntents": true })).await;
    assert_eq!(all.body["allowsAllIntents"], true, "{}", all.text);
    assert!(all.body.get("allowedIntents").is_none(), "{}", all.text);
}

#[tokio::test]
async fn changes_that_do_not_fit_are_refused_and_change_nothing() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let all = json!({ "allowsAllIntents": true });
    let chat = make_key(service, &tenant, "chat", all).await;
    let embed = make_key(service, &tenant, "embed", json!({})).await;
    let iframe = make_key(service, &tenant, "iframe", json!({})).await;
    let before = [&chat, &embed, &iframe].map(|key| key.id.clone());
    let cases = [
        (
            &embed,
            json!({ "label": "x", "identity": "off" }),
            one("/identity", "additionalProperties"),
        ),
        (&chat, json!({ "scope": "read" }), one("/scope", "additionalProperties")),
        (&chat, json!({ "maxRedemptions": 2 }), one("/maxRedemptions", "additionalProperties")),
        (
            &chat,
            json!({ "redemptionMode": "single" }),
            one("/redemptionMode", "additionalProperties"),
        ),
        (&chat, json!({ "allowsAllIntents": false }), one("/allowedIntents", "required")),
        (
            &chat,
            json!({ "allowsAllIntents": true, "allowedIntents": [] }),
            one("/allowsAllIntents", "not"),
        ),
        (
            &iframe,
            json!({ "redemptionMode": "single", "maxRedemptions": 2 }),
            one("/redemptionMode", "not"),
        ),
        (
            &embed,
            json!({ "allowedOrigins": ["https://*.co.uk"] }),
            one("/allowedOrigins/0", "pattern"),
        ),
        (&embed, json!({ "label": "" }), one("/label", "minLength")),
        (&embed, json!({ "label": null }), one("/label", "type")),
        (&embed, json!({ "mode": "test" }), one("/mode", "additionalProperties")),
        (&embed, json!({ "idleTimeoutSeconds": 59 }), one("/idleTimeoutSeconds", "minimum")),
        (
            &embed,
            json!({ "ceilings": { "liveSessions": 0 } }),
            one("/ceilings/liveSessions", "minimum"),
        ),
    ];
    for (key, body, expected) in cases {
        let old = read(service, &key.id).await;
        assert_eq!(broken(&change(service, &key.id, body.clone()).await), expected, "{body}");
        assert_eq!(read(service, &key.id).await, old, "{body}");
    }
    for id in before {
        assert_eq!(revoke_key(service, &id).await.status, 204);
        let refused = change(service, &id, json!({ "label": "x" })).await;
        refused.refused(404, "key_not_found");
        assert_eq!(read(service, &id).await["state"], "revoked", "it can still be read");
    }
}

#[tokio::test]
async fn a_change_holds_at_once_where_it_was_made() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "embed", json!({})).await;
    let body =
        json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showSendInput"] });
    let open = async || open_with(&service, &key.public, &key.secret, &body).await;
    open().await.refused(403, "insufficient_scope");
    change(&service, &key.id, json!({ "scope": "read-write" })).await;
    assert_eq!(open().await.status, 201);
    change(&service, &key.id, json!({ "scope": "read" })).await;
    open().await.refused(403, "insufficient_scope");
}

/// The contract of a pause: the sessions of the key end at once here, and come back.
#[tokio::test]
async fn a_paused_key_ends_its_sessions_at_once_where_it_was_paused() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "embed", json!({})).await;
    let body =
        json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] });
    let opened = open_with(&service, &key.public, &key.secret, &body).await;
    let (url, token) = (service.url("/v1/embed/session"), text(&opened, "/data/embedToken"));
    assert_eq!(get(&url, &token).await.status, 200);
    set_key(&service, &key.id, "pause").await;
    get(&url, &token).await.refused(401, "token_revoked");
    set_key(&service, &key.id, "resume").await;
    assert_eq!(get(&url, &token).await.status, 200);
    revoke_key(&service, &key.id).await;
    get(&url, &token).await.refused(401, "token_revoked");
}

#[tokio::test]
async fn last_use_and_origins_are_seen_where_a_key_was_accepted() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Seen" })).await;
    let pattern = json!({
        "allowsAllIntents": true, "allowedOrigins": ["https://*.acme.com", "https://acme.com"],
    });
    let chat = make_key(&service, &tenant, "chat", pattern).await;
    let iframe = make_key(&service, &tenant, "iframe", json!({})).await;
    let unused = read(&service, &chat.id).await;
    assert!(unused.get("lastUsedAt").is_none(), "{unused}");
    assert_eq!(unused["originsSeen"], json!({ "count": 0, "first": [] }));
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": chat.public });
    let from = async |origin: &str| post(&url, &[("origin", origin)], &body).await;
    from("https://evil.example").await.refused(403, "origin_not_allowed");
    assert!(read(&service, &chat.id).await.get("lastUsedAt").is_none(), "refused is not used");
    let opened = from("https://acme.com").await;
    service.context.clock.set_offset_ms(1000);
    from("https://a.acme.com").await;
    let seen = read(&service, &chat.id).await;
    let first = ["https://acme.com", "https://a.acme.com"];
    assert_eq!(seen["originsSeen"], json!({ "count": 2, "first": first }), "{seen}");
    assert!(seen["lastUsedAt"].is_string() && seen["lastUsedAt"] != seen["createdAt"], "{seen}");
    // A token counts as its key, with its page's origin.
    let conversation = service.url("/api/public/v1/chat/conversation");
    let (name, token) = bearer(&text(&opened, "/sessionToken"));
    let headers = [(name, token.as_str()), ("origin", "https://b.acme.com")];
    assert_eq!(send(Method::GET, &conversation, &headers, None).await.status, 200);
    assert_eq!(read(&service, &chat.id).await["originsSeen"]["count"], 3);
    let unused = read(&service, &iframe.id).await;
    assert!(unused.get("lastUsedAt").is_none() && unused.get("originsSeen").is_none());
}

/// Ten are listed, a hundred are counted, and no more rows are kept than that and a batch.
#[tokio::test]
async fn origins_are_counted_to_a_hundred_in_bounded_rows() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Seen by many" })).await;
    let pattern = json!({ "allowsAllIntents": true, "allowedOrigins": ["https://*.acme.com"] });
    let chat = make_key(&service, &tenant, "chat", pattern).await;
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": chat.public });
    let commits = service.context.store.counts().commits;
    for round in 0..15 {
        for n in 0..8 {
            let origin = format!("https://p{}.acme.com", round * 8 + n);
            assert_eq!(post(&url, &[("origin", &origin)], &body).await.status, 200);
        }
        service.context.key_uses.flush(&service.context.store).await.expect("writes");
    }
    let written = service.context.store.counts().commits - commits;
    assert!(written <= 15 * 9, "one write for each session and each batch: {written}");
    let seen = read(&service, &chat.id).await;
    assert_eq!(seen["originsSeen"]["count"], 100, "{seen}");
    let listed = seen["originsSeen"]["first"].as_array().expect("a list");
    assert_eq!((listed.len(), &listed[0]), (10, &json!("https://p0.acme.com")));
    let kept = service.context.store.key_use(&chat.id).await.expect("reads");
    assert!(kept.origins.len() <= 108, "{}", kept.origins.len());
}
