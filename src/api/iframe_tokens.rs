//! Redeeming a cache key for the token behind it.

use vestibule_api::iframe_tokens::{
    IframeTokenRedeemRequest, IframeTokenRedeemResponse, IframeTokens,
};
use vestibule_api::models;
use vestibule_runtime::{RateLimitFields, Refusal, TokenPrefix};

use super::auth::note_session;
use super::refusal::documented;
use crate::context::Context;
use crate::domain::api_key::KeyHash;
use crate::domain::iframe_session;
use crate::domain::limits::Limits;
use crate::domain::session::Grant;
use crate::domain::theme::ResolvedTheme;
use crate::domain::token;
use crate::error::{Error, Result};
use crate::store::Redeemed;

impl IframeTokens for Context {
    async fn iframe_token_redeem(
        &self,
        request: IframeTokenRedeemRequest,
    ) -> Result<IframeTokenRedeemResponse, Refusal> {
        self.require_same_origin(request.received.origin())?;
        let clock = self.asked_clock(&request.received);
        let standing = self.edge.redemption(request.received.client, clock.own_ms)?;
        let hash = KeyHash::of(&request.body.cache_key);
        request.received.notes.token(TokenPrefix(hash.prefix()));
        let audit_id = self.ids.id("aud_");
        let redeemed = self.store.redeem_cache_key(hash.bytes(), clock, audit_id).await?;
        let Redeemed { session, terms, moved_to, .. } = &redeemed;
        note_session(&request.received, session);
        if let Some(at) = moved_to {
            request.received.move_clock(*at);
        }
        let now = self.clock.now_ms();
        self.note_use(session, Some(*terms), now);
        let body = self.redeemed_token(redeemed, now).await?;
        let RateLimitFields { policy: ratelimit_policy, state: ratelimit } = standing.into();
        Ok(IframeTokenRedeemResponse::Ok { body, ratelimit_policy, ratelimit })
    }
}

impl Context {
    async fn redeemed_token(
        &self,
        Redeemed { session, limits, .. }: Redeemed,
        now_ms: i64,
    ) -> Result<models::IframeToken, Refusal> {
        let other = || Error::Internal("a cache key of another surface's session".into());
        let Grant::Iframe { uid, context, .. } = &session.grant else { return Err(other().into()) };
        let claims = iframe_session::claims(&session, self.tokens.issuer()).ok_or_else(other)?;
        // Its signing key may have been rotated away since: then nobody would take the token.
        token::require_accepted_key(&self.tokens, &claims, now_ms)
            .map_err(|_| Error::CacheKeyExpired)?;
        // The redemption is used up, and a page without its tenant's colours is better than none.
        let default = self.store.default_theme(&session.tenant).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "a session is shown without its tenant's default theme");
            None
        });
        let theme = iframe_session::context(context)?.theme_now(default.as_deref());
        Ok(models::IframeToken {
            access_token: self.tokens.mint(&claims)?,
            token_type: models::TokenType::Bearer,
            expires_in: session.remaining_s(now_ms),
            session_id: session.id.clone(),
            theme: shown(theme)?,
            limits: limits.map(told),
            uid: uid.clone(),
        })
    }
}

fn shown(theme: ResolvedTheme) -> Result<models::ResolvedTheme, Refusal> {
    let css = theme.custom_css_vars.into_iter().map(|(name, value)| {
        let value = documented(&value)?;
        Ok::<_, Refusal>((name, value))
    });
    Ok(models::ResolvedTheme {
        theme_mode: documented(&theme.theme_mode)?,
        custom_css_vars: models::CustomCssVars(css.collect::<Result<_, _>>()?),
        start_message: theme.start_message,
        response_mode: documented(&theme.response_mode)?,
        show_sidebar: theme.show_sidebar,
        show_dashboards: theme.show_dashboards,
    })
}

fn told(limits: Limits) -> models::Limits {
    let Limits { hourly, daily, weekly, monthly } = limits;
    models::Limits { hourly, daily, weekly, monthly }
}
