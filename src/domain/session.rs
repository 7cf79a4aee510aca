//! A session of any surface: who opened it, for whom, until when, and what was granted.

use serde::{Deserialize, Serialize};
use vestibule_runtime::seconds_up;

pub use super::audit::AuditEntry;
use super::audit::Subject;
use super::key::{Key, KeyState, Terms};
use super::renewal::longest_s;
use crate::error::{Error, Result};

/// One session as the store remembers it. Its token is never stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Session {
    /// The owner.
    pub tenant: String,
    /// `ses_…`.
    pub id: String,
    /// `key_…` of the key that opened it.
    pub key_id: String,
    /// Generation of the secret that signed the opening request; 0 where keys have none.
    pub key_generation: i64,
    /// The token's own id.
    pub token_id: String,
    /// When it was opened, milliseconds since 1970.
    pub issued_at: i64,
    /// How long a token of it lives, seconds, unless the session's end comes first.
    pub ttl_s: i64,
    /// When its token was last renewed, milliseconds since 1970.
    pub renewed_at: Option<i64>,
    /// The tokens that its token superseded a moment ago, the latest last.
    pub earlier: Vec<EarlierToken>,
    /// Milliseconds since 1970; the session is dead from this instant on.
    pub expires_at: i64,
    /// When it was revoked, milliseconds since 1970; maybe yet to come.
    pub revoked_at: Option<i64>,
    /// When a use of it was last remembered, milliseconds since 1970.
    pub last_used_at: Option<i64>,
    /// What it may do.
    pub grant: Grant,
}

/// Where a session was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surface {
    /// The agent inbox.
    Embed,
    /// The website widget.
    Chat,
    /// The assistant.
    Iframe,
}

/// What became of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It has not ended. While its key is paused it cannot be used all the same.
    Live,
    /// Its time is over.
    Expired,
    /// It was ended before its time, by itself or with its key or tenant.
    Revoked,
}

/// What was granted, by surface. Stored as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "surface", rename_all = "snake_case")]
pub enum Grant {
    /// The agent inbox.
    Embed {
        /// The employee it acts for.
        employee: String,
        /// Capabilities by their wire names, order kept.
        capabilities: Vec<String>,
        /// The only chat it may see.
        chat: Option<String>,
    },
    /// The website widget.
    Chat {
        /// The conversation it speaks in.
        conversation: String,
        /// The origin it was opened from.
        origin: Option<String>,
        /// The customer, claimed or proved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        customer: Option<String>,
        /// The intents that it was offered.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        intents: Vec<String>,
    },
    /// The assistant. `context` is everything else the page and the model need.
    Iframe {
        /// The host's user.
        uid: String,
        /// Source ids in textual form.
        sources: Vec<String>,
        /// Theme, model, entries and queries, as a document of `domain::iframe_session`.
        context: serde_json::Value,
    },
}

/// A token that was superseded by a renewal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EarlierToken {
    /// The token's own id.
    pub id: String,
    /// Until when it is accepted still, milliseconds since 1970.
    pub valid_until: i64,
}

/// A session without what it may do: what lists show and targets name.
#[derive(Clone, Debug, PartialEq)]
pub struct Overview {
    /// The owner.
    pub tenant: String,
    /// `ses_…`.
    pub id: String,
    /// `key_…` of the key that opened it.
    pub key_id: String,
    /// Where it was opened.
    pub surface: Surface,
    /// For whom, as far as that is known.
    pub subject: Option<Subject>,
    /// The only chat it may see, or the conversation it speaks in.
    pub chat: Option<String>,
    /// When it began, was used, and ends.
    pub times: Times,
}

/// When a session began, was used, and ends: milliseconds since 1970, as [`Session`] has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was opened.
    pub issued_at: i64,
    /// When its token was last renewed.
    pub renewed_at: Option<i64>,
    /// From when on it is dead.
    pub expires_at: i64,
    /// When it was revoked, maybe yet to come.
    pub revoked_at: Option<i64>,
    /// When a use of it was last remembered.
    pub last_used_at: Option<i64>,
}

/// The ids of a session about to be opened, drawn by the caller.
#[derive(Clone, Debug)]
pub struct FreshIds {
    /// `ses_…`.
    pub session: String,
    /// The token's own id.
    pub token: String,
}

