//! The life cycle of sessions of all surfaces, for backends of tenants and for operators.

use std::sync::Arc;

use vestibule_api::models;
use vestibule_api::sessions::{
    SessionListRequest, SessionListResponse, SessionReadRequest, SessionReadResponse,
    SessionRenewRequest, SessionRenewResponse, SessionRevokeManyRequest, SessionRevokeManyResponse,
    SessionRevokeRequest, SessionRevokeResponse, Sessions,
};
use vestibule_runtime::{Refusal, Timestamp, Violation};

use super::backends::Backend;
use super::refusal::documented;
use super::tenants::page_size;
use crate::context::Context;
use crate::domain::audit::Subject;
use crate::domain::caller::Caller;
use crate::domain::key::Mode;
use crate::domain::session::{Overview, Session, State, Surface};
use crate::domain::session_filter::Filter;
use crate::domain::target::Target;
use crate::error::{Error, Result, Thing};
use crate::provision::Ending;
use crate::store::{Judged, SessionPage, Swept};

impl Sessions for Context {
    async fn session_list(
        &self,
        caller: Backend,
        request: SessionListRequest,
    ) -> Result<SessionListResponse, Refusal> {
        let (caller, query) = (self.reader(caller).await?, request.query);
        let after = query.after.as_ref().map(|after| after.to_string());
        let limit = page_size(query.limit) as usize;
        let now = self.clock.now_ms();
        let page = match asked(&caller, query) {
            Some(filter) => self.store.session_page(&filter, after, limit, now).await?,
            None => SessionPage::default(),
        };
        let items = page.items.iter();
        let items = items.map(|(session, judged)| shown(session, *judged, now));
        let items = items.collect::<Result<_, _>>()?;
        let next = page.next.as_deref().map(documented).transpose()?;
        Ok(SessionListResponse::Ok { body: models::SessionList { items, next } })
    }

    async fn session_read(
        &self,
        caller: Backend,
        request: SessionReadRequest,
    ) -> Result<SessionReadResponse, Refusal> {
        let session = self.seen_session(&self.reader(caller).await?, &request.path.sid).await?;
        let (session, now) = (session.overview(), self.clock.now_ms());
        let judged = self.store.judged(&session, now).await?;
        Ok(SessionReadResponse::Ok { body: shown(&session, judged, now)? })
    }

    async fn session_renew(
        &self,
        caller: Backend,
        request: SessionRenewRequest,
    ) -> Result<SessionRenewResponse, Refusal> {
        let caller = self.changer(caller).await?;
        let session = self.seen_session(&caller, &request.path.sid).await?;
        let renewed = self.renew(&session, &caller.actor).await?;
        let body = models::RenewedSession {
            sid: documented(&renewed.id)?,
            surface: surface(renewed.grant.surface()),
            token: self.mint(&renewed)?,
            token_type: models::TokenType::Bearer,
            expires_at: Timestamp(renewed.expires_at),
            expires_in: renewed.remaining_s(renewed.token_issued_at()),
        };
        Ok(SessionRenewResponse::Ok { body })
    }

    async fn session_revoke(
        &self,
        caller: Backend,
        request: SessionRevokeRequest,
    ) -> Result<SessionRevokeResponse, Refusal> {
        let caller = self.changer(caller).await?;
        let session = self.seen_session(&caller, &request.path.sid).await?;
        self.end(&session, &caller.actor).await?;
        Ok(SessionRevokeResponse::NoContent {})
    }

    async fn session_revoke_many(
        &self,
        caller: Backend,
        request: SessionRevokeManyRequest,
    ) -> Result<SessionRevokeManyResponse, Refusal> {
        let caller = self.changer(caller).await?;
        let body = request.body;
        let tenant = caller.meant(body.tenant_id.as_ref().map(|id| id.as_str()));
        let Some(tenant) = tenant else { return Ok(revoked(Swept::default())) };
        let tenant =
            tenant.ok_or_else(|| Error::Rules(vec![Violation::body("/tenant_id", "required")]))?;
        let ending = Ending {
            tests_alone: caller.sees_tests_alone,
            targets: body.targets.iter().map(target).collect::<Result<_, _>>()?,
            issued_before: body.issued_before.map(|at| at.0),
            margin_s: body.reauth_margin_s,
        };
        Ok(revoked(self.provision(&caller.actor).end_sessions(tenant, ending).await?))
    }
}

impl Context {
    /// A session that the caller may see.
    async fn seen_session(&self, caller: &Caller, id: &str) -> Result<Arc<Session>> {
        let found = match &caller.tenant {
            Some(tenant) => self.store.session(tenant, id).await?,
            None => self.store.session_by_id(id).await?.map(Arc::new),
        };
        let session = found.ok_or(Error::NotFound(Thing::Session))?;
        match self.may_see(caller, &session).await? {
            true => Ok(session),
            false => Err(Error::NotFound(Thing::Session)),
        }
    }

