//! Which generation of a tenant's session-signing key signs and verifies a token.
//!
//! A token's generation follows from when it was issued, so no claim has to say it: a new one is
//! pending until every instance knows it, then active; the one before verifies what it signed until
//! its time is over, then it is retired. A tenant that never rotated has generation 1 for ever.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::error::{Error, Result};

/// One generation of a tenant's signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The owner.
    pub tenant: String,
    /// Counts up with each rotation, from 1.
    pub generation: i64,
    /// From when on it signs, milliseconds since 1970, a whole second.
    pub active_from: i64,
    /// From when on its successor signs; `None` while there is none.
    pub signs_until: Option<i64>,
    /// Until when it verifies; `None` while it has no successor.
    pub accepted_until: Option<i64>,
}

/// What a generation does at some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningState {
    /// It is to be known everywhere before it signs.
    Pending,
    /// It signs and verifies.
    Active,
    /// It verifies what it signed.
    VerifyOnly,
    /// It does nothing any more.
    Retired,
}

impl SigningState {
    /// Its word in documents and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::VerifyOnly => "verify-only",
            Self::Retired => "retired",
        }
    }
}

/// The generation that every tenant begins with.
pub const FIRST: i64 = 1;

/// How long a new generation is pending at least, seconds: longer than an instance takes to hear
/// of it.
const PENDING_S: i64 = 2;

impl SigningKey {
    /// What a tenant has that never rotated.
    pub fn first(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            generation: FIRST,
            active_from: 0,
            signs_until: None,
            accepted_until: None,
        }
    }

    /// What it does at `now_ms`.
    pub fn state(&self, now_ms: i64) -> SigningState {
        if self.accepted_until.is_some_and(|end| now_ms >= end) {
            return SigningState::Retired;
        }
        if now_ms < self.active_from {
            return SigningState::Pending;
        }
        match self.signs_until {
            Some(end) if now_ms >= end => SigningState::VerifyOnly,
            Some(_) | None => SigningState::Active,
        }
    }
}

/// All generations of a tenant after a rotation, newest first: a new one, pending for two seconds,
/// and what was there before, of which the newest verifies for `overlap_s` more seconds once the
/// new one signs. Without overlap everything older ends when the new one begins.
///
/// # Errors
/// `RotationInProgress` when an older one verifies still, and an overlap is asked for.
pub fn rotated(
    tenant: &str,
    before: &[SigningKey],
    overlap_s: u32,
    now_ms: i64,
) -> Result<Vec<SigningKey>> {
    let mut all = match before {
        [] => vec![SigningKey::first(tenant)],
        some => some.to_vec(),
    };
    let accepted = all.iter().filter_map(|key| key.accepted_until).find(|end| now_ms < *end);
    if let Some(ends_at) = accepted.filter(|_| overlap_s > 0) {
        return Err(Error::RotationInProgress { ends_at });
    }
    // Tokens count in whole seconds: within one second, one generation signs.
    let active_from = (now_ms.div_euclid(1000) + 1 + PENDING_S) * 1000;
    let accepted_until = active_from.saturating_add(i64::from(overlap_s) * 1000);
    for old in &mut all {
        old.signs_until = Some(old.signs_until.map_or(active_from, |end| end.min(active_from)));
        let end = old.accepted_until.map_or(accepted_until, |end| end.min(accepted_until));
        old.accepted_until = Some(end);
    }
    let newest = all.iter().map(|key| key.generation).max().unwrap_or(FIRST);
    let fresh = SigningKey {
        tenant: tenant.to_owned(),
        generation: newest + 1,
        active_from,
        signs_until: None,
        accepted_until: None,
    };
    all.insert(0, fresh);
    Ok(all)
}

/// The generations of all tenants that ever rotated, as they were heard of last.
#[derive(Debug, Default)]
pub struct SigningKeys(RwLock<Arc<HashMap<String, Vec<SigningKey>>>>);

impl SigningKeys {
    /// Forgets what was known for `all` that there are.
    pub fn replace(&self, all: Vec<SigningKey>) {
        let mut by_tenant: HashMap<String, Vec<SigningKey>> = HashMap::new();
        for key in all {
            by_tenant.entry(key.tenant.clone()).or_default().push(key);
        }
        for keys in by_tenant.values_mut() {
            keys.sort_by_key(|key| std::cmp::Reverse(key.generation));
        }
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(by_tenant);
    }

    /// The generation that signs a token issued at `issued_ms`.
    pub fn signing(&self, tenant: &str, issued_ms: i64) -> i64 {
        let all = self.all();
        let of_then = all.get(tenant).and_then(|keys| of_time(keys, issued_ms));
        of_then.map_or(FIRST, |key| key.generation)
    }

