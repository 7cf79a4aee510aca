//! Speaks HTTP: implements the generated traits, one file per tag.
//!
//! A handler takes its request apart, asks the domain, tells the store and shapes the answer.
//! Nothing here decides, and no SQL is near.

/// Registers one endpoint that stands in no document. A macro, because dropshot does not export
/// the trait that a function would have to name.
macro_rules! unpublished {
    ($api:expr, $method:ident $path:expr, $handler:expr) => {
        $api.register(
            dropshot::ApiEndpoint::new(
                format!("{} {}", http::Method::$method, $path),
                $handler,
                http::Method::$method,
                "application/json",
                $path,
                dropshot::ApiEndpointVersions::All,
            )
            .visible(false),
        )
    };
}

mod auth;
mod chat_conversations;
mod chat_sessions;
mod dev;
mod embed_sessions;
mod embedded;
mod health;
mod iframe_sessions;
mod iframe_tokens;
mod keys;
mod openapi;
mod page_routes;
pub mod pages;
mod reference;
mod refusal;
mod sessions;
mod tenants;
mod try_out;

use std::sync::Arc;

use dropshot::{ApiDescription, ApiDescriptionRegisterError, Body, HttpError};
use http::{Response, StatusCode};
use serde_json::Value;
use vestibule_runtime::{Answered, BodyLimits, Host};

use crate::context::Context;
use crate::domain::key::KeyKind;
use crate::domain::origin::Origin;

/// Every route of the service: the documents' operations, health, the documents themselves,
/// the reference and the pages; in `--dev` the demo's too.
///
/// # Errors
/// When two paths collide.
pub fn describe(dev: bool) -> Result<ApiDescription<Arc<Context>>, ApiDescriptionRegisterError> {
    let mut api = ApiDescription::new();
    vestibule_api::register::all(&mut api)?;
    health::register(&mut api)?;
    openapi::register(&mut api)?;
    reference::register(&mut api, dev)?;
    page_routes::register(&mut api)?;
    if dev {
        dev::register(&mut api)?;
        try_out::register(&mut api)?;
    }
    Ok(api)
}

/// The JSON answer of an endpoint that stands in no document; never cached.
fn answer(status: StatusCode, body: &Value) -> Result<Response<Body>, HttpError> {
    let headers = [
        ("cache-control", Some("no-store".to_owned())),
        ("x-content-type-options", Some("nosniff".to_owned())),
    ];
    vestibule_runtime::success(status, Some(body), &headers)
}

impl Host for Context {
    fn body_limits(&self) -> &BodyLimits {
        &self.body_limits
    }

    fn handler_deadline(&self) -> std::time::Duration {
        self.handler_deadline
    }

    async fn origin_may_read(&self, origin: &str) -> bool {
        let Some(origin) = Origin::parse(origin) else { return false };
        match self.store.enabled_origins(KeyKind::Chat).await {
            Ok(patterns) => origin.is_allowed_by(&patterns),
            Err(error) => {
                tracing::error!(%error, "the origins of chat keys cannot be read");
                false
            }
        }
    }

    fn observe(&self, answered: &Answered<'_>) {
        let Answered { operation, status, code, request_id, took } = answered;
        let (method, path, status) = (operation.method.as_str(), operation.path, status.as_u16());
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        tracing::debug!(operation = operation.id, method, path, status, code, request_id, took_us);
    }
}