    /// Whether a session of the caller's tenant is one that their key may see.
    pub(super) async fn may_see(&self, caller: &Caller, session: &Session) -> Result<bool> {
        if !caller.sees_tests_alone {
            return Ok(true);
        }
        let key = self.store.key(&session.tenant, &session.key_id).await?;
        Ok(caller.sees_mode(key.map(|key| key.mode)))
    }

    /// Ends a session now, on behalf of `actor`.
    pub(super) async fn end(&self, session: &Session, actor: &str) -> Result<()> {
        let (tenant, now) = (&session.tenant, self.clock.now_ms());
        let audit = self.audit(tenant, actor, "session.revoke", &session.id);
        let audit = audit.about(session.grant.subject());
        self.store.revoke_session(tenant, &session.id, now, audit).await.map(drop)
    }
}

fn revoked(total: Swept) -> SessionRevokeManyResponse {
    let count = |it: u64| i64::try_from(it).unwrap_or(i64::MAX);
    let (revoked, not_revocable) = (count(total.revoked), count(total.not_revocable));
    SessionRevokeManyResponse::Ok { body: models::RevokedSessions { revoked, not_revocable } }
}

fn target(text: &models::RevocationTarget) -> Result<Target> {
    Target::parse(text.as_str())
        .ok_or_else(|| Error::Internal("a target that the document allows is none".into()))
}

/// What is asked for; `None` when the caller sees none of it.
fn asked(caller: &Caller, query: models::SessionListQuery) -> Option<Filter> {
    let tenant = caller.meant(query.tenant_id.as_ref().map(|id| id.as_str()))?;
    let targets = [
        query.uid.map(|id| Target::Subject(Subject::Uid(id.to_string()))),
        query.customer.map(|id| Target::Subject(Subject::Customer(id.to_string()))),
        query.employee.map(|id| Target::Subject(Subject::Employee(id.to_string()))),
        query.chat.map(|id| Target::Chat(id.to_string())),
        query.key.map(|id| Target::Key(id.to_string())),
    ];
    Some(Filter {
        tenant: tenant.map(str::to_owned),
        surface: query.surface.map(|it| match it {
            models::Surface::Embed => Surface::Embed,
            models::Surface::Chat => Surface::Chat,
            models::Surface::Iframe => Surface::Iframe,
        }),
        mode: caller.sees_tests_alone.then_some(Mode::Test),
        state: query.state.map(|it| match it {
            models::SessionState::Live => State::Live,
            models::SessionState::Expired => State::Expired,
            models::SessionState::Revoked => State::Revoked,
        }),
        targets: targets.into_iter().flatten().collect(),
        issued_after: query.issued_after.map(|at| at.0),
        issued_before: query.issued_before.map(|at| at.0),
    })
}

fn shown(
    session: &Overview,
    Judged { state, mode }: Judged,
    now_ms: i64,
) -> Result<models::Session, Refusal> {
    let (mut employee, mut customer, mut uid) = (None, None, None);
    match session.subject.clone() {
        Some(Subject::Employee(id)) => employee = Some(id),
        Some(Subject::Customer(id)) => customer = Some(id),
        Some(Subject::Uid(id)) => uid = Some(id),
        None => {}
    }
    let times = session.times;
    Ok(models::Session {
        sid: documented(&session.id)?,
        tenant_id: documented(&session.tenant)?,
        surface: surface(session.surface),
        state: match state {
            State::Live => models::SessionState::Live,
            State::Expired => models::SessionState::Expired,
            State::Revoked => models::SessionState::Revoked,
        },
        key_id: documented(&session.key_id)?,
        mode: mode.map(|mode| match mode {
            Mode::Live => models::SessionMode::Live,
            Mode::Test => models::SessionMode::Test,
        }),
        employee,
        chat: session.chat.clone(),
        customer,
        uid,
        issued_at: Timestamp(times.issued_at),
        renewed_at: times.renewed_at.map(Timestamp),
        last_used_at: times.last_used_at.map(Timestamp),
        expires_at: Timestamp(times.expires_at),
        expires_in: times.remaining_s(now_ms),
        revoked_at: times.revoked_at.map(Timestamp),
    })
}

/// A surface as the documents call it.
pub(super) fn surface(surface: Surface) -> models::Surface {
    match surface {
        Surface::Embed => models::Surface::Embed,
        Surface::Chat => models::Surface::Chat,
        Surface::Iframe => models::Surface::Iframe,
    }
}
