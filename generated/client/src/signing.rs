//! Credentials of the generated clients, and the hook that adds them to every request.
//!
//! Written by hand and kept by the generator. The embed surface's signature covers the raw body
//! and the time, so each attempt, a retry too, is signed afresh.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use progenitor_client::{ClientHooks, ClientInfo, Error, OperationInfo};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::headers;

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

    /// Signs every request with an embed key: its public id `yk_…` and its secret `ysk_…`.
    pub fn signed(key: impl Into<String>, secret: impl Into<String>) -> Self {
        Self(Kind::Signed { key: key.into(), secret: secret.into() })
    }

    /// Sends `Authorization: Bearer …`: an API key, an admin token or a session's token.
    pub fn bearer(token: impl Into<String>) -> Self {
        Self(Kind::Bearer(token.into()))
    }

    /// The headers of one request, by name.
    fn headers(&self, body: &[u8]) -> Vec<(HeaderName, String)> {
        match &self.0 {
            Kind::None => vec![],
            Kind::Bearer(token) => vec![(AUTHORIZATION, format!("Bearer {token}"))],
            Kind::Signed { key, secret } => {
                let timestamp = now_ms().to_string();
                let signature = sign(secret, &timestamp, body);
                vec![
                    (HeaderName::from_static(headers::EMBED_KEY), key.clone()),
                    (HeaderName::from_static(headers::EMBED_TIMESTAMP), timestamp),
                    (HeaderName::from_static(headers::EMBED_SIGNATURE), signature),
                ]
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

/// Hex HMAC-SHA256 over `<timestamp>.<raw_body>`.
fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let mut context = hmac::Context::with_key(&key);
    context.update(timestamp.as_bytes());
    context.update(b".");
    context.update(body);
    context.sign().as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "a client signs with its own machine's clock")]
fn now_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

fn add<E>(request: &mut reqwest::Request, credentials: &Credentials) -> Result<(), Error<E>> {
    let body = request.body().and_then(reqwest::Body::as_bytes).unwrap_or_default();
    for (name, value) in credentials.headers(body) {
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
                _: &OperationInfo,
            ) -> Result<(), Error<E>> {
                add(request, self.inner())
            }
        }
    )*};
}

proves_itself!(embed, chat, iframe, admin, lifecycle);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_secret() {
        let shown = format!("{:?}", Credentials::signed("yk_1", "ysk_2"));
        assert_eq!(shown, "Credentials(signed)");
    }
}
