//! Requests as callers of the three surfaces send them, and answers taken apart.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode};
use secrecy::SecretString;
use serde_json::Value;
use vestibule::cli::dev::TenantCredentials;
use vestibule::domain::signature;

use crate::documented_answers;

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body as JSON; `null` when it is empty or not JSON.
    pub body: Value,
    /// Its body as text.
    pub text: String,
}

impl Answer {
    /// The stable code of a refusal, or an empty string.
    pub fn code(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    /// Asserts that this is the refusal `code` with everything that every refusal has.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.code()), (status, code), "{}", self.text);
        let mut members: Vec<_> = self.body.as_object().expect("an object").keys().collect();
        members.sort_unstable();
        assert_eq!(members, ["details", "error", "message", "request_id"], "{}", self.text);
        assert!(self.body["message"].as_str().is_some_and(|text| text.len() > 20), "{}", self.text);
        assert_eq!(self.body["request_id"], self.header("x-request-id"), "{}", self.text);
        assert_eq!(self.header("content-type"), "application/json");
        assert_eq!(self.header("x-content-type-options"), "nosniff");
        assert_eq!(status == 401, !self.header("www-authenticate").is_empty(), "the challenge");
        let waits = ["idempotency_in_progress", "rotation_in_progress"];
        let pauses = matches!(status, 429 | 503) || waits.contains(&code);
        assert_eq!(pauses, !self.header("retry-after").is_empty(), "the pause");
        assert!(!self.text.contains("eyJ"), "no token in a refusal: {}", self.text);
    }

    /// The header's text, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The violations, as `(in, pointer, keyword)`.
    pub fn violations(&self) -> Vec<(String, String, String)> {
        let listed = self.body["details"]["violations"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        listed.map(|v| (text(&v["in"]), text(&v["pointer"]), text(&v["keyword"]))).collect()
    }
}

/// Sends one request; a body is sent as `application/json` unless `headers` say otherwise.
///
/// # Panics
/// When an operation answers what its document does not say, whatever the test is about.
pub async fn send(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Answer {
    send_with(&Client::new(), method, url, headers, body).await
}

/// [`send`] over the connections of a client, for tests that send thousands. A client belongs to
/// the runtime of its test.
pub async fn send_with(
    client: &Client,
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
) -> Answer {
    let mut map = HeaderMap::new();
    let is_typed = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    if body.is_some() && !is_typed {
        map.insert("content-type", HeaderValue::from_static("application/json"));
    }
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        map.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a header value"));
    }
    let mut request = client.request(method.clone(), url).headers(map);
    if let Some(body) = body {
        request = request.body(body);
    }
    let response = request.send().await.expect("an answer");
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.expect("a body");
    let body = serde_json::from_str(&text).unwrap_or(Value::Null);
    let answer = Answer { status, headers, body, text };
    let operation = documented_answers::operation_at(&method, url);
    let fault = operation.and_then(|operation| documented_answers::conforms(operation, &answer));
    assert_eq!(fault, None, "{method} {url}: {}", answer.text);
    answer
}

/// Sends text as it is on a socket of its own and reads until the service closes it.
pub fn raw(base_url: &str, request: &str) -> Answer {
    use std::io::{Read as _, Write as _};
    let address = base_url.trim_start_matches("http://");
    let mut socket = std::net::TcpStream::connect(address).expect("the service listens");
    socket.write_all(request.as_bytes()).expect("the request is sent");
    let mut answer = String::new();
    socket.read_to_string(&mut answer).expect("an answer, then the end");
    let (head, text) = answer.split_once("\r\n\r\n").expect("a head");
    let (line, fields) = head.split_once("\r\n").expect("a status line and headers");
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let headers = fields.lines().map(|field| {
        let (name, value) = field.split_once(": ").expect("a header");
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
        (name, HeaderValue::from_str(value).expect("a header value"))
    });
    let body = serde_json::from_str(text).unwrap_or(Value::Null);
    Answer { status, headers: headers.collect(), body, text: text.to_owned() }
}

/// `GET` with a bearer token.
pub async fn get(url: &str, token: &str) -> Answer {
    send(Method::GET, url, &[("authorization", &format!("Bearer {token}"))], None).await
}

/// `POST` of a JSON value.
pub async fn post(url: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
    send(Method::POST, url, headers, Some(body.to_string().into_bytes())).await
}

/// The three headers that sign `body` at `timestamp_ms`.
pub fn signed(
    key: &str,
    secret: &str,
    timestamp_ms: i64,
    body: &[u8],
) -> [(&'static str, String); 3] {
    let signature = signature::sign(&SecretString::from(secret), timestamp_ms, body);
    [
        ("x-yolead-key", key.to_owned()),
        ("x-yolead-timestamp", timestamp_ms.to_string()),
        ("x-yolead-signature", signature),
    ]
}

/// Opens an embed session with the tenant's read-write key, signed now.
pub async fn open_embed(base_url: &str, tenant: &TenantCredentials, body: &Value) -> Answer {
    let text = body.to_string().into_bytes();
    let headers = signed(&tenant.embed.key, &tenant.embed.secret, fresh_timestamp(), &text);
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    send(Method::POST, &format!("{base_url}/v1/embed/sessions"), &headers, Some(text)).await
}

/// Opens a chat session from the tenant's origin.
pub async fn open_chat(base_url: &str, tenant: &TenantCredentials, body: &Value) -> Answer {
    let url = format!("{base_url}/api/public/v1/chat/sessions");
    post(&url, &[("origin", &tenant.chat.origin)], body).await
}

/// Opens an iframe session with the tenant's API key.
pub async fn open_iframe(base_url: &str, tenant: &TenantCredentials, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", tenant.iframe.api_key);
    post(&format!("{base_url}/api/v1/iframe/create"), &[("authorization", &bearer)], body).await
}

/// The system's time, milliseconds since 1970.
pub fn now_ms() -> i64 {
    vestibule::context::Clock::default().now_ms()
}

/// The system's time, but never the same twice: a signature is accepted once, and equal bodies
/// signed in the same millisecond have equal signatures.
pub fn fresh_timestamp() -> i64 {
    static LAST: AtomicI64 = AtomicI64::new(0);
    let now = now_ms();
    let later = |last: i64| now.max(last + 1);
    let last = LAST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(later(last)));
    later(last.expect("the update never gives up"))
}
