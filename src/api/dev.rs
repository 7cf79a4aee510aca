//! What `--dev` alone serves: the demo page, sessions for it, and a clock that can be moved.

use std::sync::Arc;

use dropshot::{
    ApiDescription, ApiDescriptionRegisterError, Body, HttpError, RequestContext, UntypedBody,
};
use http::header::{AUTHORIZATION, ORIGIN};
use http::{Response, StatusCode};
use serde::Deserialize;
use serde_json::json;
use vestibule_api::authenticate::windows;

use super::answer;
use super::auth::SignedCaller;
use super::chat_sessions::offered_names;
use super::page_routes::respond;
use super::pages::{Page, demo_headers};
use crate::cli::dev::TenantCredentials;
use crate::context::Context;
use crate::domain::api_key::KeyHash;
use crate::domain::chat_session::{self, Customer, Opening};
use crate::domain::key::Key;
use crate::domain::limits::LimitsChange;
use crate::domain::signature::Verified;
use crate::domain::theme::Fallback;
use crate::domain::{chat_token, embed_session, iframe_session};
use crate::error::{Error, Result, Thing};

type Request = RequestContext<Arc<Context>>;

/// Registers the routes of `--dev`.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    unpublished!(api, GET "/demo", demo)?;
    unpublished!(api, POST "/dev/sessions", sessions, body: UntypedBody)?;
    unpublished!(api, POST "/dev/clock", clock, body: UntypedBody)
}

async fn demo(_: Request) -> Result<Response<Body>, HttpError> {
    respond(Page::Demo.html(), &demo_headers())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    surface: Surface,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Surface {
    Embed,
    Chat,
    Iframe,
}

/// Opens a session of the demo tenant for the demo page: `{"surface"}` → `{"url"}`.
async fn sessions(context: Request, body: UntypedBody) -> Result<Response<Body>, HttpError> {
    let service = context.context();
    let origin = context.request.headers().get(ORIGIN);
    let origin = origin.map(|value| value.to_str().unwrap_or_default());
    let wanted = service.require_same_origin(origin).ok().and_then(|()| {
        let wanted: Wanted = serde_json::from_slice(body.as_bytes()).ok()?;
        Some((wanted.surface, service.dev.as_ref()?))
    });
    let Some((surface, demo)) = wanted else {
        let message = "The body must be {\"surface\": \"embed\" | \"chat\" | \"iframe\"}.";
        return answer(
            StatusCode::BAD_REQUEST,
            &json!({ "error": "invalid_input", "message": message }),
        );
    };
    let url = match surface {
        Surface::Embed => service.demo_embed(&demo.demo).await,
        Surface::Chat => service.demo_chat(&demo.demo).await,
        Surface::Iframe => service.demo_iframe(&demo.demo).await,
    };
    match url {
        Ok(url) => answer(StatusCode::CREATED, &json!({ "url": url })),
        Err(error) => {
            let message = error.to_string();
            answer(
                StatusCode::INTERNAL_SERVER_ERROR,
                &json!({ "error": "internal", "message": message }),
            )
        }
    }
}

impl Context {
    async fn demo_key(&self, lookup: &str) -> Result<Arc<Key>> {
        self.store.key_by_lookup(lookup).await?.ok_or(Error::NotFound(Thing::Key))
    }

    async fn demo_embed(&self, demo: &TenantCredentials) -> Result<String> {
        let key = self.demo_key(&demo.embed.key).await?;
        let chat = Some(demo.embed.chat_id.clone());
        let capabilities = ["showChatPage", "showSendInput", "showStatusButton"].map(str::to_owned);
        let employee = demo.embed.employee_id.clone();
        let asked = embed_session::Request { employee, capabilities: capabilities.into(), chat };
        let remember_until = self.clock.now_ms() + windows::EMBED_TIMESTAMP_MS;
        // Nothing was signed; a random value takes the place of the signature that is used up.
        let verified = Verified { mac: self.ids.bytes(), secret: 0, remember_until };
        let caller = SignedCaller { key, generation: 1, verified };
        let session = self.draw_embed(&caller.key, caller.generation, asked).await?;
        let session = self.open_embed(&caller, session, None).await?;
        let claims = embed_session::claims(&session, self.tokens.issuer());
        let token = self.tokens.mint(&claims.ok_or(Error::InvalidToken)?)?;
        Ok(embed_session::iframe_url(&self.public_url, Some(&demo.embed.chat_id), &token))
    }

    async fn demo_chat(&self, demo: &TenantCredentials) -> Result<String> {
        let key = self.demo_key(&demo.chat.public_key).await?;
        let admitted = chat_session::admit(Some(&key), Some(&self.public_url))?;
        let opening = Opening { locale: Some("en".into()), ..Opening::default() };
        let catalogue = self.store.catalogue(&key.tenant).await?;
        let intents = offered_names(admitted.allowed_intents, &catalogue);
        let customer = Customer::default();
        let opened = self.open_chat(&admitted, 1, &customer, opening, intents, None).await?;
        let claims = chat_session::claims(&opened.session).ok_or(Error::InvalidToken)?;
        let token = chat_token::mint(&self.master_keys, &claims);
        Ok(format!("{}/widget/frame#token={token}", self.public_url))
    }

    async fn demo_iframe(&self, demo: &TenantCredentials) -> Result<String> {
        let key = self.demo_key(&KeyHash::of(&demo.iframe.api_key).lookup()).await?;
        let sources = self.store.sources(&key.tenant).await?.as_ref().clone();
        let model = vestibule_api::models::IframeModel::default().to_string();
        let context = iframe_session::Context {
            model,
            theme: None,
            fallback: Fallback::default(),
            knowledge_base_entries: vec![],
            reference_queries: vec![],
        };
        let asked = iframe_session::Request { uid: "demo".into(), sources, ttl_s: 900, context };
        let drawn = self.draw_iframe(&key, 1, asked).await?;
        let (session, cache_key) = (drawn.session, drawn.cache_key);
        self.open_iframe(&key, session, cache_key, LimitsChange::Keep, None).await?;
        Ok(drawn.body.iframe_url)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Shift {
    offset_ms: i64,
}

/// Moves the service's clock to `offset_ms` from the system's; the admin token opens it.
async fn clock(context: Request, body: UntypedBody) -> Result<Response<Body>, HttpError> {
    let service = context.context();
    let token = context.request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = token.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
    if !service.admin_token.matches(&KeyHash::of(token)) {
        return answer(StatusCode::UNAUTHORIZED, &json!({ "error": "invalid_api_key" }));
    }
    let Ok(Shift { offset_ms }) = serde_json::from_slice(body.as_bytes()) else {
        let message = "The body must be {\"offset_ms\": integer}.";
        return answer(
            StatusCode::BAD_REQUEST,
            &json!({ "error": "invalid_input", "message": message }),
        );
    };
    service.clock.set_offset_ms(offset_ms);
    answer(StatusCode::OK, &json!({ "offset_ms": offset_ms, "now_ms": service.clock.now_ms() }))
}
