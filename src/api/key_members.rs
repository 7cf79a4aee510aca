//! Keys between the admin document's members and the domain: what was asked for, what is shown.

use std::num::NonZeroU64;

use vestibule_api::keys::KeyUpdateRequest;
use vestibule_api::models;
use vestibule_runtime::{Refusal, Timestamp};

use super::refusal::documented;
use crate::domain::admin::KeyRequest;
use crate::domain::key::{
    Ceilings, Identity, Key, KeyKind, KeySettings, KeyState, KeyUse, LISTED_ORIGINS, MOST_ORIGINS,
    Mode, Scope,
};
use crate::domain::key_settings::{KindMembers, RedemptionMode};
use crate::domain::key_update::{BoundChange, CeilingsChange, KeyChange};
use crate::error::Result;

/// The members that belong to one kind, which two requests have alike.
macro_rules! kind_members {
    ($body:ident) => {
        KindMembers {
            scope: $body.scope.map(|scope| match scope {
                models::KeyScope::Read => Scope::Read,
                models::KeyScope::ReadWrite => Scope::ReadWrite,
            }),
            allowed_intents: $body
                .allowed_intents
                .map(|all| all.0.into_iter().map(String::from).collect()),
            allows_all_intents: $body.allows_all_intents,
            allow_no_origin: $body.allow_no_origin,
            identity: $body.identity.map(|identity| match identity {
                models::IdentityProof::Off => Identity::Off,
                models::IdentityProof::Optional => Identity::Optional,
                models::IdentityProof::Required => Identity::Required,
            }),
            redemption_mode: $body.redemption_mode.map(|mode| match mode {
                models::RedemptionMode::Single => RedemptionMode::Single,
                models::RedemptionMode::Multiple => RedemptionMode::Multiple,
            }),
            max_redemptions: count($body.max_redemptions),
        }
    };
}

/// A key to be created.
pub fn asked(body: models::KeyCreate) -> KeyRequest {
    KeyRequest {
        kind: kind(body.kind),
        mode: match body.mode.unwrap_or(models::KeyMode::Live) {
            models::KeyMode::Live => Mode::Live,
            models::KeyMode::Test => Mode::Test,
        },
        allowed_origins: body.allowed_origins.map(texts).unwrap_or_default(),
        idle_timeout_s: body.idle_timeout_seconds.and_then(|s| u32::try_from(s.0).ok()),
        max_lifetime_s: body.max_lifetime_seconds.and_then(|s| u32::try_from(s.0).ok()),
        ceilings: body.ceilings.as_ref().map(ceilings).unwrap_or_default(),
        members: kind_members!(body),
    }
}

/// What to change of a key.
pub fn change(request: KeyUpdateRequest) -> KeyChange {
    let (idle_is_null, longest_is_null) =
        (request.idle_timeout_seconds_is_null, request.max_lifetime_seconds_is_null);
    let body = request.body;
    KeyChange {
        label: body.label.map(String::from),
        allowed_origins: body.allowed_origins.map(texts),
        idle_timeout_s: bound(body.idle_timeout_seconds, idle_is_null),
        max_lifetime_s: bound(body.max_lifetime_seconds, longest_is_null),
        ceilings: body.ceilings.as_ref().map(ceilings).map(CeilingsChange::to).unwrap_or_default(),
        members: kind_members!(body),
    }
}

/// What a key opens.
pub fn kind(kind: models::KeyKind) -> KeyKind {
    match kind {
        models::KeyKind::Embed => KeyKind::Embed,
        models::KeyKind::Chat => KeyKind::Chat,
        models::KeyKind::Iframe => KeyKind::Iframe,
    }
}

