//! Keeping the queue of deliveries bounded: what waits for a disabled or deleted endpoint is taken
//! off, old entries of the log go, and no endpoint keeps more than its share. In slices.

use super::Store;
use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::error::Result;

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How long finished deliveries are kept, milliseconds.
    pub keep_ms: i64,
    /// The most deliveries of one endpoint that wait, and the most that are finished.
    pub most: i64,
}

impl Store {
    /// Takes off what waits for endpoints that are disabled, deleted or of a revoked tenant;
    /// whether there may be more.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn settle_webhooks(&self, now: i64) -> Result<bool> {
        if self.readers.fetch(UNSETTLED, Vec::new()).await?.is_empty() {
            return Ok(false);
        }
        self.writer.run(Settle { now }).await
    }

    /// Removes finished deliveries that are too old or too many, and fails the oldest of too many
    /// that wait; whether there may be more.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn purge_deliveries(&self, now: i64, bounds: Bounds) -> Result<bool> {
        let mut crowded = Vec::new();
        for mut row in self.readers.fetch(CROWDED, vec![bounds.most.into()]).await? {
            crowded.push((row.text(0)?, row.text(1)?));
        }
        let before = now.saturating_sub(bounds.keep_ms);
        if crowded.is_empty() && self.readers.fetch(OLD, vec![before.into()]).await?.is_empty() {
            return Ok(false);
        }
        self.writer.run(Purge { now, before, most: bounds.most, crowded }).await
    }
}

/// What one instance at a time does.
const UPKEEP: &str = "delivery upkeep";

/// The most deliveries of one endpoint that one call changes.
const SLICE: i64 = 1000;

const UNSETTLED: &str = "SELECT 1 FROM webhooks WHERE settling = 1 OR state = 'enabled' \
     AND tenant_id IN (SELECT tenant_id FROM tenants WHERE revoked_at IS NOT NULL) LIMIT 1";

pub(super) const OLD: &str = "SELECT 1 FROM webhook_deliveries \
     WHERE status <> 'pending' AND finished_at < $1 LIMIT 1";

const CROWDED: &str = "SELECT tenant_id, webhook_id FROM webhook_deliveries \
     GROUP BY tenant_id, webhook_id HAVING COUNT(CASE WHEN status = 'pending' THEN 1 END) > $1 \
     OR COUNT(CASE WHEN status <> 'pending' THEN 1 END) > $1";

struct Settle {
    now: i64,
}

impl Job for Settle {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        if !conn.claim(UPKEEP).await? {
            return Ok(false);
        }
        let sql = "UPDATE webhooks SET state = 'disabled', disabled_reason = 'operator', \
                   settling = 1 WHERE state = 'enabled' AND tenant_id IN \
                   (SELECT tenant_id FROM tenants WHERE revoked_at IS NOT NULL)";
        if conn.execute(sql, Vec::new()).await? > 0 {
            conn.subscribers.forget();
        }
        let sql = "SELECT tenant_id, webhook_id, state FROM webhooks WHERE settling = 1 LIMIT 16";
        let mut is_more = false;
        for mut row in conn.fetch(sql, Vec::new()).await? {
            let (tenant, webhook) = (row.text(0)?, row.text(1)?);
            let changed = match row.text(2)?.as_str() {
                "deleted" => remove(conn, (&tenant, &webhook)).await?,
                _ => self.fail(conn, (&tenant, &webhook)).await?,
            };
            is_more |= changed > 0;
        }
        Ok(is_more)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}

