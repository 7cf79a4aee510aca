//! Every reason for which a session is not renewed that has to do with its key and its tenant, each
//! made once.
//!
//! What a person cannot take away through the service yet is taken out of the database beside it.

use std::time::Duration;

use serde_json::{Value, json};
use vestibule::domain::catalogue::{Flow, Intent};
use vestibule::domain::key::{Key, KeySettings, Scope};

use crate::callers::text;
use crate::database::change;
use crate::keyring::{make_tenant, own_keys, set_key};
use crate::lifecycle::{Backend, EMPLOYEE, Opened};
use crate::requests::{Answer, open_embed};
use crate::service::Service;

/// A code, its status, what its details say, and the answer.
type Refused = (&'static str, u16, Value, Answer);

/// Renewals by a backend that are refused, on a service that no other test uses.
pub async fn all(service: &Service) -> Vec<Refused> {
    let mut refused = of_keys(service).await;
    refused.extend(of_a_tenant(&Own::new(service).await).await);
    refused
}

/// The refusals that a key's own settings make.
async fn of_keys(service: &Service) -> Vec<Refused> {
    let (backend, [embed, chat, iframe]) = Backend::with_keys(service, json!({})).await;
    let mut refused = Vec::new();
    let opened = backend.open("embed").await;
    set_key(service, &embed, "pause").await;
    refused.push(("key_disabled", 403, json!({}), backend.renew(&opened.sid).await));
    set_key(service, &embed, "resume").await;
    let narrow = KeySettings::Embed { scope: Scope::Read };
    change_key(service, &embed, |key| key.settings = narrow).await;
    let missing = json!({ "missing": ["showSendInput"], "scope": "read" });
    refused.push(("insufficient_scope", 403, missing, backend.renew(&opened.sid).await));
    let opened = backend.open("chat").await;
    let origins = vec!["https://elsewhere.example".to_owned()];
    change_key(service, &chat, |key| key.allowed_origins = origins).await;
    let origin = json!({ "origin": backend.tenant.chat.origin });
    refused.push(("origin_not_allowed", 403, origin, backend.renew(&opened.sid).await));
    let opened = backend.open("iframe").await;
    change_key(service, &iframe, |key| key.max_lifetime_s = Some(0)).await;
    refused.push(("lifetime_exhausted", 409, json!({}), backend.renew(&opened.sid).await));
    backend.end(&opened.sid).await;
    let state = json!({ "state": "revoked" });
    refused.push(("session_ended", 409, state, backend.renew(&opened.sid).await));
    refused
}

/// The refusals over what a tenant does not have any more.
async fn of_a_tenant(own: &Own<'_>) -> Vec<Refused> {
    let mut refused = Vec::new();
    let opened = own.backend.open("chat").await;
    own.publish(false).await;
    let missing = json!({ "missing": ["refund"] });
    refused.push(("intent_not_allowed", 403, missing, own.backend.renew(&opened.sid).await));
    let opened = own.backend.open("iframe").await;
    own.without("DELETE FROM sources WHERE tenant_id = ?").await;
    let unknown = json!({ "unknown": ["1"] });
    refused.push(("unknown_source", 409, unknown, own.backend.renew(&opened.sid).await));
    let opened = own.open_in_chat().await;
    own.without("DELETE FROM directory WHERE kind = 'chat' AND tenant_id = ?").await;
    refused.push(("chat_not_found", 404, json!({}), own.backend.renew(&opened.sid).await));
    own.without("DELETE FROM directory WHERE tenant_id = ?").await;
    refused.push(("employee_not_found", 404, json!({}), own.backend.renew(&opened.sid).await));
    refused
}

/// The refusal of a widget whose intent was taken away.
pub async fn of_a_widget(service: &Service) -> Answer {
    let own = Own::new(service).await;
    let opened = own.backend.open("chat").await;
    own.publish(false).await;
    own.backend.page(reqwest::Method::POST, "sessions/refresh", &opened.token).await
}

/// The refusal of a widget that lived as long as it may.
pub async fn of_an_old_widget(service: &Service) -> Answer {
    let (backend, [_, chat, _]) = Backend::with_keys(service, json!({})).await;
    let opened = backend.open("chat").await;
    change_key(service, &chat, |key| key.max_lifetime_s = Some(0)).await;
    backend.page(reqwest::Method::POST, "sessions/refresh", &opened.token).await
}

/// Changes a key as an operator could.
pub async fn change_key(service: &Service, id: &str, change: impl FnOnce(&mut Key)) {
    let store = &service.context.store;
    let mut key = store.key_by_id(id).await.expect("reads").expect("it is there");
    change(&mut key);
    let audit = service.context.audit(&key.tenant, "test", "key.update", id);
    store.put_key(key, audit).await.expect("stored");
}

const CHAT: &str = "64f000000000000000000002";

/// A tenant of its own with an intent and a source that can be taken away.
struct Own<'a> {
    backend: Backend<'a>,
    tenant: String,
}

impl<'a> Own<'a> {
    async fn new(service: &'a Service) -> Self {
        let settings = json!({ "name": "Own", "directory": "strict" });
        let (tenant, _) = make_tenant(service, settings).await;
        let mut backend = Backend::demo(service);
        own_keys(service, &mut backend.tenant, &tenant, &json!({})).await;
        backend.tenant.iframe.source_ids = serde_json::from_value(json!(["1"])).expect("ids");
        let own = Self { backend, tenant };
        own.publish(true).await;
        own.put_source_and_directory().await;
        own
    }

    async fn publish(&self, published: bool) {
        let intent: Intent =
            serde_json::from_value(json!({ "name": "refund", "displayLabel": "Refund" }))
                .expect("an intent");
        let flow = Flow { id: "f".into(), name: "f".into(), published, intent };
        let context = &self.backend.service.context;
        let audit = context.audit(&self.tenant, "test", "flow.put", "f");
        context.store.put_flow(&self.tenant, &flow, audit).await.expect("stored");
    }

    /// Runs SQL beside the service, as nothing of it takes these things away yet, and waits until
    /// what it read before is stale.
    async fn without(&self, sql: &str) {
        change(self.backend.service.data(), sql, &[&self.tenant]);
        tokio::time::sleep(Duration::from_millis(1_100)).await;
    }

    async fn put_source_and_directory(&self) {
        use vestibule::store::DirectoryKind::{Chat, Employee};
        let context = &self.backend.service.context;
        let audit = |id: &str| context.audit(&self.tenant, "test", "put", id);
        context.store.put_source(&self.tenant, "1", audit("1")).await.expect("stored");
        for (kind, id) in [(Employee, EMPLOYEE), (Chat, CHAT)] {
            context.store.put_directory(&self.tenant, kind, id, audit(id)).await.expect("stored");
        }
    }

    async fn open_in_chat(&self) -> Opened {
        let body = json!({
            "employeeId": EMPLOYEE, "capabilities": ["showChatPage"], "chatId": CHAT,
        });
        let (service, tenant) = (self.backend.service, &self.backend.tenant);
        let opened = open_embed(&service.base_url, tenant, &body).await;
        let token = text(&opened, "/data/embedToken");
        Opened { sid: text(&self.backend.introspect(&token).await, "/sid"), token }
    }
}
