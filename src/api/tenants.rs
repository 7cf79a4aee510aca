//! Tenants, for operators.

use secrecy::ExposeSecret as _;
use vestibule_api::models;
use vestibule_api::public_keys::JWKS_READ_MAX_AGE_S;
use vestibule_api::tenants::{
    SigningKeyListRequest, SigningKeyListResponse, SigningKeyRotateRequest,
    SigningKeyRotateResponse, TenantCreateRequest, TenantCreateResponse, TenantEraseRequest,
    TenantEraseResponse, TenantExportRequest, TenantExportResponse, TenantListRequest,
    TenantListResponse, TenantRevokeRequest, TenantRevokeResponse, Tenants,
};
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::AdminCaller;
use super::idempotency::Once;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::erasure::{Named, Whose};
use crate::domain::signing_key::{FIRST, Rotation, SigningAlgorithm, SigningKey, SigningState};
use crate::domain::tenant::{Directory, Tenant};
use crate::error::{Error, Result, Thing};

/// Who acts in the audit when the admin surface is used.
pub const ADMIN: &str = "admin";

impl Tenants for Context {
    async fn tenant_create(
        &self,
        _: AdminCaller,
        request: TenantCreateRequest,
        once: Option<Once>,
    ) -> Result<TenantCreateResponse, Refusal> {
        let body = request.body;
        let directory = match body.directory.unwrap_or_default() {
            models::Directory::Open => Directory::Open,
            models::Directory::Strict => Directory::Strict,
        };
        let signing = body.signing.map_or(SigningAlgorithm::Hs256, asked);
        let drawn = self.provision(ADMIN).draw_tenant(&body.name, directory, signing);
        let (tenant, audit) = (drawn.tenant, drawn.audit);
        let identity_secret = drawn.secret.expose_secret().to_owned();
        let body = models::TenantCreated { tenant: shown(tenant.clone())?, identity_secret };
        let reply = self.reply(once, move |(): &()| Ok(TenantCreateResponse::Created { body }));
        let created = self.store.create_tenant(tenant, audit, reply.receipt()).await;
        if created.is_ok() && signing == SigningAlgorithm::Eddsa {
            self.hear_at_once().await;
        }
        reply.answer(created)
    }

    async fn tenant_list(
        &self,
        _: AdminCaller,
        request: TenantListRequest,
    ) -> Result<TenantListResponse, Refusal> {
        let query = request.query;
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let mut found = self.store.list_tenants(after, limit + 1).await?;
        let next = next_cursor(&mut found, limit, |tenant| &tenant.id);
        let items = found.into_iter().map(shown).collect::<Result<_, _>>()?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(TenantListResponse::Ok { body: models::TenantList { items, next } })
    }

    async fn tenant_revoke(
        &self,
        _: AdminCaller,
        request: TenantRevokeRequest,
    ) -> Result<TenantRevokeResponse, Refusal> {
        self.provision(ADMIN).revoke_tenant(&request.path.tenant_id).await?;
        Ok(TenantRevokeResponse::NoContent {})
    }

    async fn tenant_export(
        &self,
        _: AdminCaller,
        request: TenantExportRequest,
    ) -> Result<TenantExportResponse, Refusal> {
        let (tenant, body) = (request.path.tenant_id.to_string(), request.body);
        let after = body.after.map(String::from);
        let limit = page_size(body.limit);
        let whose = whose(body.uid, body.customer_id, body.employee_id, body.everything)?;
        let page = self.store.held_page(&tenant, &whose, after.as_deref(), limit).await?;
        let rows = page.rows.into_iter();
        let items = rows
            .map(|(table, row)| {
                Ok(models::ExportedRow { table: documented(table)?, row: row.into() })
            })
            .collect::<Result<_, Refusal>>()?;
        let next = page.next.as_deref().map(documented).transpose()?;
        Ok(TenantExportResponse::Ok { body: models::ExportPage { items, next } })
    }

    async fn tenant_erase(
        &self,
        _: AdminCaller,
        request: TenantEraseRequest,
    ) -> Result<TenantEraseResponse, Refusal> {
        let (tenant, body) = (request.path.tenant_id.to_string(), request.body);
        let whose = whose(body.uid, body.customer_id, body.employee_id, body.everything)?;
        let done = self.provision(ADMIN).erase(&tenant, &whose).await?;
        let erased = done
            .rows
            .into_iter()
            .map(|(table, rows)| {
                let rows = documented(&rows.to_string())?;
                Ok(models::ErasedRows { table: documented(table)?, rows })
            })
            .collect::<Result<_, Refusal>>()?;
        let body = models::Erased { erased, complete: done.is_complete };
        Ok(TenantEraseResponse::Ok { body })
    }

