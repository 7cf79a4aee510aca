//! `/openapi/{document}.json`: the bundled documents, byte for byte, with an ETag.

use std::sync::Arc;

use dropshot::{ApiDescription, ApiDescriptionRegisterError};

use super::embedded;
use crate::context::Context;

/// Registers one endpoint per document; they are not in the documents themselves.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    for (name, text) in vestibule_api::documents::ALL {
        let path = format!("/openapi/{name}.json");
        embedded::register(api, &path, "application/json", text)?;
    }
    Ok(())
}
