//! A server made from documents at its start: requests are checked as the real service checks
//! them, answers are the documents' examples, or drawn where there is none.
//!
//! Receiving, checks, refusals and headers are the runtime's, the same code that serves. It knows
//! no tenant, no key and no state: a credential must be there, its truth is not asked.

mod answer;
mod credentials;
mod facts;
mod prefer;
mod request;
mod routes;
mod table;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dropshot::{ConfigDropshot, HandlerTaskMode, HttpServer, ServerBuilder};
use vestibule_runtime::{BodyLimits, Host, Refusal, RequestRecord, StandardCodes};

pub use facts::{Facts, MockOperation, Unusable};

/// From the first look at a body to its last byte, the service's default.
const BODY_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of bodies held at once.
const IN_FLIGHT: usize = 64 << 20;
/// Nothing here waits for anything; to take longer is a defect.
const HANDLER_DEADLINE: Duration = Duration::from_secs(30);

/// What the handlers share.
#[derive(Debug)]
pub struct Mock {
    codes: &'static StandardCodes,
    seed: u64,
    limits: BodyLimits,
    log: bool,
}

/// A mock that answers.
pub struct Running {
    /// The server; dropping it stops it.
    pub server: HttpServer<Arc<Mock>>,
    /// What it serves.
    pub operations: Vec<&'static MockOperation>,
}

/// Starts a mock; with `log` it prints a line for each answer.
///
/// # Errors
/// When two paths collide or the address cannot be listened on.
pub fn start(facts: Facts, bind: SocketAddr, seed: u64, log: bool) -> Result<Running, Unusable> {
    let Facts { operations, codes } = facts;
    let api = routes::describe(&operations).map_err(Unusable)?;
    let limits = BodyLimits::new(BODY_DEADLINE, IN_FLIGHT);
    let mock = Arc::new(Mock { codes, seed, limits, log });
    let settings = ConfigDropshot {
        bind_address: bind,
        default_handler_task_mode: HandlerTaskMode::CancelOnDisconnect,
        ..ConfigDropshot::default()
    };
    let silent = slog::Logger::root(slog::Discard, slog::o!());
    let server = ServerBuilder::new(api, mock, silent).config(settings).start().map_err(|bad| {
        let causes = std::iter::successors(std::error::Error::source(&bad), |cause| cause.source());
        let cause = causes.last().map_or_else(|| bad.to_string(), ToString::to_string);
        Unusable(format!("cannot listen on {bind}: {cause}; give --bind another address"))
    })?;
    Ok(Running { server, operations })
}

impl Host for Mock {
    fn body_limits(&self) -> &BodyLimits {
        &self.limits
    }

    fn handler_deadline(&self) -> Duration {
        HANDLER_DEADLINE
    }

    /// Which origins a key allows is a state, and there is none.
    async fn origin_may_read(&self, _: &str) -> bool {
        true
    }

    fn count_address(&self, _: IpAddr) -> Result<(), Refusal> {
        Ok(())
    }

    fn observe(&self, record: &RequestRecord<'_>) {
        if self.log && record.asked.operation.is_some() {
            anstream::println!("{}", table::line_of(record));
        }
    }
}
