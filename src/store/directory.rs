//! The employees and chats that tenants with a strict directory have named.

use super::Store;
use super::script::Script;
use crate::domain::session::AuditEntry;
use crate::error::Result;

/// What an id of the directory stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DirectoryKind {
    /// An employee.
    Employee,
    /// A chat.
    Chat,
}

impl Store {
    /// Whether the tenant's directory has the id, as of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn directory_has(&self, tenant: &str, kind: DirectoryKind, id: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM directory WHERE tenant_id = $1 AND kind = $2 AND id = $3";
        let values = vec![tenant.into(), name(kind).into(), id.into()];
        Ok(!self.readers.fetch(sql, values).await?.is_empty())
    }

    /// Adds an id to the tenant's directory unless it is there.
    ///
    /// # Errors
    /// `Internal` when there is no such tenant.
    pub async fn put_directory(
        &self,
        tenant: &str,
        kind: DirectoryKind,
        id: &str,
        audit: AuditEntry,
    ) -> Result<()> {
        let tenant = tenant.to_owned();
        let sql = "INSERT INTO directory (tenant_id, kind, id) VALUES ($1, $2, $3) \
                   ON CONFLICT DO NOTHING";
        let values = vec![tenant.clone().into(), name(kind).into(), id.to_owned().into()];
        let statements = vec![(sql, values)];
        self.writer.run(Script { tenant, statements, audit, forget: |_, _| {} }).await
    }
}

fn name(kind: DirectoryKind) -> &'static str {
    match kind {
        DirectoryKind::Employee => "employee",
        DirectoryKind::Chat => "chat",
    }
}
