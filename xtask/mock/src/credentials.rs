//! Whether a request has the credential that its operation asks for. Whether it is true is not
//! asked: there is nobody to know.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use vestibule_runtime::{Received, Refusal, StandardCodes, refuse_browser};

use crate::MockOperation;

/// Where a security scheme is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
}

/// The places of an operation's one security requirement.
pub fn places(operation: &MockOperation) -> Vec<Place> {
    let requirement = operation.definition()["security"][0].as_object();
    let schemes = requirement
        .into_iter()
        .flatten()
        .map(|(name, _)| &operation.document["components"]["securitySchemes"][name]);
    schemes.map(|scheme| scheme["name"].as_str().map_or(Place::Bearer, Place::Header)).collect()
}

/// Lets a request in whose credential is there.
///
/// # Errors
/// The code that its operation documents for a missing credential, or for one that no header can
/// be.
pub fn check(
    operation: &MockOperation,
    received: &Received,
    codes: &StandardCodes,
) -> Result<(), Refusal> {
    let Some(credential) = operation.info.credential else { return Ok(()) };
    if credential.browser_refused {
        refuse_browser(received, codes)?;
    }
    let found: Vec<_> =
        places(operation).into_iter().map(|place| look(place, &received.headers)).collect();
    let documented = operation.info.answers.iter().find(|(status, _)| *status == 401);
    let mut refusals = documented.into_iter().flat_map(|(_, codes)| codes.iter().copied());
    // By the documents' convention the first code is the one of a missing credential.
    let missing = refusals.next().unwrap_or(codes.internal);
    if found.contains(&Found::Nothing) {
        return Err(Refusal::new(missing));
    }
    if found.contains(&Found::Malformed) {
        return Err(Refusal::new(refusals.next().unwrap_or(missing)));
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Found {
    Nothing,
    Malformed,
    Something,
}

fn look(place: Place, headers: &HeaderMap) -> Found {
    let name = match place {
        Place::Bearer => AUTHORIZATION.as_str(),
        Place::Header(name) => name,
    };
    let mut all = headers.get_all(name).iter();
    let Some(one) = all.next() else { return Found::Nothing };
    let text = one.to_str().ok().filter(|_| all.next().is_none());
    let token = match place {
        Place::Bearer => text.and_then(|text| {
            let (scheme, token) = text.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start_matches(' '))
        }),
        Place::Header(_) => text,
    };
    if token.is_some_and(|token| !token.is_empty()) { Found::Something } else { Found::Malformed }
}
