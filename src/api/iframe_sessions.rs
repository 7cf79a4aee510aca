//! The iframe surface's door: sessions of the assistant.

use vestibule_api::iframe_sessions::{
    IframeSessionCreateRequest, IframeSessionCreateResponse, IframeSessions,
};
use vestibule_api::models;
use vestibule_runtime::Refusal;

use super::auth::ApiKeyCaller;
use super::idempotency::Once;
use crate::context::Context as Service;
use crate::domain::api_key::KeyHash;
use crate::domain::iframe_session::{self, Context, ReferenceQuery, Request};
use crate::domain::key::{Key, KeySettings};
use crate::domain::limits::{Limits, LimitsChange};
use crate::domain::session::Session;
use crate::domain::theme::{Fallback, ThemeChoice, ThemeSettings};
use crate::error::{Error, Result, Thing};
use crate::store::Receipt;

/// When `response_mode`, `show_sidebar` and `show_dashboards` of the request were deprecated:
/// 2026-01-01, as an RFC 9745 date.
const DEPRECATED_SINCE: &str = "@1767225600";

impl IframeSessions for Service {
    async fn iframe_session_create(
        &self,
        caller: ApiKeyCaller,
        request: IframeSessionCreateRequest,
        once: Option<Once>,
    ) -> Result<IframeSessionCreateResponse, Refusal> {
        let limits = limits_change(request.body.limits.as_ref(), request.limits_is_null);
        let asked = self.asked(&caller.key.tenant, request.body).await?;
        let deprecated = asked.context.fallback.is_used();
        let DrawnIframe { session, cache_key, body } =
            self.draw_iframe(&caller.key, caller.generation, asked).await?;
        let deprecation = deprecated.then(|| DEPRECATED_SINCE.to_owned());
        let respond = move |_: &Session| Ok(IframeSessionCreateResponse::Ok { body, deprecation });
        let reply = self.reply(once, respond);
        let receipt = reply.receipt();
        let opened = self.open_iframe(&caller.key, session, cache_key, limits, receipt).await;
        reply.answer(opened)
    }
}

/// A session to be opened.
pub(super) struct DrawnIframe {
    pub(super) session: Session,
    /// What finds the session by its cache key.
    pub(super) cache_key: KeyHash,
    /// What its opener is told; the cache key is shown there only.
    pub(super) body: models::IframeSession,
}

impl Service {
    /// A session that the holder of an API key may open.
    pub(super) async fn draw_iframe(
        &self,
        key: &Key,
        generation: i64,
        asked: Request,
    ) -> Result<DrawnIframe> {
        let known = self.store.sources(&key.tenant).await?.iter().cloned().collect();
        let now = self.clock.now_ms();
        let ids = self.fresh_ids(now);
        let session = iframe_session::open(key, generation, asked, &known, now, ids)?;
        let cache_key = self.ids.base62("ck_");
        let hash = KeyHash::of(&cache_key);
        let body = models::IframeSession {
            iframe_url: iframe_session::iframe_url(&self.public_url, &session.id, &cache_key),
            cache_key,
            expires_in: session.remaining_s(now),
        };
        Ok(DrawnIframe { session, cache_key: hash, body })
    }

    /// Opens a session that its cache key finds.
    pub(super) async fn open_iframe(
        &self,
        key: &Key,
        session: Session,
        cache_key: KeyHash,
        limits: LimitsChange,
        receipt: Option<Receipt<Session>>,
    ) -> Result<Session> {
        let KeySettings::Iframe { max_redemptions: most } = key.settings else {
            return Err(Error::InvalidApiKey);
        };
        let audit = self
            .audit(&key.tenant, &key.id, "session.open", &session.id)
            .about(session.grant.subject())
            .with("generation", session.key_generation);
        let (act, hash) = (self.opening(key, audit), cache_key.bytes());
        let limits = limits.of(key.mode);
        self.store.open_iframe_session(session, hash, most, limits, act, receipt).await
    }

    /// The request in the domain's words, its stored theme looked up.
    pub(super) async fn asked(
        &self,
        tenant: &str,
        body: models::CreateIframeSession,
    ) -> Result<Request> {
        let theme_id = body.theme_id.and_then(|id| i64::try_from(id.get()).ok());
        let theme = match ThemeChoice::of(body.theme.map(inline_theme), theme_id)? {
            ThemeChoice::Default => None,
            ThemeChoice::Inline(theme) => Some(theme),
            ThemeChoice::Stored(id) => {
                let stored = self.store.theme(tenant, id).await?;
                Some(stored.ok_or(Error::NotFound(Thing::Theme))?.as_ref().clone())
            }
        };
        let fallback = Fallback {
            response_mode: body.response_mode.map(|mode| mode.to_string()),
            show_sidebar: body.show_sidebar,
            show_dashboards: body.show_dashboards,
        };
        let queries = body.reference_queries.into_iter().map(|it| ReferenceQuery {
            title: Some(it.title.to_string()),
            query: it.query.to_string(),
        });
        let entries = body.knowledge_base_entries.iter().map(|entry| entry.to_string());
        Ok(Request {
            uid: body.uid.to_string(),
            sources: body.srcs.iter().map(source_text).collect(),
            ttl_s: body.ttl,
            context: Context {
                model: body.model.unwrap_or_default().to_string(),
                theme,
                fallback,
                knowledge_base_entries: entries.collect(),
                reference_queries: queries.collect(),
            },
        })
    }
}

/// An id's textual form: `12` and `"12"` name the same source.
fn source_text(id: &models::SourceId) -> String {
    match id {
        models::SourceId::String(text) => text.to_string(),
        models::SourceId::Integer(number) => number.to_string(),
    }
}

fn inline_theme(theme: models::InlineTheme) -> ThemeSettings {
    let css = theme
        .custom_css_vars
        .map(|vars| vars.0.into_iter().map(|(name, value)| (name, value.to_string())).collect());
    ThemeSettings {
        theme_mode: theme.theme_mode.map(|mode| mode.to_string()),
        custom_css_vars: css,
        start_message: theme.start_message.map(|message| message.to_string()),
        response_mode: theme.response_mode.map(|mode| mode.to_string()),
        show_sidebar: theme.show_sidebar,
        show_dashboards: theme.show_dashboards,
    }
}

fn limits_change(limits: Option<&models::NullableLimits>, is_null: bool) -> LimitsChange {
    match limits {
        Some(limits) => LimitsChange::Set(Limits {
            hourly: limits.hourly,
            daily: limits.daily,
            weekly: limits.weekly,
            monthly: limits.monthly,
        }),
        None if is_null => LimitsChange::Clear,
        None => LimitsChange::Keep,
    }
}