impl Grant {
    /// The surface it is of.
    pub fn surface(&self) -> Surface {
        match self {
            Self::Embed { .. } => Surface::Embed,
            Self::Chat { .. } => Surface::Chat,
            Self::Iframe { .. } => Surface::Iframe,
        }
    }

    /// The person it was granted for, as far as that is known.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Embed { employee, .. } => Some(Subject::Employee(employee.clone())),
            Self::Chat { customer, .. } => customer.clone().map(Subject::Customer),
            Self::Iframe { uid, .. } => Some(Subject::Uid(uid.clone())),
        }
    }

    /// See [`Overview::chat`].
    pub fn chat(&self) -> Option<&str> {
        match self {
            Self::Embed { chat, .. } => chat.as_deref(),
            Self::Chat { conversation, .. } => Some(conversation),
            Self::Iframe { .. } => None,
        }
    }
}

impl Surface {
    /// Its word in documents, tables and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Chat => "chat",
            Self::Iframe => "iframe",
        }
    }
}

impl State {
    /// Its word in documents and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl Times {
    /// What became of a session by now. `key` is what the key that opened it has to say, `None`
    /// when that key is gone.
    pub fn state(self, key: Option<Terms>, now_ms: i64) -> State {
        if self.is_revoked(now_ms) {
            return State::Revoked;
        }
        if now_ms >= self.ends_at(key) {
            return State::Expired;
        }
        match key.map(|key| key.state) {
            Some(KeyState::Active | KeyState::Paused) => State::Live,
            Some(KeyState::Revoked) | None => State::Revoked,
        }
    }

    /// Whether it was opened by now, as far as clocks of instances agree. What a test key opens
    /// with its clock moved is yet to come by every other clock.
    pub fn has_begun(self, now_ms: i64) -> bool {
        self.issued_at <= now_ms.saturating_add(DRIFT_MS)
    }

    /// Whether it was opened before `at_ms`.
    pub fn issued_before(self, at_ms: i64) -> bool {
        self.issued_at < at_ms
    }

    /// Whether a use of it now should be remembered, so that it does not end for want of use.
    pub fn use_is_due(self, key: Option<Terms>, now_ms: i64) -> bool {
        let idle = key.and_then(|key| key.idle_timeout_s);
        idle.is_some_and(|idle| now_ms.saturating_sub(self.last_sign()) >= quarter_ms(idle))
    }

    /// Seconds until its expiry, rounded up; 0 when it is over.
    pub fn remaining_s(self, now_ms: i64) -> i64 {
        seconds_up(self.expires_at.saturating_sub(now_ms))
    }

    fn is_revoked(self, now_ms: i64) -> bool {
        self.revoked_at.is_some_and(|at| at <= now_ms)
    }

    /// When its time is over, milliseconds since 1970: by its expiry or for want of use.
    fn ends_at(self, key: Option<Terms>) -> i64 {
        let idle = key.and_then(|key| key.idle_timeout_s);
        let idle_end = idle.map(|idle| self.last_sign().saturating_add(patience_ms(idle)));
        idle_end.map_or(self.expires_at, |end| end.min(self.expires_at))
    }

    /// The last sign of life that is remembered.
    fn last_sign(self) -> i64 {
        [self.renewed_at, self.last_used_at].into_iter().flatten().fold(self.issued_at, i64::max)
    }
}

/// Up to when the last sign of life of a session may lie for it to be over for want of use at
/// `now_ms`, both milliseconds since 1970.
pub fn idle_until(idle_timeout_s: u32, now_ms: i64) -> i64 {
    now_ms.saturating_sub(patience_ms(idle_timeout_s))
}

/// How much later than it happened a use may be read, milliseconds: until it is due to be
/// remembered, a quarter of the time-out; until that is written and read on another instance, the
/// rest.
fn patience_ms(idle_timeout_s: u32) -> i64 {
    i64::from(idle_timeout_s) * 1000 + quarter_ms(idle_timeout_s) + READ_LATE_MS
}

fn quarter_ms(idle_timeout_s: u32) -> i64 {
    i64::from(idle_timeout_s) * 250
}

const READ_LATE_MS: i64 = 5_000;

/// How far clocks of instances may be apart, milliseconds. `vestibule doctor` complains at half of
/// it.
pub const DRIFT_MS: i64 = 60_000;

