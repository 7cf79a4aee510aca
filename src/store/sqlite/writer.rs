//! The one connection that writes to SQLite.
//!
//! It runs each statement on the thread that asks. sqlx, which reads, hands statements to a thread
//! of each connection: in a batch, the switches there and back cost more than the statements.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OpenFlags, Statement, ToSql};

use super::checkpoints::{Checkpoints, Shared};
use super::{BUSY, COMMON, STATEMENTS, WRITING, is_of_statement};
use crate::error::{Error, Result};
use crate::store::engine::{self, Cell, Failure, Row, Sql, Value};

/// Below this, SQLite can lose a committed transaction when a WAL is reset.
const OLDEST_SOUND: [u32; 3] = [3, 51, 3];

/// See the module. Its calls block until the database has answered.
pub(in crate::store) struct Writer {
    conn: rusqlite::Connection,
    /// What it is connected to, and how.
    file: PathBuf,
    settings: &'static [(&'static str, &'static str)],
    /// Of a service's database.
    checkpoints: Option<Checkpoints>,
    /// Held for as long as the database may be written to; see [`super::hold_alone`].
    pub(super) in_use: Option<File>,
    /// Texts of grouped statements by head, tail and number of rows.
    texts: HashMap<(&'static str, &'static str, usize), String>,
}

impl Writer {
    /// Opens a file that is there, as it is: nothing is migrated.
    pub(in crate::store) fn of(file: &Path) -> Result<Self, Failure> {
        Self::open(file, &[])
    }

    /// Opens a file that was migrated, to be written to by a service.
    pub(super) fn of_service(file: &Path) -> Result<Self, Failure> {
        let checkpoints = Some(Checkpoints::of(file));
        Ok(Self { checkpoints, ..Self::open(file, WRITING)? })
    }

    fn open(
        file: &Path,
        settings: &'static [(&'static str, &'static str)],
    ) -> Result<Self, Failure> {
        let (conn, file) = (connect(file, settings)?, file.to_owned());
        let texts = HashMap::new();
        Ok(Self { conn, file, settings, checkpoints: None, in_use: None, texts })
    }

    pub(in crate::store) fn begin(&mut self) -> Result<(), Failure> {
        // IMMEDIATE: a transaction that begins by reading could not become a writer when another
        // process writes in between.
        self.execute(Sql::Text("BEGIN IMMEDIATE"), &[]).map(drop)
    }

    pub(in crate::store) fn commit(&mut self) -> Result<(), Failure> {
        self.execute(Sql::Text("COMMIT"), &[])?;
        if let Some(checkpoints) = &mut self.checkpoints {
            checkpoints.committed(&self.conn);
        }
        Ok(())
    }

    /// Moves the log into the database and empties it; false when a reader still needs it.
    pub(in crate::store) fn checkpoint(&mut self) -> Result<bool, Failure> {
        let shared = self.checkpoints.as_ref().map(Checkpoints::shared);
        let _alone = shared.as_deref().map(Shared::alone);
        let row = self.fetch(Sql::Text("PRAGMA wal_checkpoint(TRUNCATE)"), &[])?.pop();
        row.map_or(Ok(true), |mut row| Ok(row.int(0)? == 0))
    }

    pub(in crate::store) fn recover(&mut self) {
        if self.execute(Sql::Text("ROLLBACK"), &[]).is_ok() {
            return;
        }
        match connect(&self.file, self.settings) {
            Ok(conn) => self.conn = conn,
            Err(error) => tracing::error!(?error, "the store's writer cannot reconnect"),
        }
    }

    pub(in crate::store) fn close(self) {
        // The last connection to close empties the log.
        drop(self.checkpoints);
        if let Err((_, error)) = self.conn.close() {
            tracing::warn!(%error, "the store's writer did not close cleanly");
        }
    }

    pub(in crate::store) fn execute(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        self.fetch(sql, values)?;
        Ok(self.conn.changes())
    }

