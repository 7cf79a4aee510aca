//! The service's log on standard error: a line of text or a JSON object for each event.
//!
//! No request waits for a terminal or a pipe; what has no room is lost and counted. Nothing else is
//! written to the log than events of `tracing`.

use std::io::{self, Write as _};
use std::sync::OnceLock;

use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use super::lines::{Lines, Writing};
use crate::config::{Log, LogFormat};

/// There is one log in a process.
static LINES: OnceLock<Lines> = OnceLock::new();

/// Starts the log of this process; `more` takes events and spans beside it. What waits is written
/// when the returned value is dropped.
///
/// # Errors
/// When no thread can be started.
///
/// # Panics
/// When there is one already.
pub fn start(
    log: Log,
    more: Option<Box<dyn Layer<Registry> + Send + Sync>>,
) -> io::Result<Writing> {
    let (writer, writing) = Lines::start("log", |lines| io::stderr().write_all(lines))?;
    LINES.get_or_init(|| writer.clone());
    let is_coloured = anstream::AutoStream::choice(&io::stderr());
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
    Ok(writing)
}

/// Lines lost since the start.
pub fn lost() -> u64 {
    LINES.get().map_or(0, Lines::lost)
}

/// The level is ours; other crates only warn, until somebody looks for more than requests.
fn filter(level: tracing::Level) -> String {
    let ours = format!("warn,vestibule={level},vestibule_runtime={level}");
    match level > tracing::Level::INFO {
        true => format!("{ours},dropshot={level}"),
        false => ours,
    }
}
