//! The queue of deliveries: claimed under a lease, settled, released.
//!
//! Whoever claims a delivery alone sends it until its lease ends; a process that dies in between
//! leaves the lease to run out, and the delivery is sent again under the same id. Knows no HTTP.

use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use super::{Store, audit, delivery_log, webhooks};
use crate::domain::audit::AuditEntry;
use crate::domain::webhook::{Attempt, DeliveryStatus, Disabled, Outgoing, Verdict, Webhook};
use crate::error::Result;

/// Which deliveries are wanted.
#[derive(Clone, Debug)]
pub struct ClaimRequest {
    /// Milliseconds since 1970.
    pub now: i64,
    /// Until when they are the caller's, milliseconds since 1970.
    pub until: i64,
    /// Names the caller, and no other one.
    pub lease: String,
    /// The most deliveries that one endpoint may be sent at once, by all instances.
    pub per_endpoint: i64,
    /// The most deliveries wanted.
    pub room: i64,
    /// The endpoint (tenant, id) behind which to begin: [`Claim::last`] of the call before.
    pub after: (String, String),
}

/// What was claimed.
#[derive(Debug, Default)]
pub struct Claim {
    /// The caller's until the lease ends, in the order in which they should be sent.
    pub deliveries: Vec<Outgoing>,
    /// The endpoint that was looked at last.
    pub last: (String, String),
    /// Whether the round ended here: the next call begins with the first endpoint.
    pub is_round: bool,
}

/// How an attempt went.
#[derive(Debug)]
pub struct Settled {
    /// As it was claimed.
    pub delivery: Outgoing,
    /// The caller's name.
    pub lease: String,
    /// What was tried.
    pub attempt: Attempt,
    /// What follows.
    pub verdict: Verdict,
    /// To be written when the endpoint is disabled by this.
    pub audit: AuditEntry,
}

impl Store {
    /// Waits until something was queued by this process. What others queue shows in
    /// [`Store::next_delivery_at`].
    pub async fn delivery_queued(&self) {
        self.queued.notified().await;
    }

    /// When the next delivery or lease is due, milliseconds since 1970.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn next_delivery_at(&self) -> Result<Option<i64>> {
        let row = self.readers.fetch(NEXT, Vec::new()).await?.pop();
        Ok(row.map(|mut row| row.int(0)).transpose()?)
    }

    /// Claims deliveries that are due, fairly among endpoints.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn claim_deliveries(&self, request: ClaimRequest) -> Result<Claim> {
        self.writer.run(request).await
    }

    /// Notes an attempt and what follows from it; whether the lease still held. When it did not,
    /// somebody else goes on with the delivery, and the attempt is noted all the same.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn settle_delivery(&self, settled: Settled) -> Result<bool> {
        self.writer.run(settled).await
    }

    /// Gives back what was claimed under a lease and not settled: it is due at once, for anybody.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn release_deliveries(&self, lease: &str, now: i64) -> Result<u64> {
        self.writer.run(Release { lease: lease.into(), now }).await
    }
}

pub(super) const NEXT: &str = "SELECT next_at FROM webhook_deliveries WHERE status = 'pending' \
     ORDER BY next_at LIMIT 1";

/// The first endpoint behind another that anything waits for.
pub(super) const NEXT_ENDPOINT: &str = "SELECT tenant_id, webhook_id FROM webhook_deliveries \
     WHERE status = 'pending' AND (tenant_id, webhook_id) > ($1, $2) \
     ORDER BY tenant_id, webhook_id LIMIT 1";

pub(super) const IN_FLIGHT: &str = "SELECT COUNT(*) FROM webhook_deliveries WHERE lease IS NOT NULL \
     AND tenant_id = $1 AND webhook_id = $2 AND next_at > $3";

pub(super) const TAKE: &str = "UPDATE webhook_deliveries SET lease = $4, next_at = $5 \
     WHERE (tenant_id, delivery_id) IN (SELECT tenant_id, delivery_id FROM webhook_deliveries \
     WHERE tenant_id = $1 AND webhook_id = $2 AND status = 'pending' AND next_at <= $3 \
     ORDER BY next_at, delivery_id LIMIT $6) RETURNING delivery_id, event, body, tries";

/// The most endpoints that one call looks at.
const MOST_ENDPOINTS: usize = 64;

impl Job for ClaimRequest {
    type Answer = Claim;

