//! Answers to CORS preflights (Fetch, section 4.9) for the paths of a document with `x-cors`.

use std::sync::Arc;

use dropshot::{Body, HttpError, RequestContext};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};

use crate::{Host, observed};

/// Answers 204 with the `methods` of the path and the headers that are `asked` of pages, with permission when some enabled key allows the origin and without otherwise.
///
/// # Errors
/// Never.
pub async fn preflight<S: Host>(
    context: RequestContext<Arc<S>>,
    path: &'static str,
    methods: &'static str,
    asked: &'static str,
) -> Result<Response<Body>, HttpError> {
    observed(path, context, |context| permission(context, methods, asked)).await
}

async fn permission<S: Host>(
    context: RequestContext<Arc<S>>,
    methods: &'static str,
    asked: &'static str,
) -> Result<Response<Body>, HttpError> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let origin = context.request.headers().get(ORIGIN).cloned();
    let Some(origin) = origin else { return Ok(response) };
    let allowed = match origin.to_str() {
        Ok(text) => context.context().origin_may_read(text).await,
        Err(_) => false,
    };
    if allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(asked));
        headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("600"));
    }
    Ok(response)
}
