//! JSON Web Tokens: with what is below, all that names jsonwebtoken, with its loose ends pinned.
//!
//! HS256, or EdDSA where the tenant's key of that time is one: the token has no say. No leeway,
//! `exp == now` is over, no header member but `alg`, `typ` and EdDSA's `kid`, 4 KiB at most, unknown
//! claims refused. Tokens are never stored: the same claims give the same bytes. Whether a token's
//! session still lives is for [`super::session`] to say, not for the token.

mod customer;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key_pair::KeyPair;
use super::sealing::MasterKeys;
use super::signing_key::SigningAlgorithm;
use crate::error::{Error, Result};

pub use customer::verify_customer;

/// The longest token that is looked at, bytes.
pub const MAX_BYTES: usize = 4096;

/// For which surface a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// The agent inbox.
    Embed,
    /// The assistant.
    Iframe,
}

impl Audience {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Embed, Self::Iframe];

    /// The `aud` claim; also what the signing keys are derived for.
    pub fn name(self) -> &'static str {
        match self {
            Self::Embed => "vestibule:embed",
            Self::Iframe => "vestibule:iframe",
        }
    }

    /// The surface's own name.
    pub fn surface(self) -> &'static str {
        match self {
            Self::Embed => "embed",
            Self::Iframe => "iframe",
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
    embed: Rules,
    iframe: Rules,
}

impl Tokens {
    /// Tokens of one issuer. Every instance of a deployment must be given the same issuer.
    pub fn new(keys: Arc<MasterKeys>, issuer: impl Into<String>) -> Self {
        let issuer = issuer.into();
        let embed = Rules::new(&issuer, Audience::Embed);
        let iframe = Rules::new(&issuer, Audience::Iframe);
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
        let (header, key) = self.signer(tid, C::AUDIENCE, iat)?;
        let token = jsonwebtoken::encode(&header, claims, &key)
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
        let header = read_header(token).map_err(|_| Error::InvalidToken)?;
        let peeked = peek(token).ok_or(Error::InvalidToken)?;
        let claims = self.genuine::<C>(token, &header, &peeked, now_ms);
        let claims = claims.ok_or(Error::InvalidToken)?;
        require_in_time(&claims, now_ms)?;
        Ok(claims)
    }

    /// What signs a tenant's token that is issued at `iat`, and the header that says so.
    fn signer(
        &self,
        tid: &str,
        audience: Audience,
        iat: i64,
    ) -> Result<(jsonwebtoken::Header, EncodingKey)> {
        let generation = self.keys.signing.signing(tid, iat.saturating_mul(1000));
        match generation.algorithm {
            SigningAlgorithm::Hs256 => {
                let key = self.keys.secret(tid, audience.name(), generation);
                Ok((jsonwebtoken::Header::new(Algorithm::HS256), EncodingKey::from_secret(&key)))
            }
            SigningAlgorithm::Eddsa => {
                let pair = self.keys.key_pairs(tid, audience, generation).next();
                let pair = pair.ok_or_else(|| Error::Internal("there is no master key".into()))?;
                let kid = Some(pair.public.kid.clone());
                let header =
                    jsonwebtoken::Header { kid, ..jsonwebtoken::Header::new(Algorithm::EdDSA) };
                Ok((header, EncodingKey::from_ed_der(&pair.signing)))
            }
        }
    }

    /// The claims that one of the tenant's keys of that time signed, by that key's algorithm. Which
    /// keys there are is asked of the service's own state; the header must agree with it.
    fn genuine<C: Claims>(
        &self,
        token: &str,
        header: &Header,
        Peeked { tid, iat }: &Peeked,
        now_ms: i64,
    ) -> Option<C> {
        let rules = match C::AUDIENCE {
            Audience::Embed => &self.embed,
            Audience::Iframe => &self.iframe,
        };
        let generation = self.keys.signing.verifying(tid, iat.saturating_mul(1000), now_ms)?;
        match generation.algorithm {
            SigningAlgorithm::Hs256 => {
                header.require_hs256().ok()?;
                let mut secrets = self.keys.secrets(tid, C::AUDIENCE.name(), generation);
                secrets
                    .find_map(|key| decoded(token, &DecodingKey::from_secret(&key), &rules.hs256))
            }
            SigningAlgorithm::Eddsa => {
                let mut pairs = self.keys.key_pairs(tid, C::AUDIENCE, generation);
                let pair = pairs.find(|pair| header.is_of(pair))?;
                decoded(token, &DecodingKey::from_ed_der(&pair.verifying), &rules.eddsa)
            }
        }
    }
}

fn decoded<C: Claims>(token: &str, key: &DecodingKey, rules: &Validation) -> Option<C> {
    jsonwebtoken::decode(token, key, rules).ok().map(|it| it.claims)
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

/// What jsonwebtoken checks of one audience's tokens, by the algorithm of the key: each permits one.
#[derive(Clone, Debug)]
struct Rules {
    hs256: Validation,
    eddsa: Validation,
}

impl Rules {
    fn new(issuer: &str, audience: Audience) -> Self {
        let of = |algorithm| validation(issuer, audience, algorithm);
        Self { hs256: of(Algorithm::HS256), eddsa: of(Algorithm::EdDSA) }
    }
}

/// jsonwebtoken reads the system's clock, so its own time checks are off and ours are used.
fn validation(issuer: &str, audience: Audience, algorithm: Algorithm) -> Validation {
    let mut rules = Validation::new(algorithm);
    rules.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
    rules.set_issuer(&[issuer]);
    rules.set_audience(&[audience.name()]);
    rules.leeway = 0;
    rules.validate_exp = false;
    rules.validate_nbf = false;
    rules
}

const NOT_A_JWT: &str = "it is not a compact HS256 JWT of at most 4096 bytes";

/// A header that says how a token is signed and nothing more: a `crit` or `jwk` would change what
/// the token means. jsonwebtoken does not insist on that.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: Option<String>,
    kid: Option<String>,
}

impl Header {
    fn require_hs256(&self) -> Result<(), &'static str> {
        if self.kid.is_some() {
            return Err(NOT_PLAIN);
        }
        if self.alg != "HS256" || self.typ.as_deref().is_some_and(|typ| typ != "JWT") {
            return Err("its header must say alg HS256 and typ JWT");
        }
        Ok(())
    }

    /// Whether it is what a token that this pair signed has.
    fn is_of(&self, pair: &KeyPair) -> bool {
        let said = (&*self.alg, self.typ.as_deref(), self.kid.as_deref());
        said == ("EdDSA", Some("JWT"), Some(&*pair.public.kid))
    }
}

const NOT_PLAIN: &str = "its header must hold alg and typ and nothing else";

/// The header of a text that is short and in three parts.
fn read_header(token: &str) -> Result<Header, &'static str> {
    if token.len() > MAX_BYTES || token.split('.').count() != 3 {
        return Err(NOT_A_JWT);
    }
    let header = token.split('.').next().unwrap_or_default();
    let header = URL_SAFE_NO_PAD.decode(header).map_err(|_| NOT_A_JWT)?;
    serde_json::from_slice(&header).map_err(|_| NOT_PLAIN)
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
#[cfg(test)]
mod tests_of_eddsa;
