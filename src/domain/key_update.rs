//! Changing a key: exactly the members that were given, and what that changed, for the audit.

use serde_json::{Map, Value, json};

use super::key::{Ceilings, Key, KeySettings};
use super::key_settings::{self, KindMembers, RedemptionMode};
use crate::error::{Error, Result};

/// What an operator wants changed. `None` is a member that was not given and stays.
#[derive(Clone, Debug, Default)]
pub struct KeyChange {
    /// See [`Key::label`].
    pub label: Option<String>,
    /// See [`Key::allowed_origins`]; the whole list.
    pub allowed_origins: Option<Vec<String>>,
    /// See [`Key::idle_timeout_s`].
    pub idle_timeout_s: BoundChange,
    /// See [`Key::max_lifetime_s`].
    pub max_lifetime_s: BoundChange,
    /// See [`Key::ceilings`].
    pub ceilings: CeilingsChange,
    /// What belongs to one kind of key alone.
    pub members: KindMembers,
}

/// What becomes of each ceiling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CeilingsChange {
    /// See [`Ceilings::sessions_per_day`].
    pub sessions_per_day: BoundChange,
    /// See [`Ceilings::live_sessions`].
    pub live_sessions: BoundChange,
    /// See [`Ceilings::requests_per_minute`].
    pub requests_per_minute: BoundChange,
}

impl CeilingsChange {
    /// To exactly these: what they do not have goes.
    pub fn to(whole: Ceilings) -> Self {
        let bound = |most: Option<u32>| most.map_or(BoundChange::Clear, BoundChange::Set);
        Self {
            sessions_per_day: bound(whole.sessions_per_day),
            live_sessions: bound(whole.live_sessions),
            requests_per_minute: bound(whole.requests_per_minute),
        }
    }

    fn of(self, before: Ceilings) -> Ceilings {
        Ceilings {
            sessions_per_day: self.sessions_per_day.of(before.sessions_per_day),
            live_sessions: self.live_sessions.of(before.live_sessions),
            requests_per_minute: self.requests_per_minute.of(before.requests_per_minute),
        }
    }
}

/// What becomes of a bound that may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BoundChange {
    /// It stays.
    #[default]
    Keep,
    /// There is none any more.
    Clear,
    /// It is this: seconds, or how many.
    Set(u32),
}

impl BoundChange {
    fn of(self, before: Option<u32>) -> Option<u32> {
        match self {
            Self::Keep => before,
            Self::Clear => None,
            Self::Set(bound) => Some(bound),
        }
    }
}

/// The key with the change made.
///
/// # Errors
/// `Rules` with every member that is not of the key's kind, what contradicts itself, and every
/// origin that is not a pattern.
pub fn updated(key: &Key, change: &KeyChange) -> Result<Key> {
    let mut violations = key_settings::violations(&key.settings, &change.members);
    let origins = change.allowed_origins.as_deref().unwrap_or_default();
    violations.extend(key_settings::origin_violations(origins));
    if !violations.is_empty() {
        return Err(Error::Rules(violations));
    }
    let old = key.clone();
    Ok(Key {
        label: change.label.clone().unwrap_or(old.label),
        allowed_origins: change.allowed_origins.clone().unwrap_or(old.allowed_origins),
        idle_timeout_s: change.idle_timeout_s.of(old.idle_timeout_s),
        max_lifetime_s: change.max_lifetime_s.of(old.max_lifetime_s),
        ceilings: change.ceilings.of(old.ceilings),
        settings: key_settings::with(old.settings, &change.members),
        ..old
    })
}

/// What differs between two states of a key: each member's value before and after.
pub fn difference(before: &Key, after: &Key) -> Map<String, Value> {
    let (mut before, after) = (members(before), members(after));
    let mut names: Vec<_> = before.keys().chain(after.keys()).cloned().collect();
    names.sort_unstable();
    names.dedup();
    let differing = names.into_iter().filter_map(|name| {
        let from = before.remove(&name).unwrap_or_default();
        let to = after.get(&name).cloned().unwrap_or_default();
        (from != to).then(|| (name, json!({"from": from, "to": to})))
    });
    differing.collect()
}

