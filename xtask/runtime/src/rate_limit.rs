//! How limits are told: one policy with what is left of it, as the fields of the IETF draft
//! "RateLimit header fields for HTTP" (a list of strings with parameters, RFC 9651).
//!
//! Knows no limit and counts nothing.

use std::fmt::Write as _;

use http::HeaderName;

pub(crate) const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
pub(crate) const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// One limit as it stands after a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its name, in characters of a structured string.
    pub policy: &'static str,
    /// How many may pass at once.
    pub quota: i64,
    /// Within how many seconds the whole quota comes back; `None` when no time brings it back.
    pub window_s: Option<i64>,
    /// How many may still pass now.
    pub remaining: i64,
    /// Seconds until the whole quota is there again.
    pub whole_in_s: i64,
}

/// The values of the two header fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitFields {
    /// `RateLimit-Policy`
    pub policy: String,
    /// `RateLimit`
    pub state: String,
}

/// The largest integer of a structured field.
const MOST: i64 = 999_999_999_999_999;

impl RateLimitFields {
    /// The fields that tell all of `standings`; `None` when nothing is limited.
    pub fn of(standings: &[Standing]) -> Option<Self> {
        let (first, rest) = standings.split_first()?;
        let mut fields = Self::from(*first);
        rest.iter().for_each(|standing| fields.add(*standing));
        Some(fields)
    }

    fn add(&mut self, standing: Standing) {
        let Standing { policy, quota, window_s, remaining, whole_in_s } = standing;
        item(&mut self.policy, policy, ("q", quota), window_s.map(|it| ("w", it)));
        item(&mut self.state, policy, ("r", remaining), Some(("t", whole_in_s)));
    }
}

impl From<Standing> for RateLimitFields {
    fn from(standing: Standing) -> Self {
        let mut fields = Self { policy: String::new(), state: String::new() };
        fields.add(standing);
        fields
    }
}

fn item(list: &mut String, name: &str, first: (&str, i64), second: Option<(&str, i64)>) {
    let comma = if list.is_empty() { "" } else { ", " };
    write!(list, "{comma}\"{name}\"").expect("writing to a string cannot fail");
    for (parameter, value) in std::iter::once(first).chain(second) {
        let value = value.clamp(0, MOST);
        write!(list, ";{parameter}={value}").expect("writing to a string cannot fail");
    }
}

/// Milliseconds as whole seconds, rounded up: whoever waits as long comes late rather than early.
pub fn seconds_up(ms: i64) -> i64 {
    let ms = ms.max(0);
    ms / 1000 + i64::from(ms % 1000 > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(policy: &'static str, quota: i64) -> Standing {
        Standing { policy, quota, window_s: Some(60), remaining: 3, whole_in_s: 7 }
    }

    #[test]
    fn limits_are_told_as_lists_of_strings_with_parameters() {
        assert_eq!(RateLimitFields::of(&[]), None);
        let fields =
            RateLimitFields::of(&[standing("key", 5), standing("address", i64::MAX)]).unwrap();
        assert_eq!(fields.policy, "\"key\";q=5;w=60, \"address\";q=999999999999999;w=60");
        assert_eq!(fields.state, "\"key\";r=3;t=7, \"address\";r=3;t=7");
        let endless = RateLimitFields::from(Standing { window_s: None, ..standing("live", 2) });
        assert_eq!(endless.policy, "\"live\";q=2");
    }

    #[test]
    fn seconds_are_rounded_up() {
        assert_eq!([-1, 0, 1, 1000, 1001].map(seconds_up), [0, 0, 1, 1, 2]);
    }
}
