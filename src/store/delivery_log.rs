//! What was sent to an endpoint and how it went; and sending it again.

use super::engine::{Connection, Failure, Row};
use super::locks::Reach;
use super::stale::Stale;
use super::subscribers::{self, Message};
use super::writer::Job;
use super::{Store, audit, webhooks};
use crate::domain::audit::AuditEntry;
use crate::domain::webhook::{
    self, Attempt, Delivery, DeliveryStatus, EventType, MOST_ATTEMPTS_SHOWN, Subject,
};
use crate::error::{Error, Result, Thing};

impl Store {
    /// At most `limit` deliveries to an endpoint, newest first, from behind `after`; of one status
    /// when given. An endpoint that is not there has none.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_deliveries(
        &self,
        (tenant, webhook): (&str, &str),
        status: Option<DeliveryStatus>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Delivery>> {
        let values = vec![
            tenant.into(),
            webhook.into(),
            after.into(),
            status.map(DeliveryStatus::name).into(),
            i64::from(limit).into(),
            MOST_ATTEMPTS_SHOWN.into(),
        ];
        Ok(deliveries(self.readers.fetch(PAGE, values).await?)?)
    }

    /// Queues a test for an endpoint.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint, `WebhookDisabled` when nothing is sent to it.
    pub async fn queue_test(&self, audit: AuditEntry) -> Result<Delivery> {
        self.writer.run(Test { audit }).await
    }

    /// Queues a delivery again, unless it is being sent; the delivery as it then is.
    ///
    /// # Errors
    /// `NotFound` when there is no such delivery to this endpoint, `WebhookDisabled` when nothing
    /// is sent to it.
    pub async fn replay_delivery(
        &self,
        webhook: &str,
        id: &str,
        audit: AuditEntry,
    ) -> Result<Delivery> {
        self.writer.run(Replay { webhook: webhook.into(), id: id.into(), audit }).await
    }

    /// Queues all failed deliveries of events at `since` (milliseconds) or later again; how many.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint, `WebhookDisabled` when nothing is sent to it.
    pub async fn replay_failed(&self, webhook: &str, since: i64, audit: AuditEntry) -> Result<u64> {
        self.writer.run(ReplayFailed { webhook: webhook.into(), since, audit }).await
    }
}

/// Adds an attempt to the log of a delivery, unless the delivery was deleted in the meantime.
pub(super) async fn note(
    conn: &mut Connection,
    (tenant, id): (&str, &str),
    attempt: &Attempt,
) -> Result<(), Failure> {
    let sql = "UPDATE webhook_deliveries SET attempts = attempts + 1 \
               WHERE tenant_id = $1 AND delivery_id = $2 RETURNING attempts";
    let Some(mut row) = conn.fetch(sql, vec![tenant.into(), id.into()]).await?.pop() else {
        return Ok(());
    };
    let Attempt { started_at, duration_ms, status_code, error, answer } = attempt;
    let sql = "INSERT INTO webhook_attempts (tenant_id, delivery_id, number, started_at, \
               duration_ms, status_code, error, answer) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
    let values = vec![
        tenant.into(),
        id.into(),
        row.int(0)?.into(),
        (*started_at).into(),
        (*duration_ms).into(),
        status_code.map(i64::from).into(),
        error.as_deref().into(),
        answer.as_deref().into(),
    ];
    conn.execute(sql, values).await.map(drop)
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT page.delivery_id, page.webhook_id, page.event, page.status, page.note, \
             page.attempts, page.next_at, page.created_at, a.started_at, a.duration_ms, \
             a.status_code, a.error, a.answer FROM \
             (SELECT * FROM webhook_deliveries WHERE tenant_id = $1 AND webhook_id = $2 ",
            $condition,
            ") AS page LEFT JOIN webhook_attempts AS a ON a.tenant_id = page.tenant_id \
             AND a.delivery_id = page.delivery_id AND a.number > page.attempts - $6 \
             ORDER BY page.delivery_id DESC, a.number"
        )
    };
}

pub(super) const PAGE: &str = select!(
    "AND (CAST($3 AS TEXT) IS NULL OR delivery_id < $3) \
     AND (CAST($4 AS TEXT) IS NULL OR status = $4) ORDER BY delivery_id DESC LIMIT $5"
);
const BY_NAME: &str = select!("AND delivery_id = $3 AND CAST($4 AS TEXT) IS NULL LIMIT $5");

async fn find(
    conn: &mut Connection,
    (tenant, webhook): (&str, &str),
    id: &str,
) -> Result<Delivery, Failure> {
    let values = vec![
        tenant.into(),
        webhook.into(),
        id.into(),
        None::<&str>.into(),
        1.into(),
        MOST_ATTEMPTS_SHOWN.into(),
    ];
    let found = deliveries(conn.fetch(BY_NAME, values).await?)?.pop();
    found.ok_or(Failure::Refused(Error::NotFound(Thing::Delivery)))
}

