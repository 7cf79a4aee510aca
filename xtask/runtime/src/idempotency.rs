//! Requests that are to take effect once: their key, whose it is, and the answer that is kept.
//!
//! Which operations take a key, in which header and for how long stands in the documents. Where
//! answers are kept is for the service to say, see [`Recall`].

use bytes::Bytes;
use dropshot::{Body, HttpError, HttpResponse};
use futures::FutureExt;
use http::{HeaderName, HeaderValue, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};

use crate::{Host, OperationInfo, Received, Refusal};

/// What an operation's document says of idempotency keys.
#[derive(Debug)]
pub struct IdempotencyInfo {
    /// The request header with the key, in lower case.
    pub header: &'static str,
    /// The header of an answer that was given before, in lower case.
    pub replayed: &'static str,
    /// How long an answer is kept, milliseconds.
    pub kept_ms: i64,
}

/// A request with an idempotency key, as far as it tells one request from another.
#[derive(Debug)]
pub struct Keyed {
    /// What was keyed for.
    pub operation: &'static OperationInfo,
    /// What its document says of keys.
    pub info: &'static IdempotencyInfo,
    /// The key, whose constraints hold.
    pub key: String,
    /// Path and query as sent.
    pub uri: Uri,
    /// The raw bytes of the body.
    pub body: Bytes,
    /// The page that asks, where pages may.
    pub origin: Option<String>,
}

impl Keyed {
    /// `None` when the request has no key, or its operation takes none.
    pub fn of(received: &Received) -> Option<Self> {
        let operation = received.operation;
        let info = operation.idempotency.as_ref()?;
        let key = received.headers.get(info.header)?.to_str().ok()?.to_owned();
        let (uri, body) = (received.uri.clone(), received.body.clone());
        let origin = received.origin().filter(|_| operation.cors).map(str::to_owned);
        Some(Self { operation, info, key, uri, body, origin })
    }
}

/// Among whose requests a key names one.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The tenant's id; empty for the operator.
    pub tenant: &'a str,
    /// The id of the credential that was shown.
    pub credential: &'a str,
    /// What was shown and counts once only: an answer that is given again uses it up too.
    pub proof: Option<Proof<'a>>,
}

/// A proof that is accepted once.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The proof itself.
    pub bytes: &'a [u8],
    /// Until when it must be remembered, milliseconds since 1970.
    pub remember_until: i64,
}

/// A caller whose requests can be told from those of others.
pub trait Scoped {
    /// Whose requests its are.
    fn scope(&self) -> Scope<'_>;
}

/// Remembers the answers of requests that have an idempotency key.
pub trait Recall: Host {
    /// What a handler hands on so that its effect and its answer are kept together.
    type Once: Send;

    /// Whether the effect took place before. A key that was used for something else, or whose
    /// first request has no answer yet, is refused.
    fn recall(
        &self,
        scope: Scope<'_>,
        keyed: Keyed,
    ) -> impl Future<Output = Result<Recalled<Self::Once>, Refusal>> + Send;
}

/// What is known of a request.
#[derive(Debug)]
pub enum Recalled<T> {
    /// Nothing: it is to take effect.
    Fresh(T),
    /// It took effect, and this was the answer.
    Before(Kept),
}

/// [`Recall::recall`] for a request that may have no key.
///
/// # Errors
/// As [`Recall::recall`].
pub async fn recall<S: Recall>(
    service: &S,
    caller: &impl Scoped,
    keyed: Option<Keyed>,
) -> Result<Recalled<Option<S::Once>>, Refusal> {
    let Some(keyed) = keyed else { return Ok(Recalled::Fresh(None)) };
    Ok(match service.recall(caller.scope(), keyed).await? {
        Recalled::Fresh(once) => Recalled::Fresh(Some(once)),
        Recalled::Before(kept) => Recalled::Before(kept),
    })
}

/// A successful answer as it is kept: the same bytes for everybody who is told it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
    /// Whether it was given before.
    #[serde(skip)]
    replayed: bool,
}

/// An operation's answers, if one of them may be an answer that was kept.
pub trait Keeps: HttpResponse + Send {
    /// The answer that was kept.
    fn kept(kept: Kept) -> Self;
}

impl Kept {
    /// What `answer` is on the wire.
    ///
    /// # Errors
    /// When it is no success, or not made of text: a defect.
    pub fn of(answer: impl HttpResponse) -> Result<Self, HttpError> {
        let defect = |what: &str| HttpError::for_internal_error(format!("kept answer: {what}"));
        let (head, body) = answer.to_result()?.into_parts();
        if !head.status.is_success() {
            return Err(defect("no success"));
        }
        let whole = body.collect().now_or_never().ok_or_else(|| defect("a stream"))?;
        let body = String::from_utf8(whole.map_err(|_| defect("a broken body"))?.to_bytes().into());
        let headers = head.headers.iter().map(|(name, value)| {
            let value = value.to_str().map_err(|_| defect("a header that is no text"))?;
            Ok((name.as_str().to_owned(), value.to_owned()))
        });
        Ok(Self {
            status: head.status.as_u16(),
            headers: headers.collect::<Result<_, HttpError>>()?,
            body: body.map_err(|_| defect("a body that is no text"))?,
            replayed: false,
        })
    }

    /// The same, told as one that was given before.
    #[must_use]
    pub fn again(self) -> Self {
        Self { replayed: true, ..self }
    }

    /// Its status.
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK)
    }

    /// The answer for the wire.
    ///
    /// # Errors
    /// When what was kept is no answer: a defect.
    pub fn into_response(self, operation: &OperationInfo) -> Result<Response<Body>, HttpError> {
        let defect = |bad: &dyn std::fmt::Display| HttpError::for_internal_error(bad.to_string());
        let mut response = Response::new(Body::with_content(self.body));
        *response.status_mut() = StatusCode::from_u16(self.status).map_err(|bad| defect(&bad))?;
        let headers = response.headers_mut();
        for (name, value) in self.headers {
            let name = HeaderName::try_from(name).map_err(|bad| defect(&bad))?;
            headers.insert(name, HeaderValue::try_from(value).map_err(|bad| defect(&bad))?);
        }
        if let Some(info) = operation.idempotency.as_ref().filter(|_| self.replayed) {
            let name = HeaderName::from_static(info.replayed);
            headers.insert(name, HeaderValue::from_static("true"));
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use dropshot::HttpResponseCreated;

    use super::*;

    #[test]
    fn kept_answer_survives_being_written_down() {
        let kept = Kept::of(HttpResponseCreated(serde_json::json!({ "a": "é" }))).unwrap();
        let text = serde_json::to_string(&kept.clone().again()).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), kept);
        assert_eq!((kept.status(), kept.body.as_str()), (StatusCode::CREATED, r#"{"a":"é"}"#));
    }
}
