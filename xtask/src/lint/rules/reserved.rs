//! Names that become Rust identifiers and files, and are taken there.

use heck::{ToSnakeCase, ToUpperCamelCase};

use crate::document::{Finding, Mentioned, Object, SHARED};
use crate::lint::view::View;
use crate::rule;

/// Modules of the generated server beside those of the tags.
const MODULES: [&str; 8] =
    ["authenticate", "codes", "documents", "lib", "models", "register", "schemas", "strategies"];
/// Modules of the generated client beside those of the documents, and `register`'s own functions.
const SURFACES: [&str; 5] = ["lib", "signing", "all", "preflights", "compile_schemas"];

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = surfaces(view);
    for operation in &view.operations {
        let Some(id) = operation.node.get("operationId") else { continue };
        if let Some(text) = id.as_str().filter(|text| is_reserved(&text.to_snake_case())) {
            let message = format!("`{text}` becomes a Rust method and cannot be called so");
            findings.push(view.finding(operation.file, id.span, &rule::RESERVED_NAME, message));
        }
    }
    for (index, file) in view.files.iter().enumerate() {
        for mention in file.mentions.iter().filter(|mention| mention.of == Mentioned::Tag) {
            let name = mention.text.to_snake_case();
            if is_reserved(&name) || MODULES.contains(&name.as_str()) {
                let message = format!("`{}` becomes a Rust module, and it is taken", mention.text);
                findings.push(view.finding(index, mention.span, &rule::RESERVED_NAME, message));
            }
        }
    }
    for (file, site) in view.sites(Object::SecurityScheme) {
        let Some(caller) = site.node.get("x-caller") else { continue };
        if let Some(text) = caller.as_str().filter(|text| is_reserved(&text.to_snake_case())) {
            let message = format!("`{text}` becomes a Rust method and cannot be called so");
            findings.push(view.finding(file, caller.span, &rule::RESERVED_NAME, message));
        }
    }
    let schemas = view.components.iter().filter(|it| it.section == "schemas");
    for it in schemas.filter(|it| is_reserved(&it.key.text.to_upper_camel_case())) {
        let message = format!("`{}` becomes a Rust type and cannot be called so", it.key.text);
        findings.push(view.finding(it.file, it.key.span, &rule::RESERVED_NAME, message));
    }
    findings
}

/// A document's name becomes a module and a function.
fn surfaces(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in view.files.iter().filter(|file| file.source.stem() != SHARED) {
        let stem = file.source.stem();
        let is_snake = stem == stem.to_snake_case();
        if is_snake && !is_reserved(stem) && !SURFACES.contains(&stem) {
            continue;
        }
        let message = format!("the file's name `{stem}` becomes a Rust module and cannot");
        let help = "call it by one lower-case word";
        let finding = Finding::of_file(file.source.file, &rule::RESERVED_NAME, message);
        findings.push(finding.help(help));
    }
    findings
}

/// A word of the language, or no identifier at all.
fn is_reserved(name: &str) -> bool {
    syn::parse_str::<syn::Ident>(name).is_err()
}

#[cfg(test)]
mod tests {
    use super::{MODULES, SURFACES, is_reserved};
    use crate::generate;

    /// The two lists name what the generator really writes.
    #[test]
    fn taken_names_are_those_of_generated_modules() {
        let root = crate::root();
        let documents = crate::document::load(&root.join("openapi")).expect("clean documents");
        let files = generate::all(&documents).expect("documents can be generated from");
        for module in MODULES {
            let path = format!("generated/server/src/{module}.rs");
            assert!(files.contains_key(&path), "{path} is not generated");
        }
        let register = &files["generated/server/src/register.rs"];
        for surface in &SURFACES[2..] {
            assert!(register.contains(&format!("fn {surface}")), "{surface}");
        }
        assert!(root.join("generated/client/src/signing.rs").exists());
    }

    #[test]
    fn words_of_the_language_are_reserved() {
        let words = ["type", "move", "Self", "2nd", "a-b", ""];
        assert!(words.iter().all(|word| is_reserved(word)));
        assert!(!is_reserved("tenant_create"));
    }
}