/// The members of a key that may change, as the admin document shows them. None is secret.
pub fn members(key: &Key) -> Map<String, Value> {
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("label", key.label.as_str().into());
    put("allowedOrigins", json!(key.allowed_origins));
    if let Some(seconds) = key.idle_timeout_s {
        put("idleTimeoutSeconds", seconds.into());
    }
    if let Some(seconds) = key.max_lifetime_s {
        put("maxLifetimeSeconds", seconds.into());
    }
    if key.ceilings != Ceilings::default() {
        put("ceilings", ceilings(key.ceilings));
    }
    match &key.settings {
        KeySettings::Embed { scope } => put("scope", scope.name().into()),
        KeySettings::Chat { allowed_intents, allow_no_origin, identity } => {
            put("allowsAllIntents", allowed_intents.is_none().into());
            if let Some(listed) = allowed_intents {
                put("allowedIntents", json!(listed));
            }
            put("allowNoOrigin", (*allow_no_origin).into());
            put("identity", identity.name().into());
        }
        KeySettings::Iframe { max_redemptions } => {
            put("redemptionMode", RedemptionMode::of(*max_redemptions).name().into());
            put("maxRedemptions", (*max_redemptions).into());
        }
    }
    all
}

/// Ceilings as the admin document shows them.
pub fn ceilings(ceilings: Ceilings) -> Value {
    let all = [
        ("sessionsPerDay", ceilings.sessions_per_day),
        ("liveSessions", ceilings.live_sessions),
        ("requestsPerMinute", ceilings.requests_per_minute),
    ];
    all.into_iter().filter_map(|(name, most)| Some((name.to_owned(), Value::from(most?)))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::option::of;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;
    use crate::domain::key::tests::chat_key;
    use crate::domain::key::{Identity, KeyKind, Scope};

    fn key(kind: KeyKind) -> Key {
        Key { settings: key_settings::narrowest(kind), ..chat_key() }
    }

    fn broken(kind: KeyKind, members: KindMembers) -> Vec<(String, String)> {
        match updated(&key(kind), &KeyChange { members, ..KeyChange::default() }) {
            Ok(_) => Vec::new(),
            Err(Error::Rules(found)) => {
                found.into_iter().map(|it| (it.pointer, it.keyword)).collect()
            }
            Err(other) => panic!("{other:?}"),
        }
    }

    fn one(pointer: &str, keyword: &str) -> Vec<(String, String)> {
        vec![(pointer.to_owned(), keyword.to_owned())]
    }

    #[test]
    fn intents_stay_listed_or_all() {
        let chat = |list: Option<&str>, all| KindMembers {
            allowed_intents: list.map(|name| vec![name.to_owned()]),
            allows_all_intents: all,
            ..KindMembers::default()
        };
        assert_eq!(
            broken(KeyKind::Chat, chat(Some("a"), Some(true))),
            one("/allowsAllIntents", "not")
        );
        assert!(broken(KeyKind::Chat, chat(None, Some(false))).is_empty(), "listed before");
        let change = |members| KeyChange { members, ..KeyChange::default() };
        let all = updated(&key(KeyKind::Chat), &change(chat(None, Some(true)))).expect("fine");
        assert!(updated(&all, &change(chat(None, Some(false)))).is_err(), "what, then?");
        let listed = updated(&all, &change(chat(Some("a"), None))).expect("fine");
        let KeySettings::Chat { allowed_intents: Some(listed), .. } = listed.settings else {
            panic!("listed");
        };
        assert_eq!(listed, ["a"]);
    }

    #[test]
    fn redemption_mode_and_number_agree() {
        let iframe = |redemption_mode, max_redemptions| KindMembers {
            redemption_mode,
            max_redemptions,
            ..KindMembers::default()
        };
        let most = |before: u32, members| {
            let settings = KeySettings::Iframe { max_redemptions: before };
            let key = Key { settings, ..chat_key() };
            let change = KeyChange { members, ..KeyChange::default() };
            updated(&key, &change).map(|key| key.settings).ok()
        };
        let is = |max_redemptions| Some(KeySettings::Iframe { max_redemptions });
        let (single, multiple) = (Some(RedemptionMode::Single), Some(RedemptionMode::Multiple));
        assert_eq!(most(5, iframe(single, None)), is(1));
        assert_eq!(most(5, iframe(multiple, None)), is(5));
        assert_eq!(most(1, iframe(multiple, None)), is(10));
        assert_eq!(most(5, iframe(None, Some(1))), is(1));
        assert_eq!(most(5, iframe(multiple, Some(7))), is(7));
        assert_eq!(most(5, iframe(single, Some(1))), is(1));
        for members in [iframe(single, Some(2)), iframe(multiple, Some(1))] {
            assert_eq!(broken(KeyKind::Iframe, members), one("/redemptionMode", "not"));
        }
    }

    prop_compose! {
        fn change()(
            label in of("[a-z]{1,8}"),
            origins in of(Just(vec!["https://a.example".to_owned()])),
            idle in select(&[BoundChange::Keep, BoundChange::Clear, BoundChange::Set(60)][..]),
            longest in select(&[BoundChange::Keep, BoundChange::Clear, BoundChange::Set(90)][..]),
            live in select(&[BoundChange::Keep, BoundChange::Clear, BoundChange::Set(7)][..]),
            daily in select(&[BoundChange::Keep, BoundChange::Clear, BoundChange::Set(8)][..]),
            identity in of(Just(Identity::Required)),
            allow_no_origin: Option<bool>,
            intents in of(Just(vec!["refund".to_owned()])),
        ) -> KeyChange {
            let members = KindMembers {
                identity, allow_no_origin, allowed_intents: intents, ..KindMembers::default()
            };
            KeyChange {
                label, allowed_origins: origins, idle_timeout_s: idle, max_lifetime_s: longest,
                ceilings: CeilingsChange {
                    live_sessions: live, sessions_per_day: daily, ..CeilingsChange::default()
                },
                members,
            }
        }
    }

    proptest! {
        /// A change touches exactly the members that were given: the others are as they were, those
        /// are what was asked for, and making it twice changes nothing more.
        #[test]
        fn a_change_is_exactly_the_given_members(first in change(), second in change()) {
            let before = updated(&key(KeyKind::Chat), &first).expect("of a chat key");
            let after = updated(&before, &second).expect("of a chat key");
            let (was, is) = (members(&before), members(&after));
            let given = [
                ("label", second.label.is_some()),
                ("allowedOrigins", second.allowed_origins.is_some()),
                ("idleTimeoutSeconds", second.idle_timeout_s != BoundChange::Keep),
                ("maxLifetimeSeconds", second.max_lifetime_s != BoundChange::Keep),
                ("ceilings", second.ceilings != CeilingsChange::default()),
                ("identity", second.members.identity.is_some()),
                ("allowNoOrigin", second.members.allow_no_origin.is_some()),
                ("allowedIntents", second.members.allowed_intents.is_some()),
                ("allowsAllIntents", false),
            ];
            for (name, is_given) in given {
                prop_assert!(is_given || was.get(name) == is.get(name), "{} moved", name);
            }
            if let Some(label) = &second.label {
                prop_assert_eq!(&after.label, label);
            }
            prop_assert_eq!(after.idle_timeout_s, second.idle_timeout_s.of(before.idle_timeout_s));
            let (new, old, asked) = (after.ceilings, before.ceilings, second.ceilings);
            prop_assert_eq!(new.live_sessions, asked.live_sessions.of(old.live_sessions));
            prop_assert_eq!(new.sessions_per_day, asked.sessions_per_day.of(old.sessions_per_day));
            prop_assert_eq!(new.requests_per_minute, old.requests_per_minute);
            let told: Vec<_> = difference(&before, &after).into_iter().map(|(name, _)| name).collect();
            prop_assert!(told.iter().all(|name| was.get(name) != is.get(name)));
            let again = updated(&after, &second).expect("as before");
            prop_assert!(difference(&after, &again).is_empty());
            let untouched = (after.id, after.lookup, after.secrets.len(), after.state, after.mode);
            prop_assert_eq!(
                untouched,
                (before.id, before.lookup, before.secrets.len(), before.state, before.mode)
            );
        }

        /// Members of other kinds are refused by name, whatever the key was.
        #[test]
        fn members_of_other_kinds_are_refused(
            kind in select(&[KeyKind::Embed, KeyKind::Chat, KeyKind::Iframe][..]),
        ) {
            let embed = KindMembers { scope: Some(Scope::Read), ..KindMembers::default() };
            let iframe = KindMembers { max_redemptions: Some(2), ..KindMembers::default() };
            let chat = KindMembers { allow_no_origin: Some(true), ..KindMembers::default() };
            for (own, pointer, members) in [
                (KeyKind::Embed, "/scope", embed),
                (KeyKind::Chat, "/allowNoOrigin", chat),
                (KeyKind::Iframe, "/maxRedemptions", iframe),
            ] {
                let expected =
                    if own == kind { Vec::new() } else { one(pointer, "additionalProperties") };
                prop_assert_eq!(broken(kind, members), expected);
            }
        }
    }
}
