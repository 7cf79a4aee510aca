//! What keys with ceilings may still open: exact, in the transaction of the openings.
//!
//! A batch costs each table one statement more, and nothing at all when no key in it has a ceiling.
//! The row of a key is written before anything is counted, so that another instance's batch waits
//! where databases let two write at once.

use std::collections::BTreeMap;

use super::engine::{Connection, Failure, Rows, Value};
use super::{Store, audit};
use crate::domain::ceiling::{Ceiling, Standings};
use crate::domain::key::Key;
use crate::domain::session::idle_until;
use crate::domain::usage::{Counted, Window};
use crate::error::Result;

/// One opening as its ceilings see it.
pub(super) struct Opening<'a> {
    pub(super) tenant: &'a str,
    pub(super) key: &'a str,
    pub(super) at: i64,
    pub(super) ceiling: &'a Ceiling,
}

/// The keys of one batch that have ceilings, by id, and what they have opened.
#[derive(Default)]
pub(super) struct Ledger<'a> {
    keys: BTreeMap<&'a str, Account<'a>>,
}

struct Account<'a> {
    tenant: &'a str,
    at: i64,
    ceiling: &'a Ceiling,
    standings: Standings,
    /// The beginnings of the days in which the audit was told of each ceiling.
    told: [i64; 2],
    live_known: bool,
    /// Openings of this batch that nothing refused.
    opened: i64,
}

static READ: Rows = Rows {
    head: "INSERT INTO key_usage (tenant_id, key_id, daily_from, daily_used) VALUES",
    columns: 4,
    // A day that began later than ours goes on: a clock behind must not begin it anew.
    tail: "ON CONFLICT (tenant_id, key_id) DO UPDATE SET \
           daily_used = CASE WHEN key_usage.daily_from >= excluded.daily_from \
           THEN key_usage.daily_used ELSE 0 END, \
           daily_from = CASE WHEN key_usage.daily_from >= excluded.daily_from \
           THEN key_usage.daily_from ELSE excluded.daily_from END \
           RETURNING key_id, daily_from, daily_used, daily_told, live_told, live_known",
};

static WRITE: Rows = Rows {
    head: "INSERT INTO key_usage (tenant_id, key_id, daily_from, daily_used, daily_told, \
           live_told, live_known) VALUES",
    columns: 7,
    tail: "ON CONFLICT (tenant_id, key_id) DO UPDATE SET daily_used = excluded.daily_used, \
           daily_told = excluded.daily_told, live_told = excluded.live_told, \
           live_known = excluded.live_known",
};

/// Counts the sessions of some keys: tenant, key, now, and up to when the last sign of a session may
/// lie for it to be over for want of use; 0 for keys that wait for ever.
macro_rules! counted {
    () => {
        "SELECT v.column2, COUNT(*), MIN(s.expires_at) FROM (VALUES"
    };
}
macro_rules! of_keys {
    () => {
        ") AS v JOIN sessions AS s ON s.tenant_id = v.column1 AND s.key_id = v.column2 "
    };
}
macro_rules! that_live {
    () => {
        " AND s.revoked_at IS NULL AND s.expires_at > v.column3 AND (v.column4 = 0 \
         OR s.issued_at > v.column4 OR s.renewed_at > v.column4 OR EXISTS (SELECT 1 \
         FROM session_uses AS u WHERE u.tenant_id = s.tenant_id AND u.session_id = s.session_id \
         AND u.last_used_at > v.column4)) GROUP BY v.column2"
    };
}

pub(super) static LIVE: Rows = Rows {
    head: counted!(),
    columns: 4,
    tail: concat!(of_keys!(), "AND s.capped = 1", that_live!()),
};

/// The same of one key whose live sessions are all marked, and of one where they are not.
pub(super) const MARKED: &str =
    concat!(counted!(), " ($1, $2, $3, $4)", of_keys!(), "AND s.capped = 1", that_live!());
pub(super) const UNMARKED: &str =
    concat!(counted!(), " ($1, $2, $3, $4)", of_keys!(), that_live!());

const DAY: &str = "SELECT daily_from, daily_used, live_known FROM key_usage \
                   WHERE tenant_id = $1 AND key_id = $2";

pub(super) const MARK: &str = "UPDATE sessions SET capped = 1 WHERE tenant_id = $1 AND key_id = $2 \
                    AND expires_at > $3 AND revoked_at IS NULL AND capped = 0";

