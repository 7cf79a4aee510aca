//! Messages of users, counted against their limits in the transaction that accepts them.
//!
//! Exact over all instances: the statement that counts looks at the limit itself. What it costs
//! when a limit is reached, naming the windows and telling the audit, only refused messages pay.

use std::collections::HashMap;

use super::engine::{Connection, Failure, Value};
use super::idempotency::{Once, Receipt};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use super::{Store, audit, usage_rows};
use crate::domain::audit::AuditEntry;
use crate::domain::key::Mode;
use crate::domain::limits::Limits;
use crate::domain::usage::{Usage, Window, WindowUsage};
use crate::error::{Error, Result, Thing};

/// A message to be counted.
#[derive(Clone, Debug)]
pub struct Message {
    /// The owner.
    pub tenant: String,
    /// The mode of the key that counts it: live and test keys count apart.
    pub mode: Mode,
    /// The user who sent it.
    pub uid: String,
    /// Its id, fresh.
    pub id: String,
    /// When it was sent, milliseconds since 1970.
    pub at: i64,
}

/// Which users a page of usage lists.
#[derive(Clone, Copy, Debug, Default)]
pub struct UsageFilter {
    /// Only users with a window that has no room.
    pub exceeded: bool,
    /// Only users whose last message is not before this instant, milliseconds since 1970.
    pub active_since: Option<i64>,
}

impl Store {
    /// Counts a message in all windows of its user; what is used then. `exceeded` become the lines
    /// of the audit, one for each window of [`Window::ALL`] that this message is the first to find
    /// without room.
    ///
    /// # Errors
    /// `LimitExceeded` when a window has no room; then nothing is counted. `Answered` when what the
    /// receipt names took effect before.
    pub async fn accept_message(
        &self,
        message: Message,
        exceeded: [AuditEntry; 4],
        receipt: Option<Receipt<Usage>>,
    ) -> Result<Usage> {
        let job = Once::if_accepted(Accept { message, exceeded }, receipt);
        let counted = self.writer.run(job).await?;
        counted.inspect_err(|refused| self.exceeded.note(refused))
    }

    /// Takes back a message that was counted for this user at most once; a second time changes
    /// nothing. `now` in milliseconds.
    ///
    /// # Errors
    /// `NotFound` for a message of somebody else, and for one so old that it counts nowhere.
    pub async fn refund_message(
        &self,
        tenant: &str,
        mode: Mode,
        uid: &str,
        id: &str,
        now: i64,
    ) -> Result<()> {
        let (tenant, uid, id) = (tenant.into(), uid.into(), id.into());
        let refund = Refund { tenant, mode, uid, id, now };
        self.writer.run(refund).await
    }

    /// What a user has used with keys of a mode, as of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn usage(&self, tenant: &str, mode: Mode, uid: &str) -> Result<Usage> {
        let values = vec![tenant.into(), mode.name().into(), uid.into()];
        let row = self.readers.fetch(usage_rows::BY_UID, values).await?.pop();
        Ok(row.map(usage_rows::usage).transpose()?.unwrap_or_else(|| Usage::none(uid)))
    }

    /// At most `limit` users of a tenant beyond `after`, by uid, with what they have used at `now`
    /// (milliseconds).
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_usage(
        &self,
        tenant: &str,
        mode: Mode,
        filter: UsageFilter,
        after: Option<&str>,
        limit: u32,
        now: i64,
    ) -> Result<Vec<Usage>> {
        let mut values: Vec<Value> = vec![
            tenant.into(),
            mode.name().into(),
            after.unwrap_or_default().into(),
            i64::from(limit).into(),
            filter.active_since.into(),
            filter.exceeded.into(),
        ];
        values.extend(usage_rows::beginnings(now).map(Value::from));
        let rows = self.readers.fetch(usage_rows::PAGE, values).await?;
        Ok(rows.into_iter().map(usage_rows::usage).collect::<Result<_, _>>()?)
    }
}

/// Sets the limits of users, by tenant, mode and uid.
pub(super) async fn set_limits(
    conn: &mut Connection,
    limits: HashMap<(&str, Mode, &str), Option<Limits>>,
) -> Result<(), Failure> {
    let rows = limits.into_iter().flat_map(|(user, limits)| usage_rows::limits_row(user, limits));
    conn.insert(&usage_rows::LIMITS, rows.collect()).await.map(drop)
}

