//! The right request for every operation: its credential, its target and a body it accepts.
//!
//! Generated tests walk `register::OPERATIONS` and come here. An operation whose credential, body
//! or target nobody described here fails them by its name, which is the point.

use reqwest::{Client, Method};
use secrecy::SecretString;
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;
use vestibule::domain::signature::{self, RequestLine};
use vestibule_api::authenticate::headers;
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::keyring::open_demo;
pub use crate::requests::fresh_timestamp;
use crate::requests::{Answer, get, open_chat, open_embed, open_iframe, send_with, signed};
use crate::service::Service;
use crate::usage::usage;

/// What proves the caller of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The operator's token, as bearer.
    AdminKey,
    /// A backend's API key, as bearer.
    ApiKey,
    /// A widget's session token, as bearer, from an allowed origin.
    ChatToken,
    /// An embedded page's token, as bearer.
    EmbedToken,
    /// Three headers that sign the body.
    SignedKey,
    /// Four headers that sign the whole request.
    SignedV2,
    /// A publishable key in the body, from an allowed origin.
    PublishableKey,
    /// A cache key in the body.
    CacheKey,
    /// Nothing: the operation answers everybody alike.
    Nobody,
}

impl Proof {
    /// The first of what opens the operation.
    pub fn of(operation: &OperationInfo) -> Self {
        Self::any_of(operation)[0]
    }

    /// Everything that opens the operation, any one of it.
    pub fn any_of(operation: &OperationInfo) -> Vec<Self> {
        let named = operation.credentials.iter().map(|it| Self::named(Some(it.caller), operation));
        let named: Vec<_> = named.collect();
        if named.is_empty() { vec![Self::named(None, operation)] } else { named }
    }

    /// # Panics
    /// When nobody has said yet which callers this operation has.
    fn named(caller: Option<&str>, operation: &OperationInfo) -> Self {
        match (caller, operation.id) {
            (Some("admin_key"), _) => Self::AdminKey,
            (Some("api_key"), _) => Self::ApiKey,
            (Some("chat_token"), _) => Self::ChatToken,
            (Some("embed_token"), _) => Self::EmbedToken,
            (Some("signed_key"), _) => Self::SignedKey,
            (Some("signed_v2"), _) => Self::SignedV2,
            (None, "chatSessionCreate") => Self::PublishableKey,
            (None, "iframeTokenRedeem") => Self::CacheKey,
            (None, "jwksRead") => Self::Nobody,
            (caller, id) => panic!("tell Proof::of who calls {id}, whose credential is {caller:?}"),
        }
    }
}

/// The operations that a kind of caller opens.
pub fn opened_by(proof: Proof) -> impl Iterator<Item = &'static OperationInfo> {
    OPERATIONS.iter().copied().filter(move |it| Proof::any_of(it).contains(&proof))
}

/// What of a request a signature covers.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    pub body: &'a [u8],
}

/// Everything that the callers of one tenant hold, and the operator's token.
#[derive(Clone)]
pub struct Wallet {
    /// The operator's.
    pub admin: String,
    /// The demo credentials it was made of.
    pub tenant: TenantCredentials,
    /// Of an open embed session.
    pub embed_token: String,
    /// Of an open chat session.
    pub chat_token: String,
    /// Of an iframe link.
    pub cache_key: String,
}

impl Wallet {
    /// Opens one session of each surface with the tenant's keys.
    pub async fn open(service: &Service, tenant: &TenantCredentials) -> Self {
        let base = &service.base_url;
        let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
        let embed = open_embed(base, tenant, &body).await;
        let chat = open_chat(base, tenant, &json!({ "publicKey": tenant.chat.public_key })).await;
        let body = json!({ "uid": "u1", "srcs": [tenant.iframe.source_ids[0]] });
        let iframe = open_iframe(base, tenant, &body).await;
        Self {
            admin: service.demo.admin.token.clone(),
            tenant: tenant.clone(),
            embed_token: text(&embed, "/data/embedToken"),
            chat_token: text(&chat, "/sessionToken"),
            cache_key: text(&iframe, "/cache_key"),
        }
    }

