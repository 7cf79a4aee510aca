//! The service's log on standard error: a line of text or a JSON object for each event.
//!
//! Lines are written by a thread of their own, so that no request waits for a terminal or a pipe;
//! what has no room is lost and counted. Nothing else is written to the log than events of
//! `tracing`.

use std::sync::OnceLock;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::{Log, LogFormat};

/// Lines that may wait.
const WAITING: usize = 8192;

/// There is one log in a process.
static LOST: OnceLock<ErrorCounter> = OnceLock::new();

/// Keeps the log going; what waits is written when it is dropped.
pub struct LogGuard(#[expect(dead_code, reason = "dropping it is its use")] WorkerGuard);

/// Starts the log of this process; `more` takes events and spans beside it.
///
/// # Panics
/// When there is one already.
pub fn start(log: Log, more: Option<Box<dyn Layer<Registry> + Send + Sync>>) -> LogGuard {
    let writer = NonBlockingBuilder::default().buffered_lines_limit(WAITING).lossy(true);
    let (writer, guard) = writer.finish(std::io::stderr());
    LOST.get_or_init(|| writer.error_counter());
    let is_coloured = anstream::AutoStream::choice(&std::io::stderr());
    let lines =
        fmt::layer().with_ansi(is_coloured != anstream::ColorChoice::Never).with_writer(writer);
    let lines = match log.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => {
            let json = lines.json().flatten_event(true);
            json.with_current_span(true).with_span_list(false).boxed()
        }
    };
    let lines = lines.with_filter(EnvFilter::new(filter(log.level)));
    tracing_subscriber::registry().with(more).with(lines).init();
    LogGuard(guard)
}

/// Lines lost since the start.
pub fn lost() -> u64 {
    LOST.get().map_or(0, |counter| counter.dropped_lines() as u64)
}

/// The level is ours; other crates only warn, until somebody looks for more than requests.
fn filter(level: tracing::Level) -> String {
    let ours = format!("warn,vestibule={level},vestibule_runtime={level}");
    match level > tracing::Level::INFO {
        true => format!("{ours},dropshot={level}"),
        false => ours,
    }
}
