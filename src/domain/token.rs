//! JSON Web Tokens: the one module that names jsonwebtoken, with its loose ends pinned.
//!
//! HS256 alone, no leeway, `exp == now` is over, no header member but `alg` and `typ`, 4 KiB at
//! most, unknown claims refused. Tokens are never stored: the same claims give the same bytes.
//! Whether a token's session still lives is for [`super::session`] to say, not for the token.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::sealing::MasterKeys;
use crate::error::{Error, Result};

/// The longest token that is looked at, bytes.
pub const MAX_BYTES: usize = 4096;

/// For which surface a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// The agent inbox.
    Embed,
    /// The assistant.
    Iframe,
}

impl Audience {
    /// The `aud` claim; also what the signing keys are derived for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "vestibule:embed",
            Self::Iframe => "vestibule:iframe",
        }
    }

    /// The longest `exp − iat`, seconds.
    fn max_lifetime_s(self) -> i64 {
        match self {
            Self::Embed => 15 * 60,
            Self::Iframe => 60 * 60,
        }
    }
}

/// The longest that a token of any surface lives, seconds: how long the key that signed it must
/// still verify.
pub const LONGEST_LIFETIME_S: i64 = 60 * 60;

/// The claims of one surface's token.
pub trait Claims: Serialize + DeserializeOwned {
    /// The surface.
    const AUDIENCE: Audience;

    /// The tenant and the times: what is checked the same way on every surface.
    fn frame(&self) -> Frame<'_>;
}

/// What the tokens of all surfaces have in common.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// The tenant's id.
    pub tid: &'a str,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not before, seconds since 1970.
    pub nbf: i64,
    /// Over from this second on, seconds since 1970.
    pub exp: i64,
}

/// The claims of an `embedToken`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbedClaims {
    /// The service.
    pub iss: String,
    /// [`Audience::Embed`].
    pub aud: String,
    /// The employee.
    pub sub: String,
    /// The tenant.
    pub tid: String,
    /// The session.
    pub sid: String,
    /// The token.
    pub jti: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not before, seconds since 1970.
    pub nbf: i64,
    /// Over from this second on, seconds since 1970.
    pub exp: i64,
    /// Capabilities, order kept.
    pub cap: Vec<String>,
    /// The only chat it may see.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat: Option<String>,
    /// Generation of the key's secret that opened the session.
    pub kg: i64,
}

/// The claims of an iframe session's `access_token`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IframeClaims {
    /// The service.
    pub iss: String,
    /// [`Audience::Iframe`].
    pub aud: String,
    /// The host's user.
    pub sub: String,
    /// The tenant.
    pub tid: String,
    /// The session.
    pub sid: String,
    /// The token.
    pub jti: String,
    /// Issued at, seconds since 1970.
    pub iat: i64,
    /// Not before, seconds since 1970.
    pub nbf: i64,
    /// Over from this second on, seconds since 1970.
    pub exp: i64,
    /// Generation of the key that opened the session.
    pub kg: i64,
}

impl Claims for EmbedClaims {
    const AUDIENCE: Audience = Audience::Embed;

    fn frame(&self) -> Frame<'_> {
        Frame { tid: &self.tid, iat: self.iat, nbf: self.nbf, exp: self.exp }
    }
}

impl Claims for IframeClaims {
    const AUDIENCE: Audience = Audience::Iframe;

    fn frame(&self) -> Frame<'_> {
        Frame { tid: &self.tid, iat: self.iat, nbf: self.nbf, exp: self.exp }
    }
}

/// Mints and verifies this service's tokens.
#[derive(Clone, Debug)]
pub struct Tokens {
    keys: Arc<MasterKeys>,
    issuer: String,
    embed: Validation,
    iframe: Validation,
}

impl Tokens {
    /// Tokens of one issuer. Every instance of a deployment must be given the same issuer.
    pub fn new(keys: Arc<MasterKeys>, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        let embed = validation(&issuer, Audience::Embed);
        let iframe = validation(&issuer, Audience::Iframe);
        Self { keys, issuer, embed, iframe }
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs claims with the tenant's key for their audience. Deterministic.
    ///
    /// # Errors
    /// `Internal` when the token would be longer than [`MAX_BYTES`].
    pub fn mint<C: Claims>(&self, claims: &C) -> Result<String> {
        let Frame { tid, iat, .. } = claims.frame();
        let key = self.keys.signing_key(tid, C::AUDIENCE.name(), iat);
        let header = jsonwebtoken::Header::new(Algorithm::HS256);
        let token = jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(&key))
            .map_err(|error| Error::Internal(format!("a token cannot be signed: {error}")))?;
        if token.len() > MAX_BYTES {
            return Err(Error::Internal(format!("a token of {} bytes is too long", token.len())));
        }
        Ok(token)
    }

    /// The claims of a token that is ours, for this audience, and in time.
    ///
    /// # Errors
    /// `InvalidToken`; `TokenExpired` only when all else is right with it.
    pub fn verify<C: Claims>(&self, token: &str, now_ms: i64) -> Result<C> {
        require_plain_header(token).map_err(|_| Error::InvalidToken)?;
        let peeked = peek(token).ok_or(Error::InvalidToken)?;
        let rules = match C::AUDIENCE {
            Audience::Embed => &self.embed,
            Audience::Iframe => &self.iframe,
        };
        let claims: C = self
            .keys
            .verifying_keys(&peeked.tid, C::AUDIENCE.name(), peeked.iat, now_ms)
            .find_map(|key| {
                jsonwebtoken::decode(token, &DecodingKey::from_secret(&key), rules).ok()
            })
            .ok_or(Error::InvalidToken)?
            .claims;
        require_in_time(&claims, now_ms)?;
        Ok(claims)
    }
}

