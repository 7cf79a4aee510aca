//! Keys of the three kinds, for operators.

use std::num::NonZeroU64;

use secrecy::ExposeSecret as _;
use vestibule_api::keys::{
    KeyCreateRequest, KeyCreateResponse, KeyListRequest, KeyListResponse, KeyPauseRequest,
    KeyPauseResponse, KeyResumeRequest, KeyResumeResponse, KeyRevokeRequest, KeyRevokeResponse,
    Keys,
};
use vestibule_api::models;
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::AdminCaller;
use super::refusal::documented;
use super::tenants::{ADMIN, next_cursor, page_size};
use crate::context::Context;
use crate::domain::admin::KeyRequest;
use crate::domain::key::{Ceilings, Identity, Key, KeyKind, KeySettings, KeyState, Mode, Scope};
use crate::error::{Error, Result, Thing};

impl Keys for Context {
    async fn key_create(
        &self,
        _: AdminCaller,
        request: KeyCreateRequest,
    ) -> Result<KeyCreateResponse, Refusal> {
        let tenant = request.body.tenant_id.to_string();
        let label = request.body.label.to_string();
        let made = self.provision(ADMIN).key(&tenant, &label, asked(request.body)).await;
        let (key, credential) = made?;
        let credential = models::KeyCredential {
            public_id: credential.public,
            secret: credential.secret.map(|secret| secret.expose_secret().to_owned()),
        };
        let body = models::KeyCreated { key: shown(&key)?, credential };
        Ok(KeyCreateResponse::Created { body })
    }

    async fn key_list(
        &self,
        _: AdminCaller,
        request: KeyListRequest,
    ) -> Result<KeyListResponse, Refusal> {
        let query = request.query;
        let tenant = query.tenant_id.as_ref().map(|id| id.as_str());
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let mut found =
            self.store.list_keys(tenant, query.kind.map(kind), after, limit + 1).await?;
        let next = next_cursor(&mut found, limit, |key| &key.id);
        let items = found.iter().map(shown).collect::<Result<_, _>>()?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(KeyListResponse::Ok { body: models::KeyList { items, next } })
    }

    async fn key_revoke(
        &self,
        _: AdminCaller,
        request: KeyRevokeRequest,
    ) -> Result<KeyRevokeResponse, Refusal> {
        self.set_key_state(&request.path.key_id, KeyState::Revoked, "key.revoke").await?;
        Ok(KeyRevokeResponse::NoContent {})
    }

    async fn key_pause(
        &self,
        _: AdminCaller,
        request: KeyPauseRequest,
    ) -> Result<KeyPauseResponse, Refusal> {
        let key = self.set_key_state(&request.path.key_id, KeyState::Paused, "key.pause").await?;
        Ok(KeyPauseResponse::Ok { body: shown(&key)? })
    }

    async fn key_resume(
        &self,
        _: AdminCaller,
        request: KeyResumeRequest,
    ) -> Result<KeyResumeResponse, Refusal> {
        let key = self.set_key_state(&request.path.key_id, KeyState::Active, "key.resume").await?;
        Ok(KeyResumeResponse::Ok { body: shown(&key)? })
    }
}

impl Context {
    async fn set_key_state(&self, id: &str, state: KeyState, action: &str) -> Result<Key> {
        let key = self.store.key_by_id(id).await?.ok_or(Error::NotFound(Thing::Key))?;
        let audit = self.audit(&key.tenant, ADMIN, action, id);
        self.store.set_key_state(&key.tenant, id, state, audit).await
    }
}

fn asked(body: models::KeyCreate) -> KeyRequest {
    let origins = body.allowed_origins.map(|all| all.0).unwrap_or_default();
    KeyRequest {
        kind: kind(body.kind),
        mode: match body.mode.unwrap_or(models::KeyMode::Live) {
            models::KeyMode::Live => Mode::Live,
            models::KeyMode::Test => Mode::Test,
        },
        scope: body.scope.map(|scope| match scope {
            models::KeyScope::Read => Scope::Read,
            models::KeyScope::ReadWrite => Scope::ReadWrite,
        }),
        allowed_intents: body
            .allowed_intents
            .map(|all| all.0.into_iter().map(String::from).collect()),
        allows_all_intents: body.allows_all_intents,
        allow_no_origin: body.allow_no_origin,
        identity: body.identity.map(|identity| match identity {
            models::IdentityProof::Off => Identity::Off,
            models::IdentityProof::Optional => Identity::Optional,
            models::IdentityProof::Required => Identity::Required,
        }),
        max_redemptions: body.max_redemptions.and_then(|n| u32::try_from(n.get()).ok()),
        allowed_origins: origins.into_iter().map(String::from).collect(),
        idle_timeout_s: body.idle_timeout_seconds.and_then(|s| u32::try_from(s.0).ok()),
        max_lifetime_s: body.max_lifetime_seconds.and_then(|s| u32::try_from(s.0).ok()),
        ceilings: body.ceilings.as_ref().map(ceilings).unwrap_or_default(),
    }
}

