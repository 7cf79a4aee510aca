//! The fence of a database that was put back: nothing that may have been ended or used since it was
//! copied comes back to life.

use super::Provision;
use crate::domain::audit::AuditEntry;
use crate::error::Result;

/// What a fence came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced {
    /// When the database was copied, milliseconds since 1970, if it says so.
    pub taken_at: Option<i64>,
    /// The fence, milliseconds since 1970.
    pub at: i64,
    /// Sessions that were ended.
    pub sessions: u64,
}

impl Provision<'_> {
    /// Puts up the fence, now: refuses signatures from before it and ends all sessions, each with
    /// its line of the audit. `told` hears how many are ended so far. Interrupted, it leaves a
    /// database that no service starts on, and doing it again completes it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn fence(&self, told: impl Fn(u64)) -> Result<Fenced> {
        let now = self.clock.now_ms();
        // A clock that is behind must not put the fence before what was done.
        let at = self.store.newest_act().await?.map_or(now, |newest| newest.max(now));
        self.fence_at(at, told).await
    }

    /// [`Provision::fence`] by this clock, which is right, whatever is written of later times: time
    /// goes on from here.
    ///
    /// # Errors
    /// As [`Provision::fence`].
    pub async fn fence_by_clock(&self, told: impl Fn(u64)) -> Result<Fenced> {
        let now = self.clock.now_ms();
        let fenced = self.fence_at(now, told).await?;
        self.store.set_time(now).await?;
        Ok(fenced)
    }

    async fn fence_at(&self, at: i64, told: impl Fn(u64)) -> Result<Fenced> {
        let now = self.clock.now_ms();
        let taken_at = self.store.copied().await?.and_then(|copied| copied.taken_at);
        self.store.begin_fence(at).await?;
        let line = self.audit("", "session.revoke", "").with("reason", "restore");
        let line = AuditEntry { at: now, ..line };
        let (mut sessions, mut after) = (0, Some(String::new()));
        while let Some(behind) = after {
            let (ids, line) = (self.ids.clone(), line.clone());
            let entry = move |tenant: &str| AuditEntry {
                id: ids.id("aud_"),
                tenant: tenant.to_owned(),
                ..line.clone()
            };
            let (ended, next) = self.store.end_before_fence(now, behind, entry).await?;
            (sessions, after) = (sessions + ended, next);
            told(sessions);
        }
        let audit = self.audit("", "database.restore", "").with("taken_at", taken_at);
        let audit = audit.with("fenced_at", at).with("sessions", sessions);
        self.store.complete_fence(audit).await?;
        Ok(Fenced { taken_at, at, sessions })
    }
}
