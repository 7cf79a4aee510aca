//! Tokens shown by a backend: what introspection says of each kind, and to whom; and revocation.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::text;
use crate::keyring::{make_key, make_tenant, members, set_key, with_claims};
use crate::lifecycle::{Backend, EMPLOYEE, SURFACES, at};
use crate::service::Service;

fn inactive() -> Value {
    json!({ "active": false })
}

#[tokio::test]
async fn every_kind_of_token_is_told_in_the_words_of_rfc_7662() {
    let service = Service::shared();
    let backend = Backend::demo(service);
    for surface in SURFACES {
        let opened = backend.open(surface).await;
        let told = backend.introspect(&opened.token).await;
        assert_eq!(told.header("cache-control"), "no-store");
        let mut expected = vec![
            "active",
            "aud",
            "client_id",
            "exp",
            "iat",
            "jti",
            "nbf",
            "sid",
            "sub",
            "surface",
            "token_type",
            "username",
        ];
        match surface {
            "embed" => expected.extend(["iss", "scope"]),
            "iframe" => expected.push("iss"),
            _ => {}
        }
        expected.sort_unstable();
        assert_eq!(members(&told.body), expected, "{surface}");
        let said = |name: &str| told.body[name].clone();
        assert_eq!((said("active"), said("token_type")), (true.into(), "Bearer".into()));
        assert_eq!((said("surface"), said("sid")), (surface.into(), opened.sid.into()));
        assert_eq!(said("aud"), format!("vestibule:{surface}"));
        let lifetime = told.body["exp"].as_i64().zip(told.body["iat"].as_i64());
        let lifetime = lifetime.map(|(exp, iat)| exp - iat);
        assert_eq!(lifetime, Some(if surface == "chat" { 3600 } else { 900 }));
        let username = match surface {
            "embed" => EMPLOYEE,
            "chat" => "customer-1",
            _ => "user-1",
        };
        assert_eq!(said("username"), username);
        if surface == "embed" {
            assert_eq!(
                (said("scope"), said("sub")),
                ("showChatsList showSendInput".into(), EMPLOYEE.into())
            );
            assert_eq!(said("iss"), service.context.public_url);
        }
    }
}

#[tokio::test]
async fn whatever_could_not_be_used_is_exactly_inactive() {
    let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let (backend, other) = (Backend::demo(&service), Backend::other(&service));
    let mut dead = Vec::new();
    for surface in SURFACES {
        let opened = backend.open(surface).await;
        assert_eq!(other.introspect(&opened.token).await.body, inactive(), "another tenant's");
        dead.push(with_claims(&opened.token, |claims| claims["tid"] = "ten_other".into()));
        dead.push(opened.token[..opened.token.len() - 2].to_owned());
        assert_eq!(backend.end(&opened.sid).await.status, 204);
        dead.push(opened.token);
    }
    dead.extend(["x", "e30.e30.AAAA", "e30.AAAA", "..", "."].map(str::to_owned));
    dead.push("a".repeat(8192));
    dead.push(format!("{}.{}.{}", "e30", "a".repeat(8000), "AAAA"));
    dead.push(backend.tenant.iframe.api_key.clone());
    for token in &dead {
        let told = backend.introspect(token).await;
        assert_eq!((told.status.as_u16(), told.body), (200, inactive()), "{token}");
    }
    let (paused, ids) = Backend::with_keys(&service, json!({})).await;
    let mut opened = Vec::new();
    for surface in SURFACES {
        opened.push(paused.open(surface).await);
    }
    for (opened, id) in opened.iter().zip(&ids) {
        assert_eq!(set_key(&service, id, "pause").await.status, 200);
        assert_eq!(backend.introspect(&opened.token).await.body, inactive(), "paused");
        assert_eq!(set_key(&service, id, "resume").await.status, 200);
        assert_eq!(backend.introspect(&opened.token).await.body["active"], true, "resumed");
    }
    at(&service, 2 * 3600);
    for opened in opened {
        assert_eq!(backend.introspect(&opened.token).await.body, inactive(), "expired");
    }
}

#[tokio::test]
async fn a_revoked_token_ends_its_session_and_an_unknown_one_nothing() {
    let service = Service::shared();
    let (backend, other) = (Backend::demo(service), Backend::other(service));
    for surface in SURFACES {
        let opened = backend.open(surface).await;
        let body =
            |token: &str| Some(json!({ "token": token, "token_type_hint": "refresh_token" }));
        let revoke = async |backend: &Backend<'_>, token: &str| {
            backend.call(Method::POST, "/tokens/revoke", body(token)).await
        };
        for token in ["nonsense", &opened.token] {
            let theirs = revoke(&other, token).await;
            assert_eq!((theirs.status.as_u16(), theirs.body), (200, inactive()));
        }
        assert_eq!(backend.introspect(&opened.token).await.body["active"], true, "not theirs");
        for _ in 0..2 {
            let revoked = revoke(&backend, &opened.token).await;
            assert_eq!((revoked.status.as_u16(), revoked.body), (200, inactive()));
            assert_eq!(backend.introspect(&opened.token).await.body, inactive());
        }
        assert_eq!(backend.read(&opened.sid).await.body["state"], "revoked");
        if surface != "iframe" {
            backend.use_token(&opened.token).await.refused(401, "token_revoked");
        }
    }
}

#[tokio::test]
async fn a_token_without_a_customer_names_nobody() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Nameless" })).await;
    let settings = json!({ "allowsAllIntents": true, "allowNoOrigin": true });
    let key = make_key(service, &tenant, "chat", settings).await;
    let own = make_key(service, &tenant, "iframe", json!({})).await;
    let mut backend = Backend::demo(service);
    backend.tenant.iframe.api_key = own.secret;
    let url = service.url("/api/public/v1/chat/sessions");
    let opened = crate::requests::post(&url, &[], &json!({ "publicKey": key.public })).await;
    let told = backend.introspect(&text(&opened, "/sessionToken")).await;
    assert_eq!(told.body.get("username"), None);
    assert_eq!(told.body["sub"], opened.body["conversationId"]);
    assert_eq!(told.body["client_id"], key.id);
}
