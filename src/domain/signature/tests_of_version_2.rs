//! The laws of version 2 of embed signatures, and its golden vectors.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NOW: i64 = 1_700_000_000_000;
const BOUNDS: Bounds = Bounds { window_ms: 300_000, nonce_length: 128 };
const NONCE: &str = "0123456789abcdef";
const LINE: RequestLine<'_> = RequestLine { method: "POST", target: "/v1/sessions:revoke" };
const BODY: &[u8] = br#"{"targets":["uid:u1"]}"#;
/// `H=$(printf %s "$BODY" | openssl dgst -sha256 -hex | sed 's/.* //')`
/// `printf 'VESTIBULE2\nPOST\n/v1/sessions:revoke\n1700000000000\n0123456789abcdef\n%s' "$H" |`
/// `openssl dgst -sha256 -hmac "$SECRET"`
const GOLDEN: &str = "v2=1a85ac8439ae210b5eda00140fac24e1712cbb44125f1f4ccc1f65906b4b20d8";
/// The same of `GET /v1/sessions?limit=5`, which has no body.
const GOLDEN_READ: &str = "v2=4815173ab07ae5f970f82654d7d12783e283a3f077000ffd23b256db444cc4e9";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn headers<'a>(timestamp: &'a str, nonce: &'a str, signature: &'a str) -> SignedHeadersV2<'a> {
    SignedHeadersV2 {
        key: Header::Once(b"yk_one"),
        timestamp: Header::Once(timestamp.as_bytes()),
        nonce: Header::Once(nonce.as_bytes()),
        signature: Header::Once(signature.as_bytes()),
    }
}

fn golden() -> SignedHeadersV2<'static> {
    headers("1700000000000", NONCE, GOLDEN)
}

fn verifies(headers: SignedHeadersV2<'_>, line: RequestLine<'_>, body: &[u8], text: &str) -> bool {
    let checked = headers.check(line, NOW, BOUNDS).expect("well formed and in time");
    checked.verify(body, &[secret(text)]).is_ok()
}

#[test]
fn golden_vectors_hold() {
    assert_eq!(sign_v2(&secret(SECRET), LINE, NOW, NONCE, BODY), GOLDEN);
    let read = RequestLine { method: "GET", target: "/v1/sessions?limit=5" };
    assert_eq!(sign_v2(&secret(SECRET), read, NOW, NONCE, b""), GOLDEN_READ);
    let request = golden().check(LINE, NOW, BOUNDS).expect("well formed and in time");
    let verified = request.verify(BODY, &[secret("ysk_newer"), secret(SECRET)]).expect("genuine");
    assert_eq!((verified.secret, verified.remember_until), (1, NOW + 360_000));
    assert!(verifies(headers("1700000000000", NONCE, GOLDEN_READ), read, b"", SECRET));
}

#[test]
fn string_to_sign_is_what_is_signed() {
    let text = string_to_sign_v2(LINE, NOW, NONCE, BODY);
    assert!(text.starts_with("VESTIBULE2\nPOST\n/v1/sessions:revoke\n1700000000000\n"), "{text}");
    let mac = mac_of(SECRET.as_bytes(), &[text.as_bytes()]);
    assert_eq!(format!("v2={}", hex::encode(mac.as_ref())), GOLDEN);
}

#[test]
fn signature_of_one_version_is_none_of_the_other() {
    let of_1 = sign(&secret(SECRET), NOW, BODY);
    for bare in [of_1.as_str(), GOLDEN.trim_start_matches("v2=")] {
        let refused = headers("1700000000000", NONCE, bare).check(LINE, NOW, BOUNDS);
        assert!(matches!(refused, Err(Error::InvalidSignature)), "{bare}");
    }
    assert!(!verifies(headers("1700000000000", NONCE, &format!("v2={of_1}")), LINE, BODY, SECRET));
    let once = |value: &'static str| Header::Once(value.as_bytes());
    for signature in [GOLDEN, &GOLDEN[3..]] {
        let (key, timestamp) = (once("yk_one"), once("1700000000000"));
        let of_2 = SignedHeaders { key, timestamp, signature: Header::Once(signature.as_bytes()) };
        let checked = of_2.check(NOW, BOUNDS.window_ms);
        let verified = checked.and_then(|it| it.verify(BODY, &[secret(SECRET)]));
        assert!(matches!(verified, Err(Error::InvalidSignature)), "{signature}");
    }
}

