//! Planted faults: evidence that the conformance suite notices what a server gets wrong.
//!
//! The real server runs behind a proxy that plants one fault at a time; the suite runs against the
//! proxy and must report each. Shares nothing with the suite but what it takes and what it says.

pub mod catalogue;
mod documents;
mod exchange;
mod fault;
mod proxy;
mod report;
mod server;
mod suite;
mod world;

pub use fault::Fault;
pub use report::Report;
pub use suite::{Finding, Found, Suite, found};
