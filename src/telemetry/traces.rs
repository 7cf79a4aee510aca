//! Traces for a collector: the span of each request, by OpenTelemetry's HTTP conventions, sent in
//! batches as OTLP over HTTP (protobuf).
//!
//! Which trace a request belongs to is the caller's word; whether it is sent is ours, since anybody
//! may call. What a collector needs beside its address (headers, certificates) comes from the
//! standard variables `OTEL_EXPORTER_OTLP_…`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry::trace::{
    SpanContext, SpanId, Status, TraceContextExt as _, TraceFlags, TraceId, TraceState,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tokio::runtime::Handle;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry};
use vestibule_runtime::{Asked, RequestRecord};

use crate::config::Otlp;

/// How long one batch may take, and the last one at the end.
const PATIENCE: Duration = Duration::from_secs(5);
/// A collector's answer is short.
const MOST_ANSWER_BYTES: usize = 64 << 10;
/// Where a collector takes traces (OTLP, section "OTLP/HTTP Request").
const PATH: &str = "/v1/traces";

/// Sends traces until it is closed.
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Starts sending to a collector, over connections that `runtime` drives.
    ///
    /// # Errors
    /// When no certificates can be read, or the address is none.
    pub fn start(settings: &Otlp, runtime: &Handle) -> Result<Self, HttpError> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(Collector::new(runtime)?)
            .with_endpoint(format!("{}{PATH}", settings.endpoint))
            .with_protocol(Protocol::HttpBinary)
            .with_timeout(PATIENCE)
            .build()?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder().with_service_name("vestibule").with_attribute(version);
        let ratio = f64::from(settings.sample_percent) / 100.0;
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::TraceIdRatioBased(ratio))
            .with_resource(resource.build());
        Ok(Self(provider.build()))
    }

    /// Takes the spans of requests and the events in them.
    pub fn layer(&self) -> Box<dyn Layer<Registry> + Send + Sync> {
        let ours = Targets::new()
            .with_target("vestibule", Level::INFO)
            .with_target("vestibule_runtime", Level::INFO);
        let layer = tracing_opentelemetry::layer().with_tracer(self.0.tracer("vestibule"));
        let layer = layer.with_location(false).with_threads(false).with_target(false);
        layer.with_tracked_inactivity(false).with_filter(ours).boxed()
    }

    /// Sends what waits. The runtime must still run.
    pub fn close(self) {
        if let Err(error) = self.0.shutdown_with_timeout(PATIENCE) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

/// Makes a new span one of a server, in the caller's trace.
pub(super) fn begin(span: &Span, asked: &Asked<'_>) {
    if span.is_disabled() {
        return;
    }
    span.record("otel.kind", "server");
    span.record("otel.name", format!("{} {}", asked.method, asked.route.unwrap_or_default()));
    let Some(parent) = asked.trace else { return };
    let flags = if parent.sampled { TraceFlags::SAMPLED } else { TraceFlags::default() };
    let (trace, span_id) =
        (TraceId::from_bytes(parent.trace_id), SpanId::from_bytes(parent.span_id));
    let context = SpanContext::new(trace, span_id, flags, true, TraceState::default());
    // Refused only for a span that has begun already.
    let _ = span.set_parent(Context::new().with_remote_span_context(context));
}

/// Tells the current span how its request ended, in the conventions' words.
pub(super) fn end(record: &RequestRecord<'_>) {
    let (span, status) = (Span::current(), record.status);
    if span.is_disabled() {
        return;
    }
    span.set_attribute("http.request.method", record.asked.method);
    if let Some(route) = record.asked.route {
        span.set_attribute("http.route", route.to_owned());
    }
    span.set_attribute("url.scheme", "http");
    span.set_attribute("http.response.status_code", i64::from(status.as_u16()));
    if let Some(code) = record.code {
        span.set_attribute("error.type", code);
    }
    if status.is_server_error() {
        span.set_status(Status::error(record.code.unwrap_or_default()));
    }
}

/// The exporter asks from a thread of its own, where no runtime is.
#[derive(Clone, Debug)]
struct Collector {
    runtime: Handle,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Collector {
    fn new(runtime: &Handle) -> Result<Self, HttpError> {
        let connector = HttpsConnectorBuilder::new().with_native_roots()?.https_or_http();
        let client = Client::builder(TokioExecutor::new()).build(connector.enable_http1().build());
        Ok(Self { runtime: runtime.clone(), client })
    }

    async fn send(self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.request(request.map(Full::new)).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, MOST_ANSWER_BYTES).collect().await?.to_bytes();
        Ok(Response::from_parts(head, body))
    }
}

#[async_trait::async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.clone().send(request);
        // The timer belongs to the runtime too, so it is made there.
        let sent = self.runtime.spawn(async { tokio::time::timeout(PATIENCE, sending).await });
        sent.await??
    }
}
