//! Webhook endpoints and their secrets: made, read, changed, taken away.

use super::engine::{Connection, Failure, Row, Rows, to_json};
use super::idempotency::{Once, Receipt};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use super::{Store, audit, expiries, tenants};
use crate::domain::audit::AuditEntry;
use crate::domain::sealing::Sealed;
use crate::domain::webhook::{
    Disabled, EventType, MAX_LIVE_SECRETS, Webhook, WebhookChange, WebhookSecret,
};
use crate::error::{Error, Result, Thing};

impl Store {
    /// An endpoint of a tenant. As of now.
    ///
    /// # Errors
    /// `NotFound` when there is none, or it was deleted.
    pub async fn webhook(&self, tenant: &str, id: &str) -> Result<Webhook> {
        let rows = self.readers.fetch(BY_NAME, vec![tenant.into(), id.into()]).await?;
        webhooks(rows)?.pop().ok_or(Error::NotFound(Thing::Webhook))
    }

    /// At most `limit` endpoints of a tenant with ids beyond `after`, by id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_webhooks(
        &self,
        tenant: &str,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Webhook>> {
        let values = vec![tenant.into(), after.unwrap_or_default().into(), i64::from(limit).into()];
        Ok(webhooks(self.readers.fetch(PAGE, values).await?)?)
    }

    /// Makes an endpoint with its secrets.
    ///
    /// # Errors
    /// `NotFound` when the tenant is not there or revoked; `Answered` when what the receipt names
    /// took effect before.
    pub async fn create_webhook(
        &self,
        webhook: Webhook,
        audit: AuditEntry,
        receipt: Option<Receipt<()>>,
    ) -> Result<()> {
        self.writer.run(Once::new(CreateWebhook { webhook, audit }, receipt)).await
    }

    /// Changes an endpoint; the endpoint as it then is.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn update_webhook(
        &self,
        tenant: &str,
        id: &str,
        change: WebhookChange,
        audit: AuditEntry,
    ) -> Result<Webhook> {
        let (tenant, id) = (tenant.to_owned(), id.to_owned());
        self.writer.run(UpdateWebhook { tenant, id, change, audit }).await
    }

    /// Takes an endpoint away at once, and its deliveries in slices.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn delete_webhook(&self, tenant: &str, id: &str, audit: AuditEntry) -> Result<()> {
        self.writer.run(DeleteWebhook { tenant: tenant.into(), id: id.into(), audit }).await
    }

    /// Adds a secret, whose generation must be one more than the newest. The one before it signs
    /// until `previous_until` (milliseconds); older ones are forgotten. `None`, and nothing is
    /// written, when somebody else rotated in the meantime.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint; `Answered` when what the receipt names took effect
    /// before.
    pub async fn add_webhook_secret(
        &self,
        tenant: &str,
        id: &str,
        secret: WebhookSecret,
        previous_until: i64,
        audit: AuditEntry,
        receipt: Option<Receipt<Webhook>>,
    ) -> Result<Option<Webhook>> {
        let (tenant, id) = (tenant.to_owned(), id.to_owned());
        let job = AddSecret { tenant, id, secret, previous_until, audit };
        self.writer.run(Once::if_written(job, receipt)).await
    }
}

/// Disables an endpoint, for a reason of its own; whether it was enabled.
pub(super) async fn disable(
    conn: &mut Connection,
    (tenant, id): (&str, &str),
    reason: Disabled,
) -> Result<bool, Failure> {
    let sql = "UPDATE webhooks SET state = 'disabled', disabled_reason = $3, settling = 1 \
               WHERE tenant_id = $1 AND webhook_id = $2 AND state = 'enabled'";
    let values = vec![tenant.into(), id.into(), reason.name().into()];
    conn.subscribers.forget();
    Ok(conn.execute(sql, values).await? > 0)
}

/// # Errors
/// `Refused` unless the endpoint is there and enabled.
pub(super) async fn require_enabled(
    conn: &mut Connection,
    (tenant, id): (&str, &str),
) -> Result<(), Failure> {
    let webhook = find(conn, tenant, id).await?;
    match webhook.disabled {
        None => Ok(()),
        Some(_) => Err(Failure::Refused(Error::WebhookDisabled)),
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT w.tenant_id, w.webhook_id, w.url, w.events, w.description, \
             w.disabled_reason, w.created_at, s.generation, s.sealed, s.not_after FROM \
             (SELECT * FROM webhooks WHERE state <> 'deleted' AND tenant_id = $1 ",
            $condition,
            ") AS w LEFT JOIN webhook_secrets AS s \
             ON s.tenant_id = w.tenant_id AND s.webhook_id = w.webhook_id \
             ORDER BY w.webhook_id, s.generation DESC"
        )
    };
}

