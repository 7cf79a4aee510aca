//! The public keys of tenants whose tokens others may verify, as a JSON Web Key Set.
//!
//! Derived from the master keys and the generations that the store remembers; a secret that
//! verifies is never among them.

use std::sync::LazyLock;

use vestibule_api::public_keys::{JwksReadRequest, JwksReadResponse, PublicKeys};
use vestibule_api::{documents, models};
use vestibule_runtime::Refusal;

use crate::context::Context;
use crate::domain::key_pair::PublicKey;
use crate::domain::signing_key::SigningState;
use crate::domain::token::Audience;

impl PublicKeys for Context {
    async fn jwks_read(&self, request: JwksReadRequest) -> Result<JwksReadResponse, Refusal> {
        let (now, tenant) = (self.clock.now_ms(), request.query.tenant_id);
        let all = self.store.published_signing_keys().await?;
        let asked = all.iter().filter(|key| {
            tenant.as_ref().is_none_or(|tenant| tenant.as_str() == key.tenant)
                && key.state(now) != SigningState::Retired
        });
        let pairs = asked.flat_map(|key| {
            Audience::ALL.into_iter().flat_map(|audience| {
                self.master_keys.key_pairs(&key.tenant, audience, key.generation())
            })
        });
        let keys = pairs.take(*MOST).map(|pair| shown(&pair.public)).collect();
        let body = models::JwkSet { keys };
        Ok(JwksReadResponse::Ok { body })
    }
}

fn shown(key: &PublicKey) -> models::Jwk {
    models::Jwk {
        kty: models::JwkKty::Okp,
        crv: models::JwkCrv::Ed25519,
        x: key.x.clone(),
        kid: key.kid.clone(),
        use_: models::JwkUse::Sig,
        alg: models::JwkAlg::EdDsa,
    }
}

/// The most keys of one answer.
static MOST: LazyLock<usize> = LazyLock::new(|| {
    let most =
        documents::lifecycle().pointer("/components/schemas/JwkSet/properties/keys/maxItems");
    let most = most.and_then(serde_json::Value::as_u64);
    most.and_then(|most| usize::try_from(most).ok()).expect("the document bounds the keys")
});
