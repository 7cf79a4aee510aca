//! Renewing sessions. The token stays out of here; what is kept is which ids are valid.

use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::session_rows::{earlier_json, session};
use super::sessions::BY_NAME;
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit};
use crate::domain::session::{AuditEntry, Session};
use crate::error::{Error, Result, Thing};

/// Makes the renewed session of the stored one.
pub type Renew = Box<dyn Fn(&Session) -> Result<Session> + Send + Sync>;

impl Store {
    /// Renews a tenant's session as `renew` says, which sees the session as it is at that moment:
    /// of a renewal and a revocation at once, the revocation holds.
    ///
    /// # Errors
    /// `NotFound` when there is no such session; what `renew` refuses with.
    pub async fn renew_session(
        &self,
        tenant: &str,
        id: &str,
        renew: Renew,
        audit: AuditEntry,
    ) -> Result<Session> {
        self.writer.run(Renewal { tenant: tenant.into(), id: id.into(), renew, audit }).await
    }
}

struct Renewal {
    tenant: String,
    id: String,
    renew: Renew,
    audit: AuditEntry,
}

impl Job for Renewal {
    type Answer = Session;

    async fn run(&self, conn: &mut Connection) -> Result<Session, Failure> {
        let name = vec![self.tenant.as_str().into(), self.id.as_str().into()];
        let mut row = conn.fetch(BY_NAME, name).await?.pop();
        let stored = row.as_mut().map(session).transpose()?;
        let stored = stored.ok_or(Failure::Refused(Error::NotFound(Thing::Session)))?;
        let renewed = (self.renew)(&stored).map_err(Failure::Refused)?;
        let sql = "UPDATE sessions SET token_id = $3, renewed_at = $4, expires_at = $5, \
                   earlier = $6 WHERE tenant_id = $1 AND session_id = $2";
        let earlier = earlier_json(&renewed.earlier)?;
        let values = vec![
            renewed.tenant.as_str().into(),
            renewed.id.as_str().into(),
            renewed.token_id.as_str().into(),
            renewed.renewed_at.into(),
            renewed.expires_at.into(),
            earlier.as_deref().into(),
        ];
        conn.execute(sql, values).await?;
        audit::insert(conn, [&self.audit]).await?;
        Ok(renewed)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Session(self.tenant.clone(), self.id.clone()));
    }
}
