//! One request and one answer, read whole, with the edits that faults make to them.
//!
//! Knows HTTP and JSON; no document, no credential and no socket.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde_json::Value;

/// A request as the caller sent it, or as a fault left it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path as it was sent, still encoded.
    pub path: String,
    /// What follows the question mark, still encoded.
    pub query: Option<String>,
    /// The headers, without those that belong to the connection.
    pub headers: HeaderMap,
    /// The body; empty when there is none.
    pub body: Bytes,
}

impl Request {
    /// The body as JSON, read as loosely as most servers do: the last of two members wins.
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Replaces the body.
    pub fn set_json(&mut self, value: &Value) {
        self.body = value.to_string().into();
    }

    /// The token behind `Bearer`, when there is exactly one such header.
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let (only, None) = (values.next()?, values.next()) else { return None };
        let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(token)
    }

    /// Replaces every `Authorization`.
    pub fn set_bearer(&mut self, token: &str) {
        self.set(AUTHORIZATION, &format!("Bearer {token}"));
    }

    /// Replaces a header.
    pub fn set(&mut self, name: HeaderName, value: &str) {
        let value = HeaderValue::from_str(value).expect("credentials and digits fit a header");
        self.headers.insert(name, value);
    }

    /// The header's only value; nothing when it is absent or was sent twice.
    pub fn once(&self, name: &HeaderName) -> Option<&str> {
        let mut values = self.headers.get_all(name).iter();
        let (only, None) = (values.next()?, values.next()) else { return None };
        only.to_str().ok()
    }

    /// The query's parameters in order, decoded.
    pub fn parameters(&self) -> Vec<(String, String)> {
        let decode = |text: &str| {
            let spaced = text.replace('+', " ");
            percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
        };
        let pairs = self.query.iter().flat_map(|query| query.split('&')).filter(|p| !p.is_empty());
        pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect()
    }

    /// Replaces the query by plain parameters that need no encoding.
    pub fn set_parameters(&mut self, parameters: &[(String, String)]) {
        let pairs = parameters.iter().map(|(name, value)| format!("{name}={value}"));
        let query = pairs.collect::<Vec<_>>().join("&");
        self.query = (!query.is_empty()).then_some(query);
    }
}

/// An answer as the service gave it, or as a fault left it.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those that belong to the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl Answer {
    /// An answer of plain text.
    pub fn text(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        Self { status, headers, body: text.into().into_owned().into() }
    }

    /// Whether it is a success with a JSON body.
    pub fn is_success(&self) -> bool {
        self.status.is_success()
    }

    /// Whether it refuses.
    pub fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }

    /// Edits the body where it is JSON.
    pub fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        let Ok(mut value) = serde_json::from_slice::<Value>(&self.body) else { return };
        edit(&mut value);
        self.body = value.to_string().into();
    }

    /// Edits one value of the body where it is there.
    pub fn edit_at(&mut self, pointer: &str, edit: impl FnOnce(&mut Value)) {
        self.edit(|body| {
            if let Some(value) = body.pointer_mut(pointer) {
                edit(value);
            }
        });
    }

    /// Replaces a header by a value that every header may hold.
    pub fn set(&mut self, name: HeaderName, value: &'static str) {
        self.headers.insert(name, HeaderValue::from_static(value));
    }

    /// Drops a header where it is there.
    pub fn drop_header(&mut self, name: &HeaderName) {
        self.headers.remove(name);
    }
}

/// Takes the member of an object away.
pub fn without(value: &mut Value, member: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(member);
    }
}
