//! The one connection of this instance that writes.
//!
//! A transaction begins with its locks and its number in one round trip. When the answer to a
//! commit is lost, the number says what became of it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Row as _, SqlSafeStr as _};

use super::super::engine::{self, Failure, Row, Sql, Value};
use super::super::locks::Locks;
use super::cells::{arguments, arrays, cells, failure, is_lost};
use super::pulse::Pulse;
use super::{ACQUIRE, CHANNEL, LAST_DRAWN, LOCK, MARK, START, STATEMENT, Session};

/// The lock that a write of everything has alone and all others share.
const EVERYTHING: i64 = -2;

/// How long it is asked what became of a commit.
const DOUBT: Duration = Duration::from_millis(900);

/// How often.
const ASK_EVERY: Duration = Duration::from_millis(50);

/// The one connection that writes.
pub(in crate::store) struct Writer {
    /// `None` while the database is out of reach.
    session: Option<Session>,
    is_pooled: bool,
    options: PgConnectOptions,
    pulse: Arc<Pulse>,
    /// Texts of grouped statements by head and tail.
    texts: HashMap<(&'static str, &'static str), Arc<str>>,
    /// The number of the running transaction and the history that it is in.
    running: Option<(String, Option<String>)>,
    /// What the running transaction has locked.
    locks: Locks,
}

impl Writer {
    /// Behind a pooler, statements go without names, which belong to a server's connection.
    pub(super) async fn connect(
        options: PgConnectOptions,
        is_pooled: bool,
        pulse: Arc<Pulse>,
    ) -> Result<Self, Failure> {
        let session = Some(Session::begin(&options, START).await?);
        let (texts, locks) = Default::default();
        Ok(Self { session, is_pooled, options, pulse, texts, running: None, locks })
    }

    pub(in crate::store) async fn begin(&mut self, locks: Locks) -> Result<(), Failure> {
        self.running = None;
        let text: Arc<str> = begin_text(&locks).into();
        self.locks = locks;
        // Nothing has happened yet, so a connection that died at rest is replaced unnoticed.
        let was_there = self.session.is_some();
        let mut told = self.script(Arc::clone(&text)).await;
        let is_silent = matches!(told, Err(Failure::Silent(_)));
        if told.is_err() && !is_silent && was_there && self.session.is_none() {
            told = self.script(text).await;
        }
        let number = told?.pop().map(|row| row.try_get::<String, _>(1)).transpose();
        let history = self.session.as_ref().and_then(|session| session.history.clone());
        self.running = number.map_err(failure)?.map(|number| (number, history));
        Ok(())
    }

    pub(in crate::store) async fn commit(&mut self) -> Result<(), Failure> {
        let running = self.running.take();
        match self.script("COMMIT".into()).await {
            Ok(_) => Ok(()),
            // Nor would it say what became of it.
            Err(Failure::Silent(_)) => Err(Failure::Silent(UNKNOWN.into())),
            Err(_) if self.session.is_none() => self.resolve(running).await,
            Err(failure) => Err(failure),
        }
    }

    pub(in crate::store) async fn recover(&mut self) {
        self.running = None;
        if self.session.is_some() && self.script("ROLLBACK".into()).await.is_err() {
            self.session = None;
        }
        // Whoever writes next connects anew.
    }

    pub(in crate::store) async fn close(self) {
        if let Some(session) = self.session {
            session.close().await;
        }
    }

    pub(in crate::store) async fn execute(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
    ) -> Result<u64, Failure> {
        let query = sqlx::query_with(self.text(sql), given(sql, values)?);
        let query = query.persistent(!self.is_pooled);
        let done = async |conn: &mut PgConnection| query.execute(conn).await;
        Ok(self.ask(done).await?.rows_affected())
    }

    pub(in crate::store) async fn fetch(
        &mut self,
        sql: Sql,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        let query = sqlx::query_with(self.text(sql), given(sql, values)?);
        let query = query.persistent(!self.is_pooled);
        let found = async |conn: &mut PgConnection| query.fetch_all(conn).await;
        cells(&self.ask(found).await?)
    }

    /// Lets the running transaction read a tenant that its batch did not name. Out of order, so
    /// that two may wait for each other until the server ends one of them, which is tried again.
    pub(in crate::store) async fn widen(&mut self, tenant: &str) -> Result<(), Failure> {
        let Some(key) = self.locks.widen(tenant) else { return Ok(()) };
        let text = Sql::Text("SELECT 1 FROM (SELECT pg_advisory_xact_lock($1)) AS locked");
        self.fetch(text, &[key.into()]).await.map(drop)
    }

    /// Whether this transaction alone does a piece of work until it ends.
    pub(in crate::store) async fn claim(&mut self, key: i64) -> Result<bool, Failure> {
        let text = "SELECT CASE WHEN pg_try_advisory_xact_lock($1) THEN 1 ELSE 0 END";
        let row = self.fetch(Sql::Text(text), &[key.into()]).await?.pop();
        row.map_or(Ok(false), |mut row| row.flag(0))
    }

