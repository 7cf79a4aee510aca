//! Speaks HTTP: implements the generated traits, one file per tag.
//!
//! A handler takes its request apart, asks the domain, tells the store and shapes the answer.
//! Nothing here decides, and no SQL is near.

/// Registers one endpoint that stands in no document, with the record of its answers; what it
/// extracts beside the context is listed behind it. A macro, because dropshot does not export the
/// trait that a function would have to name.
macro_rules! unpublished {
    ($api:expr, $method:ident $path:expr, $handler:expr $(, $name:ident: $part:ty)*) => {{
        let (route, handler) = (std::sync::Arc::<str>::from($path), $handler);
        let observed = move |context: $crate::api::Request $(, $name: $part)*| {
            let (route, handler) = (std::sync::Arc::clone(&route), handler.clone());
            let handle = move |context| handler(context $(, $name)*);
            async move { vestibule_runtime::observed(&route, context, handle).await }
        };
        $api.register(
            dropshot::ApiEndpoint::new(
                format!("{} {}", http::Method::$method, $path),
                observed,
                http::Method::$method,
                "application/json",
                $path,
                dropshot::ApiEndpointVersions::All,
            )
            .visible(false),
        )
    }};
}

mod audit;
mod auth;
mod backends;
mod chat_conversations;
mod chat_sessions;
mod dev;
mod diagnostics;
mod embed_sessions;
mod embedded;
mod explain;
mod health;
mod idempotency;
mod iframe_sessions;
mod iframe_tokens;
mod key_members;
mod keys;
mod openapi;
mod page_routes;
pub mod pages;
mod public_keys;
mod reference;
mod refusal;
mod renewals;
mod sessions;
mod tenants;
mod test_clocks;
mod tokens;
mod try_out;
mod usage;
mod webhooks;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use dropshot::{ApiDescription, ApiDescriptionRegisterError, Body, HttpError, RequestContext};
use http::{HeaderMap, Response, StatusCode};
use serde_json::Value;
use tracing::Span;
use vestibule_runtime::{Asked, BodyLimits, Host, Refusal, RequestRecord};

use crate::context::Context;
use crate::domain::key::KeyKind;
use crate::domain::origin::Origin;

type Request = RequestContext<Arc<Context>>;

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

    fn client(&self, connected: SocketAddr, headers: &HeaderMap) -> IpAddr {
        self.clients.sender(connected, headers)
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

    fn count_address(&self, address: IpAddr) -> Result<(), Refusal> {
        Ok(self.edge.address(address, self.clock.own_now_ms())?)
    }

    fn count_visitor(&self, address: IpAddr, path: &str) -> Result<(), Refusal> {
        if health::UNLIMITED.contains(&path) {
            return Ok(());
        }
        self.count_address(address)
    }

    fn begin(&self, asked: &Asked<'_>) -> Span {
        self.telemetry.begin(asked)
    }

    fn observe(&self, record: &RequestRecord<'_>) {
        self.telemetry.end(record);
    }
}