    pub(in crate::store) fn fetch(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let text = match sql {
            Sql::Text(text) => text,
            Sql::Rows(rows, count) => {
                let text = self.texts.entry((rows.head, rows.tail, count));
                text.or_insert_with(|| render(rows, count))
            }
        };
        let mut statement = self.conn.prepare_cached(text).map_err(failure)?;
        bind(&mut statement, values)?;
        let columns = statement.column_count();
        let (mut found, mut rows) = (Vec::new(), statement.raw_query());
        while let Some(row) = rows.next().map_err(failure)? {
            let cells: Result<_, Failure> = (0..columns).map(|at| cell(row, at)).collect();
            found.push(Row(cells?));
        }
        Ok(found)
    }

    pub(super) fn refuse_unsound_library(&mut self) -> Result<()> {
        let row = self.fetch(Sql::Text("SELECT sqlite_version()"), &[])?.pop();
        let version = row.map_or(Ok(String::new()), |mut row| row.text(0))?;
        let parts: Vec<u32> = version.split('.').filter_map(|part| part.parse().ok()).collect();
        if parts.as_slice() >= OLDEST_SOUND.as_slice() {
            return Ok(());
        }
        Err(Error::Internal(format!(
            "SQLite {version} can lose committed data; build with 3.51.3 or newer"
        )))
    }
}

pub(super) fn connect(
    file: &Path,
    settings: &[(&str, &str)],
) -> Result<rusqlite::Connection, Failure> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let conn = rusqlite::Connection::open_with_flags(file, flags)?;
        conn.busy_timeout(BUSY)?;
        conn.set_prepared_statement_cache_capacity(STATEMENTS);
        for (name, value) in COMMON.iter().chain(settings) {
            conn.execute_batch(&format!("PRAGMA {name} = {value}"))?;
        }
        Ok(conn)
    };
    open().map_err(failure)
}

/// SQLite finds a numbered placeholder by walking a list, which makes hundreds of them slow; bare
/// ones cost nothing.
fn render(rows: &engine::Rows, count: usize) -> String {
    let row = format!("({})", vec!["?"; rows.columns].join(","));
    format!("{} {} {}", rows.head, vec![row; count].join(","), rows.tail)
}

/// Bare placeholders go by their place, `$2` by its number: to SQLite that is a name like any other.
fn bind(statement: &mut Statement<'_>, values: &[Value<'_>]) -> Result<(), Failure> {
    for at in 1..=statement.parameter_count() {
        let number = match statement.parameter_name(at) {
            None => Some(at),
            Some(name) => name.trim_start_matches('$').parse().ok(),
        };
        let value = number.and_then(|number: usize| values.get(number.checked_sub(1)?));
        let value = value
            .ok_or_else(|| Failure::Statement(format!("there is no value for placeholder {at}")))?;
        statement.raw_bind_parameter(at, value).map_err(failure)?;
    }
    Ok(())
}

impl ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Int(value) => value.map_or(ValueRef::Null, ValueRef::Integer),
            Self::Text(value) => {
                value.as_ref().map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes()))
            }
            Self::Bytes(value) => {
                value.as_ref().map_or(ValueRef::Null, |bytes| ValueRef::Blob(bytes))
            }
        }))
    }
}

fn cell(row: &rusqlite::Row<'_>, at: usize) -> Result<Cell, Failure> {
    let foreign =
        |what| Failure::Statement(format!("column {at} is {what}, which the store never writes"));
    Ok(match row.get_ref(at).map_err(failure)? {
        ValueRef::Null => Cell::Null,
        ValueRef::Integer(value) => Cell::Int(value),
        ValueRef::Text(text) => {
            let text = String::from_utf8(text.to_vec());
            Cell::Text(text.map_err(|_| foreign("text in another encoding"))?)
        }
        ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
        ValueRef::Real(_) => return Err(foreign("REAL")),
    })
}

pub(super) fn failure(error: rusqlite::Error) -> Failure {
    let of_statement = match &error {
        rusqlite::Error::SqliteFailure(why, _) => is_of_statement(why.extended_code),
        _ => true,
    };
    let why = format!("the database: {error}");
    if of_statement { Failure::Statement(why) } else { Failure::Gone(why) }
}
