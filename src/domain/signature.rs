//! Embed signatures: hex of HMAC-SHA256, in version 1 over `<timestamp>.<raw body>`, in version 2
//! (`v2=` before the hex) over method, path, time, nonce and the body's hash.
//!
//! An unknown key and a wrong signature are one error and take the same time: the number of MACs
//! computed never depends on the key. Version 1 signs neither method nor path, so it opens embed
//! sessions and nothing else. Knows no HTTP types; replays are the store's to notice.

use std::fmt;

use aws_lc_rs::{constant_time, digest, hmac};
use secrecy::{ExposeSecret as _, SecretString};
use vestibule_runtime::seconds_up;

use super::hex;
use crate::error::{Error, Result};

/// How many secrets a key may have during a rotation.
pub const MAX_LIVE_SECRETS: usize = 2;

/// All values of one header, as they came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header<'a> {
    /// It was not sent.
    Missing,
    /// It was sent once.
    Once(&'a [u8]),
    /// It was sent more than once.
    Repeated,
}

impl<'a> FromIterator<&'a [u8]> for Header<'a> {
    fn from_iter<I: IntoIterator<Item = &'a [u8]>>(values: I) -> Self {
        let mut values = values.into_iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Missing,
            (Some(value), None) => Self::Once(value),
            (Some(_), Some(_)) => Self::Repeated,
        }
    }
}

/// The three headers of a request signed with version 1.
#[derive(Clone, Copy, Debug)]
pub struct SignedHeaders<'a> {
    /// The key's public id.
    pub key: Header<'a>,
    /// Unix milliseconds, 13 digits.
    pub timestamp: Header<'a>,
    /// 64 hex digits of either case.
    pub signature: Header<'a>,
}

/// The four headers of a request signed with version 2.
#[derive(Clone, Copy, Debug)]
pub struct SignedHeadersV2<'a> {
    /// The key's public id.
    pub key: Header<'a>,
    /// Unix milliseconds, 13 digits.
    pub timestamp: Header<'a>,
    /// Visible ASCII, so that one caller can send the same request twice in a millisecond.
    pub nonce: Header<'a>,
    /// `v2=` and 64 hex digits of either case.
    pub signature: Header<'a>,
}

/// What version 2 signs of a request besides its headers and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestLine<'a> {
    /// In upper case.
    pub method: &'a str,
    /// Path and query as they were sent: `/v1/sessions?limit=5`.
    pub target: &'a str,
}

/// The bounds of what a signature's headers may hold; they stand in the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// How far the timestamp may be from our clock, both ways, inclusive, milliseconds.
    pub window_ms: i64,
    /// The most characters of a nonce.
    pub nonce_length: usize,
}

/// A request whose headers are well formed and in time. Its signature is not checked yet.
#[derive(Clone, Copy)]
pub struct SignedRequest<'a> {
    /// The public id that the caller claims.
    pub key: &'a str,
    /// When the caller signed, milliseconds since 1970.
    pub timestamp_ms: i64,
    timestamp: &'a [u8],
    mac: [u8; 32],
    window_ms: i64,
    covered: Covered<'a>,
}

/// What a signature covers besides the time.
#[derive(Clone, Copy)]
enum Covered<'a> {
    /// Version 1: the body.
    Body,
    /// Version 2: the whole request.
    Request { line: RequestLine<'a>, nonce: &'a [u8] },
}

/// A genuine signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// The decoded MAC: accepted once, so the store keeps it.
    pub mac: [u8; 32],
    /// Which of the given secrets made it.
    pub secret: usize,
    /// Until when the MAC must be remembered, milliseconds since 1970: a minute more than any
    /// clock of ours would still take the timestamp.
    pub remember_until: i64,
}

impl<'a> SignedHeaders<'a> {
    /// Checks everything that can be checked without knowing the key: presence, repetition, the
    /// timestamp's form and window, the signature's form, in this order. `window_ms` is how far
    /// the timestamp may be from `now_ms`, both ways, inclusive.
    ///
    /// # Errors
    /// `MissingCredentials`, `InvalidSignature` or `TimestampOutOfWindow`.
    pub fn check(self, now_ms: i64, window_ms: i64) -> Result<SignedRequest<'a>> {
        let headers = [self.key, self.timestamp, self.signature];
        if headers.contains(&Header::Missing) {
            return Err(Error::MissingCredentials);
        }
        let [Header::Once(key), Header::Once(timestamp), Header::Once(signature)] = headers else {
            return Err(Error::InvalidSignature);
        };
        let timestamp_ms = in_window(timestamp, now_ms, window_ms)?;
        // Neither can be right, so the key need not be looked up.
        let mac = hex::decode(signature).ok_or(Error::InvalidSignature)?;
        let key = std::str::from_utf8(key).map_err(|_| Error::InvalidSignature)?;
        Ok(SignedRequest { key, timestamp_ms, timestamp, mac, window_ms, covered: Covered::Body })
    }
}

