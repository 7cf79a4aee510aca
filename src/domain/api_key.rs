//! What is kept of a bearer credential: its SHA-256, never the credential.
//!
//! API keys, cache keys and admin tokens hold 256 random bits, so there is nothing to stretch.

use std::fmt;

use aws_lc_rs::{constant_time, digest};

use super::hex;

/// The SHA-256 of an API key, a cache key or an admin token.
#[derive(Clone, Copy)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// The hash of a credential as it was presented.
    pub fn of(credential: &str) -> Self {
        let digest = digest::digest(&digest::SHA256, credential.as_bytes());
        Self(digest.as_ref().try_into().expect("SHA-256 gives 32 bytes"))
    }

    /// By what the store finds it: 64 lower-case hex digits.
    pub fn lookup(&self) -> String {
        hex::encode(&self.0)
    }

    /// The 32 bytes, as the store keeps them of a cache key.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What a log may show of a credential: enough to find it again, not to find it out.
    pub fn prefix(&self) -> [u8; 4] {
        let [a, b, c, d, ..] = self.0;
        [a, b, c, d]
    }

    /// Whether `presented` is of the same credential, in constant time.
    pub fn matches(&self, presented: &Self) -> bool {
        constant_time::verify_slices_are_equal(&self.0, &presented.0).is_ok()
    }
}

/// The first 8 hex digits alone.
impl fmt::Debug for KeyHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyHash({}…)", hex::encode(&self.prefix()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::KeyHash;

    /// The vector of FIPS 180-2 for `abc`.
    #[test]
    fn the_lookup_is_the_hex_sha256() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(KeyHash::of("abc").lookup(), expected);
        assert_eq!(format!("{:?}", KeyHash::of("abc")), "KeyHash(ba7816bf…)");
    }

    proptest! {
        /// A hash matches its own credential and no other.
        #[test]
        fn a_hash_matches_only_its_credential(a in "[a-c]{0,3}", b in "[a-c]{0,3}") {
            prop_assert_eq!(KeyHash::of(&a).matches(&KeyHash::of(&b)), a == b);
        }
    }
}
