//! The laws of sealing and of the keys that may seal.

use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::*;

const PLACE: Place<'static> =
    Place { table: "key_secrets", column: "secret", tenant: "ten_a", key: "key_a" };
const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
const OTHER: &str = "c9a1f4d27b3e58069d41cc83f25e7ab0143f9de2865b7c10ea47d3b95f6820c4";

fn keys(texts: &[&str]) -> MasterKeys {
    MasterKeys::parse(texts.iter().copied()).expect("these keys are random")
}

proptest! {
    /// What is sealed for a place opens there and gives the same text.
    #[test]
    fn opening_undoes_sealing(plain in ".{0,200}", nonce: [u8; 12]) {
        let sealed = keys(&[KEY]).seal(PLACE, nonce, &SecretString::from(plain.as_str()));
        let opened = keys(&[KEY]).open(PLACE, &sealed).expect("the same key and place");
        prop_assert_eq!(opened.expose_secret(), plain.as_str());
        prop_assert_eq!(&sealed.0[..12], &nonce);
    }

    /// One flipped bit anywhere makes a sealed value useless.
    #[test]
    fn a_damaged_value_does_not_open(nonce: [u8; 12], at in 0usize..41, bit in 0u8..8) {
        let mut sealed = keys(&[KEY]).seal(PLACE, nonce, &SecretString::from("ysk_secret_12"));
        sealed.0[at] ^= 1 << bit;
        prop_assert!(keys(&[KEY]).open(PLACE, &sealed).is_err());
    }

    /// Two different pairs of tenant and audience never share a signing key.
    #[test]
    fn derived_keys_are_apart(
        a in "[ab]{0,4}",
        b in "[ab]{0,4}",
        c in "[ab]{0,4}",
        d in "[ab]{0,4}",
    ) {
        let keys = keys(&[KEY]);
        prop_assert_eq!(keys.signing_key(&a, &b, 0) == keys.signing_key(&c, &d, 0), (a, b) == (c, d));
    }

    /// Random bytes are accepted as a master key, in hex and in either base64.
    #[test]
    fn random_keys_are_accepted(bytes: [u8; 32]) {
        prop_assume!(pattern_in(&bytes).is_none());
        let forms = [hex::encode(&bytes), STANDARD.encode(bytes), URL_SAFE_NO_PAD.encode(bytes)];
        let derived = forms.map(|form| keys(&[&form]).signing_key("t", "a", 0));
        prop_assert_eq!(derived[0], derived[1]);
        prop_assert_eq!(derived[0], derived[2]);
    }

    /// A text that is not 32 bytes is refused, whatever it is.
    #[test]
    fn keys_of_another_length_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        prop_assume!(bytes.len() != 32);
        for text in [hex::encode(&bytes), STANDARD.encode(&bytes)] {
            // 64 hex digits are one key, but also base64 of 48 bytes: hex wins.
            prop_assume!(text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()));
            prop_assert!(MasterKeys::parse([text.as_str()]).is_err());
        }
    }
}

#[test]
fn a_moved_value_does_not_open() {
    let sealed = keys(&[KEY]).seal(PLACE, [7; 12], &SecretString::from("ysk_secret"));
    let elsewhere = [
        Place { table: "tenants", ..PLACE },
        Place { column: "other", ..PLACE },
        Place { tenant: "ten_b", ..PLACE },
        Place { key: "key_b", ..PLACE },
    ];
    for place in elsewhere {
        assert!(keys(&[KEY]).open(place, &sealed).is_err(), "opened at {place:?}");
    }
}

#[test]
fn the_first_key_seals_and_all_open() {
    let old = keys(&[KEY]).seal(PLACE, [1; 12], &SecretString::from("old"));
    let rotated = keys(&[OTHER, KEY]);
    assert_eq!(rotated.open(PLACE, &old).expect("the old key is listed").expose_secret(), "old");
    let new = rotated.seal(PLACE, [2; 12], &SecretString::from("new"));
    assert!(keys(&[OTHER]).open(PLACE, &new).is_ok());
    assert!(keys(&[KEY]).open(PLACE, &new).is_err());
    assert_eq!(rotated.signing_key("t", "a", 0), keys(&[OTHER]).signing_key("t", "a", 0));
    let all = [keys(&[OTHER]).signing_key("t", "a", 0), keys(&[KEY]).signing_key("t", "a", 0)];
    assert!(rotated.verifying_keys("t", "a", 0, 0).eq(all));
}

