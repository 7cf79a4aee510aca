//! How commands show what they found: columns for people, the admin document's members for JSON.

use chrono::{DateTime, SecondsFormat};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::domain::admin::Credential;
use crate::domain::key::{Ceilings, Identity, Key, KeySettings, Scope};
use crate::domain::tenant::{Directory, Tenant};

/// Rows under a head, each column as wide as its widest cell.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let all: Vec<_> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.into_iter().map(line).collect::<Vec<_>>().join("\n")
}

/// RFC 3339 in UTC with milliseconds.
pub(super) fn time(at_ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// A tenant as the admin document shows it.
pub(super) fn tenant_json(tenant: &Tenant) -> Value {
    let mut value = json!({
        "tenantId": tenant.id,
        "name": tenant.name,
        "directory": directory_name(tenant.directory),
        "createdAt": time(tenant.created_at),
    });
    if let Some(at) = tenant.revoked_at {
        value["revokedAt"] = time(at).into();
    }
    value
}

/// A key as the admin document shows it.
pub(super) fn key_json(key: &Key) -> Value {
    let mut value = json!({
        "keyId": key.id,
        "tenantId": key.tenant,
        "kind": key.kind().name(),
        "mode": key.mode.name(),
        "label": key.label,
        "state": key.state.name(),
        "allowedOrigins": key.allowed_origins,
        "createdAt": time(key.created_at),
    });
    for (name, seconds) in
        [("idleTimeoutSeconds", key.idle_timeout_s), ("maxLifetimeSeconds", key.max_lifetime_s)]
    {
        if let Some(seconds) = seconds {
            value[name] = seconds.into();
        }
    }
    if key.ceilings != Ceilings::default() {
        value["ceilings"] = ceilings_json(key.ceilings);
    }
    match &key.settings {
        KeySettings::Embed { scope } => {
            value["publicId"] = key.lookup.as_str().into();
            value["scope"] = scope_name(*scope).into();
        }
        KeySettings::Chat { allowed_intents, allow_no_origin, identity } => {
            value["publicId"] = key.lookup.as_str().into();
            value["allowsAllIntents"] = allowed_intents.is_none().into();
            value["allowNoOrigin"] = (*allow_no_origin).into();
            value["identity"] = identity_name(*identity).into();
            if let Some(intents) = allowed_intents {
                value["allowedIntents"] = json!(intents);
            }
        }
        KeySettings::Iframe { max_redemptions } => {
            value["maxRedemptions"] = (*max_redemptions).into();
        }
    }
    value
}

/// Ceilings as the admin document shows them.
pub(super) fn ceilings_json(ceilings: Ceilings) -> Value {
    let all = [
        ("sessionsPerDay", ceilings.sessions_per_day),
        ("liveSessions", ceilings.live_sessions),
        ("requestsPerMinute", ceilings.requests_per_minute),
    ];
    all.into_iter().filter_map(|(name, most)| Some((name.to_owned(), Value::from(most?)))).collect()
}

/// A new credential as the admin document shows it, once.
pub(super) fn credential_json(credential: &Credential) -> Value {
    let mut members = Map::new();
    if let Some(public) = &credential.public {
        members.insert("publicId".to_owned(), public.as_str().into());
    }
    if let Some(secret) = &credential.secret {
        members.insert("secret".to_owned(), secret.expose_secret().into());
    }
    members.into()
}

/// The word for a tenant's directory.
pub(super) fn directory_name(directory: Directory) -> &'static str {
    match directory {
        Directory::Open => "open",
        Directory::Strict => "strict",
    }
}

fn scope_name(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "read",
        Scope::ReadWrite => "read-write",
    }
}

fn identity_name(identity: Identity) -> &'static str {
    match identity {
        Identity::Off => "off",
        Identity::Optional => "optional",
        Identity::Required => "required",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "b".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(super::columns(["X", "Y"], &rows), "X     Y\na     b\nlong");
    }

    #[test]
    fn times_have_milliseconds_and_z() {
        assert_eq!(super::time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
