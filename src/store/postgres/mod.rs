//! PostgreSQL: how its connections are made and what is asked of the server before it is trusted.
//!
//! Any number of instances share a database. Nothing here outlives a transaction on the server but
//! settings that every connection makes alike, so that a pooler may stand in between. Knows no
//! table but `_sqlx_migrations`.

mod cells;
mod listener;
mod pulse;
mod readers;
mod writer;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Row as _};
use tokio::sync::Notify;

use super::cache::Caches;
use super::engine::{self, Failure};
use super::migrations::{self, Known, Migrations};
use crate::domain::database::Postgres;
use crate::error::{Error, Result};
use cells::failure;
use pulse::Pulse;

pub(super) use listener::Listener;
pub(super) use readers::Readers;
pub(super) use writer::Writer;
#[cfg(test)]
pub(super) use writer::begin_text;

/// A later one has the number of its SQLite twin.
const MIGRATIONS: &[Known] = &[
    (10, "start", include_str!("../migrations/0010_start.postgres.sql")),
    (11, "replays", include_str!("../migrations/0011_replays.postgres.sql")),
];

/// How long a connection may take to be made, or to be free, and how long a server may say nothing
/// at all.
const ACQUIRE: Duration = Duration::from_secs(1);

/// How long the server may work on one statement.
const STATEMENT: Duration = Duration::from_secs(2);

/// How long it may wait for a lock in there.
const LOCK: Duration = Duration::from_secs(1);

/// How long the first connection may take: nobody waits for an answer yet.
const START: Duration = Duration::from_secs(10);

/// When a connection that says nothing is given up, if its server lives: later than that would have
/// given up itself.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a start waits while others migrate.
const MIGRATION: Duration = Duration::from_secs(60);

/// The oldest release whose functions the store knows.
const OLDEST: u32 = 150_000;

/// Enough for every statement.
const STATEMENTS: usize = 256;

/// Where instances tell each other what they changed.
const CHANNEL: &str = "vestibule";

/// The lock under which one start migrates and the others wait.
const MIGRATING: i64 = -1;

/// Each transaction that writes shares a lock of this less the last position of the audit that was
/// drawn when it began: all that it draws lie behind.
const MARK: i64 = -1000;

const LAST_DRAWN: &str =
    "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM audit_position_seq";

/// Connects to the database at `at`, migrated as needed: one writer, a few readers. `queued` is
/// told of every delivery that is queued.
///
/// # Errors
/// `Unavailable` when it cannot be reached; `Internal` when it would lose what it acknowledged or
/// is of another making.
pub(super) async fn open(
    at: &Postgres,
    queued: Arc<Notify>,
) -> Result<(engine::Connection, engine::Readers)> {
    let options = options(at)?;
    migrate(&options).await?;
    let pulse = Arc::new(Pulse::new(options.clone()));
    let writer = Writer::connect(options.clone(), at.is_pooled, Arc::clone(&pulse)).await?;
    let readers = Readers::new(options, at.is_pooled, pulse);
    readers.warm().await?;
    Ok((engine::Connection::postgres(writer, queued), engine::Readers::Postgres(readers)))
}

/// Drops from memory what other instances of the database change, as soon as they tell. Nothing, when
/// there is no way past a pooler: it hears for nobody.
///
/// # Errors
/// `Unavailable` when the address cannot be used.
pub(super) fn listen(at: &Postgres, caches: Arc<Caches>) -> Result<Option<Listener>> {
    let url = match &at.listen_url {
        None if at.is_pooled => return Ok(None),
        None => at.url.clone(),
        Some(url) => url.clone(),
    };
    let direct = Postgres { url, is_pooled: false, listen_url: None };
    Ok(Some(Listener::start(options(&direct)?, caches)))
}

