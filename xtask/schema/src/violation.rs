//! One broken constraint of a request, and the list of all of them.
//!
//! The shape is the `Violation` of `openapi/common.yaml`; nothing here knows a document.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where in a request a constraint was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// A path parameter.
    Path,
    /// A query parameter.
    Query,
    /// A request header.
    Header,
    /// The JSON body.
    Body,
}

/// One broken constraint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Violation {
    /// The part of the request.
    #[serde(rename = "in")]
    pub part: Part,
    /// JSON pointer (RFC 6901) of the offending member itself, also when it is missing.
    pub pointer: String,
    /// The keyword of the document that was broken.
    pub keyword: String,
    /// What the keyword allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Value>,
    /// What was sent, described without its value when the property is sensitive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<String>,
}

impl Violation {
    /// A violation in the body without limit or description.
    pub fn body(pointer: impl Into<String>, keyword: &str) -> Self {
        Self {
            part: Part::Body,
            pointer: pointer.into(),
            keyword: keyword.into(),
            limit: None,
            actual: None,
        }
    }

    /// The same with what would have been allowed.
    #[must_use]
    pub fn limit(mut self, limit: impl Into<Value>) -> Self {
        self.limit = Some(limit.into());
        self
    }

    /// The same with a description of what was sent.
    #[must_use]
    pub fn actual(mut self, actual: impl Into<String>) -> Self {
        self.actual = Some(actual.into());
        self
    }
}

/// Appends one segment to a JSON pointer, escaped as RFC 6901 asks.
pub fn pointer_push(pointer: &mut String, segment: &str) {
    pointer.push('/');
    for c in segment.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
