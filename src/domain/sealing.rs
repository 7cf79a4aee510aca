//! Secrets at rest: the master keys, what they seal, and the keys derived from them.
//!
//! AES-256-GCM bound to the place where the ciphertext lies, so that a sealed value moved to
//! another row does not open. Knows no file and no configuration: keys come in as text.

use std::fmt;
use std::sync::{Arc, RwLock};

use aws_lc_rs::hkdf;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret as _, SecretString};

use super::cipher::{Cipher, NONCE};
use super::hex;
use super::key_pair::{KeyPair, KeyPairs, Named};
use super::signing_key::{FIRST, Generation, SigningKeys};
use super::token::Audience;
use crate::error::{Error, Result};

/// A nonce of 12 bytes and the ciphertext with its tag, as they lie in the database.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(pub Vec<u8>);

/// Where a sealed value lies. The ciphertext opens nowhere else.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The table's name.
    pub table: &'a str,
    /// The column's name.
    pub column: &'a str,
    /// The tenant's id.
    pub tenant: &'a str,
    /// The row's key within the tenant, for instance `key_…/2` for a second generation.
    pub key: &'a str,
}

/// The service's master keys, at least one: the first seals and signs, all open and verify. The
/// list may be replaced while it is used.
pub struct MasterKeys {
    list: RwLock<Arc<Vec<MasterKey>>>,
    /// Which generation of a tenant's derived keys signs and verifies.
    pub signing: SigningKeys,
    pairs: KeyPairs,
}

/// Why a list of master keys is refused. One line: what is wrong, and the repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadMasterKey {
    /// The list is empty.
    #[error("no master key is given, so no secret can be sealed: make one with `{REMEDY}`")]
    Missing,
    /// One text is not 32 bytes.
    #[error(
        "master key {number} is not 32 bytes as 64 hex digits or base64: make one with `{REMEDY}`"
    )]
    Malformed {
        /// Counted from 1.
        number: usize,
    },
    /// One key was not drawn at random.
    #[error("master key {number} can be guessed, it {why}: make a random one with `{REMEDY}`")]
    Guessable {
        /// Counted from 1.
        number: usize,
        /// The pattern that gave it away.
        why: &'static str,
    },
}

impl MasterKeys {
    /// Reads keys of 32 bytes, each 64 hex digits or base64 (either alphabet); white space around
    /// a key is ignored.
    ///
    /// # Errors
    /// [`BadMasterKey`] when there is none, or when one is malformed or evidently not random.
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, BadMasterKey> {
        let mut keys = Vec::new();
        for (index, text) in texts.into_iter().enumerate() {
            let number = index + 1;
            let bytes = bytes_of(text.trim()).ok_or(BadMasterKey::Malformed { number })?;
            if let Some(why) = pattern_in(&bytes) {
                return Err(BadMasterKey::Guessable { number, why });
            }
            keys.push(MasterKey::new(&bytes));
        }
        if keys.is_empty() {
            return Err(BadMasterKey::Missing);
        }
        let list = RwLock::new(Arc::new(keys));
        Ok(Self { list, signing: SigningKeys::default(), pairs: KeyPairs::default() })
    }

    /// Goes on with the keys of `other`. What is under way ends with those that it began with.
    pub fn replace(&self, other: &Self) {
        let keys = other.all();
        *self.list.write().unwrap_or_else(std::sync::PoisonError::into_inner) = keys;
        self.pairs.forget();
    }

    /// A name for each key, first to last: 16 hex digits that tell nothing else of it.
    pub fn fingerprints(&self) -> Vec<String> {
        self.all().iter().map(MasterKey::fingerprint).collect()
    }

    /// Which of the keys sealed a value for `place`, counted from 0; `None` when none of them did.
    pub fn sealer(&self, place: Place<'_>, sealed: &Sealed) -> Option<usize> {
        self.opened(place, sealed).map(|(at, _)| at)
    }

    /// The value sealed by the first key; `None` when it is already.
    ///
    /// # Errors
    /// As [`MasterKeys::open`].
    pub fn reseal(
        &self,
        place: Place<'_>,
        nonce: [u8; NONCE],
        sealed: &Sealed,
    ) -> Result<Option<Sealed>> {
        match self.opened(place, sealed) {
            Some((0, _)) => Ok(None),
            Some((_, plain)) => Ok(Some(self.seal(place, nonce, &plain))),
            None => Err(does_not_open(place)),
        }
    }

    /// The key-check row sealed by the first key; `None` when it is already.
    ///
    /// # Errors
    /// As [`MasterKeys::open`].
    pub fn reseal_key_check(&self, nonce: [u8; NONCE], check: &Sealed) -> Result<Option<Sealed>> {
        self.reseal(KEY_CHECK, nonce, check)
    }

    /// Which of the keys sealed the key-check row.
    pub fn key_check_sealer(&self, check: &Sealed) -> Option<usize> {
        self.sealer(KEY_CHECK, check)
    }

