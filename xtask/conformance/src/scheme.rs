//! What proves a caller, as the document describes it: how each part travels and what its value is.
//!
//! Knows no credential's value and how no signature is made.

use crate::document::Source;

/// One scheme of a way to prove the caller.
#[derive(Clone, Debug)]
pub struct Scheme {
    /// Its name in the document.
    pub name: String,
    /// How the credential travels.
    pub carrier: Carrier,
    /// Where the credential comes from.
    pub source: Source,
    /// What the value is made of, where it is not the credential itself.
    pub role: Role,
    /// Whether a request of a browser is refused.
    pub refuses_browsers: bool,
}

/// How a credential travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// `Authorization: Bearer …`
    Bearer,
    /// A header of this name.
    Header(String),
}

/// What the value of a scheme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The credential itself.
    Credential,
    /// The time of signing, milliseconds since 1970, at most this far from the server's.
    Timestamp {
        /// Milliseconds, both ways, inclusive.
        window_ms: i64,
    },
    /// What makes two signatures of the same request differ: visible ASCII.
    Nonce,
    /// Made under the credential; accepted once.
    Signature {
        /// What it covers.
        covers: Covers,
    },
}

/// What a signature covers, and how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Covers {
    /// Hex of HMAC-SHA256 over `<timestamp>.<raw body>`.
    Body,
    /// `v2=` and hex of HMAC-SHA256 over method, path, query, timestamp, nonce and body.
    Request,
}

impl Role {
    /// What a signature covers; `None` for what is none.
    pub fn covers(self) -> Option<Covers> {
        match self {
            Self::Signature { covers } => Some(covers),
            Self::Credential | Self::Timestamp { .. } | Self::Nonce => None,
        }
    }
}