    /// Tells whoever listens, once the running transaction is committed.
    pub(in crate::store) async fn tell(&mut self, text: &str) -> Result<(), Failure> {
        let sql = Sql::Text("SELECT pg_notify($1, $2)");
        self.execute(sql, &[CHANNEL.into(), text.into()]).await.map(drop)
    }

    /// What became of a transaction whose commit was sent and not answered.
    async fn resolve(&mut self, running: Option<(String, Option<String>)>) -> Result<(), Failure> {
        let until = Instant::now() + DOUBT;
        let Some((number, Some(history))) = running else { return Err(unknown()) };
        while Instant::now() < until {
            let left = until.saturating_duration_since(Instant::now());
            if let Ok(session) = Session::begin(&self.options, left).await {
                if session.history.as_ref() != Some(&history) {
                    self.session = Some(session);
                    return Err(unknown());
                }
                self.session = Some(session);
            }
            match self.status(&number).await.as_deref() {
                Some("committed") => return Ok(()),
                Some("aborted") => {
                    return Err(Failure::Gone("the write did not take place".into()));
                }
                Some(_) | None => tokio::time::sleep(ASK_EVERY).await,
            }
        }
        Err(unknown())
    }

    async fn status(&mut self, number: &str) -> Option<String> {
        self.session.as_ref()?;
        // As part of the text, since there is no transaction that would keep a statement together.
        let number: u64 = number.parse().ok()?;
        let text = format!("SELECT pg_xact_status(CAST('{number}' AS xid8))");
        self.script(text.into()).await.ok()?.pop()?.try_get(0).ok()
    }

    /// Statements without values in one round trip, by a new connection when there is none.
    async fn script(&mut self, text: Arc<str>) -> Result<Vec<PgRow>, Failure> {
        if self.session.is_none() {
            let session = Session::begin(&self.options, ACQUIRE).await;
            self.session = Some(session.map_err(|failure| match failure {
                Failure::Refused(error) => Failure::Gone(error.to_string()),
                other => other,
            })?);
        }
        let text = AssertSqlSafe(text);
        self.ask(async |conn: &mut PgConnection| sqlx::raw_sql(text).fetch_all(conn).await).await
    }

    /// Lets the connection go when it is of no use any more.
    async fn ask<T>(
        &mut self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let Some(session) = &mut self.session else {
            return Err(Failure::Gone("the database is out of reach".into()));
        };
        match self.pulse.ask(Instant::now(), question(&mut session.conn)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                if is_lost(&error) {
                    self.session = None;
                }
                Err(failure(error))
            }
            Err(mute) => {
                self.session = None;
                Err(mute.into())
            }
        }
    }

    fn text(&mut self, sql: Sql) -> sqlx::SqlStr {
        match sql {
            Sql::Text(text) => text.into_sql_str(),
            Sql::Rows(rows, _) => {
                let text = self.texts.entry((rows.head, rows.tail));
                AssertSqlSafe(Arc::clone(text.or_insert_with(|| render(rows)))).into_sql_str()
            }
        }
    }
}

/// Begins, locks in the order of the keys, leaves a mark for followers of the audit, and tells the
/// transaction's number beside it, last. The settings hold for this transaction, whoever else the
/// connection's other end is given to.
pub(in crate::store) fn begin_text(locks: &Locks) -> String {
    let everything = if locks.is_everything() { "" } else { "_shared" };
    let mut text = format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL statement_timeout = {}; \
         SET LOCAL lock_timeout = {}; SELECT pg_advisory_xact_lock{everything}({EVERYTHING})",
        STATEMENT.as_millis(),
        LOCK.as_millis()
    );
    for key in locks.keys() {
        let _ = write!(text, ", pg_advisory_xact_lock({key})");
    }
    let mark = format!("pg_advisory_xact_lock_shared({MARK} - ({LAST_DRAWN}))");
    text + &format!("; SELECT {mark}, CAST(pg_current_xact_id() AS TEXT)")
}

/// The rows come as one array for each column, however many there are: hundreds of values cost the
/// server more than what it does with them. Names are those that `VALUES` gives.
fn render(rows: &engine::Rows) -> Arc<str> {
    let each = |text: fn(usize) -> String| {
        let all: Vec<_> = (1..=rows.columns).map(text).collect();
        all.join(", ")
    };
    let (arrays, names) = (each(|n| format!("${n}")), each(|n| format!("column{n}")));
    let head = rows.head.trim_end_matches("VALUES");
    format!("{head} SELECT * FROM UNNEST({arrays}) AS given ({names}) {}", rows.tail).into()
}

fn given(sql: Sql, values: &[Value<'_>]) -> Result<PgArguments, Failure> {
    match sql {
        Sql::Text(_) => arguments(values),
        Sql::Rows(rows, _) => arrays(rows.columns, values),
    }
}

fn unknown() -> Failure {
    Failure::Gone(UNKNOWN.into())
}

const UNKNOWN: &str = "the database was lost during a commit; whether it took place is unknown";
