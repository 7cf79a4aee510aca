//! Requests that take effect once: what took effect before is found, and a fresh answer is kept
//! beside its effect.
//!
//! Every answer to a request with a key is taken from what was kept, the first one too, so that
//! all of them are the same bytes. A request without a key pays nothing for this.

use std::sync::{Arc, Mutex, PoisonError};

use vestibule_runtime::{Keeps, Kept, Keyed, Recall, Recalled, Refusal, Scope, Scoped};

use super::auth::{AdminCaller, ApiKeyCaller, SessionCaller, SignedCaller, SignedV2Caller};
use super::tenants::ADMIN;
use crate::context::{Context, Ids};
use crate::domain::idempotency::{self, Claim, Fingerprint, Request};
use crate::domain::sealing::MasterKeys;
use crate::error::{Error, Result};
use crate::in_flight::Underway;
use crate::store::Receipt;

/// A request that has not taken effect yet, and is to once.
pub struct Once {
    tenant: String,
    claim: Claim,
    fingerprint: Fingerprint,
    now: i64,
    until: i64,
    /// Until this is dropped, repetitions are told to wait.
    _underway: Underway,
}

impl Recall for Context {
    type Once = Once;

    async fn recall(&self, scope: Scope<'_>, keyed: Keyed) -> Result<Recalled<Once>, Refusal> {
        let address = keyed.uri.path_and_query().map(|it| it.as_str()).unwrap_or_default();
        let request = Request {
            tenant: scope.tenant,
            credential: scope.credential,
            operation: keyed.operation.id,
            key: &keyed.key,
            address,
            origin: keyed.origin.as_deref(),
            body: &keyed.body,
        };
        let (claim, fingerprint, now) =
            (request.claim(), request.fingerprint(), self.clock.now_ms());
        if let Some(sealed) = self.store.kept_answer(scope.tenant, claim, now).await? {
            let place = (scope.tenant, claim);
            let kept = opened(&self.master_keys, place, fingerprint, &sealed)?;
            self.use_up(scope).await?;
            return Ok(Recalled::Before(kept));
        }
        let underway = self.in_flight.begin(claim).ok_or(Error::IdempotencyInProgress)?;
        Ok(Recalled::Fresh(Once {
            tenant: scope.tenant.to_owned(),
            claim,
            fingerprint,
            now,
            until: now.saturating_add(keyed.info.kept_ms),
            _underway: underway,
        }))
    }
}

impl Context {
    /// Uses up what was shown and counts once only, in a write of its own.
    ///
    /// # Errors
    /// `SignatureReplayed` when it was shown before.
    pub(super) async fn use_up(&self, scope: Scope<'_>) -> Result<()> {
        let Some(proof) = scope.proof else { return Ok(()) };
        let Scope { tenant, credential, .. } = scope;
        self.store.use_up_signature(tenant, credential, proof.bytes, proof.remember_until).await
    }

    /// The answer that `respond` makes of what will be written, to be kept if there is a key.
    pub(super) fn reply<T, R, F>(&self, once: Option<Once>, respond: F) -> Reply<F>
    where
        T: 'static,
        R: Keeps + 'static,
        F: FnOnce(&T) -> Result<R, Refusal> + Clone + Send + Sync + 'static,
    {
        let keeping = once.map(|once| Keeping {
            once: Arc::new(once),
            keys: Arc::clone(&self.master_keys),
            ids: self.ids.clone(),
            kept: Arc::default(),
        });
        Reply { respond, keeping }
    }
}

/// An answer before its effect: first the receipt goes to the store, then the outcome comes back.
pub(super) struct Reply<F> {
    respond: F,
    keeping: Option<Keeping>,
}

/// An answer on its way into the store.
#[derive(Clone)]
struct Keeping {
    once: Arc<Once>,
    keys: Arc<MasterKeys>,
    ids: Ids,
    /// What was kept; the last attempt counts, as in the store.
    kept: Arc<Mutex<Option<Kept>>>,
}

