//! A request as it came off the wire, its body bounded in type, size and time.
//!
//! dropshot's own body extractors accept more than one media type, drain oversize bodies before
//! they answer and never give up on a slow one; this one answers 415, 413 and 408 and closes.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use dropshot::Body;
use http::header::{CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN};
use http::{HeaderMap, HeaderValue, Request, Uri};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{BodyInfo, Notes, OperationInfo, Refusal, StandardCodes};

/// A request whose body, if its operation takes one, was read whole.
#[derive(Debug)]
pub struct Received {
    /// The operation it is for.
    pub operation: &'static OperationInfo,
    /// Path and query as sent.
    pub uri: Uri,
    /// Headers as sent.
    pub headers: HeaderMap,
    /// The raw bytes of the body, as a signature covers them; empty when there is none.
    pub body: Bytes,
    /// Who sent it.
    pub client: IpAddr,
    /// The request's id, as every answer and log line names it.
    pub request_id: String,
    /// What is found out about its caller, for the record of the request.
    pub notes: Notes,
    /// Its share of the budget for bodies in flight, held until the answer is made.
    _budget: Option<OwnedSemaphorePermit>,
}

impl Received {
    /// The one `Origin` of the request; `None` when there is none.
    ///
    /// More than one, or one that is not ASCII, is an origin that nothing matches: empty.
    pub fn origin(&self) -> Option<&str> {
        let mut all = self.headers.get_all(ORIGIN).iter();
        match (all.next(), all.next()) {
            (None, _) => None,
            (Some(one), None) => Some(one.to_str().unwrap_or_default()),
            (Some(_), Some(_)) => Some(""),
        }
    }
}

/// Where a request comes from and what it is called.
pub(crate) struct Sender {
    pub(crate) client: IpAddr,
    pub(crate) request_id: String,
    pub(crate) notes: Notes,
}

/// Limits on reading bodies, shared by all operations.
#[derive(Clone, Debug)]
pub struct BodyLimits {
    /// From the first look at a body to its last byte.
    pub deadline: Duration,
    in_flight: Arc<Semaphore>,
}

impl BodyLimits {
    /// `in_flight` is the most bytes of bodies held at once over all requests.
    pub fn new(deadline: Duration, in_flight: usize) -> Self {
        let in_flight = Arc::new(Semaphore::new(in_flight.min(Semaphore::MAX_PERMITS)));
        Self { deadline, in_flight }
    }
}

impl Received {
    /// Reads a request of nobody in particular as `operation` allows, without a server.
    ///
    /// # Errors
    /// As a server refuses it: 415, 413, 408 and 503.
    #[cfg(feature = "strategies")]
    pub async fn of(
        operation: &'static OperationInfo,
        request: Request<Body>,
        limits: &BodyLimits,
        codes: &StandardCodes,
    ) -> Result<Self, Refusal> {
        let client = IpAddr::from([127, 0, 0, 1]);
        let sender = Sender { client, request_id: String::new(), notes: Notes::default() };
        receive(operation, request, sender, limits, codes).await
    }
}

/// Reads a request as its operation allows.
///
/// # Errors
/// 415 for another media type or an encoding, 413 for too many bytes, 408 for too slow a body,
/// 503 when too many bytes are in flight.
pub(crate) async fn receive(
    operation: &'static OperationInfo,
    request: Request<Body>,
    Sender { client, request_id, notes }: Sender,
    limits: &BodyLimits,
    codes: &StandardCodes,
) -> Result<Received, Refusal> {
    let (head, body) = request.into_parts();
    let (uri, headers) = (head.uri, head.headers);
    let (body, budget) = match &operation.body {
        None => (Bytes::new(), None),
        Some(info) => {
            check_media_type(&headers, codes)?;
            let announced = announced_bytes(&headers);
            let most = announced.unwrap_or(info.max_bytes);
            if most > info.max_bytes {
                return Err(too_large(info, codes));
            }
            let budget = reserve(most, limits, codes)?;
            let reading = read_bounded(body, info, announced, codes);
            let read = tokio::time::timeout(limits.deadline, reading).await;
            (read.unwrap_or_else(|_| Err(closing(Refusal::new(codes.request_timeout))))?, budget)
        }
    };
    Ok(Received { operation, uri, headers, body, client, request_id, notes, _budget: budget })
}

/// Exactly one `application/json`, without charset or as UTF-8, and not encoded.
fn check_media_type(headers: &HeaderMap, codes: &StandardCodes) -> Result<(), Refusal> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let one = types.next().and_then(|value| value.to_str().ok()).filter(|_| types.next().is_none());
    if one.is_some_and(is_json) && !headers.contains_key(CONTENT_ENCODING) {
        return Ok(());
    }
    Err(closing(Refusal::new(codes.unsupported_media_type)))
}

fn is_json(media_type: &str) -> bool {
    let mut parts = media_type.split(';');
    let essence = parts.next().unwrap_or_default().trim();
    let charset_is_utf8 = |parameter: &str| match parameter.split_once('=') {
        Some((name, value)) if name.trim().eq_ignore_ascii_case("charset") => {
            value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        Some(_) | None => true,
    };
    essence.eq_ignore_ascii_case("application/json") && parts.all(charset_is_utf8)
}

fn announced_bytes(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn reserve(
    bytes: usize,
    limits: &BodyLimits,
    codes: &StandardCodes,
) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
    let share = u32::try_from(bytes).unwrap_or(u32::MAX);
    let permit = Arc::clone(&limits.in_flight).try_acquire_many_owned(share);
    permit.map(Some).map_err(|_| closing(Refusal::new(codes.unavailable)))
}

async fn read_bounded(
    mut body: Body,
    info: &BodyInfo,
    announced: Option<usize>,
    codes: &StandardCodes,
) -> Result<Bytes, Refusal> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        // The peer went away in mid-body: nobody reads the answer, but it must not be a 5xx.
        let frame = frame.map_err(|_| closing(Refusal::new(codes.request_timeout)))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > info.max_bytes {
            return Err(too_large(info, codes));
        }
        // Only an announced length says that nothing follows a first frame.
        if whole.is_empty() && Some(data.len()) == announced {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn too_large(info: &BodyInfo, codes: &StandardCodes) -> Refusal {
    closing(Refusal::new(codes.payload_too_large).detail("max_bytes", info.max_bytes))
}

/// Refuses a request whose body, if its operation takes one, nobody has looked at.
pub fn unread(operation: &OperationInfo, refusal: Refusal) -> Refusal {
    if operation.body.is_some() { closing(refusal) } else { refusal }
}

/// The body was not read to its end, so the connection cannot be used again.
fn closing(refusal: Refusal) -> Refusal {
    refusal.header(CONNECTION, HeaderValue::from_static("close"))
}
