//! The one record of a request: what was asked, by whom, and how it ended. Counters, log lines and
//! traces are all made of it.
//!
//! Holds no address as it was sent, no query, header value, body or secret; of a token no more than
//! the first bytes of its hash.

use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Method, StatusCode};

use crate::{OperationInfo, TraceParent};

/// What was asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The operation; `None` where no document has it.
    pub operation: Option<&'static OperationInfo>,
    /// The method, `_OTHER` for one that HTTP does not define (OpenTelemetry, HTTP conventions).
    pub method: &'static str,
    /// The template of the path that was routed; `None` when nothing is there.
    pub route: Option<&'a str>,
    /// The request's id, as every answer names it.
    pub request_id: &'a str,
    /// The caller's trace, when it sent one.
    pub trace: Option<TraceParent>,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct RequestRecord<'a> {
    /// What was asked.
    pub asked: Asked<'a>,
    /// The answer's status; [`CLIENT_GONE`] when nobody waited for one.
    pub status: StatusCode,
    /// The stable code of a refusal.
    pub code: Option<&'static str>,
    /// Who asked, as far as that was found out.
    pub caller: Option<&'a KnownCaller>,
    /// What may be shown of the token that was presented.
    pub token: Option<TokenPrefix>,
    /// The time that it was handled by, milliseconds since 1970; `None` for the service's own.
    pub test_clock: Option<i64>,
    /// From the first look at the request to its answer.
    pub took: Duration,
    /// Bytes of the body that was read.
    pub received_bytes: u64,
    /// Bytes of the answer's body; `None` for a stream.
    pub sent_bytes: Option<u64>,
}

/// The status of a request whose client left before its answer, as nginx calls it.
pub const CLIENT_GONE: u16 = 499;

impl Asked<'_> {
    /// The surface it belongs to, by its document; `None` where no document has it.
    pub fn surface(&self) -> Option<&'static str> {
        self.operation.map(|operation| operation.document)
    }
}

/// A caller whose key is known. Whether it was let in is another matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownCaller {
    /// The tenant; `None` for the operator.
    pub tenant: Option<String>,
    /// The key's id; `None` for the operator.
    pub key: Option<String>,
    /// Which of the key's secrets was used, where it has several.
    pub generation: Option<i64>,
    /// The session whose token was presented.
    pub session: Option<String>,
}

/// The first four bytes of a token's SHA-256: enough to find its requests, nothing to use it with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPrefix(pub [u8; 4]);

impl fmt::Display for TokenPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What is found out about a request while it is answered. Clones are one; what is noted first
/// stands.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Noted>);

#[derive(Debug, Default)]
struct Noted {
    caller: OnceLock<KnownCaller>,
    token: OnceLock<TokenPrefix>,
    clock: OnceLock<i64>,
}

impl Notes {
    /// Notes who asks.
    pub fn caller(&self, caller: KnownCaller) {
        // What proves a caller runs once; a second one would be the same.
        let _ = self.0.caller.set(caller);
    }

    /// Notes which token was presented.
    pub fn token(&self, prefix: TokenPrefix) {
        let _ = self.0.token.set(prefix);
    }

    pub(crate) fn move_clock(&self, at_ms: i64) {
        let _ = self.0.clock.set(at_ms);
    }

    pub(crate) fn moved_clock(&self) -> Option<i64> {
        self.0.clock.get().copied()
    }

    pub(crate) fn known_caller(&self) -> Option<&KnownCaller> {
        self.0.caller.get()
    }

    pub(crate) fn token_prefix(&self) -> Option<TokenPrefix> {
        self.0.token.get().copied()
    }
}

/// A method's name, out of a set that no caller can make longer.
pub fn method_name(method: &Method) -> &'static str {
    const NAMES: [&str; 9] =
        ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "CONNECT", "TRACE"];
    let known = NAMES.into_iter().find(|name| method.as_str() == *name);
    known.unwrap_or("_OTHER")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_caller_invents_a_method_name() {
        let invented = Method::from_bytes(b"BREW").unwrap();
        assert_eq!((method_name(&Method::PATCH), method_name(&invented)), ("PATCH", "_OTHER"));
    }

    #[test]
    fn the_first_note_stands() {
        let (notes, key) = (Notes::default(), |key: &str| KnownCaller {
            key: Some(key.to_owned()),
            ..KnownCaller::default()
        });
        notes.clone().caller(key("key_a"));
        notes.caller(key("key_b"));
        assert_eq!(notes.known_caller(), Some(&key("key_a")));
    }

    #[test]
    fn a_prefix_is_eight_digits() {
        assert_eq!(TokenPrefix([0, 10, 255, 1]).to_string(), "000aff01");
    }
}
