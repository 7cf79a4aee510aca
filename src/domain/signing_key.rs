//! Which generation of a tenant's session-signing key signs and verifies a token, and how.
//!
//! A token's generation follows from when it was issued, and the algorithm from the generation, so
//! no token has a say in either: a new one is pending until every instance knows it, then active;
//! the one before verifies what it signed until its time is over, then it is retired. A tenant
//! that never rotated has generation 1 for ever, which signs with HS256.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::token::LONGEST_LIFETIME_S;
use crate::error::{Error, Result};

/// One generation of a tenant's signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// The owner.
    pub tenant: String,
    /// Counts up with each rotation, from 1.
    pub generation: i64,
    /// How it signs.
    pub algorithm: SigningAlgorithm,
    /// From when on it signs, milliseconds since 1970, a whole second.
    pub active_from: i64,
    /// From when on its successor signs; `None` while there is none.
    pub signs_until: Option<i64>,
    /// Until when it verifies; `None` while it has no successor.
    pub accepted_until: Option<i64>,
}

/// How the tokens of the embed and iframe surfaces are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SigningAlgorithm {
    /// HMAC-SHA256: the service alone verifies.
    Hs256,
    /// Ed25519: whoever reads the public key verifies.
    Eddsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Hs256, Self::Eddsa];

    /// Its word in documents, commands and the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "hs256",
            Self::Eddsa => "eddsa",
        }
    }
}

/// A generation as a token meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation {
    /// Counts up with each rotation, from 1.
    pub number: i64,
    /// How it signs.
    pub algorithm: SigningAlgorithm,
}

/// What a rotation asks for.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// How long the older generation verifies once the new one signs, seconds.
    pub overlap_s: u32,
    /// How the new one signs; `None` as the one before.
    pub algorithm: Option<SigningAlgorithm>,
    /// For how long others keep public keys, seconds.
    pub cached_s: u32,
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

impl Generation {
    const FIRST: Self = Self { number: FIRST, algorithm: SigningAlgorithm::Hs256 };
}

/// How long a new generation is pending at least, seconds: longer than an instance takes to hear
/// of it.
const PENDING_S: i64 = 2;

impl SigningKey {
    /// What a tenant has that never rotated.
    pub fn first(tenant: &str) -> Self {
        Self {
            tenant: tenant.to_owned(),
            generation: FIRST,
            algorithm: SigningAlgorithm::Hs256,
            active_from: 0,
            signs_until: None,
            accepted_until: None,
        }
    }

