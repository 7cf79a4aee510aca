//! Test keys of every surface, and requests that move their clock.
//!
//! A request is sent as at an instant: signed at it, and with the header that names it.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;
use vestibule::domain::key::{Ceilings, Identity, Key, KeySettings, KeyState, Mode};
use vestibule_api::register::OPERATIONS;

use crate::callers::{Sent, admin, bearer, send_owned, signed_v2, text};
use crate::keyring::{Made, make_key, tenant_id};
use crate::requests::{Answer, now_ms, signed};
use crate::service::Service;

/// The header that moves the clock.
pub const CLOCK: &str = "vestibule-test-clock";
pub const MINUTE: i64 = 60_000;
pub const HOUR: i64 = 60 * MINUTE;

/// The test keys of one tenant.
pub struct TestKeys<'a> {
    pub service: &'a Service,
    pub tenant_id: String,
    /// Read-write.
    pub embed: Made,
    pub iframe: Made,
    /// A publishable key. The one that operators are given begins with `pk_test_`, which opens no
    /// session as long as the document says so; this one was put into the store.
    pub chat: String,
    /// Of this tenant; its keys are live ones.
    pub live: TenantCredentials,
    client: Client,
}

impl<'a> TestKeys<'a> {
    /// Keys of the demo tenant; `members` are those of every key.
    pub async fn of_demo(service: &'a Service, members: Value) -> Self {
        let tenant_id = tenant_id(service, "Demo shop").await;
        let mut all = json!({ "mode": "test" });
        all.as_object_mut().expect("an object").extend(members.as_object().expect("one").clone());
        let mut of_embed = all.clone();
        of_embed["scope"] = "read-write".into();
        let embed = make_key(service, &tenant_id, "embed", of_embed).await;
        let iframe = make_key(service, &tenant_id, "iframe", all).await;
        let chat = test_widget(service, &tenant_id).await;
        let (live, client) = (service.demo.demo.clone(), Client::new());
        Self { service, tenant_id, embed, iframe, chat, live, client }
    }

    /// A request as at an instant.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        at: i64,
        mut headers: Vec<(&'static str, String)>,
        body: Option<Value>,
    ) -> Answer {
        headers.push((CLOCK, at.to_string()));
        let body = body.map(|body| body.to_string().into_bytes());
        send_owned(&self.client, method, &self.service.url(path), &headers, body).await
    }

    /// Opens an embed session at an instant, signed at another.
    pub async fn open_embed_signed(&self, at: i64, signed_at: i64) -> Answer {
        let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
        let bytes = body.to_string().into_bytes();
        let headers = signed(&self.embed.public, &self.embed.secret, signed_at, &bytes).to_vec();
        self.send(Method::POST, "/v1/embed/sessions", at, headers, Some(body)).await
    }

    /// The token of an embed session that is opened at an instant; no two signatures are the same.
    pub async fn embed_token(&self, at: i64) -> String {
        static EARLIER: AtomicI64 = AtomicI64::new(0);
        let signed_at = at - EARLIER.fetch_add(1, Ordering::Relaxed);
        text(&self.open_embed_signed(at, signed_at).await, "/data/embedToken")
    }

    /// What an embed token grants at an instant.
    pub async fn read_embed(&self, token: &str, at: i64) -> Answer {
        self.send(Method::GET, "/v1/embed/session", at, vec![bearer(token)], None).await
    }

    /// Opens a chat session at an instant, for a customer whose id is proved.
    pub async fn open_chat(&self, at: i64, members: Value) -> Answer {
        let mut body = json!({ "publicKey": self.chat });
        let more = members.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let headers = vec![("origin", ORIGIN.to_owned())];
        self.send(Method::POST, "/api/public/v1/chat/sessions", at, headers, Some(body)).await
    }

    /// An operation of a widget at an instant.
    pub async fn chat(&self, method: Method, path: &str, token: &str, at: i64) -> Answer {
        let path = format!("/api/public/v1/chat{path}");
        let headers = vec![bearer(token), ("origin", ORIGIN.to_owned())];
        self.send(method, &path, at, headers, None).await
    }

    /// Opens an iframe session at an instant.
    pub async fn open_iframe(&self, at: i64, members: Value) -> Answer {
        let mut body = json!({ "uid": "tester", "srcs": [self.live.iframe.source_ids[0]] });
        let more = members.as_object().expect("an object").clone();
        body.as_object_mut().expect("an object").extend(more);
        let headers = vec![bearer(&self.iframe.secret)];
        self.send(Method::POST, "/api/v1/iframe/create", at, headers, Some(body)).await
    }

    /// Redeems a cache key at an instant.
    pub async fn redeem(&self, cache_key: &str, at: i64) -> Answer {
        let body = json!({ "cache_key": cache_key });
        self.send(Method::POST, "/api/v1/iframe/token", at, vec![], Some(body)).await
    }

    /// A lifecycle operation at an instant, with the iframe key.
    pub async fn manage(&self, method: Method, path: &str, at: i64, body: Option<Value>) -> Answer {
        self.send(method, path, at, vec![bearer(&self.iframe.secret)], body).await
    }

    /// The same, signed with version 2 by the embed key.
    pub async fn manage_signed(
        &self,
        method: Method,
        path: &str,
        at: i64,
        body: Option<Value>,
    ) -> Answer {
        let bytes = body.as_ref().map(|body| body.to_string().into_bytes()).unwrap_or_default();
        let sent = Sent { method: method.as_str(), target: path, body: &bytes };
        let headers = signed_v2(&self.embed.public, &self.embed.secret, at, &sent).to_vec();
        self.send(method.clone(), path, at, headers, body).await
    }

    /// The entries of the tenant's audit, the latest first.
    pub async fn audit(&self) -> Vec<Value> {
        let path = format!("/audit?tenantId={}&limit=100", self.tenant_id);
        let listed = admin(self.service, Method::GET, &path, None).await;
        assert_eq!(listed.status, 200, "{}", listed.text);
        listed.body["items"].as_array().expect("a list").clone()
    }
}

async fn test_widget(service: &Service, tenant: &str) -> String {
    let context = &service.context;
    let public = context.ids.hex::<16>("pk_live_");
    let settings = KeySettings::Chat {
        allowed_intents: None,
        allow_no_origin: false,
        identity: Identity::Optional,
    };
    let key = Key {
        tenant: tenant.to_owned(),
        id: context.ids.id("key_"),
        lookup: public.clone(),
        mode: Mode::Test,
        label: "of a test".to_owned(),
        state: KeyState::Active,
        allowed_origins: vec![ORIGIN.to_owned()],
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings,
        secrets: vec![context.provision("test").found_by(1, &public)],
        created_at: context.clock.now_ms(),
    };
    let audit = context.audit(tenant, "test", "key.create", &key.id);
    context.store.create_key(key, audit, None).await.expect("the key is stored");
    public
}

/// An hour ahead of the service: room for a test that takes its time. A whole second.
pub fn ahead(service: &Service) -> i64 {
    (service.context.clock.now_ms() + HOUR) / 1000 * 1000
}

/// How far ahead a clock may be.
pub fn bound_ms() -> i64 {
    let clock = OPERATIONS.iter().find_map(|it| it.test_clock.as_ref());
    clock.expect("some operation takes a clock").ahead_ms
}

/// An instant that no service here has reached.
pub fn soon() -> String {
    (now_ms() + MINUTE).to_string()
}

const ORIGIN: &str = "https://tester.example";
pub const EMPLOYEE: &str = "64f000000000000000000001";
