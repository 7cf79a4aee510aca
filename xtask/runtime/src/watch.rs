//! Watches one request from its first look to its answer, and makes the record of it.
//!
//! A watch that is dropped without an answer tells of a client that has gone: dropshot drops what
//! nobody waits for.

use std::sync::Arc;
use std::time::Instant;

use dropshot::{Body, HttpError, RequestContext};
use http::header::X_CONTENT_TYPE_OPTIONS;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use hyper::body::Body as _;
use tracing::{Instrument as _, Span};

use crate::record::{Asked, CLIENT_GONE, Notes, RequestRecord, method_name};
use crate::serve::{Told, unless_it_panics};
use crate::{Host, OperationInfo, TraceParent};

/// A request that is being answered.
pub(crate) struct Watch<'a, S: Host> {
    host: Arc<S>,
    asked: Asked<'a>,
    pub(crate) notes: Notes,
    /// Bytes of the body that was read.
    pub(crate) received_bytes: u64,
    pub(crate) span: Span,
    started: Instant,
    is_over: bool,
}

/// Where a request goes: the operation, or the template of a path that no document has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Route<'a> {
    Operation(&'static OperationInfo),
    Path(&'a str),
}

impl<'a, S: Host> Watch<'a, S> {
    pub(crate) fn begin(
        host: &Arc<S>,
        route: Route<'a>,
        method: &Method,
        headers: &HeaderMap,
        request_id: &'a str,
    ) -> Self {
        let (operation, path) = match route {
            Route::Operation(operation) => (Some(operation), operation.path),
            Route::Path(path) => (None, path),
        };
        let (method, route) = (method_name(method), Some(path));
        let asked = Asked { operation, method, route, request_id, trace: TraceParent::of(headers) };
        Self {
            span: host.begin(&asked),
            host: Arc::clone(host),
            asked,
            notes: Notes::default(),
            received_bytes: 0,
            started: Instant::now(),
            is_over: false,
        }
    }

    /// The request was answered.
    pub(crate) fn finish(mut self, code: Option<&'static str>, response: &Response<Body>) {
        self.end(response.status(), code, response.body().size_hint().exact());
    }

    fn end(&mut self, status: StatusCode, code: Option<&'static str>, sent_bytes: Option<u64>) {
        self.is_over = true;
        let record = RequestRecord {
            asked: self.asked,
            status,
            code,
            caller: self.notes.known_caller(),
            token: self.notes.token_prefix(),
            test_clock: self.notes.moved_clock(),
            took: self.started.elapsed(),
            received_bytes: self.received_bytes,
            sent_bytes,
        };
        self.span.in_scope(|| self.host.observe(&record));
    }
}

impl<S: Host> Drop for Watch<'_, S> {
    fn drop(&mut self) {
        if !self.is_over {
            let gone = StatusCode::from_u16(CLIENT_GONE).expect("three digits");
            self.end(gone, None, None);
        }
    }
}

/// Runs an endpoint that stands in no document, with the record of its answer, unless its address
/// asks too often. An error that it returns is answered as dropshot would, and a panic as a fault of
/// the service.
///
/// # Errors
/// Never.
pub async fn observed<S, Fut>(
    route: &str,
    context: RequestContext<Arc<S>>,
    handle: impl FnOnce(RequestContext<Arc<S>>) -> Fut + Send,
) -> Result<Response<Body>, HttpError>
where
    S: Host,
    Fut: Future<Output = Result<Response<Body>, HttpError>> + Send,
{
    let (host, request_id) = (Arc::clone(context.context()), context.request_id.clone());
    let (method, headers) = (context.request.method(), context.request.headers());
    let watch = Watch::begin(&host, Route::Path(route), method, headers, &request_id);
    let client = host.client(context.request.remote_addr(), headers);
    if let Err(refusal) = host.count_visitor(client, route) {
        let told = Told::new(refusal, &request_id);
        let code = told.code();
        let mut response = told.into_response(StatusCode::TOO_MANY_REQUESTS);
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, nosniff);
        watch.finish(Some(code), &response);
        return Ok(response);
    }
    let handling = handle(context).instrument(watch.span.clone());
    let answered = unless_it_panics(handling)
        .await
        .unwrap_or_else(|| Err(HttpError::for_internal_error("the handler panicked".into())));
    let response = answered.unwrap_or_else(|error| error.into_response(&request_id));
    watch.finish(None, &response);
    Ok(response)
}
