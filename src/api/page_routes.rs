//! Routes of the pages that sessions open, with the frame policy of the session's key.

use std::sync::Arc;

use bytes::Bytes;
use dropshot::{
    ApiDescription, ApiDescriptionRegisterError, Body, HttpError, Path, RequestContext,
};
use http::Response;
use http::header::REFERER;
use schemars::JsonSchema;
use serde::Deserialize;

use super::pages::{Asset, Header, Page, SCRIPT, STYLE, asset_headers, page_headers};
use crate::context::Context;
use crate::domain::key::KeyKind;
use crate::domain::origin::{Origin, frame_ancestors};
use crate::error::Result;

type Request = RequestContext<Arc<Context>>;

/// Registers pages and assets; they are not in the documents.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    unpublished!(api, GET "/embed/chats", embed_list)?;
    unpublished!(api, GET "/embed/chats/{chat_id}", embed_chat, path: Path<ChatPath>)?;
    unpublished!(api, GET "/widget/frame", widget)?;
    unpublished!(api, GET "/iframe/{session_id}", iframe, path: Path<SessionPath>)?;
    unpublished!(api, GET SCRIPT.path, |_: Request| asset(SCRIPT))?;
    unpublished!(api, GET STYLE.path, |_: Request| asset(STYLE))
}

/// The chat is the page's business: the server asks for a token before it tells anything of it.
#[derive(Deserialize, JsonSchema)]
struct ChatPath {
    #[serde(rename = "chat_id")]
    _chat_id: String,
}

#[derive(Deserialize, JsonSchema)]
struct SessionPath {
    session_id: String,
}

async fn embed_list(context: Request) -> Result<Response<Body>, HttpError> {
    let ancestors = ancestors_of_kind(&context, KeyKind::Embed).await;
    page(Page::Embed, &ancestors)
}

async fn embed_chat(context: Request, _: Path<ChatPath>) -> Result<Response<Body>, HttpError> {
    embed_list(context).await
}

async fn widget(context: Request) -> Result<Response<Body>, HttpError> {
    let ancestors = ancestors_of_kind(&context, KeyKind::Chat).await;
    page(Page::Widget, &ancestors)
}

async fn iframe(context: Request, path: Path<SessionPath>) -> Result<Response<Body>, HttpError> {
    let origins = context.context().store.page_origins(&path.into_inner().session_id).await;
    let origins = origins.inspect_err(|error| tracing::error!(%error, "no frame policy"));
    page(Page::Iframe, &frame_ancestors(&origins.unwrap_or_default()))
}

/// Longer lists are narrowed to the one page that asks.
const MOST_ANCESTORS: usize = 64;

/// The frame policy of a page whose address does not name its session: what any enabled key of
/// the kind allows. The token in the fragment decides what the page can see.
async fn ancestors_of_kind(context: &Request, kind: KeyKind) -> String {
    let patterns = match context.context().store.enabled_origins(kind).await {
        Ok(patterns) => patterns,
        Err(error) => {
            tracing::error!(%error, "no frame policy");
            return frame_ancestors(&[]);
        }
    };
    if patterns.len() <= MOST_ANCESTORS {
        return frame_ancestors(&patterns);
    }
    let referer = context.request.headers().get(REFERER).and_then(|value| value.to_str().ok());
    let host = referer.and_then(|text| url::Url::parse(text).ok()).map(|url| url.origin());
    let host = host.map(|origin| origin.ascii_serialization());
    let allowed =
        host.filter(|text| Origin::parse(text).is_some_and(|it| it.is_allowed_by(&patterns)));
    frame_ancestors(allowed.as_slice())
}

fn page(page: Page, frame_ancestors: &str) -> Result<Response<Body>, HttpError> {
    respond(page.html(), &page_headers(frame_ancestors))
}

async fn asset(asset: Asset) -> Result<Response<Body>, HttpError> {
    let [a, b, c] = asset_headers();
    respond(asset.bytes, &[("content-type", asset.content_type.to_owned()), a, b, c])
}

/// Bytes with headers.
pub(super) fn respond(
    bytes: impl Into<Bytes>,
    headers: &[Header],
) -> Result<Response<Body>, HttpError> {
    let mut response = Response::builder();
    for (name, value) in headers {
        response = response.header(*name, value);
    }
    Ok(response.body(Body::with_content(bytes))?)
}
