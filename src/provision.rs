//! Making and changing tenants, keys and sessions: fresh ids and credentials, secrets sealed for
//! their places, one audit line each. Used by the surfaces, the command line and `--dev` alike.
//!
//! Knows no HTTP.

mod fence;
mod life_cycle;
mod webhooks;

use secrecy::SecretString;

use crate::context::{Clock, Ids};
use crate::domain::admin::{CREDENTIAL_BYTES, Credential, KeyRequest, credential, settings};
use crate::domain::audit::AuditEntry;
use crate::domain::erasure::Whose;
use crate::domain::key::{Kept, Key, KeyKind, KeySecret, KeyState};
use crate::domain::key_rotation;
use crate::domain::sealing::{MasterKeys, Place, Sealed, generation_name};
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::tenant::{Directory, Tenant};
use crate::error::{Error, Result, Thing};
use crate::store::{Erasure, Receipt, Store};

pub use fence::Fenced;
pub use life_cycle::Ending;
pub use webhooks::open_webhook_secrets;

/// What is needed to make something, and who makes it.
#[derive(Clone, Copy)]
pub struct Provision<'a> {
    /// Where it is remembered.
    pub store: &'a Store,
    /// They seal its secrets.
    pub keys: &'a MasterKeys,
    /// Tells when it was made.
    pub clock: &'a Clock,
    /// Draws its ids and secrets.
    pub ids: &'a Ids,
    /// Who does it, for the audit: `admin`, `cli` or `dev`.
    pub actor: &'a str,
}

/// A tenant that was drawn, with what is shown once.
pub struct DrawnTenant {
    /// The tenant.
    pub tenant: Tenant,
    /// It signs `customerToken`s.
    pub secret: SecretString,
    /// The line that is written with it.
    pub audit: AuditEntry,
}

/// A key that was drawn, with what is shown once.
pub struct DrawnKey {
    /// The key.
    pub key: Key,
    /// What its holder shows.
    pub credential: Credential,
    /// The line that is written with it.
    pub audit: AuditEntry,
}