    /// Seals `plain` for `place`. `nonce` must be fresh random bytes, never used before.
    ///
    /// # Panics
    /// When `plain` is longer than 64 GiB.
    pub fn seal(&self, place: Place<'_>, nonce: [u8; NONCE], plain: &SecretString) -> Sealed {
        let plain = plain.expose_secret().as_bytes();
        Sealed(self.all()[0].sealing.seal(nonce, &place.additional_data(), &[plain]))
    }

    /// Opens what was sealed for `place` by any of the keys.
    ///
    /// # Errors
    /// `Internal` when no key opens it: another master key, another place, or a damaged value.
    pub fn open(&self, place: Place<'_>, sealed: &Sealed) -> Result<SecretString> {
        let opened = self.opened(place, sealed);
        opened.map(|(_, plain)| plain).ok_or_else(|| does_not_open(place))
    }

    fn opened(&self, place: Place<'_>, sealed: &Sealed) -> Option<(usize, SecretString)> {
        self.all().iter().enumerate().find_map(|(at, key)| Some((at, key.open(place, sealed)?)))
    }

    /// A sealed known text for the key-check row, written when a database is made.
    pub fn key_check(&self, nonce: [u8; NONCE]) -> Sealed {
        self.seal(KEY_CHECK, nonce, &SecretString::from(KEY_CHECK_TEXT))
    }

    /// Whether one of these keys wrote the key-check row. Nothing else in the database opens when
    /// this is false, so the service must not start.
    pub fn opens_key_check(&self, check: &Sealed) -> bool {
        self.open(KEY_CHECK, check).is_ok_and(|text| text.expose_secret() == KEY_CHECK_TEXT)
    }

    /// The secret that signs a tenant's token for an audience, issued at `issued_s` (seconds since
    /// 1970), where a secret signs it. A few microseconds: not worth a cache.
    pub fn signing_key(&self, tenant: &str, audience: &str, issued_s: i64) -> [u8; 32] {
        let generation = self.signing.signing(tenant, issued_s.saturating_mul(1000));
        self.secret(tenant, audience, generation)
    }

    /// The secret of a generation that signs.
    pub fn secret(&self, tenant: &str, audience: &str, generation: Generation) -> [u8; 32] {
        self.all()[0].derive(tenant, audience, generation.number)
    }

    /// The secrets of a generation, one of each master key, the signing one first, each derived
    /// when it is asked for.
    pub fn secrets<'a>(
        &self,
        tenant: &'a str,
        audience: &'a str,
        generation: Generation,
    ) -> impl Iterator<Item = [u8; 32]> + use<'a> {
        let keys = self.all();
        (0..keys.len()).map(move |at| keys[at].derive(tenant, audience, generation.number))
    }

    /// The secrets that verify such a token at `now_ms`, as [`MasterKeys::secrets`]; none when the
    /// generation that signed it is retired.
    pub fn verifying_keys<'a>(
        &self,
        tenant: &'a str,
        audience: &'a str,
        issued_s: i64,
        now_ms: i64,
    ) -> impl Iterator<Item = [u8; 32]> + use<'a> {
        let issued_ms = issued_s.saturating_mul(1000);
        let generation = self.signing.verifying(tenant, issued_ms, now_ms);
        generation.map(|it| self.secrets(tenant, audience, it)).into_iter().flatten()
    }

    /// The key pairs of a generation that signs with EdDSA, one of each master key, the signing one
    /// first.
    pub fn key_pairs<'a>(
        &'a self,
        tenant: &'a str,
        audience: Audience,
        generation: Generation,
    ) -> impl Iterator<Item = Arc<KeyPair>> + use<'a> {
        let keys = self.all();
        (0..keys.len()).map(move |at| {
            let (key, generation) = (&keys[at], generation.number);
            let named = Named { master: key.name, tenant, audience, generation };
            self.pairs.pair(named, || key.seed(tenant, audience, generation))
        })
    }

    /// What seals the one answer that is kept under a claim.
    pub fn answer_cipher(&self, tenant: &str, claim: &[u8; 32]) -> Cipher {
        self.all()[0].answer_cipher(tenant, claim)
    }

    /// The ciphers of which one sealed that answer, the sealing one first.
    pub fn answer_ciphers(&self, tenant: &str, claim: &[u8; 32]) -> Vec<Cipher> {
        self.all().iter().map(|key| key.answer_cipher(tenant, claim)).collect()
    }

    fn all(&self) -> Arc<Vec<MasterKey>> {
        Arc::clone(&self.list.read().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "MasterKeys({} redacted)", self.all().len())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Sealed({} bytes)", self.0.len())
    }
}

impl<'a> Place<'a> {
    /// Of one generation of an embed key's secret; `name` as [`generation_name`].
    pub fn key_secret(tenant: &'a str, name: &'a str) -> Self {
        Self { table: "key_secrets", column: "sealed", tenant, key: name }
    }

    /// Of one generation of a webhook endpoint's secret; `name` as [`generation_name`].
    pub fn webhook_secret(tenant: &'a str, name: &'a str) -> Self {
        Self { table: "webhook_secrets", column: "sealed", tenant, key: name }
    }

