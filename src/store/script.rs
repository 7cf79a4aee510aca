//! A fixed list of statements as one write with its audit row: how the tenant's own things are put.

use super::audit;
use super::engine::{Connection, Failure, Value};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::domain::session::AuditEntry;

/// Statements that run in order and answer nothing.
pub(super) struct Script {
    pub(super) tenant: String,
    pub(super) statements: Vec<(&'static str, Vec<Value<'static>>)>,
    pub(super) audit: AuditEntry,
    /// Drops what this makes stale, given the tenant.
    pub(super) forget: fn(&mut Stale, String),
}

impl Job for Script {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        for (sql, values) in &self.statements {
            conn.execute(*sql, values.clone()).await?;
        }
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        (self.forget)(stale, self.tenant.clone());
    }
}
