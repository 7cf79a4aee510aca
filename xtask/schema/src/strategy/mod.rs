//! Values drawn from a document's schemas: valid ones, the boundaries that must be accepted, and
//! values with one constraint broken together with the violation that must come back.
//!
//! Evidence about the validator, so it shares nothing with it: what a value breaks is decided by
//! the small check in `check`. Knows schemas only, no operation and no transport.

mod boundary;
mod broken;
mod check;
mod fault;
mod fault_text;
mod format;
mod language;
mod number;
mod schema;
mod seeded;
mod site;
mod sized;
#[cfg(test)]
mod tests;
mod text;
mod valid;

pub use boundary::{Boundary, boundaries};
pub use broken::{Breakage, Broken, breakages, broken, unreachable};
pub use check::check;
pub use schema::{Caps, SchemaSet};
pub use seeded::sample;
pub use valid::{full, valid};
