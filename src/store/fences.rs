//! What stands between a database that was put back and what it has lost: signatures that were used
//! and sessions that were ended since it was copied.
//!
//! A copy is marked as one until its fence is complete. The fence is an instant: what was signed up
//! to it is not taken any more, and every session from before it has ended. Knows no file.

use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::engine::{Connection, Failure, Row, Value, to_json};
use super::locks::Reach;
use super::session_rows::{from_sessions, overview, overview_columns};
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit, meta};
use crate::domain::session::AuditEntry;
use crate::error::Result;

/// That a database is a copy whose fence is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// When it was taken, milliseconds since 1970; `None` when nobody knows.
    pub taken_at: Option<i64>,
}

/// The most sessions of one write.
pub(super) const SLICE: usize = 250;

impl Store {
    /// What the database says of being a copy; `None` when it is none, or its fence is complete.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn copied(&self) -> Result<Option<Copied>> {
        let row = self.readers.fetch(MARKED, Vec::new()).await?.pop();
        Ok(row.map(copied).transpose()?)
    }

    /// The instant of the fence, milliseconds since 1970, as it was last heard of; the beginning of
    /// time when there is none.
    pub fn fenced_at(&self) -> i64 {
        self.fence.load(Ordering::Relaxed)
    }

    /// Hears of the fence: it may have been put up by a command.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was known stays.
    pub async fn hear_of_fence(&self) -> Result<()> {
        if let Some(at) = self.recall_number(FENCE).await? {
            self.fence.store(at, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Begins a fence at `at` (milliseconds), or moves it there. Until it is complete the database
    /// is marked as a copy, so that no service starts on it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn begin_fence(&self, at: i64) -> Result<()> {
        self.writer.run(Begin { at }).await?;
        self.hear_of_fence().await
    }

    /// Ends at most [`SLICE`] of the sessions behind the id `after` that have not ended by `now`
    /// (milliseconds), whoever opened them and whenever; how many, and where to go on unless that was all.
    /// `entry` makes the line of the audit of one, but for its target and what is said of it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn end_before_fence(
        &self,
        now: i64,
        after: String,
        entry: impl Fn(&str) -> AuditEntry + Send + Sync + 'static,
    ) -> Result<(u64, Option<String>)> {
        self.writer.run(End { now, after, entry }).await
    }

    /// Completes a fence: the database is no copy any more.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn complete_fence(&self, audit: AuditEntry) -> Result<()> {
        self.writer.run(Complete { audit }).await
    }

    /// How often this database was moved forward; 0 when no service has started on it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn epoch(&self) -> Result<i64> {
        Ok(self.recall_number(EPOCH).await?.unwrap_or_default())
    }

    /// Moves the database forward, beyond `at_least` too; its epoch then.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn advance_epoch(&self, at_least: i64) -> Result<i64> {
        self.writer.run(Advance { at_least }).await
    }
}

const FENCE: &str = "fence";
const EPOCH: &str = "epoch";

/// What a copy says of itself.
pub(super) const MARKED: &str = "SELECT value FROM meta WHERE name = 'copied'";
pub(super) const MARK: &str =
    "INSERT INTO meta (name, value) VALUES ('copied', $1) ON CONFLICT (name) DO NOTHING";
const UNMARK: &str = "DELETE FROM meta WHERE name = 'copied'";

pub(super) fn marked(copied: &Copied) -> Result<Vec<Value<'static>>, Failure> {
    Ok(vec![Value::Bytes(Some(to_json(copied)?.into_bytes().into()))])
}

pub(super) fn copied(mut row: Row) -> Result<Copied, Failure> {
    serde_json::from_slice(&row.bytes(0)?).map_err(|error| {
        Failure::Statement(format!("what a copy says of itself is unreadable: {error}"))
    })
}

struct Begin {
    at: i64,
}

impl Job for Begin {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        conn.execute(MARK, marked(&Copied { taken_at: None })?).await?;
        meta::remember_number(conn, FENCE, self.at).await
    }

    fn forget(&self, _: &mut Stale) {}
}

struct End<E> {
    now: i64,
    after: String,
    entry: E,
}

pub(super) const LIVING: &str = concat!(
    "SELECT ",
    overview_columns!(),
    from_sessions!(),
    "WHERE s.session_id > $1 AND s.expires_at > $2 \
     AND (s.revoked_at IS NULL OR s.revoked_at > $2) ORDER BY s.session_id LIMIT $3"
);
const END: &str = "UPDATE sessions SET revoked_at = $3 WHERE session_id > $1 AND session_id <= $2 \
                   AND expires_at > $3 AND (revoked_at IS NULL OR revoked_at > $3)";

impl<E: Fn(&str) -> AuditEntry + Send + Sync + 'static> Job for End<E> {
    type Answer = (u64, Option<String>);

    async fn run(&self, conn: &mut Connection) -> Result<Self::Answer, Failure> {
        let Self { now, after, entry } = self;
        let limit = i64::try_from(SLICE).unwrap_or(i64::MAX);
        let values = vec![after.into(), (*now).into(), Value::from(limit)];
        let found = conn.fetch(LIVING, values).await?.into_iter().map(overview);
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let Some(last) = found.last() else { return Ok((0, None)) };
        conn.execute(END, vec![after.into(), (&last.id).into(), (*now).into()]).await?;
        let lines = found.iter().map(|session| AuditEntry {
            target: session.id.clone(),
            subject: session.subject.clone(),
            ..entry(&session.tenant)
        });
        audit::insert(conn, &lines.collect::<Vec<_>>()).await?;
        let next = (found.len() == SLICE).then(|| last.id.clone());
        Ok((found.len() as u64, next))
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Sessions);
    }
}

struct Complete {
    audit: AuditEntry,
}

impl Job for Complete {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        conn.execute(UNMARK, Vec::new()).await?;
        audit::insert(conn, [&self.audit]).await
    }

    fn forget(&self, _: &mut Stale) {}
}

struct Advance {
    at_least: i64,
}

impl Job for Advance {
    type Answer = i64;

    async fn run(&self, conn: &mut Connection) -> Result<i64, Failure> {
        let stored = meta::recalled_number(conn, EPOCH).await?;
        let next = stored.unwrap_or_default().max(self.at_least) + 1;
        meta::remember_number(conn, EPOCH, next).await?;
        Ok(next)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::Work("epoch")
    }

    fn forget(&self, _: &mut Stale) {}
}