/// Asks again of verified claims what depends on the time.
///
/// # Errors
/// `TokenExpired`, or `InvalidToken` when the clock stepped back before their beginning.
pub fn require_in_time<C: Claims>(claims: &C, now_ms: i64) -> Result<()> {
    require_frame_in_time(claims.frame(), C::AUDIENCE.max_lifetime_s(), now_ms)
}

/// The generation's part of a verdict, for verdicts that are remembered.
///
/// # Errors
/// `InvalidToken` when the signing key of that time is retired.
pub fn require_accepted_key<C: Claims>(tokens: &Tokens, claims: &C, now_ms: i64) -> Result<()> {
    let Frame { tid, iat, .. } = claims.frame();
    let generation = tokens.keys.signing.verifying(tid, iat.saturating_mul(1000), now_ms);
    generation.map(drop).ok_or(Error::InvalidToken)
}

/// What chooses the key of a token. Unverified: good for that and for nothing else.
#[derive(Deserialize)]
struct Peeked {
    tid: String,
    iat: i64,
}

fn peek(token: &str) -> Option<Peeked> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Header and claims as they stand, for people to read. Nothing is verified.
pub fn read_unverified(token: &str) -> Option<(Value, Value)> {
    let mut parts = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let header = serde_json::from_slice(&parts.next()??).ok()?;
    let claims = serde_json::from_slice(&parts.next()??).ok()?;
    (parts.next()?.is_some() && parts.next().is_none()).then_some((header, claims))
}

/// Checks that a `customerToken` of the tenant's own backend proves `customer_id`.
///
/// `sub` and `exp` are required; `iat` and `nbf` are checked when they are there; other claims
/// are the tenant's own business.
///
/// # Errors
/// `InvalidCustomerToken` with the reason.
pub fn verify_customer(
    token: &str,
    customer_id: &str,
    identity_secret: &SecretString,
    now_ms: i64,
) -> Result<()> {
    require_plain_header(token).map_err(Error::InvalidCustomerToken)?;
    let key = DecodingKey::from_secret(identity_secret.expose_secret().as_bytes());
    let claims = jsonwebtoken::decode::<CustomerClaims>(token, &key, &customer_validation())
        .map_err(|error| Error::InvalidCustomerToken(customer_reason(error.kind())))?
        .claims;
    let now_s = now_ms.div_euclid(1000);
    let reason = if claims.sub != customer_id {
        "its sub is not the customerId of the request"
    } else if claims.exp <= now_s {
        "it has expired"
    } else if claims.nbf.is_some_and(|nbf| nbf > now_s) {
        "its nbf is in the future"
    } else if claims.iat.is_some_and(|iat| iat > now_s) {
        "its iat is in the future"
    } else {
        return Ok(());
    };
    Err(Error::InvalidCustomerToken(reason))
}

#[derive(Deserialize)]
struct CustomerClaims {
    sub: String,
    exp: i64,
    nbf: Option<i64>,
    iat: Option<i64>,
}

/// jsonwebtoken reads the system's clock, so its own time checks are off and ours are used.
fn validation(issuer: &str, audience: Audience) -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience.name()]);
    rules.leeway = 0;
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules
}

fn customer_validation() -> Validation {
    let mut rules = Validation::new(Algorithm::HS256);
    rules.set_required_spec_claims(&["exp", "sub"]);
    rules.leeway = 0;
    rules.validate_exp = false;
    rules.validate_aud = false;
    rules
}

fn customer_reason(kind: &ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidSignature => "it is not signed with the tenant's identity secret",
        ErrorKind::Json(_) | ErrorKind::MissingRequiredClaim(_) => {
            "sub must be a string, exp and any iat and nbf whole seconds"
        }
        _ => NOT_A_JWT,
    }
}

const NOT_A_JWT: &str = "it is not a compact HS256 JWT of at most 4096 bytes";

/// The form that jsonwebtoken does not insist on: short, three parts, and a header that says
/// `HS256`, maybe `JWT`, and nothing more. A `crit` or `kid` would change what the token means.
fn require_plain_header(token: &str) -> Result<(), &'static str> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Plain {
        alg: String,
        typ: Option<String>,
    }
    if token.len() > MAX_BYTES || token.split('.').count() != 3 {
        return Err(NOT_A_JWT);
    }
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| NOT_A_JWT)?;
    let header: Plain = serde_json::from_slice(&header)
        .map_err(|_| "its header must hold alg and typ and nothing else")?;
    if header.alg != "HS256" || header.typ.is_some_and(|typ| typ != "JWT") {
        return Err("its header must say alg HS256 and typ JWT");
    }
    Ok(())
}

/// Times of a genuine token, in whole seconds of the service's clock.
pub(super) fn require_frame_in_time(
    frame: Frame<'_>,
    max_lifetime_s: i64,
    now_ms: i64,
) -> Result<()> {
    let Frame { iat, nbf, exp, .. } = frame;
    let now_s = now_ms.div_euclid(1000);
    let lifetime_s = exp.saturating_sub(iat);
    if lifetime_s <= 0 || lifetime_s > max_lifetime_s || nbf > now_s || iat > now_s {
        return Err(Error::InvalidToken);
    }
    if exp <= now_s {
        let skew_ms = now_ms.saturating_sub(exp.saturating_mul(1000));
        return Err(Error::TokenExpired { server_time_ms: now_ms, skew_ms });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
