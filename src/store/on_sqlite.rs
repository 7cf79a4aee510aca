//! The store's tests on SQLite, each in a directory of its own, and what only SQLite has.

mod files;
mod plans;
mod simulation;
#[allow(clippy::duplicate_mod, reason = "one suite, run on each engine")]
#[path = "tests/mod.rs"]
mod tests;

use std::path::Path;

use tempfile::TempDir;

use super::Store;
use crate::domain::database::Database;
use crate::error::Result;
use tests::Tampering;

/// A database of one test's own. It goes with this.
pub(super) struct Place {
    dir: TempDir,
}

impl Place {
    async fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    fn database(&self) -> Database {
        self.dir.path().into()
    }

    /// An instance on it; another one each time.
    async fn open(&self) -> Result<Store> {
        Store::open(&self.database()).await
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Whether the text is anywhere in the database's files.
    async fn holds(&self, text: &str) -> bool {
        let names = ["vestibule.db", "vestibule.db-wal"].map(|name| self.path().join(name));
        let bytes = names.iter().flat_map(|name| std::fs::read(name).unwrap_or_default());
        let bytes: Vec<_> = bytes.collect();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    }
}

/// Table, column, type and whether it may be null, of all tables that are the store's.
pub(super) const COLUMNS: &str = "SELECT m.name, c.name, CASE WHEN c.type = 'INTEGER' THEN 'BIGINT' \
     WHEN c.type = 'BLOB' THEN 'BYTEA' ELSE c.type END, c.\"notnull\" \
     FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c WHERE m.type = 'table' \
     AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' AND m.name NOT LIKE 'sqlite%'";

/// Table and columns of each index, whether it is unique, and whether it holds some rows alone. A
/// table's own order by an integer stands for one.
pub(super) const INDEXES: &str = "SELECT m.name, (SELECT group_concat(name, ',') FROM \
     (SELECT name FROM pragma_index_info(i.name) ORDER BY seqno)), \
     CASE WHEN i.\"unique\" THEN 'unique' ELSE '' END, i.partial \
     FROM sqlite_master AS m JOIN pragma_index_list(m.name) AS i \
     WHERE m.type = 'table' AND m.name NOT LIKE '\\_sqlx%' ESCAPE '\\' \
     UNION ALL SELECT m.name, c.name, 'unique', 0 \
     FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c \
     WHERE m.type = 'table' AND c.pk = 1 AND c.type = 'INTEGER'";

/// As many processes as may begin on one database at once in a test.
const FIRST_STARTS: u8 = 90;

/// What somebody may do to the audit who has the whole database.
const TAMPERING: Tampering = Tampering {
    unlock: &[
        "DROP TRIGGER audit_keeps_its_rows",
        "DROP TRIGGER audit_keeps_its_words",
        "DROP TRIGGER audit_chains_stay",
        "DROP TRIGGER audit_chains_grow",
    ],
    of_an_entry: &[
        "UPDATE audit SET sequence = 'x' WHERE position = $1",
        "UPDATE audit SET happened_at = 'x' WHERE position = $1",
        "UPDATE audit SET previous = zeroblob(31) || x'01' WHERE position = $1",
        "UPDATE audit SET hash = randomblob(32) WHERE position = $1",
        "UPDATE audit SET hash = x'00' WHERE position = $1",
    ],
    of_an_end: &[
        "UPDATE audit_chains SET sequence = 'x' WHERE tenant_id = 'ten_b'",
        "UPDATE audit_chains SET hash = randomblob(32) WHERE tenant_id = 'ten_b'",
    ],
};
