//! Everything that a master key sealed: where it lies, and how it is sealed anew in slices.
//!
//! The one list of sealed columns; a column of bytes that is neither in it nor named as something
//! else fails a test. A slice and its progress are one write, and only whoever saw the last
//! progress may write the next, so that several instances share the work instead of repeating it.

use serde::{Deserialize, Serialize};

use super::Store;
use super::engine::{Connection, Failure, Row, Value};
use super::locks::Reach;
use super::meta::KEY_CHECK;
use super::stale::{Stale, What};
use super::writer::Job;
use crate::domain::sealing::{Place, Sealed};
use crate::error::Result;

/// A sealed value and where it lies.
#[derive(Debug)]
pub struct SealedValue {
    column: &'static Column,
    tenant: String,
    key: String,
    generation: i64,
    place: String,
    /// The value as it was read.
    pub sealed: Sealed,
}

impl SealedValue {
    /// For which place it is sealed.
    pub fn place(&self) -> Place<'_> {
        let Column { table, column, .. } = *self.column;
        Place { table, column, tenant: &self.tenant, key: &self.place }
    }
}

/// How far the sealed values are sealed anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resealing {
    /// The fingerprint of the key that seals.
    pub key: String,
    /// Since when it does, milliseconds since 1970.
    pub since: i64,
    /// How many values were sealed anew.
    pub resealed: u64,
    /// Whether nothing is left.
    pub is_done: bool,
    /// Behind what the next slice begins: column, tenant, key, generation.
    at: (usize, String, String, i64),
}

impl Resealing {
    /// The beginning.
    pub fn begin(key: String, since: i64) -> Self {
        let at = (0, String::new(), String::new(), i64::MIN);
        Self { key, since, resealed: 0, is_done: false, at }
    }

    /// Behind a slice that was read from here; `values` of it were sealed anew.
    #[must_use]
    pub fn behind(mut self, slice: &[SealedValue], resealed: u64) -> Self {
        self.resealed += resealed;
        self.at = match slice.last() {
            Some(last) => (self.at.0, last.tenant.clone(), last.key.clone(), last.generation),
            None => (self.at.0 + 1, String::new(), String::new(), i64::MIN),
        };
        self.is_done = self.at.0 >= COLUMNS.len();
        self
    }
}

/// A column of sealed values: its rows by tenant, key and generation.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) table: &'static str,
    pub(super) column: &'static str,
    /// Tenant, key, generation and value of the rows behind `$1`, `$2`, `$3`.
    pub(super) page: &'static str,
    /// `$4` in place of `$5` in the row `$1`, `$2`, `$3`.
    update: &'static str,
    /// The key of the place that a value is sealed for.
    place: fn(&str, i64) -> String,
}

pub(super) static COLUMNS: &[Column] = &[
    Column {
        table: "key_secrets",
        column: "sealed",
        page: "SELECT tenant_id, key_id, generation, sealed FROM key_secrets \
               WHERE (tenant_id, key_id, generation) > ($1, $2, $3) AND sealed IS NOT NULL \
               ORDER BY tenant_id, key_id, generation LIMIT 100",
        update: "UPDATE key_secrets SET sealed = $4 \
                 WHERE tenant_id = $1 AND key_id = $2 AND generation = $3 AND sealed = $5",
        place: |key, generation| format!("{key}/{generation}"),
    },
    Column {
        table: "webhook_secrets",
        column: "sealed",
        page: "SELECT tenant_id, webhook_id, generation, sealed FROM webhook_secrets \
               WHERE (tenant_id, webhook_id, generation) > ($1, $2, $3) \
               ORDER BY tenant_id, webhook_id, generation LIMIT 100",
        update: "UPDATE webhook_secrets SET sealed = $4 \
                 WHERE tenant_id = $1 AND webhook_id = $2 AND generation = $3 AND sealed = $5",
        place: |webhook, generation| format!("{webhook}/{generation}"),
    },
    Column {
        table: "tenants",
        column: "identity_secret",
        page: "SELECT tenant_id, '', 0, identity_secret FROM tenants \
               WHERE (tenant_id, '', 0) > ($1, $2, $3) AND erased_at IS NULL \
               ORDER BY tenant_id LIMIT 100",
        update: "UPDATE tenants SET identity_secret = $4 \
                 WHERE tenant_id = $1 AND $2 = '' AND $3 = 0 AND identity_secret = $5",
        place: |_, _| String::new(),
    },
];

