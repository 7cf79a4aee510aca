//! The place of a time among ids that sort by the time they were made at.
//!
//! How such ids are made is [`super::base32`]'s to say. Draws nothing itself.

use super::base32;

/// The last time that ids hold, milliseconds since 1970.
const LAST_MS: i64 = (1 << 43) - 1;

/// What no id made at `at_ms` or later sorts before, and every id made earlier does.
pub fn floor(prefix: &str, at_ms: i64) -> String {
    base32::with_prefix(prefix, base32::number_at(at_ms.clamp(0, LAST_MS), 0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn made(at_ms: i64, random: u128) -> String {
        base32::with_prefix("ses_", base32::number_at(at_ms, random))
    }

    proptest! {
        /// A time is a place among ids: those made before it sort before it, all others do not.
        #[test]
        fn a_time_is_a_place_among_ids(
            made_ms in 0i64..1 << 43,
            at_ms in 0i64..1 << 43,
            random: u128,
        ) {
            prop_assert_eq!(made(made_ms, random) < floor("ses_", at_ms), made_ms < at_ms);
            prop_assert!(made(made_ms, random) >= floor("ses_", made_ms));
        }
    }

    #[test]
    fn times_beyond_all_ids_are_at_their_ends() {
        assert_eq!(floor("a", i64::MIN), floor("a", 0));
        assert!(floor("a", i64::MAX) > floor("a", 1 << 42));
    }
}
