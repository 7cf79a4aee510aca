//! What generated code calls and people wrote: strict JSON, validation against the documents'
//! schemas, the extractor's core, refusals and answers, and the strategy engine.
//!
//! Knows no particular document, no handler and no store.

mod checks;
mod documented;
mod error_body;
pub mod json;
mod number;
mod operation;
mod preflight;
mod received;
mod refusal;
mod schema;
mod serve;
#[cfg(feature = "strategies")]
pub mod strategy;
mod timestamp;
mod violation;

pub use checks::{Checked, Checks, Parameters};
pub use documented::{json_schema_of, json_schema_of_parameters, parameters};
pub use error_body::ErrorBody;
pub use operation::{BodyInfo, CredentialInfo, Operation, OperationInfo};
pub use preflight::preflight;
pub use received::{BodyLimits, Received};
pub use refusal::{Code, MAX_VIOLATIONS, Refusal, StandardCodes};
pub use schema::Schema;
pub use serve::{
    Answer, Answered, Host, Incoming, Served, Told, documented, no_parameters, refuse_browser,
    serve, success,
};
pub use timestamp::Timestamp;
pub use violation::{Part, Violation, pointer_push};
