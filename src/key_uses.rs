//! When keys were used last and from which origins: noted in memory, written in batches.
//!
//! A request costs a short lock and, but for the first use since the last batch, no allocation.
//! Memory is bounded: what does not fit is noted at its next use. Only keys that were accepted get
//! here, so nobody fills it with inventions.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::domain::key::{Key, NotedUse};
use crate::error::Result;
use crate::store::Store;

/// Uses that are not written yet.
pub struct KeyUses {
    hasher: RandomState,
    shards: [Mutex<HashMap<String, NotedUse>>; SHARDS],
}

const SHARDS: usize = 16;
/// Keys of one shard between two batches.
const MOST_KEYS: usize = 256;
/// New origins of one key between two batches.
const MOST_ORIGINS: usize = 8;

impl Default for KeyUses {
    fn default() -> Self {
        let shards = std::array::from_fn(|_| Mutex::default());
        Self { hasher: RandomState::new(), shards }
    }
}

impl KeyUses {
    /// Notes that a key, or a token of one of its sessions, was accepted at `now_ms`.
    pub fn note(&self, key: &Key, now_ms: i64, origin: Option<&str>) {
        let mut shard = self.shard(&key.id).lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(noted) = shard.get_mut(&key.id) {
            return note(noted, now_ms, origin);
        }
        if shard.len() < MOST_KEYS {
            let mut fresh = NotedUse {
                tenant: key.tenant.clone(),
                key: key.id.clone(),
                at: now_ms,
                origins: Vec::new(),
            };
            note(&mut fresh, now_ms, origin);
            shard.insert(key.id.clone(), fresh);
        }
    }

    /// Writes what was noted. After a failure it is noted as before.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn flush(&self, store: &Store) -> Result<()> {
        let noted = self.take();
        if noted.is_empty() {
            return Ok(());
        }
        let written = store.note_key_uses(noted.clone()).await;
        if written.is_err() {
            self.put_back(noted);
        }
        written
    }

    fn shard(&self, key: &str) -> &Mutex<HashMap<String, NotedUse>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        &self.shards[hash]
    }

    fn take(&self) -> Vec<NotedUse> {
        let all = self.shards.iter().flat_map(|shard| {
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *shard).into_values()
        });
        all.collect()
    }

    fn put_back(&self, noted: Vec<NotedUse>) {
        for old in noted {
            let mut shard = self.shard(&old.key).lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(newer) = shard.get_mut(&old.key) {
                note(newer, old.at, None);
                for (origin, at) in &old.origins {
                    note(newer, *at, Some(origin));
                }
                continue;
            }
            if shard.len() < MOST_KEYS {
                shard.insert(old.key.clone(), old);
            }
        }
    }
}

fn note(noted: &mut NotedUse, now_ms: i64, origin: Option<&str>) {
    noted.at = noted.at.max(now_ms);
    let Some(origin) = origin else { return };
    if noted.origins.len() < MOST_ORIGINS && !noted.origins.iter().any(|(seen, _)| seen == origin) {
        noted.origins.push((origin.to_owned(), now_ms));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key::tests::chat_key;

    fn key(id: usize) -> Key {
        Key { id: format!("key_{id}"), ..chat_key() }
    }

    #[test]
    fn a_key_is_noted_once_with_its_latest_time_and_distinct_origins() {
        let uses = KeyUses::default();
        for (now, origin) in [(5, Some("https://a")), (9, Some("https://b")), (7, None)] {
            uses.note(&key(1), now, origin);
            uses.note(&key(1), now, Some("https://a"));
        }
        let noted = uses.take();
        assert_eq!((noted.len(), noted[0].at), (1, 9));
        let seen = [("https://a".to_owned(), 5), ("https://b".to_owned(), 9)];
        assert_eq!(noted[0].origins, seen);
        assert!(uses.take().is_empty());
    }

    #[test]
    fn memory_is_bounded_whatever_is_noted() {
        let uses = KeyUses::default();
        for n in 0..20_000 {
            uses.note(&key(n), 1, None);
            uses.note(&key(0), 1, Some(&format!("https://{n}.example")));
        }
        let noted = uses.take();
        assert!(noted.len() <= SHARDS * MOST_KEYS, "{}", noted.len());
        assert!(noted.iter().all(|it| it.origins.len() <= MOST_ORIGINS));
    }

    #[test]
    fn what_could_not_be_written_is_noted_as_before() {
        let uses = KeyUses::default();
        uses.note(&key(1), 5, Some("https://a"));
        let taken = uses.take();
        uses.note(&key(1), 3, Some("https://b"));
        uses.put_back(taken);
        let noted = uses.take();
        assert_eq!((noted[0].at, noted[0].origins.len()), (5, 2));
    }
}
