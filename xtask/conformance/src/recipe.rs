//! How a request is made: what differs from a plain valid request of its operation, told before
//! anything was sent.
//!
//! Plain data, so that a plan can be counted, repeated and shrunk. The values of a deployment are
//! put in later, by `fill`.

use std::collections::BTreeMap;

use http::Method;
use serde_json::Value;

use crate::document::Source;

/// One request, before the values of the deployment are put in.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// Another method than the operation's.
    pub method: Option<Method>,
    /// Parameters by name, where they are not what a plain request has.
    pub given: BTreeMap<String, Given>,
    /// Query parameters that the document does not know.
    pub more_query: Vec<(String, String)>,
    /// Headers on top of everything.
    pub more_headers: Vec<(String, String)>,
    /// The body; `None` when the operation has none.
    pub content: Option<Content>,
    /// The values of `Content-Type`; `None` is the documented one.
    pub media_types: Option<Vec<String>>,
    /// What proves the caller.
    pub proof: Proof,
    /// Which of the operation's ways to prove the caller is gone, by its place in the document;
    /// `None` is the first that there are credentials for.
    pub way: Option<usize>,
    /// Whether the request acts on objects of its own, made for it alone.
    pub fresh: bool,
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// This text.
    Text(String),
    /// This text, but for its beginning, which no other request has.
    Unique(String),
    /// What the deployment knows, where it knows anything.
    Known,
    /// Its value, twice.
    Twice,
    /// Nothing.
    Omitted,
}

/// A body.
#[derive(Clone, Debug)]
pub struct Content {
    /// The value.
    pub value: Value,
    /// The part of it that is what the case is about, so that no known value may replace it.
    pub pinned: Option<String>,
    /// What becomes of the value's text.
    pub form: Form,
}

/// What becomes of a body's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// Compact JSON.
    #[default]
    Compact,
    /// Compact JSON followed by blanks up to this many bytes.
    Padded(usize),
    /// Nothing at all.
    Empty,
    /// Without its last byte.
    Truncated,
    /// A second value behind it.
    Trailing,
    /// With a comma before the end.
    TrailingComma,
    /// A member twice.
    DoubledMember,
    /// A byte order mark before it.
    Marked,
    /// Arrays nested this deep instead.
    Nested(usize),
    /// An array instead, with this many values in all.
    Many(usize),
    /// U+0000 in its first string.
    Nul,
    /// A byte that is not UTF-8 in its first string.
    NotUtf8,
}

/// What proves the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Proof {
    /// What the operation asks for.
    #[default]
    Right,
    /// Nothing.
    Nothing,
    /// Everything but this scheme.
    Without(String),
    /// This scheme's header twice.
    Doubled(String),
    /// This scheme with another value.
    Other(String, Other),
    /// A signature with a flaw.
    Signed(Flaw),
}

/// Another value of a scheme than the right one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Other {
    /// No value behind the scheme's name, or an empty header.
    Empty,
    /// The right one under another authentication scheme.
    Scheme(&'static str),
    /// The right one with one character changed.
    OneOff,
    /// The right one without its last character.
    Short,
    /// This text.
    Text(String),
    /// The value of another source: another scheme's, or another tenant's.
    From(Source),
}

/// What is unusual about a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The body changed after it was signed.
    AlteredBody,
    /// Signed at the server's time plus this.
    Skewed(i64),
    /// Signed in another century's first year; an answer tells the server's time.
    LongAgo,
    /// The timestamp in seconds.
    Seconds,
    /// Hex in upper case: no flaw.
    UpperCase,
    /// Signed for another method than it is sent with.
    OtherMethod,
    /// Signed for another path or query than it is sent to.
    OtherTarget,
    /// The secret of another source.
    Secret(Source),
}

impl Recipe {
    /// A request with this body.
    pub fn with(value: Value) -> Self {
        let content = Content { value, pinned: None, form: Form::Compact };
        Self { content: Some(content), ..Self::default() }
    }

    /// The same, whose body's text becomes something else.
    #[must_use]
    pub fn form(mut self, form: Form) -> Self {
        if let Some(content) = &mut self.content {
            content.form = form;
        }
        self
    }

    /// The same, where this part of the body stays as it is.
    #[must_use]
    pub fn pinned(mut self, pointer: impl Into<String>) -> Self {
        if let Some(content) = &mut self.content {
            content.pinned = Some(pointer.into());
        }
        self
    }

    /// The same with another proof.
    #[must_use]
    pub fn proof(mut self, proof: Proof) -> Self {
        self.proof = proof;
        self
    }

    /// The same by another of the ways to prove the caller.
    #[must_use]
    pub fn way(mut self, way: usize) -> Self {
        self.way = Some(way);
        self
    }

    /// The same on objects of its own.
    #[must_use]
    pub fn fresh(mut self) -> Self {
        self.fresh = true;
        self
    }

    /// The same with another value of a parameter.
    #[must_use]
    pub fn given(mut self, name: &str, given: Given) -> Self {
        self.given.insert(name.to_owned(), given);
        self
    }

    /// The same with one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.more_headers.push((name.to_owned(), value.to_owned()));
        self
    }
}
