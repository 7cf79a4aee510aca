//! `vestibule audit`: check the hash chains of the audit, and read its entries.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::listing::{columns, time};
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::audit::Record;
use crate::domain::audit_chain::{Break, Head, NO_TENANT, Walk, shown};
use crate::store::{AuditFilter, Store};

/// The audit of the data directory: every act, each entry chained to the one before it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule audit verify --json > heads.json
  vestibule audit verify --expect-head ten_…:42:9f86d081…
  vestibule audit tail --tenant ten_… --action key.revoke
  vestibule audit tail -f --json | jq .action

Exit codes: 0 every chain holds, 1 a chain is broken or the database refused, 2 unusable input")]
pub(super) enum Audit {
    Verify(Verify),
    Tail(Tail),
}

/// Walk the chains and name the first broken entry of each
///
/// The heads it prints are worth keeping elsewhere: given back with --expect-head they show that a
/// chain was cut short or written anew, which the database alone cannot show.
#[derive(Debug, Args)]
pub(super) struct Verify {
    /// Only the chain of one tenant; `-` is what belongs to no tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// A head that an earlier run printed: its entry must still be there; may be repeated
    #[arg(long = "expect-head", value_name = "TENANT:SEQUENCE:HASH")]
    expected: Vec<Head>,
    /// A file with one such head a line
    #[arg(long, value_name = "FILE")]
    expect_heads: Option<PathBuf>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"holds","chains":[…]}
    #[arg(long)]
    json: bool,
}

/// Show the latest entries, and with -f those that follow
#[derive(Debug, Args)]
pub(super) struct Tail {
    /// Only those of one tenant; `-` is what belongs to no tenant
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only what one actor did: admin, cli, the id of a key (key_…) or of a session (ses_…)
    #[arg(long)]
    actor: Option<String>,
    /// Only one kind of act: session.open, key.revoke, …
    #[arg(long)]
    action: Option<String>,
    /// Only what was done to one thing
    #[arg(long)]
    target: Option<String>,
    /// How many entries at most
    #[arg(short = 'n', long, default_value_t = 20)]
    lines: u32,
    /// Go on with entries as they are written, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    workplace: Workplace,
    /// Print one JSON value a line
    #[arg(long)]
    json: bool,
}

/// Entries read at a time.
const SLICE: u32 = 1000;

/// How often a followed audit is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);

impl Audit {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Verify(verify) => verify.run(),
            Self::Tail(tail) => tail.run(),
        }
    }
}

/// A chain that was walked.
struct Walked {
    head: Head,
    broken: Option<Break>,
}

impl Verify {
    fn run(self) -> Result<(), Failure> {
        let expected = self.expected_heads()?;
        let Self { tenant, workplace, json, .. } = self;
        let tenant = tenant.map(named);
        let walked = workplace.work(async |desk| walk_all(desk, tenant, &expected).await)?;
        let broken = walked.iter().filter(|chain| chain.broken.is_some()).count();
        if json {
            let chains: Vec<_> = walked.iter().map(Walked::json).collect();
            print_json(&json!({"holds": broken == 0, "chains": chains}))?;
        } else {
            for chain in &walked {
                print_line(&chain.line())?;
            }
        }
        if broken > 0 {
            let problem = format!("{broken} of {} chains do not hold", walked.len());
            let help = "keep this data directory as evidence and compare it with a backup";
            return Err(Failure::refused(problem, help));
        }
        if json {
            return Ok(());
        }
        let entries: i64 = walked.iter().map(|chain| chain.head.sequence).sum();
        print_line(&format!(
            "{} chains with {entries} entries hold; keep these heads elsewhere for --expect-head",
            walked.len()
        ))
    }

    fn expected_heads(&self) -> Result<Vec<Head>, Failure> {
        let mut heads = self.expected.clone();
        let Some(file) = &self.expect_heads else { return Ok(heads) };
        let shown = file.display();
        let text = std::fs::read_to_string(file).map_err(|cause| {
            let problem = format!("{shown} cannot be read ({cause})");
            Failure::unusable(problem, "give a file with one head a line")
        })?;
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let head = line.parse();
            heads
                .push(head.map_err(|why: &str| Failure::unusable(format!("{shown}: {why}"), why))?);
        }
        Ok(heads)
    }
}

