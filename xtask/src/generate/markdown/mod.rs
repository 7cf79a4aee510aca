//! The reference for readers and language models: `llms.txt`, an index, a page on errors and a page
//! for each operation, all Markdown.
//!
//! Knows what the documents say and where the service serves the result, nothing of the service.

mod example;
mod operation;
mod schema;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt::Write as _;

use proc_macro2::TokenStream;
use quote::quote;
use serde_json::Value;

use super::Files;
use super::api::{Api, Operation};
use crate::document::Documents;
use table::table;

/// Where the texts are written.
const FOLDER: &str = "generated/docs";
/// Where the service serves all but `llms.txt`.
const SERVED: &str = "/docs/api";

const INDEX: &str = "index.md";
const ERRORS: &str = "errors.md";

const SUMMARY: &str = "A self-hosted service that opens short-lived, narrowly scoped sessions for \
    chat and assistants embedded in other people's pages.";

/// Every text, by its path in the repository.
pub fn files(api: &Api, documents: &Documents) -> Files {
    let at = |name: &str| format!("{FOLDER}/{name}");
    let mut files = Files::new();
    files.insert(at("llms.txt"), llms_txt(api, documents));
    files.insert(at(INDEX), index(api, documents));
    files.insert(at(ERRORS), errors(api, documents));
    for operation in &api.operations {
        let page = operation::page(operation, document(documents, operation), api);
        files.insert(at(&page_name(operation)), page);
    }
    files
}

/// The module that carries the texts into the service.
pub fn stream(api: &Api) -> TokenStream {
    let pages = api.operations.iter().map(page_name);
    let pages = [INDEX.to_owned(), ERRORS.to_owned()].into_iter().chain(pages);
    let each = pages.map(|name| {
        let (path, file) = (format!("{SERVED}/{name}"), format!("../../docs/{name}"));
        quote!((#path, include_str!(#file)))
    });
    quote! {
        /// Every page of Markdown: the path it is served at, and its text.
        pub static PAGES: &[(&str, &str)] = &[#(#each),*];

        /// The table of contents for language models, served at `/llms.txt`.
        pub const LLMS_TXT: &str = include_str!("../../docs/llms.txt");
    }
}

fn page_name(operation: &Operation) -> String {
    format!("{}.md", operation.id)
}

fn document<'a>(documents: &'a Documents, operation: &Operation) -> &'a Value {
    let found = documents.documents.iter().find(|it| it.name == operation.document);
    &found.expect("an operation was read from a document").value
}

/// By the convention of llmstxt.org: a title, a summary, remarks, then lists of links.
fn llms_txt(api: &Api, documents: &Documents) -> String {
    let mut text = format!("# Vestibule\n\n> {SUMMARY}\n");
    for document in &documents.documents {
        let info = &document.value["info"];
        let about = one_line(&first_paragraph(&info["description"]));
        let _ = write!(text, "\n**{}.** {about}\n", string(&info["title"]));
    }
    for document in &documents.documents {
        let name = &document.name;
        let _ = write!(text, "\n## {}\n\n", string(&document.value["info"]["title"]));
        for it in api.operations.iter().filter(|it| it.document == *name) {
            let (summary, page) = (&it.summary, page_name(it));
            let about = sentence(&it.description);
            let about = format!("`{} {}`. {about}", it.method, it.path);
            let _ = writeln!(text, "- [{summary}]({SERVED}/{page}): {about}");
        }
        let whole = "the whole document in OpenAPI 3.0";
        let _ = writeln!(text, "- [{name}.json](/openapi/{name}.json): {whole}");
    }
    let _ = write!(
        text,
        "\n## Optional\n\n\
         - [Errors]({SERVED}/{ERRORS}): the one error object, and every stable code\n\
         - [Index]({SERVED}/{INDEX}): all operations in tables\n\
         - [Interactive reference]({SERVED}): the same in a browser, to try out\n"
    );
    text
}

fn index(api: &Api, documents: &Documents) -> String {
    let mut text = format!("# Vestibule: reference\n\n{SUMMARY}\n");
    for document in &documents.documents {
        let info = &document.value["info"];
        let (title, about) = (string(&info["title"]), prose(string(&info["description"])));
        let _ = write!(text, "\n## {title}\n\n{about}\n\n");
        let mine = api.operations.iter().filter(|it| it.document == document.name);
        let rows = mine.map(|it| {
            let link = format!("[{}]({})", it.summary, page_name(it));
            [format!("`{}`", it.method), format!("`{}`", it.path), link]
        });
        text.push_str(&table(["Method", "Path", "Operation"], rows));
    }
    let _ = write!(
        text,
        "\n## Common to all\n\n\
         - [Errors]({ERRORS}): the one error object, and every stable code\n\
         - [llms.txt](/llms.txt): this table of contents for language models\n\
         - [Interactive reference]({SERVED}): the same in a browser, to try out\n"
    );
    text
}

/// The error object is the same in every document, so that one page can tell of it.
fn errors(api: &Api, documents: &Documents) -> String {
    let mut text = "# Vestibule: errors\n\n".to_owned();
    let mut roots = documents.documents.iter().map(|document| &document.value);
    if let Some(root) = roots.find(|root| root["components"]["schemas"]["Error"].is_object()) {
        let error = &root["components"]["schemas"]["Error"];
        let _ = write!(text, "{}\n\n## Members\n\n", prose(string(&error["description"])));
        text.push_str(&schema::members_table(root, error));
        let _ = write!(text, "\n## Example\n\n{}", example::json(&error["example"]));
    }
    text.push_str("\n## Codes\n\nA code is a promise: its name and its meaning never change.\n\n");
    let rows = api.codes.iter().map(|(code, message)| {
        let all = api.operations.iter().flat_map(|it| &it.answers);
        let with = all.filter(|answer| answer.codes.contains(code)).map(|answer| answer.status);
        let statuses: BTreeSet<_> = with.collect();
        let statuses: Vec<_> = statuses.iter().map(u16::to_string).collect();
        [format!("`{code}`"), statuses.join(", "), prose(message)]
    });
    text.push_str(&table(["Code", "Status", "Message"], rows));
    text
}

fn string(node: &Value) -> &str {
    node.as_str().unwrap_or_default()
}

/// A text of a document as Markdown: `<raw body>` is no element, unless it stands in code.
fn prose(text: &str) -> String {
    let mut in_code = false;
    let escaped = text.chars().map(|c| {
        in_code ^= c == '`';
        if c == '<' && !in_code { "\\<".to_owned() } else { c.to_string() }
    });
    escaped.collect()
}

fn first_paragraph(description: &Value) -> String {
    prose(string(description).split("\n\n").next().unwrap_or_default())
}

/// The first sentence of a text as one line.
fn sentence(text: &str) -> String {
    let line = prose(&one_line(text));
    let end = line.find(". ").map_or(line.len(), |at| at + 1);
    line[..end].to_owned()
}

/// A text as one line.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
