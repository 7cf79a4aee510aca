//! Clean-up of what nothing asks for any more, in slices that hold nobody up.

use super::Store;
use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::domain::usage::Window;
use crate::error::Result;

/// How many rows one slice removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purged {
    /// Of signatures that are too old to be sent again.
    pub replays: u64,
    /// Of sessions.
    pub sessions: u64,
    /// Of answers that were kept for repeated requests.
    pub answers: u64,
    /// Of messages that count in no window any more.
    pub messages: u64,
}

impl Purged {
    /// Whether another slice would find more.
    pub fn is_partial(self) -> bool {
        let Self { replays, sessions, answers, messages } = self;
        [replays, sessions, answers, messages].contains(&SLICE)
    }
}

/// The most rows of one table that one call removes.
const SLICE: u64 = 1000;

impl Store {
    /// Removes at most a thousand replay rows and as many kept answers that expired before `now`, as
    /// many messages that count in no window of `now`, and as many sessions that expired before
    /// `sessions_before` (both milliseconds). The second time lies further back as long as an
    /// expired cache key should be told from an unknown one.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn purge(&self, now: i64, sessions_before: i64) -> Result<Purged> {
        self.writer.run(Purge { now, sessions_before }).await
    }
}

/// Key by key, in this order: keys are few and never removed, and an index of their own would cost
/// every opening more than this costs a slice.
pub(super) const REPLAYS: &str = "DELETE FROM replays \
     WHERE (tenant_id, key_id, expires_at, mac) IN \
     (SELECT r.tenant_id, r.key_id, r.expires_at, r.mac FROM keys AS k CROSS JOIN replays AS r \
     WHERE r.tenant_id = k.tenant_id AND r.key_id = k.key_id AND r.expires_at < $1 LIMIT 1000)";
/// Before their sessions, which say which ones go: the same ones, hence the order.
pub(super) const USES: &str = "DELETE FROM session_uses WHERE (tenant_id, session_id) IN \
     (SELECT tenant_id, session_id FROM sessions WHERE expires_at < $1 \
     ORDER BY expires_at, session_id LIMIT 1000)";
pub(super) const SESSIONS: &str = "DELETE FROM sessions WHERE (tenant_id, session_id) IN \
     (SELECT tenant_id, session_id FROM sessions WHERE expires_at < $1 \
     ORDER BY expires_at, session_id LIMIT 1000)";
pub(super) const ANSWERS: &str = "DELETE FROM idempotency WHERE (tenant_id, claim) IN \
     (SELECT tenant_id, claim FROM idempotency WHERE expires_at < $1 LIMIT 1000)";

pub(super) const MESSAGES: &str = "DELETE FROM uid_messages WHERE (tenant_id, message_id) IN \
     (SELECT tenant_id, message_id FROM uid_messages WHERE accepted_at < $1 LIMIT 1000)";

/// The beginning of the earliest window that an instant lies in.
fn counted_from(now: i64) -> i64 {
    Window::ALL.iter().map(|window| window.bounds(now).0).fold(now, i64::min)
}

struct Purge {
    now: i64,
    sessions_before: i64,
}

impl Job for Purge {
    type Answer = Purged;

    async fn run(&self, conn: &mut Connection) -> Result<Purged, Failure> {
        // While another instance cleans up, there is nothing left to do here.
        if !conn.claim("purge").await? {
            return Ok(Purged { replays: 0, sessions: 0, answers: 0, messages: 0 });
        }
        conn.execute(USES, vec![self.sessions_before.into()]).await?;
        Ok(Purged {
            replays: conn.execute(REPLAYS, vec![self.now.into()]).await?,
            sessions: conn.execute(SESSIONS, vec![self.sessions_before.into()]).await?,
            answers: conn.execute(ANSWERS, vec![self.now.into()]).await?,
            messages: conn.execute(MESSAGES, vec![counted_from(self.now).into()]).await?,
        })
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}