/// Connects to the database at `at` to read it and leave it as it is.
///
/// # Errors
/// `Unavailable` when it cannot be reached.
pub(super) async fn inspect(at: &Postgres) -> Result<engine::Readers> {
    let options = options(at)?;
    Session::begin(&options, START).await?.close().await;
    let pulse = Arc::new(Pulse::new(options.clone()));
    Ok(engine::Readers::Postgres(Readers::new(options, at.is_pooled, pulse)))
}

/// What was applied to the database at `at`.
///
/// # Errors
/// `Unavailable` when it cannot be reached.
pub(super) async fn migrations(at: &Postgres) -> Result<Option<Migrations>> {
    let mut session = Session::begin(&options(at)?, START).await?;
    let versions = applied(&mut session.conn).await.map_err(failure);
    session.close().await;
    let versions = versions?;
    Ok((!versions.is_empty()).then(|| Migrations::of(MIGRATIONS, &versions)))
}

/// What a database's server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its release, like `15.18`.
    pub version: String,
    /// When it answers a commit: its `synchronous_commit`.
    pub synchronous_commit: String,
    /// Whether it waits for its disk at all: `fsync`.
    pub waits_for_disk: bool,
}

/// What the server at `at` says of itself.
///
/// # Errors
/// `Unavailable` when it cannot be reached; `Internal` when it must not be trusted.
pub(super) async fn server(at: &Postgres) -> Result<Server> {
    let session = Session::begin(&options(at)?, START).await?;
    let server = session.server.clone();
    session.close().await;
    Ok(server)
}

/// A connection, and what the server said of itself when it was made.
struct Session {
    conn: PgConnection,
    server: Server,
    /// Names the server's line of history: two servers with one name agree on what was committed.
    /// `None` when the server does not tell.
    history: Option<String>,
}

impl Session {
    /// Meets, within `patience`, a server that takes writes and keeps them.
    async fn begin(options: &PgConnectOptions, patience: Duration) -> Result<Self, Failure> {
        let met = tokio::time::timeout(patience, Self::meet(options)).await;
        met.unwrap_or_else(|_| Err(Failure::Silent(unusable(options, "it is silent"))))
    }

    async fn meet(options: &PgConnectOptions) -> Result<Self, Failure> {
        let connected = options.connect().await;
        let mut conn = connected.map_err(|error| unreachable(options, &error.to_string()))?;
        let told = sqlx::raw_sql(ABOUT).fetch_one(&mut conn).await.map_err(failure)?;
        let column = |at: usize| told.try_get::<String, _>(at).map_err(failure);
        let (synchronous_commit, version) = (column(0)?, column(1)?);
        let server = Server { version, synchronous_commit, waits_for_disk: column(2)? == "on" };
        if column(3)? != "primary" {
            return Err(unreachable(options, "it is a standby, which takes no writes"));
        }
        if conn.server_version_num().is_some_and(|number| number < OLDEST) {
            return Err(refused(
                options,
                format!("is release {}; run 15 or newer", server.version),
            ));
        }
        if server.synchronous_commit == "off" {
            let database = options.get_database().unwrap_or(options.get_username());
            return Err(refused(
                options,
                format!(
                    "answers commits that it can still lose (synchronous_commit is off); run: \
                     ALTER DATABASE {database} SET synchronous_commit = on"
                ),
            ));
        }
        let history = sqlx::raw_sql(HISTORY).fetch_one(&mut conn).await;
        let history = history.and_then(|row| row.try_get(0)).ok();
        Ok(Self { conn, server, history })
    }

    /// Says goodbye. A server that does not hear it has ended the session already.
    async fn close(self) {
        if let Ok(Err(error)) = tokio::time::timeout(ACQUIRE, self.conn.close()).await {
            tracing::debug!(%error, "a connection to PostgreSQL did not close cleanly");
        }
    }
}

/// How durable its commits are, its release, and whether it takes writes.
const ABOUT: &str = "SELECT current_setting('synchronous_commit'), \
     current_setting('server_version'), current_setting('fsync'), \
     CASE WHEN pg_is_in_recovery() THEN 'standby' ELSE 'primary' END";

