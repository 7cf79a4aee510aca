//! Chat session tokens: `b64url(JSON).b64url(HMAC-SHA256 of the first part)`.
//!
//! No header, hence no algorithm to choose. Keyed per tenant like the JWTs of [`super::token`],
//! for an audience of its own, so that neither kind ever passes for the other.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::sealing::MasterKeys;
use super::token::{Frame, MAX_BYTES, require_frame_in_time};
use crate::error::{Error, Result};

/// How long a chat session lives, seconds.
pub const TTL_S: i64 = 60 * 60;

/// What a chat session token says. The tenant comes first on the wire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatClaims {
    /// The tenant.
    pub tid: String,
    /// The session.
    pub sid: String,
    /// The conversation.
    pub cid: String,
    /// The token.
    pub jti: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Over from this second on, seconds since 1970.
    pub exp: i64,
}

/// Signs claims with the tenant's key. Deterministic.
pub fn mint(keys: &MasterKeys, claims: &ChatClaims) -> String {
    let json = serde_json::to_vec(claims).expect("strings and integers are JSON");
    let payload = URL_SAFE_NO_PAD.encode(json);
    let key =
        hmac::Key::new(hmac::HMAC_SHA256, &keys.signing_key(&claims.tid, AUDIENCE, claims.iat));
    let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key, payload.as_bytes()));
    format!("{payload}.{mac}")
}

/// The claims of a token that is ours and in time.
///
/// # Errors
/// `InvalidToken`; `TokenExpired` only when all else is right with it.
pub fn verify(keys: &MasterKeys, token: &str, now_ms: i64) -> Result<ChatClaims> {
    let (payload, mac, claims) = parse(token).ok_or(Error::InvalidToken)?;
    keys.verifying_keys(&claims.tid, AUDIENCE, claims.iat, now_ms)
        .map(|key| hmac::Key::new(hmac::HMAC_SHA256, &key))
        .find(|key| hmac::verify(key, payload.as_bytes(), &mac).is_ok())
        .ok_or(Error::InvalidToken)?;
    let ChatClaims { ref tid, iat, exp, .. } = claims;
    require_frame_in_time(Frame { tid, iat, nbf: iat, exp }, TTL_S, now_ms)?;
    Ok(claims)
}

/// The claims as they stand, for people to read. Nothing is verified.
pub fn read_unverified(token: &str) -> Option<ChatClaims> {
    parse(token).map(|(_, _, claims)| claims)
}

/// What the signing keys are derived for. Tokens do not say it.
pub const AUDIENCE: &str = "vestibule:chat";

fn parse(token: &str) -> Option<(&str, Vec<u8>, ChatClaims)> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let (payload, mac) = token.split_once('.')?;
    // Strict base64url: one text for one MAC, so that a token cannot be rewritten.
    let mac = URL_SAFE_NO_PAD.decode(mac).ok()?;
    let json = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims = serde_json::from_slice(&json).ok()?;
    Some((payload, mac, claims))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_500;
    const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
    const OTHER: &str = "c9a1f4d27b3e58069d41cc83f25e7ab0143f9de2865b7c10ea47d3b95f6820c4";

    fn keys(texts: &[&str]) -> MasterKeys {
        MasterKeys::parse(texts.iter().copied()).expect("these keys are random")
    }

    fn claims() -> ChatClaims {
        ChatClaims {
            tid: "ten_a".into(),
            sid: "ses_a".into(),
            cid: "3c90c3cc-0d44-4b50-8888-8dd25736052a".into(),
            jti: "tok_a".into(),
            iat: 1_700_000_000,
            exp: 1_700_003_600,
        }
    }

    fn minted() -> String {
        mint(&keys(&[KEY]), &claims())
    }

    #[test]
    fn a_minted_token_verifies_and_begins_with_the_tenant() {
        let token = minted();
        assert_eq!(verify(&keys(&[KEY]), &token, NOW).expect("ours"), claims());
        assert_eq!(token, minted(), "the same claims give the same bytes");
        let json = URL_SAFE_NO_PAD.decode(token.split('.').next().expect("a part")).expect("b64");
        assert!(json.starts_with(br#"{"tid":"ten_a","sid":"#));
        assert!(verify(&keys(&[OTHER, KEY]), &token, NOW).is_ok(), "after a rotation");
        assert!(verify(&keys(&[OTHER]), &token, NOW).is_err());
    }

    #[test]
    fn an_expired_token_is_told_apart_only_when_genuine() {
        let end = claims().exp * 1000;
        assert!(verify(&keys(&[KEY]), &minted(), end - 1).is_ok());
        let expired = verify(&keys(&[KEY]), &minted(), end + 7).expect_err("over");
        assert!(matches!(expired, Error::TokenExpired { skew_ms: 7, .. }), "{expired:?}");
        let forged = verify(&keys(&[OTHER]), &minted(), end).expect_err("forged");
        assert!(matches!(forged, Error::InvalidToken));
    }

    #[test]
    fn a_token_from_the_future_or_of_too_long_a_life_is_refused() {
        let long = ChatClaims { exp: claims().exp + 1, ..claims() };
        let future = ChatClaims { iat: claims().iat + 1, ..claims() };
        for claims in [long, future] {
            let token = mint(&keys(&[KEY]), &claims);
            assert!(matches!(verify(&keys(&[KEY]), &token, NOW), Err(Error::InvalidToken)));
        }
    }

    #[test]
    fn other_shapes_are_refused() {
        let token = minted();
        let (payload, mac) = token.split_once('.').expect("two parts");
        let jwt = format!("eyJhbGciOiJIUzI1NiJ9.{payload}.{mac}");
        let cases = [
            String::new(),
            ".".into(),
            payload.into(),
            format!("{payload}."),
            format!(".{mac}"),
            format!("{token}="),
            format!("{token}."),
            format!("{token} "),
            format!(" {token}"),
            format!("{payload}.{mac}.{mac}"),
            format!("{payload}.{}", &mac[..22]),
            jwt,
        ];
        for case in cases {
            assert!(
                matches!(verify(&keys(&[KEY]), &case, NOW), Err(Error::InvalidToken)),
                "{case}"
            );
        }
    }

    #[test]
    fn unknown_members_are_refused_even_when_signed() {
        let json = br#"{"tid":"ten_a","sid":"s","cid":"c","jti":"t","iat":1700000000,
            "exp":1700003600,"x":1}"#;
        let payload = URL_SAFE_NO_PAD.encode(json);
        let key = hmac::Key::new(
            hmac::HMAC_SHA256,
            &keys(&[KEY]).signing_key("ten_a", AUDIENCE, 1_700_000_000),
        );
        let mac = URL_SAFE_NO_PAD.encode(hmac::sign(&key, payload.as_bytes()));
        assert!(verify(&keys(&[KEY]), &format!("{payload}.{mac}"), NOW).is_err());
    }

    proptest! {
        /// One character changed anywhere makes a token invalid.
        #[test]
        fn a_changed_token_is_refused(
            at in any::<proptest::sample::Index>(),
            to in "[A-Za-z0-9_.-]",
        ) {
            let token = minted();
            let at = at.index(token.len());
            let changed = format!("{}{to}{}", &token[..at], &token[at + 1..]);
            prop_assume!(changed != token);
            prop_assert!(matches!(verify(&keys(&[KEY]), &changed, NOW), Err(Error::InvalidToken)));
        }

        /// No text makes verification panic or pass.
        #[test]
        fn any_text_is_refused(text in ".{0,300}") {
            prop_assert!(verify(&keys(&[KEY]), &text, NOW).is_err());
        }
    }
}
