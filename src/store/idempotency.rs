//! Answers that are kept beside their effect, so that a request takes effect once.
//!
//! A claim is written first, the effect after it and the answer last, all in one transaction: of
//! two requests with one claim, on any instance, one writes and the other is told what was written.
//! Knows no answer from the inside: they come and go sealed.

use std::collections::HashSet;

use super::Store;
use super::engine::{Connection, Failure, Rows, Value};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::domain::idempotency::Claim;
use crate::error::{Error, Result};

/// Makes the sealed answer to what was written.
pub type Answer<T> = Box<dyn Fn(&T) -> Result<Vec<u8>> + Send + Sync>;

/// A wish to take effect once, handed on beside the effect.
pub struct Receipt<T> {
    /// The tenant's id; empty for the operator.
    pub tenant: String,
    /// Under what the answer is kept.
    pub claim: Claim,
    /// Now, milliseconds.
    pub now: i64,
    /// Until when the answer is kept, milliseconds.
    pub until: i64,
    /// The sealed answer to what was written. Called within the transaction, so it must be quick;
    /// its failure undoes the effect.
    pub answer: Answer<T>,
}

impl Store {
    /// The sealed answer that is kept under a claim at `now` (milliseconds).
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn kept_answer(
        &self,
        tenant: &str,
        claim: Claim,
        now: i64,
    ) -> Result<Option<Vec<u8>>> {
        let values = vec![tenant.into(), claim.0.as_slice().into(), now.into()];
        let row = self.readers.fetch(BY_CLAIM, values).await?.pop();
        Ok(row.map(|mut row| row.bytes(0)).transpose()?)
    }

    /// Until when the last of the answers is kept that were claimed before `before` (both
    /// milliseconds); `None` without any.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn answers_kept_until(&self, before: i64) -> Result<Option<i64>> {
        let row = self.readers.fetch(LAST_CLAIMED_BEFORE, vec![before.into()]).await?.pop();
        Ok(row.map(|mut row| row.int(0)).transpose()?)
    }
}

pub(super) const BY_CLAIM: &str =
    "SELECT answer FROM idempotency WHERE tenant_id = $1 AND claim = $2 AND expires_at > $3";

const LAST_CLAIMED_BEFORE: &str = "SELECT expires_at FROM idempotency \
     WHERE claimed_at < $1 ORDER BY expires_at DESC LIMIT 1";

/// An expired row is as good as none, whether it was purged yet or not.
static CLAIMS: Rows = Rows {
    head: "INSERT INTO idempotency (tenant_id, claim, claimed_at, expires_at, answer) VALUES",
    columns: 5,
    tail: "ON CONFLICT (tenant_id, claim) DO UPDATE SET claimed_at = excluded.claimed_at, \
           expires_at = excluded.expires_at, answer = excluded.answer \
           WHERE idempotency.expires_at <= excluded.claimed_at RETURNING claim",
};

static ANSWERS: Rows = Rows {
    head: "INSERT INTO idempotency (tenant_id, claim, claimed_at, expires_at, answer) VALUES",
    columns: 5,
    tail: "ON CONFLICT (tenant_id, claim) DO UPDATE SET answer = excluded.answer",
};

/// Claims what these receipts name, each once; the claims that were free.
///
/// # Errors
/// A failure that spoils the transaction.
pub(super) async fn claim<'a, T: 'a>(
    conn: &mut Connection,
    receipts: impl Iterator<Item = &'a Receipt<T>>,
) -> Result<HashSet<Claim>, Failure> {
    let rows: Vec<Value> = receipts.flat_map(|receipt| receipt.row(Vec::new())).collect();
    let mut free = HashSet::new();
    for mut row in conn.insert(&CLAIMS, rows).await? {
        let claim = row.bytes(0)?.try_into();
        free.insert(Claim(claim.map_err(|_| Failure::Statement("a claim is a hash".into()))?));
    }
    Ok(free)
}

/// Writes the answers to what these receipts were claimed for.
///
/// # Errors
/// A failure that spoils the transaction, and every answer that cannot be made.
pub(super) async fn keep<'a, T: 'a>(
    conn: &mut Connection,
    done: impl Iterator<Item = (&'a Receipt<T>, T)>,
) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for (receipt, effect) in done {
        let answer = (receipt.answer)(&effect);
        let answer = answer.map_err(|error| Failure::Statement(error.to_string()))?;
        rows.extend(receipt.row(answer));
    }
    conn.insert(&ANSWERS, rows).await.map(drop)
}