const BY_NAME: &str = select!("AND webhook_id = $2");
const PAGE: &str = select!("AND webhook_id > $2 ORDER BY webhook_id LIMIT $3");

static SECRETS: Rows = Rows {
    head: "INSERT INTO webhook_secrets (tenant_id, webhook_id, generation, sealed, not_after) \
           VALUES",
    columns: 5,
    tail: "",
};

struct CreateWebhook {
    webhook: Webhook,
    audit: AuditEntry,
}

impl Job for CreateWebhook {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let Webhook { tenant, id, url, events, description, secrets, created_at, .. } =
            &self.webhook;
        tenants::require(conn, tenant).await?;
        expiries::begin(conn, self.audit.at).await?;
        let sql = "INSERT INTO webhooks (tenant_id, webhook_id, url, events, description, state, \
                   settling, created_at) VALUES ($1, $2, $3, $4, $5, 'enabled', 0, $6)";
        let values = vec![
            tenant.into(),
            id.into(),
            url.into(),
            names(events)?.into(),
            description.into(),
            (*created_at).into(),
        ];
        conn.execute(sql, values).await?;
        for secret in secrets {
            insert_secret(conn, (tenant, id), secret).await?;
        }
        conn.subscribers.forget();
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.webhook.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

struct UpdateWebhook {
    tenant: String,
    id: String,
    change: WebhookChange,
    audit: AuditEntry,
}

impl Job for UpdateWebhook {
    type Answer = Webhook;