    async fn run(&self, conn: &mut Connection) -> Result<Claim, Failure> {
        let mut claim = Claim { last: self.after.clone(), ..Claim::default() };
        for _ in 0..MOST_ENDPOINTS {
            let room = self.room.saturating_sub(claim.deliveries.len() as i64);
            if room <= 0 {
                return Ok(claim);
            }
            let values = vec![claim.last.0.as_str().into(), claim.last.1.as_str().into()];
            let Some(mut row) = conn.fetch(NEXT_ENDPOINT, values).await?.pop() else {
                return Ok(Claim { last: Default::default(), is_round: true, ..claim });
            };
            claim.last = (row.text(0)?, row.text(1)?);
            let (tenant, webhook) = &claim.last;
            claim.deliveries.extend(self.take(conn, (tenant, webhook), room).await?);
        }
        Ok(claim)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::Work("deliveries")
    }

    fn forget(&self, _: &mut Stale) {}
}

impl ClaimRequest {
    async fn take(
        &self,
        conn: &mut Connection,
        (tenant, id): (&str, &str),
        room: i64,
    ) -> Result<Vec<Outgoing>, Failure> {
        let values = vec![tenant.into(), id.into(), self.now.into()];
        let in_flight = conn.fetch(IN_FLIGHT, values).await?.pop();
        let in_flight = in_flight.map_or(Ok(0), |mut row| row.int(0))?;
        let most = room.min(self.per_endpoint - in_flight);
        if most <= 0 {
            return Ok(Vec::new());
        }
        // One that is deleted or disabled has its deliveries taken off elsewhere.
        let webhook = webhooks::known(conn, tenant, id).await?;
        match webhook.filter(|webhook| webhook.disabled.is_none()) {
            Some(webhook) => self.lease(conn, &webhook, most).await,
            None => Ok(Vec::new()),
        }
    }

    async fn lease(
        &self,
        conn: &mut Connection,
        webhook: &Webhook,
        most: i64,
    ) -> Result<Vec<Outgoing>, Failure> {
        let values = vec![
            webhook.tenant.as_str().into(),
            webhook.id.as_str().into(),
            self.now.into(),
            self.lease.as_str().into(),
            self.until.into(),
            most.into(),
        ];
        let mut taken = Vec::new();
        for mut row in conn.fetch(TAKE, values).await? {
            taken.push(Outgoing {
                tenant: webhook.tenant.clone(),
                id: row.text(0)?,
                webhook: webhook.id.clone(),
                url: webhook.url.clone(),
                event: webhooks::event(&row.text(1)?)?,
                body: row.text(2)?,
                tries: row.int(3)?,
                secrets: webhook.secrets.clone(),
            });
        }
        taken.sort_by(|one, other| one.id.cmp(&other.id));
        Ok(taken)
    }
}

impl Job for Settled {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        let Self { delivery: Outgoing { tenant, id, webhook, .. }, verdict, .. } = self;
        let held = self.change(conn).await?;
        delivery_log::note(conn, (tenant, id), &self.attempt).await?;
        let reason = match verdict {
            Verdict::Gone => Disabled::Gone,
            Verdict::Exhausted => Disabled::Exhausted,
            Verdict::Delivered | Verdict::Retry(_) => return Ok(held),
        };
        if held && webhooks::disable(conn, (tenant, webhook), reason).await? {
            audit::insert(conn, [&self.audit]).await?;
        }
        Ok(held)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.delivery.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

impl Settled {
    async fn change(&self, conn: &mut Connection) -> Result<bool, Failure> {
        let ended = self.attempt.started_at.saturating_add(self.attempt.duration_ms);
        let (status, next_at, finished_at) = match self.verdict {
            Verdict::Delivered => (DeliveryStatus::Delivered, ended, Some(ended)),
            Verdict::Gone | Verdict::Exhausted => (DeliveryStatus::Failed, ended, Some(ended)),
            Verdict::Retry(at) => (DeliveryStatus::Pending, at, None),
        };
        let sql = "UPDATE webhook_deliveries SET status = $4, tries = tries + 1, next_at = $5, \
                   lease = NULL, finished_at = $6 \
                   WHERE tenant_id = $1 AND delivery_id = $2 AND lease = $3";
        let values = vec![
            self.delivery.tenant.as_str().into(),
            self.delivery.id.as_str().into(),
            self.lease.as_str().into(),
            status.name().into(),
            next_at.into(),
            finished_at.into(),
        ];
        Ok(conn.execute(sql, values).await? > 0)
    }
}

struct Release {
    lease: String,
    now: i64,
}

impl Job for Release {
    type Answer = u64;

    async fn run(&self, conn: &mut Connection) -> Result<u64, Failure> {
        let sql = "UPDATE webhook_deliveries SET lease = NULL, next_at = $2 WHERE lease = $1";
        conn.execute(sql, vec![self.lease.as_str().into(), self.now.into()]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}
