//! Tenants, for operators.

use secrecy::ExposeSecret as _;
use vestibule_api::models;
use vestibule_api::tenants::{
    TenantCreateRequest, TenantCreateResponse, TenantListRequest, TenantListResponse,
    TenantRevokeRequest, TenantRevokeResponse, Tenants,
};
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::AdminCaller;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::tenant::{Directory, Tenant};
use crate::error::Result;

/// Who acts in the audit when the admin surface is used.
pub const ADMIN: &str = "admin";

impl Tenants for Context {
    async fn tenant_create(
        &self,
        _: AdminCaller,
        request: TenantCreateRequest,
    ) -> Result<TenantCreateResponse, Refusal> {
        let body = request.body;
        let directory = match body.directory.unwrap_or_default() {
            models::Directory::Open => Directory::Open,
            models::Directory::Strict => Directory::Strict,
        };
        let (tenant, secret) = self.provision(ADMIN).tenant(&body.name, directory).await?;
        let identity_secret = secret.expose_secret().to_owned();
        let body = models::TenantCreated { tenant: shown(tenant)?, identity_secret };
        Ok(TenantCreateResponse::Created { body })
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
        let id = request.path.tenant_id.to_string();
        let audit = self.audit(&id, ADMIN, "tenant.revoke", &id);
        self.store.revoke_tenant(&id, self.clock.now_ms(), audit).await?;
        Ok(TenantRevokeResponse::NoContent {})
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
        created_at: Timestamp(tenant.created_at),
        revoked_at: tenant.revoked_at.map(Timestamp),
    })
}
