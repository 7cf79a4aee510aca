//! A refused request on its way to the wire: a stable code, words, details and headers.
//!
//! Which status a code has is the operation's business: its document says so.

use std::borrow::Cow;

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::rate_limit::{RATELIMIT, RATELIMIT_POLICY};
use crate::{OperationInfo, RateLimitFields, Standing, Violation};

/// A stable code of the documents' catalogue and its default words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// What programs match on.
    pub name: &'static str,
    /// What people read when nothing more exact is known.
    pub message: &'static str,
}

/// The codes that are refused with before a handler is reached, from the documents' catalogue.
#[derive(Debug)]
pub struct StandardCodes {
    pub internal: Code,
    pub invalid_json: Code,
    pub not_implemented: Code,
    pub origin_not_allowed: Code,
    pub payload_too_large: Code,
    pub request_timeout: Code,
    pub secret_key_in_browser: Code,
    pub unavailable: Code,
    pub unsupported_media_type: Code,
}

/// The most violations one answer lists.
pub const MAX_VIOLATIONS: usize = 64;

/// A refusal, or a failure that is told to the caller. Boxed: it is the `Err` of everything.
#[derive(Debug)]
pub struct Refusal(Box<Content>);

#[derive(Debug)]
struct Content {
    /// `None` until the operation says what it answers broken rules with.
    code: Option<Code>,
    message: Cow<'static, str>,
    details: Map<String, Value>,
    headers: HeaderMap,
}

impl Refusal {
    /// A refusal with the catalogue's words.
    pub fn new(code: Code) -> Self {
        let message = Cow::Borrowed(code.message);
        let (details, headers) = (Map::new(), HeaderMap::new());
        Self(Box::new(Content { code: Some(code), message, details, headers }))
    }

    /// A refusal that lists what was broken, at most [`MAX_VIOLATIONS`] of it.
    pub fn violations(code: Code, all: Vec<Violation>) -> Self {
        Self::new(code).with_violations(all)
    }

    /// A body that breaks a rule between its members: told with the code that the operation
    /// documents for bodies, whichever that is.
    pub fn rules(all: Vec<Violation>) -> Self {
        let (message, details, headers) = (Cow::Borrowed(""), Map::new(), HeaderMap::new());
        Self(Box::new(Content { code: None, message, details, headers })).with_violations(all)
    }

    fn with_violations(self, mut all: Vec<Violation>) -> Self {
        let truncated = all.len() > MAX_VIOLATIONS;
        all.truncate(MAX_VIOLATIONS);
        let refusal = self.detail("violations", serde_json::json!(all));
        if truncated { refusal.detail("truncated", true) } else { refusal }
    }

    /// A refusal by limits: which they are, and after how many seconds to come back.
    pub fn limited(code: Code, standings: &[Standing], retry_after_s: i64) -> Self {
        let value = |text: &str| HeaderValue::from_str(text).expect("digits and punctuation");
        // The longest that the header may say; who comes back then is told how long it still is.
        let retry_after_s = retry_after_s.clamp(0, 999_999);
        let refusal = Self::new(code)
            .detail("retry_after_s", retry_after_s)
            .header(RETRY_AFTER, value(&retry_after_s.to_string()));
        let Some(fields) = RateLimitFields::of(standings) else { return refusal };
        refusal
            .header(RATELIMIT_POLICY, value(&fields.policy))
            .header(RATELIMIT, value(&fields.state))
    }

    /// The same, its code settled by the operation it refuses.
    #[must_use]
    pub(crate) fn settled(mut self, operation: &OperationInfo) -> Self {
        if self.0.code.is_none() {
            let body = operation.body.as_ref().map(|body| body.refused);
            let code = body.unwrap_or(operation.parameters_refused);
            (self.0.code, self.0.message) = (Some(code), Cow::Borrowed(code.message));
        }
        self
    }

    /// The same with other words.
    #[must_use]
    pub fn message(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = message.into();
        self
    }

    /// The same with one more member of `details`.
    #[must_use]
    pub fn detail(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.details.insert(name.into(), value.into());
        self
    }

    /// The same with one more response header; a later one replaces an earlier one.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The stable code; `None` for broken rules before their operation is known.
    pub fn code(&self) -> Option<Code> {
        self.0.code
    }

    /// Its headers and its body, `Error` of `openapi/common.yaml`.
    pub fn into_parts(self, request_id: &str) -> (HeaderMap, Vec<u8>) {
        #[derive(Serialize)]
        struct Error<'a> {
            error: &'a str,
            message: &'a str,
            details: &'a Map<String, Value>,
            request_id: &'a str,
        }
        let Content { code, message, details, headers } = *self.0;
        let (error, message, details) = (code.map_or("", |code| code.name), &*message, &details);
        let body = serde_json::to_vec(&Error { error, message, details, request_id })
            .expect("an error is made of strings and JSON values");
        (headers, body)
    }
}
