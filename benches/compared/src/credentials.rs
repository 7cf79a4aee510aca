//! Who may open sessions, and the tokens that sessions are used with.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::{constant_time, hmac};
use axum::http::HeaderMap;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// How far a signed timestamp may be from our clock, milliseconds.
const WINDOW_MS: i64 = 5 * 60 * 1000;

/// A signing key.
#[derive(Deserialize)]
pub struct EmbedKey {
    pub key: String,
    secret: String,
}

/// A publishable key.
#[derive(Deserialize)]
pub struct ChatKey {
    public_key: String,
    origin: String,
    pub welcome: Welcome,
}

/// What every widget is told.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Welcome {
    pub intents: Box<RawValue>,
    pub quick_questions: Box<RawValue>,
    pub widget: Box<RawValue>,
}

/// A bearer key, and what may be asked for with it.
#[derive(Deserialize)]
pub struct IframeKey {
    api_key: String,
    pub sources: Vec<i64>,
}

/// The signing secret of tokens.
pub struct Tokens {
    signing: EncodingKey,
    verifying: DecodingKey,
    validation: Validation,
}

/// What a token says.
#[derive(Serialize, Deserialize)]
pub struct Claims {
    pub aud: String,
    pub sub: String,
    pub sid: String,
    pub jti: String,
    pub iat: i64,
    pub exp: i64,
}

/// A genuine signature.
pub struct Signed {
    pub mac: Vec<u8>,
    pub timestamp_ms: i64,
}

impl EmbedKey {
    /// `None` unless the body was signed with this key within the window.
    pub fn verify(&self, headers: &HeaderMap, body: &[u8]) -> Option<Signed> {
        let timestamp = header(headers, "x-yolead-timestamp")?;
        let timestamp_ms: i64 = timestamp.parse().ok()?;
        let mac = unhex(header(headers, "x-yolead-signature")?)?;
        let is_in_time = (now_ms() - timestamp_ms).abs() <= WINDOW_MS;
        if header(headers, "x-yolead-key")? != self.key || !is_in_time {
            return None;
        }
        let mut signed = Vec::with_capacity(timestamp.len() + 1 + body.len());
        signed.extend_from_slice(timestamp.as_bytes());
        signed.push(b'.');
        signed.extend_from_slice(body);
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_bytes());
        hmac::verify(&key, &signed, &mac).ok()?;
        Some(Signed { mac, timestamp_ms })
    }
}

impl ChatKey {
    /// Whether the page may use the key.
    pub fn admits(&self, headers: &HeaderMap, public_key: &str) -> bool {
        public_key == self.public_key && header(headers, "origin") == Some(&self.origin)
    }
}

impl IframeKey {
    /// Whether the request came with the key.
    pub fn admits(&self, headers: &HeaderMap) -> bool {
        bearer(headers).is_some_and(|sent| {
            constant_time::verify_slices_are_equal(sent.as_bytes(), self.api_key.as_bytes()).is_ok()
        })
    }
}

impl Tokens {
    pub fn new(secret: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["embed"]);
        validation.leeway = 0;
        Self {
            signing: EncodingKey::from_secret(secret.as_bytes()),
            verifying: DecodingKey::from_secret(secret.as_bytes()),
            validation,
        }
    }

    pub fn mint(&self, claims: &Claims) -> String {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.signing)
            .expect("claims are JSON")
    }

    /// `None` unless the request came with a token that is ours and in time.
    pub fn verify(&self, headers: &HeaderMap) -> Option<Claims> {
        let token = bearer(headers)?;
        let verified = jsonwebtoken::decode::<Claims>(token, &self.verifying, &self.validation);
        Some(verified.ok()?.claims)
    }
}

pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
    i64::try_from(since.as_millis()).expect("it is before the year 292 million")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ")
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    let digit = |byte: u8| (byte as char).to_digit(16).and_then(|it| u8::try_from(it).ok());
    let pair = |pair: &[u8]| Some(digit(pair[0])? << 4 | digit(pair[1])?);
    (bytes.len() == 64).then(|| bytes.chunks(2).map(pair).collect())?
}
