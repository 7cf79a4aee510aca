//! SQLite: how its connections are made and migrated, and those that read. [`Writer`] is the one
//! that writes.
//!
//! Knows no table but `_sqlx_migrations`.

mod checkpoints;
mod writer;

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteValueRef,
};
use sqlx::{
    Arguments as _, ConnectOptions as _, Connection as _, Decode, Row as _, Sqlite, TypeInfo as _,
    ValueRef as _,
};
use tokio::sync::Notify;

use super::engine::{self, Cell, Failure, Row, Value};
use super::migrations::{self, Known, Migrations};
use crate::error::{Error, Result};
pub(super) use writer::Writer;

const MIGRATIONS: &[Known] = &[
    (1, "start", include_str!("migrations/0001_start.sqlite.sql")),
    (2, "sessions", include_str!("migrations/0002_sessions.sqlite.sql")),
    (3, "keys", include_str!("migrations/0003_keys.sqlite.sql")),
    (4, "idempotency", include_str!("migrations/0004_idempotency.sqlite.sql")),
    (5, "limits", include_str!("migrations/0005_limits.sqlite.sql")),
    (6, "audit", include_str!("migrations/0006_audit.sqlite.sql")),
    (7, "webhooks", include_str!("migrations/0007_webhooks.sqlite.sql")),
    (8, "signing_keys", include_str!("migrations/0008_signing_keys.sqlite.sql")),
    (9, "store_indexes", include_str!("migrations/0009_store_indexes.sqlite.sql")),
    (10, "signing_algorithm", include_str!("migrations/0010_signing_algorithm.sqlite.sql")),
    (11, "replays", include_str!("migrations/0011_replays.sqlite.sql")),
];

const READERS: u32 = 4;

/// How long a statement waits for another process that writes (an operator's command).
const BUSY: Duration = Duration::from_secs(2);

/// Enough for every row count of every grouped statement.
const STATEMENTS: usize = 512;

/// What is set on every connection.
const COMMON: &[(&str, &str)] = &[("foreign_keys", "ON")];

/// What is set on the one that writes, too.
const WRITING: &[(&str, &str)] = &[
    ("journal_mode", "WAL"),
    ("synchronous", "FULL"),
    // Only where the log grows although it is moved beside the writer; see [`checkpoints`].
    ("wal_autocheckpoint", "24000"),
    ("journal_size_limit", "134217728"),
    // Each commit walks the cache's table; what is written lies close together, so a few megabytes
    // are enough.
    ("cache_size", "-4096"),
    // What is erased is gone from the file, not only from its lists.
    ("secure_delete", "ON"),
    // Statements of many rows keep what they overwrite until they end: not in files.
    ("temp_store", "MEMORY"),
];

/// Opens the database in `data_dir`, made and migrated as needed: one writer, a few readers.
/// `queued` is told of every delivery that is queued.
///
/// # Errors
/// `Unavailable` when the directory or the file cannot be used; `Internal` when the library is too
/// old or the file is of another making.
pub(super) async fn open(
    data_dir: &Path,
    queued: Arc<Notify>,
) -> Result<(engine::Connection, engine::Readers)> {
    let file = file(data_dir);
    let (lock, in_use) = lock(data_dir.to_owned()).await?;
    make_private(&file).map_err(|error| unusable(&file, &error))?;
    // First, as it refuses an unsound library, and keeps the log from being removed behind a migration.
    let mut writer = Writer::of_service(&file)?;
    writer.in_use = Some(in_use);
    writer.refuse_unsound_library()?;
    migrate(&file, MIGRATIONS).await?;
    drop(lock);
    let options = SqlitePoolOptions::new()
        .max_connections(READERS)
        .min_connections(1)
        .acquire_timeout(Duration::from_secs(1))
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None);
    let pool =
        options.connect_with(common_options(&file).read_only(true)).await.map_err(failure)?;
    let readers = Readers { pool, queries: Arc::default() };
    Ok((engine::Connection::sqlite(writer, queued), engine::Readers::Sqlite(readers)))
}

/// Opens the database in `data_dir` to be read and left as it is.
///
/// # Errors
/// `Unavailable` when the file cannot be read.
pub(super) async fn inspect(data_dir: &Path) -> Result<engine::Readers> {
    let options = SqlitePoolOptions::new().max_connections(1).min_connections(1);
    let pool = options.connect_with(inspecting(&file(data_dir))).await.map_err(failure)?;
    Ok(engine::Readers::Sqlite(Readers { pool, queries: Arc::default() }))
}

