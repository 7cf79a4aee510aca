//! Names that become one Rust item although they look different; texts that say nothing.

use std::collections::BTreeMap;

use heck::ToUpperCamelCase;

use super::fold;
use crate::document::{Finding, Key, Node, Object, Span};
use crate::lint::view::{Operation, View};
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, site) in view.sites(Object::Schema) {
        let keys = keys(site.node, "properties");
        findings.extend(collisions(view, file, "properties", keys));
        let values = site.node.get("enum").map_or(&[][..], Node::items).iter();
        let texts = values.filter_map(|it| Some((it.as_str()?, it.span)));
        findings.extend(collisions(view, file, "values", texts));
    }
    for (file, site) in view.sites(Object::Response) {
        findings.extend(collisions(view, file, "headers", keys(site.node, "headers")));
    }
    for (file, it) in view.files.iter().enumerate() {
        let sections = it.root.get("components").map_or(&[][..], Node::entries).iter();
        // Schemas are compared over all documents, where the dialect is checked.
        for (_, section) in sections.filter(|(section, _)| section.text != "schemas") {
            let names = section.entries().iter().map(|(key, _)| (key.text.as_str(), key.span));
            findings.extend(same_names(view, file, names));
        }
        findings.extend(empty_texts(view, file));
    }
    findings.extend(models(view));
    findings
}

fn keys<'t>(node: &'t Node, map: &str) -> impl Iterator<Item = (&'t str, Span)> {
    let entries = node.get(map).map_or(&[][..], Node::entries).iter();
    entries.map(|(key, _): &(Key, Node)| (key.text.as_str(), key.span))
}

/// Members of one object that become one field or variant.
fn collisions<'t>(
    view: &View<'_>,
    file: usize,
    what: &str,
    names: impl Iterator<Item = (&'t str, Span)>,
) -> Vec<Finding> {
    let mut known = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, span) in names {
        let Some(other) = known.insert(fold(name), name).filter(|other| *other != name) else {
            continue;
        };
        let message = format!("the {what} `{other}` and `{name}` become one Rust name");
        findings.push(view.finding(file, span, &rule::MEMBER_COLLISION, message));
    }
    findings
}

/// Components of one document and section.
fn same_names<'t>(
    view: &View<'_>,
    file: usize,
    names: impl Iterator<Item = (&'t str, Span)>,
) -> Vec<Finding> {
    let mut known = BTreeMap::new();
    let mut findings = Vec::new();
    for (name, span) in names {
        let Some(other) = known.insert(fold(name), name) else { continue };
        let message = format!("`{other}` and `{name}` become one Rust name");
        findings.push(view.finding(file, span, &rule::NAME_COLLISION, message));
    }
    findings
}

/// Schemas that are called like the model of an operation's parameters.
fn models(view: &View<'_>) -> Vec<Finding> {
    let mut made: BTreeMap<String, &Operation<'_>> = BTreeMap::new();
    for operation in &view.operations {
        let Some(id) = operation.node.get("operationId").and_then(Node::as_str) else { continue };
        for place in view.parameters(operation) {
            let part = match place.node.get("in").and_then(Node::as_str) {
                Some("path") => "Path",
                Some("query") => "Query",
                _ => "Headers",
            };
            made.insert(fold(&format!("{}{part}", id.to_upper_camel_case())), operation);
        }
    }
    let schemas = view.components.iter().filter(|it| it.section == "schemas");
    let clash = schemas.filter_map(|it| {
        let operation = made.get(&fold(&it.key.text))?;
        let message =
            format!("`{}` is the model of the parameters of {}", it.key.text, operation.title());
        Some(view.finding(it.file, it.key.span, &rule::NAME_COLLISION, message))
    });
    clash.collect()
}

fn empty_texts(view: &View<'_>, file: usize) -> Vec<Finding> {
    let sites = view.files[file].sites.iter().filter(|site| site.object != Object::PropertyNames);
    let texts = sites.flat_map(|site| {
        ["title", "summary", "description", "message"].map(|name| site.node.entry(name))
    });
    let empty = texts
        .flatten()
        .filter(|(_, node)| node.as_str().is_some_and(|text| text.trim().is_empty()));
    empty
        .map(|(key, _)| {
            let message = format!("`{}` is empty", key.text);
            view.finding(file, key.span, &rule::EMPTY_TEXT, message)
        })
        .collect()
}