impl Settle {
    /// What is being sent at this moment is taken off when it comes back and is to be tried again.
    async fn fail(
        &self,
        conn: &mut Connection,
        (tenant, webhook): (&str, &str),
    ) -> Result<u64, Failure> {
        let sql = "UPDATE webhook_deliveries SET status = 'failed', lease = NULL, \
                   note = 'The endpoint was disabled.', finished_at = $3 \
                   WHERE (tenant_id, delivery_id) IN \
                   (SELECT tenant_id, delivery_id FROM webhook_deliveries \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'pending' \
                   AND (lease IS NULL OR next_at <= $3) LIMIT 1000)";
        let name = || vec![tenant.into(), webhook.into()];
        let failed = conn.execute(sql, [name(), vec![self.now.into()]].concat()).await?;
        let sql = "UPDATE webhooks SET settling = 0 WHERE tenant_id = $1 AND webhook_id = $2 \
                   AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d \
                   WHERE d.tenant_id = $1 AND d.webhook_id = $2 AND d.status = 'pending')";
        conn.execute(sql, name()).await?;
        Ok(failed)
    }
}

async fn remove(conn: &mut Connection, (tenant, webhook): (&str, &str)) -> Result<u64, Failure> {
    let name = || vec![tenant.into(), webhook.into()];
    let sql = "DELETE FROM webhook_deliveries WHERE (tenant_id, delivery_id) IN \
               (SELECT tenant_id, delivery_id FROM webhook_deliveries \
               WHERE tenant_id = $1 AND webhook_id = $2 LIMIT 1000)";
    let removed = conn.execute(sql, name()).await?;
    if removed == 0 {
        let sql = "DELETE FROM webhooks \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND state = 'deleted'";
        conn.execute(sql, name()).await?;
    }
    Ok(removed)
}

struct Purge {
    now: i64,
    before: i64,
    most: i64,
    /// Endpoints (tenant, id) that had more deliveries than they may have.
    crowded: Vec<(String, String)>,
}

impl Job for Purge {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        if !conn.claim(UPKEEP).await? {
            return Ok(false);
        }
        let sql = "DELETE FROM webhook_deliveries WHERE (tenant_id, delivery_id) IN \
                   (SELECT tenant_id, delivery_id FROM webhook_deliveries \
                   WHERE status <> 'pending' AND finished_at < $1 LIMIT 1000)";
        let old = conn.execute(sql, vec![self.before.into()]).await?;
        let mut is_more = old == SLICE as u64;
        for (tenant, webhook) in &self.crowded {
            is_more |= self.thin(conn, (tenant, webhook)).await?;
        }
        Ok(is_more)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}

const COUNTED: &str = "SELECT COUNT(CASE WHEN status = 'pending' THEN 1 END), \
     COUNT(CASE WHEN status <> 'pending' THEN 1 END) FROM webhook_deliveries \
     WHERE tenant_id = $1 AND webhook_id = $2";

impl Purge {
    /// Takes what is too much off one endpoint; whether there may be more. Counted again: another
    /// instance may have been here since.
    async fn thin(
        &self,
        conn: &mut Connection,
        (tenant, webhook): (&str, &str),
    ) -> Result<bool, Failure> {
        let name = || vec![tenant.into(), webhook.into()];
        let Some(mut row) = conn.fetch(COUNTED, name()).await?.pop() else { return Ok(false) };
        let too_many = |counted: i64| (counted - self.most).clamp(0, SLICE);
        let (waiting, finished) = (too_many(row.int(0)?), too_many(row.int(1)?));
        let sql = "DELETE FROM webhook_deliveries WHERE (tenant_id, delivery_id) IN \
                   (SELECT tenant_id, delivery_id FROM webhook_deliveries \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND status <> 'pending' \
                   ORDER BY delivery_id LIMIT $3)";
        conn.execute(sql, [name(), vec![finished.into()]].concat()).await?;
        let sql = "UPDATE webhook_deliveries SET status = 'failed', lease = NULL, \
                   note = 'Too many deliveries waited.', finished_at = $4 \
                   WHERE (tenant_id, delivery_id) IN \
                   (SELECT tenant_id, delivery_id FROM webhook_deliveries \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'pending' \
                   AND lease IS NULL ORDER BY delivery_id LIMIT $3)";
        let values = [name(), vec![waiting.into(), self.now.into()]].concat();
        conn.execute(sql, values).await?;
        Ok(waiting == SLICE || finished == SLICE)
    }
}
