//! How many sessions a key may still open: in a day of UTC, and alive at the same time.
//!
//! Pure arithmetic over what the store has counted; a key's rate of requests is the limiter's.

use vestibule_runtime::{Standing, seconds_up};

use super::audit::AuditEntry;
use super::key::Ceilings;
use super::usage::{Counted, Window, WindowUsage};
use crate::error::{Error, Exceeded, Result};

/// The ceilings of a key that opens a session, and the lines of the audit for the first opening of
/// a day that finds them without room: that of the day, then that of live sessions.
#[derive(Clone, Debug)]
pub struct Ceiling {
    /// The ceilings.
    pub ceilings: Ceilings,
    /// After how many seconds without use a session of the key is over, and counts no more.
    pub idle_timeout_s: Option<u32>,
    /// See above.
    pub exceeded: [AuditEntry; 2],
}

impl Ceiling {
    /// How the ceilings are told, in the order of [`Ceiling::exceeded`].
    pub const NAMES: [&'static str; 2] = ["sessionsPerDay", "liveSessions"];
}

/// What happens, and whose ceilings it must keep to.
#[derive(Clone, Debug)]
pub struct Act {
    /// The line of the audit.
    pub audit: AuditEntry,
    /// `None` when the key may open as many sessions as it likes.
    pub ceiling: Option<Box<Ceiling>>,
}

impl From<AuditEntry> for Act {
    fn from(audit: AuditEntry) -> Self {
        Self { audit, ceiling: None }
    }
}

/// What one key has opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// Sessions opened in a day.
    pub day: Counted,
    /// Sessions alive.
    pub live: i64,
    /// When the first of them ends, milliseconds since 1970.
    pub first_end: Option<i64>,
    /// Openings that were let pass since.
    pub admitted: i64,
    /// Which ceilings refused an opening since, in the order of [`Ceiling::exceeded`].
    pub refused: [bool; 2],
}

impl Standings {
    /// Lets one more opening pass.
    ///
    /// # Errors
    /// `LimitExceeded` with every ceiling that has no room for it.
    pub fn admit(&mut self, ceilings: Ceilings, now_ms: i64) -> Result<()> {
        let full = [self.day(ceilings, now_ms), self.alive(ceilings, now_ms)];
        for (refused, full) in self.refused.iter_mut().zip(&full) {
            *refused |= full.is_some();
        }
        let exceeded: Vec<_> = full.into_iter().flatten().collect();
        if exceeded.is_empty() {
            self.admitted += 1;
            return Ok(());
        }
        Err(Error::limit_exceeded(exceeded))
    }

    fn day(&self, ceilings: Ceilings, now_ms: i64) -> Option<Exceeded> {
        let limit = ceilings.sessions_per_day?.into();
        let counted = Counted { used: self.day.used + self.admitted, ..self.day };
        let day = WindowUsage::of(Window::Daily, Some(limit), counted, now_ms);
        let mut full = day.exceeded(now_ms).filter(|it| it.standing.remaining == 0)?;
        full.standing.policy = Ceiling::NAMES[0];
        Some(full)
    }

    fn alive(&self, ceilings: Ceilings, now_ms: i64) -> Option<Exceeded> {
        let (quota, used) = (ceilings.live_sessions?.into(), self.live + self.admitted);
        // Sessions of this very batch end later than any that was there before.
        let wait_s = self.first_end.map_or(1, |end| seconds_up(end - now_ms));
        let standing = Standing {
            policy: Ceiling::NAMES[1],
            quota,
            window_s: None,
            remaining: 0,
            whole_in_s: wait_s,
        };
        (used >= quota).then_some(Exceeded { standing, used, resets_at: self.first_end })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    proptest! {
        /// Exactly as many openings pass as the tighter of two ceilings has room for.
        #[test]
        fn the_tighter_ceiling_decides(
            day in proptest::option::of(0u32..20),
            live in proptest::option::of(0u32..20),
            used in 0i64..20,
            alive in 0i64..20,
        ) {
            let ceilings = Ceilings {
                sessions_per_day: day, live_sessions: live, requests_per_minute: None,
            };
            let counted = Counted { from: Window::Daily.bounds(NOW).0, used };
            let mut standings = Standings { day: counted, live: alive, ..Standings::default() };
            let passed = (0..30).filter(|_| standings.admit(ceilings, NOW).is_ok()).count();
            let room = |ceiling: Option<u32>, used| ceiling.map_or(30, |it| i64::from(it) - used);
            let expected = room(day, used).min(room(live, alive)).clamp(0, 30);
            prop_assert_eq!(i64::try_from(passed).unwrap(), expected);
        }
    }

    #[test]
    fn every_ceiling_without_room_is_named() {
        let ceilings = Ceilings {
            sessions_per_day: Some(1),
            live_sessions: Some(1),
            requests_per_minute: None,
        };
        let (from, until) = Window::Daily.bounds(NOW);
        let mut standings = Standings {
            day: Counted { from, used: 1 },
            live: 1,
            first_end: Some(NOW + 60_000),
            ..Standings::default()
        };
        let Err(Error::LimitExceeded { exceeded, .. }) = standings.admit(ceilings, NOW) else {
            panic!("it has no room");
        };
        let told: Vec<_> = exceeded.iter().map(|it| (it.standing.policy, it.resets_at)).collect();
        let first = ("sessionsPerDay", Some(until));
        assert_eq!(told, [first, ("liveSessions", Some(NOW + 60_000))]);
        assert_eq!(standings.refused, [true, true]);
    }
}
