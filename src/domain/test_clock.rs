//! The clock that a test key moves for one request: who may, and how far.
//!
//! Ahead only. What is over by the service's own time is over by every clock, so that no token
//! comes to life again, and what is remembered until some time, such as a signature that was used,
//! may be forgotten when the service's own time has come there: nobody asks for it by any clock.

use super::key::Mode;
use crate::error::{Error, Result};

/// What a request asks for, beside the service's time. Milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedClock {
    /// The service's own time.
    pub own_ms: i64,
    /// The time that it wants to be handled by.
    pub asked_ms: Option<i64>,
    /// How far ahead that may be.
    pub ahead_ms: i64,
}

impl AskedClock {
    /// The time to choose among the credentials of a key of this mode by. Nothing else is done by
    /// it before [`AskedClock::granted`].
    pub fn claimed_ms(self, mode: Mode) -> i64 {
        match mode {
            Mode::Live => self.own_ms,
            Mode::Test => self.asked_ms.unwrap_or(self.own_ms),
        }
    }

    /// The time that a caller is granted whose key is of this mode, `None` for the operator;
    /// `None` when it asks for none.
    ///
    /// # Errors
    /// `TestClockRefused` when it asks for one and may not have it.
    pub fn granted(self, mode: Option<Mode>) -> Result<Option<i64>> {
        let Some(asked_ms) = self.asked_ms else { return Ok(None) };
        let latest_ms = self.own_ms.saturating_add(self.ahead_ms);
        let reason = match mode {
            None | Some(Mode::Live) => "not a test key",
            Some(Mode::Test) if asked_ms < self.own_ms => "in the past",
            Some(Mode::Test) if asked_ms > latest_ms => "too far ahead",
            Some(Mode::Test) => return Ok(Some(asked_ms)),
        };
        Err(Error::TestClockRefused { reason, server_time_ms: self.own_ms, latest_ms })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(asked_ms: Option<i64>) -> AskedClock {
        AskedClock { own_ms: 1_000, asked_ms, ahead_ms: 500 }
    }

    #[test]
    fn a_clock_is_moved_ahead_within_its_bound_and_no_further() {
        let granted = |ms| asked(Some(ms)).granted(Some(Mode::Test)).ok();
        let tried = [999, 1_000, 1_500, 1_501].map(granted);
        assert_eq!(tried, [None, Some(Some(1_000)), Some(Some(1_500)), None]);
    }

    #[test]
    fn who_asks_for_no_clock_is_refused_none() {
        for mode in [None, Some(Mode::Live), Some(Mode::Test)] {
            assert_eq!(asked(None).granted(mode).ok(), Some(None));
        }
        assert_eq!(asked(None).claimed_ms(Mode::Test), 1_000);
        assert_eq!(asked(Some(1_200)).claimed_ms(Mode::Test), 1_200);
        assert_eq!(asked(Some(1_200)).claimed_ms(Mode::Live), 1_000);
    }

    proptest! {
        /// Neither a live key nor the operator moves a clock, whatever it asks for.
        #[test]
        fn test_keys_alone_move_a_clock(ms: i64, own_ms: i64) {
            for mode in [None, Some(Mode::Live)] {
                let clock = AskedClock { own_ms, asked_ms: Some(ms), ahead_ms: 500 };
                let refused = clock.granted(mode);
                let is_told = matches!(refused, Err(Error::TestClockRefused { server_time_ms, .. })
                    if server_time_ms == own_ms);
                prop_assert!(is_told, "{:?}", refused);
            }
        }
    }
}
