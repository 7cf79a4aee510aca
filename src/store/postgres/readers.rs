//! The connections that read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Executor as _, Postgres};

use super::super::engine::{Failure, Row, Value};
use super::cells::{arguments, cells, failure, holds_nul, is_lost};
use super::{ACQUIRE, LAST_DRAWN, LOCK, MARK, SILENCE, START, STATEMENT};

const READERS: u32 = 8;

/// How long a start waits before it tries again.
const AGAIN: Duration = Duration::from_millis(50);

/// The connections that read, which refuse to write.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    pool: PgPool,
    /// Behind a pooler: how the transaction of a query begins. What is set for one connection would
    /// hold for whoever has it next.
    begin: Option<Arc<str>>,
    /// Queries since the start.
    queries: Arc<AtomicU64>,
}

impl Readers {
    /// Connects when first asked.
    pub(super) fn new(options: PgConnectOptions, is_pooled: bool) -> Self {
        let (statement, lock) = (STATEMENT.as_millis(), LOCK.as_millis());
        let pool = PgPoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None);
        if is_pooled {
            let begin = format!(
                "BEGIN READ ONLY; SET LOCAL statement_timeout = {statement}; \
                 SET LOCAL lock_timeout = {lock}"
            );
            let pool = pool.connect_lazy_with(options);
            return Self { pool, begin: Some(begin.into()), queries: Arc::default() };
        }
        let settings: Arc<str> = format!(
            "SET default_transaction_read_only = on; SET statement_timeout = {statement}; \
             SET lock_timeout = {lock}"
        )
        .into();
        let pool = pool.after_connect(move |conn, _| {
            let settings = AssertSqlSafe(Arc::clone(&settings));
            Box::pin(async move { conn.execute(sqlx::raw_sql(settings)).await.map(drop) })
        });
        Self { pool: pool.connect_lazy_with(options), begin: None, queries: Arc::default() }
    }

    /// Connects once, with the patience of a start.
    pub(super) async fn warm(&self) -> Result<(), Failure> {
        let until = Instant::now() + START;
        loop {
            match self.fetch("SELECT 1", &[]).await {
                Err(Failure::Gone(_)) if Instant::now() < until => tokio::time::sleep(AGAIN).await,
                answer => return answer.map(drop),
            }
        }
    }

    pub(in crate::store) async fn fetch(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        if holds_nul(values) {
            return Ok(Vec::new());
        }
        let answer = tokio::time::timeout(SILENCE, self.ask(text, values)).await;
        answer.unwrap_or_else(|_| Err(Failure::Gone("the database says nothing".into())))
    }

    /// Asks on another connection when one turns out to be lost: after a restart of the server all
    /// that are at rest are.
    async fn ask(&self, text: &'static str, values: &[Value<'_>]) -> Result<Vec<Row>, Failure> {
        let mut lost = 0;
        loop {
            let query = sqlx::query_with(text, arguments(values)?);
            let answer = match &self.begin {
                None => query.fetch_all(&self.pool).await,
                Some(begin) => self.ask_within(Arc::clone(begin), query).await,
            };
            match answer {
                Ok(rows) => return cells(&rows),
                Err(error) if lost < READERS && is_lost_at_rest(&error) => lost += 1,
                Err(error) => return Err(failure(error)),
            }
        }
    }

    /// The position in the audit up to which nothing is under way any more: positions are drawn one
    /// by one, but transactions commit in any order.
    pub(in crate::store) async fn settled(&self) -> Result<i64, Failure> {
        // First what was drawn, then who may still write in there: whoever begins in between draws
        // behind.
        let mut drawn = self.fetch(LAST_DRAWN, &[]).await?;
        let mut marks = self.fetch(LOWEST_MARK, &[MARK.into()]).await?;
        let drawn = drawn.first_mut().map_or(Ok(0), |row| row.int(0))?;
        let lowest = marks.first_mut().map_or(Ok(None), |row| row.opt_int(0))?;
        Ok(lowest.map_or(drawn, |lowest| lowest.min(drawn)))
    }

    /// Without a name for the statement, whose other half must reach the same connection: hence the
    /// transaction.
    async fn ask_within(
        &self,
        begin: Arc<str>,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let mut transaction = self.pool.begin_with(AssertSqlSafe(begin)).await?;
        let rows = query.persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
    }

    pub(in crate::store) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    pub(in crate::store) async fn close(&self) {
        self.pool.close().await;
    }
}

/// A key of 64 bits lies in two columns of 32.
const LOWEST_MARK: &str = "SELECT MIN($1 - key) FROM \
     (SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks \
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS held \
     WHERE key <= $1";

/// Whether a connection was lost that had been made; one that cannot be made fails the query.
fn is_lost_at_rest(error: &sqlx::Error) -> bool {
    let is_pool = matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
    let is_refused = matches!(error, sqlx::Error::Io(error)
        if error.kind() == std::io::ErrorKind::ConnectionRefused);
    !is_pool && !is_refused && is_lost(error)
}
