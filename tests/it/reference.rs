//! The reference that the service serves: `llms.txt` and the pages of Markdown, against the
//! documents they were generated from.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::Value;
use vestibule_api::register::OPERATIONS;
use vestibule_api::{codes, documents, reference};
use vestibule_runtime::OperationInfo;

use crate::constraints::{document, none};
use crate::requests::{Answer, send};
use crate::service::Service;

async fn get(path: &str) -> Answer {
    send(Method::GET, &Service::shared().url(path), &[], None).await
}

fn page_of(operation: &OperationInfo) -> String {
    format!("/docs/api/{}.md", operation.id)
}

#[tokio::test]
async fn every_text_is_served_with_its_type_and_a_validator() {
    let pages = reference::PAGES.iter().map(|(path, text)| (*path, *text, "text/markdown"));
    let texts = pages.chain([("/llms.txt", reference::LLMS_TXT, "text/plain")]);
    let mut etags = BTreeSet::new();
    for (path, text, kind) in texts {
        let served = get(path).await;
        assert_eq!((served.status.as_u16(), served.text.as_str()), (200, text), "{path}");
        assert_eq!(served.header("content-type"), format!("{kind}; charset=utf-8"), "{path}");
        assert_eq!(served.header("cache-control"), "no-cache", "{path}");
        assert_eq!(served.header("x-content-type-options"), "nosniff", "{path}");
        let etag = [("if-none-match", served.header("etag"))];
        let again = send(Method::GET, &Service::shared().url(path), &etag, None).await;
        assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{path}");
        etags.insert(served.header("etag").to_owned());
    }
    assert_eq!(etags.len(), reference::PAGES.len() + 1, "each text has its own");
}

#[tokio::test]
async fn links_of_every_text_lead_somewhere() {
    let texts = reference::PAGES.iter().map(|(path, text)| (*path, *text));
    let mut targets = BTreeSet::new();
    for (path, text) in texts.chain([("/llms.txt", reference::LLMS_TXT)]) {
        let links = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        // Patterns in code have brackets too, and nothing of a path behind them.
        let links = links.filter(|link| link.starts_with('/') || link.ends_with(".md"));
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        targets.extend(links.map(|link| match link.starts_with('/') {
            true => link.to_owned(),
            false => format!("{folder}/{link}"),
        }));
    }
    for target in &targets {
        assert_eq!(get(target).await.status, 200, "{target}");
    }
    let is_linked = |operation: &&&OperationInfo| !targets.contains(&page_of(operation));
    assert_eq!(OPERATIONS.iter().find(is_linked).map(|it| it.id), None, "no link leads there");
}

/// Members, nested ones too, under their paths; parameters, headers, statuses, codes, credentials.
#[tokio::test]
async fn every_operation_has_a_page_that_names_all_there_is() {
    let mut faults = Vec::new();
    for operation in OPERATIONS {
        let page = get(&page_of(operation)).await;
        assert_eq!(page.status, 200, "{}", operation.id);
        let wanted = wanted(operation);
        assert!(wanted.len() > 5, "{wanted:?}");
        let missing = wanted.iter().filter(|part| !page.text.contains(part.as_str()));
        faults.extend(missing.map(|part| format!("{} lacks {part}", operation.id)));
    }
    none(faults);
}

#[test]
fn every_code_is_explained_with_its_message() {
    let (_, errors) =
        reference::PAGES.iter().find(|(path, _)| path.ends_with("/errors.md")).expect("a page");
    for code in codes::ALL {
        let row = errors.lines().find(|line| line.starts_with(&format!("| `{}`", code.name)));
        assert!(row.is_some_and(|row| row.contains(code.message)), "{}", code.name);
    }
    assert!(documents::ALL.iter().all(|(name, _)| reference::LLMS_TXT.contains(name)));
}

/// What a page must say, taken from the operation's document.
fn wanted(operation: &OperationInfo) -> Vec<String> {
    let root = document(operation.document);
    let method = operation.method.as_str().to_lowercase();
    let it = &root["paths"][operation.path][&method];
    let mut wanted = vec![format!("`{} {}`", operation.method, operation.path)];
    for parameter in it["parameters"].as_array().into_iter().flatten() {
        wanted.push(format!("| `{}`", text(&target(&root, parameter)["name"])));
    }
    let alternatives = it["security"].as_array().into_iter().flatten();
    for (scheme, _) in alternatives.flat_map(members) {
        let name = root["components"]["securitySchemes"][scheme]["name"].as_str();
        wanted.push(format!("- `{}: ", name.unwrap_or("Authorization")));
    }
    let body = &it["requestBody"]["content"]["application/json"]["schema"];
    paths(&root, body, "", &mut Vec::new(), &mut wanted);
    for (status, response) in members(&it["responses"]) {
        let response = target(&root, response);
        wanted.push(format!("### {status} "));
        wanted.extend(members(&response["headers"]).map(|(name, _)| format!("| `{name}`")));
        let codes = response["x-codes"].as_array();
        wanted.extend(codes.into_iter().flatten().map(|code| format!("| `{}`", text(code))));
        if codes.is_none() {
            let schema = &response["content"]["application/json"]["schema"];
            paths(&root, schema, "", &mut Vec::new(), &mut wanted);
        }
    }
    wanted
}

/// Paths of all members below a schema, as the tables write them.
fn paths(root: &Value, schema: &Value, at: &str, above: &mut Vec<String>, found: &mut Vec<String>) {
    let name = schema["$ref"].as_str().unwrap_or_default().to_owned();
    if !name.is_empty() && above.contains(&name) {
        return;
    }
    above.push(name);
    let it = target(root, schema);
    for (member, below) in members(&it["properties"]) {
        let path = if at.is_empty() { member.clone() } else { format!("{at}.{member}") };
        found.push(format!("| `{path}`"));
        paths(root, below, &path, above, found);
    }
    if it["items"].is_object() {
        paths(root, &it["items"], &format!("{at}[]"), above, found);
    }
    above.pop();
}

fn target<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    let pointer = node["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(node)
}

fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}

fn text(node: &Value) -> &str {
    node.as_str().expect("a text")
}
