//! Renewing sessions of all surfaces: what a session may do is judged again by the present state of
//! its key, then it gets a new token.

use std::sync::Arc;

use super::chat_sessions::offered_names;
use crate::context::Context;
use crate::domain::caller::Caller;
use crate::domain::key::{Key, KeySettings};
use crate::domain::session::{Grant, Session};
use crate::domain::{
    chat_session, chat_token, embed_session, iframe_session, introspection, renewal,
};
use crate::error::{Error, Result};

impl Context {
    /// Renews a session on behalf of `actor`.
    ///
    /// # Errors
    /// As [`renewal::renew`]; what the session's surface refuses.
    pub(super) async fn renew(&self, session: &Session, actor: &str) -> Result<Session> {
        let now = self.clock.now_ms();
        let key = self.store.key(&session.tenant, &session.key_id).await?;
        let (by, token) = (key.clone(), self.ids.id("tok_"));
        let renew =
            move |stored: &Session| renewal::renew(stored, by.as_deref(), now, token.clone());
        renew(session)?;
        self.reconsider(session, key.ok_or(Error::KeyDisabled)?).await?;
        let audit = self.audit(&session.tenant, actor, "session.renew", &session.id);
        let audit = audit.about(session.grant.subject());
        self.store.renew_session(&session.tenant, &session.id, Box::new(renew), audit).await
    }

    /// The token of a session, of its surface's kind.
    pub(super) fn mint(&self, session: &Session) -> Result<String> {
        let issuer = self.tokens.issuer();
        let other = || Error::Internal("a session without claims of its surface".into());
        match session.grant {
            Grant::Embed { .. } => {
                self.tokens.mint(&embed_session::claims(session, issuer).ok_or_else(other)?)
            }
            Grant::Chat { .. } => {
                let claims = chat_session::claims(session).ok_or_else(other)?;
                Ok(chat_token::mint(&self.master_keys, &claims))
            }
            Grant::Iframe { .. } => {
                self.tokens.mint(&iframe_session::claims(session, issuer).ok_or_else(other)?)
            }
        }
    }

    /// What somebody's token is, when `caller` may know: `None` for whatever speaks for no session.
    pub(super) async fn presented(
        &self,
        token: &str,
        caller: &Caller,
        now_ms: i64,
    ) -> Result<Option<(introspection::Presented, Arc<Session>)>> {
        let tenant = caller.tenant.as_deref();
        let read = introspection::read(&self.tokens, &self.master_keys, token, tenant, now_ms);
        let Some(presented) = read else { return Ok(None) };
        let (tenant, id) = presented.session();
        let session = self.store.session(tenant, id).await?;
        let session = session.filter(|session| presented.speaks(session, now_ms));
        let Some(session) = session else { return Ok(None) };
        Ok(self.may_see(caller, &session).await?.then_some((presented, session)))
    }

    /// Whether a key would grant now what a session of it may do.
    async fn reconsider(&self, session: &Session, key: Arc<Key>) -> Result<()> {
        match &session.grant {
            Grant::Embed { employee, capabilities, .. } => {
                embed_session::reconsider(&key, capabilities)?;
                self.require_known_people(session, employee).await
            }
            Grant::Chat { origin, intents, .. } => {
                let allowed = match &key.settings {
                    KeySettings::Chat { allowed_intents, .. } => allowed_intents.as_deref(),
                    KeySettings::Embed { .. } | KeySettings::Iframe { .. } => Some(&[][..]),
                };
                let catalogue = self.store.catalogue(&session.tenant).await?;
                let offered = offered_names(allowed, &catalogue);
                chat_session::reconsider(&key, origin.as_deref(), intents, &offered)
            }
            Grant::Iframe { sources, .. } => {
                let known = self.store.sources(&session.tenant).await?.iter().cloned().collect();
                iframe_session::require_sources(sources, &known)
            }
        }
    }
}