    /// The headers that prove the right caller of an operation with this very body.
    pub fn headers(&self, operation: &OperationInfo, body: &[u8]) -> Vec<(&'static str, String)> {
        let (method, target) = (operation.method.as_str(), operation.path);
        self.headers_of(Proof::of(operation), &Sent { method, target, body })
    }

    /// The headers that prove this kind of caller of a request.
    pub fn headers_of(&self, proof: Proof, sent: &Sent<'_>) -> Vec<(&'static str, String)> {
        let origin = ("origin", self.tenant.chat.origin.clone());
        match proof {
            Proof::AdminKey => vec![bearer(&self.admin)],
            Proof::ApiKey => vec![bearer(&self.tenant.iframe.api_key)],
            Proof::ChatToken => vec![bearer(&self.chat_token), origin],
            Proof::EmbedToken => vec![bearer(&self.embed_token)],
            Proof::SignedKey => {
                let embed = &self.tenant.embed;
                signed(&embed.key, &embed.secret, fresh_timestamp(), sent.body).to_vec()
            }
            Proof::SignedV2 => {
                let embed = &self.tenant.embed;
                signed_v2(&embed.key, &embed.secret, fresh_timestamp(), sent).to_vec()
            }
            Proof::PublishableKey => vec![origin],
            Proof::CacheKey | Proof::Nobody => vec![],
        }
    }

    /// A small body that the operation accepts from the right caller.
    ///
    /// # Panics
    /// When nobody has said yet what this operation accepts.
    pub fn body(&self, operation: &OperationInfo, tenant_id: &str) -> Option<Value> {
        let schema = operation.body.as_ref()?.schema;
        let source = || serde_json::to_value(&self.tenant.iframe.source_ids[0]).expect("an id");
        Some(match schema {
            "CreateEmbedSession" => {
                json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] })
            }
            "CreateChatSession" => json!({ "publicKey": self.tenant.chat.public_key }),
            "CreateIframeSession" => json!({ "uid": "u1", "srcs": [source()] }),
            "RedeemCacheKey" => json!({ "cache_key": self.cache_key }),
            "SessionRevocation" => json!({ "tenant_id": tenant_id, "targets": ["uid:nobody"] }),
            "TokenQuestion" => json!({ "token": self.embed_token }),
            "TenantCreate" => json!({ "name": "Acme" }),
            "KeyUpdate" => json!({ "label": "b" }),
            "SigningKeyRotate" | "KeyRotate" => json!({ "overlapSeconds": 0 }),
            "WebhookCreate" => json!({ "url": DEAF, "events": ["session.created"] }),
            "WebhookUpdate" => json!({ "description": "changed" }),
            "WebhookSecretRotate" => json!({ "overlapSeconds": 60 }),
            "ReplayFailed" => json!({ "since": "2026-01-01T00:00:00.000Z" }),
            "SessionExplain" => json!({ "key_id": format!("key_{}", "a".repeat(26)) }),
            "SignatureDebug" => json!({
                "key": self.tenant.embed.test_key,
                "timestamp": "1700000000000", "signature": "0", "body": "{}",
            }),
            "KeyCreate" => json!({ "tenantId": tenant_id, "kind": "embed", "label": "a" }),
            "TenantExport" | "TenantErase" => json!({ "uid": "nobody" }),
            other => panic!("tell Wallet::body what {} accepts as {other}", operation.id),
        })
    }
}

/// A tenant, a key and a webhook endpoint of it that nothing else uses, a session and a message, for
/// operations that act on one.
pub struct Target {
    /// `ten_…`
    pub tenant_id: String,
    /// `key_…`
    pub key_id: String,
    /// `ses_…`, of the demo tenant.
    pub sid: String,
    /// `whk_…`
    pub webhook_id: String,
    /// `msg_…`
    pub delivery_id: String,
    /// A user of the demo tenant with limits that a few requests do not reach.
    pub uid: String,
    /// `msg_…` of a message that was counted for that user.
    pub message_id: String,
}