impl Walked {
    fn line(&self) -> String {
        match &self.broken {
            None => format!("holds   {}", self.head),
            Some(Break { sequence, id, fault }) => {
                let id = id.as_deref().map(|id| format!(" ({id})")).unwrap_or_default();
                format!("BROKEN  {} at entry {sequence}{id}: {fault}", shown(&self.head.tenant))
            }
        }
    }

    fn json(&self) -> Value {
        let Self { head, broken } = self;
        let mut value = json!({
            "tenantId": if head.tenant.is_empty() { None } else { Some(&head.tenant) },
            "entries": head.sequence,
            "hash": head.hash.to_string(),
            "head": head.to_string(),
        });
        if let Some(Break { sequence, id, fault }) = broken {
            value["broken"] =
                json!({"sequence": sequence, "auditId": id, "problem": fault.to_string()});
        }
        value
    }
}

/// Every chain that is there or expected, or the one that was asked for.
async fn walk_all(
    desk: &Desk,
    tenant: Option<String>,
    expected: &[Head],
) -> Result<Vec<Walked>, Failure> {
    let progress = progress();
    let mut names = BTreeSet::new();
    match tenant {
        Some(tenant) => {
            if let Some(other) = expected.iter().find(|head| head.tenant != tenant) {
                let problem = format!("{} is another tenant's head", shown(&other.tenant));
                let help = "leave --tenant out, or expect that tenant's head alone";
                return Err(Failure::unusable(problem, help));
            }
            names.insert(tenant);
        }
        None => {
            names.extend(expected.iter().map(|head| head.tenant.clone()));
            let mut last: Option<String> = None;
            while let Some(name) = desk.store.audit_chain_behind(last.as_deref()).await? {
                names.insert(name.clone());
                last = Some(name);
            }
        }
    }
    let mut walked = Vec::new();
    for name in &names {
        progress.set_message(shown(name).to_owned());
        walked.push(walk(desk, name, expected, &progress).await?);
    }
    progress.finish_and_clear();
    Ok(walked)
}

async fn walk(
    desk: &Desk,
    tenant: &str,
    expected: &[Head],
    progress: &ProgressBar,
) -> Result<Walked, Failure> {
    let mut walk = Walk::new(tenant, expected);
    let end = loop {
        let at = walk.head().sequence;
        // The end first: a service that runs may move it while we walk, and never back.
        let end = desk.store.audit_chain_end(tenant).await?;
        let slice = desk.store.audit_chain(tenant, at, SLICE).await?;
        for found in &slice {
            if let Err(broken) = walk.step(found) {
                return Ok(Walked { head: walk.head().clone(), broken: Some(broken) });
            }
        }
        progress.inc(slice.len() as u64);
        if slice.is_empty() {
            break end;
        }
    };
    let broken = walk.finish(end).err();
    Ok(Walked { head: walk.head().clone(), broken })
}

/// On a terminal alone; a spinner, for how much there is would take a walk of its own to know.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} entries, {msg}");
    ProgressBar::new_spinner()
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()))
}

impl Tail {
    fn run(self) -> Result<(), Failure> {
        let Self { tenant, actor, action, target, lines, follow, workplace, json } = self;
        let tenant = tenant.map(named);
        let filter = AuditFilter { tenant, actor, action, target, ..AuditFilter::default() };
        workplace.work(async |desk| {
            let from = desk.store.audit_position().await?;
            let latest = latest(&desk.store, &filter, from, lines).await?;
            if latest.is_empty() && !follow && !json {
                return print_line("no entry fits; leave filters out to see more");
            }
            show(&latest, json, true)?;
            if follow {
                follow_from(desk, &filter, from, json).await?;
            }
            Ok(())
        })
    }
}

