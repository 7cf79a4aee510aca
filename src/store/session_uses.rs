//! When sessions were last used: noted in memory, written together every now and then.
//!
//! Which uses are worth remembering is the domain's to say; here they are only gathered, so that
//! no read of a session waits for a write.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::Store;
use super::engine::{Connection, Failure, Rows, Value};
use super::locks::Reach;
use super::stale::{Stale, What};
use super::writer::Job;
use crate::domain::session::Session;
use crate::error::Result;

/// Uses that are not written yet: the time by session.
#[derive(Default)]
pub(super) struct Noted(Mutex<HashMap<(String, String), i64>>);

impl Store {
    /// Takes note of a use of a session at `now` (milliseconds). Writes nothing yet.
    pub fn note_use(&self, session: &Session, now: i64) {
        let name = (session.tenant.clone(), session.id.clone());
        let mut noted = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = noted.entry(name).or_insert(now);
        *last = now.max(*last);
    }

    /// Writes what was noted, but of sessions that are gone. What cannot be written is noted again.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn write_uses(&self) -> Result<()> {
        let noted =
            std::mem::take(&mut *self.uses.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut uses: Vec<_> = noted.into_iter().collect();
        while !uses.is_empty() {
            let rest = uses.split_off(uses.len().min(SLICE));
            if let Err(error) = self.writer.run(Write { uses: uses.clone() }).await {
                let mut noted = self.uses.0.lock().unwrap_or_else(PoisonError::into_inner);
                for (name, at) in uses.into_iter().chain(rest) {
                    let last = noted.entry(name).or_insert(at);
                    *last = at.max(*last);
                }
                return Err(error);
            }
            uses = rest;
        }
        Ok(())
    }
}

/// The most uses of one write.
const SLICE: usize = 1024;

static USES: Rows = Rows {
    head: "INSERT INTO session_uses (tenant_id, session_id, last_used_at) \
           SELECT v.column1, v.column2, v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v JOIN sessions AS s ON s.tenant_id = v.column1 AND s.session_id = v.column2 \
           WHERE TRUE \
           ON CONFLICT (tenant_id, session_id) DO UPDATE SET last_used_at = excluded.last_used_at \
           WHERE excluded.last_used_at > session_uses.last_used_at",
};

struct Write {
    uses: Vec<((String, String), i64)>,
}

impl Job for Write {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        // In one order, so that two instances never wait for each other.
        let mut uses: Vec<_> = self.uses.iter().collect();
        uses.sort_unstable();
        let row = |((tenant, id), at): &'_ ((String, String), i64)| {
            [Value::from(tenant.clone()), id.clone().into(), (*at).into()]
        };
        conn.insert(&USES, uses.into_iter().flat_map(row).collect()).await.map(drop)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, stale: &mut Stale) {
        for ((tenant, id), _) in &self.uses {
            stale.add_here(What::Session(tenant.clone(), id.clone()));
        }
    }
}