/// The limits of one user, when there are any.
pub(super) async fn limits_of(
    conn: &mut Connection,
    tenant: &str,
    mode: Mode,
    uid: &str,
) -> Result<Option<Limits>, Failure> {
    let values = vec![tenant.into(), mode.name().into(), uid.into()];
    let row = conn.fetch(usage_rows::LIMITS_OF, values).await?.pop();
    let Some(mut row) = row else { return Ok(None) };
    Ok(Some(Limits {
        hourly: row.opt_int(0)?,
        daily: row.opt_int(1)?,
        weekly: row.opt_int(2)?,
        monthly: row.opt_int(3)?,
    }))
}

struct Accept {
    message: Message,
    exceeded: [AuditEntry; 4],
}

impl Job for Accept {
    /// Not a refusal of the job: the audit is told of it.
    type Answer = Result<Usage>;

    async fn run(&self, conn: &mut Connection) -> Result<Self::Answer, Failure> {
        let Message { id, at, .. } = &self.message;
        let mut values = self.name();
        values.push((*at).into());
        values.extend(usage_rows::beginnings(*at).map(Value::from));
        let Some(row) = conn.fetch(usage_rows::COUNT, values).await?.pop() else {
            return self.exceed(conn).await;
        };
        let usage = usage_rows::usage(row)?;
        // Not before the windows that it counts in, whichever clock began them: else it could not
        // be taken back from them.
        let counted_at = usage.counted.iter().map(|counted| counted.from).fold(*at, i64::max);
        let sql = "INSERT INTO uid_messages (tenant_id, mode, uid, message_id, accepted_at) \
                   VALUES ($1, $2, $3, $4, $5)";
        let mut values = self.name();
        values.extend([id.into(), Value::from(counted_at)]);
        conn.execute(sql, values).await?;
        Ok(Ok(usage))
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.message.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}

impl Accept {
    /// Whose message it is, as tables name users.
    fn name(&self) -> Vec<Value<'_>> {
        let Message { tenant, mode, uid, .. } = &self.message;
        vec![tenant.into(), mode.name().into(), uid.into()]
    }

    async fn exceed(&self, conn: &mut Connection) -> Result<Result<Usage>, Failure> {
        let at = &self.message.at;
        let Some(mut row) = conn.fetch(usage_rows::TOLD, self.name()).await?.pop() else {
            return Err(Failure::Statement("what has no room is not there".to_owned()));
        };
        let told = usage_rows::told(&mut row)?;
        let full = usage_rows::usage(row)?.exceeded(*at);
        self.tell(conn, told, &full).await?;
        let exceeded = full.iter().filter_map(|it| it.exceeded(*at)).collect();
        Ok(Err(Error::limit_exceeded(exceeded)))
    }

    /// One line of the audit for each window that is without room for the first time.
    async fn tell(
        &self,
        conn: &mut Connection,
        told: [i64; 4],
        full: &[WindowUsage],
    ) -> Result<(), Failure> {
        let (mut values, mut entries) = (self.name(), Vec::new());
        for ((window, told), entry) in Window::ALL.iter().zip(told).zip(&self.exceeded) {
            let new = full.iter().find(|it| it.window == *window && it.from != told);
            values.push(new.map_or(told, |it| it.from).into());
            entries.extend(new.map(|it| told_of(entry, it)));
        }
        if entries.is_empty() {
            return Ok(());
        }
        conn.execute(usage_rows::TELL, values).await?;
        audit::insert(conn, &entries).await
    }
}

fn told_of(entry: &AuditEntry, full: &WindowUsage) -> AuditEntry {
    let entry = entry.clone().with("name", full.window.name()).with("limit", full.limit);
    entry.with("resets_at", full.resets_at)
}

struct Refund {
    tenant: String,
    mode: Mode,
    uid: String,
    id: String,
    now: i64,
}

impl Job for Refund {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let Self { tenant, mode, uid, id, now } = self;
        let user = || vec![tenant.into(), mode.name().into(), uid.into()];
        let message = || user().into_iter().chain([id.into()]).collect::<Vec<_>>();
        let sql = "UPDATE uid_messages SET refunded_at = $5 WHERE tenant_id = $1 AND mode = $2 \
                   AND uid = $3 AND message_id = $4 AND refunded_at IS NULL RETURNING accepted_at";
        let mut values = message();
        values.push((*now).into());
        if let Some(mut row) = conn.fetch(sql, values).await?.pop() {
            let mut values = user();
            values.push(row.int(0)?.into());
            return conn.execute(usage_rows::TAKE_BACK, values).await.map(drop);
        }
        let sql = "SELECT 1 FROM uid_messages \
                   WHERE tenant_id = $1 AND mode = $2 AND uid = $3 AND message_id = $4";
        match conn.fetch(sql, message()).await?.is_empty() {
            true => Err(Failure::Refused(Error::NotFound(Thing::Message))),
            false => Ok(()),
        }
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, _: &mut Stale) {}
}
