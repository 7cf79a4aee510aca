//! The themes of the iframe surface. At most one of a tenant is its default.

use std::sync::Arc;

use super::Store;
use super::engine::to_json;
use super::script::Script;
use super::stale::{Stale, What};
use crate::domain::session::AuditEntry;
use crate::domain::theme::ThemeSettings;
use crate::error::Result;

impl Store {
    /// A tenant's theme. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn theme(&self, tenant: &str, id: i64) -> Result<Option<Arc<ThemeSettings>>> {
        let read = async {
            let sql = "SELECT document FROM themes WHERE tenant_id = $1 AND theme_id = $2";
            let row = self.readers.fetch(sql, vec![tenant.into(), id.into()]).await?.pop();
            Ok(row.map(|mut row| row.json(0)).transpose()?)
        };
        self.caches.themes.through(tenant, &id.to_string(), read).await
    }

    /// The theme of sessions that name none. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn default_theme(&self, tenant: &str) -> Result<Option<Arc<ThemeSettings>>> {
        let read = async {
            let sql = "SELECT document FROM themes WHERE tenant_id = $1 AND is_default = 1";
            let row = self.readers.fetch(sql, vec![tenant.into()]).await?.pop();
            Ok(row.map(|mut row| row.json(0)).transpose()?)
        };
        self.caches.themes.through(tenant, "", read).await
    }

    /// Makes or replaces a theme. A new default demotes the old one.
    ///
    /// # Errors
    /// `Internal` when there is no such tenant.
    pub async fn put_theme(
        &self,
        tenant: &str,
        id: i64,
        is_default: bool,
        theme: &ThemeSettings,
        audit: AuditEntry,
    ) -> Result<()> {
        let tenant = tenant.to_owned();
        let mut statements = Vec::new();
        if is_default {
            let demote = "UPDATE themes SET is_default = 0 WHERE tenant_id = $1 AND is_default = 1";
            statements.push((demote, vec![tenant.clone().into()]));
        }
        let put = "INSERT INTO themes (tenant_id, theme_id, is_default, document) \
                   VALUES ($1, $2, $3, $4) ON CONFLICT (tenant_id, theme_id) DO UPDATE SET \
                   is_default = excluded.is_default, document = excluded.document";
        let values =
            vec![tenant.clone().into(), id.into(), is_default.into(), to_json(theme)?.into()];
        statements.push((put, values));
        // Whose default it was is not known here, so all go; themes change rarely.
        let forget = |stale: &mut Stale, _| stale.add(What::Themes);
        self.writer.run(Script { tenant, statements, audit, forget }).await
    }
}
