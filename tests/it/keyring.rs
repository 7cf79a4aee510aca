//! Tenants and keys that one test makes for itself, over the admin surface; tokens taken apart.
//!
//! Only a key whose secret must be a given one is put past that surface, into the store.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;
use vestibule::domain::key::{Ceilings, Key, KeySettings, KeyState, Mode, Scope};

use crate::callers::{admin, fresh_timestamp, send_owned, text};
use crate::requests::{Answer, signed};
use crate::service::Service;

/// A key as its creation answered it; what its kind does not have is empty.
#[derive(Clone, Debug)]
pub struct Made {
    /// `key_…`
    pub id: String,
    /// `yk_…` or `pk_live_…`
    pub public: String,
    /// `ysk_…` or `iak_…`
    pub secret: String,
}

/// The id of the demo tenant (`Demo shop`) or of the other one (`Other shop`).
pub async fn tenant_id(service: &Service, name: &str) -> String {
    let listed = admin(service, Method::GET, "/tenants?limit=200", None).await;
    let mut items = listed.body["items"].as_array().expect("a list").iter();
    let found = items.find(|tenant| tenant["name"] == name).expect("a seeded tenant");
    found["tenantId"].as_str().expect("an id").to_owned()
}

/// The id of the demo tenant.
pub async fn demo_tenant(service: &Service) -> String {
    tenant_id(service, "Demo shop").await
}

