//! The reference: `/llms.txt` and the pages of Markdown that the generator wrote.

use std::sync::Arc;

use dropshot::{ApiDescription, ApiDescriptionRegisterError};
use vestibule_api::reference::{LLMS_TXT, PAGES};

use super::embedded;
use crate::context::Context;

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// Registers every text; none is in the documents.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
) -> Result<(), ApiDescriptionRegisterError> {
    embedded::register(api, "/llms.txt", TEXT, LLMS_TXT)?;
    for (path, text) in PAGES {
        embedded::register(api, path, MARKDOWN, text)?;
    }
    Ok(())
}
