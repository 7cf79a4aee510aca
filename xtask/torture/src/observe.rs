//! What is there after a restart, read page by page as a tenant's backend reads it.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SecondsFormat};
use serde_json::Value;

use crate::client::{Client, at_ms};
use crate::history::{Event, Seen, SeenSession};

/// Sessions of one page.
const PAGE: usize = 200;

/// All sessions that were opened at `since` (milliseconds since 1970) or later, and what the users
/// of these events have used.
///
/// # Errors
/// Whatever is no answer.
pub async fn seen(client: &Client, since: i64, events: &[Event]) -> Result<Seen, String> {
    let uids: BTreeSet<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::Counted { uid, .. } => Some(uid.as_str()),
            Event::Opened { .. }
            | Event::Renewed { .. }
            | Event::Ended { .. }
            | Event::Used { .. } => None,
        })
        .collect();
    let mut used = BTreeMap::new();
    for uid in uids {
        let told = client.read(&format!("/api/v1/usage/{uid}")).await?;
        // A month and a week rarely begin anew together.
        let counted = ["monthly", "weekly"].map(|window| told[window]["used"].as_u64());
        let most = counted.into_iter().max().flatten();
        used.insert(uid.to_owned(), most.ok_or_else(|| format!("no usage in {told}"))?);
    }
    Ok(Seen { sessions: sessions(client, since).await?, used })
}

async fn sessions(client: &Client, since: i64) -> Result<Vec<SeenSession>, String> {
    let since = DateTime::from_timestamp_millis(since).ok_or("no such time")?;
    let since = since.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut sessions = Vec::new();
    let mut after = String::new();
    loop {
        let path = format!("/v1/sessions?limit={PAGE}&issued_after={since}{after}");
        let page = client.read(&path).await?;
        let items = page["items"].as_array().ok_or_else(|| format!("no list in {page}"))?;
        for item in items {
            sessions.push(session(item).ok_or_else(|| format!("no session: {item}"))?);
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(sessions),
        }
    }
}

fn session(item: &Value) -> Option<SeenSession> {
    let subject = ["employee", "customer", "uid"].into_iter().find_map(|name| item[name].as_str());
    Some(SeenSession {
        sid: item["sid"].as_str()?.to_owned(),
        subject: subject?.to_owned(),
        expires_at: at_ms(&item["expires_at"])?,
        is_revoked: item["revoked_at"].is_string(),
    })
}
