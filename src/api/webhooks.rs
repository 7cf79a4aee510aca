//! Webhook endpoints and their delivery log, for operators.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;
use vestibule_api::models;
use vestibule_api::webhooks::{
    WebhookCreateRequest, WebhookCreateResponse, WebhookDeleteRequest, WebhookDeleteResponse,
    WebhookDeliveryListRequest, WebhookDeliveryListResponse, WebhookDeliveryReplayRequest,
    WebhookDeliveryReplayResponse, WebhookExampleReadRequest, WebhookExampleReadResponse,
    WebhookListRequest, WebhookListResponse, WebhookReadRequest, WebhookReadResponse,
    WebhookReplayFailedRequest, WebhookReplayFailedResponse, WebhookSecretRotateRequest,
    WebhookSecretRotateResponse, WebhookTestRequest, WebhookTestResponse, WebhookUpdateRequest,
    WebhookUpdateResponse, Webhooks,
};
use vestibule_runtime::{Refusal, Timestamp, Violation};

use super::auth::AdminCaller;
use super::idempotency::Once;
use super::refusal::documented;
use super::tenants::{ADMIN, next_cursor, page_size};
use crate::context::Context;
use crate::domain::usage::Window;
use crate::domain::webhook::{
    self, Attempt, Delivery, DeliveryStatus, Disabled, EventType, Subject, Webhook, WebhookChange,
    WebhookRequest,
};
use crate::error::{Error, Result};

impl Webhooks for Context {
    async fn webhook_create(
        &self,
        _: AdminCaller,
        request: WebhookCreateRequest,
        once: Option<Once>,
    ) -> Result<WebhookCreateResponse, Refusal> {
        let body = request.body;
        let asked = WebhookRequest {
            url: self.sendable(&body.url)?,
            events: body.events.into_iter().map(subscribed).collect(),
            description: body.description.map(String::from).unwrap_or_default(),
        };
        let (webhook, secret, audit) =
            self.provision(ADMIN).draw_webhook(&request.path.tenant_id, asked);
        let secret = secret.expose_secret().to_owned();
        let shown = shown(&webhook, self.clock.now_ms())?;
        let body = models::WebhookCreated { webhook: shown, secret };
        let reply = self.reply(once, move |(): &()| Ok(WebhookCreateResponse::Created { body }));
        let created = self.store.create_webhook(webhook, audit, reply.receipt()).await;
        reply.answer(created)
    }

    async fn webhook_list(
        &self,
        _: AdminCaller,
        request: WebhookListRequest,
    ) -> Result<WebhookListResponse, Refusal> {
        let query = request.query;
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let found = self.store.list_webhooks(&request.path.tenant_id, after, limit + 1).await;
        let mut found = found?;
        let next = next_cursor(&mut found, limit, |webhook| &webhook.id);
        let now = self.clock.now_ms();
        let items = found.iter().map(|webhook| shown(webhook, now)).collect::<Result<_, _>>()?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(WebhookListResponse::Ok { body: models::WebhookList { items, next } })
    }

    async fn webhook_read(
        &self,
        _: AdminCaller,
        request: WebhookReadRequest,
    ) -> Result<WebhookReadResponse, Refusal> {
        let path = request.path;
        let webhook = self.store.webhook(&path.tenant_id, &path.webhook_id).await?;
        Ok(WebhookReadResponse::Ok { body: shown(&webhook, self.clock.now_ms())? })
    }

    async fn webhook_update(
        &self,
        _: AdminCaller,
        request: WebhookUpdateRequest,
    ) -> Result<WebhookUpdateResponse, Refusal> {
        let (path, body) = (request.path, request.body);
        let events: Vec<_> = body.events.into_iter().map(subscribed).collect();
        let change = WebhookChange {
            url: body.url.map(|url| self.sendable(&url)).transpose()?,
            events: (!events.is_empty()).then_some(events),
            description: body.description.map(String::from),
            enabled: body.state.map(|state| match state {
                models::WebhookState::Enabled => true,
                models::WebhookState::Disabled => false,
            }),
        };
        let provision = self.provision(ADMIN);
        let webhook = provision.change_webhook(&path.tenant_id, &path.webhook_id, change).await?;
        Ok(WebhookUpdateResponse::Ok { body: shown(&webhook, self.clock.now_ms())? })
    }

    async fn webhook_delete(
        &self,
        _: AdminCaller,
        request: WebhookDeleteRequest,
    ) -> Result<WebhookDeleteResponse, Refusal> {
        let path = request.path;
        self.provision(ADMIN).delete_webhook(&path.tenant_id, &path.webhook_id).await?;
        Ok(WebhookDeleteResponse::NoContent {})
    }

