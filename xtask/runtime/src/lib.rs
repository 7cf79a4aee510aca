//! What generated code calls and people wrote: the extractor's core, the checks of a request's
//! parts, refusals and answers; what the documents say of values comes from `vestibule-schema`.
//!
//! Knows no particular document, no handler and no store.

mod alternatives;
mod checks;
mod documented;
mod error_body;
mod idempotency;
mod limited;
mod operation;
mod preflight;
mod rate_limit;
mod received;
mod record;
mod refusal;
mod serve;
mod test_clock;
mod timestamp;
mod traceparent;
mod watch;

pub use checks::{Checked, Checks, Parameters, read_body};
pub use documented::{json_schema_of, json_schema_of_parameters, parameters};
pub use error_body::ErrorBody;
pub use idempotency::{
    IdempotencyInfo, Keeps, Kept, Keyed, Proof, Recall, Recalled, Scope, Scoped, recall,
};
pub use limited::Limited;
pub use operation::{BodyInfo, CredentialInfo, Operation, OperationInfo};
pub use preflight::preflight;
pub use rate_limit::{RateLimitFields, Standing, seconds_up};
pub use received::{BodyLimits, Received};
pub use record::{Asked, CLIENT_GONE, KnownCaller, Notes, RequestRecord, TokenPrefix, method_name};
pub use refusal::{Code, MAX_VIOLATIONS, Refusal, StandardCodes};
pub use serve::{
    Answer, Host, Incoming, Served, Told, documented, no_parameters, refuse_browser, serve,
    serve_untyped, success,
};
pub use test_clock::{TestClockInfo, moved_clock};
pub use timestamp::Timestamp;
pub use traceparent::TraceParent;
#[cfg(feature = "strategies")]
pub use vestibule_schema::strategy;
pub use vestibule_schema::{Part, Schema, Violation, json, pointer_push};
pub use watch::observed;
