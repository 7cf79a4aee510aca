//! AES-256-GCM as it lies in the database: the nonce, the ciphertext, the tag.
//!
//! Knows neither where a key comes from nor what is sealed by it.

use aws_lc_rs::aead;
use secrecy::zeroize::Zeroizing;

/// Bytes of a nonce.
pub const NONCE: usize = aead::NONCE_LEN;

/// One key, ready to seal and open.
pub struct Cipher(aead::LessSafeKey);

impl Cipher {
    /// Of 32 bytes.
    pub fn new(key: &[u8; 32]) -> Self {
        let key = aead::UnboundKey::new(&aead::AES_256_GCM, key).expect("AES-256 takes 32 bytes");
        Self(aead::LessSafeKey::new(key))
    }

    /// Seals `parts`, one behind the other; it opens with the same `bound_to` alone. `nonce` must be
    /// fresh random bytes, never used before under this key.
    ///
    /// # Panics
    /// When they are longer than 64 GiB.
    pub fn seal(&self, nonce: [u8; NONCE], bound_to: &[u8], parts: &[&[u8]]) -> Vec<u8> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        // Reserved once: a reallocation would leave a copy of a secret behind.
        let mut sealed = Vec::with_capacity(NONCE + length + aead::AES_256_GCM.tag_len());
        sealed.extend_from_slice(&nonce);
        parts.iter().for_each(|part| sealed.extend_from_slice(part));
        let tag = self.0.seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(bound_to),
            &mut sealed[NONCE..],
        );
        let tag = tag.expect("what is sealed is shorter than the cipher's limit");
        sealed.extend_from_slice(tag.as_ref());
        sealed
    }

    /// Opens what [`Cipher::seal`] made; `None` when this key did not, or not for `bound_to`.
    pub fn open(&self, bound_to: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = sealed.split_first_chunk::<NONCE>()?;
        let nonce = aead::Nonce::assume_unique_for_key(*nonce);
        let mut text = Zeroizing::new(text.to_vec());
        let plain = self.0.open_in_place(nonce, aead::Aad::from(bound_to), &mut text).ok()?.len();
        text.truncate(plain);
        Some(text)
    }
}