/// What was applied to the database in `data_dir`; `None` when there is none.
///
/// # Errors
/// `Unavailable` when the file cannot be read.
pub(super) async fn migrations(data_dir: &Path) -> Result<Option<Migrations>> {
    let file = file(data_dir);
    if !file.exists() {
        return Ok(None);
    }
    let mut conn = inspecting(&file).connect().await.map_err(failure)?;
    let made = "SELECT 1 FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let applied: Vec<i64> = match sqlx::query(made).fetch_optional(&mut conn).await {
        Ok(None) => Vec::new(),
        Ok(Some(_)) => {
            let sql = "SELECT version FROM _sqlx_migrations WHERE success";
            sqlx::query_scalar(sql).fetch_all(&mut conn).await.map_err(failure)?
        }
        Err(error) => return Err(failure(error).into()),
    };
    conn.close().await.map_err(failure)?;
    Ok(Some(Migrations::of(MIGRATIONS, &applied)))
}

/// Where the database of a data directory lies.
pub(super) fn file(data_dir: &Path) -> PathBuf {
    data_dir.join("vestibule.db")
}

/// The connections that read, opened read-only.
#[derive(Clone)]
pub(super) struct Readers {
    pool: SqlitePool,
    /// Queries since the start.
    queries: Arc<AtomicU64>,
}

impl Readers {
    pub(super) async fn fetch(
        &self,
        text: &'static str,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        cells(sqlx::query_with(text, arguments(values)?).fetch_all(&self.pool).await)
    }

    pub(super) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn arguments(values: Vec<Value<'_>>) -> Result<SqliteArguments, Failure> {
    let mut arguments = SqliteArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        let added = match value {
            Value::Int(value) => arguments.add(value),
            Value::Text(value) => arguments.add(value.map(|text| text.into_owned())),
            Value::Bytes(value) => arguments.add(value.map(|bytes| bytes.into_owned())),
        };
        added.map_err(|error| Failure::Statement(error.to_string()))?;
    }
    Ok(arguments)
}

fn cells(rows: Result<Vec<SqliteRow>, sqlx::Error>) -> Result<Vec<Row>, Failure> {
    let row = |row: &SqliteRow| {
        let cells: Result<_, sqlx::Error> = (0..row.len()).map(|at| cell(row, at)).collect();
        cells.map(Row)
    };
    rows.and_then(|rows| rows.iter().map(row).collect()).map_err(failure)
}

fn cell(row: &SqliteRow, at: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let decoded = match value.type_info().name() {
        "INTEGER" => decode(value).map(Cell::Int),
        "TEXT" => decode(value).map(Cell::Text),
        "BLOB" => decode(value).map(Cell::Bytes),
        other => Err(format!("column {at} is {other}, which the store never writes").into()),
    };
    decoded.map_err(sqlx::Error::Decode)
}

fn decode<'r, T: Decode<'r, Sqlite>>(value: SqliteValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(value)
}

/// Tells by SQLite's result code a statement's own fault from a database that cannot serve now.
fn is_of_statement(code: i32) -> bool {
    // ERROR, TOOBIG, CONSTRAINT, MISMATCH, RANGE.
    [1, 18, 19, 20, 25].contains(&(code & 0xff))
}

fn failure(error: sqlx::Error) -> Failure {
    let of_statement = match &error {
        sqlx::Error::Database(error) => {
            error.code().and_then(|code| code.parse().ok()).is_none_or(is_of_statement)
        }
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => true,
        _ => false,
    };
    let why = format!("the database: {error}");
    if of_statement { Failure::Statement(why) } else { Failure::Gone(why) }
}

fn common_options(file: &Path) -> SqliteConnectOptions {
    let options = SqliteConnectOptions::new()
        .filename(file)
        .busy_timeout(BUSY)
        .statement_cache_capacity(STATEMENTS)
        .disable_statement_logging();
    COMMON.iter().fold(options, |options, (name, value)| options.pragma(*name, *value))
}

/// A database without a log beside it is open nowhere. Reading it as one that may be would make a
/// log, which a reader cannot take away again.
fn inspecting(file: &Path) -> SqliteConnectOptions {
    let is_open_somewhere = file.with_extension("db-wal").exists();
    common_options(file).read_only(true).immutable(!is_open_somewhere)
}

/// Makes the file what this release needs.
async fn migrate(file: &Path, known: &[Known]) -> Result<()> {
    let options = common_options(file).create_if_missing(true);
    let options =
        WRITING.iter().fold(options, |options, (name, value)| options.pragma(*name, *value));
    let mut conn = options.connect().await.map_err(failure)?;
    let migrated = migrations::migrator(known).run_direct(None, &mut conn, false).await;
    conn.close().await.map_err(failure)?;
    migrated.map_err(migrations::failed)
}

