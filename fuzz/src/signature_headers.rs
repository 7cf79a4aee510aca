//! The headers of signed requests: nothing but what a live secret signed is taken, whatever the
//! headers hold.

use secrecy::SecretString;
use vestibule::domain::signature::{
    Bounds, Header, RequestLine, SignedHeaders, SignedHeadersV2, SignedRequest, sign, sign_v2,
};

use crate::{NOW_MS, pieces};

const WINDOW_MS: i64 = 300_000;
const NONCE_LENGTH: usize = 64;

/// Reads lines as key, timestamp, nonce, signature, method and target; what follows is the body.
pub fn signature_headers(data: &[u8]) {
    let [key, timestamp, nonce, signature, method, target, body] = pieces(data);
    let secret = SecretString::from("ysk_of_a_key_that_is_rotated");
    let headers = SignedHeaders {
        key: header(key),
        timestamp: header(timestamp),
        signature: header(signature),
    };
    if let Ok(request) = headers.check(NOW_MS, WINDOW_MS) {
        let genuine = sign(&secret, request.timestamp_ms, body);
        require_genuine(&request, body, &secret, signature, &genuine);
        let signed = SignedHeaders { signature: Header::Once(genuine.as_bytes()), ..headers };
        let signed = signed.check(NOW_MS, WINDOW_MS).expect("the form of a signature");
        signed.verify(body, std::slice::from_ref(&secret)).expect("what is signed is taken");
    }
    let (Ok(method), Ok(target)) = (std::str::from_utf8(method), std::str::from_utf8(target))
    else {
        return;
    };
    let (line, bounds) = (
        RequestLine { method, target },
        Bounds { window_ms: WINDOW_MS, nonce_length: NONCE_LENGTH },
    );
    let headers = SignedHeadersV2 {
        key: header(key),
        timestamp: header(timestamp),
        nonce: header(nonce),
        signature: header(signature),
    };
    if let Ok(request) = headers.check(line, NOW_MS, bounds) {
        let nonce = std::str::from_utf8(nonce).expect("a nonce is visible ASCII");
        let genuine = sign_v2(&secret, line, request.timestamp_ms, nonce, body);
        require_genuine(&request, body, &secret, signature, &genuine);
    }
}

/// A line of two bytes 0xFF stands for a header that was sent twice.
fn header(line: &[u8]) -> Header<'_> {
    match line {
        [] => Header::Missing,
        [0xFF, 0xFF] => Header::Repeated,
        value => Header::Once(value),
    }
}

fn require_genuine(
    request: &SignedRequest<'_>,
    body: &[u8],
    secret: &SecretString,
    sent: &[u8],
    genuine: &str,
) {
    let skew = NOW_MS - request.timestamp_ms;
    assert!(skew.abs() <= WINDOW_MS, "{skew} ms are out of the window");
    request.verify(body, &[]).expect_err("no secret signs nothing");
    if let Ok(verified) = request.verify(body, std::slice::from_ref(secret)) {
        assert!(sent.eq_ignore_ascii_case(genuine.as_bytes()), "another signature was taken");
        assert!(verified.remember_until > NOW_MS, "it would be forgotten while it is taken");
    }
}
