//! The audit, for operators.

use vestibule_api::audit::{Audit, AuditListRequest, AuditListResponse};
use vestibule_api::models;
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::AdminCaller;
use super::refusal::documented;
use super::tenants::page_size;
use crate::context::Context;
use crate::domain::audit::{Hash, Record};
use crate::error::Error;
use crate::store::AuditFilter;

impl Audit for Context {
    async fn audit_list(
        &self,
        _: AdminCaller,
        request: AuditListRequest,
    ) -> Result<AuditListResponse, Refusal> {
        let query = request.query;
        let before = query.after.as_ref().and_then(|after| after.parse().ok());
        let filter = AuditFilter {
            tenant: query.tenant_id.map(String::from),
            actor: query.actor.map(String::from),
            action: query.action.map(String::from),
            target: query.target.map(String::from),
            subject: None,
            since: query.since.map(instant),
            until: query.until.map(instant),
        };
        let page = self.store.audit_page(&filter, before, page_size(query.limit)).await?;
        let entries = page.entries.into_iter();
        let items = entries
            .map(|found| shown(found.record.ok_or_else(spoilt)?, found.hash))
            .collect::<Result<_, _>>()?;
        let next = page.next.map(|next| documented(&next.to_string())).transpose()?;
        Ok(AuditListResponse::Ok { body: models::AuditList { items, next } })
    }
}

fn instant(at: models::AuditInstant) -> i64 {
    *at
}

fn spoilt() -> Refusal {
    let problem = "an audit entry is not readable; run `vestibule audit verify`";
    Error::Internal(problem.into()).into()
}

fn shown(record: Record, hash: Hash) -> Result<models::AuditEntry, Refusal> {
    let tenant = Some(record.tenant).filter(|tenant| !tenant.is_empty());
    Ok(models::AuditEntry {
        audit_id: record.id,
        tenant_id: tenant.as_deref().map(documented).transpose()?,
        sequence: record.sequence,
        at: Timestamp(record.at),
        actor: record.actor,
        action: record.action,
        target: record.target,
        subject: record.subject,
        detail: serde_json::from_str(&record.detail).map_err(|_| spoilt())?,
        previous: documented(&record.previous.to_string())?,
        hash: documented(&hash.to_string())?,
    })
}