    /// As tokens meet it.
    pub fn generation(&self) -> Generation {
        Generation { number: self.generation, algorithm: self.algorithm }
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

/// The generations of a tenant that is made now, newest first; none when the first one is all there
/// is. Whatever the new tenant signs with, an instance that has not heard of it signs as
/// [`SigningKey::first`], so that is what signs until every instance has.
pub fn begun(tenant: &str, algorithm: SigningAlgorithm, now_ms: i64) -> Vec<SigningKey> {
    match algorithm {
        SigningAlgorithm::Hs256 => Vec::new(),
        SigningAlgorithm::Eddsa => {
            // Of no token that is older than the tenant; see `is_bridge`.
            let oldest_s = now_ms.div_euclid(1000) - LONGEST_LIFETIME_S;
            let first = SigningKey { active_from: oldest_s * 1000, ..SigningKey::first(tenant) };
            let first = vec![first];
            succeeded(tenant, first, algorithm, (PENDING_S, LONGEST_LIFETIME_S), now_ms)
        }
    }
}

/// All generations of a tenant after a rotation, newest first: a new one, pending for two seconds,
/// and what was there before, of which the newest verifies for `overlap_s` more seconds once the
/// new one signs. Without overlap everything older ends when the new one begins; with it, a public
/// key is shown for as long as others keep them before it signs, so that they never miss it.
///
/// # Errors
/// `RotationInProgress` when an older one verifies still, and an overlap is asked for.
pub fn rotated(
    tenant: &str,
    before: &[SigningKey],
    rotation: Rotation,
    now_ms: i64,
) -> Result<Vec<SigningKey>> {
    let Rotation { overlap_s, algorithm, cached_s } = rotation;
    let all = match before {
        [] => vec![SigningKey::first(tenant)],
        some => some.to_vec(),
    };
    let rotated = all.iter().filter(|key| !is_bridge(key));
    let accepted = rotated.filter_map(|key| key.accepted_until).find(|end| now_ms < *end);
    if let Some(ends_at) = accepted.filter(|_| overlap_s > 0) {
        return Err(Error::rotation_in_progress(ends_at, now_ms));
    }
    let algorithm = algorithm.unwrap_or(newest(&all).algorithm);
    let pending_s = match algorithm {
        SigningAlgorithm::Eddsa if overlap_s > 0 => PENDING_S + i64::from(cached_s),
        SigningAlgorithm::Eddsa | SigningAlgorithm::Hs256 => PENDING_S,
    };
    Ok(succeeded(tenant, all, algorithm, (pending_s, i64::from(overlap_s)), now_ms))
}

fn succeeded(
    tenant: &str,
    mut all: Vec<SigningKey>,
    algorithm: SigningAlgorithm,
    (pending_s, overlap_s): (i64, i64),
    now_ms: i64,
) -> Vec<SigningKey> {
    // Tokens count in whole seconds: within one second, one generation signs.
    let active_from = (now_ms.div_euclid(1000) + 1 + pending_s) * 1000;
    let accepted_until = active_from.saturating_add(overlap_s * 1000);
    for old in &mut all {
        old.signs_until = Some(old.signs_until.map_or(active_from, |end| end.min(active_from)));
        let end = old.accepted_until.map_or(accepted_until, |end| end.min(accepted_until));
        old.accepted_until = Some(end);
    }
    let fresh = SigningKey {
        generation: newest(&all).number + 1,
        algorithm,
        active_from,
        ..SigningKey::first(tenant)
    };
    all.insert(0, fresh);
    all
}

/// Whether it only signed until everybody knew what a new tenant signs with: that is no rotation, so
/// a first one may follow while such tokens are valid still.
fn is_bridge(key: &SigningKey) -> bool {
    key.generation == FIRST && key.active_from != SigningKey::first(&key.tenant).active_from
}

fn newest(all: &[SigningKey]) -> Generation {
    let newest = all.iter().max_by_key(|key| key.generation);
    newest.map_or(Generation::FIRST, SigningKey::generation)
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
    pub fn signing(&self, tenant: &str, issued_ms: i64) -> Generation {
        let all = self.all();
        let of_then = all.get(tenant).and_then(|keys| of_time(keys, issued_ms));
        of_then.map_or(Generation::FIRST, SigningKey::generation)
    }

    /// The generation that verifies a token issued at `issued_ms`; `None` when it is retired.
    pub fn verifying(&self, tenant: &str, issued_ms: i64, now_ms: i64) -> Option<Generation> {
        let all = self.all();
        let Some(keys) = all.get(tenant) else { return Some(Generation::FIRST) };
        // Of a tenant that rotated, retired generations need not be among those that are known.
        let key = of_time(keys, issued_ms)?;
        key.accepted_until.is_none_or(|end| now_ms < end).then(|| key.generation())
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

    /// A rotation that keeps the algorithm, with public keys that nobody keeps.
    fn for_overlap(overlap_s: u32) -> Rotation {
        Rotation { overlap_s, algorithm: None, cached_s: 0 }
    }

    fn algorithms() -> impl Strategy<Value = Option<SigningAlgorithm>> {
        prop::option::of(prop::sample::select(&SigningAlgorithm::ALL[..]))
    }

    fn known(all: &[SigningKey]) -> SigningKeys {
        let keys = SigningKeys::default();
        keys.replace(all.to_vec());
        keys
    }

    #[test]
    fn a_generation_is_pending_then_active_then_verifies_then_is_retired() {
        let all = rotated(T, &[], for_overlap(60), 1_000_400).expect("the first rotation");
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
        let signing = |at| keys.signing(T, at).number;
        assert_eq!((signing(1_002_000), signing(1_003_000)), (1, 2));
        assert_eq!(keys.verifying(T, 1_002_000, 1_062_999), Some(old.generation()));
        assert_eq!(keys.verifying(T, 1_002_000, 1_063_000), None, "retired");
        let accepted = known(std::slice::from_ref(new));
        assert_eq!(accepted.verifying(T, 1_002_000, 1_063_000), None, "retired and not known");
        assert_eq!(keys.verifying(T, 1_003_000, 9_000_000), Some(new.generation()));
        assert_eq!(
            keys.signing("ten_b", 1_003_000),
            Generation::FIRST,
            "another tenant is not concerned"
        );
    }

    #[test]
    fn a_second_overlap_is_refused_and_none_ends_all_older_ones() {
        let first = rotated(T, &[], for_overlap(60), 0).expect("the first rotation");
        let refused = rotated(T, &first, for_overlap(1), 10_000);
        assert!(matches!(refused, Err(Error::RotationInProgress { ends_at: 63_000, .. })));
        let all = rotated(T, &first, for_overlap(0), 10_000).expect("no overlap");
        let states: Vec<_> = all.iter().map(|key| key.state(13_000)).collect();
        use SigningState::{Active, Retired};
        assert_eq!(states, [Active, Retired, Retired]);
        assert_eq!(
            rotated(T, &first, for_overlap(1), 63_000).expect("the old one has ended").len(),
            3
        );
    }

    #[test]
    fn a_switch_of_the_algorithm_is_a_new_generation_and_the_old_one_stays_what_it_is() {
        use SigningAlgorithm::{Eddsa, Hs256};
        let to = |algorithm, overlap_s| Rotation { overlap_s, algorithm, cached_s: 60 };
        let all = rotated(T, &[], to(Some(Eddsa), 3600), 0).expect("the first rotation");
        let [new, old] = &all[..] else { panic!("{all:?}") };
        assert_eq!((new.algorithm, old.algorithm), (Eddsa, Hs256));
        assert_eq!(new.active_from, 63_000, "published for as long as others keep keys");
        assert_eq!(old.accepted_until, Some(63_000 + 3_600_000));
        let keys = known(&all);
        assert_eq!(keys.signing(T, 62_999).algorithm, Hs256);
        assert_eq!(keys.signing(T, 63_000).algorithm, Eddsa);
        let verifying = |issued, now| keys.verifying(T, issued, now).map(|it| it.algorithm);
        assert_eq!(verifying(62_999, 3_662_999), Some(Hs256));
        assert_eq!(verifying(62_999, 3_663_000), None);
        let later = 4_000_000;
        let kept = rotated(T, &all, to(None, 3600), later).expect("the old one has ended");
        assert_eq!((kept[0].algorithm, kept[0].active_from), (Eddsa, later + 63_000));
        let lost = rotated(T, &all, to(None, 0), later).expect("no overlap");
        assert_eq!(lost[0].active_from, later + 3_000, "a key that others know ends soon");
        let back = rotated(T, &all, to(Some(Hs256), 3600), later).expect("the old one has ended");
        assert_eq!((back[0].algorithm, back[0].active_from), (Hs256, later + 3_000));
        assert_eq!(back[1].algorithm, Eddsa);
    }

    #[test]
    fn a_key_that_was_to_sign_later_is_overtaken_by_one_without_overlap() {
        let eddsa = Some(SigningAlgorithm::Eddsa);
        let later = Rotation { overlap_s: 60, algorithm: eddsa, cached_s: 60 };
        let all = rotated(T, &[], later, 0).expect("the first rotation");
        let all = rotated(T, &all, Rotation { overlap_s: 0, ..later }, 1_000).expect("no overlap");
        let keys = known(&all);
        let signing = [3_999, 4_000, 63_000, 70_000].map(|at| keys.signing(T, at).number);
        assert_eq!(signing, [1, 3, 3, 3]);
        assert_eq!(keys.verifying(T, 3_999, 4_000), None, "everything older has ended");
    }

    #[test]
    fn a_tenant_begins_with_what_every_instance_takes_it_for() {
        assert_eq!(begun(T, SigningAlgorithm::Hs256, 500), []);
        let keys = known(&begun(T, SigningAlgorithm::Eddsa, 500));
        let stranger = SigningKeys::default();
        assert_eq!(keys.signing(T, 2_999), stranger.signing(T, 2_999));
        assert_eq!(keys.signing(T, 3_000).algorithm, SigningAlgorithm::Eddsa);
        let last = 3_000 + LONGEST_LIFETIME_S * 1000 - 1;
        assert_eq!(keys.verifying(T, 2_999, last), Some(Generation::FIRST));
        // Nor does that keep the tenant from a first rotation, which changes nothing of it.
        let all = begun(T, SigningAlgorithm::Eddsa, 500);
        let all = rotated(T, &all, for_overlap(60), 4_000).expect("the first rotation");
        assert_eq!(known(&all).verifying(T, 2_999, last), None, "within the new overlap");
        assert_eq!(known(&all).verifying(T, 2_999, 60_000), Some(Generation::FIRST));
        let again = rotated(T, &all, for_overlap(60), 5_000);
        assert!(matches!(again, Err(Error::RotationInProgress { .. })), "{again:?}");
    }

    proptest! {
        /// However often a tenant rotates: what signs a token verifies it for the whole overlap,
        /// on an instance that heard of it late too, and exactly one generation signs at any time.
        #[test]
        fn what_is_signed_verifies_for_the_whole_overlap(
            steps in vec((1i64..40_000, 1u32..30, algorithms(), 0u32..9), 1..10),
            late in 0i64..2_000,
        ) {
            let (mut all, mut now) = (vec![SigningKey::first(T)], 0);
            for (pause, overlap_s, algorithm, cached_s) in steps {
                now += pause;
                let stale = known(&all);
                let rotation = Rotation { overlap_s, algorithm, cached_s };
                let Ok(next) = rotated(T, &all, rotation, now) else { continue };
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