    async fn webhook_secret_rotate(
        &self,
        _: AdminCaller,
        request: WebhookSecretRotateRequest,
        once: Option<Once>,
    ) -> Result<WebhookSecretRotateResponse, Refusal> {
        let (tenant, id) = (request.path.tenant_id.as_str(), request.path.webhook_id.as_str());
        let (overlap_s, now) = (request.body.overlap_seconds, self.clock.now_ms());
        let reply = self.reply(once, move |(webhook, secret): &(Webhook, SecretString)| {
            let secret = secret.expose_secret().to_owned();
            let body = models::WebhookCreated { webhook: shown(webhook, now)?, secret };
            Ok(WebhookSecretRotateResponse::Ok { body })
        });
        let provision = self.provision(ADMIN);
        let receipt = || reply.receipt();
        let rotated = provision.rotate_webhook_secret(tenant, id, overlap_s, receipt).await;
        reply.answer(rotated)
    }

    async fn webhook_example_read(
        &self,
        _: AdminCaller,
        request: WebhookExampleReadRequest,
    ) -> Result<WebhookExampleReadResponse, Refusal> {
        let path = request.path;
        let webhook = self.store.webhook(&path.tenant_id, &path.webhook_id).await?;
        let example = |event| {
            webhook::body(event, webhook.created_at, &webhook.tenant, &stand_in(&webhook, event))
        };
        let body = models::WebhookExamples {
            session_created: typed(example(EventType::SessionCreated))?,
            session_renewed: typed(example(EventType::SessionRenewed))?,
            session_revoked: typed(example(EventType::SessionRevoked))?,
            session_expired: typed(example(EventType::SessionExpired))?,
            key_rotated: typed(example(EventType::KeyRotated))?,
            limit_exceeded: typed(example(EventType::LimitExceeded))?,
            webhook_test: typed(example(EventType::Test))?,
        };
        Ok(WebhookExampleReadResponse::Ok { body })
    }

    async fn webhook_test(
        &self,
        _: AdminCaller,
        request: WebhookTestRequest,
    ) -> Result<WebhookTestResponse, Refusal> {
        let path = request.path;
        let queued = self.provision(ADMIN).test_webhook(&path.tenant_id, &path.webhook_id).await?;
        let delivery = sent(queued)?;
        let body = models::DeliveryQueued { tenant_id: path.tenant_id, delivery };
        Ok(WebhookTestResponse::Accepted { body })
    }

    async fn webhook_delivery_list(
        &self,
        _: AdminCaller,
        request: WebhookDeliveryListRequest,
    ) -> Result<WebhookDeliveryListResponse, Refusal> {
        let (path, query) = (request.path, request.query);
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let status = query.status.map(|status| match status {
            models::DeliveryStatus::Pending => DeliveryStatus::Pending,
            models::DeliveryStatus::Delivered => DeliveryStatus::Delivered,
            models::DeliveryStatus::Failed => DeliveryStatus::Failed,
        });
        let webhook = self.store.webhook(&path.tenant_id, &path.webhook_id).await?;
        let of = (webhook.tenant.as_str(), webhook.id.as_str());
        let mut found = self.store.list_deliveries(of, status, after, limit + 1).await?;
        let next = next_cursor(&mut found, limit, |delivery| &delivery.id);
        let items = found.into_iter().map(sent).collect::<Result<_, _>>()?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(WebhookDeliveryListResponse::Ok { body: models::DeliveryList { items, next } })
    }

    async fn webhook_delivery_replay(
        &self,
        _: AdminCaller,
        request: WebhookDeliveryReplayRequest,
    ) -> Result<WebhookDeliveryReplayResponse, Refusal> {
        let path = request.path;
        let provision = self.provision(ADMIN);
        let queued = provision.replay(&path.tenant_id, &path.webhook_id, &path.delivery_id).await?;
        let delivery = sent(queued)?;
        let body = models::DeliveryQueued { tenant_id: path.tenant_id, delivery };
        Ok(WebhookDeliveryReplayResponse::Accepted { body })
    }

    async fn webhook_replay_failed(
        &self,
        _: AdminCaller,
        request: WebhookReplayFailedRequest,
    ) -> Result<WebhookReplayFailedResponse, Refusal> {
        let (path, Timestamp(since)) = (request.path, request.body.since);
        let provision = self.provision(ADMIN);
        let queued = provision.replay_failed(&path.tenant_id, &path.webhook_id, since).await?;
        let queued = i64::try_from(queued).unwrap_or(i64::MAX);
        let body = models::DeliveriesQueued { queued };
        Ok(WebhookReplayFailedResponse::Accepted { body })
    }
}

