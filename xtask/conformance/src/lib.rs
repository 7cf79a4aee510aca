//! A black-box run against any deployment of the documents: valid requests, every broken
//! constraint, every wrong caller, and whether each answer is what the documents say.
//!
//! Needs the documents and a file of credentials and nothing else; knows neither the service nor
//! generated code. [`plan()`] says what will be tried, [`run()`] tries it, [`outcome::Run`] is
//! what came of it.

mod build;
mod clock;
mod credentials;
mod document;
mod expected;
mod judge;
mod links;
pub mod outcome;
mod place;
mod plan;
mod reach;
mod recipe;
mod refused;
pub mod report;
mod request;
mod revealed;
mod run;
mod scheme;
mod sign;
mod subject;
mod transport;
mod world;

pub use clock::{now_ms, unique_ms};
pub use credentials::Credentials;
pub use document::Document;
pub use expected::Expected;
pub use plan::{Options, Plan, Planned, plan, said};
pub use run::{Limits, Watch, run};
pub use sign::sign;
