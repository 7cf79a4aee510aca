//! Facts about the database itself, each under a name, such as the key-check row by which wrong
//! master keys are known.

use super::Store;
use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::domain::sealing::Sealed;
use crate::error::Result;

impl Store {
    /// The key-check row; `None` in a database that no service has started on.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key_check(&self) -> Result<Option<Sealed>> {
        Ok(self.recall(KEY_CHECK).await?.map(Sealed))
    }

    /// The value remembered under a name.
    pub(super) async fn recall(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let row = self.readers.fetch(SELECT, vec![name.into()]).await?.pop();
        Ok(row.map(|mut row| row.bytes(0)).transpose()?)
    }

    /// The number remembered under a name.
    pub(super) async fn recall_number(&self, name: &str) -> Result<Option<i64>> {
        Ok(self.recall(name).await?.map(|stored| number(&stored)).transpose()?)
    }

    /// Remembers a key-check row unless there is one; what now is there. Of many first starts, one
    /// writes and all get the same answer.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn remember_key_check(&self, check: &Sealed) -> Result<Sealed> {
        self.writer.run(RememberKeyCheck { check: check.clone() }).await
    }
}

const SELECT: &str = "SELECT value FROM meta WHERE name = $1";
const REMEMBER: &str = "INSERT INTO meta (name, value) VALUES ($1, $2) \
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value";

/// What the running transaction finds under a name.
pub(super) async fn recalled(
    conn: &mut Connection,
    name: &str,
) -> Result<Option<Vec<u8>>, Failure> {
    let row = conn.fetch(SELECT, vec![name.into()]).await?.pop();
    row.map(|mut row| row.bytes(0)).transpose()
}

/// [`recalled`], where a number is remembered.
pub(super) async fn recalled_number(
    conn: &mut Connection,
    name: &str,
) -> Result<Option<i64>, Failure> {
    recalled(conn, name).await?.map(|stored| number(&stored)).transpose()
}

/// Remembers a number under a name, whatever was there.
pub(super) async fn remember_number(
    conn: &mut Connection,
    name: &str,
    value: i64,
) -> Result<(), Failure> {
    remember(conn, name, value.to_string().as_bytes()).await
}

async fn remember(conn: &mut Connection, name: &str, value: &[u8]) -> Result<(), Failure> {
    conn.execute(REMEMBER, vec![name.into(), value.into()]).await.map(drop)
}

fn number(stored: &[u8]) -> Result<i64, Failure> {
    let text = std::str::from_utf8(stored).ok();
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Failure::Statement("a number of the database itself is none".to_owned()))
}

/// The name of the key-check row.
pub(super) const KEY_CHECK: &str = "key_check";

struct RememberKeyCheck {
    check: Sealed,
}

impl Job for RememberKeyCheck {
    type Answer = Sealed;

    async fn run(&self, conn: &mut Connection) -> Result<Sealed, Failure> {
        let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        conn.execute(sql, vec![KEY_CHECK.into(), self.check.0.as_slice().into()]).await?;
        let kept = recalled(conn, KEY_CHECK).await?;
        Ok(kept.map_or_else(|| self.check.clone(), Sealed))
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}

/// Writes what is there already, to see whether the writer can: what writes nothing succeeds on a
/// disk that is full or read-only, too.
pub(super) struct Touch;

impl Job for Touch {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        remember(conn, "touched", b"").await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}
