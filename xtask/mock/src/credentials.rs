//! Whether a request has the credential that its operation asks for. Whether it is true is not
//! asked: there is nobody to know.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use vestibule_runtime::{OperationInfo, Received, Refusal, StandardCodes, refuse_browser};

use crate::MockOperation;

/// Where a security scheme is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// `Authorization: Bearer …`.
    Bearer,
    /// A header of its own.
    Header(&'static str),
}

/// The places of each of an operation's credentials, any one of which opens it.
pub fn places(operation: &MockOperation) -> impl Iterator<Item = Vec<Place>> {
    operation.info.credentials.iter().map(|it| match it.headers {
        [] => vec![Place::Bearer],
        headers => headers.iter().copied().map(Place::Header).collect(),
    })
}

/// Lets a request in whose credential is there. Of several the one is meant whose headers it has,
/// else a bearer token, as generated code decides it.
///
/// # Errors
/// The code that its operation documents for a missing credential, or for one that no header can
/// be.
pub fn check(
    operation: &MockOperation,
    received: &Received,
    codes: &StandardCodes,
) -> Result<(), Refusal> {
    let Some(at) = meant(operation.info, received) else { return Ok(()) };
    if operation.info.credentials[at].browser_refused {
        refuse_browser(received, codes)?;
    }
    let places = places(operation).nth(at).unwrap_or_default();
    let found: Vec<_> = places.into_iter().map(|place| look(place, &received.headers)).collect();
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

/// Which of an operation's credentials a request is meant to show.
fn meant(operation: &OperationInfo, received: &Received) -> Option<usize> {
    let all = operation.credentials;
    let shown = all.iter().position(|it| received.presents(it.caller));
    let bearer = || all.iter().position(|it| it.headers.is_empty());
    shown.or_else(bearer).or((!all.is_empty()).then_some(0))
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
