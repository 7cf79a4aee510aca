//! The reference: `/llms.txt`, the pages of Markdown that the generator wrote, and `/docs/api`,
//! where Swagger UI shows the served documents.
//!
//! Everything it loads is built into the binary. What makes "try it out" work with demo
//! credentials is `try_out`, in `--dev` alone.

use std::sync::Arc;

use bytes::Bytes;
use dropshot::{ApiDescription, ApiDescriptionRegisterError, RequestContext};
use vestibule_api::documents;
use vestibule_api::reference::{LLMS_TXT, PAGES};

use super::embedded;
use super::page_routes::respond;
use super::pages::reference_headers;
use crate::context::Context;

const MARKDOWN: &str = "text/markdown; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// What the page loads: path, type and text.
const ASSETS: [(&str, &str, &str); 4] = [
    (
        "/docs/api/swagger-ui-bundle.js",
        SCRIPT,
        include_str!("../../generated/web/swagger-ui/swagger-ui-bundle.js"),
    ),
    (
        "/docs/api/swagger-ui.css",
        STYLE,
        include_str!("../../generated/web/swagger-ui/swagger-ui.css"),
    ),
    ("/docs/api/reference.js", SCRIPT, include_str!("pages/reference.js")),
    ("/docs/api/reference.css", STYLE, include_str!("pages/reference.css")),
];

/// Registers every text and the page; none is in the documents.
pub(super) fn register(
    api: &mut ApiDescription<Arc<Context>>,
    dev: bool,
) -> Result<(), ApiDescriptionRegisterError> {
    embedded::register(api, "/llms.txt", TEXT, LLMS_TXT)?;
    for (path, text) in PAGES {
        embedded::register(api, path, MARKDOWN, text)?;
    }
    for (path, kind, text) in ASSETS {
        embedded::register(api, path, kind, text)?;
    }
    let page = Bytes::from(page(dev));
    let serve = move |_: RequestContext<Arc<Context>>| {
        let page = page.clone();
        async move { respond(page, &reference_headers()) }
    };
    unpublished!(api, GET "/docs/api", serve)
}

/// The page with the documents that there are; it asks for demo credentials in `--dev` alone.
fn page(dev: bool) -> String {
    let option = |name| format!("<option value=\"{name}\">{name}</option>");
    let options: Vec<_> = documents::ALL.iter().map(|(name, _)| option(name)).collect();
    include_str!("pages/reference.html")
        .replace("{mode}", if dev { "dev" } else { "reader" })
        .replace("{documents}", &options.join("\n"))
}