impl<T> Receipt<T> {
    fn row(&self, answer: Vec<u8>) -> [Value<'_>; 5] {
        [
            self.tenant.as_str().into(),
            self.claim.0.as_slice().into(),
            self.now.into(),
            self.until.into(),
            Value::Bytes(Some(answer.into())),
        ]
    }

    fn name(&self) -> Vec<Value<'_>> {
        vec![self.tenant.as_str().into(), self.claim.0.as_slice().into()]
    }

    /// The same for something that a `T` can be made of.
    pub fn within<U: 'static>(
        self,
        part: impl Fn(&U) -> Result<T> + Send + Sync + 'static,
    ) -> Receipt<U>
    where
        T: 'static,
    {
        let Self { tenant, claim, now, until, answer } = self;
        let answer = Box::new(move |whole: &U| answer(&part(whole)?));
        Receipt { tenant, claim, now, until, answer }
    }

    /// What the first request under a claim that was taken is told again.
    ///
    /// # Errors
    /// A failure that spoils the transaction.
    pub(super) async fn before(&self, conn: &mut Connection) -> Result<Error, Failure> {
        let mut values = self.name();
        values.push(self.now.into());
        let row = conn.fetch(BY_CLAIM, values).await?.pop();
        let answer = row.map(|mut row| row.bytes(0)).transpose()?;
        Ok(answer.map_or(Error::IdempotencyInProgress, Error::Answered))
    }

    /// Takes a claim back whose effect was refused.
    ///
    /// # Errors
    /// A failure that spoils the transaction.
    pub(super) async fn release(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "DELETE FROM idempotency WHERE tenant_id = $1 AND claim = $2";
        conn.execute(sql, self.name()).await.map(drop)
    }
}

/// A job that takes effect once, when there is a receipt. `T` is what the kept answer tells of.
pub(super) struct Once<J: Job, T = <J as Job>::Answer> {
    job: J,
    receipt: Option<Receipt<T>>,
    /// What a job has written, if anything.
    written: fn(&J::Answer) -> Option<&T>,
}

impl<J: Job> Once<J> {
    /// For a job that writes or is refused.
    pub(super) fn new(job: J, receipt: Option<Receipt<J::Answer>>) -> Self {
        Self { job, receipt, written: |answer| Some(answer) }
    }
}

impl<T: 'static, J: Job<Answer = Option<T>>> Once<J, T> {
    /// For a job that says `None` when it has written nothing.
    pub(super) fn if_written(job: J, receipt: Option<Receipt<T>>) -> Self {
        Self { job, receipt, written: Option::as_ref }
    }
}

impl<T: 'static, J: Job<Answer = Result<T>>> Once<J, T> {
    /// For a job whose refusal is an answer, since it leaves something behind.
    pub(super) fn if_accepted(job: J, receipt: Option<Receipt<T>>) -> Self {
        Self { job, receipt, written: |answer| answer.as_ref().ok() }
    }
}

impl<J: Job, T: 'static> Job for Once<J, T> {
    type Answer = J::Answer;

    async fn run(&self, conn: &mut Connection) -> Result<J::Answer, Failure> {
        let Some(receipt) = &self.receipt else { return self.job.run(conn).await };
        if claim(conn, [receipt].into_iter()).await?.is_empty() {
            return Err(Failure::Refused(receipt.before(conn).await?));
        }
        let effect = match self.job.run(conn).await {
            Ok(effect) => effect,
            Err(Failure::Refused(error)) => {
                receipt.release(conn).await?;
                return Err(Failure::Refused(error));
            }
            Err(failure) => return Err(failure),
        };
        let Some(written) = (self.written)(&effect) else {
            receipt.release(conn).await?;
            return Ok(effect);
        };
        let answer = (receipt.answer)(written);
        let answer = answer.map_err(|error| Failure::Statement(error.to_string()))?;
        conn.insert(&ANSWERS, receipt.row(answer).into()).await?;
        Ok(effect)
    }

    fn reach(&self) -> Reach<'_> {
        self.job.reach()
    }

    fn forget(&self, stale: &mut Stale) {
        self.job.forget(stale);
    }
}