impl Session {
    /// A session that `key` opens at `now_ms` by its credential of `generation`. Its tokens live
    /// `ttl_s` seconds, or as long as the key's sessions may live at all when that is less.
    pub fn open(
        key: &Key,
        generation: i64,
        (now_ms, ttl_s): (i64, i64),
        ids: FreshIds,
        grant: Grant,
    ) -> Self {
        let ttl_s = ttl_s.min(longest_s(key));
        Self {
            tenant: key.tenant.clone(),
            id: ids.session,
            key_id: key.id.clone(),
            key_generation: generation,
            token_id: ids.token,
            issued_at: now_ms,
            ttl_s,
            renewed_at: None,
            earlier: Vec::new(),
            expires_at: expiry_ms(now_ms, ttl_s),
            revoked_at: None,
            last_used_at: None,
            grant,
        }
    }

    /// When it began, was used, and ends.
    pub fn times(&self) -> Times {
        Times {
            issued_at: self.issued_at,
            renewed_at: self.renewed_at,
            expires_at: self.expires_at,
            revoked_at: self.revoked_at,
            last_used_at: self.last_used_at,
        }
    }

    /// Without what it may do.
    pub fn overview(&self) -> Overview {
        Overview {
            tenant: self.tenant.clone(),
            id: self.id.clone(),
            key_id: self.key_id.clone(),
            surface: self.grant.surface(),
            subject: self.grant.subject(),
            chat: self.grant.chat().map(str::to_owned),
            times: self.times(),
        }
    }

    /// When its present token was issued, milliseconds since 1970.
    pub fn token_issued_at(&self) -> i64 {
        self.renewed_at.unwrap_or(self.issued_at)
    }

    /// Until when a superseded token of this id is accepted still, milliseconds since 1970; `None`
    /// when it is not accepted at `now_ms`.
    pub fn overlap_of(&self, token: &str, now_ms: i64) -> Option<i64> {
        let mut earlier = self.earlier.iter();
        earlier.find(|it| it.id == token && it.valid_until > now_ms).map(|it| it.valid_until)
    }

    /// Whether the session may be used now. `key` is what the key that opened it has to say, `None`
    /// when that key is gone.
    ///
    /// # Errors
    /// `TokenExpired`; else `TokenRevoked` when the session was revoked or its key does not work.
    pub fn require_live(&self, key: Option<Terms>, now_ms: i64) -> Result<()> {
        let times = self.times();
        let end = times.ends_at(key);
        if now_ms >= end {
            let skew_ms = now_ms.saturating_sub(end);
            return Err(Error::TokenExpired { server_time_ms: now_ms, skew_ms });
        }
        if times.is_revoked(now_ms) || key.map(|key| key.state) != Some(KeyState::Active) {
            return Err(Error::TokenRevoked);
        }
        Ok(())
    }

    /// Seconds left, rounded up; 0 when it is over. Right after opening this is the whole lifetime.
    pub fn remaining_s(&self, now_ms: i64) -> i64 {
        self.times().remaining_s(now_ms)
    }
}

/// The end of a session opened at `now_ms` for `ttl_s` seconds. A whole second, so that the row,
/// the token's `exp` and the `expiresAt` of the answer are the same instant.
pub fn expiry_ms(now_ms: i64, ttl_s: i64) -> i64 {
    seconds(now_ms).saturating_add(ttl_s).saturating_mul(1000)
}

/// Milliseconds as the whole seconds that tokens count in, rounded down.
pub fn seconds(ms: i64) -> i64 {
    ms.div_euclid(1000)
}

/// One conversation of the chat surface.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversation {
    /// The owner.
    pub tenant: String,
    /// A UUID.
    pub id: String,
    /// The customer's id, as claimed or proved.
    pub customer_id: Option<String>,
    /// Whether the customer's id was proved by a token.
    pub verified: bool,
    /// BCP-47.
    pub locale: Option<String>,
    /// Untrusted values of the host page.
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Milliseconds since 1970.
    pub opened_at: i64,
}

impl Conversation {
    /// Who it is with, as claimed or proved.
    pub fn subject(&self) -> Option<Subject> {
        self.customer_id.clone().map(Subject::Customer)
    }
}

#[cfg(test)]
mod tests;
