//! From bundled documents to the text of every generated file.
//!
//! Pure: documents in, file texts out. `files` alone touches the disk.

mod api;
mod callers;
mod cli;
mod client;
mod facts;
mod files;
mod httpmock;
mod idempotency;
mod json_schema;
mod markdown;
mod models;
mod python;
mod routing;
mod server;
mod strategies;
#[cfg(test)]
mod tests;
mod traits;
pub mod typescript;

use std::collections::BTreeMap;

use crate::document::Documents;

pub use api::Handler;
pub use facts::{FILE as FACTS, FOLDER as BUNDLES};
pub use files::{check, missing, packaged, write, write_apart};

/// Every generated file: path below the repository's root, and text.
pub type Files = BTreeMap<String, String>;

/// Why a document that passed the dialect cannot be generated from.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Ungenerable(pub String);

impl Ungenerable {
    fn at(document: &str, pointer: &str, problem: &str) -> Self {
        Self(format!("openapi/{document}.yaml {pointer}: {problem}"))
    }
}

/// The methods of `src/api` that the documents ask for.
///
/// # Errors
/// As [`all`].
pub fn handlers(documents: &Documents) -> Result<Vec<Handler>, Ungenerable> {
    Ok(api::Api::read(documents)?.operations.iter().map(api::Operation::handler).collect())
}

/// Generates everything that needs no more than this program; [`typescript`] is the rest.
///
/// # Errors
/// When a document uses a shape that no generator below knows.
pub fn all(documents: &Documents) -> Result<Files, Ungenerable> {
    let api = api::Api::read(documents)?;
    let mut files = server::files(&api, documents)?;
    files.extend(facts::files(&api)?);
    files.extend(client::files(&api, documents)?);
    files.extend(cli::files(&api, documents)?);
    files.extend(httpmock::files(documents)?);
    files.extend(python::files(documents)?);
    files.extend(markdown::files(&api, documents));
    Ok(files)
}
