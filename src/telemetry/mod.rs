//! What the service tells about its requests. Everything here is made of one record per request;
//! metrics, log, request log and traces cannot disagree about it.
//!
//! Knows no handler, and is never told a query, a header's value or a token.

mod access_log;
mod dropshot_log;
mod lines;
pub mod listener;
pub mod log;
pub mod metrics;
pub mod request_log;
#[cfg(feature = "otlp")]
pub mod traces;

use tracing::Span;
use vestibule_runtime::{Asked, OperationInfo, RequestRecord};

use crate::limiter::EdgeCounts;
use crate::net;
use crate::store::Figures;
pub use dropshot_log::DropshotLog;
pub use lines::Writing;
use metrics::{Metrics, Sources};
use request_log::RequestLog;

/// Where all records go.
pub struct Telemetry {
    /// What is counted.
    pub metrics: Metrics,
    request_log: Option<RequestLog>,
    system_now_ms: fn() -> i64,
}

impl Telemetry {
    /// Counters at zero for these operations; `request_log` takes a line per request. Lines are
    /// dated by the system's clock, which nobody moves.
    pub fn new(
        operations: &[&'static OperationInfo],
        request_log: Option<RequestLog>,
        system_now_ms: fn() -> i64,
    ) -> Self {
        Self { metrics: Metrics::new(operations), request_log, system_now_ms }
    }

    /// A request begins: the span that its events belong to.
    pub fn begin(&self, asked: &Asked<'_>) -> Span {
        self.metrics.begin(asked);
        let span = access_log::span(asked);
        #[cfg(feature = "otlp")]
        traces::begin(&span, asked);
        span
    }

    /// A request that began is over; called inside its span.
    pub fn end(&self, record: &RequestRecord<'_>) {
        self.metrics.end(record);
        self.write(record);
    }

    /// A request was answered that no part of ours saw begin.
    pub fn take(&self, record: &RequestRecord<'_>) {
        self.metrics.take(record);
        access_log::span(&record.asked).in_scope(|| self.write(record));
    }

    /// The metrics as Prometheus reads them; `None` when they cannot be written.
    pub fn exposition(
        &self,
        store: Figures,
        edge: EdgeCounts,
        clients: net::Figures,
    ) -> Option<String> {
        let request_log_lost = self.request_log.as_ref().map_or(0, RequestLog::lost);
        let sources = Sources { store, edge, clients, request_log_lost, log_lost: log::lost() };
        let written = self.metrics.text(&sources);
        written.inspect_err(|error| tracing::error!(%error, "the metrics cannot be shown")).ok()
    }

    fn write(&self, record: &RequestRecord<'_>) {
        #[cfg(feature = "otlp")]
        traces::end(record);
        access_log::write(record);
        if let Some(log) = &self.request_log {
            log.take(record, (self.system_now_ms)());
        }
    }
}
