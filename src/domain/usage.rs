//! Which window an instant lies in, and what a user has used of each: accepted messages, counted
//! per tenant and uid over all sessions.
//!
//! Counting itself is the store's: it is exact only in the transaction of what is counted.

use chrono::{DateTime, Datelike as _, Months, NaiveDate, NaiveTime};
use vestibule_runtime::{Standing, seconds_up};

use super::limits::Limits;
use crate::error::Exceeded;

/// A window of a limit. All are aligned in UTC; none overlaps the next of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// From one full hour to the next.
    Hourly,
    /// From midnight to midnight.
    Daily,
    /// An ISO week: from Monday to Monday.
    Weekly,
    /// A calendar month.
    Monthly,
}

/// The most messages of one user that one window may count.
const MOST: i64 = 9_007_199_254_740_991;

const SECOND_MS: i64 = 1000;
const HOUR_MS: i64 = 3600 * SECOND_MS;
const DAY_MS: i64 = 24 * HOUR_MS;
const WEEK_MS: i64 = 7 * DAY_MS;
/// The first Monday of 1970.
const MONDAY_MS: i64 = 4 * DAY_MS;

impl Window {
    /// All of them, shortest first.
    pub const ALL: [Self; 4] = [Self::Hourly, Self::Daily, Self::Weekly, Self::Monthly];

    /// Its word, as limits are told.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hourly => "hourly",
            Self::Daily => "daily",
            Self::Weekly => "weekly",
            Self::Monthly => "monthly",
        }
    }

    /// The window that an instant lies in: its first instant, and the first one after it.
    /// Milliseconds since 1970.
    pub fn bounds(self, at_ms: i64) -> (i64, i64) {
        let aligned = |length: i64, offset: i64| {
            let from = at_ms - (at_ms - offset).rem_euclid(length);
            (from, from + length)
        };
        match self {
            Self::Hourly => aligned(HOUR_MS, 0),
            Self::Daily => aligned(DAY_MS, 0),
            Self::Weekly => aligned(WEEK_MS, MONDAY_MS),
            Self::Monthly => {
                let date = DateTime::from_timestamp_millis(at_ms).unwrap_or_default().date_naive();
                let first = date.with_day(1).unwrap_or(date);
                (midnight_ms(first), midnight_ms(first + Months::new(1)))
            }
        }
    }

    fn limit(self, limits: Limits) -> Option<i64> {
        match self {
            Self::Hourly => limits.hourly,
            Self::Daily => limits.daily,
            Self::Weekly => limits.weekly,
            Self::Monthly => limits.monthly,
        }
    }
}

/// What was counted in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counted {
    /// When the window began in which it was counted, milliseconds since 1970.
    pub from: i64,
    /// How much.
    pub used: i64,
}

impl Counted {
    /// What it says at an instant. What was counted in an earlier window counts no more. A later
    /// one goes on to count: another instance's clock is ahead, and the limit holds over all of
    /// them.
    pub fn at(self, window: Window, now_ms: i64) -> Self {
        let (from, _) = window.bounds(now_ms);
        if self.from >= from { self } else { Self { from, used: 0 } }
    }
}

/// What one user has used, as it was counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The host's user.
    pub uid: String,
    /// What may be used; a window without a number is unlimited.
    pub limits: Limits,
    /// In the order of [`Window::ALL`].
    pub counted: [Counted; 4],
    /// When the last message was accepted, milliseconds since 1970.
    pub last_message_at: Option<i64>,
}

/// What one user has used of one window, now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUsage {
    /// Which window.
    pub window: Window,
    /// How many messages it may count; `None` when it is unlimited.
    pub limit: Option<i64>,
    /// How many it counted.
    pub used: i64,
    /// When it began, milliseconds since 1970.
    pub from: i64,
    /// When the next one begins, milliseconds since 1970.
    pub resets_at: i64,
}

impl Usage {
    /// A user that nothing is known of.
    pub fn none(uid: &str) -> Self {
        let (limits, counted) = Default::default();
        Self { uid: uid.to_owned(), limits, counted, last_message_at: None }
    }

    /// All windows, in the order of [`Window::ALL`].
    pub fn windows(&self, now_ms: i64) -> [WindowUsage; 4] {
        let mut all = self.counted.into_iter();
        Window::ALL.map(|window| {
            let counted = all.next().unwrap_or_default();
            WindowUsage::of(window, window.limit(self.limits), counted, now_ms)
        })
    }

    /// The windows that have no room for another message.
    pub fn exceeded(&self, now_ms: i64) -> Vec<WindowUsage> {
        let full = |it: &WindowUsage| it.remaining() == Some(0);
        self.windows(now_ms).into_iter().filter(full).collect()
    }
}

impl WindowUsage {
    /// What was counted, as it stands now.
    pub fn of(window: Window, limit: Option<i64>, counted: Counted, now_ms: i64) -> Self {
        let Counted { from, used } = counted.at(window, now_ms);
        let (_, resets_at) = window.bounds(from);
        Self { window, limit, used: used.min(MOST), from, resets_at }
    }

    /// How many messages it still has room for; `None` when it is unlimited.
    pub fn remaining(&self) -> Option<i64> {
        self.limit.map(|limit| limit.saturating_sub(self.used).max(0))
    }

