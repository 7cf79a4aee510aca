//! The seam between what the store says and the database that hears it.
//!
//! Above it: portable SQL, plain values in, plain cells out. Below it: one driver per database.
//! Knows no table.

use std::borrow::Cow;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::sync::Notify;

use super::locks::{self, Locks};
use super::subscribers::Subscribers;
use super::{postgres, sqlite};
use crate::domain::audit::AuditEntry;
use crate::error::{Error, Result};

/// The connection that writes. There is one.
pub(super) struct Connection {
    driver: Driver,
    /// What the running transaction has to chain before it commits; kept here for [`audit`].
    ///
    /// [`audit`]: super::audit
    unchained: Vec<AuditEntry>,
    /// Who listens to what, as it was seen a moment ago.
    pub(super) subscribers: Subscribers,
    /// What goes wrong in a simulation.
    #[cfg(test)]
    pub(super) weather: Option<Arc<super::weather::Weather>>,
}

enum Driver {
    Sqlite(Box<sqlite::Writer>),
    Postgres(Box<postgres::Writer>),
}

/// The connections that read. They never write.
#[derive(Clone)]
pub(super) enum Readers {
    Sqlite(sqlite::Readers),
    Postgres(postgres::Readers),
}

/// A statement. Its text is fixed in the source; values travel beside it.
#[derive(Clone, Copy)]
pub(super) enum Sql {
    /// With `$1`-style placeholders.
    Text(&'static str),
    /// A statement with this many rows of values.
    Rows(&'static Rows, usize),
}

/// A statement around a list of rows: `head`, which ends with `VALUES`, then `(?,…),(?,…)`, then
/// `tail`. PostgreSQL gets an array for each column instead, so the values of a column are of one
/// type, and the columns are called `column1`, `column2`, … as those of `VALUES` are.
pub(super) struct Rows {
    pub(super) head: &'static str,
    pub(super) columns: usize,
    pub(super) tail: &'static str,
}

/// The most rows of one statement: longer ones are no faster, and SQLite keeps each length prepared.
pub(super) const MOST_ROWS: usize = 32;

/// One value of a statement. The type is kept for nulls too: PostgreSQL asks for it.
#[derive(Clone)]
pub(super) enum Value<'a> {
    Int(Option<i64>),
    Text(Option<Cow<'a, str>>),
    Bytes(Option<Cow<'a, [u8]>>),
}

/// One row of an answer, by position.
pub(super) struct Row(pub(super) Vec<Cell>);

/// One value of an answer.
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// Why a write came to nothing.
#[derive(Debug)]
pub(super) enum Failure {
    /// By a rule, before this write changed anything. The transaction stays good.
    Refused(Error),
    /// The database cannot be reached, is full or busy: not the statement's fault.
    Gone(String),
    /// It says nothing, so that whoever waits for it waits in vain.
    Silent(String),
    /// Another transaction was in the way; the same may succeed a moment later.
    Again(String),
    /// The statement breaks a constraint or does not fit: the transaction is spoilt.
    Statement(String),
}

impl Connection {
    /// The audit entries of the running transaction that are not written yet.
    pub(super) fn unchained(&mut self) -> &mut Vec<AuditEntry> {
        &mut self.unchained
    }

    /// Writes to SQLite. `queued` is told of every delivery that is queued.
    pub(super) fn sqlite(writer: sqlite::Writer, queued: Arc<Notify>) -> Self {
        Self::new(Driver::Sqlite(Box::new(writer)), queued)
    }

    /// Writes to PostgreSQL. `queued` is told of every delivery that is queued.
    pub(super) fn postgres(writer: postgres::Writer, queued: Arc<Notify>) -> Self {
        Self::new(Driver::Postgres(Box::new(writer)), queued)
    }

    fn new(driver: Driver, queued: Arc<Notify>) -> Self {
        Self {
            driver,
            unchained: Vec::new(),
            subscribers: Subscribers::new(queued),
            #[cfg(test)]
            weather: None,
        }
    }

    /// Whether other instances may write while this one does.
    pub(super) fn is_shared(&self) -> bool {
        match &self.driver {
            Driver::Sqlite(_) => false,
            Driver::Postgres(_) => true,
        }
    }

    /// Whether it keeps whoever asks it waiting, and wants a thread of its own. Not in a simulation:
    /// a seed makes the same run again as long as those who write are on one thread.
    pub(super) fn blocks(&self) -> bool {
        #[cfg(test)]
        if self.weather.is_some() {
            return false;
        }
        match &self.driver {
            Driver::Sqlite(_) => true,
            Driver::Postgres(_) => false,
        }
    }

    /// Begins a transaction. `locks` is what it reaches; nothing where nobody else writes.
    pub(super) async fn begin(&mut self, locks: Locks) -> Result<(), Failure> {
        self.unchained.clear();
        #[cfg(test)]
        self.weather.as_ref().map_or(Ok(()), |weather| weather.begins())?;
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.begin(),
            Driver::Postgres(conn) => conn.begin(locks).await,
        }
    }

    /// Lets the running transaction read and write what is a tenant's. No statement for a tenant
    /// that [`Connection::begin`] was told of.
    pub(super) async fn reach(&mut self, tenant: &str) -> Result<(), Failure> {
        match &mut self.driver {
            Driver::Sqlite(_) => Ok(()),
            Driver::Postgres(conn) => conn.widen(tenant).await,
        }
    }

    /// Tells the other instances something, once the running transaction is committed.
    pub(super) async fn tell(&mut self, text: &str) -> Result<(), Failure> {
        match &mut self.driver {
            Driver::Sqlite(_) => Ok(()),
            Driver::Postgres(conn) => conn.tell(text).await,
        }
    }

    /// Whether the running transaction alone does a piece of work until it ends; false while
    /// another instance does.
    pub(super) async fn claim(&mut self, work: &str) -> Result<bool, Failure> {
        match &mut self.driver {
            Driver::Sqlite(_) => Ok(true),
            Driver::Postgres(conn) => conn.claim(locks::work_key(work)).await,
        }
    }

    pub(super) async fn commit(&mut self) -> Result<(), Failure> {
        #[cfg(test)]
        if self.weather.as_ref().map_or(Ok(false), |weather| weather.commits())? {
            self.recover().await;
            return Ok(());
        }
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.commit(),
            Driver::Postgres(conn) => conn.commit().await,
        }?;
        #[cfg(test)]
        self.weather.as_ref().map_or(Ok(()), |weather| weather.committed())?;
        Ok(())
    }

    /// Takes what was overwritten out of the files; false when that has to wait, on PostgreSQL for
    /// its vacuum.
    pub(super) async fn checkpoint(&mut self) -> Result<bool, Failure> {
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.checkpoint(),
            Driver::Postgres(_) => Ok(false),
        }
    }