impl Provision<'_> {
    /// Whether these master keys open this database; the first ones to ask are the ones that do.
    /// When they do not, nothing in the database opens, and nothing may be written into it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn master_keys_fit(&self) -> Result<bool> {
        let fresh = self.keys.key_check(self.ids.bytes());
        let check = self.store.remember_key_check(&fresh).await?;
        Ok(self.keys.opens_key_check(&check))
    }

    /// Makes a tenant. The secret signs `customerToken`s and is shown once.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn tenant(
        &self,
        name: &str,
        directory: Directory,
        signing: SigningAlgorithm,
    ) -> Result<(Tenant, SecretString)> {
        let DrawnTenant { tenant, secret, audit } = self.draw_tenant(name, directory, signing);
        self.store.create_tenant(tenant.clone(), audit, None).await?;
        Ok((tenant, secret))
    }

    /// A tenant to be made: nothing is stored yet.
    pub fn draw_tenant(
        &self,
        name: &str,
        directory: Directory,
        signing: SigningAlgorithm,
    ) -> DrawnTenant {
        let id = self.ids.id("ten_");
        let secret = SecretString::from(self.ids.hex::<32>("cis_"));
        let tenant = Tenant {
            name: name.to_owned(),
            directory,
            signing,
            identity_secret: self.seal_identity_secret(&id, &secret),
            created_at: self.clock.now_ms(),
            revoked_at: None,
            erased_at: None,
            id,
        };
        let audit = self.audit(&tenant.id, "tenant.create", &tenant.id);
        let audit = audit.with("signing", signing.name());
        DrawnTenant { tenant, secret, audit }
    }

    /// Makes a key. The credential is shown once.
    ///
    /// # Errors
    /// `Rules` when the request's members do not fit together, `NotFound` when there is no such
    /// tenant or it is revoked.
    pub async fn key(
        &self,
        tenant: &str,
        label: &str,
        request: KeyRequest,
    ) -> Result<(Key, Credential)> {
        let DrawnKey { key, credential, audit } = self.draw_key(tenant, label, request)?;
        self.store.create_key(key.clone(), audit, None).await?;
        Ok((key, credential))
    }

    /// A key to be made: nothing is stored yet.
    ///
    /// # Errors
    /// `Rules` when the request's members do not fit together.
    pub fn draw_key(&self, tenant: &str, label: &str, request: KeyRequest) -> Result<DrawnKey> {
        let settings = settings(&request)?;
        let credential =
            credential(request.kind, request.mode, &self.ids.bytes::<CREDENTIAL_BYTES>());
        let mut key = Key {
            tenant: tenant.to_owned(),
            id: self.ids.id("key_"),
            lookup: credential.lookup.clone(),
            mode: request.mode,
            label: label.to_owned(),
            state: KeyState::Active,
            allowed_origins: request.allowed_origins,
            idle_timeout_s: request.idle_timeout_s,
            max_lifetime_s: request.max_lifetime_s,
            ceilings: request.ceilings,
            settings,
            secrets: Vec::new(),
            created_at: self.clock.now_ms(),
        };
        key.secrets = vec![self.key_secret(&key, 1, &credential)];
        let audit = self.audit(tenant, "key.create", &key.id);
        Ok(DrawnKey { key, credential, audit })
    }

    /// Gives a key a new credential, shown once, beside the one it has, which is accepted for
    /// `overlap_s` more. An embed key keeps its public id. `receipt` is asked for at each attempt.
    ///
    /// # Errors
    /// `NotFound` when there is no such key or it is revoked; `RotationInProgress` as
    /// [`key_rotation::rotated`]; `Answered` when what the receipt names took effect before.
    pub async fn rotate_key(
        &self,
        id: &str,
        overlap_s: u32,
        receipt: impl Fn() -> Option<Receipt<(Key, Credential)>>,
    ) -> Result<(Key, Credential)> {
        loop {
            let key = self.store.key_by_id(id).await?;
            let key = key.filter(|key| key.state != KeyState::Revoked);
            let key = key.ok_or(Error::NotFound(Thing::Key))?;
            let mut credential =
                credential(key.kind(), key.mode, &self.ids.bytes::<CREDENTIAL_BYTES>());
            if key.kind() == KeyKind::Embed {
                credential.lookup.clone_from(&key.lookup);
                credential.public = Some(key.lookup.clone());
            }
            let generation = key_rotation::next_generation(&key);
            let fresh = self.key_secret(&key, generation, &credential);
            let rotated = key_rotation::rotated(&key, fresh, overlap_s, self.clock.now_ms())?;
            let audit = self
                .audit(&key.tenant, "key.rotate", &key.id)
                .with("generation", generation)
                .with("overlap_s", overlap_s);
            let with = credential.clone();
            let receipt = receipt()
                .map(|receipt| receipt.within(move |key: &Key| Ok((key.clone(), with.clone()))));
            let rotating = self.store.rotate_key(rotated, generation - 1, audit, receipt);
            // Somebody else's rotation in between counts as the earlier one.
            if let Some(key) = rotating.await? {
                return Ok((key, credential));
            }
        }
    }

    /// What is remembered of a key's credential: a secret that signs is sealed, of the others it is
    /// enough to know by what they are found.
    pub fn key_secret(&self, key: &Key, generation: i64, credential: &Credential) -> KeySecret {
        match (key.kind(), &credential.secret) {
            (KeyKind::Embed, Some(secret)) => self.seal_key_secret(key, generation, secret),
            (KeyKind::Embed, None) | (KeyKind::Chat | KeyKind::Iframe, _) => {
                self.found_by(generation, &credential.lookup)
            }
        }
    }

    /// Erases what is held of a person or a tenant, or a large part of it.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant.
    pub async fn erase(&self, tenant: &str, whose: &Whose) -> Result<Erasure> {
        let subject = match whose {
            Whose::Person(subject) => Some(subject.clone()),
            Whose::Everything => None,
        };
        let entry = || self.audit(tenant, "tenant.erase", tenant).about(subject.clone());
        self.store.erase(tenant, whose, self.clock.now_ms(), entry).await
    }

    /// A secret of an embed key, sealed for its place.
    pub fn seal_key_secret(&self, key: &Key, generation: i64, secret: &SecretString) -> KeySecret {
        let name = generation_name(&key.id, generation);
        let place = Place::key_secret(&key.tenant, &name);
        let kept = Kept::Sealed(self.keys.seal(place, self.ids.bytes(), secret));
        KeySecret { generation, kept, created_at: self.clock.now_ms(), not_after: None }
    }

    /// A credential that finds its key by itself.
    pub fn found_by(&self, generation: i64, lookup: &str) -> KeySecret {
        let kept = Kept::Lookup(lookup.to_owned());
        KeySecret { generation, kept, created_at: self.clock.now_ms(), not_after: None }
    }

    /// A tenant's identity secret, sealed for its place.
    pub fn seal_identity_secret(&self, tenant: &str, secret: &SecretString) -> Sealed {
        self.keys.seal(Place::identity_secret(tenant), self.ids.bytes(), secret)
    }

    /// A line of the audit, now.
    pub fn audit(&self, tenant: &str, action: &str, target: &str) -> AuditEntry {
        let entry = AuditEntry {
            id: self.ids.id("aud_"),
            tenant: tenant.to_owned(),
            at: self.clock.own_now_ms(),
            actor: self.actor.to_owned(),
            action: action.to_owned(),
            target: target.to_owned(),
            subject: None,
            detail: serde_json::Map::new(),
        };
        entry.by_clock(vestibule_runtime::moved_clock())
    }
}

/// Opens one secret of an embed key.
///
/// # Errors
/// `Internal` when it was sealed by another master key, moved or damaged, or is of another kind.
pub fn open_key_secret(keys: &MasterKeys, key: &Key, secret: &KeySecret) -> Result<SecretString> {
    let name = generation_name(&key.id, secret.generation);
    match &secret.kept {
        Kept::Sealed(sealed) => keys.open(Place::key_secret(&key.tenant, &name), sealed),
        Kept::Lookup(_) => Err(Error::Internal(format!("{name} of {} signs nothing", key.id))),
    }
}

/// Opens the secret that signs a tenant's `customerToken`s.
///
/// # Errors
/// `Internal` when it was sealed by another master key, moved or damaged.
pub fn open_identity_secret(keys: &MasterKeys, tenant: &Tenant) -> Result<SecretString> {
    keys.open(Place::identity_secret(&tenant.id), &tenant.identity_secret)
}