/// A promoted standby goes on in a new timeline, in which numbers of transactions that were lost
/// with the old primary are given out again.
const HISTORY: &str = "SELECT system_identifier::text || ' ' || \
     left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()";

fn options(at: &Postgres) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(at.url.expose_secret()).map_err(|error| {
        Error::Unavailable(format!(
            "the address of the database cannot be used: {error}; write \
             postgres://user@host:5432/database"
        ))
    })?;
    let mut options = options.statement_cache_capacity(STATEMENTS).disable_statement_logging();
    if at.is_pooled {
        // A pooler refuses what it is asked at the start and does not know; nothing here needs it.
        options = options.extra_float_digits(None);
    }
    Ok(match options.get_application_name() {
        Some(_) => options,
        None => options.application_name("vestibule"),
    })
}

/// Where the database is, without user and password.
fn shown(options: &PgConnectOptions) -> String {
    let database = options.get_database().unwrap_or(options.get_username());
    match options.get_socket() {
        Some(socket) => format!("{} ({database})", socket.display()),
        None => format!("{}:{}/{database}", options.get_host(), options.get_port()),
    }
}

fn unreachable(options: &PgConnectOptions, why: &str) -> Failure {
    Failure::Gone(unusable(options, why))
}

fn unusable(options: &PgConnectOptions, why: &str) -> String {
    let place = shown(options);
    format!("PostgreSQL at {place} cannot be used: {why}; check that it runs and database.url")
}

/// For a server that answers, but must not be trusted.
fn refused(options: &PgConnectOptions, why: String) -> Failure {
    Failure::Refused(Error::Internal(format!("PostgreSQL at {} {why}", shown(options))))
}

/// All migrations in one transaction: whoever dies in between leaves nothing half done. sqlx's own
/// lock belongs to the session, which a pooler gives to somebody else; this one to the transaction.
async fn migrate(options: &PgConnectOptions) -> Result<()> {
    let mut session = Session::begin(options, START).await?;
    if !session.server.waits_for_disk {
        tracing::warn!("PostgreSQL runs with fsync off: a loss of power loses commits");
    }
    let migrated = tokio::time::timeout(MIGRATION, migrate_by(&mut session.conn)).await;
    let migrated = migrated.unwrap_or_else(|_| {
        Err(Error::Unavailable("others are migrating the database; try again later".into()))
    });
    session.close().await;
    migrated
}

async fn migrate_by(conn: &mut PgConnection) -> Result<()> {
    let begin = "BEGIN READ WRITE; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0";
    let mut transaction = conn.begin_with(begin).await.map_err(failure)?;
    let lock = format!("SELECT pg_advisory_xact_lock({MIGRATING})");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut *transaction).await.map_err(failure)?;
    let mut migrator = migrations::migrator(MIGRATIONS);
    migrator.set_locking(false);
    // Its statements have names, which would stay with the server's connection and meet those of the
    // next client that a pooler gives it to.
    transaction.execute(sqlx::raw_sql(NAMELESS)).await.map_err(failure)?;
    migrator.run_direct(None, &mut *transaction, false).await.map_err(migrations::failed)?;
    transaction.execute(sqlx::raw_sql(NAMELESS)).await.map_err(failure)?;
    Ok(transaction.commit().await.map_err(failure)?)
}

/// Takes the names of all prepared statements of a server's connection away.
const NAMELESS: &str = "DEALLOCATE ALL";

async fn applied(conn: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let made = "SELECT to_regclass('_sqlx_migrations') IS NOT NULL";
    if !sqlx::raw_sql(made).fetch_one(&mut *conn).await?.try_get::<bool, _>(0)? {
        return Ok(Vec::new());
    }
    let versions = "SELECT version FROM _sqlx_migrations WHERE success";
    let rows = sqlx::raw_sql(versions).fetch_all(conn).await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}
