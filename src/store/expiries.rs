//! Telling of sessions that ended by themselves: once each, in the order of their ends.
//!
//! A cursor over the ends of sessions says up to which one was told. It moves in the transaction
//! that queues the messages, so that neither a crash nor a second instance tells twice; and a
//! message's id follows from its session, so that even then it would be one message.

use super::Store;
use super::engine::{Connection, Failure, Row};
use super::locks::Reach;
use super::stale::Stale;
use super::subscribers::{self, Message, session_columns};
use super::writer::Job;
use crate::domain::webhook::{EventType, Subject};
use crate::error::Result;

impl Store {
    /// Tells of sessions that ended until `until` (milliseconds), a thousand at most, to the
    /// endpoints that listen; whether there may be more.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn tell_expired_sessions(&self, until: i64) -> Result<bool> {
        // Most of the time nobody listens, which is no work for the writer.
        let rows = self.readers.fetch(LISTENERS, vec![pattern().into()]).await?;
        if rows.is_empty() {
            return Ok(false);
        }
        self.writer.run(Tell { until }).await
    }
}

/// To be called before an endpoint may begin to listen: when nobody did, what ended up to `now`
/// is nobody's concern.
pub(super) async fn begin(conn: &mut Connection, now: i64) -> Result<(), Failure> {
    if !conn.fetch(LISTENERS, vec![pattern().into()]).await?.is_empty() {
        return Ok(());
    }
    let sql = "INSERT INTO webhook_expiries (name, expires_at, session_id) VALUES ('told', $1, '') \
               ON CONFLICT (name) DO UPDATE SET expires_at = excluded.expires_at, \
               session_id = excluded.session_id";
    conn.execute(sql, vec![now.into()]).await.map(drop)
}

/// The most sessions that one call looks at.
const SLICE: usize = 1000;

const LISTENERS: &str = "SELECT 1 FROM webhooks WHERE state = 'enabled' AND events LIKE $1 LIMIT 1";

pub(super) const ENDED: &str = concat!(
    "SELECT ",
    session_columns!(),
    ", expires_at, revoked_at FROM sessions WHERE expires_at >= $1 AND expires_at <= $2 \
     AND (expires_at > $1 OR session_id > $3) ORDER BY expires_at, session_id LIMIT 1000"
);

fn pattern() -> String {
    format!("%\"{}\"%", EventType::SessionExpired.name())
}

struct Tell {
    until: i64,
}

impl Job for Tell {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        // Another instance is telling.
        if !conn.claim("expiries").await? {
            return Ok(false);
        }
        let sql = "SELECT expires_at, session_id FROM webhook_expiries WHERE name = 'told'";
        let Some(mut told) = conn.fetch(sql, Vec::new()).await?.pop() else { return Ok(false) };
        let values = vec![told.int(0)?.into(), self.until.into(), told.text(1)?.into()];
        let ended = conn.fetch(ENDED, values).await?;
        let is_whole = ended.len() == SLICE;
        let ended: Vec<Ended> = ended.into_iter().map(ended_session).collect::<Result<_, _>>()?;
        tell(conn, &ended).await?;
        if let Some(Ended { expires_at, id, .. }) = ended.last() {
            let sql = "UPDATE webhook_expiries SET expires_at = $1, session_id = $2 \
                       WHERE name = 'told'";
            conn.execute(sql, vec![(*expires_at).into(), id.into()]).await?;
        }
        Ok(is_whole)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}

/// A session whose end was reached.
struct Ended {
    tenant: String,
    id: String,
    expires_at: i64,
    /// Names the event.
    cause: String,
    subject: Subject,
    was_revoked: bool,
}

fn ended_session(mut row: Row) -> Result<Ended, Failure> {
    let ((tenant, id), subject) = subscribers::session(&mut row)?;
    let (expires_at, was_revoked) = (row.int(5)?, row.opt_int(6)?.is_some());
    let cause = format!("{} {id}", EventType::SessionExpired.name());
    Ok(Ended { tenant, id, expires_at, cause, subject, was_revoked })
}

/// Queues what is told of sessions, but of those that were revoked before.
async fn tell(conn: &mut Connection, ended: &[Ended]) -> Result<(), Failure> {
    let event = EventType::SessionExpired;
    let mut messages = Vec::new();
    for Ended { tenant, expires_at, cause, subject, .. } in
        ended.iter().filter(|it| !it.was_revoked)
    {
        let listening = subscribers::listening(conn, tenant, event).await?;
        let message = |webhook| Message { tenant, webhook, event, subject, cause, at: *expires_at };
        messages.extend(listening.into_iter().map(message));
    }
    subscribers::queue(conn, messages).await
}
