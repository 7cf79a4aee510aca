//! Ending sessions before their time: one, or in slices all that some targets name.
//!
//! A slice is a write of its own, so that ending a million sessions holds nobody up for long.

use super::cache::Caches;
use super::engine::{Connection, Failure, Value};
use super::session_lists::id_of;
use super::session_rows::{from_sessions, overview, overview_columns};
use super::writer::Job;
use super::{Store, audit};
use crate::domain::session::{AuditEntry, Overview};
use crate::domain::target::Target;
use crate::error::Result;

/// One step of ending all sessions that some targets name.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The owner of the sessions.
    pub tenant: String,
    /// All targets, in the order in which they are worked through.
    pub targets: Vec<Target>,
    /// The target of this step.
    pub at: usize,
    /// Its sessions behind this id, in the order of their opening.
    pub after: String,
    /// The time of the request, milliseconds since 1970: what is over by then is not ended.
    pub now: i64,
    /// When the sessions shall end, milliseconds since 1970.
    pub cut: i64,
    /// Only sessions opened before this, milliseconds since 1970.
    pub issued_before: i64,
    /// The audit row of each session, but for its id and its target.
    pub audit: AuditEntry,
    /// Ids for [`SWEEP_SLICE`] audit rows.
    pub audit_ids: Vec<String>,
}

/// What one step did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions whose end it set.
    pub revoked: u64,
    /// Sessions that were over or ending as early.
    pub not_revocable: u64,
    /// Where this target goes on; `None` when it is done.
    pub after: Option<String>,
}

/// The most sessions of one step.
pub const SWEEP_SLICE: usize = 250;

impl Store {
    /// Ends a session from `now` (milliseconds) on; whether it was there and alive. Ending it twice
    /// keeps the first time and writes no second audit row; one that was to end later ends now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn revoke_session(
        &self,
        tenant: &str,
        id: &str,
        now: i64,
        audit: AuditEntry,
    ) -> Result<bool> {
        self.writer.run(Revoke { tenant: tenant.into(), id: id.into(), now, audit }).await
    }

    /// Ends all sessions that the targets of a sweep name, from where it begins, step by step; how
    /// many there were. A session that several targets name counts with the first. `audit_ids`
    /// gives the ids of each step.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was ended until then stays ended.
    pub async fn sweep_all_sessions(
        &self,
        mut sweep: Sweep,
        audit_ids: impl Fn() -> Vec<String>,
    ) -> Result<Swept> {
        let mut total = Swept::default();
        while sweep.at < sweep.targets.len() {
            sweep.audit_ids = audit_ids();
            let step = self.writer.run(sweep.clone()).await?;
            total.revoked += step.revoked;
            total.not_revocable += step.not_revocable;
            match step.after {
                Some(after) => sweep.after = after,
                None => (sweep.at, sweep.after) = (sweep.at + 1, String::new()),
            }
        }
        Ok(total)
    }
}

struct Revoke {
    tenant: String,
    id: String,
    now: i64,
    audit: AuditEntry,
}

impl Job for Revoke {
    type Answer = bool;

    async fn run(&self, conn: &mut Connection) -> Result<bool, Failure> {
        let sql = "UPDATE sessions SET revoked_at = $3 WHERE tenant_id = $1 AND session_id = $2 \
                   AND expires_at > $3 AND (revoked_at IS NULL OR revoked_at > $3)";
        let values = vec![self.tenant.as_str().into(), self.id.as_str().into(), self.now.into()];
        if conn.execute(sql, values).await? == 0 {
            return Ok(false);
        }
        audit::insert(conn, [&self.audit]).await?;
        Ok(true)
    }

    fn forget(&self, caches: &Caches) {
        caches.sessions.drop_one(&self.tenant, &self.id);
    }
}

impl Job for Sweep {
    type Answer = Swept;

    async fn run(&self, conn: &mut Connection) -> Result<Swept, Failure> {
        let Some(target) = self.targets.get(self.at) else { return Ok(Swept::default()) };
        let (read, end) = statements(target);
        let limit = i64::try_from(SWEEP_SLICE).unwrap_or(i64::MAX);
        let mut values = self.place(target);
        values.push(limit.into());
        let rows = conn.fetch(read, values).await?;
        let found: Vec<Overview> = rows.into_iter().map(overview).collect::<Result<_, _>>()?;
        let Some(last) = found.last() else { return Ok(Swept::default()) };
        let counted = || found.iter().filter(|it| self.counts(it));
        let ending: Vec<_> = counted().filter(|it| self.ends(it)).collect();
        let mut values = self.place(target);
        values.extend([
            last.id.as_str().into(),
            self.now.into(),
            self.cut.into(),
            Value::from(self.issued_before),
        ]);
        let revoked = conn.execute(end, values).await?;
        let lines = ending.iter().zip(&self.audit_ids).map(|(session, id)| AuditEntry {
            id: id.clone(),
            target: session.id.clone(),
            subject: session.person(),
            ..self.audit.clone()
        });
        let lines: Vec<_> = lines.collect();
        // What was read is what was ended: the statements say the same, in one transaction.
        if revoked != lines.len() as u64 {
            let (told, read) = (revoked, lines.len());
            return Err(Failure::Statement(format!("{told} sessions ended of {read} to be ended")));
        }
        audit::insert(conn, &lines).await?;
        let not_revocable = (counted().count() - ending.len()) as u64;
        let after = (found.len() == SWEEP_SLICE).then(|| last.id.clone());
        Ok(Swept { revoked, not_revocable, after })
    }

    fn forget(&self, caches: &Caches) {
        caches.sessions.drop_all();
    }
}

impl Sweep {
    /// Where this step begins.
    fn place<'a>(&'a self, target: &'a Target) -> Vec<Value<'a>> {
        vec![self.tenant.as_str().into(), id_of(target).into(), self.after.as_str().into()]
    }

    /// Whether a session is this step's to count: it was opened early enough, and no target
    /// before this one names it.
    fn counts(&self, session: &Overview) -> bool {
        session.times.issued_before(self.issued_before)
            && !self.targets[..self.at].iter().any(|target| target.names(session))
    }

    fn ends(&self, session: &Overview) -> bool {
        let times = session.times;
        times.expires_at > self.now && times.revoked_at.is_none_or(|at| at > self.cut)
    }
}

/// The next sessions of a target, and the end of those among them that are not over.
macro_rules! sweep {
    ($condition:literal) => {
        (
            concat!(
                "SELECT ",
                overview_columns!(),
                from_sessions!(),
                "WHERE s.session_id > $3 AND ",
                $condition,
                " ORDER BY s.session_id LIMIT $4"
            ),
            concat!(
                "UPDATE sessions AS s SET revoked_at = $6 WHERE s.session_id > $3 \
                 AND s.session_id <= $4 AND s.expires_at > $5 \
                 AND (s.revoked_at IS NULL OR s.revoked_at > $6) AND s.issued_at < $7 AND ",
                $condition
            ),
        )
    };
}

pub(super) fn statements(target: &Target) -> (&'static str, &'static str) {
    match target {
        Target::Subject(_) => sweep!("s.tenant_id = $1 AND s.subject = $2"),
        Target::Chat(_) => sweep!("s.tenant_id = $1 AND s.chat = $2"),
        // As in lists: no index has the tenant written like this.
        Target::Key(_) => sweep!("s.tenant_id || '' = $1 AND s.key_id = $2"),
        Target::Session(_) => sweep!("s.tenant_id = $1 AND s.session_id = $2"),
    }
}
