//! One span per request, and one line when it ends: route templates, never an address as it was
//! sent.
//!
//! What is asked stands in the span, so that every event in between names its request too; how it
//! ended stands in the line.

use tracing::field::Empty;
use tracing::{Level, Span};
use vestibule_runtime::{Asked, RequestRecord};

/// The span of a request. Its caller is filled in when the request ends.
pub(super) fn span(asked: &Asked<'_>) -> Span {
    let Asked { operation, method, route, request_id, trace } = asked;
    tracing::info_span!(
        "request",
        // Known to traces alone; what stays empty is not written.
        otel.kind = Empty,
        otel.name = Empty,
        request_id,
        method,
        route,
        operation = operation.map(|it| it.id),
        trace_id = trace.map(tracing::field::display),
        tenant = Empty,
        key = Empty,
        generation = Empty,
        session = Empty,
        token = Empty,
        test_clock_ms = Empty,
    )
}

/// The line, inside the request's span: a failure of ours is a warning, everything else is told.
pub(super) fn write(record: &RequestRecord<'_>) {
    if !tracing::enabled!(Level::WARN) {
        return;
    }
    let (span, caller) = (Span::current(), record.caller);
    // At once: each record of its own would look the span up and write it out again.
    tracing::record_all!(
        span,
        tenant = caller.and_then(|it| it.tenant.as_deref()),
        key = caller.and_then(|it| it.key.as_deref()),
        generation = caller.and_then(|it| it.generation),
        session = caller.and_then(|it| it.session.as_deref()),
        token = record.token.map(tracing::field::display),
        test_clock_ms = record.test_clock,
    );
    let (status, code) = (record.status.as_u16(), record.code);
    let took_us = u64::try_from(record.took.as_micros()).unwrap_or(u64::MAX);
    let RequestRecord { received_bytes, sent_bytes, .. } = record;
    match record.status.is_server_error() {
        true => tracing::warn!(status, code, took_us, received_bytes, sent_bytes, "answered"),
        false => tracing::info!(status, code, took_us, received_bytes, sent_bytes, "answered"),
    }
}
