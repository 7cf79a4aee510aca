//! Credentials of the generated clients, and the hook that adds them to every request.
//!
//! Written by hand and kept by the generator. A signature covers the time and the raw body, and on
//! all but the embed surface's opening call method, path and a nonce too, so each attempt, a retry
//! too, is signed afresh.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{digest, hmac, rand};
use progenitor_client::{ClientHooks, ClientInfo, Error, OperationInfo};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::{SIGNED_BY_BODY, headers};

/// What a client proves itself with. `Debug` shows no secret.
#[derive(Clone, Default)]
pub struct Credentials(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    Signed {
        key: String,
        secret: String,
    },
    Bearer(String),
}

impl Credentials {
    /// No credential: the chat surface's opening call and the token exchange.
    pub fn none() -> Self {
        Self::default()
    }

    /// Signs every request with an embed key: its public id `yk_…` and its secret `ysk_…`, in the
    /// version that the operation asks for.
    pub fn signed(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Signed { key: key.into(), secret: secret.into() })
    }

    /// Sends `Authorization: Bearer …`: an API key, an admin token or a session's token.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self(Kind::Bearer(token.into()))
    }

    /// The headers of one request, by name.
    fn headers(&self, request: &Covered<'_>) -> Vec<(HeaderName, String)> {
        match &self.0 {
            Kind::None => vec![],
            Kind::Bearer(token) => vec![(AUTHORIZATION, format!("Bearer {token}"))],
            Kind::Signed { key, secret } if request.by_body => {
                let timestamp = now_ms().to_string();
                let signature = sign(secret, &[timestamp.as_bytes(), b".", request.body]);
                named([
                    (headers::EMBED_KEY, key.clone()),
                    (headers::EMBED_TIMESTAMP, timestamp),
                    (headers::EMBED_SIGNATURE, signature),
                ])
            }
            Kind::Signed { key, secret } => {
                let (timestamp, nonce) = (now_ms().to_string(), nonce());
                let text = request.string_to_sign(&timestamp, &nonce);
                named([
                    (headers::EMBED_KEY_V2, key.clone()),
                    (headers::EMBED_TIMESTAMP_V2, timestamp),
                    (headers::EMBED_NONCE, nonce),
                    (
                        headers::EMBED_SIGNATURE_V2,
                        format!("v2={}", sign(secret, &[text.as_bytes()])),
                    ),
                ])
            }
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self.0 {
            Kind::None => "Credentials(none)",
            Kind::Signed { .. } => "Credentials(signed)",
            Kind::Bearer(_) => "Credentials(bearer)",
        })
    }
}

/// What of a request its signature covers.
struct Covered<'a> {
    /// Whether that is the body alone.
    by_body: bool,
    method: &'a str,
    target: String,
    body: &'a [u8],
}

impl Covered<'_> {
    /// `VESTIBULE2`, method, path with query, time, nonce and the body's SHA-256, a line each.
    fn string_to_sign(&self, timestamp: &str, nonce: &str) -> String {
        let Self { method, target, body, .. } = self;
        let digest = hex(digest::digest(&digest::SHA256, body).as_ref());
        format!("VESTIBULE2\n{method}\n{target}\n{timestamp}\n{nonce}\n{digest}")
    }
}

fn named<const N: usize>(all: [(&'static str, String); N]) -> Vec<(HeaderName, String)> {
    all.into_iter().map(|(name, value)| (HeaderName::from_static(name), value)).collect()
}

/// Hex HMAC-SHA256 over the parts.
fn sign(secret: &str, parts: &[&[u8]]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    for part in parts {
        context.update(part);
    }
    hex(context.sign().as_ref())
}

/// 128 random bits.
fn nonce() -> String {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).expect("the system has random bytes");
    hex(&bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "a client signs with its own machine's clock")]
fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn add<E>(
    request: &mut reqwest::Request,
    operation: &OperationInfo,
    credentials: &Credentials,
) -> Result<(), Error<E>> {
    let url = request.url();
    let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let covered = Covered {
        by_body: SIGNED_BY_BODY.contains(&operation.operation_id),
        method: request.method().as_str(),
        target: format!("{}{query}", url.path()),
        body: request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default(),
    };
    for (name, value) in credentials.headers(&covered) {
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| Error::InvalidRequest("a credential holds what headers cannot".into()))?;
        value.set_sensitive(true);
        request.headers_mut().insert(name, value);
    }
    Ok(())
}

macro_rules! proves_itself {
    ($($surface:ident),*) => {$(
        impl ClientHooks<Credentials> for crate::$surface::Client {
            async fn pre<E>(
                &self,
                request: &mut reqwest::Request,
                operation: &OperationInfo,
            ) -> Result<(), Error<E>> {
                add(request, operation, self.inner())
            }
        }
    )*};
}

proves_itself!(embed, chat, iframe, admin, lifecycle);

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector that the README prints for callers, computed with openssl.
    #[test]
    fn golden_vector_of_version_2_holds() {
        let secret = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
        let covered = Covered {
            by_body: false,
            method: "POST",
            target: "/v1/sessions:revoke".to_owned(),
            body: br#"{"targets":["uid:u1"]}"#,
        };
        let text = covered.string_to_sign("1700000000000", "0123456789abcdef");
        let expected = "1a85ac8439ae210b5eda00140fac24e1712cbb44125f1f4ccc1f65906b4b20d8";
        assert_eq!(sign(secret, &[text.as_bytes()]), expected);
    }

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Credentials::signed("yk_1", "ysk_2"));
        assert_eq!(shown, "Credentials(signed)");
    }
}
