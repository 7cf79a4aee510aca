//! Which idempotency keys this instance is answering the first request of.
//!
//! Only so that a repetition which comes too early is told so, instead of doing the work once more
//! in vain: that there is one effect is the store's promise, across instances.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::idempotency::Claim;

/// The claims of requests that are being answered; as many as there are such requests.
#[derive(Debug, Default)]
pub struct InFlight {
    claims: Arc<Mutex<HashSet<Claim>>>,
}

/// One request that is being answered; it is not any more once this is dropped.
#[derive(Debug)]
pub struct Underway {
    claims: Arc<Mutex<HashSet<Claim>>>,
    claim: Claim,
}

impl InFlight {
    /// Marks a request as being answered; `None` when one with this claim is already.
    pub fn begin(&self, claim: Claim) -> Option<Underway> {
        let is_first = locked(&self.claims).insert(claim);
        is_first.then(|| Underway { claims: Arc::clone(&self.claims), claim })
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        locked(&self.claims).remove(&self.claim);
    }
}

/// A panic elsewhere cannot leave a set half changed.
fn locked(claims: &Mutex<HashSet<Claim>>) -> MutexGuard<'_, HashSet<Claim>> {
    claims.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_free_again_once_its_request_is_over() {
        let in_flight = InFlight::default();
        let first = in_flight.begin(Claim([1; 32])).expect("nobody else");
        assert!(in_flight.begin(Claim([1; 32])).is_none());
        assert!(in_flight.begin(Claim([2; 32])).is_some(), "another claim");
        drop(first);
        assert!(in_flight.begin(Claim([1; 32])).is_some());
    }
}
