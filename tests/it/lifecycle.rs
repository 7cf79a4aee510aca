//! Requests of the life cycle's document as a tenant's backend sends them, and sessions of all
//! surfaces to send them about.

use reqwest::Method;
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::callers::{bearer, send_owned, text};
use crate::keyring::{own_keys, tenant_id};
use crate::requests::{Answer, get, open_chat, open_embed, open_iframe, post, send};
use crate::service::Service;

/// The employee of the embed sessions here.
pub const EMPLOYEE: &str = "64f000000000000000000001";

/// The surfaces by their words.
pub const SURFACES: [&str; 3] = ["embed", "chat", "iframe"];

/// A session that was opened for a test.
#[derive(Clone, Debug)]
pub struct Opened {
    /// `ses_…`
    pub sid: String,
    /// Its token.
    pub token: String,
}

/// A backend of one tenant, and its own tenant's credentials.
pub struct Backend<'a> {
    /// What it calls.
    pub service: &'a Service,
    /// What it and its pages hold.
    pub tenant: TenantCredentials,
}

impl<'a> Backend<'a> {
    /// The backend of the demo tenant.
    pub fn demo(service: &'a Service) -> Self {
        Self { service, tenant: service.demo.demo.clone() }
    }

    /// The backend of the other tenant.
    pub fn other(service: &'a Service) -> Self {
        Self { service, tenant: service.demo.other.clone() }
    }

    /// The demo tenant's backend with keys of its own, made with these members on top.
    pub async fn with_keys(service: &'a Service, members: Value) -> (Self, [String; 3]) {
        let (mut backend, id) = (Self::demo(service), tenant_id(service, "Demo shop").await);
        let ids = own_keys(service, &mut backend.tenant, &id, &members).await;
        (backend, ids)
    }

    /// Opens a session of a surface.
    pub async fn open(&self, surface: &str) -> Opened {
        match surface {
            "embed" => self.open_embed(&["showChatsList", "showSendInput"]).await,
            "chat" => self.open_chat("customer-1").await,
            _ => self.open_iframe("user-1", 900).await,
        }
    }

    /// Opens an embed session.
    pub async fn open_embed(&self, capabilities: &[&str]) -> Opened {
        let body = json!({ "employeeId": EMPLOYEE, "capabilities": capabilities });
        let ahead = self.service.context.clock.now_ms() - crate::requests::now_ms();
        let embed = &self.tenant.embed;
        let opened = match ahead.abs() < 60_000 {
            true => open_embed(&self.service.base_url, &self.tenant, &body).await,
            false => {
                crate::keyring::open_with(self.service, &embed.key, &embed.secret, &body).await
            }
        };
        self.known(text(&opened, "/data/embedToken")).await
    }

    /// Opens a chat session.
    pub async fn open_chat(&self, customer: &str) -> Opened {
        let key = &self.tenant.chat.public_key;
        let body = json!({ "publicKey": key, "customerId": customer });
        let opened = open_chat(&self.service.base_url, &self.tenant, &body).await;
        self.known(text(&opened, "/sessionToken")).await
    }

    /// Opens an iframe session and redeems its cache key.
    pub async fn open_iframe(&self, uid: &str, ttl: i64) -> Opened {
        let body = json!({ "uid": uid, "srcs": self.tenant.iframe.source_ids, "ttl": ttl });
        let opened = open_iframe(&self.service.base_url, &self.tenant, &body).await;
        let body = json!({ "cache_key": text(&opened, "/cache_key") });
        let redeemed = post(&self.service.url("/api/v1/iframe/token"), &[], &body).await;
        let sid = text(&redeemed, "/session_id");
        Opened { sid, token: text(&redeemed, "/access_token") }
    }

    /// A request below `/v1`.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let url = self.service.url(&format!("/v1{path}"));
        let headers = [bearer(&self.tenant.iframe.api_key)];
        let body = body.map(|body| body.to_string().into_bytes());
        send_owned(&reqwest::Client::new(), method, &url, &headers, body).await
    }

    /// Introspects a token.
    pub async fn introspect(&self, token: &str) -> Answer {
        let body = json!({ "token": token });
        self.call(Method::POST, "/tokens/introspect", Some(body)).await
    }

    /// Reads a session.
    pub async fn read(&self, sid: &str) -> Answer {
        self.call(Method::GET, &format!("/sessions/{sid}"), None).await
    }

    /// Renews a session.
    pub async fn renew(&self, sid: &str) -> Answer {
        self.call(Method::POST, &format!("/sessions/{sid}/renew"), None).await
    }

    /// Ends a session.
    pub async fn end(&self, sid: &str) -> Answer {
        self.call(Method::DELETE, &format!("/sessions/{sid}"), None).await
    }

    /// Ends sessions; both counts.
    pub async fn end_all(&self, body: Value) -> (i64, i64) {
        let answer = self.call(Method::POST, "/sessions:revoke", Some(body)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let count = |name: &str| answer.body[name].as_i64().expect("a count");
        (count("revoked"), count("not_revocable"))
    }

    /// The ids of all sessions that pass, over all pages of `limit`.
    pub async fn list(&self, query: &str, limit: usize) -> Vec<String> {
        let mut ids = Vec::new();
        let mut after = String::new();
        loop {
            let path = format!("/sessions?limit={limit}{after}&{query}");
            let page = self.call(Method::GET, &path, None).await;
            assert_eq!(page.status, 200, "{}", page.text);
            let items = page.body["items"].as_array().expect("items");
            assert!(items.len() <= limit);
            ids.extend(items.iter().map(|it| it["sid"].as_str().expect("an id").to_owned()));
            match page.body["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return ids,
            }
        }
    }

    /// Uses a token of the embed or chat surface where its page would.
    pub async fn use_token(&self, token: &str) -> Answer {
        if token.matches('.').count() == 2 {
            return get(&self.service.url("/v1/embed/session"), token).await;
        }
        self.page(Method::GET, "conversation", token).await
    }

    /// A request of the widget's page.
    pub async fn page(&self, method: Method, path: &str, token: &str) -> Answer {
        let url = self.service.url(&format!("/api/public/v1/chat/{path}"));
        let token = format!("Bearer {token}");
        let headers =
            [("authorization", token.as_str()), ("origin", self.tenant.chat.origin.as_str())];
        send(method, &url, &headers, None).await
    }

    async fn known(&self, token: String) -> Opened {
        let told = self.introspect(&token).await;
        assert_eq!(told.body["active"], true, "{}", told.text);
        Opened { sid: text(&told, "/sid"), token }
    }
}

/// Moves a service's clock, from the system's time.
pub fn at(service: &Service, offset_s: i64) {
    service.context.clock.set_offset_ms(offset_s * 1000);
}
