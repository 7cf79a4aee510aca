//! Any one of the callers that ask about sessions of all surfaces, reduced to what decides.
//!
//! A signature is accepted once: it is used up in a write of its own, before anything is done.

use vestibule_api::authenticate::ApiKeyOrSignedV2OrAdminKey;
use vestibule_runtime::Scoped as _;

use super::auth::{AdminCaller, ApiKeyCaller, SignedV2Caller};
use super::tenants::ADMIN;
use crate::context::Context;
use crate::domain::caller::Caller;
use crate::domain::key::{KeySettings, Mode, Scope};
use crate::error::Result;

/// A backend of a tenant, or the operator.
pub(super) type Backend = ApiKeyOrSignedV2OrAdminKey<Context>;

impl Context {
    /// Who asks to read.
    ///
    /// # Errors
    /// `SignatureReplayed` when the signature proved another request before.
    pub(super) async fn reader(&self, backend: Backend) -> Result<Caller> {
        if let Backend::SignedV2(signed) = &backend {
            self.use_up(signed.scope()).await?;
        }
        Ok(caller(&backend))
    }

    /// Who asks to change. A signature is used up before the change, in a write of its own, so that
    /// it changes something at most once; whoever hears nothing signs again.
    ///
    /// # Errors
    /// `InsufficientScope` when they may only read; else as [`Context::reader`].
    pub(super) async fn changer(&self, backend: Backend) -> Result<Caller> {
        let caller = self.reader(backend).await?;
        caller.require_change()?;
        Ok(caller)
    }
}

fn caller(backend: &Backend) -> Caller {
    match backend {
        Backend::ApiKey(ApiKeyCaller { key, .. }) => Caller {
            tenant: Some(key.tenant.clone()),
            sees_tests_alone: key.mode == Mode::Test,
            may_change: true,
            actor: key.id.clone(),
        },
        Backend::SignedV2(SignedV2Caller { key, .. }) => Caller {
            tenant: Some(key.tenant.clone()),
            sees_tests_alone: key.mode == Mode::Test,
            may_change: matches!(key.settings, KeySettings::Embed { scope: Scope::ReadWrite }),
            actor: key.id.clone(),
        },
        Backend::AdminKey(AdminCaller) => Caller {
            tenant: None,
            sees_tests_alone: false,
            may_change: true,
            actor: ADMIN.to_owned(),
        },
    }
}
