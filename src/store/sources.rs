//! The data sources of tenants, by their textual ids.

use std::sync::Arc;

use super::Store;
use super::script::Script;
use super::stale::What;
use crate::domain::session::AuditEntry;
use crate::error::Result;

impl Store {
    /// The ids of the tenant's sources, sorted. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn sources(&self, tenant: &str) -> Result<Arc<Vec<String>>> {
        let read = async {
            let sql = "SELECT source_id FROM sources WHERE tenant_id = $1 ORDER BY source_id";
            let rows = self.readers.fetch(sql, vec![tenant.into()]).await?;
            let ids = rows.into_iter().map(|mut row| row.text(0));
            Ok(Some(ids.collect::<Result<_, _>>()?))
        };
        Ok(self.caches.sources.through(tenant, "", read).await?.unwrap_or_default())
    }

    /// Adds a source unless it is there.
    ///
    /// # Errors
    /// `Internal` when there is no such tenant.
    pub async fn put_source(&self, tenant: &str, id: &str, audit: AuditEntry) -> Result<()> {
        let tenant = tenant.to_owned();
        let sql = "INSERT INTO sources (tenant_id, source_id) VALUES ($1, $2) \
                   ON CONFLICT DO NOTHING";
        let statements = vec![(sql, vec![tenant.clone().into(), id.to_owned().into()])];
        let script = Script {
            tenant,
            statements,
            audit,
            forget: |stale, tenant| stale.add(What::Sources(tenant)),
        };
        self.writer.run(script).await
    }
}
