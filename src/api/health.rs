//! `/healthz`, `/readyz` and `/version`, for whoever watches the service.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dropshot::{ApiDescription, ApiDescriptionRegisterError, Body, HttpError, RequestContext};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::answer;
use crate::context::Context;
use crate::error::Result;

/// How far the system's clock may have gone back, milliseconds. Until it has caught up, time stands
/// still here, and sessions live longer than they say.
const MOST_BEHIND_MS: i64 = 30_000;

/// The paths that no address is refused for having asked too often: who watches a service may share
/// an address with those who flood it. Each costs next to nothing.
pub(super) const UNLIMITED: [&str; 3] = ["/healthz", "/readyz", "/version"];

/// Registers the three; they are not in the documents.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    let [health, ready, name] = UNLIMITED;
    unpublished!(api, GET health, healthz)?;
    unpublished!(api, GET ready, readyz)?;
    unpublished!(api, GET name, version)
}

/// The process answers.
async fn healthz(_: RequestContext<Arc<Context>>) -> Result<Response<Body>, HttpError> {
    answer(StatusCode::OK, &json!({ "status": "ok" }))
}

/// Every part that an answer needs works; each is named.
async fn readyz(context: RequestContext<Arc<Context>>) -> Result<Response<Body>, HttpError> {
    let service = context.context();
    let ready = service.readiness.of(&service.store).await;
    let is_stopping = service.is_stopping.load(Ordering::Relaxed);
    let behind_ms = service.clock.behind_ms();
    let said = |result: &Result<()>| match result {
        Ok(()) => json!("ok"),
        // The cause is for the log; whoever asks may be anybody.
        Err(error) => {
            tracing::warn!(%error, "not ready");
            json!("failed")
        }
    };
    let checks = [
        ("store.read", said(&ready.reader)),
        ("store.write", said(&ready.writer)),
        ("clock", json!(if behind_ms > MOST_BEHIND_MS { "went back" } else { "ok" })),
        ("listener", json!(if is_stopping { "stopping" } else { "ok" })),
    ];
    let is_ready = checks.iter().all(|(_, said)| said == "ok");
    let shown = checks.map(|(name, said)| (name.to_owned(), said));
    let (status, word) = match is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not ready"),
    };
    answer(status, &json!({ "status": word, "checks": Value::Object(shown.into_iter().collect()) }))
}

/// What runs here.
async fn version(_: RequestContext<Arc<Context>>) -> Result<Response<Body>, HttpError> {
    let version = env!("CARGO_PKG_VERSION");
    answer(StatusCode::OK, &json!({ "name": "vestibule", "version": version }))
}
