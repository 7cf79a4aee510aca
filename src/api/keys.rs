//! Keys of the three kinds, for operators.

use secrecy::ExposeSecret as _;
use vestibule_api::keys::{
    KeyCreateRequest, KeyCreateResponse, KeyListRequest, KeyListResponse, KeyPauseRequest,
    KeyPauseResponse, KeyReadRequest, KeyReadResponse, KeyResumeRequest, KeyResumeResponse,
    KeyRevokeRequest, KeyRevokeResponse, KeyRotateRequest, KeyRotateResponse, KeyUpdateRequest,
    KeyUpdateResponse, Keys,
};
use vestibule_api::models;
use vestibule_runtime::Refusal;

use super::auth::AdminCaller;
use super::idempotency::Once;
use super::key_members::{asked, change, kind, shown};
use super::refusal::documented;
use super::tenants::{ADMIN, next_cursor, page_size};
use crate::context::Context;
use crate::domain::admin::Credential;
use crate::domain::key::{Key, KeyState, KeyUse};
use crate::error::{Error, Thing};

impl Keys for Context {
    async fn key_create(
        &self,
        _: AdminCaller,
        request: KeyCreateRequest,
        once: Option<Once>,
    ) -> Result<KeyCreateResponse, Refusal> {
        let tenant = request.body.tenant_id.to_string();
        let label = request.body.label.to_string();
        let drawn = self.provision(ADMIN).draw_key(&tenant, &label, asked(request.body))?;
        let key = shown(&drawn.key, KeyUse::default(), self.clock.now_ms())?;
        let body = models::KeyCreated { key, credential: told_once(drawn.credential) };
        let reply = self.reply(once, move |(): &()| Ok(KeyCreateResponse::Created { body }));
        let created = self.store.create_key(drawn.key, drawn.audit, reply.receipt()).await;
        reply.answer(created)
    }

    async fn key_read(
        &self,
        _: AdminCaller,
        request: KeyReadRequest,
    ) -> Result<KeyReadResponse, Refusal> {
        let key = self.store.key_by_id(&request.path.key_id).await?;
        let key = key.ok_or(Error::NotFound(Thing::Key))?;
        Ok(KeyReadResponse::Ok { body: self.shown_key(&key).await? })
    }

    async fn key_update(
        &self,
        _: AdminCaller,
        request: KeyUpdateRequest,
    ) -> Result<KeyUpdateResponse, Refusal> {
        let id = request.path.key_id.to_string();
        let key = self.provision(ADMIN).update_key(&id, change(request)).await?;
        Ok(KeyUpdateResponse::Ok { body: self.shown_key(&key).await? })
    }

    async fn key_rotate(
        &self,
        _: AdminCaller,
        request: KeyRotateRequest,
        once: Option<Once>,
    ) -> Result<KeyRotateResponse, Refusal> {
        let id = request.path.key_id.as_str();
        let overlap_s = u32::try_from(request.body.overlap_seconds).unwrap_or(u32::MAX);
        // Before the rotation: the answer is made within its transaction.
        let seen = self.store.key_use(id).await?;
        let now = self.clock.now_ms();
        let reply = self.reply(once, move |(key, credential): &(Key, Credential)| {
            let key = shown(key, seen, now)?;
            let body = models::KeyRotated { key, credential: told_once(credential.clone()) };
            Ok(KeyRotateResponse::Ok { body })
        });
        let rotated = self.provision(ADMIN).rotate_key(id, overlap_s, || reply.receipt()).await;
        reply.answer(rotated)
    }

    async fn key_list(
        &self,
        _: AdminCaller,
        request: KeyListRequest,
    ) -> Result<KeyListResponse, Refusal> {
        let query = request.query;
        let tenant = query.tenant_id.as_ref().map(|id| id.as_str());
        let (limit, after) = (page_size(query.limit), query.after.as_ref().map(|a| a.as_str()));
        let mut found =
            self.store.list_keys(tenant, query.kind.map(kind), after, limit + 1).await?;
        let next = next_cursor(&mut found, limit, |key| &key.id);
        let items = self.shown_keys(&found).await?;
        let next = next.as_deref().map(documented).transpose()?;
        Ok(KeyListResponse::Ok { body: models::KeyList { items, next } })
    }

    async fn key_revoke(
        &self,
        _: AdminCaller,
        request: KeyRevokeRequest,
    ) -> Result<KeyRevokeResponse, Refusal> {
        self.provision(ADMIN).set_key_state(&request.path.key_id, KeyState::Revoked).await?;
        Ok(KeyRevokeResponse::NoContent {})
    }

    async fn key_pause(
        &self,
        _: AdminCaller,
        request: KeyPauseRequest,
    ) -> Result<KeyPauseResponse, Refusal> {
        let provision = self.provision(ADMIN);
        let key = provision.set_key_state(&request.path.key_id, KeyState::Paused).await?;
        Ok(KeyPauseResponse::Ok { body: self.shown_key(&key).await? })
    }

    async fn key_resume(
        &self,
        _: AdminCaller,
        request: KeyResumeRequest,
    ) -> Result<KeyResumeResponse, Refusal> {
        let provision = self.provision(ADMIN);
        let key = provision.set_key_state(&request.path.key_id, KeyState::Active).await?;
        Ok(KeyResumeResponse::Ok { body: self.shown_key(&key).await? })
    }
}

impl Context {
    async fn shown_key(&self, key: &Key) -> Result<models::Key, Refusal> {
        let mut shown = self.shown_keys(std::slice::from_ref(key)).await?;
        let lost = || Error::Internal(format!("{} was not shown", key.id));
        Ok(shown.pop().ok_or_else(lost)?)
    }

    /// Keys in the order of their ids, and what was seen of their use.
    async fn shown_keys(&self, keys: &[Key]) -> Result<Vec<models::Key>, Refusal> {
        self.key_uses.flush(&self.store).await?;
        let mut uses = self.store.key_uses(keys).await?;
        let now = self.clock.now_ms();
        let shown = keys.iter().map(|key| {
            let seen: KeyUse = uses.remove(&key.id).unwrap_or_default();
            shown(key, seen, now)
        });
        shown.collect()
    }
}

/// What nobody can read again.
fn told_once(credential: Credential) -> models::KeyCredential {
    models::KeyCredential {
        public_id: credential.public,
        secret: credential.secret.map(|secret| secret.expose_secret().to_owned()),
    }
}
