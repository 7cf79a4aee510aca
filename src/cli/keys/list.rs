//! `vestibule keys list` and `show`: what keys are, when they were used last, and from where.

use clap::Args;
use serde_json::{Value, json};

use super::setting::KindChoice;
use crate::cli::listing::{columns, key_json, time};
use crate::cli::workplace::{Desk, Workplace};
use crate::cli::{Failure, print_json, print_line};
use crate::domain::key::{Key, KeyKind, KeyUse, MOST_ORIGINS};
use crate::error::{Error, Thing};

const PAGE: u32 = 200;

/// List keys, without their secrets
#[derive(Debug, Args)]
pub(in crate::cli) struct List {
    /// Only those of one tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only those of one kind
    #[arg(long, value_enum)]
    kind: Option<KindChoice>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"items":[…]}
    #[arg(long)]
    json: bool,
}

/// Show one key: settings, credentials that are accepted, last use, origins seen
#[derive(Debug, Args)]
pub(in crate::cli) struct Show {
    /// key_…
    #[arg(value_name = "KEY")]
    id: String,
    #[command(flatten)]
    workplace: Workplace,
    /// Print the key as the admin document shows it
    #[arg(long)]
    json: bool,
}

impl List {
    pub(super) fn run(self) -> Result<(), Failure> {
        let (tenant, kind) = (self.tenant, self.kind.map(KindChoice::kind));
        let (keys, now) = self.workplace.work(async |desk| {
            Ok((all(desk, tenant.as_deref(), kind).await?, desk.clock.now_ms()))
        })?;
        if self.json {
            let items: Vec<_> = keys.iter().map(|(key, seen)| key_json(key, seen, now)).collect();
            return print_json(&json!({"items": items}));
        }
        let head = [
            "KEY",
            "TENANT",
            "KIND",
            "MODE",
            "STATE",
            "LABEL",
            "PUBLIC ID",
            "LAST USED",
            "ORIGINS",
        ];
        print_line(&columns(head, &keys.iter().map(row).collect::<Vec<_>>()))
    }
}

impl Show {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { id, workplace, json } = self;
        let shown = workplace.work(async |desk| {
            let key = desk.store.key_by_id(&id).await?.ok_or(Error::NotFound(Thing::Key))?;
            shown(desk, &key).await
        })?;
        if json {
            return print_json(&shown);
        }
        let rows = shown.as_object().into_iter().flatten();
        let rows: Vec<_> = rows.map(|(name, value)| [name.clone(), words(value)]).collect();
        print_line(&columns(["MEMBER", "VALUE"], &rows))
    }
}

/// A key as the admin document shows it now. A running service is a few seconds late with what was
/// seen of its use.
pub(super) async fn shown(desk: &Desk, key: &Key) -> Result<Value, Failure> {
    let seen = desk.store.key_use(&key.id).await?;
    Ok(key_json(key, &seen, desk.clock.now_ms()))
}

async fn all(
    desk: &Desk,
    tenant: Option<&str>,
    kind: Option<KeyKind>,
) -> Result<Vec<(Key, KeyUse)>, Failure> {
    let mut keys: Vec<(Key, KeyUse)> = Vec::new();
    loop {
        let after = keys.last().map(|(key, _)| key.id.clone());
        let page = desk.store.list_keys(tenant, kind, after.as_deref(), PAGE).await?;
        let mut uses = desk.store.key_uses(&page).await?;
        let is_last = page.len() < PAGE as usize;
        keys.extend(page.into_iter().map(|key| {
            let seen = uses.remove(&key.id).unwrap_or_default();
            (key, seen)
        }));
        if is_last {
            return Ok(keys);
        }
    }
}

fn row((key, seen): &(Key, KeyUse)) -> [String; 9] {
    let (public, origins) = match key.kind() {
        KeyKind::Embed => (key.lookup.clone(), String::new()),
        KeyKind::Chat => (key.lookup.clone(), seen.origins.len().min(MOST_ORIGINS).to_string()),
        // What finds an iframe key is the hash of its secret, of no use to anybody.
        KeyKind::Iframe => (String::new(), String::new()),
    };
    [
        key.id.clone(),
        key.tenant.clone(),
        key.kind().name().to_owned(),
        key.mode.name().to_owned(),
        key.state.name().to_owned(),
        key.label.clone(),
        public,
        seen.last_used_at.map_or_else(|| "never".to_owned(), time),
        origins,
    ]
}

/// A value without JSON's quotes where it is one word or a list of them.
fn words(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) => all.iter().map(words).collect::<Vec<_>>().join(", "),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| format!("{name} {}", words(value)));
            members.collect::<Vec<_>>().join(" ")
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