/// A tenant of its own and its identity secret.
pub async fn make_tenant(service: &Service, settings: Value) -> (String, String) {
    let made = admin(service, Method::POST, "/tenants", Some(settings)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    (text(&made, "/tenant/tenantId"), text(&made, "/identitySecret"))
}

/// A key of a tenant; `members` are those of its kind.
pub async fn make_key(service: &Service, tenant: &str, kind: &str, members: Value) -> Made {
    let mut body = json!({ "tenantId": tenant, "kind": kind, "label": "of a test" });
    let all = body.as_object_mut().expect("an object");
    all.extend(members.as_object().expect("an object").clone());
    let made = admin(service, Method::POST, "/keys", Some(body)).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let credential =
        |name: &str| made.body["credential"][name].as_str().map(str::to_owned).unwrap_or_default();
    let (public, secret) = (credential("publicId"), credential("secret"));
    Made { id: text(&made, "/key/keyId"), public, secret }
}

/// A key of a tenant, put in the place of what `held` had for that door. A widget's key may be used
/// by the page of `held`, an embed key for everything, unless `members` say otherwise.
pub async fn own_key(
    service: &Service,
    held: &mut TenantCredentials,
    tenant: &str,
    kind: &str,
    members: &Value,
) -> Made {
    let mut own = match kind {
        "embed" => json!({ "scope": "read-write" }),
        "chat" => json!({ "allowsAllIntents": true, "allowedOrigins": [held.chat.origin] }),
        _ => json!({}),
    };
    let all = own.as_object_mut().expect("an object");
    all.extend(members.as_object().expect("an object").clone());
    let made = make_key(service, tenant, kind, own).await;
    let Made { public, secret, .. } = made.clone();
    match kind {
        "embed" => (held.embed.key, held.embed.secret) = (public, secret),
        "chat" => held.chat.public_key = public,
        _ => held.iframe.api_key = secret,
    }
    made
}

/// [`own_key`] for each of the three doors; their ids.
pub async fn own_keys(
    service: &Service,
    held: &mut TenantCredentials,
    tenant: &str,
    members: &Value,
) -> [String; 3] {
    let mut ids = [const { String::new() }; 3];
    for (id, kind) in ids.iter_mut().zip(["embed", "chat", "iframe"]) {
        *id = own_key(service, held, tenant, kind, members).await.id;
    }
    ids
}

/// `pause` or `resume`.
pub async fn set_key(service: &Service, id: &str, action: &str) -> Answer {
    admin(service, Method::POST, &format!("/keys/{id}/{action}"), None).await
}

/// Ends a key for good.
pub async fn revoke_key(service: &Service, id: &str) -> Answer {
    admin(service, Method::DELETE, &format!("/keys/{id}"), None).await
}

/// Ends a tenant for good.
pub async fn revoke_tenant(service: &Service, id: &str) -> Answer {
    admin(service, Method::DELETE, &format!("/tenants/{id}"), None).await
}

/// The id of the seeded key that is called `label`.
pub async fn key_id(service: &Service, tenant: &str, label: &str) -> String {
    let path = format!("/keys?limit=200&tenantId={tenant}");
    let listed = admin(service, Method::GET, &path, None).await;
    let mut items = listed.body["items"].as_array().expect("a list").iter();
    let found = items.find(|key| key["label"] == label).expect("a seeded key");
    found["keyId"].as_str().expect("an id").to_owned()
}

/// A read-write embed key of the demo tenant with this very secret.
pub async fn embed_key_with(service: &Service, public: &str, secret: &str) {
    let (tenant, context) = (demo_tenant(service).await, &service.context);
    let at = context.provision("test");
    let mut key = Key {
        tenant: tenant.clone(),
        id: context.ids.id("key_"),
        lookup: public.to_owned(),
        mode: Mode::Live,
        label: "of a test".to_owned(),
        state: KeyState::Active,
        allowed_origins: vec![],
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings: KeySettings::Embed { scope: Scope::ReadWrite },
        secrets: vec![],
        created_at: context.clock.now_ms(),
    };
    key.secrets = vec![at.seal_key_secret(&key, 1, &SecretString::from(secret))];
    let audit = at.audit(&tenant, "key.create", &key.id);
    context.store.create_key(key, audit, None).await.expect("the key is stored");
}

/// Opens an embed session with any key, signed by the service's own clock.
pub async fn open_with(service: &Service, key: &str, secret: &str, body: &Value) -> Answer {
    // The system's clock unless a test has moved the service's.
    let ahead = service.context.clock.now_ms() - crate::requests::now_ms();
    let timestamp =
        if ahead.abs() < 60_000 { fresh_timestamp() } else { service.context.clock.now_ms() };
    let text = body.to_string().into_bytes();
    let headers = signed(key, secret, timestamp, &text);
    let url = service.url("/v1/embed/sessions");
    send_owned(&reqwest::Client::new(), Method::POST, &url, &headers, Some(text)).await
}

/// Opens an embed session with the demo tenant's read-write key.
pub async fn open_demo(service: &Service, body: &Value) -> Answer {
    let embed = &service.demo.demo.embed;
    open_with(service, &embed.key, &embed.secret, body).await
}

/// Header and claims of a JWT; nothing is verified.
pub fn read_jwt(token: &str) -> (Value, Value) {
    let mut parts = token.split('.').map(|part| {
        let bytes = URL_SAFE_NO_PAD.decode(part).expect("unpadded base64url");
        serde_json::from_slice(&bytes).unwrap_or(Value::Null)
    });
    let (header, claims) = (parts.next().expect("a header"), parts.next().expect("claims"));
    assert!(parts.next().is_some() && parts.next().is_none(), "three parts");
    (header, claims)
}

/// The same token with other claims and its old signature.
pub fn with_claims(token: &str, change: impl FnOnce(&mut Value)) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let payload = parts.len() - 2;
    let bytes = URL_SAFE_NO_PAD.decode(parts[payload]).expect("unpadded base64url");
    let mut claims = serde_json::from_slice(&bytes).expect("JSON");
    change(&mut claims);
    let encoded = URL_SAFE_NO_PAD.encode(claims.to_string());
    let mut parts: Vec<&str> = parts;
    parts[payload] = &encoded;
    parts.join(".")
}

/// The names of an object's members, sorted.
pub fn members(value: &Value) -> Vec<&str> {
    let mut names: Vec<_> =
        value.as_object().expect("an object").keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}
