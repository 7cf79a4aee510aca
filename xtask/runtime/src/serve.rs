//! Runs one operation around its handler: deadline, panics, headers, CORS and the record of it.
//!
//! The only middleware there is; dropshot has none by design.

use std::any::Any;
use std::marker::PhantomData;
use std::net::{IpAddr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use dropshot::{
    ApiEndpointBodyContentType, ApiEndpointResponse, Body, ExclusiveExtractor, ExtensionMode,
    ExtractorMetadata, HttpError, HttpResponse, RequestContext, ServerContext,
};
use futures::FutureExt;
use http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, ORIGIN, RETRY_AFTER,
    VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};
use serde::Serialize;
use tracing::{Instrument as _, Span};

use crate::received::{self, Sender};
use crate::record::{Asked, RequestRecord};
use crate::test_clock::by_its_clock;
use crate::watch::{Route, Watch};
use crate::{
    BodyLimits, Code, ErrorBody, Operation, OperationInfo, Received, Refusal, StandardCodes,
};

/// What the service lends to generated code.
pub trait Host: Send + Sync + 'static {
    /// Limits on reading bodies.
    fn body_limits(&self) -> &BodyLimits;
    /// The longest a handler may take.
    fn handler_deadline(&self) -> Duration;
    /// Who sent a request that came over the connection from `connected`: another address when
    /// something trusted stands between.
    fn client(&self, connected: SocketAddr, _: &HeaderMap) -> IpAddr {
        connected.ip()
    }
    /// Whether pages of this origin may read answers, errors among them.
    fn origin_may_read(&self, origin: &str) -> impl Future<Output = bool> + Send;
    /// Counts a request of this address before anything of it is read.
    ///
    /// # Errors
    /// When it is one too many.
    fn count_address(&self, address: IpAddr) -> Result<(), Refusal>;
    /// Counts a request of this address for a path that stands in no document, before it is handled.
    ///
    /// # Errors
    /// When it is one too many.
    fn count_visitor(&self, address: IpAddr, _: &str) -> Result<(), Refusal> {
        self.count_address(address)
    }
    /// Takes note of a request that begins; gives the span that its events belong to.
    fn begin(&self, _: &Asked<'_>) -> Span {
        Span::none()
    }
    /// Takes note of how it ended, inside that span. Called once for each that began.
    fn observe(&self, record: &RequestRecord<'_>);
}

/// A request that dropshot routed to an operation; its body is not read yet.
#[derive(Debug)]
pub struct Incoming<O> {
    request: Request<Body>,
    operation: PhantomData<O>,
}

#[async_trait::async_trait]
impl<O: Operation> ExclusiveExtractor for Incoming<O> {
    async fn from_request<C: ServerContext>(
        _: &RequestContext<C>,
        request: Request<Body>,
    ) -> Result<Self, HttpError> {
        Ok(Self { request, operation: PhantomData })
    }

    fn metadata(_: ApiEndpointBodyContentType) -> ExtractorMetadata {
        O::metadata()
    }
}

/// An operation's documented answers: generated response enums alone implement it.
pub trait Answer: HttpResponse + Send {
    /// The answer to a refusal, as the operation documents it, with its request id.
    fn refused(refusal: Refusal, request_id: &str) -> Self;
    /// The stable code it carries; `None` on success.
    fn code(&self) -> Option<&'static str>;
}

/// A refusal told to a caller: what a variant of a response enum holds.
#[derive(Debug)]
pub struct Told {
    refusal: Refusal,
    request_id: String,
}

impl Told {
    /// Ties a refusal to the request it answers.
    pub fn new(refusal: Refusal, request_id: &str) -> Self {
        Self { refusal, request_id: request_id.to_owned() }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.refusal.code().map_or("", |code| code.name)
    }

