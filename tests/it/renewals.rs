//! Renewing sessions of all surfaces: same session, new token, within bounds; and every refusal.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::text;
use crate::keyring::{revoke_key, set_key};
use crate::lifecycle::{Backend, SURFACES, at};
use crate::refused_renewals::{self, change_key};
use crate::requests::Answer;
use crate::service::Service;

fn renewed(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.header("cache-control"), "no-store");
    text(answer, "/token")
}

async fn is_active(backend: &Backend<'_>, token: &str) -> bool {
    backend.introspect(token).await.body["active"] == true
}

#[tokio::test]
async fn a_renewal_gives_the_same_session_a_new_token_and_a_new_expiry() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    for (surface, lifetime) in [("embed", 900), ("chat", 3600), ("iframe", 900)] {
        at(&service, 0);
        let opened = backend.open(surface).await;
        let before = backend.introspect(&opened.token).await.body;
        at(&service, 600);
        let answer = backend.renew(&opened.sid).await;
        let token = renewed(&answer);
        assert_eq!(
            (&answer.body["sid"], &answer.body["surface"]),
            (&before["sid"], &surface.into())
        );
        assert_eq!(answer.body["expires_in"], lifetime);
        let after = backend.introspect(&token).await.body;
        assert_eq!(after["sid"], before["sid"]);
        assert_ne!(after["jti"], before["jti"]);
        let seconds = |told: &Value, name: &str| told[name].as_i64().expect("seconds");
        let later = seconds(&after, "exp") - seconds(&before, "exp");
        assert!((600..=602).contains(&later), "{surface}: {later}");
        assert_eq!(seconds(&after, "exp") - seconds(&after, "iat"), lifetime);
        let session = backend.read(&opened.sid).await.body;
        assert!(session["renewed_at"].is_string() && session["state"] == "live", "{session}");
        if surface != "iframe" {
            assert_eq!(backend.use_token(&token).await.status, 200, "{surface}");
        }
    }
}

#[tokio::test]
async fn the_token_before_is_valid_for_thirty_seconds_more() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    for surface in SURFACES {
        let start = service.context.clock.now_ms();
        let hold = |later_ms: i64| service.context.clock.hold_at_ms(start + later_ms);
        hold(0);
        let opened = backend.open(surface).await;
        hold(1_000);
        let new = renewed(&backend.renew(&opened.sid).await);
        hold(30_999);
        let told = backend.introspect(&opened.token).await.body;
        assert_eq!(told["active"], true, "{surface}");
        assert_eq!(told["exp"], (start + 31_000).div_euclid(1000), "it says when it is over");
        if surface != "iframe" {
            assert_eq!(backend.use_token(&opened.token).await.status, 200);
        }
        hold(31_000);
        assert!(!is_active(&backend, &opened.token).await && is_active(&backend, &new).await);
        if surface != "iframe" {
            backend.use_token(&opened.token).await.refused(401, "invalid_session_token");
            assert_eq!(backend.use_token(&new).await.status, 200);
        }
        service.context.clock.hold_at_ms(0);
    }
}

#[tokio::test]
async fn a_revocation_ends_the_new_token_and_the_one_before() {
    let service = Service::shared();
    let backend = Backend::demo(service);
    for surface in SURFACES {
        let opened = backend.open(surface).await;
        let new = renewed(&backend.renew(&opened.sid).await);
        backend.end(&opened.sid).await;
        assert!(!is_active(&backend, &opened.token).await && !is_active(&backend, &new).await);
        let ended = backend.renew(&opened.sid).await;
        ended.refused(409, "session_ended");
        assert_eq!(ended.body["details"]["state"], "revoked");
        let foreign = Backend::other(service).renew(&opened.sid).await;
        foreign.refused(404, "session_not_found");
    }
}

#[tokio::test]
async fn close_to_the_end_a_renewal_gives_the_remainder_and_beyond_it_none() {
    let service = Service::start(|_| {});
    let settings = json!({ "maxLifetimeSeconds": 1200 });
    let (backend, ids) = Backend::with_keys(&service, settings).await;
    for (surface, id) in SURFACES.into_iter().zip(&ids) {
        at(&service, 0);
        let opened = backend.open(surface).await;
        at(&service, 800);
        let answer = backend.renew(&opened.sid).await;
        renewed(&answer);
        let left = answer.body["expires_in"].as_i64().expect("seconds");
        assert!((396..=400).contains(&left), "{surface}: {left}");
        change_key(&service, id, |key| key.max_lifetime_s = Some(700)).await;
        backend.renew(&opened.sid).await.refused(409, "lifetime_exhausted");
        at(&service, 1201);
        let over = backend.renew(&opened.sid).await;
        over.refused(409, "session_ended");
        assert_eq!(over.body["details"]["state"], "expired");
    }
}

#[tokio::test]
async fn no_session_lives_longer_than_twelve_hours() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    for surface in SURFACES {
        at(&service, 0);
        let opened = backend.open(surface).await;
        let mut offset = 0;
        let last = loop {
            offset += 800;
            at(&service, offset);
            let answer = backend.renew(&opened.sid).await;
            if answer.status != 200 {
                break answer;
            }
            let left = answer.body["expires_in"].as_i64().expect("seconds");
            assert!(offset + left <= 12 * 3600 + 5, "{surface}: {offset} + {left}");
        };
        last.refused(409, "session_ended");
        assert!((12 * 3600..12 * 3600 + 900).contains(&offset), "{surface}: {offset}");
    }
}

