//! The audit: who did what to what. Rows are added, never changed.

use super::Store;
use super::engine::{Connection, Failure, Rows, Value};
use crate::domain::session::AuditEntry;
use crate::error::Result;

impl Store {
    /// When the newest act was written, milliseconds since 1970. Reads the whole audit: for
    /// operators' commands, not for requests.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn newest_act(&self) -> Result<Option<i64>> {
        let sql = "SELECT COALESCE(MAX(happened_at), 0) FROM audit";
        let row = self.readers.fetch(sql, Vec::new()).await?.pop();
        let newest = row.map(|mut row| row.int(0)).transpose()?;
        Ok(newest.filter(|at| *at > 0))
    }
}

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
