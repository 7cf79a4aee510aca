//! The requests of a tenant, each with what came of it. Knows nothing of who sends them when.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::history::Heard;

/// Longer than any answer takes that is worth waiting for.
const PATIENCE: Duration = Duration::from_secs(30);

/// A tenant's backend and pages.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    tenant: Value,
}

/// A request that opens a session, as it can be sent again and again.
#[derive(Clone, Debug)]
pub struct Opening {
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// An opened session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub sid: String,
    /// Its token, on the embed surface.
    pub token: Option<String>,
}

impl Client {
    /// Of the demo tenant of these credentials.
    ///
    /// # Errors
    /// In words, when there are no threads or certificates to make one of.
    pub fn new(address: SocketAddr, credentials: &Value) -> Result<Self, String> {
        let http = reqwest::Client::builder().timeout(PATIENCE).build();
        let http = http.map_err(|bad| format!("no client: {bad}"))?;
        Ok(Self { http, base: format!("http://{address}"), tenant: credentials.clone() })
    }

    fn of(&self, pointer: &str) -> &str {
        self.tenant.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// An embed session of an employee, signed now.
    pub fn embed(&self, employee: &str) -> Opening {
        let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] }).to_string();
        let timestamp = now_ms().to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.of("/embed/secret").as_bytes());
        let mac = hmac::sign(&key, format!("{timestamp}.{body}").as_bytes());
        let mut signature = String::new();
        for byte in mac.as_ref() {
            let _ = write!(signature, "{byte:02x}");
        }
        let headers = vec![
            ("x-yolead-key", self.of("/embed/key").to_owned()),
            ("x-yolead-timestamp", timestamp),
            ("x-yolead-signature", signature),
        ];
        Opening { path: "/v1/embed/sessions", headers, body }
    }

    /// A chat session of a customer.
    pub fn chat(&self, customer: &str) -> Opening {
        let body = json!({ "publicKey": self.of("/chat/public_key"), "customerId": customer });
        let headers = vec![("origin", self.of("/chat/origin").to_owned())];
        Opening { path: "/api/public/v1/chat/sessions", headers, body: body.to_string() }
    }

    /// An iframe session of a user, under an idempotency key.
    pub fn iframe(&self, uid: &str) -> Opening {
        let body = json!({ "uid": uid, "srcs": self.tenant["iframe"]["source_ids"] });
        let headers =
            vec![("authorization", self.bearer()), ("idempotency-key", format!("key-of-{uid}"))];
        Opening { path: "/api/v1/iframe/create", headers, body: body.to_string() }
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.of("/iframe/api_key"))
    }

    /// Opens a session, or asks again for the one that was opened.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn open(&self, opening: &Opening) -> Result<Heard<Opened>, String> {
        let mut request = self.http.post(format!("{}{}", self.base, opening.path));
        request = request.header("content-type", "application/json").body(opening.body.clone());
        for (name, value) in &opening.headers {
            request = request.header(*name, value);
        }
        // A signature is refused when it was used, and by nothing else.
        judge(request, &[401], opened).await
    }

    /// Renews a session; its new end and, on the embed surface, its new token.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn renew(&self, sid: &str) -> Result<Heard<(i64, String)>, String> {
        let url = format!("{}/v1/sessions/{sid}/renew", self.base);
        let request = self.http.post(url).header("authorization", self.bearer());
        judge(request, &[409], |body| {
            Some((at_ms(&body["expires_at"])?, body["token"].as_str()?.to_owned()))
        })
        .await
    }

    /// Revokes a session.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn end(&self, sid: &str) -> Result<Heard<()>, String> {
        let url = format!("{}/v1/sessions/{sid}", self.base);
        let request = self.http.delete(url).header("authorization", self.bearer());
        judge(request, &[], |_| Some(())).await
    }

    /// Reads with an embed token.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn use_token(&self, token: &str) -> Result<Heard<()>, String> {
        let url = format!("{}/v1/embed/session", self.base);
        let request = self.http.get(url).header("authorization", format!("Bearer {token}"));
        judge(request, &[401], |_| Some(())).await
    }

    /// Counts a message of a user.
    ///
    /// # Errors
    /// An answer that no such request may have.
    pub async fn count(&self, uid: &str) -> Result<Heard<()>, String> {
        let url = format!("{}/api/v1/usage/{uid}/messages", self.base);
        let request = self.http.post(url).header("authorization", self.bearer());
        judge(request, &[], |_| Some(())).await
    }

    /// Reads as the tenant's backend; `path` with query.
    ///
    /// # Errors
    /// Whatever is no answer.
    pub async fn read(&self, path: &str) -> Result<Value, String> {
        let request = self.http.request(Method::GET, format!("{}{path}", self.base));
        let sent = request.header("authorization", self.bearer()).send().await;
        let answer = sent.map_err(|bad| format!("{path}: {bad}"))?;
        let status = answer.status();
        let text = answer.text().await.map_err(|bad| format!("{path}: {bad}"))?;
        if !status.is_success() {
            return Err(format!("{path}: {status} {text}"));
        }
        serde_json::from_str(&text).map_err(|bad| format!("{path}: {bad}: {text}"))
    }
}

/// What came of a request: nothing, a refusal with one of these statuses, or an answer.
async fn judge<T>(
    request: RequestBuilder,
    refusals: &[u16],
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<Heard<T>, String> {
    let Ok(answer) = request.send().await else { return Ok(Heard::Unknown) };
    let (status, url) = (answer.status(), answer.url().path().to_owned());
    let Ok(text) = answer.text().await else { return Ok(Heard::Unknown) };
    if refusals.contains(&status.as_u16()) {
        return Ok(Heard::Refused);
    }
    // It is over, or its first sending is not: nobody knows.
    if matches!(status.as_u16(), 409 | 503) {
        return Ok(Heard::Unknown);
    }
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    match status.is_success().then(|| read(&body)).flatten() {
        Some(answer) => Ok(Heard::Acknowledged(answer)),
        None => Err(format!("{url} was answered {status} {text}")),
    }
}

/// The session that an answer of any of the three doors tells of.
fn opened(body: &Value) -> Option<Opened> {
    if let Some(token) = body.pointer("/data/embedToken").and_then(Value::as_str) {
        let sid = claim(token.split('.').nth(1)?)?;
        return Some(Opened { sid, token: Some(token.to_owned()) });
    }
    if let Some(token) = body["sessionToken"].as_str() {
        return Some(Opened { sid: claim(token.split('.').next()?)?, token: None });
    }
    let page = body["iframe_url"].as_str()?.split('#').next()?;
    Some(Opened { sid: page.rsplit('/').next()?.to_owned(), token: None })
}

/// The session's id in the readable part of a token.
fn claim(part: &str) -> Option<String> {
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()?;
    Some(claims["sid"].as_str()?.to_owned())
}

/// An instant, milliseconds since 1970.
pub fn at_ms(text: &Value) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(text.as_str()?).ok()?.timestamp_millis())
}

/// Now, milliseconds since 1970, by which requests are signed.
#[expect(clippy::disallowed_methods, reason = "no part of the service, whose clock is another")]
pub fn now_ms() -> i64 {
    Utc::now().timestamp_millis()
}