    /// The generation that verifies a token issued at `issued_ms`; `None` when it is retired.
    pub fn verifying(&self, tenant: &str, issued_ms: i64, now_ms: i64) -> Option<i64> {
        let all = self.all();
        let Some(keys) = all.get(tenant) else { return Some(FIRST) };
        // Of a tenant that rotated, retired generations need not be among those that are known.
        let key = of_time(keys, issued_ms)?;
        key.accepted_until.is_none_or(|end| now_ms < end).then_some(key.generation)
    }

    fn all(&self) -> Arc<HashMap<String, Vec<SigningKey>>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The generation that signed at an instant. Of two that begin together the newer one: the older
/// never signed.
fn of_time(newest_first: &[SigningKey], at_ms: i64) -> Option<&SigningKey> {
    newest_first.iter().find(|key| key.active_from <= at_ms)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const T: &str = "ten_a";

    fn known(all: &[SigningKey]) -> SigningKeys {
        let keys = SigningKeys::default();
        keys.replace(all.to_vec());
        keys
    }

    #[test]
    fn a_generation_is_pending_then_active_then_verifies_then_is_retired() {
        let all = rotated(T, &[], 60, 1_000_400).expect("the first rotation");
        let [new, old] = &all[..] else { panic!("{all:?}") };
        assert_eq!((new.generation, old.generation), (2, 1));
        assert_eq!((new.active_from, old.accepted_until), (1_003_000, Some(1_063_000)));
        for (at, of_new, of_old) in [
            (1_002_999, SigningState::Pending, SigningState::Active),
            (1_003_000, SigningState::Active, SigningState::VerifyOnly),
            (1_062_999, SigningState::Active, SigningState::VerifyOnly),
            (1_063_000, SigningState::Active, SigningState::Retired),
        ] {
            assert_eq!((new.state(at), old.state(at)), (of_new, of_old), "{at}");
        }
        let keys = known(&all);
        assert_eq!((keys.signing(T, 1_002_000), keys.signing(T, 1_003_000)), (1, 2));
        assert_eq!(keys.verifying(T, 1_002_000, 1_062_999), Some(1));
        assert_eq!(keys.verifying(T, 1_002_000, 1_063_000), None, "retired");
        let accepted = known(std::slice::from_ref(new));
        assert_eq!(accepted.verifying(T, 1_002_000, 1_063_000), None, "retired and not known");
        assert_eq!(keys.verifying(T, 1_003_000, 9_000_000), Some(2));
        assert_eq!(keys.signing("ten_b", 1_003_000), FIRST, "another tenant is not concerned");
    }

    #[test]
    fn a_second_overlap_is_refused_and_none_ends_all_older_ones() {
        let first = rotated(T, &[], 60, 0).expect("the first rotation");
        let refused = rotated(T, &first, 1, 10_000);
        assert!(matches!(refused, Err(Error::RotationInProgress { ends_at: 63_000 })));
        let all = rotated(T, &first, 0, 10_000).expect("no overlap");
        let states: Vec<_> = all.iter().map(|key| key.state(13_000)).collect();
        use SigningState::{Active, Retired};
        assert_eq!(states, [Active, Retired, Retired]);
        assert_eq!(rotated(T, &first, 1, 63_000).expect("the old one has ended").len(), 3);
    }

    proptest! {
        /// However often a tenant rotates: what signs a token verifies it for the whole overlap,
        /// on an instance that heard of it late too, and exactly one generation signs at any time.
        #[test]
        fn what_is_signed_verifies_for_the_whole_overlap(
            steps in vec((1i64..40_000, 1u32..30), 1..10), late in 0i64..2_000,
        ) {
            let (mut all, mut now) = (vec![SigningKey::first(T)], 0);
            for (pause, overlap_s) in steps {
                now += pause;
                let stale = known(&all);
                let Ok(next) = rotated(T, &all, overlap_s, now) else { continue };
                let fresh = known(&next);
                // Within the pending time both instances sign alike.
                let at = (now + late).div_euclid(1000) * 1000;
                prop_assert_eq!(stale.signing(T, at), fresh.signing(T, at));
                for issued in [at, next[0].active_from] {
                    let signed = fresh.signing(T, issued);
                    let last = next[0].active_from + i64::from(overlap_s) * 1000 - 1;
                    prop_assert_eq!(fresh.verifying(T, issued, last), Some(signed));
                }
                for at in [now, next[0].active_from - 1, next[0].active_from] {
                    let active = next.iter().filter(|it| it.state(at) == SigningState::Active);
                    prop_assert_eq!(active.count(), 1);
                }
                all = next;
            }
        }
    }
}
