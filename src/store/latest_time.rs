//! The latest time by which anything expired here, so that no clock begins before it again: what is
//! removed by a clock that was ahead is not known any more to one that has come back.

use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use super::{Store, meta};
use crate::error::{Error, Result};

/// How far this machine's clock may be ahead of the database server's, milliseconds, before nothing is
/// removed by it: other instances would be asked for what they still need.
const MOST_AHEAD_MS: i64 = 60_000;

impl Store {
    /// The latest time that was remembered, milliseconds since 1970; the beginning of time when none
    /// was.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn latest_time(&self) -> Result<i64> {
        Ok(self.recall_number(LATEST).await?.unwrap_or_default())
    }

    /// Remembers that it was `now` (milliseconds since 1970) unless it was later already. To be done
    /// before anything is removed by that time.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer, or its server's clock says that this one is
    /// wrong.
    pub async fn remember_time(&self, now: i64) -> Result<()> {
        if let Some(server) = self.readers.server_time().await?
            && now.saturating_sub(server) > MOST_AHEAD_MS
        {
            let ahead = (now - server) / 1000;
            return Err(Error::Unavailable(format!(
                "this machine's clock is {ahead} s ahead of the database server's; set both by NTP"
            )));
        }
        self.writer.run(Remember { now, is_later_alone: true }).await
    }

    /// Remembers `now` though it was later already: that was a clock which was wrong.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub(crate) async fn set_time(&self, now: i64) -> Result<()> {
        self.writer.run(Remember { now, is_later_alone: false }).await
    }
}

const LATEST: &str = "latest_time";

struct Remember {
    now: i64,
    is_later_alone: bool,
}

impl Job for Remember {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let known = meta::recalled_number(conn, LATEST).await?;
        if self.is_later_alone && known.is_some_and(|known| known >= self.now) {
            return Ok(());
        }
        meta::remember_number(conn, LATEST, self.now).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::Work(LATEST)
    }

    fn forget(&self, _: &mut Stale) {}
}
