//! Requests that take effect once: what tells one from another, and how its answer is kept.
//!
//! An answer may hold a token or a secret, so it is kept sealed, together with the fingerprint of
//! the request it answers, by a key that is derived for this one answer: answers are as many as
//! requests, too many for random nonces under one key.
//!
//! Nothing kept is sealed again when the master key is rotated. It is gone after the time that the
//! document keeps it (24 hours), and until then the old master key must stay configured after the
//! new one. Without it a repeated request fails instead of taking effect twice.

use aws_lc_rs::digest;

use super::cipher::NONCE;
use super::sealing::MasterKeys;
use crate::error::{Error, Result};

/// A request with a key.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The tenant's id; empty for the operator.
    pub tenant: &'a str,
    /// The id of the credential that was shown.
    pub credential: &'a str,
    /// The operation's id.
    pub operation: &'a str,
    /// The key.
    pub key: &'a str,
    /// Path and query.
    pub address: &'a str,
    /// The page that asks, where pages may.
    pub origin: Option<&'a str>,
    /// The raw body.
    pub body: &'a [u8],
}

/// Under what an answer is kept: a hash of the tenant, the credential, the operation and the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim(pub [u8; SHA256]);

/// What a key stands for once it was used: a hash of everything else that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint([u8; SHA256]);

impl Request<'_> {
    /// Under what its answer is kept.
    pub fn claim(&self) -> Claim {
        let Self { tenant, credential, operation, key, .. } = self;
        Claim(hash(&[tenant, credential, operation, key].map(|text| text.as_bytes())))
    }

    /// What a repetition must be equal in.
    pub fn fingerprint(&self) -> Fingerprint {
        // The octet keeps a page without an origin and one with an empty one apart.
        let (has_origin, origin) = ([u8::from(self.origin.is_some())], self.origin);
        let (address, origin) = (self.address.as_bytes(), origin.unwrap_or_default().as_bytes());
        Fingerprint(hash(&[address, &has_origin, origin, self.body]))
    }
}

/// Seals `answer` for its place. `nonce` must be random.
///
/// # Panics
/// When `answer` is longer than 64 GiB.
pub fn seal(
    keys: &MasterKeys,
    (tenant, claim): (&str, Claim),
    nonce: [u8; NONCE],
    fingerprint: Fingerprint,
    answer: &str,
) -> Vec<u8> {
    // The key is of the place already, so there is nothing more to bind the ciphertext to.
    keys.answer_cipher(tenant, &claim.0).seal(nonce, b"", &[&fingerprint.0, answer.as_bytes()])
}

/// Opens what [`seal`] sealed for this place, if it answers this request.
///
/// # Errors
/// `IdempotencyKeyReused` when it answers another request; `Internal` when no master key opens it.
pub fn open(
    keys: &MasterKeys,
    (tenant, claim): (&str, Claim),
    fingerprint: Fingerprint,
    sealed: &[u8],
) -> Result<String> {
    let ciphers = keys.answer_ciphers(tenant, &claim.0);
    let opened = ciphers.iter().find_map(|cipher| cipher.open(b"", sealed)).ok_or_else(|| {
        Error::Internal(
            "a kept answer does not open: it was sealed by another master key, moved or damaged; \
             configure the key that sealed it for a day after its rotation"
                .into(),
        )
    })?;
    let answer = opened.strip_prefix(&fingerprint.0).ok_or(Error::IdempotencyKeyReused)?;
    let answer = std::str::from_utf8(answer);
    answer.map(str::to_owned).map_err(|_| Error::Internal("a kept answer is no text".into()))
}

const SHA256: usize = digest::SHA256_OUTPUT_LEN;

/// Lengths keep ("a", "bc") and ("ab", "c") apart.
fn hash(parts: &[&[u8]]) -> [u8; SHA256] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    context.finish().as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const OLD: &str = "9d1f0c6b7a5e4d3c2b1a09f8e7d6c5b4a3928170605f4e3d2c1b0a9f8e7d6c5b";
    const NEW: &str = "4f8e2a6c1b9d7053e8a4c6f20d1b3957a6e4c2f08d5b3a1978e6c4f2a0d8b693";

    fn keys(texts: &[&str]) -> MasterKeys {
        MasterKeys::parse(texts.iter().copied()).expect("random keys")
    }

    fn request<'a>(key: &'a str, body: &'a [u8]) -> Request<'a> {
        let (tenant, credential, operation) = ("ten_a", "key_a", "thingCreate");
        Request { tenant, credential, operation, key, address: "/v1", origin: None, body }
    }

    proptest! {
        /// An answer opens as it was sealed, for its own request and place alone.
        #[test]
        fn an_answer_opens_for_its_own_request_alone(
            answer in ".{0,64}",
            body in proptest::collection::vec(any::<u8>(), 0..16),
            other in proptest::collection::vec(any::<u8>(), 0..16),
            nonce in any::<[u8; 12]>(),
        ) {
            let (mine, keys) = (request("k", &body), keys(&[OLD]));
            let place = ("ten_a", mine.claim());
            let sealed = seal(&keys, place, nonce, mine.fingerprint(), &answer);
            prop_assert_eq!(open(&keys, place, mine.fingerprint(), &sealed).unwrap(), answer);
            let foreign = open(&keys, ("ten_b", mine.claim()), mine.fingerprint(), &sealed);
            prop_assert!(matches!(foreign, Err(Error::Internal(_))));
            let changed = open(&keys, place, request("k", &other).fingerprint(), &sealed);
            prop_assert_eq!(matches!(changed, Err(Error::IdempotencyKeyReused)), body != other);
        }
    }

    #[test]
    fn every_part_of_a_request_tells_it_from_others() {
        let one = request("k", b"{}");
        let claims = [
            one,
            Request { tenant: "ten_b", ..one },
            Request { credential: "key_b", ..one },
            Request { operation: "keyCreate", ..one },
            Request { key: "l", ..one },
            Request { credential: "key_at", operation: "hingCreate", ..one },
        ];
        let prints = [
            one,
            Request { address: "/v1?a", ..one },
            Request { origin: Some(""), ..one },
            Request { origin: Some("https://a.example"), ..one },
            Request { body: b"{ }", ..one },
        ];
        let claims: std::collections::HashSet<_> = claims.map(|it| it.claim()).into();
        let prints: std::collections::HashSet<_> = prints.map(|it| it.fingerprint().0).into();
        assert_eq!((claims.len(), prints.len()), (6, 5));
    }

    #[test]
    fn rotated_master_key_still_opens_what_it_sealed() {
        let (mine, old) = (request("k", b"{}"), keys(&[OLD]));
        let place = ("ten_a", mine.claim());
        let sealed = seal(&old, place, [7; 12], mine.fingerprint(), "answer");
        let both = open(&keys(&[NEW, OLD]), place, mine.fingerprint(), &sealed);
        assert_eq!(both.unwrap(), "answer");
        let without = open(&keys(&[NEW]), place, mine.fingerprint(), &sealed);
        assert!(matches!(without, Err(Error::Internal(_))), "never a second effect");
    }
}