impl<F> Reply<F> {
    /// What the store keeps the answer by.
    pub(super) fn receipt<T, R>(&self) -> Option<Receipt<T>>
    where
        T: 'static,
        R: Keeps + 'static,
        F: FnOnce(&T) -> Result<R, Refusal> + Clone + Send + Sync + 'static,
    {
        let keeping = self.keeping.clone()?;
        let (respond, once) = (self.respond.clone(), Arc::clone(&keeping.once));
        let answer = move |effect: &T| keeping.keep(respond.clone()(effect));
        Some(Receipt {
            tenant: once.tenant.clone(),
            claim: once.claim,
            now: once.now,
            until: once.until,
            answer: Box::new(answer),
        })
    }

    /// The answer to what the store did.
    pub(super) fn answer<T, R>(self, outcome: Result<T>) -> Result<R, Refusal>
    where
        R: Keeps,
        F: FnOnce(&T) -> Result<R, Refusal>,
    {
        let Some(Keeping { once, keys, kept, .. }) = self.keeping else {
            return (self.respond)(&outcome?);
        };
        let kept = match outcome {
            Ok(_) => kept.lock().unwrap_or_else(PoisonError::into_inner).take(),
            Err(Error::Answered(sealed)) => {
                Some(opened(&keys, (&once.tenant, once.claim), once.fingerprint, &sealed)?)
            }
            Err(error) => return Err(error.into()),
        };
        let kept = kept.ok_or_else(|| Error::Internal("an answer was not kept".into()))?;
        Ok(R::kept(kept))
    }
}

impl Keeping {
    fn keep<R: Keeps>(&self, answer: Result<R, Refusal>) -> Result<Vec<u8>> {
        let Once { tenant, claim, fingerprint, .. } = &*self.once;
        let answer =
            answer.map_err(|refusal| Error::Internal(format!("no answer to keep: {refusal:?}")))?;
        let kept = Kept::of(answer).map_err(|bad| Error::Internal(bad.internal_message))?;
        let text = serde_json::to_string(&kept)
            .map_err(|bad| Error::Internal(format!("an answer cannot be kept: {bad}")))?;
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
        // Drawn at each attempt: what an attempt that failed has written is not the same text.
        let nonce = self.ids.bytes();
        Ok(idempotency::seal(&self.keys, (tenant, *claim), nonce, *fingerprint, &text))
    }
}

/// A kept answer, told as one that was given before.
fn opened(
    keys: &MasterKeys,
    place: (&str, Claim),
    fingerprint: Fingerprint,
    sealed: &[u8],
) -> Result<Kept> {
    let text = idempotency::open(keys, place, fingerprint, sealed)?;
    let kept: Kept = serde_json::from_str(&text)
        .map_err(|bad| Error::Internal(format!("a kept answer is unreadable: {bad}")))?;
    Ok(kept.again())
}

impl Scoped for AdminCaller {
    fn scope(&self) -> Scope<'_> {
        Scope { tenant: "", credential: ADMIN, proof: None }
    }
}

impl Scoped for ApiKeyCaller {
    fn scope(&self) -> Scope<'_> {
        Scope { tenant: &self.key.tenant, credential: &self.key.id, proof: None }
    }
}

impl Scoped for SessionCaller {
    fn scope(&self) -> Scope<'_> {
        Scope { tenant: &self.session.tenant, credential: &self.session.id, proof: None }
    }
}

impl Scoped for SignedCaller {
    fn scope(&self) -> Scope<'_> {
        let proof = vestibule_runtime::Proof {
            bytes: &self.verified.mac,
            remember_until: self.verified.remember_until,
        };
        Scope { tenant: &self.key.tenant, credential: &self.key.id, proof: Some(proof) }
    }
}

impl Scoped for SignedV2Caller {
    fn scope(&self) -> Scope<'_> {
        let proof = vestibule_runtime::Proof {
            bytes: &self.verified.mac,
            remember_until: self.verified.remember_until,
        };
        Scope { tenant: &self.key.tenant, credential: &self.key.id, proof: Some(proof) }
    }
}
