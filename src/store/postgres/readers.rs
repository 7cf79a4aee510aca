//! The connections that read.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::postgres::{PgArguments, PgConnectOptions, PgConnection, PgRow};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, Postgres};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::engine::{Failure, Row, Value};
use super::cells::{arguments, cells, failure, holds_nul, is_lost};
use super::pulse::Pulse;
use super::{ACQUIRE, LAST_DRAWN, LOCK, MARK, START, STATEMENT};

const READERS: usize = 8;

/// How long a start waits before it tries again.
const AGAIN: Duration = Duration::from_millis(50);

/// Connections at rest.
type Idle = Arc<Mutex<Vec<PgConnection>>>;

/// The connections that read, which refuse to write.
///
/// Not sqlx's pool: that asks every connection that comes back whether it lives, which is a second
/// round trip for each query, and keeps its place until the network gives up, minutes later.
#[derive(Clone)]
pub(in crate::store) struct Readers {
    options: Arc<PgConnectOptions>,
    pulse: Arc<Pulse>,
    /// As many as may read at a time.
    places: Arc<Semaphore>,
    idle: Idle,
    /// Behind a pooler, how the transaction of a query begins: what is set for one connection would
    /// hold for whoever has it next. Else what is said to a new connection.
    begin: Arc<str>,
    is_pooled: bool,
    /// Queries since the start.
    queries: Arc<AtomicU64>,
}

impl Readers {
    /// Connects when first asked.
    pub(super) fn new(options: PgConnectOptions, is_pooled: bool, pulse: Arc<Pulse>) -> Self {
        let (statement, lock) = (STATEMENT.as_millis(), LOCK.as_millis());
        let begin = if is_pooled {
            format!(
                "BEGIN READ ONLY; SET LOCAL statement_timeout = {statement}; \
                 SET LOCAL lock_timeout = {lock}"
            )
        } else {
            format!(
                "SET default_transaction_read_only = on; SET statement_timeout = {statement}; \
                 SET lock_timeout = {lock}"
            )
        };
        let places = Arc::new(Semaphore::new(READERS));
        let (idle, queries) = Default::default();
        Self {
            options: Arc::new(options),
            pulse,
            places,
            idle,
            begin: begin.into(),
            is_pooled,
            queries,
        }
    }

    /// Connects once, with the patience of a start.
    pub(super) async fn warm(&self) -> Result<(), Failure> {
        let until = Instant::now() + START;
        loop {
            match self.fetch("SELECT 1", &[]).await {
                Err(Failure::Gone(_) | Failure::Silent(_)) if Instant::now() < until => {
                    tokio::time::sleep(AGAIN).await;
                }
                answer => return answer.map(drop),
            }
        }
    }