    /// The answer with `status`.
    pub fn into_response(self, status: StatusCode) -> Response<Body> {
        let (headers, body) = self.refusal.into_parts(&self.request_id);
        let mut response = Response::new(Body::with_content(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

/// A successful answer: its body as JSON and the headers its document names.
///
/// # Errors
/// When a model cannot be written or a header holds what headers cannot: a defect.
pub fn success(
    status: StatusCode,
    body: Option<&impl Serialize>,
    headers: &[(&'static str, Option<String>)],
) -> Result<Response<Body>, HttpError> {
    let defect = |bad: &dyn std::fmt::Display| HttpError::for_internal_error(bad.to_string());
    let mut response = Response::new(Body::empty());
    if let Some(body) = body {
        let text = serde_json::to_vec(body).map_err(|bad| defect(&bad))?;
        *response.body_mut() = Body::with_content(text);
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    *response.status_mut() = status;
    for (name, value) in headers {
        let Some(value) = value else { continue };
        let value = HeaderValue::from_str(value).map_err(|bad| defect(&bad))?;
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    Ok(response)
}

/// The refusal itself and its status when the operation documents its code, `internal` when it
/// does not: an undocumented answer never leaves the service, and the log says which wanted to.
pub fn documented<O: Operation>(refusal: Refusal, internal: Code) -> (Refusal, StatusCode) {
    documented_by(O::INFO, refusal, internal)
}

fn documented_by(
    operation: &OperationInfo,
    refusal: Refusal,
    internal: Code,
) -> (Refusal, StatusCode) {
    let refusal = refusal.settled(operation);
    let status = refusal.code().and_then(|code| operation.status_of(code));
    if let Some(status) = status {
        return (refusal, status);
    }
    tracing::error!(operation = operation.id, code = ?refusal.code(), "undocumented refusal");
    (Refusal::new(internal), StatusCode::INTERNAL_SERVER_ERROR)
}

/// Nothing to document: the operation takes no parameters and no body.
pub fn no_parameters() -> ExtractorMetadata {
    ExtractorMetadata { extension_mode: ExtensionMode::None, parameters: vec![] }
}

/// Refuses a request that a page sent with a secret that belongs on a server.
///
/// # Errors
/// When the request has an `Origin`.
pub fn refuse_browser(received: &Received, codes: &StandardCodes) -> Result<(), Refusal> {
    match received.origin() {
        Some(_) => Err(Refusal::new(codes.secret_key_in_browser)),
        None => Ok(()),
    }
}

/// An answer on its way out, with the headers that every answer has.
#[derive(Debug)]
pub struct Served<R> {
    response: Response<Body>,
    answer: PhantomData<fn() -> R>,
}

impl<R: HttpResponse> HttpResponse for Served<R> {
    fn to_result(self) -> Result<Response<Body>, HttpError> {
        Ok(self.response)
    }

    fn response_metadata() -> ApiEndpointResponse {
        R::response_metadata()
    }

    fn status_code(&self) -> StatusCode {
        self.response.status()
    }
}

/// Receives a request, runs `handle` on it and makes the answer ready for the wire.
///
/// # Errors
/// Never: every outcome is one of the operation's documented answers.
pub async fn serve<S, O, R, E, Fut>(
    context: RequestContext<Arc<S>>,
    incoming: Incoming<O>,
    codes: &StandardCodes,
    handle: impl FnOnce(Arc<S>, Received) -> Fut + Send,
) -> Result<Served<R>, ErrorBody<E>>
where
    S: Host,
    O: Operation,
    R: Answer,
    Fut: Future<Output = Result<R, Refusal>> + Send,
{
    let tell = |outcome, request_id: &str| told::<R>(outcome, codes, request_id);
    let response = answer(O::INFO, context, incoming.request, codes, handle, tell).await;
    Ok(Served { response, answer: PhantomData })
}

/// [`serve`] for an operation that no code was generated for: `handle` answers as it likes, and
/// what it refuses is told as the operation documents it.
///
/// # Errors
/// Never, as [`serve`].
pub async fn serve_untyped<S, Fut>(
    operation: &'static OperationInfo,
    context: RequestContext<Arc<S>>,
    request: Request<Body>,
    codes: &StandardCodes,
    handle: impl FnOnce(Arc<S>, Received) -> Fut + Send,
) -> Result<Response<Body>, HttpError>
where
    S: Host,
    Fut: Future<Output = Result<Response<Body>, Refusal>> + Send,
{
    let tell = |outcome: Result<_, Refusal>, request_id: &str| match outcome {
        Ok(response) => Ok((None, response)),
        Err(refusal) => {
            let (refusal, status) = documented_by(operation, refusal, codes.internal);
            let told = Told::new(refusal, request_id);
            Ok((Some(told.code()), told.into_response(status)))
        }
    };
    Ok(answer(operation, context, request, codes, handle, tell).await)
}

/// A response, and its stable code when it tells a refusal.
type Written = Result<(Option<&'static str>, Response<Body>), HttpError>;

/// Receives, handles and tells; everything but the types of one operation.
async fn answer<S, T, Fut>(
    operation: &'static OperationInfo,
    context: RequestContext<Arc<S>>,
    request: Request<Body>,
    codes: &StandardCodes,
    handle: impl FnOnce(Arc<S>, Received) -> Fut + Send,
    tell: impl FnOnce(Result<T, Refusal>, &str) -> Written + Send,
) -> Response<Body>
where
    S: Host,
    Fut: Future<Output = Result<T, Refusal>> + Send,
{
    let host = Arc::clone(context.context());
    let client = host.client(context.request.remote_addr(), request.headers());
    let request_id = context.request_id;
    let route = Route::Operation(operation);
    let mut watch = Watch::begin(&host, route, &operation.method, request.headers(), &request_id);
    let origin = operation.cors.then(|| request.headers().get(ORIGIN).cloned()).flatten();
    let of = Sender { client, request_id: request_id.clone(), notes: watch.notes.clone() };
    let received = match host.count_address(client) {
        Ok(()) => received::receive(operation, request, of, host.body_limits(), codes).await,
        Err(refusal) => Err(received::unread(operation, refusal)),
    };
    let outcome = match received {
        Ok(received) => {
            watch.received_bytes = received.body.len() as u64;
            // Pinned where it stands: it is kilobytes, and every wrapper would copy it once more.
            let handling = std::pin::pin!(handle(Arc::clone(&host), received));
            let handling = handling.instrument(watch.span.clone());
            let handling = by_its_clock(watch.notes.clone(), handling);
            guarded(host.handler_deadline(), handling, codes).await
        }
        Err(refusal) => Err(refusal),
    };
    let (code, mut response) =
        tell(outcome, &request_id).unwrap_or_else(|bad| defect(&bad, codes, &request_id));
    finish(operation, &mut response);
    if operation.cors {
        let is_refused = code == Some(codes.origin_not_allowed.name);
        allow_origin(&*host, operation, origin.filter(|_| !is_refused), &mut response).await;
    }
    watch.finish(code, &response);
    response
}

/// The answer in place of one that could not be written.
fn defect(
    bad: &HttpError,
    codes: &StandardCodes,
    request_id: &str,
) -> (Option<&'static str>, Response<Body>) {
    tracing::error!(%bad, "an answer cannot be written");
    let told = Told::new(Refusal::new(codes.internal), request_id);
    (Some(told.code()), told.into_response(StatusCode::INTERNAL_SERVER_ERROR))
}

/// What the caller is told, and its stable code when that is a refusal.
fn told<R: Answer>(
    outcome: Result<R, Refusal>,
    codes: &StandardCodes,
    request_id: &str,
) -> Written {
    let answer = match outcome {
        Ok(answer) => answer,
        // No operation documents it, and no other build can make it.
        Err(refusal)
            if cfg!(feature = "unfinished") && refusal.code() == Some(codes.not_implemented) =>
        {
            let told = Told::new(refusal, request_id);
            return Ok((Some(told.code()), told.into_response(StatusCode::NOT_IMPLEMENTED)));
        }
        Err(refusal) => R::refused(refusal, request_id),
    };
    Ok((answer.code(), answer.to_result()?))
}

/// Runs the handler with a deadline; a panic becomes an answer instead of an empty reply.
async fn guarded<R>(
    deadline: Duration,
    handling: impl Future<Output = Result<R, Refusal>> + Send,
    codes: &StandardCodes,
) -> Result<R, Refusal> {
    match tokio::time::timeout(deadline, unless_it_panics(handling)).await {
        Ok(Some(outcome)) => outcome,
        Ok(None) => Err(Refusal::new(codes.internal)),
        Err(_) => {
            tracing::error!(?deadline, "a handler passed its deadline");
            Err(Refusal::new(codes.unavailable))
        }
    }
}

/// What comes of handling; `None`, with a line in the log, when it panics.
pub(crate) async fn unless_it_panics<T>(handling: impl Future<Output = T>) -> Option<T> {
    // A handler holds no state of its own across requests that a panic could leave half-changed.
    match AssertUnwindSafe(handling).catch_unwind().await {
        Ok(outcome) => Some(outcome),
        Err(panic) => {
            tracing::error!(panic = panic_text(&*panic), "a handler panicked");
            None
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

/// Headers that follow from the status alone.
fn finish(operation: &OperationInfo, response: &mut Response<Body>) {
    let status = response.status();
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(operation.challenge));
    }
    if status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS {
        headers.entry(RETRY_AFTER).or_insert(HeaderValue::from_static("1"));
    }
}

/// Echoes the caller's origin (Fetch, CORS protocol) where it may read; never credentials.
async fn allow_origin<S: Host>(
    host: &S,
    operation: &OperationInfo,
    origin: Option<HeaderValue>,
    response: &mut Response<Body>,
) {
    response.headers_mut().append(VARY, HeaderValue::from_static("Origin"));
    let Some(origin) = origin else { return };
    let Ok(text) = origin.to_str() else { return };
    if !host.origin_may_read(text).await {
        return;
    }
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(operation.exposed));
}