#[test]
fn every_header_is_needed_exactly_once() {
    for at in 0..4 {
        for (header, is_missing) in [(Header::Missing, true), (Header::Repeated, false)] {
            let mut all = golden();
            let SignedHeadersV2 { key, timestamp, nonce, signature } = &mut all;
            *[key, timestamp, nonce, signature][at] = header;
            let error = all.check(LINE, NOW, BOUNDS).expect_err("not once");
            assert_eq!(matches!(error, Error::MissingCredentials), is_missing, "header {at}");
            assert_eq!(matches!(error, Error::InvalidSignature), !is_missing, "header {at}");
        }
    }
}

#[test]
fn nonce_is_visible_ascii_within_its_length() {
    let longest = "n".repeat(BOUNDS.nonce_length);
    for (nonce, is_fine) in [
        ("n", true),
        (longest.as_str(), true),
        ("", false),
        (&format!("{longest}n"), false),
        ("a b", false),
        ("a\u{e9}", false),
    ] {
        let checked = headers("1700000000000", nonce, GOLDEN).check(LINE, NOW, BOUNDS);
        assert_eq!(checked.is_ok(), is_fine, "{nonce:?}");
    }
}

proptest! {
    /// What was signed verifies, and any other method, target, time, nonce, body or secret does not.
    #[test]
    fn signature_covers_all_of_the_request(
        text in "[ -~]{1,40}",
        method in "(GET|POST|DELETE|PATCH)",
        target in "/[a-z/]{0,20}(\\?[a-z]{1,3}=[0-9]{0,3})?",
        nonce in "[!-~]{1,40}",
        body in proptest::collection::vec(any::<u8>(), 0..100),
        later in 1i64..1000,
        changed in 0usize..6,
    ) {
        let line = RequestLine { method: &method, target: &target };
        let signature = sign_v2(&secret(&text), line, NOW, &nonce, &body);
        let now = NOW.to_string();
        prop_assert!(verifies(headers(&now, &nonce, &signature), line, &body, &text));
        let more = |text: &str| format!("{text}x");
        let (method, target) = match changed {
            0 => (more(&method), target.clone()),
            1 => (method.clone(), more(&target)),
            _ => (method.clone(), target.clone()),
        };
        let timestamp = if changed == 2 { (NOW + later).to_string() } else { now };
        let nonce = if changed == 3 { more(&nonce) } else { nonce };
        let body = if changed == 4 { [&body[..], b"x"].concat() } else { body };
        let text = if changed == 5 { more(&text) } else { text };
        let line = RequestLine { method: &method, target: &target };
        prop_assert!(!verifies(headers(&timestamp, &nonce, &signature), line, &body, &text));
    }

    /// A part that ends in what the next one begins with is still another request.
    #[test]
    fn parts_do_not_run_into_each_other(head in "[a-z]{1,8}", tail in "[a-z]{1,8}", cut in 0usize..8) {
        let whole = format!("{head}{tail}");
        let (a, b) = whole.split_at(cut.min(whole.len()));
        let of = |target: &str, nonce: &str| {
            string_to_sign_v2(RequestLine { method: "GET", target }, NOW, nonce, b"")
        };
        prop_assert_eq!(of(&head, &tail) == of(a, b), (head.as_str(), tail.as_str()) == (a, b));
    }

    /// No header value makes the check panic.
    #[test]
    fn any_header_bytes_are_answered(
        nonce in proptest::collection::vec(any::<u8>(), 0..200),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
    ) {
        let nonce = Header::Once(&nonce);
        let signature = Header::Once(&signature);
        let sent = SignedHeadersV2 { nonce, signature, ..golden() };
        prop_assert!(sent.check(LINE, NOW, BOUNDS).is_err());
    }
}
