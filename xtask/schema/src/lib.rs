//! What the documents say of JSON values: the strict reader, the validator that finds every
//! violation, and the strategies that draw valid and broken values.
//!
//! Knows no operation, no transport and no particular document, so that the service, the lint,
//! the mock and the conformance run read one and the same dialect.

pub mod json;
mod number;
mod schema;
#[cfg(feature = "strategies")]
pub mod strategy;
mod violation;

pub use schema::{Schema, sensitive_names};
pub use violation::{Part, Violation, pointer_push};
