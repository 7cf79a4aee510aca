//! The embed surface's door: sessions of the agent inbox.

use vestibule_api::embed_sessions::{
    EmbedSessionCreateRequest, EmbedSessionCreateResponse, EmbedSessionReadRequest,
    EmbedSessionReadResponse, EmbedSessions,
};
use vestibule_api::models;
use vestibule_runtime::{Refusal, Timestamp};

use super::auth::{SessionCaller, SignedCaller};
use super::idempotency::Once;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::embed_session::{self, Request};
use crate::domain::key::Key;
use crate::domain::session::{Grant, Session};
use crate::domain::signature::Verified;
use crate::domain::tenant::Directory;
use crate::error::{Error, Result, Thing};
use crate::store::{DirectoryKind, Receipt};

impl EmbedSessions for Context {
    async fn embed_session_create(
        &self,
        caller: SignedCaller,
        request: EmbedSessionCreateRequest,
        once: Option<Once>,
    ) -> Result<EmbedSessionCreateResponse, Refusal> {
        let asked = asked(request.body);
        let session = self.draw_embed(&caller.key, caller.generation, asked).await?;
        let body = self.embed_session(&session)?;
        let location = "/v1/embed/session".to_owned();
        let respond = move |_: &Session| Ok(EmbedSessionCreateResponse::Created { body, location });
        let reply = self.reply(once, respond);
        let opened = self.open_embed(&caller, session, reply.receipt()).await;
        reply.answer(opened)
    }

    async fn embed_session_read(
        &self,
        caller: SessionCaller,
        _: EmbedSessionReadRequest,
    ) -> Result<EmbedSessionReadResponse, Refusal> {
        let session = &caller.session;
        let (employee, capabilities, chat) = granted(session)?;
        let data = models::EmbedGrant {
            session_id: session.id.clone(),
            employee_id: documented(employee)?,
            capabilities,
            allowed_chat_id: chat.map(documented).transpose()?,
            expires_at: Timestamp(session.expires_at),
            expires_in: session.remaining_s(self.clock.now_ms()),
        };
        Ok(EmbedSessionReadResponse::Ok { body: models::EmbedGrantEnvelope { data } })
    }
}

impl Context {
    /// A session that the holder of a secret of the key may open.
    pub(super) async fn draw_embed(
        &self,
        key: &Key,
        generation: i64,
        asked: Request,
    ) -> Result<Session> {
        let now = self.clock.now_ms();
        let ids = self.fresh_ids(now);
        let employee = asked.employee.clone();
        let session = embed_session::open(key, generation, asked, now, ids)?;
        self.require_known_people(&session, &employee).await?;
        Ok(session)
    }

    /// Opens a session for a caller whose signature is accepted once.
    pub(super) async fn open_embed(
        &self,
        caller: &SignedCaller,
        session: Session,
        receipt: Option<Receipt<Session>>,
    ) -> Result<Session> {
        let audit = self
            .audit(&session.tenant, &caller.key.id, "session.open", &session.id)
            .about(session.grant.subject())
            .with("generation", session.key_generation);
        let Verified { mac, remember_until, .. } = caller.verified;
        let act = self.opening(&caller.key, audit);
        self.store.open_embed_session(session, &mac, remember_until, act, receipt).await
    }

    /// Asks the directory of a tenant that wants it asked.
    pub(super) async fn require_known_people(
        &self,
        session: &Session,
        employee: &str,
    ) -> Result<()> {
        let tenant =
            self.store.tenant(&session.tenant).await?.ok_or(Error::NotFound(Thing::Tenant))?;
        if tenant.directory == Directory::Open {
            return Ok(());
        }
        let has = |kind, id| self.store.directory_has(&session.tenant, kind, id);
        let employee = has(DirectoryKind::Employee, employee).await?;
        let chat = match &session.grant {
            Grant::Embed { chat: Some(chat), .. } => Some(has(DirectoryKind::Chat, chat).await?),
            Grant::Embed { .. } | Grant::Chat { .. } | Grant::Iframe { .. } => None,
        };
        embed_session::require_known(tenant.directory, employee, chat)
    }

    /// What the opener of a session is told, its token minted.
    pub(super) fn embed_session(
        &self,
        session: &Session,
    ) -> Result<models::EmbedSessionEnvelope, Refusal> {
        let claims = embed_session::claims(session, self.tokens.issuer()).ok_or_else(not_embed)?;
        let embed_token = self.tokens.mint(&claims)?;
        let (_, capabilities, chat) = granted(session)?;
        let data = models::EmbedSession {
            iframe_url: embed_session::iframe_url(&self.public_url, chat, &embed_token),
            embed_token,
            expires_at: Timestamp(session.expires_at),
            expires_in: session.remaining_s(session.issued_at),
            capabilities,
            allowed_chat_id: chat.map(documented).transpose()?,
        };
        Ok(models::EmbedSessionEnvelope { data })
    }
}

pub(super) fn asked(body: models::CreateEmbedSession) -> Request {
    Request {
        employee: body.employee_id.to_string(),
        capabilities: body.capabilities.iter().map(ToString::to_string).collect(),
        chat: body.chat_id.map(|chat| chat.to_string()),
    }
}

/// Employee, capabilities and chat of an embed session.
fn granted(session: &Session) -> Result<(&str, Vec<models::Capability>, Option<&str>), Refusal> {
    match &session.grant {
        Grant::Embed { employee, capabilities, chat } => {
            let capabilities = capabilities.iter().map(|name| documented(name));
            Ok((employee, capabilities.collect::<Result<_, _>>()?, chat.as_deref()))
        }
        Grant::Chat { .. } | Grant::Iframe { .. } => Err(not_embed().into()),
    }
}

fn not_embed() -> Error {
    Error::Internal("a session of another surface passed the embed surface's checks".into())
}
