//! How a key lies in its two tables: the statements, and the way from rows to keys and back.

use serde::{Deserialize, Serialize};

use super::engine::{Failure, Row, Rows, to_json};
use crate::domain::key::{
    Ceilings, Identity, Kept, Key, KeySecret, KeySettings, KeyState, Mode, Scope,
};
use crate::domain::sealing::Sealed;

pub(super) const INSERT: &str = concat!(insert!());

pub(super) const UPSERT: &str = concat!(
    insert!(),
    " ON CONFLICT (tenant_id, key_id) DO UPDATE SET lookup = excluded.lookup, \
     kind = excluded.kind, label = excluded.label, state = excluded.state, \
     settings = excluded.settings, allowed_origins = excluded.allowed_origins, \
     mode = excluded.mode, idle_timeout_s = excluded.idle_timeout_s, \
     max_lifetime_s = excluded.max_lifetime_s, ceilings = excluded.ceilings"
);

pub(super) const DELETE_SECRETS: &str =
    "DELETE FROM key_secrets WHERE tenant_id = $1 AND key_id = $2";

pub(super) static SECRETS: Rows = Rows {
    head: "INSERT INTO key_secrets (tenant_id, key_id, generation, sealed, lookup, created_at, \
           not_after) VALUES",
    columns: 7,
    tail: "",
};

pub(super) const BY_LOOKUP: &str = select!(
    "WHERE keys.key_id IN (SELECT key_id FROM keys WHERE lookup = $1 \
     UNION ALL SELECT key_id FROM key_secrets WHERE lookup = $1)"
);
pub(super) const BY_NAME: &str = select!("WHERE keys.tenant_id = $1 AND keys.key_id = $2");
pub(super) const BY_ID: &str = select!("WHERE keys.key_id = $1");
pub(super) const PAGE: &str = select!(
    "WHERE keys.key_id > $1 \
     AND (CAST($2 AS TEXT) IS NULL OR keys.tenant_id = $2) \
     AND (CAST($3 AS TEXT) IS NULL OR keys.kind = $3) \
     ORDER BY keys.key_id LIMIT $4"
);

pub(super) const UPDATE: &str = "UPDATE keys SET label = $3, settings = $4, \
     allowed_origins = $5, idle_timeout_s = $6, max_lifetime_s = $7, ceilings = $8 \
     WHERE tenant_id = $1 AND key_id = $2 AND state <> 'revoked'";

/// Only when the newest generation is still the one that was read.
pub(super) const ROTATE: &str = "UPDATE keys SET lookup = $3 \
     WHERE tenant_id = $1 AND key_id = $2 AND state <> 'revoked' AND $4 = \
     (SELECT COALESCE(MAX(generation), 0) FROM key_secrets WHERE tenant_id = $1 AND key_id = $2)";

pub(super) const ENABLED_ORIGINS: &str = "SELECT DISTINCT keys.allowed_origins \
     FROM keys JOIN tenants ON tenants.tenant_id = keys.tenant_id \
     WHERE keys.kind = $1 AND keys.state = 'active' AND tenants.revoked_at IS NULL";

pub(super) const PAGE_ORIGINS: &str = "SELECT keys.allowed_origins FROM sessions AS s \
     JOIN keys ON keys.tenant_id = s.tenant_id AND keys.key_id = s.key_id \
     JOIN tenants ON tenants.tenant_id = keys.tenant_id \
     WHERE s.surface = 'iframe' AND s.session_id = $1 \
     AND keys.state = 'active' AND tenants.revoked_at IS NULL";

/// A key of a revoked tenant is revoked.
pub(super) fn state(name: &str, tenant_revoked_at: Option<i64>) -> Result<KeyState, Failure> {
    match (name, tenant_revoked_at) {
        ("revoked", _) | (_, Some(_)) => Ok(KeyState::Revoked),
        ("active", None) => Ok(KeyState::Active),
        ("paused", None) => Ok(KeyState::Paused),
        (other, None) => Err(Failure::Statement(format!("there is no state '{other}'"))),
    }
}

pub(super) fn settings_json(settings: &KeySettings) -> Result<String, Failure> {
    to_json(&Settings::from(settings))
}

pub(super) fn ceilings_json(ceilings: Ceilings) -> Result<String, Failure> {
    to_json(&StoredCeilings::from(ceilings))
}

/// One key per run of rows that differ in their credential alone.
pub(super) fn keys(rows: Vec<Row>) -> Result<Vec<Key>, Failure> {
    let mut keys: Vec<Key> = Vec::new();
    for mut row in rows {
        let secret = secret(&mut row)?;
        let next = key(row)?;
        match keys.last_mut().filter(|last| last.id == next.id) {
            Some(last) => last.secrets.extend(secret),
            None => keys.push(Key { secrets: secret.into_iter().collect(), ..next }),
        }
    }
    Ok(keys)
}

macro_rules! insert {
    () => {
        "INSERT INTO keys (tenant_id, key_id, lookup, kind, label, state, settings, \
         allowed_origins, created_at, mode, idle_timeout_s, max_lifetime_s, ceilings) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)"
    };
}
use insert;