/// sqlx takes no lock of its own on SQLite, and of many first starts most would fail.
/// Beside it, what tells [`hold_alone`] that the database is open.
async fn lock(data_dir: PathBuf) -> Result<(File, File)> {
    beside(move || {
        std::fs::create_dir_all(&data_dir).map_err(|error| unusable(&data_dir, &error))?;
        let path = data_dir.join(".lock");
        let file = private().open(&path).map_err(|error| unusable(&path, &error))?;
        file.lock().map_err(|error| unusable(&path, &error))?;
        Ok((file, hold(&data_dir, File::lock_shared)?))
    })
    .await
}

/// Does what blocks on a thread where nobody else waits.
pub(super) async fn beside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Error::Internal(format!("it was interrupted: {error}")))?
}

/// Holds the database of a data directory for one program alone, until the file is closed; `None`
/// while others have it open.
pub(super) fn hold_alone(data_dir: &Path) -> Result<Option<File>> {
    let mut is_free = true;
    let file = hold(data_dir, |file| match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            is_free = false;
            Ok(())
        }
        Err(TryLockError::Error(error)) => Err(error),
    })?;
    Ok(is_free.then_some(file))
}

fn hold(data_dir: &Path, lock: impl FnOnce(&File) -> std::io::Result<()>) -> Result<File> {
    let path = data_dir.join(".in-use");
    let file = private().open(&path).map_err(|error| unusable(&path, &error))?;
    lock(&file).map_err(|error| unusable(&path, &error))?;
    Ok(file)
}

/// The log and the shared memory beside it take over the file's mode.
fn make_private(file: &Path) -> std::io::Result<()> {
    private().open(file).map(drop)
}

fn private() -> OpenOptions {
    let mut options = File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn unusable(path: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!(
        "{} cannot be used: {error}; give a data directory that this user may write",
        path.display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::engine::Sql;

    fn run(writer: &mut Writer, sql: &'static str) {
        writer.execute(Sql::Text(sql), &[]).expect(sql);
    }

    #[tokio::test]
    async fn sessions_of_the_first_release_keep_what_they_are_asked_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("vestibule.db");
        migrate(&file, &MIGRATIONS[..1]).await.expect("migrates");
        let mut writer = Writer::of_service(&file).expect("opens");
        run(&mut writer, "INSERT INTO tenants VALUES ('t', 'A', 'open', x'00', 0, NULL)");
        run(
            &mut writer,
            "INSERT INTO keys VALUES ('t', 'k', 'l', 'embed', 'K', 'active', '{}', '[]', 0)",
        );
        run(
            &mut writer,
            "INSERT INTO conversations VALUES ('t', 'c-1', 'm', 0, NULL, '{}', 0, NULL), \
             ('t', 'c-2', NULL, 0, NULL, '{}', 0, NULL)",
        );
        run(
            &mut writer,
            "INSERT INTO sessions (tenant_id, session_id, key_id, key_generation, token_id, \
             surface, issued_at, expires_at, granted, conversation_id) VALUES \
             ('t', 's1', 'k', 1, 'x', 'embed', 1999, 901000, '{\"employee\":\"e\",\"chat\":\"d\"}', NULL), \
             ('t', 's2', 'k', 0, 'x', 'iframe', 1000, 61000, '{\"uid\":\"u\"}', NULL), \
             ('t', 's3', 'k', 0, 'x', 'chat', 1000, 3601000, '{}', 'c-1'), \
             ('t', 's4', 'k', 0, 'x', 'chat', 1000, 3601000, '{}', 'c-2')",
        );
        migrate(&file, MIGRATIONS).await.expect("migrates");
        let sql = "SELECT subject, chat, ttl_s FROM sessions ORDER BY session_id";
        let rows = writer.fetch(Sql::Text(sql), &[]).expect("reads");
        let read = |mut row: Row| {
            let texts = (row.opt_text(0).expect("text"), row.opt_text(1).expect("text"));
            (
                texts.0.unwrap_or_default(),
                texts.1.unwrap_or_default(),
                row.int(2).expect("a number"),
            )
        };
        let expected = [("employee:e", "d", 900), ("uid:u", "", 60)];
        let of_widgets = [("customer:m", "c-1", 3600), ("", "c-2", 3600)];
        let expected = expected.into_iter().chain(of_widgets);
        let expected = expected.map(|(a, b, ttl)| (a.to_owned(), b.to_owned(), ttl));
        assert!(rows.into_iter().map(read).eq(expected));
    }
}