impl<'a> SignedHeadersV2<'a> {
    /// As [`SignedHeaders::check`], for a request with this line.
    ///
    /// # Errors
    /// `MissingCredentials`, `InvalidSignature` or `TimestampOutOfWindow`.
    pub fn check(
        self,
        line: RequestLine<'a>,
        now_ms: i64,
        bounds: Bounds,
    ) -> Result<SignedRequest<'a>> {
        let Self { key, timestamp, nonce, signature } = self;
        if [key, timestamp, nonce, signature].contains(&Header::Missing) {
            return Err(Error::MissingCredentials);
        }
        let Header::Once(nonce) = nonce else { return Err(Error::InvalidSignature) };
        // Without its mark it is no hex of the right length, which is found out in its turn.
        let hex = |value: &'a [u8]| value.strip_prefix(VERSION_2).unwrap_or_default();
        let signature = match signature {
            Header::Once(value) => Header::Once(hex(value)),
            Header::Missing | Header::Repeated => signature,
        };
        let checked =
            SignedHeaders { key, timestamp, signature }.check(now_ms, bounds.window_ms)?;
        let is_nonce = (1..=bounds.nonce_length).contains(&nonce.len())
            && nonce.iter().all(u8::is_ascii_graphic);
        if !is_nonce {
            return Err(Error::InvalidSignature);
        }
        Ok(SignedRequest { covered: Covered::Request { line, nonce }, ..checked })
    }
}

impl SignedRequest<'_> {
    /// Checks the signature of `body` against the key's live secrets. For an unknown key call
    /// this with no secrets, so that it takes as long.
    ///
    /// # Errors
    /// `InvalidSignature` when no secret made this signature.
    pub fn verify(&self, body: &[u8], secrets: &[SecretString]) -> Result<Verified> {
        let digest = self.covered.digest(body);
        let mut made_by = None;
        for slot in 0..secrets.len().max(MAX_LIVE_SECRETS) {
            let secret = secrets.get(slot).map_or(DECOY, |secret| secret.expose_secret());
            let expected = match self.covered {
                Covered::Body => mac_of(secret.as_bytes(), &[self.timestamp, b".", body]),
                Covered::Request { line, nonce } => {
                    let parts = parts_of_version_2(line, self.timestamp, nonce, &digest);
                    mac_of(secret.as_bytes(), &parts)
                }
            };
            let genuine = constant_time::verify_slices_are_equal(expected.as_ref(), &self.mac);
            if genuine.is_ok() && slot < secrets.len() {
                made_by = made_by.or(Some(slot));
            }
        }
        let remember_until = self.timestamp_ms + self.window_ms + REMEMBER_LONGER_MS;
        match made_by {
            Some(secret) => Ok(Verified { mac: self.mac, secret, remember_until }),
            None => Err(Error::InvalidSignature),
        }
    }

    /// Lets it pass a fence at `fence_ms`: what was accepted up to then may be forgotten, and a
    /// caller whose clock was ahead may have signed for as much later as the window is wide.
    ///
    /// # Errors
    /// `Restored` until the service takes what callers with a right clock sign; then
    /// `TimestampOutOfWindow`.
    pub fn pass(&self, fence_ms: i64, now_ms: i64) -> Result<()> {
        let closed_until = fence_ms.saturating_add(self.window_ms);
        if self.timestamp_ms > closed_until {
            return Ok(());
        }
        if now_ms <= closed_until {
            let retry_after_s = seconds_up(closed_until + 1 - now_ms);
            return Err(Error::Restored { retry_after_s });
        }
        let skew_ms = Some(now_ms.saturating_sub(self.timestamp_ms));
        let server_time_ms = now_ms;
        Err(Error::TimestampOutOfWindow { server_time_ms, skew_ms, looks_like_seconds: false })
    }
}