struct Test {
    audit: AuditEntry,
}

impl Job for Test {
    type Answer = Delivery;

    async fn run(&self, conn: &mut Connection) -> Result<Delivery, Failure> {
        let AuditEntry { tenant, target, id: cause, at, .. } = &self.audit;
        webhooks::require_enabled(conn, (tenant, target)).await?;
        let message = Message {
            tenant,
            webhook: target.clone(),
            event: EventType::Test,
            subject: &Subject::Webhook(target.clone()),
            cause,
            at: *at,
        };
        subscribers::queue(conn, [message]).await?;
        audit::insert(conn, [&self.audit]).await?;
        find(conn, (tenant, target), &webhook::message_id(target, cause, *at)).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.audit.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

struct Replay {
    webhook: String,
    id: String,
    audit: AuditEntry,
}

impl Job for Replay {
    type Answer = Delivery;

    async fn run(&self, conn: &mut Connection) -> Result<Delivery, Failure> {
        let (tenant, now) = (self.audit.tenant.as_str(), self.audit.at);
        let to = (tenant, self.webhook.as_str());
        find(conn, to, &self.id).await?;
        webhooks::require_enabled(conn, to).await?;
        let sql = "UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = $3, \
                   lease = NULL, note = NULL, finished_at = NULL WHERE tenant_id = $1 \
                   AND delivery_id = $2 AND (lease IS NULL OR next_at <= $3)";
        conn.execute(sql, vec![tenant.into(), self.id.as_str().into(), now.into()]).await?;
        conn.subscribers.wake();
        audit::insert(conn, [&self.audit]).await?;
        find(conn, to, &self.id).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.audit.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

struct ReplayFailed {
    webhook: String,
    since: i64,
    audit: AuditEntry,
}

impl Job for ReplayFailed {
    type Answer = u64;

    async fn run(&self, conn: &mut Connection) -> Result<u64, Failure> {
        let tenant = self.audit.tenant.as_str();
        webhooks::require_enabled(conn, (tenant, &self.webhook)).await?;
        let sql = "UPDATE webhook_deliveries SET status = 'pending', tries = 0, next_at = $4, \
                   note = NULL, finished_at = NULL WHERE tenant_id = $1 AND webhook_id = $2 \
                   AND status = 'failed' AND created_at >= $3";
        let values = vec![
            tenant.into(),
            self.webhook.as_str().into(),
            self.since.into(),
            self.audit.at.into(),
        ];
        let queued = conn.execute(sql, values).await?;
        conn.subscribers.wake();
        audit::insert(conn, [&self.audit]).await?;
        Ok(queued)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.audit.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

/// One delivery per run of rows that differ in their attempt alone.
fn deliveries(rows: Vec<Row>) -> Result<Vec<Delivery>, Failure> {
    let mut all: Vec<Delivery> = Vec::new();
    for mut row in rows {
        let attempt = attempt(&mut row)?;
        let next = delivery(row)?;
        match all.last_mut().filter(|last| last.id == next.id) {
            Some(last) => last.attempts.extend(attempt),
            None => all.push(Delivery { attempts: attempt.into_iter().collect(), ..next }),
        }
    }
    Ok(all)
}

fn delivery(mut row: Row) -> Result<Delivery, Failure> {
    let status = status(&row.text(3)?)?;
    let next_at = row.int(6)?;
    Ok(Delivery {
        id: row.text(0)?,
        webhook: row.text(1)?,
        event: webhooks::event(&row.text(2)?)?,
        status,
        note: row.opt_text(4)?,
        attempt_count: row.int(5)?,
        attempts: Vec::new(),
        next_attempt_at: (status == DeliveryStatus::Pending).then_some(next_at),
        created_at: row.int(7)?,
    })
}

fn attempt(row: &mut Row) -> Result<Option<Attempt>, Failure> {
    let Some(started_at) = row.opt_int(8)? else { return Ok(None) };
    Ok(Some(Attempt {
        started_at,
        duration_ms: row.int(9)?,
        status_code: row.opt_int(10)?.and_then(|code| u16::try_from(code).ok()),
        error: row.opt_text(11)?,
        answer: row.opt_text(12)?,
    }))
}

fn status(name: &str) -> Result<DeliveryStatus, Failure> {
    let all = [DeliveryStatus::Pending, DeliveryStatus::Delivered, DeliveryStatus::Failed];
    let found = all.into_iter().find(|status| status.name() == name);
    found.ok_or_else(|| Failure::Statement(format!("no delivery is '{name}'")))
}
