//! The files of `generated/httpmock`: progenitor's typed expectations and answers for tests that
//! mock a surface, over the models of the client crate.

use quote::{format_ident, quote};

use super::client::generator;
use super::files::rust;
use super::{Files, Ungenerable};
use crate::document::Documents;

const CRATE: &str = "generated/httpmock";

/// Every generated file of the crate.
pub fn files(documents: &Documents) -> Result<Files, Ungenerable> {
    let mut files = Files::new();
    for document in &documents.documents {
        let name = &document.name;
        let (mut generator, spec) = generator(name, &document.value)?;
        let mock = generator
            .httpmock(&spec, &format!("vestibule_client::{name}"))
            .map_err(|bad| Ungenerable(format!("progenitor's httpmock, {name}: {bad}")))?;
        let doc = format!("Expectations and answers of the {name} surface.");
        let text = rust(&doc, &format!("openapi/{name}.yaml"), mock)?;
        files.insert(format!("{CRATE}/src/{name}.rs"), text);
    }
    let modules = documents.documents.iter().map(|document| format_ident!("{}", document.name));
    let doc = "Generated from the documents: a typed mock of every surface for callers' tests.";
    let lib = rust(doc, "openapi/*.yaml", quote!(#(pub mod #modules;)*))?;
    files.insert(format!("{CRATE}/src/lib.rs"), lib);
    Ok(files)
}
