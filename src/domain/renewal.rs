//! Renewing a session: the same session, a new token, a new expiry within its longest lifetime.
//!
//! What the session may still do is for the surfaces to judge; here is only how long it may.

use super::key::{Key, KeyState, Terms};
use super::session::{EarlierToken, Session, State, expiry_ms};
use crate::error::{Error, Result};

/// No session outlives this from its opening, seconds.
pub const LONGEST_S: i64 = 12 * 60 * 60;

/// How long a superseded token stays valid, milliseconds.
pub const OVERLAP_MS: i64 = 30_000;

/// How many superseded tokens are remembered.
const EARLIER: usize = 8;

/// The longest a session of `key` may live from its opening, seconds.
pub fn longest_s(key: &Key) -> i64 {
    key.max_lifetime_s.map_or(LONGEST_S, |own| i64::from(own).min(LONGEST_S))
}

/// The session with a token of the id `token`, issued at `now_ms`.
///
/// # Errors
/// `SessionEnded` when it is over or its end is set already; `KeyDisabled` when its key does not
/// work; `LifetimeExhausted` when it may not live any longer.
pub fn renew(session: &Session, key: Option<&Key>, now_ms: i64, token: String) -> Result<Session> {
    let key = key.ok_or(Error::KeyDisabled)?;
    let working = Terms { state: KeyState::Active, ..key.terms() };
    match session.times().state(Some(working), now_ms) {
        State::Live if session.revoked_at.is_none() => {}
        // One that is about to be revoked is as good as revoked: it must not get away.
        State::Live | State::Revoked => return Err(Error::SessionEnded(State::Revoked.name())),
        State::Expired => return Err(Error::SessionEnded(State::Expired.name())),
    }
    if key.state != KeyState::Active {
        return Err(Error::KeyDisabled);
    }
    let end = expiry_ms(session.issued_at, longest_s(key));
    let expires_at = expiry_ms(now_ms, session.ttl_s).min(end);
    if expires_at <= now_ms {
        return Err(Error::LifetimeExhausted);
    }
    let superseded =
        EarlierToken { id: session.token_id.clone(), valid_until: now_ms + OVERLAP_MS };
    let known = session.earlier.iter().filter(|it| it.valid_until > now_ms).cloned();
    let mut earlier: Vec<_> = known.chain([superseded]).collect();
    earlier.drain(..earlier.len().saturating_sub(EARLIER));
    let renewed_at = Some(now_ms);
    Ok(Session { token_id: token, renewed_at, expires_at, earlier, ..session.clone() })
}

#[cfg(test)]
mod tests;