impl Store {
    /// What a key has opened, as of `now` (milliseconds), for whoever asks before opening: nothing
    /// is counted, and openings that are under way are not seen.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn standings(&self, key: &Key, now: i64) -> Result<Standings> {
        let name = || vec![key.tenant.as_str().into(), Value::from(key.id.as_str())];
        let (mut standings, mut live) = (Standings::default(), UNMARKED);
        if let Some(mut row) = self.readers.fetch(DAY, name()).await?.pop() {
            standings.day = Counted { from: row.int(0)?, used: row.int(1)? };
            live = if row.flag(2)? { MARKED } else { UNMARKED };
        }
        standings.day = standings.day.at(Window::Daily, now);
        if key.ceilings.live_sessions.is_some() {
            let mut values = name();
            values.extend([now.into(), Value::from(silent_until(key.idle_timeout_s, now))]);
            if let Some(mut row) = self.readers.fetch(live, values).await?.pop() {
                (standings.live, standings.first_end) = (row.int(1)?, row.opt_int(2)?);
            }
        }
        Ok(standings)
    }
}

impl<'a> Ledger<'a> {
    /// Reads what the keys of `openings` have opened.
    pub(super) async fn read(
        conn: &mut Connection,
        openings: impl Iterator<Item = Opening<'a>>,
    ) -> Result<Self, Failure> {
        let mut ledger = Self::default();
        for opening in openings {
            ledger.keys.insert(opening.key, Account::new(&opening));
        }
        ledger.read_days(conn).await?;
        ledger.read_live(conn).await?;
        Ok(ledger)
    }

    async fn read_days(&mut self, conn: &mut Connection) -> Result<(), Failure> {
        let mut rows: Vec<Value> = Vec::new();
        for (key, Account { tenant, standings, .. }) in &self.keys {
            let from = standings.day.from;
            rows.extend([(*tenant).into(), (*key).into(), from.into(), Value::from(0)]);
        }
        for mut row in conn.insert(&READ, rows).await? {
            let Some(account) = self.keys.get_mut(row.text(0)?.as_str()) else { continue };
            account.standings.day = Counted { from: row.int(1)?, used: row.int(2)? };
            account.told = [row.int(3)?, row.int(4)?];
            account.live_known = row.flag(5)?;
        }
        Ok(())
    }

    async fn read_live(&mut self, conn: &mut Connection) -> Result<(), Failure> {
        let mut rows: Vec<Value> = Vec::new();
        for (key, account) in &mut self.keys {
            if account.ceiling.ceilings.live_sessions.is_none() {
                continue;
            }
            let name = [account.tenant.into(), (*key).into(), Value::from(account.at)];
            if !account.live_known {
                conn.execute(MARK, name.to_vec()).await?;
                account.live_known = true;
            }
            rows.extend(name);
            rows.push(silent_until(account.ceiling.idle_timeout_s, account.at).into());
        }
        for mut row in conn.insert(&LIVE, rows).await? {
            let Some(account) = self.keys.get_mut(row.text(0)?.as_str()) else { continue };
            (account.standings.live, account.standings.first_end) = (row.int(1)?, row.opt_int(2)?);
        }
        Ok(())
    }

    /// Lets one more opening of a key pass, or says which ceilings have no room for it.
    pub(super) fn admit(&mut self, key: &str) -> Result<()> {
        self.keys
            .get_mut(key)
            .map_or(Ok(()), |account| account.standings.admit(account.ceiling.ceilings, account.at))
    }

    /// Takes note of an opening that nothing else has refused.
    pub(super) fn opened(&mut self, key: &str) {
        if let Some(account) = self.keys.get_mut(key) {
            account.opened += 1;
        }
    }

    /// Remembers what was opened, and tells the audit of ceilings that are reached for the first
    /// time in a day.
    pub(super) async fn write(self, conn: &mut Connection) -> Result<(), Failure> {
        let (mut rows, mut entries): (Vec<Value>, Vec<_>) = Default::default();
        for (key, account) in &self.keys {
            let Account { tenant, standings, ceiling, opened, live_known, .. } = account;
            let mut told = account.told;
            for (which, told) in told.iter_mut().enumerate() {
                if standings.refused[which] && *told != standings.day.from {
                    *told = standings.day.from;
                    entries.push(&ceiling.exceeded[which]);
                }
            }
            rows.extend([
                (*tenant).into(),
                (*key).into(),
                standings.day.from.into(),
                (standings.day.used + opened).into(),
                told[0].into(),
                told[1].into(),
                Value::from(*live_known),
            ]);
        }
        conn.insert(&WRITE, rows).await?;
        audit::insert(conn, entries).await
    }
}

impl<'a> Account<'a> {
    fn new(opening: &Opening<'a>) -> Self {
        let Opening { tenant, at, ceiling, .. } = *opening;
        let day = Counted::default().at(Window::Daily, at);
        let standings = Standings { day, ..Standings::default() };
        Self { tenant, at, ceiling, standings, told: [-1; 2], live_known: false, opened: 0 }
    }
}

fn silent_until(idle_timeout_s: Option<u32>, now: i64) -> i64 {
    idle_timeout_s.map_or(0, |idle| idle_until(idle, now))
}
