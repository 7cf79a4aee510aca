//! Signatures of version 2, each accepted once: a row that the first request writes and every later
//! one finds, on any instance and after any restart.
//!
//! The row of a request that changes something is written in the transaction of the change.

use super::Store;
use super::cache::Caches;
use super::engine::{Connection, Failure};
use super::writer::Job;
use crate::domain::signature::Claim;
use crate::error::{Error, Result};

impl Store {
    /// Remembers the signature of a request that changes nothing.
    ///
    /// # Errors
    /// `SignatureReplayed` when another request had it.
    pub async fn use_up(&self, claim: Claim) -> Result<()> {
        self.writer.run(claim).await
    }
}

impl Job for Claim {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let name = || {
            vec![
                self.tenant.as_str().into(),
                self.key_id.as_str().into(),
                self.remember_until.into(),
                self.mac.as_slice().into(),
            ]
        };
        let mut row = name();
        row.push(self.request_id.as_str().into());
        if conn.execute(INSERT, row).await? > 0 {
            return Ok(());
        }
        // A batch that failed is tried again, and one request may write twice.
        let mut found = conn.fetch(OWNER, name()).await?;
        let owner = found.first_mut().map(|row| row.text(0)).transpose()?;
        if owner.as_deref() == Some(&self.request_id) {
            return Ok(());
        }
        Err(Failure::Refused(Error::SignatureReplayed))
    }

    fn forget(&self, _: &Caches) {}
}

const INSERT: &str = "INSERT INTO replays (tenant_id, key_id, expires_at, mac, session_id) \
     VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// What opened a session has its id there, everything else the request's.
const OWNER: &str = "SELECT session_id FROM replays \
     WHERE tenant_id = $1 AND key_id = $2 AND expires_at = $3 AND mac = $4";
