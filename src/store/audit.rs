//! The audit's rows: added in the transaction of the act they tell of, never changed.
//!
//! Acts hand in entries; before the commit all of a transaction's are chained and written at once,
//! so that a batch of openings costs the same few statements as one. The ends of the chains are
//! read inside the transaction: another process may have written in between.

use std::collections::HashMap;

use super::engine::{Connection, Failure, Readers, Row, Rows, Value};
use super::stale::Stale;
use super::subscribers;
use super::writer::{Job, Queue};
use crate::domain::audit::{AuditEntry, Hash, Record, SubjectKey};
use crate::error::Result;

/// Adds `entries` to the running transaction. Each is on its tenant's chain when it commits.
pub(super) async fn insert<'a>(
    conn: &mut Connection,
    entries: impl IntoIterator<Item = &'a AuditEntry>,
) -> Result<(), Failure> {
    conn.unchained().extend(entries.into_iter().cloned());
    Ok(())
}

/// Chains and writes what the running transaction has collected.
pub(super) async fn write(conn: &mut Connection) -> Result<(), Failure> {
    let entries = std::mem::take(conn.unchained());
    if entries.is_empty() {
        return Ok(());
    }
    let mut ends = ends(conn, &entries).await?;
    let mut records = Vec::with_capacity(entries.len());
    for entry in &entries {
        let end = ends.get_mut(&entry.tenant).ok_or_else(|| lost(&entry.tenant))?;
        let record = Record::behind((end.sequence, end.hash), entry, end.key.as_ref());
        (end.sequence, end.hash) = (record.sequence, record.hash());
        records.push((record, end.hash));
    }
    let rows = records.iter().flat_map(|(record, hash)| row(record, hash)).collect();
    conn.insert(&AUDIT, rows).await?;
    let moved = ends.iter().flat_map(|(tenant, end)| {
        [tenant.into(), end.sequence.into(), Value::from(end.hash.0.as_slice())]
    });
    conn.insert(&MOVE_ENDS, moved.collect()).await?;
    subscribers::tell(conn, &entries).await
}

/// Chains what a release without chains has written, in slices.
pub(super) async fn adopt(readers: &Readers, writer: &Queue) -> Result<()> {
    let left = "SELECT 1 FROM audit_unchained LIMIT 1";
    while !readers.fetch(left, Vec::new()).await?.is_empty() {
        writer.run(Adopt).await?;
    }
    Ok(())
}

/// Where a chain ends.
struct End {
    sequence: i64,
    hash: Hash,
    key: Option<SubjectKey>,
}

static AUDIT: Rows = Rows {
    head: "INSERT INTO audit (tenant_id, sequence, audit_id, happened_at, actor, action, target, \
           subject, detail, previous, hash) VALUES",
    columns: 11,
    tail: "",
};

static READ_ENDS: Rows = Rows {
    head: "SELECT tenant_id, sequence, hash, subject_key FROM audit_chains \
           WHERE tenant_id IN (VALUES",
    columns: 1,
    tail: ")",
};

static BEGIN_CHAINS: Rows = Rows {
    head: "INSERT INTO audit_chains (tenant_id, sequence, hash) VALUES",
    columns: 3,
    tail: "ON CONFLICT (tenant_id) DO NOTHING",
};

static MOVE_ENDS: Rows = Rows {
    head: "INSERT INTO audit_chains (tenant_id, sequence, hash) VALUES",
    columns: 3,
    tail: "ON CONFLICT (tenant_id) DO UPDATE SET sequence = excluded.sequence, \
           hash = excluded.hash",
};

/// The ends of all chains that get entries; chains that are not there yet begin.
async fn ends(
    conn: &mut Connection,
    entries: &[AuditEntry],
) -> Result<HashMap<String, End>, Failure> {
    let mut tenants: Vec<&str> = entries.iter().map(|entry| entry.tenant.as_str()).collect();
    tenants.sort_unstable();
    tenants.dedup();
    for tenant in &tenants {
        conn.reach(tenant).await?;
    }
    let mut ends = read_ends(conn, &tenants).await?;
    tenants.retain(|tenant| !ends.contains_key(*tenant));
    if !tenants.is_empty() {
        let none = Hash::NONE;
        let begun = tenants
            .iter()
            .flat_map(|tenant| [(*tenant).into(), 0.into(), Value::from(none.0.as_slice())]);
        conn.insert(&BEGIN_CHAINS, begun.collect()).await?;
        ends.extend(read_ends(conn, &tenants).await?);
    }
    Ok(ends)
}

async fn read_ends(
    conn: &mut Connection,
    tenants: &[&str],
) -> Result<HashMap<String, End>, Failure> {
    let names = tenants.iter().map(|tenant| Value::from(*tenant)).collect();
    let rows = conn.insert(&READ_ENDS, names).await?;
    rows.into_iter().map(end).collect()
}

fn end(mut row: Row) -> Result<(String, End), Failure> {
    let (tenant, sequence, hash) = (row.text(0)?, row.int(1)?, row.bytes(2)?);
    let hash = Hash::from_bytes(&hash).ok_or_else(|| lost(&tenant))?;
    let key = SubjectKey::new(&row.bytes(3)?);
    Ok((tenant, End { sequence, hash, key }))
}

fn lost(tenant: &str) -> Failure {
    Failure::Statement(format!("the end of the audit chain of '{tenant}' is not readable"))
}

fn row<'a>(record: &'a Record, hash: &'a Hash) -> [Value<'a>; 11] {
    [
        record.tenant.as_str().into(),
        record.sequence.into(),
        record.id.as_str().into(),
        record.at.into(),
        record.actor.as_str().into(),
        record.action.as_str().into(),
        record.target.as_str().into(),
        record.subject.as_deref().into(),
        record.detail.as_str().into(),
        record.previous.0.as_slice().into(),
        hash.0.as_slice().into(),
    ]
}

/// One slice of unchained rows, oldest first.
struct Adopt;

impl Job for Adopt {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "SELECT tenant_id, happened_at, audit_id, actor, action, target \
                   FROM audit_unchained ORDER BY happened_at, audit_id LIMIT 1000";
        let entries: Vec<AuditEntry> =
            conn.fetch(sql, Vec::new()).await?.into_iter().map(entry).collect::<Result<_, _>>()?;
        for entry in &entries {
            let sql = "DELETE FROM audit_unchained \
                       WHERE tenant_id = $1 AND happened_at = $2 AND audit_id = $3";
            let name = vec![(&entry.tenant).into(), entry.at.into(), (&entry.id).into()];
            conn.execute(sql, name).await?;
        }
        insert(conn, &entries).await
    }

    fn forget(&self, _: &mut Stale) {}
}

fn entry(mut row: Row) -> Result<AuditEntry, Failure> {
    Ok(AuditEntry {
        tenant: row.text(0)?,
        at: row.int(1)?,
        id: row.text(2)?,
        actor: row.text(3)?,
        action: row.text(4)?,
        target: row.text(5)?,
        subject: None,
        detail: serde_json::Map::new(),
    })
}
