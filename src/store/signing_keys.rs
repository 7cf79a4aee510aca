//! The generations of tenants' session-signing keys. No key is here: they are derived.

use std::sync::Arc;

use super::engine::{Connection, Failure, Row, Rows, Value};
use super::idempotency::{Once, Receipt};
use super::locks::Reach;
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit, tenants};
use crate::domain::audit::AuditEntry;
use crate::domain::signing_key::{self, Rotation, SigningAlgorithm, SigningKey};
use crate::domain::tenant::Tenant;
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

    /// The generations that sign with EdDSA, of all tenants that live, retired ones too; by tenant,
    /// newest first. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn published_signing_keys(&self) -> Result<Arc<Vec<SigningKey>>> {
        let read = async {
            let rows = self.readers.fetch(PUBLISHED, Vec::new()).await?;
            Ok(Some(rows.into_iter().map(signing_key).collect::<Result<_, _>>()?))
        };
        let all = self.caches.published.through("", "", read).await?;
        Ok(all.unwrap_or_default())
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
    /// [`signing_key::rotated`]; `Answered` when what the receipt names took effect before.
    pub async fn rotate_signing_key(
        &self,
        tenant: &str,
        rotation: Rotation,
        now: i64,
        audit: AuditEntry,
        receipt: Option<Receipt<Vec<SigningKey>>>,
    ) -> Result<Vec<SigningKey>> {
        let job = RotateSigningKey { tenant: tenant.into(), rotation, now, audit };
        self.writer.run(Once::new(job, receipt)).await
    }
}

/// Writes the generations of a tenant that is made in the same transaction.
///
/// # Errors
/// What the database says.
pub(super) async fn begin(conn: &mut Connection, tenant: &Tenant) -> Result<(), Failure> {
    let all = signing_key::begun(&tenant.id, tenant.signing, tenant.created_at);
    put(conn, &all).await
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT tenant_id, generation, active_from, signs_until, accepted_until, algorithm \
             FROM signing_keys ",
            $condition
        )
    };
}

const ACCEPTED: &str = select!("WHERE accepted_until IS NULL OR accepted_until > $1");
const PUBLISHED: &str = select!(
    "WHERE algorithm = 'eddsa' AND \
     tenant_id IN (SELECT tenant_id FROM tenants WHERE revoked_at IS NULL) \
     ORDER BY tenant_id, generation DESC"
);
const OF_TENANT: &str = select!("WHERE tenant_id = $1 ORDER BY generation DESC");

static PUT: Rows = Rows {
    head: "INSERT INTO signing_keys (tenant_id, generation, active_from, signs_until, \
           accepted_until, algorithm) VALUES",
    columns: 6,
    tail: "ON CONFLICT (tenant_id, generation) DO UPDATE SET \
           signs_until = excluded.signs_until, accepted_until = excluded.accepted_until",
};

struct RotateSigningKey {
    tenant: String,
    rotation: Rotation,
    now: i64,
    audit: AuditEntry,
}

impl Job for RotateSigningKey {
    type Answer = Vec<SigningKey>;

    async fn run(&self, conn: &mut Connection) -> Result<Vec<SigningKey>, Failure> {
        tenants::require(conn, &self.tenant).await?;
        let rows = conn.fetch(OF_TENANT, vec![self.tenant.as_str().into()]).await?;
        let before: Vec<_> = rows.into_iter().map(signing_key).collect::<Result<_, _>>()?;
        let all = signing_key::rotated(&self.tenant, &before, self.rotation, self.now);
        let all = all.map_err(Failure::Refused)?;
        put(conn, &all).await?;
        let newest = all.first();
        let entry = self
            .audit
            .clone()
            .with("generation", newest.map(|key| key.generation))
            .with("algorithm", newest.map(|key| key.algorithm.name()))
            .with("overlap_s", self.rotation.overlap_s);
        audit::insert(conn, [&entry]).await?;
        Ok(all)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Published);
        // It shows the algorithm.
        stale.add(What::Tenant(self.tenant.clone()));
    }
}

async fn put(conn: &mut Connection, all: &[SigningKey]) -> Result<(), Failure> {
    if all.is_empty() {
        return Ok(());
    }
    let mut values: Vec<Value> = Vec::new();
    for key in all {
        values.extend([
            key.tenant.as_str().into(),
            key.generation.into(),
            key.active_from.into(),
            key.signs_until.into(),
            Value::from(key.accepted_until),
            key.algorithm.name().into(),
        ]);
    }
    conn.insert(&PUT, values).await.map(drop)
}

fn signing_key(mut row: Row) -> Result<SigningKey, Failure> {
    Ok(SigningKey {
        tenant: row.text(0)?,
        generation: row.int(1)?,
        active_from: row.int(2)?,
        signs_until: row.opt_int(3)?,
        accepted_until: row.opt_int(4)?,
        algorithm: algorithm(&row.text(5)?)?,
    })
}

/// The algorithm of a word in the database.
///
/// # Errors
/// `Statement` when there is no such algorithm.
pub(super) fn algorithm(word: &str) -> Result<SigningAlgorithm, Failure> {
    let known = SigningAlgorithm::ALL.into_iter().find(|it| it.name() == word);
    known.ok_or_else(|| Failure::Statement(format!("there is no signing algorithm '{word}'")))
}
