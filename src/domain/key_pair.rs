//! Ed25519 key pairs that sign tokens: made of a seed, named by what they are for, shown in half.
//!
//! Knows neither how seeds are derived nor what a token is.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use quick_cache::Equivalent;
use quick_cache::sync::Cache;
use secrecy::zeroize::Zeroizing;

use super::token::Audience;

/// The public half in base64url, and the `kid` that tokens name it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    /// 32 bytes, RFC 8037's `x`.
    pub x: String,
    /// `ten_….embed.2.kPrK_qmxVWaYVA9w`: tenant, surface, generation, and the beginning of the
    /// key's thumbprint, which tells the keys of several master keys apart. None of the parts has a
    /// full stop, so no two keys are called the same.
    pub kid: String,
}

/// Both halves.
pub struct KeyPair {
    /// What may be shown.
    pub public: PublicKey,
    /// The public half as bytes.
    pub verifying: [u8; 32],
    /// The secret half in PKCS #8 (RFC 8410).
    pub signing: Zeroizing<Vec<u8>>,
}

impl KeyPair {
    /// The pair of a seed (RFC 8032's private key).
    ///
    /// # Panics
    /// Never: every 32 bytes are a seed.
    pub fn of_seed(seed: &[u8; 32], tenant: &str, audience: Audience, generation: i64) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("a seed is 32 bytes");
        let verifying = pair.public_key().as_ref();
        let verifying: [u8; 32] = verifying.try_into().expect("a public key is 32 bytes");
        let x = URL_SAFE_NO_PAD.encode(verifying);
        let (surface, print) = (audience.surface(), thumbprint(&x));
        let kid = format!("{tenant}.{surface}.{generation}.{}", &print[..THUMBPRINT]);
        let signing = Zeroizing::new([PKCS8_OF_A_SEED, seed].concat());
        Self { public: PublicKey { x, kid }, verifying, signing }
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "KeyPair({}, redacted)", self.public.kid)
    }
}

/// How much of a thumbprint stands in a `kid`: 96 bits.
const THUMBPRINT: usize = 16;

/// What stands before the seed in PKCS #8: version 0, id-Ed25519, and the wrapping of 32 bytes.
const PKCS8_OF_A_SEED: &[u8] = &[
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// RFC 7638, of an Ed25519 key (RFC 8037, appendix A.3).
fn thumbprint(x: &str) -> String {
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

/// The pairs that were made lately: making one takes as long as signing with it.
pub struct KeyPairs(Cache<Name, Arc<KeyPair>>);

/// Beyond this many, some are made anew: about half a kilobyte each.
const MOST: usize = 16_384;

impl Default for KeyPairs {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl KeyPairs {
    /// The pair of a tenant's generation for a surface by one master key; `seed` is asked when it
    /// is not at hand.
    pub fn pair(
        &self,
        named: Named<'_>,
        seed: impl FnOnce() -> Zeroizing<[u8; 32]>,
    ) -> Arc<KeyPair> {
        if let Some(pair) = self.0.get(&named) {
            return pair;
        }
        let Named { master, tenant, audience, generation } = named;
        let pair = Arc::new(KeyPair::of_seed(&seed(), tenant, audience, generation));
        let name = Name { master, tenant: tenant.to_owned(), audience, generation };
        self.0.insert(name, Arc::clone(&pair));
        pair
    }

    /// Forgets all of them.
    pub fn forget(&self) {
        self.0.clear();
    }
}

/// What a pair is of.
#[derive(Clone, Copy, Hash)]
pub struct Named<'a> {
    /// The master key's fingerprint.
    pub master: [u8; 8],
    /// The tenant's id.
    pub tenant: &'a str,
    /// The surface.
    pub audience: Audience,
    /// See [`super::signing_key`].
    pub generation: i64,
}

/// [`Named`] with a text of its own; both hash alike.
#[derive(PartialEq, Eq, Hash)]
struct Name {
    master: [u8; 8],
    tenant: String,
    audience: Audience,
    generation: i64,
}

impl Equivalent<Name> for Named<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        let Self { master, tenant, audience, generation } = *self;
        (master, tenant, audience, generation)
            == (name.master, &*name.tenant, name.audience, name.generation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::hex;

    const TENANT: &str = "ten_k5xw2vq7m3n4p6r7sabcdefghi";

    fn pair(seed: &str) -> KeyPair {
        let seed = hex::decode(seed.as_bytes()).expect("hex");
        KeyPair::of_seed(&seed, TENANT, Audience::Embed, 2)
    }

    /// RFC 8037, appendix A: the key of RFC 8032's first vector as a JWK, and its thumbprint.
    #[test]
    fn the_key_of_rfc_8037_is_shown_and_named_as_there() {
        let pair = pair("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        assert_eq!(pair.public.x, "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
        assert_eq!(thumbprint(&pair.public.x), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
        assert_eq!(pair.public.kid, format!("{TENANT}.embed.2.kPrK_qmxVWaYVA9w"));
        assert_eq!(
            format!("{pair:?}"),
            format!("KeyPair({TENANT}.embed.2.kPrK_qmxVWaYVA9w, redacted)")
        );
    }

    /// RFC 8032, section 7.1: seed, public key, message and signature.
    #[test]
    fn the_vectors_of_rfc_8032_hold() {
        let vectors = [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                "",
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                "72",
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                "af82",
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
        ];
        for (seed, public, message, signature) in vectors {
            let pair = pair(seed);
            assert_eq!(hex::encode(&pair.verifying), public);
            let message: Vec<u8> = (0..message.len() / 2)
                .map(|at| u8::from_str_radix(&message[2 * at..2 * at + 2], 16).expect("hex"))
                .collect();
            let signing = Ed25519KeyPair::from_pkcs8(&pair.signing).expect("PKCS #8");
            assert_eq!(hex::encode(signing.sign(&message).as_ref()), signature);
        }
    }

    #[test]
    fn a_pair_is_made_once_and_never_taken_for_another() {
        let pairs = KeyPairs::default();
        let at = |master: u8, tenant, audience, generation| Named {
            master: [master; 8],
            tenant,
            audience,
            generation,
        };
        let all = [
            at(1, "ten_a", Audience::Embed, 1),
            at(2, "ten_a", Audience::Embed, 1),
            at(1, "ten_b", Audience::Embed, 1),
            at(1, "ten_a", Audience::Iframe, 1),
            at(1, "ten_a", Audience::Embed, 2),
        ];
        for (seed, named) in all.into_iter().enumerate() {
            let seed = Zeroizing::new([u8::try_from(seed).expect("few"); 32]);
            pairs.pair(named, || seed);
        }
        let kids = all.map(|named| pairs.pair(named, || panic!("made anew")).public.kid.clone());
        assert_eq!(std::collections::BTreeSet::from(kids).len(), all.len());
        pairs.forget();
        let again = Zeroizing::new([9; 32]);
        assert_eq!(
            *pairs.pair(all[0], || again.clone()).signing,
            [PKCS8_OF_A_SEED, &*again].concat()
        );
    }
}
