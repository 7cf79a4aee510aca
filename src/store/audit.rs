//! The audit: who did what to what. Rows are added, never changed.

use super::engine::{Connection, Failure, Rows, Value};
use crate::domain::session::AuditEntry;

static AUDIT: Rows = Rows {
    head: "INSERT INTO audit (tenant_id, happened_at, audit_id, actor, action, target) VALUES",
    columns: 6,
    tail: "",
};

/// Adds `entries` to the running transaction.
pub(super) async fn insert<'a>(
    conn: &mut Connection,
    entries: impl IntoIterator<Item = &'a AuditEntry>,
) -> Result<(), Failure> {
    let mut rows: Vec<Value> = Vec::new();
    for entry in entries {
        rows.extend([
            entry.tenant.as_str().into(),
            entry.at.into(),
            entry.id.as_str().into(),
            entry.actor.as_str().into(),
            entry.action.as_str().into(),
            Value::from(entry.target.as_str()),
        ]);
    }
    conn.insert(&AUDIT, rows).await.map(drop)
}