    /// How its limit stands; `None` when it has none.
    pub fn standing(&self, now_ms: i64) -> Option<Standing> {
        Some(Standing {
            policy: self.window.name(),
            quota: self.limit?,
            window_s: Some(seconds_up(self.resets_at - self.from)),
            remaining: self.remaining()?,
            whole_in_s: seconds_up(self.resets_at - now_ms),
        })
    }

    /// What is told when it has no room.
    pub fn exceeded(&self, now_ms: i64) -> Option<Exceeded> {
        let standing = self.standing(now_ms)?;
        Some(Exceeded { standing, used: self.used, resets_at: Some(self.resets_at) })
    }
}

fn midnight_ms(date: NaiveDate) -> i64 {
    date.and_time(NaiveTime::MIN).and_utc().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use chrono::Timelike as _;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
    }

    fn date(ms: i64) -> NaiveDate {
        DateTime::from_timestamp_millis(ms).unwrap().date_naive()
    }

    /// From 1970 to 2400.
    fn instants() -> impl Strategy<Value = i64> {
        0..13_569_465_600_000_i64
    }

    proptest! {
        /// Every instant lies in exactly one window of a kind, and the windows follow each other.
        #[test]
        fn windows_meet_without_gap_or_overlap(at_ms in instants()) {
            for window in Window::ALL {
                let (from, until) = window.bounds(at_ms);
                prop_assert!(from <= at_ms && at_ms < until);
                prop_assert_eq!(window.bounds(from), (from, until));
                prop_assert_eq!(window.bounds(until - 1), (from, until));
                prop_assert_eq!(window.bounds(until).0, until);
                prop_assert_eq!(window.bounds(from - 1).1, from);
            }
        }

        /// Windows begin where the calendar says, whatever the year, and nest where calendars do.
        #[test]
        fn windows_begin_where_the_calendar_says(at_ms in instants()) {
            let [hour, day, week, month] = Window::ALL.map(|window| window.bounds(at_ms));
            let start = |(from, _)| DateTime::from_timestamp_millis(from).unwrap();
            prop_assert_eq!((start(hour).minute(), start(hour).second()), (0, 0));
            for from in [day, week, month].map(start) {
                prop_assert_eq!(from.time(), NaiveTime::MIN);
            }
            prop_assert_eq!(start(week).weekday(), chrono::Weekday::Mon);
            prop_assert_eq!(date(at_ms).iso_week(), start(week).iso_week());
            prop_assert_eq!(date(week.1 - 1).iso_week(), start(week).iso_week());
            prop_assert_ne!(date(week.1).iso_week(), start(week).iso_week());
            prop_assert_eq!(start(month).day(), 1);
            prop_assert_eq!(date(month.1).day(), 1);
            let days = (month.1 - month.0) / DAY_MS;
            prop_assert_eq!(days, i64::from(date(at_ms).num_days_in_month()));
            for outer in [day, week, month] {
                prop_assert!(outer.0 <= hour.0 && hour.1 <= outer.1);
            }
        }

        /// A window never has less than nothing left, and its rest is what the next message takes.
        #[test]
        fn what_is_left_is_what_the_limit_leaves(limit in 0i64..50, used in 0i64..60) {
            let now = at("2026-11-25T18:30:00Z");
            let (from, _) = Window::Daily.bounds(now);
            let usage = WindowUsage::of(Window::Daily, Some(limit), Counted { from, used }, now);
            prop_assert_eq!(usage.remaining(), Some((limit - used).max(0)));
        }
    }

    #[test]
    fn iso_weeks_run_over_year_ends() {
        let week = |text| Window::Weekly.bounds(at(text));
        let monday = at("2025-12-29T00:00:00Z");
        assert_eq!(week("2025-12-31T23:59:59.999Z"), (monday, monday + WEEK_MS));
        assert_eq!(week("2026-01-01T00:00:00Z"), (monday, monday + WEEK_MS));
        assert_eq!(week("2027-01-01T12:00:00Z").0, at("2026-12-28T00:00:00Z"));
        assert_eq!(week("1970-01-01T00:00:00Z").0, at("1969-12-29T00:00:00Z"));
    }

    #[test]
    fn months_have_their_own_lengths() {
        let days = |text: &str| {
            let (from, until) = Window::Monthly.bounds(at(text));
            (until - from) / DAY_MS
        };
        for (month, length) in [
            ("2026-01", 31),
            ("2026-02", 28),
            ("2028-02", 29),
            ("2100-02", 28),
            ("2000-02", 29),
            ("2026-04", 30),
            ("2026-12", 31),
        ] {
            assert_eq!(days(&format!("{month}-15T07:00:00Z")), length, "{month}");
        }
        let december = Window::Monthly.bounds(at("2026-12-31T23:59:59Z"));
        assert_eq!(december.1, at("2027-01-01T00:00:00Z"));
    }

    #[test]
    fn a_new_window_begins_with_nothing_and_a_clock_behind_ends_none() {
        let now = at("2026-11-25T18:30:00Z");
        let (from, until) = Window::Hourly.bounds(now);
        let usage = |from| WindowUsage::of(Window::Hourly, Some(3), Counted { from, used: 3 }, now);
        assert_eq!((usage(from).used, usage(from).resets_at), (3, until));
        assert_eq!((usage(from - HOUR_MS).used, usage(from - HOUR_MS).resets_at), (0, until));
        let ahead = usage(until);
        assert_eq!((ahead.used, ahead.resets_at), (3, until + HOUR_MS));
        assert_eq!(ahead.remaining(), Some(0), "it is one limit for all clocks");
    }
}
