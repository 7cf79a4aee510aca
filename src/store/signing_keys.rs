//! The generations of tenants' session-signing keys. No key is here: they are derived.

use super::cache::Caches;
use super::engine::{Connection, Failure, Row, Rows, Value};
use super::writer::Job;
use super::{Store, audit, tenants};
use crate::domain::audit::AuditEntry;
use crate::domain::signing_key::{self, SigningKey};
use crate::error::Result;

impl Store {
    /// The generations of all tenants that ever rotated, but those that are retired at `now`
    /// (milliseconds).
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn signing_keys(&self, now: i64) -> Result<Vec<SigningKey>> {
        let rows = self.readers.fetch(ACCEPTED, vec![now.into()]).await?;
        Ok(rows.into_iter().map(signing_key).collect::<Result<_, _>>()?)
    }

    /// The generations of one tenant, retired ones too, newest first.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn signing_keys_of(&self, tenant: &str) -> Result<Vec<SigningKey>> {
        let rows = self.readers.fetch(OF_TENANT, vec![tenant.into()]).await?;
        Ok(rows.into_iter().map(signing_key).collect::<Result<_, _>>()?)
    }

    /// Adds a generation at `now` (milliseconds); all of the tenant's, newest first.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant or it is revoked; `RotationInProgress` as
    /// [`signing_key::rotated`].
    pub async fn rotate_signing_key(
        &self,
        tenant: &str,
        overlap_s: u32,
        now: i64,
        audit: AuditEntry,
    ) -> Result<Vec<SigningKey>> {
        self.writer.run(RotateSigningKey { tenant: tenant.into(), overlap_s, now, audit }).await
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT tenant_id, generation, active_from, signs_until, accepted_until \
             FROM signing_keys ",
            $condition
        )
    };
}

const ACCEPTED: &str = select!("WHERE accepted_until IS NULL OR accepted_until > $1");
const OF_TENANT: &str = select!("WHERE tenant_id = $1 ORDER BY generation DESC");

static PUT: Rows = Rows {
    head: "INSERT INTO signing_keys (tenant_id, generation, active_from, signs_until, \
           accepted_until) VALUES",
    columns: 5,
    tail: "ON CONFLICT (tenant_id, generation) DO UPDATE SET \
           signs_until = excluded.signs_until, accepted_until = excluded.accepted_until",
};

struct RotateSigningKey {
    tenant: String,
    overlap_s: u32,
    now: i64,
    audit: AuditEntry,
}

impl Job for RotateSigningKey {
    type Answer = Vec<SigningKey>;

    async fn run(&self, conn: &mut Connection) -> Result<Vec<SigningKey>, Failure> {
        tenants::require(conn, &self.tenant).await?;
        let rows = conn.fetch(OF_TENANT, vec![self.tenant.as_str().into()]).await?;
        let before: Vec<_> = rows.into_iter().map(signing_key).collect::<Result<_, _>>()?;
        let all = signing_key::rotated(&self.tenant, &before, self.overlap_s, self.now);
        let all = all.map_err(Failure::Refused)?;
        let mut values: Vec<Value> = Vec::new();
        for key in &all {
            values.extend([
                key.tenant.as_str().into(),
                key.generation.into(),
                key.active_from.into(),
                key.signs_until.into(),
                Value::from(key.accepted_until),
            ]);
        }
        conn.insert(&PUT, values).await?;
        let newest = all.first().map(|key| key.generation);
        let entry = self.audit.clone().with("generation", newest).with("overlap_s", self.overlap_s);
        audit::insert(conn, [&entry]).await?;
        Ok(all)
    }

    fn forget(&self, _: &Caches) {}
}

fn signing_key(mut row: Row) -> Result<SigningKey, Failure> {
    Ok(SigningKey {
        tenant: row.text(0)?,
        generation: row.int(1)?,
        active_from: row.int(2)?,
        signs_until: row.opt_int(3)?,
        accepted_until: row.opt_int(4)?,
    })
}
