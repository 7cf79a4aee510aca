//! Reading the audit: in pages for people, chain by chain for whoever checks it.
//!
//! A page looks at a bounded number of rows, so that a rare filter over millions of entries comes
//! back soon, with few entries or none and a place to go on from.

use super::Store;
use super::engine::{Failure, Row};
use crate::domain::audit::{Hash, Record};
use crate::domain::audit_chain::Found;
use crate::error::Result;

/// Which entries a page holds; `None` is any.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Of one chain; empty for what belongs to no tenant.
    pub tenant: Option<String>,
    /// By whom.
    pub actor: Option<String>,
    /// What was done.
    pub action: Option<String>,
    /// To what.
    pub target: Option<String>,
    /// About whom, by pseudonym.
    pub subject: Option<String>,
    /// Not before this instant, milliseconds since 1970.
    pub since: Option<i64>,
    /// Before this instant, milliseconds since 1970.
    pub until: Option<i64>,
}

/// One page of entries.
#[derive(Debug)]
pub struct AuditPage {
    /// What was found.
    pub entries: Vec<Found>,
    /// Where the next page begins; `None` when there is nothing beyond.
    pub next: Option<i64>,
}

/// The rows that one page looks at.
const LOOKED_AT: i64 = 20_000;

impl Store {
    /// At most `limit` entries older than the one at `before`, latest first; of those that fit the
    /// filter.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_page(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: u32,
    ) -> Result<AuditPage> {
        let last = self.last_position().await?;
        let from = before.unwrap_or(i64::MAX).min(last.saturating_add(1));
        let lowest = from.saturating_sub(LOOKED_AT).max(0);
        let entries = self.audit_rows(OLDER, filter, (lowest, from), limit).await?;
        let is_full = entries.len() >= limit as usize;
        let reached = entries.last().filter(|_| is_full).map_or(lowest, |last| last.position);
        Ok(AuditPage { entries, next: (reached > 1).then_some(reached) })
    }

    /// At most `limit` entries younger than the one at `after`, oldest first; of those that fit the
    /// filter.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_since(
        &self,
        filter: &AuditFilter,
        after: i64,
        limit: u32,
    ) -> Result<AuditPage> {
        let last = self.audit_position().await?;
        let highest = after.saturating_add(LOOKED_AT).min(last);
        let entries = self.audit_rows(YOUNGER, filter, (after, highest), limit).await?;
        let is_full = entries.len() >= limit as usize;
        let reached = entries.last().filter(|_| is_full).map_or(highest, |last| last.position);
        Ok(AuditPage { entries, next: Some(reached.max(after)) })
    }

    /// The position behind which those who follow find what is written from now on; 0 when nothing
    /// was written yet. No entry that is still being written gets one in front of it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_position(&self) -> Result<i64> {
        match self.readers.settled().await? {
            Some(settled) => Ok(settled),
            None => self.last_position().await,
        }
    }

    async fn last_position(&self) -> Result<i64> {
        let sql = "SELECT COALESCE(MAX(position), 0) FROM audit";
        let row = self.readers.fetch(sql, Vec::new()).await?.pop();
        Ok(row.map_or(Ok(0), |mut row| row.int(0))?)
    }

    /// When the newest of the last thousand acts was, milliseconds since 1970.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn newest_act(&self) -> Result<Option<i64>> {
        let sql = "SELECT COALESCE(MAX(happened_at), 0) FROM \
                   (SELECT happened_at FROM audit ORDER BY position DESC LIMIT 1000) AS last";
        let row = self.readers.fetch(sql, Vec::new()).await?.pop();
        let newest = row.map(|mut row| row.int(0)).transpose()?;
        Ok(newest.filter(|at| *at > 0))
    }

    /// The chain whose tenant's id comes next; that of no tenant (`""`) comes first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_chain_behind(&self, tenant: Option<&str>) -> Result<Option<String>> {
        // Each MIN is one step in an index; SELECT DISTINCT would walk all entries.
        let sql = "SELECT MIN(next) FROM (\
             SELECT MIN(tenant_id) AS next FROM audit WHERE tenant_id > $1 OR $2 = 1 \
             UNION ALL \
             SELECT MIN(tenant_id) FROM audit_chains WHERE tenant_id > $1 OR $2 = 1) AS names";
        let values = vec![tenant.unwrap_or_default().into(), tenant.is_none().into()];
        let row = self.readers.fetch(sql, values).await?.pop();
        Ok(row.map_or(Ok(None), |mut row| row.opt_text(0))?)
    }

    /// At most `limit` entries of a chain behind a place, in order.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_chain(&self, tenant: &str, after: i64, limit: u32) -> Result<Vec<Found>> {
        let values = vec![tenant.into(), after.into(), i64::from(limit).into()];
        let rows = self.readers.fetch(CHAIN, values).await?;
        Ok(rows.into_iter().map(found).collect())
    }

    /// Where a chain ends, by the row that says so; `None` when that is missing or unreadable.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn audit_chain_end(&self, tenant: &str) -> Result<Option<(i64, Hash)>> {
        let sql = "SELECT sequence, hash FROM audit_chains WHERE tenant_id = $1";
        let Some(mut row) = self.readers.fetch(sql, vec![tenant.into()]).await?.pop() else {
            return Ok(None);
        };
        let hash = row.bytes(1).ok().and_then(|bytes| Hash::from_bytes(&bytes));
        Ok(row.int(0).ok().zip(hash))
    }

    async fn audit_rows(
        &self,
        sql: &'static str,
        filter: &AuditFilter,
        (from, to): (i64, i64),
        limit: u32,
    ) -> Result<Vec<Found>> {
        let AuditFilter { tenant, actor, action, target, subject, since, until } = filter;
        let values = vec![
            from.into(),
            to.into(),
            tenant.as_deref().into(),
            actor.as_deref().into(),
            action.as_deref().into(),
            target.as_deref().into(),
            subject.as_deref().into(),
            (*since).into(),
            (*until).into(),
            i64::from(limit).into(),
        ];
        let rows = self.readers.fetch(sql, values).await?;
        Ok(rows.into_iter().map(found).collect())
    }
}

