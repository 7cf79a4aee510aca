//! How many messages a user may send, over all sessions of one `uid`.
//!
//! What a request says about them and what is then remembered; counting is not done here.

use serde::{Deserialize, Serialize};

use super::key::Mode;

/// Accepted user messages per window; a window without a number is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Per hour, aligned in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hourly: Option<i64>,
    /// Per day, aligned in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily: Option<i64>,
    /// Per ISO week, aligned in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weekly: Option<i64>,
    /// Per month, aligned in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<i64>,
}

/// What a request does to the limits of its `uid`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LimitsChange {
    /// `limits` was not given: they stay.
    #[default]
    Keep,
    /// `limits` was `null`: there are none any more.
    Clear,
    /// `limits` was an object: it replaces all that was set before.
    Set(Limits),
}

/// What a request does to the limits that hold for keys of its key's mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitsOf {
    /// Live and test keys limit and count a user apart.
    pub mode: Mode,
    /// What is done to them.
    pub change: LimitsChange,
}

impl LimitsChange {
    /// This, for what keys of a mode count.
    pub fn of(self, mode: Mode) -> LimitsOf {
        LimitsOf { mode, change: self }
    }

    /// What holds after the request, given what held before.
    pub fn apply(self, before: Option<Limits>) -> Option<Limits> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(limits) => Some(limits),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits() -> impl Strategy<Value = Limits> {
        let window = || proptest::option::of(0i64..1000);
        (window(), window(), window(), window())
            .prop_map(|(hourly, daily, weekly, monthly)| Limits { hourly, daily, weekly, monthly })
    }

    fn change() -> impl Strategy<Value = LimitsChange> {
        prop_oneof![
            Just(LimitsChange::Keep),
            Just(LimitsChange::Clear),
            limits().prop_map(LimitsChange::Set)
        ]
    }

    proptest! {
        /// The last request that says anything about limits decides all of them.
        #[test]
        fn the_last_word_wins(changes in proptest::collection::vec(change(), 0..6)) {
            let held = changes.iter().fold(None, |before, change| change.apply(before));
            let last = changes.iter().rev().find(|change| **change != LimitsChange::Keep);
            prop_assert_eq!(held, last.and_then(|change| change.apply(None)));
        }

        /// Limits stored as JSON read back the same.
        #[test]
        fn limits_survive_storage(limits in limits()) {
            let json = serde_json::to_string(&limits).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<Limits>(&json).expect("limits"), limits);
        }
    }
}
