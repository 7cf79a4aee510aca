//! How usage lies in its table: the statements over its four windows, and the way from rows to
//! usage and back.

use super::engine::{Failure, Row, Rows, Value};
use crate::domain::key::Mode;
use crate::domain::limits::Limits;
use crate::domain::usage::{Counted, Usage, Window};

/// Sets the limits of users, whatever was counted for them.
pub(super) static LIMITS: Rows = Rows {
    head: "INSERT INTO uid_usage (tenant_id, mode, uid, limited, hourly_limit, daily_limit, \
           weekly_limit, monthly_limit) VALUES",
    columns: 8,
    tail: "ON CONFLICT (tenant_id, mode, uid) DO UPDATE SET limited = excluded.limited, \
           hourly_limit = excluded.hourly_limit, \
           daily_limit = excluded.daily_limit, weekly_limit = excluded.weekly_limit, \
           monthly_limit = excluded.monthly_limit",
};

/// Counts one message in all windows ($5 to $8 are their beginnings) or, when one of them has no
/// room, does nothing and answers nothing.
pub(super) const COUNT: &str = concat!(
    "INSERT INTO uid_usage (tenant_id, mode, uid, last_message_at, hourly_from, daily_from, \
     weekly_from, monthly_from, hourly_used, daily_used, weekly_used, monthly_used) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 1, 1, 1, 1) \
     ON CONFLICT (tenant_id, mode, uid) DO UPDATE SET last_message_at = excluded.last_message_at, ",
    one_more!("hourly"),
    ", ",
    one_more!("daily"),
    ", ",
    one_more!("weekly"),
    ", ",
    one_more!("monthly"),
    " WHERE ",
    room!("hourly"),
    " AND ",
    room!("daily"),
    " AND ",
    room!("weekly"),
    " AND ",
    room!("monthly"),
    " RETURNING ",
    columns!()
);

/// Takes back one message that was accepted at $4 from the windows that it was counted in.
pub(super) const TAKE_BACK: &str = concat!(
    "UPDATE uid_usage SET ",
    one_less!("hourly"),
    ", ",
    one_less!("daily"),
    ", ",
    one_less!("weekly"),
    ", ",
    one_less!("monthly"),
    " WHERE tenant_id = $1 AND mode = $2 AND uid = $3"
);

pub(super) const BY_UID: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM uid_usage WHERE tenant_id = $1 AND mode = $2 AND uid = $3"
);

/// The usage of one user, and behind it of which windows the audit was told.
pub(super) const TOLD: &str = concat!(
    "SELECT ",
    columns!(),
    ", hourly_told, daily_told, weekly_told, monthly_told \
     FROM uid_usage WHERE tenant_id = $1 AND mode = $2 AND uid = $3"
);
/// Tells of which windows the audit was told now.
pub(super) const TELL: &str = "UPDATE uid_usage SET hourly_told = $4, daily_told = $5, \
     weekly_told = $6, monthly_told = $7 WHERE tenant_id = $1 AND mode = $2 AND uid = $3";

/// Users beyond $3, at most $4; those whose last message is not before $5; when $6 is 1 those with
/// a window that has no room, $7 to $10 being the beginnings of the windows.
pub(super) const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM uid_usage WHERE tenant_id = $1 AND mode = $2 AND uid > $3 \
     AND (CAST($5 AS BIGINT) IS NULL OR last_message_at >= $5) AND ($6 = 0 OR ",
    full!("hourly", "$7"),
    " OR ",
    full!("daily", "$8"),
    " OR ",
    full!("weekly", "$9"),
    " OR ",
    full!("monthly", "$10"),
    ") ORDER BY uid LIMIT $4"
);

pub(super) const LIMITS_OF: &str = "SELECT hourly_limit, daily_limit, weekly_limit, monthly_limit \
     FROM uid_usage WHERE tenant_id = $1 AND mode = $2 AND uid = $3 AND limited = 1";

pub(super) fn limits_row<'a>(
    (tenant, mode, uid): (&'a str, Mode, &'a str),
    limits: Option<Limits>,
) -> [Value<'a>; 8] {
    let Limits { hourly, daily, weekly, monthly } = limits.unwrap_or_default();
    let windows = [hourly, daily, weekly, monthly].map(Value::from);
    let [hourly, daily, weekly, monthly] = windows;
    let [tenant, mode, uid] = [tenant, mode.name(), uid].map(Value::from);
    [tenant, mode, uid, limits.is_some().into(), hourly, daily, weekly, monthly]
}

/// The beginnings of all windows that an instant lies in.
pub(super) fn beginnings(now: i64) -> [i64; 4] {
    Window::ALL.map(|window| window.bounds(now).0)
}

pub(super) fn usage(mut row: Row) -> Result<Usage, Failure> {
    let limits = Limits {
        hourly: row.opt_int(1)?,
        daily: row.opt_int(4)?,
        weekly: row.opt_int(7)?,
        monthly: row.opt_int(10)?,
    };
    let mut counted = [Counted::default(); 4];
    for (window, counted) in counted.iter_mut().enumerate() {
        *counted = Counted { from: row.int(3 * window + 2)?, used: row.int(3 * window + 3)? };
    }
    Ok(Usage { uid: row.text(0)?, limits, counted, last_message_at: row.opt_int(13)? })
}

/// What [`TOLD`] has behind the columns of the usage.
pub(super) fn told(row: &mut Row) -> Result<[i64; 4], Failure> {
    Ok([row.int(14)?, row.int(15)?, row.int(16)?, row.int(17)?])
}

macro_rules! columns {
    () => {
        "uid, hourly_limit, hourly_from, hourly_used, daily_limit, daily_from, daily_used, \
         weekly_limit, weekly_from, weekly_used, monthly_limit, monthly_from, monthly_used, \
         last_message_at"
    };
}
use columns;

/// A window that began later than the caller's goes on: an instance whose clock is behind must not
/// begin it anew.
macro_rules! one_more {
    ($window:literal) => {
        concat!(
            $window,
            "_used = CASE WHEN uid_usage.",
            $window,
            "_from >= excluded.",
            $window,
            "_from THEN uid_usage.",
            $window,
            "_used + 1 ELSE 1 END, ",
            $window,
            "_from = CASE WHEN uid_usage.",
            $window,
            "_from >= excluded.",
            $window,
            "_from THEN uid_usage.",
            $window,
            "_from ELSE excluded.",
            $window,
            "_from END"
        )
    };
}
use one_more;

macro_rules! room {
    ($window:literal) => {
        concat!(
            "(uid_usage.",
            $window,
            "_limit IS NULL OR CASE WHEN uid_usage.",
            $window,
            "_from >= excluded.",
            $window,
            "_from THEN uid_usage.",
            $window,
            "_used ELSE 0 END < uid_usage.",
            $window,
            "_limit)"
        )
    };
}
use room;

macro_rules! one_less {
    ($window:literal) => {
        concat!(
            $window,
            "_used = CASE WHEN ",
            $window,
            "_from <= $4 AND ",
            $window,
            "_used > 0 THEN ",
            $window,
            "_used - 1 ELSE ",
            $window,
            "_used END"
        )
    };
}
use one_less;

macro_rules! full {
    ($window:literal, $from:literal) => {
        concat!(
            $window,
            "_limit <= CASE WHEN ",
            $window,
            "_from >= ",
            $from,
            " THEN ",
            $window,
            "_used ELSE 0 END"
        )
    };
}
use full;
