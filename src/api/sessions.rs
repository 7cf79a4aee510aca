//! The life cycle of sessions of all surfaces, for backends of tenants and for operators.

use std::sync::Arc;

use vestibule_api::models;
use vestibule_api::sessions::{SessionReadRequest, SessionReadResponse, Sessions};
use vestibule_runtime::{Refusal, Timestamp};

use super::backends::Backend;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::caller::Caller;
use crate::domain::session::{Grant, Session, State, Surface};
use crate::error::{Error, Result, Thing};

impl Sessions for Context {
    async fn session_read(
        &self,
        caller: Backend,
        request: SessionReadRequest,
    ) -> Result<SessionReadResponse, Refusal> {
        let session = self.seen_session(&self.reader(caller).await?, &request.path.sid).await?;
        let key = self.store.key(&session.tenant, &session.key_id).await?;
        let now = self.clock.now_ms();
        let state = session.state(key.map(|key| key.state), now);
        Ok(SessionReadResponse::Ok { body: shown(&session, state, now)? })
    }
}

impl Context {
    /// A session that the caller may see.
    async fn seen_session(&self, caller: &Caller, id: &str) -> Result<Arc<Session>> {
        let found = match &caller.tenant {
            Some(tenant) => self.store.session(tenant, id).await?,
            None => self.store.session_by_id(id).await?.map(Arc::new),
        };
        found.ok_or(Error::NotFound(Thing::Session))
    }
}

fn shown(session: &Session, state: State, now_ms: i64) -> Result<models::Session, Refusal> {
    let (employee, chat, uid) = match &session.grant {
        Grant::Embed { employee, chat, .. } => (Some(employee), chat.as_ref(), None),
        Grant::Chat { conversation, .. } => (None, Some(conversation), None),
        Grant::Iframe { uid, .. } => (None, None, Some(uid)),
    };
    Ok(models::Session {
        sid: documented(&session.id)?,
        tenant_id: documented(&session.tenant)?,
        surface: match session.grant.surface() {
            Surface::Embed => models::Surface::Embed,
            Surface::Chat => models::Surface::Chat,
            Surface::Iframe => models::Surface::Iframe,
        },
        state: match state {
            State::Live => models::SessionState::Live,
            State::Expired => models::SessionState::Expired,
            State::Revoked => models::SessionState::Revoked,
        },
        key_id: documented(&session.key_id)?,
        employee: employee.cloned(),
        chat: chat.cloned(),
        uid: uid.cloned(),
        issued_at: Timestamp(session.issued_at),
        expires_at: Timestamp(session.expires_at),
        expires_in: session.remaining_s(now_ms),
        revoked_at: session.revoked_at.map(Timestamp),
    })
}
