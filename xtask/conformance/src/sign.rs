//! The two signatures of the documents, hex of HMAC-SHA256: `hmac-sha256-timestamp-body` over
//! `<timestamp>.<raw body>`, `hmac-sha256-vestibule2` over the whole request.
//!
//! Written apart from the service's own, so that the two are held against each other.

use std::fmt::Write as _;

use aws_lc_rs::{digest, hmac};

/// What a signature may cover.
pub struct Covered<'a> {
    /// The method.
    pub method: &'a str,
    /// Path and query.
    pub target: &'a str,
    /// The header's text.
    pub timestamp: &'a str,
    /// The header's text.
    pub nonce: &'a str,
    /// The bytes.
    pub body: &'a [u8],
}

/// 64 lower-case hex digits over `<timestamp>.<raw body>`.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    mac(secret, &[timestamp.as_bytes(), b".", body].concat())
}

/// `v2=` and 64 lower-case hex digits over everything.
pub fn sign_whole(secret: &str, covered: &Covered<'_>) -> String {
    let Covered { method, target, timestamp, nonce, body } = covered;
    let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
    let lines = ["VESTIBULE2", method, target, timestamp, nonce, &digest].join("\n");
    format!("v2={}", mac(secret, lines.as_bytes()))
}

fn mac(secret: &str, message: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hex(hmac::sign(&key, message).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors that the README prints for callers, computed with openssl.
    #[test]
    fn golden_vectors_hold() {
        let secret = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let body = br#"{"employeeId":"64f000000000000000000001","capabilities":["showChatsList"]}"#;
        let expected = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";
        assert_eq!(sign(secret, "1700000000000", body), expected);
        let covered = Covered {
            method: "POST",
            target: "/v1/sessions:revoke",
            timestamp: "1700000000000",
            nonce: "0123456789abcdef",
            body: br#"{"targets":["uid:u1"]}"#,
        };
        let expected = "v2=1a85ac8439ae210b5eda00140fac24e1712cbb44125f1f4ccc1f65906b4b20d8";
        assert_eq!(sign_whole(secret, &covered), expected);
    }
}