/// Columns of bytes that are not sealed, and what they are.
#[cfg(test)]
pub(super) static NOT_SEALED: &[(&str, &str, &str)] = &[
    ("meta", "value", "the key-check row is sealed anew with the last slice"),
    ("sessions", "cache_key_hash", "a hash"),
    ("replays", "mac", "a signature"),
    ("idempotency", "claim", "a hash"),
    ("idempotency", "answer", "sealed, but it expires before the key that sealed it may go"),
    ("audit", "previous", "a hash"),
    ("audit", "hash", "a hash"),
    ("audit_chains", "hash", "a hash"),
    ("audit_chains", "subject_key", "it must be destroyed for good, whatever becomes of the keys"),
];

const PROGRESS: &str = "resealing";

impl Store {
    /// How far sealing anew is; `None` before the first time.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn resealing(&self) -> Result<Option<Resealing>> {
        let value = self.recall(PROGRESS).await?;
        Ok(value.and_then(|value| serde_json::from_slice(&value).ok()))
    }

    /// Writes the beginning in place of what was seen; whether nobody was faster.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn begin_resealing(
        &self,
        seen: Option<&Resealing>,
        begun: &Resealing,
    ) -> Result<bool> {
        let seen = seen.map(encoded).transpose()?;
        let begun = encoded(begun)?;
        self.writer.run(Advance { seen, progress: begun, values: Vec::new(), check: None }).await
    }

    /// The slice that comes next; empty at the end of a column.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn sealed_values(&self, progress: &Resealing) -> Result<Vec<SealedValue>> {
        let (at, tenant, key, generation) = &progress.at;
        let Some(column) = COLUMNS.get(*at) else { return Ok(Vec::new()) };
        let behind = vec![tenant.into(), key.into(), (*generation).into()];
        let rows = self.readers.fetch(column.page, behind).await?;
        Ok(rows.into_iter().map(|row| sealed_value(column, row)).collect::<Result<_, _>>()?)
    }

    /// Writes values sealed anew and the progress behind them, and with the last slice the
    /// key-check row; whether nobody was faster. A value that changed since is left alone.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn put_sealed(
        &self,
        values: Vec<(SealedValue, Sealed)>,
        seen: &Resealing,
        progress: &Resealing,
        check: Option<Sealed>,
    ) -> Result<bool> {
        let (seen, progress) = (Some(encoded(seen)?), encoded(progress)?);
        self.writer.run(Advance { seen, progress, values, check }).await
    }
}

fn sealed_value(column: &'static Column, mut row: Row) -> Result<SealedValue, Failure> {
    let (tenant, key, generation) = (row.text(0)?, row.text(1)?, row.int(2)?);
    let place = (column.place)(&key, generation);
    Ok(SealedValue { column, tenant, key, generation, place, sealed: Sealed(row.bytes(3)?) })
}

fn encoded(progress: &Resealing) -> Result<Vec<u8>, Failure> {
    Ok(super::engine::to_json(progress)?.into_bytes())
}

struct Advance {
    seen: Option<Vec<u8>>,
    progress: Vec<u8>,
    values: Vec<(SealedValue, Sealed)>,
    check: Option<Sealed>,
}

impl Job for Advance {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        if !self.is_next(conn).await? {
            return Ok(false);
        }
        for (value, sealed) in &self.values {
            let values = vec![
                value.tenant.as_str().into(),
                value.key.as_str().into(),
                value.generation.into(),
                sealed.0.as_slice().into(),
                value.sealed.0.as_slice().into(),
            ];
            conn.execute(value.column.update, values).await?;
        }
        if let Some(check) = &self.check {
            let sql = "UPDATE meta SET value = $1 WHERE name = $2";
            conn.execute(sql, vec![check.0.as_slice().into(), KEY_CHECK.into()]).await?;
        }
        Ok(true)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

impl Advance {
    /// Takes the next step of the progress unless somebody else did.
    async fn is_next(&self, conn: &mut Connection) -> Result<bool, Failure> {
        let progress: Value = self.progress.as_slice().into();
        let changed = match &self.seen {
            Some(seen) => {
                let sql = "UPDATE meta SET value = $1 WHERE name = $2 AND value = $3";
                let values = vec![progress, PROGRESS.into(), seen.as_slice().into()];
                conn.execute(sql, values).await?
            }
            None => {
                let sql = "INSERT INTO meta (name, value) VALUES ($2, $1) ON CONFLICT DO NOTHING";
                conn.execute(sql, vec![progress, PROGRESS.into()]).await?
            }
        };
        Ok(changed > 0)
    }
}