/// A key at `now_ms`, and what was seen of its use.
///
/// # Errors
/// `internal` when something of it is not what the document says: a defect.
pub fn shown(key: &Key, seen: KeyUse, now_ms: i64) -> Result<models::Key, Refusal> {
    let origins_seen = (key.kind() == KeyKind::Chat).then(|| origins_seen(&seen.origins));
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
        allowed_origins: models::AllowedOrigins(all_documented(&key.allowed_origins)?),
        idle_timeout_seconds: key.idle_timeout_s.map(|s| models::IdleTimeoutSeconds(s.into())),
        max_lifetime_seconds: key.max_lifetime_s.map(|s| models::MaxLifetimeSeconds(s.into())),
        ceilings: shown_ceilings(key.ceilings),
        created_at: Timestamp(key.created_at),
        generations: generations(key, now_ms),
        last_used_at: seen.last_used_at.map(Timestamp),
        origins_seen,
        public_id: None,
        scope: None,
        allowed_intents: None,
        allows_all_intents: None,
        allow_no_origin: None,
        identity: None,
        redemption_mode: None,
        max_redemptions: None,
    };
    show_settings(key, &mut shown)?;
    Ok(shown)
}

fn show_settings(key: &Key, shown: &mut models::Key) -> Result<(), Refusal> {
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
            let listed = allowed_intents.as_deref().map(all_documented).transpose()?;
            shown.allowed_intents = listed.map(models::AllowedIntents);
            shown.allow_no_origin = Some(*allow_no_origin);
            shown.identity = Some(match identity {
                Identity::Off => models::IdentityProof::Off,
                Identity::Optional => models::IdentityProof::Optional,
                Identity::Required => models::IdentityProof::Required,
            });
        }
        KeySettings::Iframe { max_redemptions } => {
            shown.redemption_mode = Some(match RedemptionMode::of(*max_redemptions) {
                RedemptionMode::Single => models::RedemptionMode::Single,
                RedemptionMode::Multiple => models::RedemptionMode::Multiple,
            });
            shown.max_redemptions = Some((*max_redemptions).into());
        }
    }
    Ok(())
}

fn generations(key: &Key, now_ms: i64) -> Vec<models::KeyGeneration> {
    let live = key.secrets.iter().filter(|secret| secret.is_live(now_ms));
    let shown = live.map(|secret| models::KeyGeneration {
        generation: secret.generation,
        created_at: Timestamp(secret.created_at),
        ends_at: secret.not_after.map(Timestamp),
    });
    shown.collect()
}

fn origins_seen(all: &[String]) -> models::OriginsSeen {
    models::OriginsSeen {
        count: i64::try_from(all.len().min(MOST_ORIGINS)).unwrap_or(i64::MAX),
        first: all.iter().take(LISTED_ORIGINS).cloned().collect(),
    }
}

fn all_documented<T: std::str::FromStr>(all: &[String]) -> Result<Vec<T>, Refusal> {
    all.iter().map(|one| documented(one)).collect()
}

fn texts(all: models::AllowedOrigins) -> Vec<String> {
    all.0.into_iter().map(String::from).collect()
}

fn bound(seconds: Option<i64>, is_null: bool) -> BoundChange {
    match seconds.and_then(|seconds| u32::try_from(seconds).ok()) {
        Some(seconds) => BoundChange::Set(seconds),
        None if is_null => BoundChange::Clear,
        None => BoundChange::Keep,
    }
}

fn count(n: Option<NonZeroU64>) -> Option<u32> {
    n.and_then(|n| u32::try_from(n.get()).ok())
}

fn ceilings(asked: &models::Ceilings) -> Ceilings {
    Ceilings {
        sessions_per_day: count(asked.sessions_per_day),
        live_sessions: count(asked.live_sessions),
        requests_per_minute: count(asked.requests_per_minute),
    }
}

fn shown_ceilings(ceilings: Ceilings) -> Option<models::Ceilings> {
    let count = |n: Option<u32>| n.and_then(|n| NonZeroU64::new(n.into()));
    (ceilings != Ceilings::default()).then(|| models::Ceilings {
        sessions_per_day: count(ceilings.sessions_per_day),
        live_sessions: count(ceilings.live_sessions),
        requests_per_minute: count(ceilings.requests_per_minute),
    })
}