impl Target {
    /// Creates the tenant's through the admin surface, the others with the demo tenant's keys.
    pub async fn create(service: &Service) -> Self {
        let tenant = admin(service, Method::POST, "/tenants", Some(json!({ "name": "t" }))).await;
        let tenant_id = text(&tenant, "/tenant/tenantId");
        let body = json!({ "tenantId": tenant_id, "kind": "embed", "label": "k" });
        let key = admin(service, Method::POST, "/keys", Some(body)).await;
        let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
        // By the service's own clock, which a test may have moved.
        let opened = open_demo(service, &body).await;
        let url = service.url("/v1/embed/session");
        let session = get(&url, &text(&opened, "/data/embedToken")).await;
        let sid = text(&session, "/data/sessionId");
        let webhooks = format!("/tenants/{tenant_id}/webhooks");
        let body = json!({ "url": DEAF, "events": ["key.rotated"] });
        let webhook = admin(service, Method::POST, &webhooks, Some(body)).await;
        let webhook_id = text(&webhook, "/webhook/webhookId");
        let test = format!("{webhooks}/{webhook_id}/test");
        let delivery = admin(service, Method::POST, &test, None).await;
        let delivery_id = text(&delivery, "/delivery/deliveryId");
        let (uid, message_id) = counted_message(service).await;
        let key_id = text(&key, "/key/keyId");
        Self { tenant_id, key_id, sid, webhook_id, delivery_id, uid, message_id }
    }

    /// The operation's path with its variables filled in.
    pub fn path(&self, operation: &OperationInfo) -> String {
        self.fill(operation.path)
    }

    /// A path with the variables filled in that are left in it.
    ///
    /// # Panics
    /// When the path has a variable that nobody has described yet.
    pub fn fill(&self, path: &str) -> String {
        let path = path.replace("{tenantId}", &self.tenant_id);
        let path = path.replace("{keyId}", &self.key_id).replace("{sid}", &self.sid);
        let path = path.replace("{webhookId}", &self.webhook_id);
        let path = path.replace("{deliveryId}", &self.delivery_id);
        let path = path.replace("{uid}", &self.uid).replace("{messageId}", &self.message_id);
        assert!(!path.contains('{'), "tell Target::path what stands in {path}");
        path
    }
}

async fn counted_message(service: &Service) -> (String, String) {
    let tenant = &service.demo.demo;
    let uid = "target".to_owned();
    let body = json!({
        "uid": uid, "srcs": [tenant.iframe.source_ids[0]], "limits": { "monthly": 1_000_000 },
    });
    open_iframe(&service.base_url, tenant, &body).await;
    let counted = usage(service, tenant, Method::POST, &format!("/{uid}/messages")).await;
    (uid, text(&counted, "/message_id"))
}

/// One request to the admin surface with the operator's token; `path` is what follows `/v1`.
pub async fn admin(service: &Service, method: Method, path: &str, body: Option<Value>) -> Answer {
    let url = service.url(&format!("/api/admin/v1{path}"));
    let headers = [bearer(&service.demo.admin.token)];
    send_owned(&Client::new(), method, &url, &headers, body.map(|b| b.to_string().into())).await
}

/// The four headers that sign a whole request at `timestamp_ms`.
pub fn signed_v2(
    key: &str,
    secret: &str,
    timestamp_ms: i64,
    sent: &Sent<'_>,
) -> [(&'static str, String); 4] {
    let nonce = format!("n-{timestamp_ms}");
    let line = RequestLine { method: sent.method, target: sent.target };
    let secret = SecretString::from(secret);
    let signature = signature::sign_v2(&secret, line, timestamp_ms, &nonce, sent.body);
    [
        (headers::EMBED_KEY_V2, key.to_owned()),
        (headers::EMBED_TIMESTAMP_V2, timestamp_ms.to_string()),
        (headers::EMBED_SIGNATURE_V2, signature),
        (headers::EMBED_NONCE, nonce),
    ]
}

/// [`send_with`] for headers that own their text.
pub async fn send_owned(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(&'static str, String)],
    body: Option<Vec<u8>>,
) -> Answer {
    let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    send_with(client, method, url, &headers, body).await
}

/// The header that carries a token.
pub fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

/// The text at a pointer of a successful answer.
pub fn text(answer: &Answer, pointer: &str) -> String {
    let found = answer.body.pointer(pointer).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("{pointer} of {} {}", answer.status, answer.text)).to_owned()
}

/// An address of this machine where nobody listens.
const DEAF: &str = "http://127.0.0.1:1024/";

const EMPLOYEE: &str = "64f000000000000000000001";
