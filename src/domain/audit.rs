//! The audit: who did what to what, as entries of hash chains.
//!
//! Each tenant has a chain, and what belongs to no tenant has one too. An entry's hash covers the
//! entry before it, so that nothing can be changed, removed or exchanged without every later hash
//! telling. People appear as pseudonyms alone. Knows no table.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use serde_json::{Map, Value};

use super::hex;

/// One act, as whoever did it reports it. It is chained when it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct AuditEntry {
    /// A unique id.
    pub id: String,
    /// The owner; empty for acts that belong to no tenant.
    pub tenant: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The id of a key or a session, `admin`, `cli`, `dev`, `service` or `cache_key`.
    pub actor: String,
    /// `session.open`, `key.create`, …
    pub action: String,
    /// The id of what was acted on. An id of ours: whoever it is about is the `subject`.
    pub target: String,
    /// The person it is about. Only a pseudonym is written.
    pub subject: Option<Subject>,
    /// What changed, counts, generations: never a secret, a token or anything about a person, for
    /// it is never erased.
    pub detail: Map<String, Value>,
}

impl AuditEntry {
    /// The entry with a member of its detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(name.to_owned(), value.into());
        self
    }

    /// The entry as one of a request that was handled by another time than the service's own,
    /// milliseconds since 1970.
    #[must_use]
    pub fn by_clock(self, moved_ms: Option<i64>) -> Self {
        match moved_ms {
            Some(at) => self.with("test_clock_ms", at),
            None => self,
        }
    }

    /// The entry as one about a person, if there is one.
    #[must_use]
    pub fn about(mut self, subject: impl Into<Option<Subject>>) -> Self {
        self.subject = subject.into();
        self
    }
}

/// A person by the id that a tenant knows them under; written `uid:user-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The host's user of the iframe surface.
    Uid(String),
    /// A customer of the chat surface.
    Customer(String),
    /// An employee of the embed surface.
    Employee(String),
}

impl Subject {
    /// What kind of id it is, and the id.
    pub fn parts(&self) -> (&'static str, &str) {
        match self {
            Self::Uid(id) => ("uid", id),
            Self::Customer(id) => ("customer", id),
            Self::Employee(id) => ("employee", id),
        }
    }

    /// The person with an id of some kind, even an empty one: a tenant may know somebody so.
    /// `None` for another kind.
    pub fn of(kind: &str, id: &str) -> Option<Self> {
        let make = match kind {
            "uid" => Self::Uid,
            "customer" => Self::Customer,
            "employee" => Self::Employee,
            _ => return None,
        };
        Some(make(id.to_owned()))
    }

    /// Reads what was written.
    pub fn parse(text: &str) -> Option<Self> {
        text.split_once(':').and_then(|(kind, id)| Self::of(kind, id))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, id) = self.parts();
        write!(out, "{kind}:{id}")
    }
}

/// The key of one tenant's pseudonyms. Without it nobody can tell whom they stand for, not even by
/// trying ids: destroying it makes the tenant's audit anonymous.
pub struct SubjectKey(hmac::Key);

impl SubjectKey {
    /// The key of random bytes; `None` for none, which is what a destroyed key has left.
    pub fn new(bytes: &[u8]) -> Option<Self> {
        (!bytes.is_empty()).then(|| Self(hmac::Key::new(hmac::HMAC_SHA256, bytes)))
    }

    /// `sub_` and 128 bits in hex, always the same for one person of one tenant.
    pub fn pseudonym(&self, subject: &Subject) -> String {
        let tag = hmac::sign(&self.0, subject.to_string().as_bytes());
        format!("sub_{}", hex::encode(&tag.as_ref()[..16]))
    }
}

/// SHA-256 of an entry.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub [u8; 32]);

impl Hash {
    /// What stands before the first entry of a chain.
    pub const NONE: Self = Self([0; 32]);

    /// The hash of 32 bytes; `None` for any other number.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

/// An entry as it is written: what its hash covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Whose chain.
    pub tenant: String,
    /// The entry's place in it, from 1 without gaps.
    pub sequence: i64,
    /// See [`AuditEntry::id`].
    pub id: String,
    /// See [`AuditEntry::at`].
    pub at: i64,
    /// See [`AuditEntry::actor`].
    pub actor: String,
    /// See [`AuditEntry::action`].
    pub action: String,
    /// See [`AuditEntry::target`].
    pub target: String,
    /// The pseudonym of [`AuditEntry::subject`].
    pub subject: Option<String>,
    /// The text of [`AuditEntry::detail`].
    pub detail: String,
    /// The hash of the entry before, [`Hash::NONE`] for the first.
    pub previous: Hash,
}

impl Record {
    /// The entry at the end of a chain whose last place and hash are given.
    pub fn behind(
        (sequence, previous): (i64, Hash),
        entry: &AuditEntry,
        key: Option<&SubjectKey>,
    ) -> Self {
        let subject = entry.subject.as_ref().zip(key).map(|(it, key)| key.pseudonym(it));
        Self {
            tenant: entry.tenant.clone(),
            sequence: sequence + 1,
            id: entry.id.clone(),
            at: entry.at,
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            target: entry.target.clone(),
            subject,
            detail: Value::Object(entry.detail.clone()).to_string(),
            previous,
        }
    }

    /// SHA-256 of the canonical form: the line `vestibule-audit-1`, then tenant, sequence, id,
    /// time, actor, action, target, subject (empty without one), detail and the previous hash in
    /// hex, each as its length in bytes, a colon, its text and a line end. Numbers are decimal.
    pub fn hash(&self) -> Hash {
        let mut context = digest::Context::new(&digest::SHA256);
        context.update(b"vestibule-audit-1\n");
        let mut field = |text: &str| {
            context.update(text.len().to_string().as_bytes());
            context.update(b":");
            context.update(text.as_bytes());
            context.update(b"\n");
        };
        field(&self.tenant);
        field(&self.sequence.to_string());
        field(&self.id);
        field(&self.at.to_string());
        field(&self.actor);
        field(&self.action);
        field(&self.target);
        field(self.subject.as_deref().unwrap_or_default());
        field(&self.detail);
        field(&self.previous.to_string());
        Hash::from_bytes(context.finish().as_ref()).expect("SHA-256 gives 32 bytes")
    }
}

#[cfg(test)]
mod tests;
