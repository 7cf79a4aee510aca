//! The way of a request from its bytes to the handler's arguments, for every operation: it ends in
//! them or in a refusal that the operation documents, and never in one of the service's own faults.

use std::sync::LazyLock;
use std::time::Duration;

use dropshot::Body;
use http::{HeaderName, HeaderValue, Request, Uri};
use tokio::runtime::{Builder, Runtime};
use vestibule_api::codes;
use vestibule_api::register::READERS;
use vestibule_runtime::{BodyLimits, OperationInfo, Received, Refusal};

use crate::pieces;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread().enable_time().build().expect("a runtime of one thread")
});

/// Reads the first line as the operation, the second as path and query, then headers up to an empty
/// line; what follows is the body.
pub fn extractors(data: &[u8]) {
    let [id, target, rest] = pieces(data);
    let Some((operation, read)) = READERS.iter().find(|(it, _)| it.id.as_bytes() == id) else {
        return;
    };
    let Some(request) = request(operation, target, rest) else { return };
    let limits = BodyLimits::new(Duration::from_secs(60), 1024 * 1024);
    let outcome = RUNTIME.block_on(async {
        read(Received::of(operation, request, &limits, &codes::STANDARD).await?)
    });
    if let Err(refusal) = outcome {
        require_documented(operation, &refusal);
    }
}

/// `None` for what hyper would not have let in.
fn request(operation: &OperationInfo, target: &[u8], mut rest: &[u8]) -> Option<Request<Body>> {
    let uri: Uri = std::str::from_utf8(target).ok()?.parse().ok()?;
    let mut request = Request::new(());
    *request.method_mut() = operation.method.clone();
    *request.uri_mut() = Some(uri).filter(|uri| uri.path().starts_with('/'))?;
    while !rest.is_empty() {
        let [line, after] = pieces(rest);
        rest = after;
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { break };
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    let body = Body::from(rest.to_vec());
    Some(request.map(|()| body))
}

fn require_documented(operation: &OperationInfo, refusal: &Refusal) {
    let code = refusal.code().unwrap_or_else(|| panic!("{} refuses without a code", operation.id));
    let status = operation.status_of(code);
    let is_refusal = status.is_some_and(|status| status.is_client_error());
    assert!(is_refusal, "{} answers {} ({status:?})", operation.id, code.name);
}
