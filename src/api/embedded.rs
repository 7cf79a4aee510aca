//! Texts built into the binary, served with a strong ETag.
//!
//! Knows nothing of what the texts are for: whoever serves one gives its path, its type and the text.

use std::sync::{Arc, OnceLock};

use dropshot::{ApiDescription, ApiDescriptionRegisterError, Body, HttpError, RequestContext};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};

use crate::context::Context;
use crate::domain::api_key::KeyHash;

/// A text that is the same for as long as the process runs.
struct Embedded {
    content_type: &'static str,
    text: &'static str,
    /// Its strong validator (RFC 9110, section 8.8.3), computed when it is first asked for.
    etag: OnceLock<String>,
}

/// Registers a text under a path; it is not in the documents.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
    path: &str,
    content_type: &'static str,
    text: &'static str,
) -> Result<(), ApiDescriptionRegisterError> {
    let file = Arc::new(Embedded { content_type, text, etag: OnceLock::new() });
    let serve = move |context| answer(context, Arc::clone(&file));
    unpublished!(api, GET path, serve)
}

async fn answer(
    context: RequestContext<Arc<Context>>,
    file: Arc<Embedded>,
) -> Result<Response<Body>, HttpError> {
    let etag = file.etag.get_or_init(|| format!("\"{}\"", &KeyHash::of(file.text).lookup()[..32]));
    let known = context.request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|all| all.split(',').any(|one| is_match(one.trim(), etag)));
    let (status, body) = match is_known {
        true => (StatusCode::NOT_MODIFIED, Body::empty()),
        false => (StatusCode::OK, Body::with_content(file.text)),
    };
    Ok(Response::builder()
        .status(status)
        .header(CONTENT_TYPE, file.content_type)
        .header(CACHE_CONTROL, "no-cache")
        .header(ETAG, etag)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body)?)
}

fn is_match(sent: &str, etag: &str) -> bool {
    sent == "*" || sent.strip_prefix("W/").unwrap_or(sent) == etag
}
