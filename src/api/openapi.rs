//! `/openapi/{document}.json`: the bundled documents, byte for byte, with an ETag.

use std::sync::{Arc, LazyLock};

use dropshot::{ApiDescription, ApiDescriptionRegisterError, Body, HttpError, RequestContext};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use http::{Response, StatusCode};

use crate::context::Context;
use crate::domain::api_key::KeyHash;

/// Registers one endpoint per document; they are not in the documents themselves.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    for (index, (name, _)) in vestibule_api::documents::ALL.iter().enumerate() {
        let path = format!("/openapi/{name}.json");
        let serve = move |context| document(context, index);
        unpublished!(api, GET & path, serve)?;
    }
    Ok(())
}

/// Strong validators of the documents, in their order (RFC 9110, section 8.8.3).
static ETAGS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let all = vestibule_api::documents::ALL.iter();
    all.map(|(_, text)| format!("\"{}\"", &KeyHash::of(text).lookup()[..32])).collect()
});

async fn document(
    context: RequestContext<Arc<Context>>,
    index: usize,
) -> Result<Response<Body>, HttpError> {
    let (etag, text) = (&ETAGS[index], vestibule_api::documents::ALL[index].1);
    let known = context.request.headers().get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    let is_known = known.is_some_and(|all| all.split(',').any(|one| is_match(one.trim(), etag)));
    let (status, body) = match is_known {
        true => (StatusCode::NOT_MODIFIED, Body::empty()),
        false => (StatusCode::OK, Body::with_content(text)),
    };
    Ok(Response::builder()
        .status(status)
        .header(CONTENT_TYPE, "application/json")
        .header(CACHE_CONTROL, "no-cache")
        .header(ETAG, etag)
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .body(body)?)
}

fn is_match(sent: &str, etag: &str) -> bool {
    sent == "*" || sent.strip_prefix("W/").unwrap_or(sent) == etag
}
