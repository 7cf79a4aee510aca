//! Why a signature does not match: what is signed, where the caller's text departs from it, and
//! which of the usual mistakes made the signature that was sent.
//!
//! Never tells a signature that was not sent: it compares. Knows no key and no time.

use aws_lc_rs::{constant_time, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use super::hex;

/// What a caller sent, taken for granted but for the signature.
#[derive(Clone, Copy, Debug)]
pub struct Attempt<'a> {
    /// The value of the timestamp header.
    pub timestamp: &'a str,
    /// The raw body.
    pub body: &'a [u8],
    /// The signature as it was sent, without a version before it.
    pub signature: &'a str,
}

/// What is the matter with a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Diagnosis {
    /// Nothing: one of the key's secrets made it.
    Matches,
    /// It was made so, by one of the key's secrets.
    Mistaken(Mistake),
    /// Another secret made it, or another text was signed.
    Unknown,
}

/// The usual mistakes: what was signed, with what, and how it was written down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The text that was signed, when it is not what should have been signed.
    pub text: Option<&'static str>,
    /// The key of the MAC, when it is not the secret's own text.
    pub secret: Option<&'static str>,
    /// How the MAC was written, when it is not hexadecimal.
    pub encoding: Option<&'static str>,
}

/// Where two texts part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Bytes that are the same.
    pub offset: usize,
    /// A few characters from there on of what is signed; empty at its end.
    pub expected: String,
    /// The same of what the caller signs.
    pub actual: String,
}

/// Compares a signature with what the secrets make of the right text, then of the usual mistakes.
pub fn diagnose(attempt: &Attempt<'_>, secrets: &[SecretString]) -> Diagnosis {
    let written = written(attempt.signature);
    let texts = texts(attempt);
    for secret in secrets {
        for (keyed, key) in keys(secret) {
            for (said, text) in &texts {
                let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text);
                let same = |(_, mac): &&(Option<&'static str>, Vec<u8>)| {
                    constant_time::verify_slices_are_equal(tag.as_ref(), mac).is_ok()
                };
                let Some((encoding, _)) = written.iter().find(same) else { continue };
                let mistake = Mistake { text: *said, secret: keyed, encoding: *encoding };
                return match mistake {
                    Mistake { text: None, secret: None, encoding: None } => Diagnosis::Matches,
                    Mistake { .. } => Diagnosis::Mistaken(mistake),
                };
            }
        }
    }
    Diagnosis::Unknown
}

/// What version 1 signs: timestamp, full stop, raw body.
pub fn string_to_sign(attempt: &Attempt<'_>) -> Vec<u8> {
    [attempt.timestamp.as_bytes(), b".", attempt.body].concat()
}

/// The first byte at which `actual` departs from `expected`; `None` when they are equal.
pub fn first_difference(expected: &[u8], actual: &[u8]) -> Option<Difference> {
    if expected == actual {
        return None;
    }
    let same = expected.iter().zip(actual).take_while(|(one, other)| one == other).count();
    let shown = |text: &[u8]| {
        String::from_utf8_lossy(&text[same..]).chars().take(SHOWN).collect::<String>()
    };
    Some(Difference { offset: same, expected: shown(expected), actual: shown(actual) })
}

/// Characters of a difference that are shown.
const SHOWN: usize = 24;

/// What the sent text may stand for, hexadecimal first.
fn written(signature: &str) -> Vec<(Option<&'static str>, Vec<u8>)> {
    let trimmed = signature.trim();
    let bare = trimmed.rsplit_once('=').map_or(trimmed, |(prefix, rest)| {
        // `sha256=…` is a prefix, the `=` at the end of base64 is not.
        if rest.is_empty() || prefix.len() > 8 { trimmed } else { rest }
    });
    let hexadecimal = hex::decode::<32>(signature.as_bytes()).map(|mac| (None, mac.to_vec()));
    let prefixed = hex::decode::<32>(bare.as_bytes())
        .map(|mac| (Some("with a prefix or blanks around the hexadecimal digits"), mac.to_vec()));
    let base64 = STANDARD.decode(trimmed).or_else(|_| URL_SAFE_NO_PAD.decode(trimmed)).ok();
    let base64 = base64.map(|mac| (Some("in base64 instead of hexadecimal"), mac));
    hexadecimal.into_iter().chain(prefixed).chain(base64).collect()
}

/// What people take for the key of the MAC, the right one first.
fn keys(secret: &SecretString) -> Vec<(Option<&'static str>, Vec<u8>)> {
    let text = secret.expose_secret();
    let digits = text.rsplit_once('_').map_or(text, |(_, digits)| digits);
    let mut keys = vec![
        (None, text.as_bytes().to_vec()),
        (Some("the secret with a line end after it"), format!("{text}\n").into_bytes()),
        (Some("the secret without its prefix"), digits.as_bytes().to_vec()),
    ];
    if let Some(bytes) = hex::decode::<32>(digits.as_bytes()) {
        keys.push((Some("the secret's digits decoded to bytes"), bytes.to_vec()));
    }
    keys
}