/// The keys that a condition finds, each once for each of its credentials, newest first.
macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT k.tenant_id, k.key_id, k.lookup, k.label, k.state, k.settings, \
             k.allowed_origins, k.created_at, k.tenant_revoked_at, s.generation, s.sealed, \
             s.not_after, k.mode, k.idle_timeout_s, k.max_lifetime_s, k.ceilings, s.lookup, \
             s.created_at FROM (SELECT keys.*, tenants.revoked_at AS tenant_revoked_at FROM keys \
             JOIN tenants ON tenants.tenant_id = keys.tenant_id ",
            $condition,
            ") AS k LEFT JOIN key_secrets AS s \
             ON s.tenant_id = k.tenant_id AND s.key_id = k.key_id \
             ORDER BY k.key_id, s.generation DESC"
        )
    };
}
use select;

fn key(mut row: Row) -> Result<Key, Failure> {
    let state = state(row.text(4)?.as_str(), row.opt_int(8)?)?;
    Ok(Key {
        tenant: row.text(0)?,
        id: row.text(1)?,
        lookup: row.text(2)?,
        mode: mode(row.text(12)?.as_str())?,
        label: row.text(3)?,
        state,
        settings: row.json::<Settings>(5)?.into(),
        allowed_origins: row.json(6)?,
        idle_timeout_s: row.opt_count(13)?,
        max_lifetime_s: row.opt_count(14)?,
        ceilings: row.json::<StoredCeilings>(15)?.into(),
        created_at: row.int(7)?,
        secrets: Vec::new(),
    })
}

pub(super) fn mode(name: &str) -> Result<Mode, Failure> {
    match name {
        "live" => Ok(Mode::Live),
        "test" => Ok(Mode::Test),
        other => Err(Failure::Statement(format!("there is no mode '{other}'"))),
    }
}

fn secret(row: &mut Row) -> Result<Option<KeySecret>, Failure> {
    let Some(generation) = row.opt_int(9)? else { return Ok(None) };
    let kept = match row.opt_bytes(10)? {
        Some(sealed) => Kept::Sealed(Sealed(sealed)),
        None => Kept::Lookup(row.text(16)?),
    };
    let (created_at, not_after) = (row.int(17)?, row.opt_int(11)?);
    Ok(Some(KeySecret { generation, kept, created_at, not_after }))
}

/// `KeySettings` as it lies in the column.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Settings {
    Embed { scope: StoredScope },
    Chat { allowed_intents: Option<Vec<String>>, allow_no_origin: bool, identity: StoredIdentity },
    Iframe { max_redemptions: u32 },
}

/// `Ceilings` as they lie in the column.
#[derive(Serialize, Deserialize)]
struct StoredCeilings {
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions_per_day: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    live_sessions: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests_per_minute: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum StoredScope {
    Read,
    ReadWrite,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredIdentity {
    Off,
    Optional,
    Required,
}

impl From<Ceilings> for StoredCeilings {
    fn from(ceilings: Ceilings) -> Self {
        let Ceilings { sessions_per_day, live_sessions, requests_per_minute } = ceilings;
        Self { sessions_per_day, live_sessions, requests_per_minute }
    }
}

impl From<StoredCeilings> for Ceilings {
    fn from(stored: StoredCeilings) -> Self {
        let StoredCeilings { sessions_per_day, live_sessions, requests_per_minute } = stored;
        Self { sessions_per_day, live_sessions, requests_per_minute }
    }
}

impl From<&KeySettings> for Settings {
    fn from(settings: &KeySettings) -> Self {
        match settings {
            KeySettings::Embed { scope: Scope::Read } => Self::Embed { scope: StoredScope::Read },
            KeySettings::Embed { scope: Scope::ReadWrite } => {
                Self::Embed { scope: StoredScope::ReadWrite }
            }
            KeySettings::Chat { allowed_intents, allow_no_origin, identity } => Self::Chat {
                allowed_intents: allowed_intents.clone(),
                allow_no_origin: *allow_no_origin,
                identity: match identity {
                    Identity::Off => StoredIdentity::Off,
                    Identity::Optional => StoredIdentity::Optional,
                    Identity::Required => StoredIdentity::Required,
                },
            },
            KeySettings::Iframe { max_redemptions } => {
                Self::Iframe { max_redemptions: *max_redemptions }
            }
        }
    }
}

impl From<Settings> for KeySettings {
    fn from(settings: Settings) -> Self {
        match settings {
            Settings::Embed { scope: StoredScope::Read } => Self::Embed { scope: Scope::Read },
            Settings::Embed { scope: StoredScope::ReadWrite } => {
                Self::Embed { scope: Scope::ReadWrite }
            }
            Settings::Chat { allowed_intents, allow_no_origin, identity } => Self::Chat {
                allowed_intents,
                allow_no_origin,
                identity: match identity {
                    StoredIdentity::Off => Identity::Off,
                    StoredIdentity::Optional => Identity::Optional,
                    StoredIdentity::Required => Identity::Required,
                },
            },
            Settings::Iframe { max_redemptions } => Self::Iframe { max_redemptions },
        }
    }
}
