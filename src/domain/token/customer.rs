//! Tokens with which a tenant's own backend proves who its customer is: HS256, by the tenant's
//! identity secret, whatever the tenant's sessions are signed with.

use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{NOT_A_JWT, read_header};
use crate::error::{Error, Result};

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
    let header = read_header(token).map_err(Error::InvalidCustomerToken)?;
    header.require_hs256().map_err(Error::InvalidCustomerToken)?;
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
