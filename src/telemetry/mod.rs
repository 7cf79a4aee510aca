//! What the service tells about its requests. Everything here is made of one record per request;
//! counters, log and traces cannot disagree about it.
//!
//! Knows no handler and no store, and is never told a query, a header's value or a token.

mod access_log;
mod dropshot_log;

use tracing::Span;
use vestibule_runtime::{Asked, RequestRecord};

pub use dropshot_log::DropshotLog;

/// Where all records go.
#[derive(Debug, Default)]
pub struct Telemetry {}

impl Telemetry {
    /// A request begins: the span that its events belong to.
    pub fn begin(&self, asked: &Asked<'_>) -> Span {
        access_log::span(asked)
    }

    /// A request that began is over; called inside its span.
    pub fn end(&self, record: &RequestRecord<'_>) {
        access_log::write(record);
    }

    /// A request was answered that no part of ours saw begin.
    pub fn take(&self, record: &RequestRecord<'_>) {
        access_log::span(&record.asked).in_scope(|| access_log::write(record));
    }
}