#[test]
fn a_wrong_master_key_is_noticed_by_the_key_check() {
    let check = keys(&[KEY]).key_check([3; 12]);
    assert!(keys(&[KEY]).opens_key_check(&check));
    assert!(keys(&[OTHER, KEY]).opens_key_check(&check));
    assert!(!keys(&[OTHER]).opens_key_check(&check));
    assert!(!keys(&[KEY]).opens_key_check(&Sealed(Vec::new())));
}

#[test]
fn guessable_keys_are_refused_with_the_repair() {
    let counting = hex::encode(&std::array::from_fn::<u8, 32, _>(|i| i as u8));
    let typed = STANDARD.encode(b"correct horse battery staple 123");
    let repeated = "deadbeef".repeat(8);
    let cases = [
        ("00".repeat(32), "is all zero"),
        ("ab".repeat(32), "repeats a few bytes"),
        (repeated, "repeats a few bytes"),
        (counting, "counts up or down, as keys in examples do"),
        (typed, "is typed text, not random bytes"),
    ];
    for (text, why) in cases {
        let refused = MasterKeys::parse([KEY, text.as_str()]).expect_err("a weak key");
        assert_eq!(refused, BadMasterKey::Guessable { number: 2, why });
        let line = refused.to_string();
        assert!(line.contains("openssl rand -hex 32") && !line.contains('\n'), "{line}");
        assert!(!line.contains(&text), "the refusal repeats the key");
    }
    assert_eq!(MasterKeys::parse([]).expect_err("none"), BadMasterKey::Missing);
    let short = MasterKeys::parse(["abc123"]).expect_err("a short key");
    assert_eq!(short, BadMasterKey::Malformed { number: 1 });
}

#[test]
fn debug_shows_no_secret() {
    let keys = keys(&[KEY]);
    let sealed = keys.seal(PLACE, [1; 12], &SecretString::from("x"));
    assert_eq!(format!("{keys:?} {sealed:?}"), "MasterKeys(1 redacted) Sealed(29 bytes)");
}

#[test]
fn generations_have_keys_of_their_own_and_the_first_is_as_ever() {
    use crate::domain::signing_key;
    let (plain, rotated) = (keys(&[KEY]), keys(&[KEY]));
    let rotation = signing_key::Rotation { overlap_s: 60, algorithm: None, cached_s: 0 };
    let all = signing_key::rotated("t", &[], rotation, 0).expect("the first rotation");
    rotated.signing.replace(all);
    let of = |keys: &MasterKeys, issued_s| keys.signing_key("t", "a", issued_s);
    assert_eq!(of(&rotated, 2), of(&plain, 2));
    assert_ne!(of(&rotated, 3), of(&plain, 3));
    assert!(rotated.verifying_keys("t", "a", 3, 100_000).eq([of(&rotated, 3)]));
    assert!(rotated.verifying_keys("t", "a", 2, 62_999).eq([of(&plain, 2)]));
    assert_eq!(rotated.verifying_keys("t", "a", 2, 63_000).count(), 0, "retired");
}

#[test]
fn a_key_pair_has_nothing_in_common_with_the_secret_of_the_same_name() {
    use crate::domain::signing_key::{Generation, SigningAlgorithm};
    let (all, audience) = (keys(&[KEY, OTHER]), Audience::Embed);
    for number in [1, 2] {
        let generation = Generation { number, algorithm: SigningAlgorithm::Eddsa };
        let secrets = all.secrets("t", audience.name(), generation);
        let pairs = all.key_pairs("t", audience, generation);
        for (secret, pair) in secrets.zip(pairs) {
            assert!(!pair.signing.ends_with(&secret) && pair.verifying != secret);
        }
        let kids: Vec<_> = all.key_pairs("t", audience, generation).collect();
        assert_ne!(kids[0].public, kids[1].public, "each master key has its own");
    }
}
