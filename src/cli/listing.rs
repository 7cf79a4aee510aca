//! How commands show what they found: columns for people, the documents' members for JSON.

use chrono::{DateTime, SecondsFormat};
use secrecy::ExposeSecret as _;
use serde_json::{Map, Value, json};

use crate::domain::admin::Credential;
use crate::domain::audit::Subject;
use crate::domain::key::{Key, KeyKind, KeyUse, LISTED_ORIGINS, MOST_ORIGINS};
use crate::domain::key_update;
use crate::domain::session::Overview;
use crate::domain::signing_key::{FIRST, SigningKey};
use crate::domain::tenant::{Directory, Tenant};
use crate::store::Judged;

/// Rows under a head, each column as wide as its widest cell. What strangers named, a customer's id
/// for one, must not speak to the terminal.
pub(super) fn columns<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let shown = rows.iter().map(|row| row.each_ref().map(|cell| visible(cell)));
    let all: Vec<_> = std::iter::once(head.map(str::to_owned)).chain(shown).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<_> = (0..N).map(|column| width(column).unwrap_or(0)).collect();
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A text with its control characters written out.
fn visible(text: &str) -> String {
    let written_out = |c: char| match c.is_control() {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.chars().map(written_out).collect()
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
        "signing": tenant.signing.name(),
        "createdAt": time(tenant.created_at),
    });
    if let Some(at) = tenant.revoked_at {
        value["revokedAt"] = time(at).into();
    }
    if let Some(at) = tenant.erased_at {
        value["erasedAt"] = time(at).into();
    }
    value
}

/// A generation of a tenant's signing key as the admin document shows it.
pub(super) fn signing_key_json(key: &SigningKey, now_ms: i64) -> Value {
    let mut value = json!({
        "generation": key.generation,
        "algorithm": key.algorithm.name(),
        "state": key.state(now_ms).name(),
    });
    if key.generation > FIRST {
        value["activeFrom"] = time(key.active_from).into();
    }
    if let Some(end) = key.accepted_until {
        value["acceptedUntil"] = time(end).into();
    }
    value
}

/// A key as the admin document shows it at `now_ms`, and what was seen of its use.
pub(super) fn key_json(key: &Key, seen: &KeyUse, now_ms: i64) -> Value {
    let mut value = json!({
        "keyId": key.id,
        "tenantId": key.tenant,
        "kind": key.kind().name(),
        "mode": key.mode.name(),
        "state": key.state.name(),
        "createdAt": time(key.created_at),
    });
    for (name, member) in key_update::members(key) {
        value[name] = member;
    }
    let live = key.secrets.iter().filter(|secret| secret.is_live(now_ms));
    let generations = live.map(|secret| {
        let mut one = json!({
            "generation": secret.generation,
            "createdAt": time(secret.created_at),
        });
        if let Some(end) = secret.not_after {
            one["endsAt"] = time(end).into();
        }
        one
    });
    value["generations"] = generations.collect();
    if let Some(at) = seen.last_used_at {
        value["lastUsedAt"] = time(at).into();
    }
    match key.kind() {
        KeyKind::Embed => value["publicId"] = key.lookup.as_str().into(),
        KeyKind::Chat => {
            value["publicId"] = key.lookup.as_str().into();
            let first: Vec<_> = seen.origins.iter().take(LISTED_ORIGINS).collect();
            let count = seen.origins.len().min(MOST_ORIGINS);
            value["originsSeen"] = json!({"count": count, "first": first});
        }
        KeyKind::Iframe => {}
    }
    value
}

/// A key's id and its new credential for people, who see it once.
pub(super) fn credential_lines(key: &Key, credential: &Credential) -> String {
    let mut lines = format!("key        {}", key.id);
    if let Some(public) = &credential.public {
        lines.push_str(&format!("\npublic id  {public}"));
    }
    if let Some(secret) = &credential.secret {
        lines.push_str(&format!("\nsecret     {}  (shown once)", secret.expose_secret()));
    }
    lines
}

/// A session at `now_ms` as the document of the life cycle shows it.
pub(super) fn session_json(session: &Overview, judged: Judged, now_ms: i64) -> Value {
    let (times, Judged { state, mode }) = (session.times, judged);
    let mut value = json!({
        "sid": session.id,
        "tenant_id": session.tenant,
        "surface": session.surface.name(),
        "state": state.name(),
        "key_id": session.key_id,
        "issued_at": time(times.issued_at),
        "expires_at": time(times.expires_at),
        "expires_in": times.remaining_s(now_ms),
    });
    if let Some(mode) = mode {
        value["mode"] = mode.name().into();
    }
    if let Some((kind, id)) = session.subject.as_ref().map(Subject::parts) {
        value[kind] = id.into();
    }
    if let Some(chat) = &session.chat {
        value["chat"] = chat.as_str().into();
    }
    let more = [
        ("renewed_at", times.renewed_at),
        ("last_used_at", times.last_used_at),
        ("revoked_at", times.revoked_at),
    ];
    for (name, at) in more {
        if let Some(at) = at {
            value[name] = time(at).into();
        }
    }
    value
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::{Ceilings, Kept, KeySecret, KeySettings, KeyState, Mode};

    #[test]
    fn what_strangers_named_does_not_speak_to_the_terminal() {
        let shown = columns(["ID"], &[["\u{1b}[2Ja\nb\u{9b}é".into()]]);
        assert_eq!(shown, "ID\n\\u{1b}[2Ja\\nb\\u{9b}é");
    }

    #[test]
    fn credentials_that_ended_are_not_shown() {
        let secret = |generation, not_after| KeySecret {
            generation,
            kept: Kept::Lookup("lookup".into()),
            created_at: 1,
            not_after,
        };
        let key = Key {
            tenant: "ten_a".into(),
            id: "key_a".into(),
            lookup: "lookup".into(),
            mode: Mode::Live,
            label: "A".into(),
            state: KeyState::Active,
            allowed_origins: Vec::new(),
            idle_timeout_s: None,
            max_lifetime_s: None,
            ceilings: Ceilings::default(),
            settings: KeySettings::Iframe { max_redemptions: 1 },
            secrets: vec![secret(3, None), secret(2, Some(11)), secret(1, Some(10))],
            created_at: 1,
        };
        let shown = |now| {
            let shown = key_json(&key, &KeyUse::default(), now);
            let all = shown["generations"].as_array().expect("generations").iter();
            all.map(|it| it["generation"].as_i64().expect("a number")).collect::<Vec<_>>()
        };
        assert_eq!((shown(10), shown(11)), (vec![3, 2], vec![3]));
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["a".to_owned(), "b".to_owned()], ["long".to_owned(), String::new()]];
        assert_eq!(columns(["X", "Y"], &rows), "X     Y\na     b\nlong");
    }

    #[test]
    fn times_have_milliseconds_and_z() {
        assert_eq!(time(1_700_000_000_123), "2023-11-14T22:13:20.123Z");
    }
}