impl Context {
    /// An address as it is stored.
    fn sendable(&self, url: &str) -> Result<String> {
        let checked = self.outbound.check(url);
        checked.map(|target| target.url.to_string()).map_err(|refused| {
            let violation = Violation::body("/url", "pattern").actual(refused.to_string());
            Error::Rules(vec![violation])
        })
    }
}

/// An endpoint at `now_ms`.
fn shown(webhook: &Webhook, now_ms: i64) -> Result<models::Webhook, Refusal> {
    Ok(models::Webhook {
        tenant_id: documented(&webhook.tenant)?,
        webhook_id: documented(&webhook.id)?,
        url: webhook.url.clone(),
        events: webhook.events.iter().map(|it| documented(it.name())).collect::<Result<_, _>>()?,
        description: webhook.description.clone(),
        state: match webhook.disabled {
            None => models::WebhookState::Enabled,
            Some(_) => models::WebhookState::Disabled,
        },
        disabled_reason: webhook.disabled.map(|reason| match reason {
            Disabled::Operator => models::WebhookDisabledReason::Operator,
            Disabled::Gone => models::WebhookDisabledReason::Gone,
            Disabled::Exhausted => models::WebhookDisabledReason::Exhausted,
        }),
        previous_secret_until: webhook.previous_secret_until(now_ms).map(Timestamp),
        created_at: Timestamp(webhook.created_at),
    })
}

fn sent(delivery: Delivery) -> Result<models::Delivery, Refusal> {
    Ok(models::Delivery {
        delivery_id: documented(&delivery.id)?,
        webhook_id: documented(&delivery.webhook)?,
        event: documented(delivery.event.name())?,
        status: match delivery.status {
            DeliveryStatus::Pending => models::DeliveryStatus::Pending,
            DeliveryStatus::Delivered => models::DeliveryStatus::Delivered,
            DeliveryStatus::Failed => models::DeliveryStatus::Failed,
        },
        attempt_count: delivery.attempt_count,
        attempts: delivery.attempts.into_iter().map(tried).collect(),
        note: delivery.note,
        next_attempt_at: delivery.next_attempt_at.map(Timestamp),
        created_at: Timestamp(delivery.created_at),
    })
}

fn tried(attempt: Attempt) -> models::DeliveryAttempt {
    models::DeliveryAttempt {
        started_at: Timestamp(attempt.started_at),
        duration_ms: attempt.duration_ms,
        status_code: attempt.status_code.map(i64::from),
        error: attempt.error,
        answer: attempt.answer,
    }
}

fn subscribed(event: models::WebhookEventType) -> EventType {
    match event {
        models::WebhookEventType::SessionCreated => EventType::SessionCreated,
        models::WebhookEventType::SessionRenewed => EventType::SessionRenewed,
        models::WebhookEventType::SessionRevoked => EventType::SessionRevoked,
        models::WebhookEventType::SessionExpired => EventType::SessionExpired,
        models::WebhookEventType::KeyRotated => EventType::KeyRotated,
        models::WebhookEventType::LimitExceeded => EventType::LimitExceeded,
    }
}

/// What an example is about: the ids are the endpoint's own digits, so that they look right and
/// are nobody's.
fn stand_in(webhook: &Webhook, event: EventType) -> Subject {
    let of = |prefix: &str| webhook.id.replacen("whk_", prefix, 1);
    match event {
        EventType::SessionCreated
        | EventType::SessionRenewed
        | EventType::SessionRevoked
        | EventType::SessionExpired => Subject::Session {
            session: of("ses_"),
            key: of("key_"),
            surface: "chat".to_owned(),
            expires_at: webhook.created_at,
        },
        EventType::KeyRotated => Subject::Key(of("key_")),
        EventType::LimitExceeded => Subject::Limit {
            subject: "uid:u1".to_owned(),
            limit: Some(Window::Hourly.name().to_owned()),
        },
        EventType::Test => Subject::Webhook(webhook.id.clone()),
    }
}

/// A body as its documented type.
fn typed<T: serde::de::DeserializeOwned>(body: Value) -> Result<T, Refusal> {
    serde_json::from_value(body).map_err(|bad| {
        Error::Internal(format!("an event is not what the document says: {bad}")).into()
    })
}
