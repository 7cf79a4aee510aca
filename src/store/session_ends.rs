//! Ending sessions before their time: one, or in slices all that some targets name.
//!
//! A slice is a write of its own, so that ending a million sessions holds nobody up for long.

use std::sync::Arc;

use super::engine::{Connection, Failure, Row, Value};
use super::locks::Reach;
use super::session_lists::id_of;
use super::session_rows::{from_sessions, overview, overview_columns};
use super::stale::{Stale, What};
use super::writer::{Job, Queue};
use super::{Store, audit};
use crate::domain::session::{AuditEntry, Overview};
use crate::domain::target::Target;
use crate::error::{Error, Result};

/// Which sessions to end, and when.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The owner of the sessions.
    pub tenant: String,
    /// Whether only sessions that test keys opened are ended.
    pub tests_alone: bool,
    /// All targets, in the order in which they are worked through.
    pub targets: Vec<Target>,
    /// The time of the request, milliseconds since 1970: what is over by then is not ended.
    pub now: i64,
    /// When the sessions shall end, milliseconds since 1970.
    pub cut: i64,
    /// Only sessions opened before this, milliseconds since 1970.
    pub issued_before: i64,
    /// The audit row of each session, but for its id and its target.
    pub audit: AuditEntry,
}

/// What was done to the sessions that the targets name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Sessions whose end it set.
    pub revoked: u64,
    /// Sessions that were over or ending as early.
    pub not_revocable: u64,
}

/// The most sessions of one step.
pub(super) const SWEEP_SLICE: usize = 250;

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

    /// Ends all sessions that the targets of a sweep name, in slices; how many there were. A session
    /// that several targets name counts with the first. `audit_id` draws the id of an audit row,
    /// one for each session that is ended.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was ended until then stays ended.
    pub async fn sweep_sessions(
        &self,
        sweep: Sweep,
        audit_id: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) -> Result<Swept> {
        // By itself: whoever asked may go before it is done, and the rest must not live on.
        let sweeping = tokio::spawn(sweep_all(self.writer.clone(), Arc::new(sweep), audit_id));
        sweeping.await.map_err(|cut| Error::Unavailable(format!("sweeping stopped: {cut}")))?
    }
}

async fn sweep_all(
    writer: Queue,
    sweep: Arc<Sweep>,
    audit_id: impl Fn() -> String + Clone + Send + Sync + 'static,
) -> Result<Swept> {
    let mut total = Swept::default();
    for at in 0..sweep.targets.len() {
        let mut after = Some(String::new());
        while let Some(behind) = after {
            let (sweep, audit_id) = (Arc::clone(&sweep), audit_id.clone());
            let (swept, next) = writer.run(Slice { sweep, at, after: behind, audit_id }).await?;
            total.revoked += swept.revoked;
            total.not_revocable += swept.not_revocable;
            after = next;
        }
    }
    Ok(total)
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

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Session(self.tenant.clone(), self.id.clone()));
    }
}

/// The next sessions of one target of a sweep.
pub(super) struct Slice<D> {
    pub(super) sweep: Arc<Sweep>,
    /// Which target.
    pub(super) at: usize,
    /// Its sessions behind this id, in the order of their opening.
    pub(super) after: String,
    /// Draws the id of an audit row.
    pub(super) audit_id: D,
}

impl<D: Fn() -> String + Send + Sync + 'static> Job for Slice<D> {
    /// What was done, and where this target goes on unless it is done.
    type Answer = (Swept, Option<String>);

    async fn run(&self, conn: &mut Connection) -> Result<Self::Answer, Failure> {
        let Self { sweep, at, after, audit_id } = self;
        let target = &sweep.targets[*at];
        let (read, end) = statements(target);
        let limit = i64::try_from(SWEEP_SLICE).unwrap_or(i64::MAX);
        let named = id_of(target);
        let place = || -> Vec<Value<'_>> {
            vec![sweep.tenant.as_str().into(), (&*named).into(), after.as_str().into()]
        };
        let mut values = place();
        values.extend([limit.into(), sweep.tests_alone.into()]);
        let found: Vec<_> = conn.fetch(read, values).await?.into_iter().map(found).collect();
        let found: Vec<(bool, Overview)> = found.into_iter().collect::<Result<_, _>>()?;
        let Some((_, last)) = found.last() else { return Ok((Swept::default(), None)) };
        let meant = found.iter().filter(|(is_open_to_it, _)| *is_open_to_it).map(|(_, it)| it);
        let meant = meant.filter(|it| it.times.issued_before(sweep.issued_before));
        let (ending, over): (Vec<_>, Vec<_>) = meant.partition(|it| sweep.ends(it));
        let mut values = place();
        values.extend([
            last.id.as_str().into(),
            sweep.now.into(),
            sweep.cut.into(),
            Value::from(sweep.issued_before),
            sweep.tests_alone.into(),
        ]);
        let revoked = conn.execute(end, values).await?;
        let lines = ending.iter().map(|session| AuditEntry {
            id: audit_id(),
            target: session.id.clone(),
            subject: session.subject.clone(),
            ..sweep.audit.clone()
        });
        let lines: Vec<_> = lines.collect();
        // What was read is what was ended: the statements say the same, in one transaction.
        if revoked != lines.len() as u64 {
            let (told, read) = (revoked, lines.len());
            return Err(Failure::Statement(format!("{told} sessions ended of {read} to be ended")));
        }
        audit::insert(conn, &lines).await?;
        // Counted with an earlier target, if one names it.
        let over = over.into_iter().filter(|it| !sweep.targets[..*at].iter().any(|t| t.names(it)));
        let not_revocable = over.count() as u64;
        let next = (found.len() == SWEEP_SLICE).then(|| last.id.clone());
        Ok((Swept { revoked, not_revocable }, next))
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.sweep.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Sessions);
    }
}

impl Sweep {
    /// Whether there is something to end; also of a session that an earlier target names, when it
    /// came in behind that.
    fn ends(&self, session: &Overview) -> bool {
        let times = session.times;
        times.expires_at > self.now && times.revoked_at.is_none_or(|at| at > self.cut)
    }
}

/// A session, and whether the sweep may end it.
fn found(mut row: Row) -> Result<(bool, Overview), Failure> {
    Ok((row.flag(OPEN_TO_IT)?, overview(row)?))
}

macro_rules! of_a_test_key {
    () => {
        "EXISTS (SELECT 1 FROM keys AS k WHERE k.tenant_id = s.tenant_id \
         AND k.key_id = s.key_id AND k.mode = 'test')"
    };
}

/// The place of what stands behind the columns of an overview.
const OPEN_TO_IT: usize = 11;

/// The next sessions of a target, whoever opened them, so that a slice never looks at more; and the
/// end of those among them that the sweep may end and that are not over.
macro_rules! sweep {
    ($condition:literal) => {
        (
            concat!(
                "SELECT ",
                overview_columns!(),
                ", CASE WHEN $5 = 0 OR ",
                of_a_test_key!(),
                " THEN 1 ELSE 0 END",
                from_sessions!(),
                "WHERE s.session_id > $3 AND ",
                $condition,
                " ORDER BY s.session_id LIMIT $4"
            ),
            concat!(
                "UPDATE sessions AS s SET revoked_at = $6 WHERE s.session_id > $3 \
                 AND s.session_id <= $4 AND s.expires_at > $5 \
                 AND (s.revoked_at IS NULL OR s.revoked_at > $6) AND s.issued_at < $7 \
                 AND ($8 = 0 OR ",
                of_a_test_key!(),
                ") AND ",
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
