//! What users have used of their limits, and counting messages for hosts that run their assistant
//! themselves.

use vestibule_api::models;
use vestibule_api::usage::{
    Usage as UsageTrait, UsageListRequest, UsageListResponse, UsageMessageCreateRequest,
    UsageMessageCreateResponse, UsageMessageRefundRequest, UsageMessageRefundResponse,
    UsageReadRequest, UsageReadResponse,
};
use vestibule_runtime::{RateLimitFields, Refusal, Timestamp};

use super::auth::ApiKeyCaller;
use super::idempotency::Once;
use super::refusal::documented;
use super::tenants::{next_cursor, page_size};
use crate::context::Context;
use crate::domain::audit::Subject;
use crate::domain::key::Key;
use crate::domain::usage::{Usage, Window, WindowUsage};
use crate::error::Result;
use crate::store::{Message, Receipt, UsageFilter};

impl UsageTrait for Context {
    async fn usage_list(
        &self,
        caller: ApiKeyCaller,
        request: UsageListRequest,
    ) -> Result<UsageListResponse, Refusal> {
        let (query, now) = (request.query, self.clock.now_ms());
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let filter = UsageFilter { exceeded: query.exceeded, active_since: query.active_since };
        let Key { tenant, mode, .. } = &*caller.key;
        let mut found = self.store.list_usage(tenant, *mode, filter, after, limit + 1, now).await?;
        let next = next_cursor(&mut found, limit, |usage| &usage.uid);
        let items = found.iter().map(|usage| shown(usage, now)).collect::<Result<_, _>>()?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(UsageListResponse::Ok { body: models::UsageList { items, next } })
    }

    async fn usage_read(
        &self,
        caller: ApiKeyCaller,
        request: UsageReadRequest,
    ) -> Result<UsageReadResponse, Refusal> {
        let usage =
            self.store.usage(&caller.key.tenant, caller.key.mode, &request.path.uid).await?;
        Ok(UsageReadResponse::Ok { body: shown(&usage, self.clock.now_ms())? })
    }

    async fn usage_message_create(
        &self,
        caller: ApiKeyCaller,
        request: UsageMessageCreateRequest,
        once: Option<Once>,
    ) -> Result<UsageMessageCreateResponse, Refusal> {
        let now = self.clock.now_ms();
        let message = Message {
            tenant: caller.key.tenant.clone(),
            mode: caller.key.mode,
            uid: request.path.uid.to_string(),
            id: self.ids.id_at("msg_", now),
            at: now,
        };
        let id = message.id.clone();
        let reply = self.reply(once, move |usage: &Usage| counted(&id, usage, now));
        let accepted = self.count_message(&caller.key, message, reply.receipt()).await;
        reply.answer(accepted)
    }

    async fn usage_message_refund(
        &self,
        caller: ApiKeyCaller,
        request: UsageMessageRefundRequest,
    ) -> Result<UsageMessageRefundResponse, Refusal> {
        let (path, now) = (&request.path, self.clock.now_ms());
        let Key { tenant, mode, .. } = &*caller.key;
        self.store.refund_message(tenant, *mode, &path.uid, &path.message_id, now).await?;
        Ok(UsageMessageRefundResponse::NoContent {})
    }
}

impl Context {
    /// Counts a message of a user with a key of the tenant: what is used then.
    ///
    /// # Errors
    /// `LimitExceeded` when one of the user's windows has no room.
    pub(super) async fn count_message(
        &self,
        key: &Key,
        message: Message,
        receipt: Option<Receipt<Usage>>,
    ) -> Result<Usage> {
        let exceeded = Window::ALL.map(|_| {
            let line = self.audit(&key.tenant, &key.id, "limit.exceed", &key.id);
            line.about(Subject::Uid(message.uid.clone()))
        });
        self.store.accept_message(message, exceeded, receipt).await
    }
}

fn counted(id: &str, usage: &Usage, now_ms: i64) -> Result<UsageMessageCreateResponse, Refusal> {
    let windows = usage.windows(now_ms);
    let standings: Vec<_> = windows.iter().filter_map(|window| window.standing(now_ms)).collect();
    let fields = RateLimitFields::of(&standings);
    let (ratelimit_policy, ratelimit) = fields.map(|fields| (fields.policy, fields.state)).unzip();
    let body = models::CountedMessage { message_id: documented(id)?, usage: shown(usage, now_ms)? };
    Ok(UsageMessageCreateResponse::Created { body, ratelimit_policy, ratelimit })
}

fn shown(usage: &Usage, now_ms: i64) -> Result<models::Usage, Refusal> {
    let [hourly, daily, weekly, monthly] = usage.windows(now_ms).map(window);
    Ok(models::Usage {
        uid: documented(&usage.uid)?,
        hourly,
        daily,
        weekly,
        monthly,
        last_message_at: usage.last_message_at.map(Timestamp),
    })
}

fn window(usage: WindowUsage) -> models::WindowUsage {
    models::WindowUsage {
        limit: usage.limit,
        used: usage.used,
        remaining: usage.remaining(),
        resets_at: Timestamp(usage.resets_at),
    }
}
