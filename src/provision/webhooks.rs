//! Making webhook endpoints and their secrets, for the admin surface and the command line alike.

use secrecy::SecretString;

use super::Provision;
use crate::domain::audit::AuditEntry;
use crate::domain::sealing::{MasterKeys, Place, generation_name};
use crate::domain::webhook::{
    Delivery, Outgoing, Webhook, WebhookChange, WebhookRequest, WebhookSecret, folded, secret,
};
use crate::error::Result;
use crate::store::Receipt;

impl Provision<'_> {
    /// An endpoint to be made, with its secret, which is shown once, and the line that is written
    /// with it: nothing is stored yet.
    pub fn draw_webhook(
        &self,
        tenant: &str,
        request: WebhookRequest,
    ) -> (Webhook, SecretString, AuditEntry) {
        let (id, secret) = (self.ids.id("whk_"), secret(&self.ids.bytes()));
        let webhook = Webhook {
            secrets: vec![self.seal_webhook_secret(tenant, &id, 1, &secret)],
            tenant: tenant.to_owned(),
            url: request.url,
            events: folded(request.events),
            description: request.description,
            disabled: None,
            created_at: self.clock.now_ms(),
            id,
        };
        let audit = self.audit(tenant, "webhook.create", &webhook.id);
        (webhook, secret, audit)
    }

    /// Changes an endpoint; as it then is.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn change_webhook(
        &self,
        tenant: &str,
        id: &str,
        change: WebhookChange,
    ) -> Result<Webhook> {
        let change = WebhookChange { events: change.events.map(folded), ..change };
        let audit = self.audit(tenant, "webhook.update", id);
        self.store.update_webhook(tenant, id, change, audit).await
    }

    /// Gives an endpoint a new secret, which is shown once; the one before signs `overlap_s`
    /// seconds more. `receipt` is asked for at each attempt.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint; `Answered` when what the receipt names took effect
    /// before.
    pub async fn rotate_webhook_secret(
        &self,
        tenant: &str,
        id: &str,
        overlap_s: i64,
        receipt: impl Fn() -> Option<Receipt<(Webhook, SecretString)>>,
    ) -> Result<(Webhook, SecretString)> {
        let secret = secret(&self.ids.bytes());
        let until = self.clock.now_ms().saturating_add(overlap_s.saturating_mul(1000));
        // The generation is part of the seal. Whoever loses a race for one takes the next.
        loop {
            let known = self.store.webhook(tenant, id).await?;
            let generation = known.secrets.first().map_or(1, |newest| newest.generation + 1);
            let sealed = self.seal_webhook_secret(tenant, id, generation, &secret);
            let audit = self.audit(tenant, "webhook.rotate", id);
            let with = secret.clone();
            let receipt = receipt().map(|receipt| {
                receipt.within(move |webhook: &Webhook| Ok((webhook.clone(), with.clone())))
            });
            let rotating = self.store.add_webhook_secret(tenant, id, sealed, until, audit, receipt);
            if let Some(webhook) = rotating.await? {
                return Ok((webhook, secret));
            }
        }
    }

    /// Takes an endpoint away.
    ///
    /// # Errors
    /// `NotFound` when there is none.
    pub async fn delete_webhook(&self, tenant: &str, id: &str) -> Result<()> {
        let audit = self.audit(tenant, "webhook.delete", id);
        self.store.delete_webhook(tenant, id, audit).await
    }

    /// Queues a test for an endpoint.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint, `WebhookDisabled` when nothing is sent to it.
    pub async fn test_webhook(&self, tenant: &str, id: &str) -> Result<Delivery> {
        self.store.queue_test(self.audit(tenant, "webhook.test", id)).await
    }

    /// Queues a delivery of an endpoint again.
    ///
    /// # Errors
    /// `NotFound` when there is no such delivery, `WebhookDisabled` when nothing is sent there.
    pub async fn replay(&self, tenant: &str, webhook: &str, id: &str) -> Result<Delivery> {
        let audit = self.audit(tenant, "webhook.replay", id);
        self.store.replay_delivery(webhook, id, audit).await
    }

    /// Queues what failed of an endpoint's deliveries since an instant (milliseconds) again; how
    /// many.
    ///
    /// # Errors
    /// `NotFound` when there is no such endpoint, `WebhookDisabled` when nothing is sent to it.
    pub async fn replay_failed(&self, tenant: &str, webhook: &str, since: i64) -> Result<u64> {
        let audit = self.audit(tenant, "webhook.replay", webhook);
        self.store.replay_failed(webhook, since, audit).await
    }

    fn seal_webhook_secret(
        &self,
        tenant: &str,
        id: &str,
        generation: i64,
        secret: &SecretString,
    ) -> WebhookSecret {
        let name = generation_name(id, generation);
        let secret = self.keys.seal(Place::webhook_secret(tenant, &name), self.ids.bytes(), secret);
        WebhookSecret { generation, secret, not_after: None }
    }
}

/// Opens the secrets that sign a delivery at an instant (milliseconds), newest first.
///
/// # Errors
/// `Internal` when one was sealed by another master key, moved or damaged.
pub fn open_webhook_secrets(
    keys: &MasterKeys,
    delivery: &Outgoing,
    now: i64,
) -> Result<Vec<SecretString>> {
    let live = |secret: &&WebhookSecret| secret.not_after.is_none_or(|end| now < end);
    let open = |secret: &WebhookSecret| {
        let name = generation_name(&delivery.webhook, secret.generation);
        keys.open(Place::webhook_secret(&delivery.tenant, &name), &secret.secret)
    };
    delivery.secrets.iter().filter(live).map(open).collect()
}
