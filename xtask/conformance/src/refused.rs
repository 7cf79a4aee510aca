//! Credentials that the deployment refuses in every valid request: most likely they are wrong, and
//! its service is not.
//!
//! Learns from answers. Knows no credential's value and sends nothing.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::credentials::Credentials;
use crate::document::{Operation, Role, Scheme, Source};
use crate::outcome::RefusedCredentials;
use crate::transport::Reply;

/// What became of valid requests, by the places of the credentials that they were made with.
#[derive(Default)]
pub struct Tried(Mutex<BTreeMap<Vec<String>, Told>>);

#[derive(Default)]
struct Told {
    is_accepted: bool,
    first: Option<RefusedCredentials>,
}

impl Tried {
    /// After the answer to a valid request.
    pub fn learn(
        &self,
        (operation, way): (&Operation, Option<usize>),
        credentials: &Credentials,
        reply: &Reply,
    ) {
        let places = places(operation.ways(way), credentials);
        if places.is_empty() || reply.status == 429 || reply.status >= 500 {
            return;
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let told = all.entry(places.clone()).or_default();
        if !matches!(reply.status, 401 | 403) {
            told.is_accepted = true;
            return;
        }
        let Some(answer) = operation.answer(reply.status) else { return };
        let code = reply.json().and_then(|body| body["error"].as_str().map(str::to_owned));
        // Another code is a fault of the service. Somebody else's document tells no codes.
        let is_documented = code.as_ref().is_none_or(|code| answer.codes.contains(code));
        if is_documented || answer.codes.is_empty() {
            told.first.get_or_insert(RefusedCredentials {
                places,
                status: reply.status,
                code,
                operation: operation.id.clone(),
            });
        }
    }

    /// Those that were refused, and accepted by nothing.
    pub fn refused(&self) -> Vec<RefusedCredentials> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|it| !it.is_accepted).filter_map(|it| it.first.clone()).collect()
    }
}

/// Where the credentials stand that a request is made with.
fn places(ways: &[Vec<Scheme>], credentials: &Credentials) -> Vec<String> {
    let sources = |group: &[Scheme]| {
        let carried =
            group.iter().filter(|it| !matches!(it.role, Role::Timestamp { .. } | Role::Nonce));
        carried.map(|it| it.source.clone()).collect::<Vec<_>>()
    };
    let is_held = |source: &Source| match source {
        Source::Credential(path) => !credentials.all(path).is_empty(),
        Source::Answer { .. } => true,
    };
    let mut groups = ways.iter().map(|group| sources(group));
    let held = groups.find(|group| group.iter().all(is_held)).unwrap_or_default();
    let places = held.into_iter().filter_map(|source| match source {
        Source::Credential(path) => Some(path),
        Source::Answer { .. } => None,
    });
    places.collect()
}
