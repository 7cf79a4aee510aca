//! A session of any surface: who opened it, for whom, until when, and what was granted.

use serde::{Deserialize, Serialize};

pub use super::audit::AuditEntry;
use super::audit::Subject;
use super::key::KeyState;
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
    /// Milliseconds since 1970.
    pub issued_at: i64,
    /// Milliseconds since 1970; the session is dead from this instant on.
    pub expires_at: i64,
    /// When it was revoked, milliseconds since 1970.
    pub revoked_at: Option<i64>,
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

impl Grant {
    /// The person it was granted for, where the grant names one.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Embed { employee, .. } => Some(Subject::Employee(employee.clone())),
            Self::Iframe { uid, .. } => Some(Subject::Uid(uid.clone())),
            Self::Chat { .. } => None,
        }
    }
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
}

impl Session {
    /// What became of it by now. `key` is the state of the key that opened it, `None` when that key
    /// is gone.
    pub fn state(&self, key: Option<KeyState>, now_ms: i64) -> State {
        if self.revoked_at.is_some() {
            return State::Revoked;
        }
        if now_ms >= self.expires_at {
            return State::Expired;
        }
        match key {
            Some(KeyState::Active | KeyState::Paused) => State::Live,
            Some(KeyState::Revoked) | None => State::Revoked,
        }
    }

    /// Whether the session may be used now. `key` is the state of the key that opened it, `None`
    /// when that key is gone.
    ///
    /// # Errors
    /// `TokenExpired`; else `TokenRevoked` when the session was revoked or its key does not work.
    pub fn require_live(&self, key: Option<KeyState>, now_ms: i64) -> Result<()> {
        if now_ms >= self.expires_at {
            let skew_ms = now_ms.saturating_sub(self.expires_at);
            return Err(Error::TokenExpired { server_time_ms: now_ms, skew_ms });
        }
        if self.revoked_at.is_some() || key != Some(KeyState::Active) {
            return Err(Error::TokenRevoked);
        }
        Ok(())
    }

    /// Seconds left, rounded up; 0 when it is over. Right after opening this is the whole lifetime.
    pub fn remaining_s(&self, now_ms: i64) -> i64 {
        let left_ms = self.expires_at.saturating_sub(now_ms).max(0);
        left_ms / 1000 + i64::from(left_ms % 1000 > 0)
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn session(now_ms: i64, ttl_s: i64) -> Session {
        Session {
            tenant: "ten_a".into(),
            id: "ses_a".into(),
            key_id: "key_a".into(),
            key_generation: 1,
            token_id: "tok_a".into(),
            issued_at: now_ms,
            expires_at: expiry_ms(now_ms, ttl_s),
            revoked_at: None,
            grant: Grant::Chat { conversation: "c".into(), origin: None },
        }
    }

    proptest! {
        /// A new session has its whole lifetime left and never outlives it.
        #[test]
        fn a_new_session_has_its_whole_lifetime_left(now_ms in 0i64..1 << 42, ttl_s in 1i64..3601) {
            let session = session(now_ms, ttl_s);
            prop_assert_eq!(session.remaining_s(now_ms), ttl_s);
            prop_assert!(session.expires_at - now_ms <= ttl_s * 1000);
            prop_assert_eq!(session.expires_at % 1000, 0);
        }

        /// A session is live exactly while seconds remain.
        #[test]
        fn a_session_is_live_while_seconds_remain(later in 0i64..2_000_000) {
            let session = session(1_700_000_000_123, 900);
            let now_ms = session.issued_at + later;
            let live = session.require_live(Some(KeyState::Active), now_ms);
            prop_assert_eq!(live.is_ok(), session.remaining_s(now_ms) > 0);
        }
    }

    proptest! {
        /// What may be used is live, and what is live may be used once its key works.
        #[test]
        fn a_live_session_is_one_that_a_working_key_could_use(
            later in 0i64..2_000_000,
            revoked: bool,
        ) {
            let mut session = session(1_700_000_000_123, 900);
            let now_ms = session.issued_at + later;
            session.revoked_at = revoked.then_some(now_ms);
            let usable = session.require_live(Some(KeyState::Active), now_ms).is_ok();
            for key in [KeyState::Active, KeyState::Paused] {
                prop_assert_eq!(session.state(Some(key), now_ms) == State::Live, usable);
            }
            for key in [Some(KeyState::Revoked), None] {
                prop_assert_ne!(session.state(key, now_ms), State::Live);
            }
        }
    }

    #[test]
    fn a_revoked_session_or_key_is_a_revoked_token() {
        let mut session = session(1_700_000_000_000, 900);
        let now_ms = session.issued_at;
        for key in [None, Some(KeyState::Paused), Some(KeyState::Revoked)] {
            assert!(matches!(session.require_live(key, now_ms), Err(Error::TokenRevoked)));
        }
        session.revoked_at = Some(now_ms);
        let revoked = session.require_live(Some(KeyState::Active), now_ms);
        assert!(matches!(revoked, Err(Error::TokenRevoked)));
    }
}