    /// Of the secret that signs a tenant's `customerToken`s.
    pub fn identity_secret(tenant: &'a str) -> Self {
        Self { table: "tenants", column: "identity_secret", tenant, key: "" }
    }

    fn additional_data(self) -> Vec<u8> {
        let Self { table, column, tenant, key } = self;
        format!("{table}|{column}|{tenant}|{key}").into_bytes()
    }
}

/// The row's key of one generation of what `id` names.
pub fn generation_name(id: &str, generation: i64) -> String {
    format!("{id}/{generation}")
}

fn does_not_open(Place { table, column, .. }: Place<'_>) -> Error {
    Error::Internal(format!(
        "a sealed value of {table}.{column} does not open: it was sealed by another master key, \
         moved or damaged; configure the key that sealed it"
    ))
}

const REMEDY: &str = "openssl rand -hex 32";
const KEY_CHECK: Place<'static> =
    Place { table: "key_check", column: "sealed", tenant: "", key: "" };
const KEY_CHECK_TEXT: &str = "vestibule key check";

/// One master key, split by HKDF so that no two uses share key bytes.
struct MasterKey {
    name: [u8; 8],
    sealing: Cipher,
    root: hkdf::Prk,
}

impl MasterKey {
    fn new(bytes: &[u8; 32]) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vestibule master key 1").extract(bytes);
        let sealing = Zeroizing::new(expand(&root, &[b"sealing"]));
        let mut name = [0; 8];
        name.copy_from_slice(&expand(&root, &[b"fingerprint"])[..8]);
        Self { name, sealing: Cipher::new(&sealing), root }
    }

    fn open(&self, place: Place<'_>, sealed: &Sealed) -> Option<SecretString> {
        let plain = self.sealing.open(&place.additional_data(), &sealed.0)?;
        Some(SecretString::from(std::str::from_utf8(&plain).ok()?))
    }

    fn fingerprint(&self) -> String {
        hex::encode(&self.name)
    }

    fn answer_cipher(&self, tenant: &str, claim: &[u8; 32]) -> Cipher {
        let key = Zeroizing::new(expand(&self.root, &[b"kept answer", claim, tenant.as_bytes()]));
        Cipher::new(&key)
    }

    fn derive(&self, tenant: &str, audience: &str, generation: i64) -> [u8; 32] {
        // The length keeps ("a", "bc") and ("ab", "c") apart.
        let length = (tenant.len() as u64).to_be_bytes();
        let (tenant, audience) = (tenant.as_bytes(), audience.as_bytes());
        if generation == FIRST {
            return expand(&self.root, &[b"session", &length, tenant, audience]);
        }
        let generation = generation.to_be_bytes();
        expand(&self.root, &[b"session generation", &generation, &length, tenant, audience])
    }

    /// A use of its own: what is published must have nothing in common with an HMAC secret.
    fn seed(&self, tenant: &str, audience: Audience, generation: i64) -> Zeroizing<[u8; 32]> {
        let length = (tenant.len() as u64).to_be_bytes();
        let (generation, audience) = (generation.to_be_bytes(), audience.name().as_bytes());
        let info = [b"session ed25519 seed", &generation[..], &length, tenant.as_bytes(), audience];
        Zeroizing::new(expand(&self.root, &info))
    }
}

fn expand(root: &hkdf::Prk, info: &[&[u8]]) -> [u8; 32] {
    let mut key = [0; 32];
    root.expand(info, hkdf::HKDF_SHA256)
        .and_then(|okm| okm.fill(&mut key))
        .expect("HKDF-SHA256 gives 32 bytes");
    key
}

fn bytes_of(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    const ANY_PADDING: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabets = [base64::alphabet::STANDARD, base64::alphabet::URL_SAFE];
    let of_base64 = || {
        alphabets.iter().find_map(|alphabet| {
            let bytes = GeneralPurpose::new(alphabet, ANY_PADDING).decode(text).ok()?;
            let bytes = Zeroizing::new(bytes);
            <[u8; 32]>::try_from(bytes.as_slice()).ok()
        })
    };
    hex::decode(text.as_bytes()).or_else(of_base64).map(Zeroizing::new)
}

/// The pattern that 32 random bytes do not show: each of these has less than one chance in 2⁴⁰.
fn pattern_in(bytes: &[u8; 32]) -> Option<&'static str> {
    let distinct = bytes.iter().collect::<std::collections::BTreeSet<_>>().len();
    let step = |pair: &[u8]| pair[1].wrapping_sub(pair[0]);
    let first_step = step(&bytes[..2]);
    if bytes.iter().all(|byte| *byte == 0) {
        Some("is all zero")
    } else if distinct < 16 {
        Some("repeats a few bytes")
    } else if bytes.windows(2).all(|pair| step(pair) == first_step) {
        Some("counts up or down, as keys in examples do")
    } else if bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        Some("is typed text, not random bytes")
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
