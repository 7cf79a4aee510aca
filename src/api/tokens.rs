//! Tokens of all surfaces, shown by somebody else than their holder (RFC 7662, RFC 7009).

use vestibule_api::models;
use vestibule_api::tokens::{
    TokenIntrospectRequest, TokenIntrospectResponse, TokenRevokeRequest, TokenRevokeResponse,
    Tokens,
};
use vestibule_runtime::Refusal;

use super::backends::Backend;
use super::refusal::documented;
use super::sessions::surface;
use crate::context::Context;
use crate::domain::introspection::Presented;
use crate::domain::key::Key;
use crate::domain::session::{Grant, Session};

impl Tokens for Context {
    async fn token_introspect(
        &self,
        caller: Backend,
        request: TokenIntrospectRequest,
    ) -> Result<TokenIntrospectResponse, Refusal> {
        let (caller, now) = (self.reader(caller).await?, self.clock.now_ms());
        let presented = self.presented(&request.body.token, &caller, now).await?;
        let Some((presented, session)) = presented else { return Ok(inactive()) };
        let key = self.store.key(&session.tenant, &session.key_id).await?;
        if session.require_live(key.as_deref().map(Key::terms), now).is_err() {
            return Ok(inactive());
        }
        let body = active(&presented, &session, now)?;
        Ok(TokenIntrospectResponse::Ok { body })
    }

    async fn token_revoke(
        &self,
        caller: Backend,
        request: TokenRevokeRequest,
    ) -> Result<TokenRevokeResponse, Refusal> {
        let (caller, now) = (self.changer(caller).await?, self.clock.now_ms());
        let presented = self.presented(&request.body.token, &caller, now).await?;
        if let Some((_, session)) = presented {
            self.end(&session, &caller.actor).await?;
        }
        Ok(TokenRevokeResponse::Ok { body: models::TokenRevocation { active: false } })
    }
}

fn inactive() -> TokenIntrospectResponse {
    let body = models::TokenIntrospection {
        active: false,
        scope: None,
        client_id: None,
        username: None,
        token_type: None,
        exp: None,
        iat: None,
        nbf: None,
        sub: None,
        aud: None,
        iss: None,
        jti: None,
        sid: None,
        surface: None,
    };
    TokenIntrospectResponse::Ok { body }
}

fn active(
    presented: &Presented,
    session: &Session,
    now_ms: i64,
) -> Result<models::TokenIntrospection, Refusal> {
    let said = presented.said(session, now_ms);
    let (scope, username) = match &session.grant {
        Grant::Embed { employee, capabilities, .. } => {
            (Some(capabilities.join(" ")), Some(employee))
        }
        Grant::Chat { customer, .. } => (None, customer.as_ref()),
        Grant::Iframe { uid, .. } => (None, Some(uid)),
    };
    Ok(models::TokenIntrospection {
        active: true,
        scope,
        client_id: Some(documented(&session.key_id)?),
        username: username.cloned(),
        token_type: Some(models::TokenType::Bearer),
        exp: Some(said.exp),
        iat: Some(said.iat),
        nbf: Some(said.nbf),
        sub: Some(said.sub.to_owned()),
        aud: Some(said.aud.to_owned()),
        iss: said.iss.map(str::to_owned),
        jti: Some(said.jti.to_owned()),
        sid: Some(documented(&session.id)?),
        surface: Some(surface(session.grant.surface())),
    })
}