#[tokio::test]
async fn a_key_that_does_not_work_renews_nothing() {
    let service = Service::shared();
    let (backend, ids) = Backend::with_keys(service, json!({})).await;
    let operator = Backend::demo(service);
    for (surface, id) in SURFACES.into_iter().zip(&ids) {
        let opened = backend.open(surface).await;
        set_key(service, id, "pause").await;
        operator.renew(&opened.sid).await.refused(403, "key_disabled");
        set_key(service, id, "resume").await;
        renewed(&operator.renew(&opened.sid).await);
        revoke_key(service, id).await;
        operator.renew(&opened.sid).await.refused(403, "key_disabled");
    }
}

#[tokio::test]
async fn what_key_or_tenant_would_not_grant_now_is_not_renewed_and_told() {
    let service = Service::start(|_| {});
    let mut seen = Vec::new();
    for (code, status, details, answer) in refused_renewals::all(&service).await {
        answer.refused(status, code);
        for (name, value) in details.as_object().expect("members") {
            assert_eq!(answer.body["details"][name], *value, "{}", answer.text);
        }
        seen.push(code);
    }
    assert_eq!(seen.len(), 9, "{seen:?}");
}

#[tokio::test]
async fn a_widget_refreshes_its_session_and_ends_it() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    let opened = backend.open("chat").await;
    let before = backend.use_token(&opened.token).await;
    at(&service, 1800);
    let refreshed = backend.page(Method::POST, "sessions/refresh", &opened.token).await;
    assert_eq!(refreshed.status, 200, "{}", refreshed.text);
    assert_eq!(refreshed.header("access-control-allow-origin"), backend.tenant.chat.origin);
    assert_eq!(refreshed.body["expiresIn"], 3600);
    assert_eq!(refreshed.body["conversationId"], before.body["conversationId"]);
    assert!(refreshed.body["intents"].as_array().is_some_and(|all| !all.is_empty()));
    let token = text(&refreshed, "/sessionToken");
    assert_eq!(text(&backend.introspect(&token).await, "/sid"), opened.sid);
    for token in [&opened.token, &token] {
        assert_eq!(backend.use_token(token).await.status, 200);
    }
    let ended = backend.page(Method::DELETE, "sessions/current", &token).await;
    assert_eq!((ended.status.as_u16(), ended.text.as_str()), (204, ""));
    assert_eq!(ended.header("access-control-allow-origin"), backend.tenant.chat.origin);
    for token in [&opened.token, &token] {
        backend.use_token(token).await.refused(401, "token_revoked");
        let path = "sessions/refresh";
        backend.page(Method::POST, path, token).await.refused(401, "token_revoked");
    }
}

#[tokio::test]
async fn a_widget_that_lived_as_long_as_it_may_opens_a_new_session() {
    let service = Service::start(|_| {});
    let (backend, [_, chat, _]) = Backend::with_keys(&service, json!({})).await;
    let opened = backend.open("chat").await;
    change_key(&service, &chat, |key| key.max_lifetime_s = Some(60)).await;
    at(&service, 61);
    let refused = backend.page(Method::POST, "sessions/refresh", &opened.token).await;
    refused.refused(409, "lifetime_exhausted");
    assert_eq!(refused.header("access-control-allow-origin"), backend.tenant.chat.origin);
}

#[tokio::test]
async fn a_session_that_is_not_used_ends_and_one_that_is_used_lives_on() {
    let service = Service::start(|_| {});
    let settings = json!({ "idleTimeoutSeconds": 100 });
    let (backend, _) = Backend::with_keys(&service, settings).await;
    for surface in ["embed", "chat"] {
        at(&service, 0);
        let (used, unused) = (backend.open(surface).await, backend.open(surface).await);
        for offset in [30, 60, 120, 200] {
            at(&service, offset);
            assert_eq!(backend.use_token(&used.token).await.status, 200, "{surface} {offset}");
            service.context.store.write_uses().await.expect("written");
        }
        backend.use_token(&unused.token).await.refused(401, "token_expired");
        assert_eq!(backend.introspect(&unused.token).await.body, json!({ "active": false }));
        let read = backend.read(&unused.sid).await;
        assert_eq!(read.body["state"], "expired", "{}", read.text);
        assert!(backend.read(&used.sid).await.body["last_used_at"].is_string());
        backend.renew(&unused.sid).await.refused(409, "session_ended");
        // Asking about a session is no use of it.
        at(&service, 300);
        assert!(is_active(&backend, &used.token).await);
        at(&service, 340);
        assert!(!is_active(&backend, &used.token).await);
        backend.use_token(&used.token).await.refused(401, "token_expired");
    }
}

/// What a read costs of a session whose key has an idle time-out is what it costs of any other.
#[tokio::test]
async fn token_checked_reads_ask_the_database_nothing_more_for_an_idle_time_out() {
    let service = Service::start(|_| {});
    let store = &service.context.store;
    let mut costs = Vec::new();
    for settings in [json!({}), json!({ "idleTimeoutSeconds": 60 })] {
        let (backend, _) = Backend::with_keys(&service, settings).await;
        for surface in ["embed", "chat"] {
            at(&service, 0);
            let opened = backend.open(surface).await;
            at(&service, 20);
            // What the service asks for itself every second may fall into one of them.
            let mut reads = Vec::new();
            for _ in 0..3 {
                // Whatever was read before is stale then.
                tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
                let before = store.counts();
                assert_eq!(backend.use_token(&opened.token).await.status, 200);
                reads.push(store.counts().reads - before.reads);
            }
            costs.push((surface, reads.into_iter().min()));
        }
    }
    let (without, with) = costs.split_at(2);
    assert_eq!(without, with);
    println!("statements of one uncached token-checked read: {costs:?}");
}