    /// Leaves the connection outside any transaction, by a new one when nothing else helps.
    pub(super) async fn recover(&mut self) {
        self.subscribers.forget();
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.recover(),
            Driver::Postgres(conn) => conn.recover().await,
        }
    }

    pub(super) async fn close(self) {
        match self.driver {
            Driver::Sqlite(conn) => conn.close(),
            Driver::Postgres(conn) => conn.close().await,
        }
    }

    /// Runs a statement; how many rows it changed.
    pub(super) async fn execute(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value<'_>>,
    ) -> Result<u64, Failure> {
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.execute(sql.into(), &values),
            Driver::Postgres(conn) => conn.execute(sql.into(), &values).await,
        }
    }

    /// Runs a statement and collects its answer.
    pub(super) async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        match &mut self.driver {
            Driver::Sqlite(conn) => conn.fetch(sql.into(), &values),
            Driver::Postgres(conn) => conn.fetch(sql.into(), &values).await,
        }
    }

    /// Runs `rows` over all of `values`, in as many statements as it takes; what they answered.
    pub(super) async fn insert(
        &mut self,
        rows: &'static Rows,
        mut values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        let mut answer = Vec::new();
        while !values.is_empty() {
            let rest = values.split_off(values.len().min(MOST_ROWS * rows.columns));
            let count = values.len() / rows.columns;
            answer.append(&mut self.fetch(Sql::Rows(rows, count), values).await?);
            values = rest;
        }
        Ok(answer)
    }
}

impl Readers {
    /// Runs a query and collects its answer.
    ///
    /// # Errors
    /// `Gone` when no connection is free within a second or the database is gone, `Silent` when it
    /// says nothing; `Statement` when the statement itself is wrong.
    pub(super) async fn fetch(
        &self,
        sql: &'static str,
        values: Vec<Value<'_>>,
    ) -> Result<Vec<Row>, Failure> {
        // Boxed: they are kilobytes, which every request would carry for the caches' sake alone.
        match self {
            Self::Sqlite(readers) => Box::pin(readers.fetch(sql, values)).await,
            Self::Postgres(readers) => Box::pin(readers.fetch(sql, &values)).await,
        }
    }

