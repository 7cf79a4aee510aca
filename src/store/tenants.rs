//! Tenants: made, listed, revoked.

use std::sync::Arc;

use super::engine::{Connection, Failure, Row};
use super::idempotency::{Once, Receipt};
use super::locks::Reach;
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit, signing_keys};
use crate::domain::sealing::Sealed;
use crate::domain::session::AuditEntry;
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::tenant::{Directory, Tenant};
use crate::error::{Error, Result, Thing};

impl Store {
    /// The tenant, revoked or not. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn tenant(&self, id: &str) -> Result<Option<Arc<Tenant>>> {
        let read = async {
            let rows = self.readers.fetch(SELECT_ONE, vec![id.into()]).await?;
            Ok(rows.into_iter().next().map(tenant).transpose()?)
        };
        self.caches.tenants.through("", id, read).await
    }

    /// At most `limit` tenants with ids beyond `after`, by id.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_tenants(&self, after: Option<&str>, limit: u32) -> Result<Vec<Tenant>> {
        let values = vec![after.unwrap_or_default().into(), i64::from(limit).into()];
        let rows = self.readers.fetch(SELECT_PAGE, values).await?;
        Ok(rows.into_iter().map(tenant).collect::<Result<_, _>>()?)
    }

    /// Makes a tenant.
    ///
    /// # Errors
    /// `Internal` when the id is taken; `Answered` when what the receipt names took effect before.
    pub async fn create_tenant(
        &self,
        tenant: Tenant,
        audit: AuditEntry,
        receipt: Option<Receipt<()>>,
    ) -> Result<()> {
        self.writer.run(Once::new(CreateTenant { tenant, audit }, receipt)).await
    }

    /// Makes a tenant or gives it this name, directory, secret and life. For the demo tenant.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn put_tenant(&self, tenant: Tenant, audit: AuditEntry) -> Result<()> {
        self.writer.run(PutTenant { tenant, audit }).await
    }

    /// Ends a tenant with all its keys and sessions, from `now` (milliseconds) on. Revoking twice
    /// keeps the first time.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant.
    pub async fn revoke_tenant(&self, id: &str, now: i64, audit: AuditEntry) -> Result<()> {
        self.writer.run(RevokeTenant { id: id.into(), now, audit }).await
    }
}

/// # Errors
/// `Refused` unless the tenant is there and alive.
pub(super) async fn require(conn: &mut Connection, id: &str) -> Result<(), Failure> {
    let sql = "SELECT 1 FROM tenants WHERE tenant_id = $1 AND revoked_at IS NULL";
    if conn.fetch(sql, vec![id.into()]).await?.is_empty() {
        return Err(Failure::Refused(Error::NotFound(Thing::Tenant)));
    }
    Ok(())
}

macro_rules! columns {
    () => {
        "tenant_id, name, directory, identity_secret, created_at, revoked_at, erased_at"
    };
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            columns!(),
            ", (SELECT algorithm FROM signing_keys WHERE signing_keys.tenant_id = \
             tenants.tenant_id ORDER BY generation DESC LIMIT 1) FROM tenants ",
            $condition
        )
    };
}

const SELECT_ONE: &str = select!("WHERE tenant_id = $1");
const SELECT_PAGE: &str = select!("WHERE tenant_id > $1 ORDER BY tenant_id LIMIT $2");
const INSERT: &str =
    concat!("INSERT INTO tenants (", columns!(), ") VALUES ($1, $2, $3, $4, $5, $6, $7)");
const UPSERT: &str = concat!(
    "INSERT INTO tenants (",
    columns!(),
    ") VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant_id) DO UPDATE SET \
     name = excluded.name, directory = excluded.directory, \
     identity_secret = excluded.identity_secret, revoked_at = excluded.revoked_at, \
     erased_at = excluded.erased_at"
);

struct CreateTenant {
    tenant: Tenant,
    audit: AuditEntry,
}

impl Job for CreateTenant {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        write(conn, INSERT, &self.tenant).await?;
        signing_keys::begin(conn, &self.tenant).await?;
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant.id)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Published);
    }
}

struct PutTenant {
    tenant: Tenant,
    audit: AuditEntry,
}

impl Job for PutTenant {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        write(conn, UPSERT, &self.tenant).await?;
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant.id)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

struct RevokeTenant {
    id: String,
    now: i64,
    audit: AuditEntry,
}

impl Job for RevokeTenant {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "UPDATE tenants SET revoked_at = COALESCE(revoked_at, $2) WHERE tenant_id = $1";
        if conn.execute(sql, vec![self.id.as_str().into(), self.now.into()]).await? == 0 {
            return Err(Failure::Refused(Error::NotFound(Thing::Tenant)));
        }
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.id)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

async fn write(conn: &mut Connection, sql: &'static str, tenant: &Tenant) -> Result<(), Failure> {
    let directory = match tenant.directory {
        Directory::Open => "open",
        Directory::Strict => "strict",
    };
    let values = vec![
        tenant.id.as_str().into(),
        tenant.name.as_str().into(),
        directory.into(),
        tenant.identity_secret.0.as_slice().into(),
        tenant.created_at.into(),
        tenant.revoked_at.into(),
        tenant.erased_at.into(),
    ];
    conn.execute(sql, values).await.map(drop)
}

fn tenant(mut row: Row) -> Result<Tenant, Failure> {
    let directory = match row.text(2)?.as_str() {
        "open" => Directory::Open,
        "strict" => Directory::Strict,
        other => return Err(Failure::Statement(format!("there is no directory '{other}'"))),
    };
    let signing = row.opt_text(7)?.map(|word| signing_keys::algorithm(&word)).transpose()?;
    Ok(Tenant {
        id: row.text(0)?,
        name: row.text(1)?,
        directory,
        signing: signing.unwrap_or(SigningAlgorithm::Hs256),
        identity_secret: Sealed(row.bytes(3)?),
        created_at: row.int(4)?,
        revoked_at: row.opt_int(5)?,
        erased_at: row.opt_int(6)?,
    })
}
