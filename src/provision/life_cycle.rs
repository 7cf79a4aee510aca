//! What becomes of keys, tenants and sessions once they are there, each act with its audit line.

use super::Provision;
use crate::domain::key::{Key, KeyState};
use crate::domain::key_update::KeyChange;
use crate::domain::target::Target;
use crate::error::{Error, Result, Thing};
use crate::store::{Sweep, Swept};

/// Which sessions of a tenant to end, and when.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Whether only those that test keys opened.
    pub tests_alone: bool,
    /// Whose.
    pub targets: Vec<Target>,
    /// Only those opened before this, milliseconds since 1970; never later than now.
    pub issued_before: Option<i64>,
    /// In how many seconds from now.
    pub margin_s: i64,
}

impl Provision<'_> {
    /// Ends a tenant with all its keys and sessions. Revoking twice keeps the first time.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant.
    pub async fn revoke_tenant(&self, id: &str) -> Result<()> {
        let audit = self.audit(id, "tenant.revoke", id);
        self.store.revoke_tenant(id, self.clock.now_ms(), audit).await
    }

    /// Changes a key; as it then is.
    ///
    /// # Errors
    /// `NotFound` when there is no such key or it is revoked, `Rules` when the change does not fit.
    pub async fn update_key(&self, id: &str, change: KeyChange) -> Result<Key> {
        let key = self.store.key_by_id(id).await?.ok_or(Error::NotFound(Thing::Key))?;
        let audit = self.audit(&key.tenant, "key.update", id);
        self.store.update_key(&key.tenant, id, change, audit).await
    }

    /// Resumes, pauses or revokes a key; as it then is.
    ///
    /// # Errors
    /// `NotFound` when there is no such key, or it is revoked and shall not stay so.
    pub async fn set_key_state(&self, id: &str, state: KeyState) -> Result<Key> {
        let action = match state {
            KeyState::Active => "key.resume",
            KeyState::Paused => "key.pause",
            KeyState::Revoked => "key.revoke",
        };
        let key = self.store.key_by_id(id).await?.ok_or(Error::NotFound(Thing::Key))?;
        let audit = self.audit(&key.tenant, action, id);
        self.store.set_key_state(&key.tenant, id, state, audit).await
    }

    /// Ends sessions of a tenant; how many there were.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was ended until then stays ended.
    pub async fn end_sessions(&self, tenant: &str, ending: Ending) -> Result<Swept> {
        let Ending { tests_alone, targets, issued_before, margin_s } = ending;
        let now = self.clock.now_ms();
        let sweep = Sweep {
            tenant: tenant.to_owned(),
            tests_alone,
            targets,
            now,
            cut: now.saturating_add(margin_s.saturating_mul(1000)),
            // What was opened in this very millisecond was there before this was asked for.
            issued_before: issued_before.map_or(now + 1, |at| at.min(now + 1)),
            audit: self.audit(tenant, "session.revoke", tenant),
        };
        let ids = self.ids.clone();
        self.store.sweep_sessions(sweep, move || ids.id("aud_")).await
    }
}