macro_rules! columns {
    () => {
        "tenant_id, sequence, audit_id, happened_at, actor, action, target, subject, detail, \
         previous, hash, position"
    };
}

macro_rules! filtered {
    ($range:literal, $order:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            " FROM audit WHERE ",
            $range,
            " AND (CAST($3 AS TEXT) IS NULL OR tenant_id = $3) \
             AND (CAST($4 AS TEXT) IS NULL OR actor = $4) \
             AND (CAST($5 AS TEXT) IS NULL OR action = $5) \
             AND (CAST($6 AS TEXT) IS NULL OR target = $6) \
             AND (CAST($7 AS TEXT) IS NULL OR subject = $7) \
             AND (CAST($8 AS BIGINT) IS NULL OR happened_at >= $8) \
             AND (CAST($9 AS BIGINT) IS NULL OR happened_at < $9) ORDER BY position ",
            $order,
            " LIMIT $10"
        )
    };
}

pub(super) const OLDER: &str = filtered!("position >= $1 AND position < $2", "DESC");
pub(super) const YOUNGER: &str = filtered!("position > $1 AND position <= $2", "ASC");
pub(super) const CHAIN: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM audit WHERE tenant_id = $1 AND sequence > $2 ORDER BY sequence LIMIT $3"
);

/// Whatever can be read: a row that somebody has spoilt must not hide the others.
fn found(mut row: Row) -> Found {
    let hash = row.bytes(10).ok().and_then(|bytes| Hash::from_bytes(&bytes));
    let position = row.int(11).unwrap_or_default();
    let record = record(&mut row).ok().flatten().filter(|_| hash.is_some());
    Found { record, hash: hash.unwrap_or(Hash::NONE), position }
}

fn record(row: &mut Row) -> Result<Option<Record>, Failure> {
    let Some(previous) = Hash::from_bytes(&row.bytes(9)?) else { return Ok(None) };
    Ok(Some(Record {
        tenant: row.text(0)?,
        sequence: row.int(1)?,
        id: row.text(2)?,
        at: row.int(3)?,
        actor: row.text(4)?,
        action: row.text(5)?,
        target: row.text(6)?,
        subject: row.opt_text(7)?,
        detail: row.text(8)?,
        previous,
    }))
}
