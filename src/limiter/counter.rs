//! One limit at the edge: its rate, its cells, what it counted, and a log that a flood cannot
//! flood.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use vestibule_runtime::{Standing, seconds_up};

use super::cells::{Cells, Charged, Rate};
use crate::error::{Error, Result};

/// What happens to a request that is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It passes; it is counted and the log says so.
    Shadow,
    /// It is refused.
    Enforce,
}

/// How many requests were too many since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests that kept within the limit.
    pub passed: u64,
    /// Refused ones.
    pub refused: u64,
    /// Ones that passed only because the limit is in shadow mode.
    pub shadowed: u64,
}

/// One limit.
pub(super) struct Counter {
    policy: &'static str,
    rate: Rate,
    cells: Cells,
    passed: AtomicU64,
    refused: AtomicU64,
    shadowed: AtomicU64,
    logged_at_ms: AtomicI64,
}

/// At most one line of each limit in this time.
const LOG_EVERY_MS: i64 = 10_000;

impl Counter {
    pub(super) fn new(policy: &'static str, rate: Rate, cells: Cells) -> Self {
        let (passed, refused, shadowed) = Default::default();
        let logged_at_ms = AtomicI64::new(i64::MIN);
        Self { policy, rate, cells, passed, refused, shadowed, logged_at_ms }
    }

    /// Counts a request of `subject`, by a rate of its own if it has one; how the limit stands then.
    ///
    /// # Errors
    /// `RateLimited`, when the mode is to enforce.
    pub(super) fn count(
        &self,
        subject: &[u8],
        own: Option<Rate>,
        mode: Mode,
        now_ms: i64,
    ) -> Result<Standing> {
        let rate = own.unwrap_or(self.rate);
        let charged = self.cells.charge(subject, rate, now_ms);
        let standing = self.standing(rate, charged);
        let Some(wait_ms) = charged.wait_ms else {
            self.passed.fetch_add(1, Ordering::Relaxed);
            return Ok(standing);
        };
        let counter = match mode {
            Mode::Shadow => &self.shadowed,
            Mode::Enforce => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        self.log(mode, now_ms);
        match mode {
            Mode::Shadow => Ok(standing),
            Mode::Enforce => {
                Err(Error::RateLimited { standing, retry_after_s: seconds_up(wait_ms) })
            }
        }
    }

    /// Says what [`Counter::count`] would say if it enforced; counts nothing.
    ///
    /// # Errors
    /// `RateLimited`.
    pub(super) fn look(&self, subject: &[u8], own: Option<Rate>, now_ms: i64) -> Result<()> {
        let rate = own.unwrap_or(self.rate);
        let charged = self.cells.look(subject, rate, now_ms);
        charged.wait_ms.map_or(Ok(()), |wait_ms| {
            let standing = self.standing(rate, charged);
            Err(Error::RateLimited { standing, retry_after_s: seconds_up(wait_ms) })
        })
    }

    fn standing(&self, rate: Rate, charged: Charged) -> Standing {
        Standing {
            policy: self.policy,
            quota: rate.burst.into(),
            window_s: Some(seconds_up(rate.window_ms())),
            remaining: charged.remaining.into(),
            whole_in_s: seconds_up(charged.whole_in_ms),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            passed: self.passed.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
            shadowed: self.shadowed.load(Ordering::Relaxed),
        }
    }

    /// Names no subject: an address is somebody's.
    fn log(&self, mode: Mode, now_ms: i64) {
        let last = self.logged_at_ms.load(Ordering::Relaxed);
        let is_due = last == i64::MIN || (now_ms - last).abs() >= LOG_EVERY_MS;
        let is_mine = || {
            let swap = self.logged_at_ms.compare_exchange(
                last,
                now_ms,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            swap.is_ok()
        };
        if !is_due || !is_mine() {
            return;
        }
        let (limit, Counts { refused, shadowed, .. }) = (self.policy, self.counts());
        match mode {
            Mode::Shadow => {
                tracing::warn!(
                    limit,
                    shadowed,
                    "requests would be refused if limits were enforced"
                );
            }
            Mode::Enforce => tracing::warn!(limit, refused, "requests are refused by a limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn counter() -> Counter {
        Counter::new("key", Rate { per_minute: 60, burst: 2 }, Cells::new(1, [7; 32]))
    }

    #[test]
    fn shadow_refuses_nothing_and_counts_what_enforcing_would_have_refused() {
        let (shadow, enforced) = (counter(), counter());
        for n in 0..50 {
            let now = NOW + n * 300;
            let refused = enforced.count(b"a", None, Mode::Enforce, now).is_err();
            let before = shadow.counts().shadowed;
            assert!(shadow.count(b"a", None, Mode::Shadow, now).is_ok());
            assert_eq!(shadow.counts().shadowed - before, u64::from(refused));
        }
        let (shadow, enforced) = (shadow.counts(), enforced.counts());
        assert_eq!((shadow.refused, shadow.passed), (0, enforced.passed));
        assert_eq!((shadow.shadowed, enforced.shadowed), (enforced.refused, 0));
        assert!(enforced.refused > 20 && enforced.passed > 10, "{enforced:?}");
    }

    #[test]
    fn a_refusal_names_the_limit_and_when_to_come_back() {
        let counter = counter();
        for remaining in [1, 0] {
            let standing = counter.count(b"a", None, Mode::Enforce, NOW).unwrap();
            assert_eq!((standing.quota, standing.window_s), (2, Some(2)));
            assert_eq!(standing.remaining, remaining);
        }
        let refused = counter.count(b"a", None, Mode::Enforce, NOW + 100).unwrap_err();
        let Error::RateLimited { standing, retry_after_s } = refused else {
            panic!("{refused:?}");
        };
        let expected =
            Standing { policy: "key", quota: 2, window_s: Some(2), remaining: 0, whole_in_s: 2 };
        assert_eq!((standing, retry_after_s), (expected, 1));
    }

    #[test]
    fn a_subject_with_a_rate_of_its_own_is_held_to_that() {
        let (counter, own) = (counter(), Some(Rate { per_minute: 5, burst: 5 }));
        let passed = (0..9).filter(|_| counter.count(b"a", own, Mode::Enforce, NOW).is_ok());
        assert_eq!(passed.count(), 5);
    }
}
