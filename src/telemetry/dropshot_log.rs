//! What dropshot logs, in our log; and the records of requests that it answered by itself.
//!
//! It names every request with its address, query and all: none of those lines is passed on. Out of
//! them comes only that a request went to nobody (its router's 404 and 405) or was refused before
//! its endpoint ran. Requests that are no HTTP get their 400 from hyper and are not told of here.

use std::fmt::{self, Write as _};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use slog::{Drain, KV as _, Key, Level, Never, OwnedKVList, Record, Serializer};
use vestibule_runtime::{Asked, RequestRecord, method_name};

use super::Telemetry;

/// A drain for the server's logger.
pub struct DropshotLog {
    /// A panic in between leaves counters that are one short, and nothing that is half changed.
    telemetry: AssertUnwindSafe<Arc<Telemetry>>,
}

impl DropshotLog {
    /// A drain that tells `telemetry` of what no part of ours answered.
    pub fn new(telemetry: Arc<Telemetry>) -> Self {
        Self { telemetry: AssertUnwindSafe(telemetry) }
    }

    fn completed(&self, record: &Record<'_>, values: &OwnedKVList) {
        let mut completed = Completed::default();
        // It writes into itself; nothing can fail.
        let _ = record.kv().serialize(record, &mut completed);
        // Our own answers have their record already, whatever they say.
        if !completed.is_error {
            return;
        }
        let _ = values.serialize(record, &mut completed);
        self.telemetry.take(&completed.record());
    }
}

impl Drain for DropshotLog {
    type Ok = ();
    type Err = Never;

    fn log(&self, record: &Record<'_>, values: &OwnedKVList) -> Result<(), Never> {
        if record.msg().as_str() == Some("request completed") {
            self.completed(record, values);
            return Ok(());
        }
        let mut told = Told::default();
        let _ = values.serialize(record, &mut told);
        let _ = record.kv().serialize(record, &mut told);
        // A logger that knows an address belongs to one request.
        if !told.knows_an_address {
            pass_on(record.level(), record.msg(), &told.text);
        }
        Ok(())
    }
}

/// dropshot tells of every connection where others say `debug`.
fn pass_on(level: Level, message: &fmt::Arguments<'_>, values: &str) {
    match level {
        Level::Critical | Level::Error => {
            tracing::error!(target: "dropshot", values, "{message}");
        }
        Level::Warning => tracing::warn!(target: "dropshot", values, "{message}"),
        Level::Info | Level::Debug => tracing::debug!(target: "dropshot", values, "{message}"),
        Level::Trace => tracing::trace!(target: "dropshot", values, "{message}"),
    }
}

/// What a line about an answer says of it.
#[derive(Default)]
struct Completed {
    is_error: bool,
    status: u16,
    took_us: u64,
    method: Option<&'static str>,
    request_id: String,
}

impl Completed {
    fn record(&self) -> RequestRecord<'_> {
        let asked = Asked {
            operation: None,
            method: self.method.unwrap_or("_OTHER"),
            route: None,
            request_id: &self.request_id,
            trace: None,
        };
        let status = http::StatusCode::from_u16(self.status);
        RequestRecord {
            asked,
            status: status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR),
            code: None,
            caller: None,
            token: None,
            test_clock: None,
            took: Duration::from_micros(self.took_us),
            received_bytes: 0,
            sent_bytes: None,
        }
    }
}

impl Serializer for Completed {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        // The address is among the values; it is not even written out.
        match key.as_ref() {
            "error_message_internal" => self.is_error = true,
            "response_code" => self.status = value.to_string().parse().unwrap_or_default(),
            "latency_us" => self.took_us = value.to_string().parse().unwrap_or_default(),
            "req_id" => self.request_id = value.to_string(),
            "method" => {
                let method = http::Method::from_bytes(value.to_string().as_bytes());
                self.method = method.ok().map(|method| method_name(&method));
            }
            _ => {}
        }
        Ok(())
    }
}

/// The values of a line as text, unless it is about one request.
#[derive(Default)]
struct Told {
    text: String,
    knows_an_address: bool,
}

impl Serializer for Told {
    fn emit_arguments(&mut self, key: Key, value: &fmt::Arguments<'_>) -> slog::Result {
        let key: &str = key.as_ref();
        if key == "uri" {
            self.knows_an_address = true;
            return Ok(());
        }
        let gap = if self.text.is_empty() { "" } else { " " };
        write!(self.text, "{gap}{key}={value}").map_err(slog::Error::Fmt)
    }
}