    async fn signing_key_list(
        &self,
        _: AdminCaller,
        request: SigningKeyListRequest,
    ) -> Result<SigningKeyListResponse, Refusal> {
        let id = request.path.tenant_id.as_str();
        let tenant = self.store.tenant(id).await?.filter(|tenant| tenant.revoked_at.is_none());
        tenant.ok_or(Error::NotFound(Thing::Tenant))?;
        let mut all = self.store.signing_keys_of(id).await?;
        if all.is_empty() {
            all.push(SigningKey::first(id));
        }
        Ok(SigningKeyListResponse::Ok { body: signing_keys(&all, self.clock.now_ms()) })
    }

    async fn signing_key_rotate(
        &self,
        _: AdminCaller,
        request: SigningKeyRotateRequest,
        once: Option<Once>,
    ) -> Result<SigningKeyRotateResponse, Refusal> {
        let (id, now) = (request.path.tenant_id.as_str(), self.clock.now_ms());
        let rotation = Rotation {
            overlap_s: u32::try_from(request.body.overlap_seconds).unwrap_or(u32::MAX),
            algorithm: request.body.algorithm.map(asked),
            cached_s: JWKS_READ_MAX_AGE_S,
        };
        let audit = self.audit(id, ADMIN, "signing_key.rotate", id);
        let reply = self.reply(once, move |all: &Vec<SigningKey>| {
            Ok(SigningKeyRotateResponse::Ok { body: signing_keys(all, now) })
        });
        let receipt = reply.receipt();
        let rotated = self.store.rotate_signing_key(id, rotation, now, audit, receipt).await;
        if rotated.is_ok() {
            self.hear_at_once().await;
        }
        reply.answer(rotated)
    }
}

fn whose(
    uid: Option<impl Into<String>>,
    customer: Option<impl Into<String>>,
    employee: Option<impl Into<String>>,
    everything: Option<bool>,
) -> Result<Whose> {
    let named = Named {
        uid: uid.map(Into::into),
        customer: customer.map(Into::into),
        employee: employee.map(Into::into),
        everything: everything.unwrap_or(false),
    };
    named.whose()
}

fn signing_keys(all: &[SigningKey], now_ms: i64) -> models::SigningKeyList {
    let items = all.iter().map(|key| models::SigningKey {
        generation: key.generation,
        algorithm: said(key.algorithm),
        state: match key.state(now_ms) {
            SigningState::Pending => models::SigningKeyState::Pending,
            SigningState::Active => models::SigningKeyState::Active,
            SigningState::VerifyOnly => models::SigningKeyState::VerifyOnly,
            SigningState::Retired => models::SigningKeyState::Retired,
        },
        active_from: (key.generation > FIRST).then_some(Timestamp(key.active_from)),
        accepted_until: key.accepted_until.map(Timestamp),
    });
    models::SigningKeyList { items: items.collect() }
}

fn asked(algorithm: models::SigningAlgorithm) -> SigningAlgorithm {
    match algorithm {
        models::SigningAlgorithm::Hs256 => SigningAlgorithm::Hs256,
        models::SigningAlgorithm::Eddsa => SigningAlgorithm::Eddsa,
    }
}

fn said(algorithm: SigningAlgorithm) -> models::SigningAlgorithm {
    match algorithm {
        SigningAlgorithm::Hs256 => models::SigningAlgorithm::Hs256,
        SigningAlgorithm::Eddsa => models::SigningAlgorithm::Eddsa,
    }
}

/// The documented page size as the store counts.
pub fn page_size(limit: std::num::NonZeroU64) -> u32 {
    u32::try_from(limit.get()).unwrap_or(u32::MAX - 1)
}

/// Cuts the one row too many that was asked for; its presence means there is a next page.
pub fn next_cursor<T>(
    found: &mut Vec<T>,
    limit: u32,
    id: impl Fn(&T) -> &String,
) -> Option<String> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    if found.len() <= limit {
        return None;
    }
    found.truncate(limit);
    found.last().map(|last| id(last).clone())
}

fn shown(tenant: Tenant) -> Result<models::Tenant, Refusal> {
    Ok(models::Tenant {
        tenant_id: documented(&tenant.id)?,
        name: tenant.name,
        directory: match tenant.directory {
            Directory::Open => models::Directory::Open,
            Directory::Strict => models::Directory::Strict,
        },
        signing: said(tenant.signing),
        created_at: Timestamp(tenant.created_at),
        revoked_at: tenant.revoked_at.map(Timestamp),
        erased_at: tenant.erased_at.map(Timestamp),
    })
}
