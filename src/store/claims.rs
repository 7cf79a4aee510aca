//! Signatures that open no session, each accepted once: a row that the first request writes and
//! every later one finds, on any instance and after any restart.
//!
//! The signature that opens a session lies in the same table, but is written by `openings`.

use super::Store;
use super::engine::{Connection, Failure};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::error::{Error, Result};

impl Store {
    /// Remembers the decoded signature `mac` of one of a tenant's keys until `remember_until`
    /// (milliseconds), in a write of its own.
    ///
    /// # Errors
    /// `SignatureReplayed` when another request had it.
    pub async fn use_up_signature(
        &self,
        tenant: &str,
        key_id: &str,
        mac: &[u8],
        remember_until: i64,
    ) -> Result<()> {
        let (tenant, key_id, mac) = (tenant.into(), key_id.into(), mac.into());
        self.writer.run(UseUp { tenant, key_id, mac, remember_until }).await
    }
}

struct UseUp {
    tenant: String,
    key_id: String,
    mac: Vec<u8>,
    remember_until: i64,
}

impl Job for UseUp {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "INSERT INTO replays (tenant_id, key_id, mac, session_id, expires_at) \
                   VALUES ($1, $2, $3, '', $4) ON CONFLICT DO NOTHING";
        let values = vec![
            self.tenant.as_str().into(),
            self.key_id.as_str().into(),
            self.mac.as_slice().into(),
            self.remember_until.into(),
        ];
        match conn.execute(sql, values).await? {
            0 => Err(Failure::Refused(Error::SignatureReplayed)),
            _ => Ok(()),
        }
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}