    async fn run(&self, conn: &mut Connection) -> Result<Webhook, Failure> {
        let Self { tenant, id, change, audit } = self;
        find(conn, tenant, id).await?;
        expiries::begin(conn, audit.at).await?;
        let sql = "UPDATE webhooks SET url = COALESCE($3, url), events = COALESCE($4, events), \
                   description = COALESCE($5, description) \
                   WHERE tenant_id = $1 AND webhook_id = $2";
        let events = change.events.as_deref().map(names).transpose()?;
        let values = vec![
            tenant.into(),
            id.into(),
            change.url.as_deref().into(),
            events.as_deref().into(),
            change.description.as_deref().into(),
        ];
        conn.execute(sql, values).await?;
        match change.enabled {
            Some(true) => enable(conn, tenant, id).await?,
            Some(false) => drop(disable(conn, (tenant, id), Disabled::Operator).await?),
            None => {}
        }
        conn.subscribers.forget();
        audit::insert(conn, [audit]).await?;
        find(conn, tenant, id).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

struct DeleteWebhook {
    tenant: String,
    id: String,
    audit: AuditEntry,
}

impl Job for DeleteWebhook {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let name = || vec![self.tenant.as_str().into(), self.id.as_str().into()];
        let sql = "UPDATE webhooks SET state = 'deleted', settling = 1 \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND state <> 'deleted'";
        if conn.execute(sql, name()).await? == 0 {
            return Err(Failure::Refused(Error::NotFound(Thing::Webhook)));
        }
        let sql = "DELETE FROM webhook_secrets WHERE tenant_id = $1 AND webhook_id = $2";
        conn.execute(sql, name()).await?;
        conn.subscribers.forget();
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

struct AddSecret {
    tenant: String,
    id: String,
    secret: WebhookSecret,
    previous_until: i64,
    audit: AuditEntry,
}

impl Job for AddSecret {
    type Answer = Option<Webhook>;

    async fn run(&self, conn: &mut Connection) -> Result<Option<Webhook>, Failure> {
        let Self { tenant, id, secret, previous_until, audit } = self;
        let known = find(conn, tenant, id).await?;
        let newest = known.secrets.first().map_or(0, |secret| secret.generation);
        if secret.generation != newest + 1 {
            return Ok(None);
        }
        let sql = "UPDATE webhook_secrets SET not_after = $4 \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND generation = $3";
        let values = vec![tenant.into(), id.into(), newest.into(), (*previous_until).into()];
        conn.execute(sql, values).await?;
        let oldest = secret.generation + 1 - MAX_LIVE_SECRETS as i64;
        let sql = "DELETE FROM webhook_secrets \
                   WHERE tenant_id = $1 AND webhook_id = $2 AND generation < $3";
        conn.execute(sql, vec![tenant.into(), id.into(), oldest.into()]).await?;
        insert_secret(conn, (tenant, id), secret).await?;
        audit::insert(conn, [audit]).await?;
        find(conn, tenant, id).await.map(Some)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

async fn insert_secret(
    conn: &mut Connection,
    (tenant, id): (&str, &str),
    secret: &WebhookSecret,
) -> Result<(), Failure> {
    let row = vec![
        tenant.into(),
        id.into(),
        secret.generation.into(),
        secret.secret.0.as_slice().into(),
        secret.not_after.into(),
    ];
    conn.insert(&SECRETS, row).await.map(drop)
}

/// What waited when it was disabled and is still there goes on.
async fn enable(conn: &mut Connection, tenant: &str, id: &str) -> Result<(), Failure> {
    let sql = "UPDATE webhooks SET state = 'enabled', disabled_reason = NULL, settling = 0 \
               WHERE tenant_id = $1 AND webhook_id = $2";
    conn.execute(sql, vec![tenant.into(), id.into()]).await.map(drop)
}

/// # Errors
/// `Refused` when there is none.
pub(super) async fn find(
    conn: &mut Connection,
    tenant: &str,
    id: &str,
) -> Result<Webhook, Failure> {
    known(conn, tenant, id).await?.ok_or(Failure::Refused(Error::NotFound(Thing::Webhook)))
}

/// An endpoint, enabled or not; `None` when there is none.
pub(super) async fn known(
    conn: &mut Connection,
    tenant: &str,
    id: &str,
) -> Result<Option<Webhook>, Failure> {
    let rows = conn.fetch(BY_NAME, vec![tenant.into(), id.into()]).await?;
    Ok(webhooks(rows)?.pop())
}

/// One endpoint per run of rows that differ in their secret alone.
fn webhooks(rows: Vec<Row>) -> Result<Vec<Webhook>, Failure> {
    let mut all: Vec<Webhook> = Vec::new();
    for mut row in rows {
        let secret = secret(&mut row)?;
        let next = webhook(row)?;
        match all.last_mut().filter(|last| last.id == next.id) {
            Some(last) => last.secrets.extend(secret),
            None => all.push(Webhook { secrets: secret.into_iter().collect(), ..next }),
        }
    }
    Ok(all)
}

fn webhook(mut row: Row) -> Result<Webhook, Failure> {
    Ok(Webhook {
        tenant: row.text(0)?,
        id: row.text(1)?,
        url: row.text(2)?,
        events: events(&mut row, 3)?,
        description: row.text(4)?,
        disabled: row.opt_text(5)?.map(|reason| disabled(&reason)).transpose()?,
        secrets: Vec::new(),
        created_at: row.int(6)?,
    })
}

fn secret(row: &mut Row) -> Result<Option<WebhookSecret>, Failure> {
    let Some(generation) = row.opt_int(7)? else { return Ok(None) };
    let (secret, not_after) = (Sealed(row.bytes(8)?), row.opt_int(9)?);
    Ok(Some(WebhookSecret { generation, secret, not_after }))
}

fn disabled(reason: &str) -> Result<Disabled, Failure> {
    let all = [Disabled::Operator, Disabled::Gone, Disabled::Exhausted];
    let found = all.into_iter().find(|known| known.name() == reason);
    found.ok_or_else(|| Failure::Statement(format!("nothing is disabled for '{reason}'")))
}

fn names(events: &[EventType]) -> Result<String, Failure> {
    to_json(&events.iter().map(|event| event.name()).collect::<Vec<_>>())
}

/// The events that a column lists.
pub(super) fn events(row: &mut Row, at: usize) -> Result<Vec<EventType>, Failure> {
    row.json::<Vec<String>>(at)?.iter().map(|name| event(name)).collect()
}

/// The event of a name in a column.
pub(super) fn event(name: &str) -> Result<EventType, Failure> {
    EventType::named(name).ok_or_else(|| Failure::Statement(format!("there is no event '{name}'")))
}
