//! Rotating a key's credential: a new one beside the old one, which ends at a time.
//!
//! At no instant more than two are accepted, and the newest never ends by itself. Pure: the new
//! credential and the time are given.

use super::key::{Kept, Key, KeySecret};
use crate::error::{Error, Result};

/// The generation of the next credential of a key.
pub fn next_generation(key: &Key) -> i64 {
    key.secrets.iter().map(|secret| secret.generation).max().unwrap_or(0).saturating_add(1)
}

/// The key with `fresh` as its newest credential. What was the newest is accepted for `overlap_s`
/// more seconds; without overlap everything older ends at once. What has ended is dropped.
///
/// # Errors
/// `RotationInProgress` when two are accepted already and the overlap would make it three.
pub fn rotated(key: &Key, fresh: KeySecret, overlap_s: u32, now_ms: i64) -> Result<Key> {
    let mut live: Vec<_> = key.secrets.iter().filter(|old| old.is_live(now_ms)).cloned().collect();
    if overlap_s == 0 {
        live.clear();
    }
    if let Some(ends_at) = live.iter().find_map(|old| old.not_after) {
        return Err(Error::rotation_in_progress(ends_at, now_ms));
    }
    let end = now_ms.saturating_add(i64::from(overlap_s) * 1000);
    let old = live.into_iter().map(|old| KeySecret { not_after: Some(end), ..old });
    let lookup = match &fresh.kept {
        Kept::Lookup(lookup) => lookup.clone(),
        // An embed key keeps its public id.
        Kept::Sealed(_) => key.lookup.clone(),
    };
    Ok(Key { lookup, secrets: std::iter::once(fresh).chain(old).collect(), ..key.clone() })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::key::tests::chat_key;

    fn fresh(key: &Key, now_ms: i64) -> KeySecret {
        let generation = next_generation(key);
        let kept = Kept::Lookup(format!("pk_live_{generation}"));
        KeySecret { generation, kept, created_at: now_ms, not_after: None }
    }

    fn live(key: &Key, now_ms: i64) -> Vec<i64> {
        let live = key.secrets.iter().filter(|secret| secret.is_live(now_ms));
        live.map(|secret| secret.generation).collect()
    }

    #[test]
    fn the_old_credential_ends_with_the_overlap_to_the_millisecond() {
        let key = chat_key();
        let key = rotated(&key, fresh(&key, 1_000), 60, 1_000).expect("one was live");
        assert_eq!((live(&key, 60_999), live(&key, 61_000)), (vec![2, 1], vec![2]));
        assert_eq!(key.lookup, "pk_live_2");
        assert_eq!(key.generation_of("pk_live_1", 60_999), Some(1));
        assert_eq!(key.generation_of("pk_live_1", 61_000), None);
        assert_eq!(key.generation_of("pk_live_2", 61_000), Some(2));
        assert_eq!(key.generation_of("pk_live_3", 1_000), None);
    }

    #[test]
    fn a_third_credential_is_refused_until_the_oldest_has_ended() {
        let key = chat_key();
        let key = rotated(&key, fresh(&key, 0), 60, 0).expect("one was live");
        let refused = rotated(&key, fresh(&key, 59_999), 1, 59_999);
        assert!(matches!(
            refused,
            Err(Error::RotationInProgress { ends_at: 60_000, retry_after_s: 1 })
        ));
        let third = rotated(&key, fresh(&key, 60_000), 1, 60_000).expect("one is live");
        assert_eq!(live(&third, 60_000), [3, 2]);
        let at_once = rotated(&key, fresh(&key, 10), 0, 10).expect("nothing overlaps");
        assert_eq!(live(&at_once, 10), [3]);
    }

    proptest! {
        /// However a key is rotated: at most two credentials are accepted at any time, the newest
        /// is, generations count up by one, and each is accepted from its making until its end.
        #[test]
        fn two_are_accepted_at_most_and_the_newest_is(
            steps in vec((1i64..5_000, 0u32..4), 1..12),
        ) {
            let (mut key, mut now, mut newest) = (chat_key(), 0, 1);
            for (pause, overlap_s) in steps {
                now += pause;
                let before = live(&key, now);
                match rotated(&key, fresh(&key, now), overlap_s, now) {
                    Ok(next) => {
                        newest += 1;
                        let kept = if overlap_s == 0 { vec![] } else { before };
                        let expected: Vec<_> = std::iter::once(newest).chain(kept).collect();
                        prop_assert_eq!(live(&next, now), expected);
                        let end = now + i64::from(overlap_s) * 1000;
                        prop_assert_eq!(live(&next, end), vec![newest]);
                        key = next;
                    }
                    Err(Error::RotationInProgress { ends_at, retry_after_s }) => {
                        prop_assert!(before.len() == 2 && overlap_s > 0 && ends_at > now);
                        prop_assert!(rotated(&key, fresh(&key, now), 0, now).is_ok());
                        let later = now + retry_after_s * 1000;
                        prop_assert!(rotated(&key, fresh(&key, later), 1, later).is_ok());
                        prop_assert_eq!(live(&key, ends_at).len(), 1);
                    }
                    Err(other) => panic!("{other:?}"),
                }
                prop_assert!(live(&key, now).len() <= 2 && live(&key, now).contains(&newest));
                prop_assert_eq!(next_generation(&key), newest + 1);
            }
        }
    }
}
