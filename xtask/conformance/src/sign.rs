//! The signature that the documents call `hmac-sha256-timestamp-body`: hex of HMAC-SHA256 over
//! `<timestamp>.<raw body>`.
//!
//! Written apart from the service's own, so that the two are held against each other.

use std::fmt::Write as _;

use aws_lc_rs::hmac;

/// 64 lower-case hex digits.
pub fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mut context =
        hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()));
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign().as_ref().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the README prints for callers, computed with openssl.
    #[test]
    fn golden_vector_holds() {
        let secret = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let body = br#"{"employeeId":"64f000000000000000000001","capabilities":["showChatsList"]}"#;
        let expected = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";
        assert_eq!(sign(secret, "1700000000000", body), expected);
    }
}