fn ceilings(asked: &models::Ceilings) -> Ceilings {
    let count = |n: Option<NonZeroU64>| n.and_then(|n| u32::try_from(n.get()).ok());
    Ceilings {
        sessions_per_day: count(asked.sessions_per_day),
        live_sessions: count(asked.live_sessions),
        requests_per_minute: count(asked.requests_per_minute),
    }
}

fn kind(kind: models::KeyKind) -> KeyKind {
    match kind {
        models::KeyKind::Embed => KeyKind::Embed,
        models::KeyKind::Chat => KeyKind::Chat,
        models::KeyKind::Iframe => KeyKind::Iframe,
    }
}

fn shown(key: &Key) -> Result<models::Key, Refusal> {
    let names =
        |all: &[String]| all.iter().map(|one| documented(one)).collect::<Result<Vec<_>, _>>();
    let mut shown = models::Key {
        key_id: documented(&key.id)?,
        tenant_id: documented(&key.tenant)?,
        kind: match key.kind() {
            KeyKind::Embed => models::KeyKind::Embed,
            KeyKind::Chat => models::KeyKind::Chat,
            KeyKind::Iframe => models::KeyKind::Iframe,
        },
        mode: match key.mode {
            Mode::Live => models::KeyMode::Live,
            Mode::Test => models::KeyMode::Test,
        },
        label: key.label.clone(),
        state: match key.state {
            KeyState::Active => models::KeyState::Active,
            KeyState::Paused => models::KeyState::Paused,
            KeyState::Revoked => models::KeyState::Revoked,
        },
        allowed_origins: models::AllowedOrigins(
            key.allowed_origins.iter().map(|one| documented(one)).collect::<Result<_, _>>()?,
        ),
        idle_timeout_seconds: key.idle_timeout_s.map(|s| models::IdleTimeoutSeconds(s.into())),
        max_lifetime_seconds: key.max_lifetime_s.map(|s| models::MaxLifetimeSeconds(s.into())),
        ceilings: shown_ceilings(key.ceilings),
        created_at: Timestamp(key.created_at),
        public_id: None,
        scope: None,
        allowed_intents: None,
        allows_all_intents: None,
        allow_no_origin: None,
        identity: None,
        max_redemptions: None,
    };
    match &key.settings {
        KeySettings::Embed { scope } => {
            shown.public_id = Some(key.lookup.clone());
            shown.scope = Some(match scope {
                Scope::Read => models::KeyScope::Read,
                Scope::ReadWrite => models::KeyScope::ReadWrite,
            });
        }
        KeySettings::Chat { allowed_intents, allow_no_origin, identity } => {
            shown.public_id = Some(key.lookup.clone());
            shown.allows_all_intents = Some(allowed_intents.is_none());
            let listed = allowed_intents.as_deref().map(names).transpose()?;
            shown.allowed_intents = listed.map(models::AllowedIntents);
            shown.allow_no_origin = Some(*allow_no_origin);
            shown.identity = Some(match identity {
                Identity::Off => models::IdentityProof::Off,
                Identity::Optional => models::IdentityProof::Optional,
                Identity::Required => models::IdentityProof::Required,
            });
        }
        KeySettings::Iframe { max_redemptions } => {
            shown.max_redemptions = Some((*max_redemptions).into());
        }
    }
    Ok(shown)
}

fn shown_ceilings(ceilings: Ceilings) -> Option<models::Ceilings> {
    let count = |n: Option<u32>| n.and_then(|n| NonZeroU64::new(n.into()));
    (ceilings != Ceilings::default()).then(|| models::Ceilings {
        sessions_per_day: count(ceilings.sessions_per_day),
        live_sessions: count(ceilings.live_sessions),
        requests_per_minute: count(ceilings.requests_per_minute),
    })
}
