//! Facts about the database itself: the key-check row and the like.

use super::Store;
use super::cache::Caches;
use super::engine::{Connection, Failure};
use super::writer::Job;
use crate::error::Result;

impl Store {
    /// The value remembered under `name`.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn recall(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let row = self.readers.fetch(SELECT, vec![name.into()]).await?.pop();
        Ok(row.map(|mut row| row.bytes(0)).transpose()?)
    }

    /// Remembers `value` under `name` unless something is remembered there; what now is. Of many
    /// first starts, one writes and all get the same answer.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn remember(&self, name: &str, value: &[u8]) -> Result<Vec<u8>> {
        self.writer.run(Remember { name: name.into(), value: value.into() }).await
    }
}

const SELECT: &str = "SELECT value FROM meta WHERE name = $1";

struct Remember {
    name: String,
    value: Vec<u8>,
}

impl Job for Remember {
    type Answer = Vec<u8>;

    async fn run(&self, conn: &mut Connection) -> Result<Vec<u8>, Failure> {
        let sql = "INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let values = vec![self.name.as_str().into(), self.value.as_slice().into()];
        conn.execute(sql, values).await?;
        let row = conn.fetch(SELECT, vec![self.name.as_str().into()]).await?.pop();
        row.map_or_else(|| Ok(self.value.clone()), |mut row| row.bytes(0))
    }

    fn forget(&self, _: &Caches) {}
}

/// Writes nothing, to see whether the writer could.
pub(super) struct Nothing;

impl Job for Nothing {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        conn.fetch("SELECT 1", Vec::new()).await.map(drop)
    }

    fn forget(&self, _: &Caches) {}
}