/// What people sign, the right text first.
fn texts(attempt: &Attempt<'_>) -> Vec<(Option<&'static str>, Vec<u8>)> {
    let Attempt { timestamp, body, .. } = *attempt;
    let stamp = timestamp.as_bytes();
    let right = string_to_sign(attempt);
    let with_line_end = [&right, b"\n".as_slice()].concat();
    let mut texts = vec![
        (None, right),
        (Some("the right text and a line end after it"), with_line_end),
        (Some("the body alone, without the timestamp"), body.to_vec()),
        (Some("timestamp and body without the full stop"), [stamp, body].concat()),
        (Some("the body before the timestamp"), [body, b".", stamp].concat()),
    ];
    if let Some(seconds) = stamp.len().checked_sub(3).map(|end| &stamp[..end]) {
        texts.push((Some("the timestamp in seconds"), [seconds, b".", body].concat()));
    }
    let forms = [
        ("the body written again without blanks", respaced(body, false)),
        ("the body written again with a blank after each comma and colon", respaced(body, true)),
    ];
    texts.extend(forms.map(|(said, text)| (Some(said), [stamp, b".", &text].concat())));
    texts
}

/// JSON as other programs write it again, its members in their order.
fn respaced(json: &[u8], with_blanks: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(json.len() * 2);
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json.iter().copied() {
        if in_string {
            in_string = byte != b'"' || is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            text.push(byte);
            continue;
        }
        if byte.is_ascii_whitespace() {
            continue;
        }
        in_string = byte == b'"';
        text.push(byte);
        if with_blanks && matches!(byte, b',' | b':') {
            text.push(b' ');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const STAMP: &str = "1700000000000";
    const BODY: &str = r#"{"employeeId":"64f000000000000000000001","capabilities":["a","b"]}"#;

    fn mac(key: &[u8], text: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
    }

    fn diagnosis(signature: &str) -> Diagnosis {
        let attempt = Attempt { timestamp: STAMP, body: BODY.as_bytes(), signature };
        diagnose(&attempt, &[SecretString::from("ysk_other"), SecretString::from(SECRET)])
    }

    fn mistake(signature: &str) -> Mistake {
        match diagnosis(signature) {
            Diagnosis::Mistaken(mistake) => mistake,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn right_signature_matches_in_either_case() {
        let right = hex::encode(&mac(SECRET.as_bytes(), format!("{STAMP}.{BODY}").as_bytes()));
        assert_eq!(diagnosis(&right), Diagnosis::Matches);
        assert_eq!(diagnosis(&right.to_uppercase()), Diagnosis::Matches);
    }

    #[test]
    fn signed_texts_that_are_wrong_are_named() {
        let cases = [
            (BODY.to_owned(), "the body alone"),
            (format!("{STAMP}{BODY}"), "without the full stop"),
            (format!("{BODY}.{STAMP}"), "the body before"),
            (format!("1700000000.{BODY}"), "in seconds"),
            (format!("{STAMP}.{BODY}\n"), "a line end after it"),
            (
                format!(
                    "{STAMP}.{}",
                    r#"{"employeeId": "64f000000000000000000001", "capabilities": ["a", "b"]}"#
                ),
                "with a blank after each comma",
            ),
        ];
        for (text, words) in cases {
            let found = mistake(&hex::encode(&mac(SECRET.as_bytes(), text.as_bytes())));
            assert!(found.text.is_some_and(|it| it.contains(words)), "{text}: {found:?}");
            assert_eq!((found.secret, found.encoding), (None, None));
        }
    }

    #[test]
    fn wrong_keys_and_wrong_encodings_are_named() {
        let text = format!("{STAMP}.{BODY}");
        let of = |key: &[u8]| hex::encode(&mac(key, text.as_bytes()));
        let line_end = mistake(&of(format!("{SECRET}\n").as_bytes()));
        assert!(line_end.secret.is_some_and(|it| it.contains("line end")), "{line_end:?}");
        let bare = mistake(&of(&SECRET.as_bytes()[4..]));
        assert!(bare.secret.is_some_and(|it| it.contains("prefix")), "{bare:?}");
        let bytes: Vec<u8> = (0..32).collect();
        assert!(mistake(&of(&bytes)).secret.is_some_and(|it| it.contains("decoded")));
        let right = mac(SECRET.as_bytes(), text.as_bytes());
        let base64 = mistake(&STANDARD.encode(&right));
        assert_eq!((base64.text, base64.secret), (None, None));
        assert!(base64.encoding.is_some_and(|it| it.contains("base64")), "{base64:?}");
        let prefixed = mistake(&format!("sha256={}", hex::encode(&right)));
        assert!(prefixed.encoding.is_some_and(|it| it.contains("prefix")), "{prefixed:?}");
    }

    #[test]
    fn what_nobody_signed_stays_unknown() {
        assert_eq!(diagnosis(&"0".repeat(64)), Diagnosis::Unknown);
        assert_eq!(diagnosis("not a signature"), Diagnosis::Unknown);
    }

    proptest! {
        /// Before the difference everything is the same, at it nothing is.
        #[test]
        fn first_difference_is_the_first(one in "[ab]{0,12}", other in "[ab]{0,12}") {
            let found = first_difference(one.as_bytes(), other.as_bytes());
            prop_assert_eq!(found.is_none(), one == other);
            if let Some(Difference { offset, .. }) = found {
                prop_assert_eq!(&one[..offset], &other[..offset]);
                prop_assert_ne!(one.as_bytes().get(offset), other.as_bytes().get(offset));
            }
        }
    }
}