impl fmt::Debug for SignedRequest<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, timestamp_ms, .. } = self;
        out.debug_struct("SignedRequest")
            .field("key", key)
            .field("timestamp_ms", timestamp_ms)
            .finish_non_exhaustive()
    }
}

/// Signs a body: 64 lower-case hex digits. `timestamp_ms` is what the timestamp header will say.
pub fn sign(secret: &SecretString, timestamp_ms: i64, body: &[u8]) -> String {
    let timestamp = timestamp_ms.to_string();
    let secret = secret.expose_secret().as_bytes();
    hex::encode(mac_of(secret, &[timestamp.as_bytes(), b".", body]).as_ref())
}

/// Signs a request with version 2: the whole value of the signature header. `timestamp_ms` and
/// `nonce` are what their headers will say.
pub fn sign_v2(
    secret: &SecretString,
    line: RequestLine<'_>,
    timestamp_ms: i64,
    nonce: &str,
    body: &[u8],
) -> String {
    let (timestamp, digest) = (timestamp_ms.to_string(), body_digest(body));
    let parts = parts_of_version_2(line, timestamp.as_bytes(), nonce.as_bytes(), &digest);
    let mac = mac_of(secret.expose_secret().as_bytes(), &parts);
    format!("v2={}", hex::encode(mac.as_ref()))
}

/// What version 2 signs, as one text: to be shown and compared.
pub fn string_to_sign_v2(
    line: RequestLine<'_>,
    timestamp_ms: i64,
    nonce: &str,
    body: &[u8],
) -> String {
    let RequestLine { method, target } = line;
    let digest = body_digest(body);
    format!("VESTIBULE2\n{method}\n{target}\n{timestamp_ms}\n{nonce}\n{digest}")
}

const VERSION_2: &[u8] = b"v2=";

impl Covered<'_> {
    /// Of the body, where the signature covers it by its hash; once for all secrets.
    fn digest(&self, body: &[u8]) -> String {
        match self {
            Self::Body => String::new(),
            Self::Request { .. } => body_digest(body),
        }
    }
}

fn body_digest(body: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, body).as_ref())
}

fn parts_of_version_2<'p>(
    line: RequestLine<'p>,
    timestamp: &'p [u8],
    nonce: &'p [u8],
    digest: &'p str,
) -> [&'p [u8]; 10] {
    const LINE: &[u8] = b"\n";
    let (method, target) = (line.method.as_bytes(), line.target.as_bytes());
    [b"VESTIBULE2\n", method, LINE, target, LINE, timestamp, LINE, nonce, LINE, digest.as_bytes()]
}

/// How a timestamp stands to the service's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// Server time minus theirs, milliseconds; `None` when theirs is malformed.
    pub skew_ms: Option<i64>,
    /// Whether it is taken.
    pub is_within: bool,
    /// Ten digits: seconds where milliseconds are expected.
    pub looks_like_seconds: bool,
}

/// Compares a timestamp, 13 digits of milliseconds since 1970, with the service's clock.
pub fn skew(timestamp: &[u8], now_ms: i64, window_ms: i64) -> Skew {
    let digits = timestamp.iter().all(u8::is_ascii_digit) && !timestamp.starts_with(b"0");
    if !digits || timestamp.len() != 13 {
        let looks_like_seconds = digits && timestamp.len() == 10;
        return Skew { skew_ms: None, is_within: false, looks_like_seconds };
    }
    let theirs = timestamp.iter().fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let skew_ms = now_ms.saturating_sub(theirs);
    let is_within = skew_ms.saturating_abs() <= window_ms;
    Skew { skew_ms: Some(skew_ms), is_within, looks_like_seconds: false }
}

const REMEMBER_LONGER_MS: i64 = 60_000;

/// Stands in for the secrets that a key does not have; a MAC made with it is never accepted.
const DECOY: &str = "ysk_0000000000000000000000000000000000000000000000000000000000000000";

fn mac_of(secret: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, secret));
    for part in parts {
        context.update(part);
    }
    context.sign()
}

fn in_window(timestamp: &[u8], now_ms: i64, window_ms: i64) -> Result<i64> {
    let Skew { skew_ms, is_within, looks_like_seconds } = skew(timestamp, now_ms, window_ms);
    match skew_ms.filter(|_| is_within) {
        Some(skew_ms) => Ok(now_ms - skew_ms),
        None => {
            Err(Error::TimestampOutOfWindow { server_time_ms: now_ms, skew_ms, looks_like_seconds })
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_version_2;