    /// Asks on another connection when one turns out to be lost: after a restart of the server all
    /// that are at rest are.
    pub(in crate::store) async fn fetch(
        &self,
        text: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, Failure> {
        self.queries.fetch_add(1, Ordering::Relaxed);
        if holds_nul(values) {
            return Ok(Vec::new());
        }
        let since = Instant::now();
        let place = tokio::time::timeout(ACQUIRE, Arc::clone(&self.places).acquire_owned()).await;
        let Ok(Ok(mut place)) = place else {
            return Err(Failure::Gone("as many read the database as may at a time".into()));
        };
        loop {
            let (conn, was_at_rest) = self.connection(since).await?;
            let mut lent = Lent { conn: Some((conn, place)), idle: Arc::clone(&self.idle) };
            let query = sqlx::query_with(text, arguments(values)?);
            let error = match self.pulse.ask(since, self.ask(&mut lent, query)).await {
                Ok(Ok(rows)) => {
                    lent.give_back();
                    return cells(&rows);
                }
                Ok(Err(error)) => error,
                Err(mute) => {
                    lent.conn = None;
                    return Err(mute.into());
                }
            };
            match lent.conn.take_if(|_| is_lost(&error) && was_at_rest) {
                Some((_, kept)) => place = kept,
                None => return Err(failure(error)),
            }
        }
    }

    /// One at rest, or a new one within what is left of the time for it; whether it was at rest.
    async fn connection(&self, since: Instant) -> Result<(PgConnection, bool), Failure> {
        let at_rest = lock(&self.idle).pop();
        if let Some(conn) = at_rest {
            return Ok((conn, true));
        }
        let made = async {
            let mut conn = self.options.connect().await?;
            if !self.is_pooled {
                let settings = AssertSqlSafe(Arc::clone(&self.begin));
                conn.execute(sqlx::raw_sql(settings)).await?;
            }
            Ok(conn)
        };
        let left = ACQUIRE.saturating_sub(since.elapsed());
        match tokio::time::timeout(left, made).await {
            Ok(made) => made.map(|conn| (conn, false)).map_err(failure),
            Err(_) => Err(Failure::Silent("the database lets nobody in".into())),
        }
    }

    /// Behind a pooler without a name for the statement, whose other half must reach the same
    /// connection: hence the transaction.
    async fn ask(
        &self,
        lent: &mut Lent,
        query: Query<'_, Postgres, PgArguments>,
    ) -> Result<Vec<PgRow>, sqlx::Error> {
        let Some((conn, _)) = &mut lent.conn else { return Err(sqlx::Error::PoolClosed) };
        if !self.is_pooled {
            return query.fetch_all(conn).await;
        }
        let mut transaction = conn.begin_with(AssertSqlSafe(Arc::clone(&self.begin))).await?;
        let rows = query.persistent(false).fetch_all(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(rows)
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

    /// Now, by the clock of the server, milliseconds since 1970.
    pub(in crate::store) async fn time(&self) -> Result<i64, Failure> {
        let row = self.fetch(TIME, &[]).await?.pop();
        row.map_or(Ok(0), |mut row| row.int(0))
    }

    pub(in crate::store) fn queries(&self) -> u64 {
        self.queries.load(Ordering::Relaxed)
    }

    pub(in crate::store) async fn close(&self) {
        self.places.close();
        let idle = std::mem::take(&mut *lock(&self.idle));
        let goodbyes = idle.into_iter().map(|conn| tokio::time::timeout(ACQUIRE, conn.close()));
        // Whoever does not hear it ends the session by itself.
        let _ = futures::future::join_all(goodbyes).await;
    }
}

const TIME: &str = "SELECT CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS BIGINT)";

/// A connection in somebody's hands, with its place among those that may read at a time.
struct Lent {
    conn: Option<(PgConnection, OwnedSemaphorePermit)>,
    idle: Idle,
}

impl Lent {
    /// After an answer.
    fn give_back(mut self) {
        if let Some((conn, _place)) = self.conn.take() {
            lock(&self.idle).push(conn);
        }
    }
}

impl Drop for Lent {
    /// Without an answer, since whoever asked has left, or inside of a transaction: fit for others
    /// only once the server is heard again.
    fn drop(&mut self) {
        let Some((mut conn, place)) = self.conn.take() else { return };
        // At the very end there is nobody left to ask, nor to read.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let idle = Arc::clone(&self.idle);
        runtime.spawn(async move {
            let _place = place;
            if let Ok(Ok(())) = tokio::time::timeout(ACQUIRE, conn.ping()).await {
                lock(&idle).push(conn);
            }
        });
    }
}

fn lock(idle: &Idle) -> MutexGuard<'_, Vec<PgConnection>> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A key of 64 bits lies in two columns of 32.
const LOWEST_MARK: &str = "SELECT MIN($1 - key) FROM \
     (SELECT (classid::bigint << 32) | objid::bigint AS key FROM pg_locks \
     WHERE locktype = 'advisory' AND objsubid = 1 AND granted \
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) AS held \
     WHERE key <= $1";