/// The last entries that fit, up to the one at `last`, oldest first. What is written meanwhile is
/// left to whoever follows from there.
async fn latest(
    store: &Store,
    filter: &AuditFilter,
    last: i64,
    lines: u32,
) -> Result<Vec<Record>, Failure> {
    let (mut latest, mut before) = (Vec::new(), Some(last.saturating_add(1)));
    while latest.len() < lines as usize {
        let missing = lines - u32::try_from(latest.len()).unwrap_or(lines);
        let page = store.audit_page(filter, before, missing).await?;
        latest.extend(page.entries.into_iter().filter_map(|found| found.record));
        let Some(next) = page.next else { break };
        before = Some(next);
    }
    latest.reverse();
    Ok(latest)
}

async fn follow_from(
    desk: &Desk,
    filter: &AuditFilter,
    mut from: i64,
    json: bool,
) -> Result<(), Failure> {
    loop {
        let page = desk.store.audit_since(filter, from, SLICE).await?;
        from = page.next.unwrap_or(from);
        let fresh: Vec<_> = page.entries.into_iter().filter_map(|found| found.record).collect();
        show(&fresh, json, false)?;
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn show(records: &[Record], json: bool, with_head: bool) -> Result<(), Failure> {
    if json {
        return records.iter().try_for_each(|record| print_line(&record_json(record).to_string()));
    }
    if records.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = records.iter().map(row).collect();
    let text = columns(["AT", "TENANT", "ACTOR", "ACTION", "TARGET", "DETAIL"], &rows);
    let skipped = usize::from(!with_head);
    text.lines().skip(skipped).try_for_each(print_line)
}

fn row(record: &Record) -> [String; 6] {
    let detail = if record.detail == "{}" { String::new() } else { record.detail.clone() };
    [
        time(record.at),
        shown(&record.tenant).to_owned(),
        record.actor.clone(),
        record.action.clone(),
        record.target.clone(),
        [record.subject.clone().unwrap_or_default(), detail].join(" ").trim().to_owned(),
    ]
}

/// An entry as the admin document shows it.
fn record_json(record: &Record) -> Value {
    let mut value = json!({
        "auditId": record.id,
        "sequence": record.sequence,
        "at": time(record.at),
        "actor": record.actor,
        "action": record.action,
        "target": record.target,
        "detail": serde_json::from_str::<Value>(&record.detail).unwrap_or_default(),
        "hash": record.hash().to_string(),
        "previous": record.previous.to_string(),
    });
    if !record.tenant.is_empty() {
        value["tenantId"] = record.tenant.as_str().into();
    }
    if let Some(subject) = &record.subject {
        value["subject"] = subject.as_str().into();
    }
    value
}

fn named(tenant: String) -> String {
    if tenant == NO_TENANT { String::new() } else { tenant }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::audit::AuditEntry;
    use crate::domain::sealing::Sealed;
    use crate::domain::signing_key::SigningAlgorithm;
    use crate::domain::tenant::{Directory, Tenant};

    async fn act(store: &Store, id: &str) {
        let audit = AuditEntry {
            id: id.into(),
            tenant: String::new(),
            at: 1,
            actor: "cli".into(),
            action: "test".into(),
            target: "it".into(),
            subject: None,
            detail: serde_json::Map::new(),
        };
        let tenant = Tenant {
            id: id.into(),
            name: "A".into(),
            directory: Directory::Open,
            signing: SigningAlgorithm::Hs256,
            identity_secret: Sealed(vec![1]),
            created_at: 1,
            revoked_at: None,
            erased_at: None,
        };
        store.create_tenant(tenant, audit, None).await.expect("stored");
    }

    #[tokio::test]
    async fn what_is_written_meanwhile_is_shown_once_by_whoever_follows() {
        let dir = tempfile::tempdir().expect("a directory");
        let (store, any) =
            (Store::open(&dir.path().into()).await.expect("opens"), AuditFilter::default());
        for id in ["aud_1", "aud_2"] {
            act(&store, id).await;
        }
        let from = store.audit_position().await.expect("reads");
        act(&store, "aud_3").await;
        let mut shown = latest(&store, &any, from, 20).await.expect("reads");
        let followed = store.audit_since(&any, from, SLICE).await.expect("reads");
        shown.extend(followed.entries.into_iter().filter_map(|found| found.record));
        let ids: Vec<_> = shown.iter().map(|record| record.id.as_str()).collect();
        assert_eq!(ids, ["aud_1", "aud_2", "aud_3"]);
    }
}