    /// Up to which position of the audit nothing is under way any more; `None` where writes commit
    /// in the order of their positions.
    pub(super) async fn settled(&self) -> Result<Option<i64>, Failure> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(readers) => readers.settled().await.map(Some),
        }
    }

    /// Now, by another machine's clock, milliseconds since 1970; `None` where there is no other.
    pub(super) async fn server_time(&self) -> Result<Option<i64>, Failure> {
        match self {
            Self::Sqlite(_) => Ok(None),
            Self::Postgres(readers) => readers.time().await.map(Some),
        }
    }

    /// How many queries were run since the start.
    pub(super) fn queries(&self) -> u64 {
        match self {
            Self::Sqlite(readers) => readers.queries(),
            Self::Postgres(readers) => readers.queries(),
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(readers) => readers.close().await,
            Self::Postgres(readers) => readers.close().await,
        }
    }

    /// Whether other instances may write while this one does.
    pub(super) fn is_shared(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(_) => true,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Gone(why) | Failure::Silent(why) | Failure::Again(why) => {
                Self::Unavailable(why)
            }
            Failure::Statement(why) => Self::Internal(why),
        }
    }
}

impl Row {
    pub(super) fn int(&mut self, at: usize) -> Result<i64, Failure> {
        self.opt_int(at)?.ok_or_else(|| self.unexpected(at, "an integer"))
    }

    pub(super) fn opt_int(&mut self, at: usize) -> Result<Option<i64>, Failure> {
        match self.take(at) {
            Cell::Null => Ok(None),
            Cell::Int(value) => Ok(Some(value)),
            Cell::Text(_) | Cell::Bytes(_) => Err(self.unexpected(at, "an integer")),
        }
    }

    pub(super) fn opt_count(&mut self, at: usize) -> Result<Option<u32>, Failure> {
        let count = self.opt_int(at)?.map(u32::try_from).transpose();
        count.map_err(|_| self.unexpected(at, "a count"))
    }

    pub(super) fn text(&mut self, at: usize) -> Result<String, Failure> {
        self.opt_text(at)?.ok_or_else(|| self.unexpected(at, "text"))
    }

    pub(super) fn opt_text(&mut self, at: usize) -> Result<Option<String>, Failure> {
        match self.take(at) {
            Cell::Null => Ok(None),
            Cell::Text(value) => Ok(Some(value)),
            Cell::Int(_) | Cell::Bytes(_) => Err(self.unexpected(at, "text")),
        }
    }

    pub(super) fn bytes(&mut self, at: usize) -> Result<Vec<u8>, Failure> {
        self.opt_bytes(at)?.ok_or_else(|| self.unexpected(at, "bytes"))
    }

    pub(super) fn opt_bytes(&mut self, at: usize) -> Result<Option<Vec<u8>>, Failure> {
        match self.take(at) {
            Cell::Null => Ok(None),
            Cell::Bytes(value) => Ok(Some(value)),
            Cell::Int(_) | Cell::Text(_) => Err(self.unexpected(at, "bytes")),
        }
    }

    pub(super) fn flag(&mut self, at: usize) -> Result<bool, Failure> {
        Ok(self.int(at)? != 0)
    }

    pub(super) fn json<T: DeserializeOwned>(&mut self, at: usize) -> Result<T, Failure> {
        let text = self.text(at)?;
        serde_json::from_str(&text).map_err(|error| {
            Failure::Statement(format!("column {at} holds unreadable JSON: {error}"))
        })
    }

    /// Each cell is read once, so it can be moved out instead of copied.
    fn take(&mut self, at: usize) -> Cell {
        self.0.get_mut(at).map_or(Cell::Null, |cell| std::mem::replace(cell, Cell::Null))
    }

    fn unexpected(&self, at: usize, wanted: &str) -> Failure {
        let columns = self.0.len();
        Failure::Statement(format!("column {at} of {columns} is not {wanted}"))
    }
}

/// The text of `value` as the store keeps it.
///
/// # Errors
/// `Statement` for a value that JSON cannot hold.
pub(super) fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value)
        .map_err(|error| Failure::Statement(format!("a value cannot be kept as JSON: {error}")))
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value<'_> {
    fn from(value: i64) -> Self {
        Self::Int(Some(value))
    }
}

impl From<Option<i64>> for Value<'_> {
    fn from(value: Option<i64>) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Self::Int(Some(i64::from(value)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(value: &'a str) -> Self {
        Self::Text(Some(Cow::Borrowed(value)))
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(value: &'a String) -> Self {
        value.as_str().into()
    }
}

impl From<String> for Value<'_> {
    fn from(value: String) -> Self {
        Self::Text(Some(Cow::Owned(value)))
    }
}

impl From<Option<String>> for Value<'_> {
    fn from(value: Option<String>) -> Self {
        Self::Text(value.map(Cow::Owned))
    }
}

impl<'a> From<Option<&'a str>> for Value<'a> {
    fn from(value: Option<&'a str>) -> Self {
        Self::Text(value.map(Cow::Borrowed))
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Self::Bytes(Some(Cow::Borrowed(value)))
    }
}

impl<'a> From<Option<&'a [u8]>> for Value<'a> {
    fn from(value: Option<&'a [u8]>) -> Self {
        Self::Bytes(value.map(Cow::Borrowed))
    }
}
