//! What stands in a document and is reached by nothing. Silent when only a part of the documents is
//! here: the rest may use it.

use std::collections::BTreeSet;

use crate::document::{Component, Finding, Mentioned, Node, SHARED, is_shared};
use crate::lint::view::View;
use crate::rule::{self, Rule};

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let reached = view.reached(|_| true);
    let mut findings = Vec::new();
    for (id, it) in view.components.iter().enumerate() {
        let is_common = view.files[it.file].source.stem() == SHARED;
        // What leads to a scheme is its name in `security`, unless it is shared by documents.
        let is_scheme = it.section == "securitySchemes";
        let is_scheme_in_use =
            is_scheme && (!is_common || view.links.iter().flatten().any(|lead| lead.to == id));
        if reached.contains(&id) || is_scheme_in_use || (is_common && !view.is_whole) {
            continue;
        }
        let component = Component { section: it.section.to_owned(), name: it.key.text.clone() };
        // A document's copy of a shared component is there to be seen by its readers.
        if is_shared(&component, it.node) {
            continue;
        }
        let message = format!("no operation reaches `{}`", it.key.text);
        findings.push(view.finding(it.file, it.key.span, &rule::UNUSED_COMPONENT, message));
    }
    for (index, file) in view.files.iter().enumerate() {
        if file.source.stem() == SHARED {
            continue;
        }
        let schemes = file.root.get("components").and_then(|it| it.get("securitySchemes"));
        for (key, _) in schemes.map_or(&[][..], Node::entries) {
            if !mentioned(view, index, Mentioned::SecurityScheme).contains(key.text.as_str()) {
                let message = format!("no operation asks for `{}`", key.text);
                findings.push(view.finding(index, key.span, &rule::UNUSED_COMPONENT, message));
            }
        }
        let used = mentioned(view, index, Mentioned::Tag);
        for name in file.root.get("tags").map_or(&[][..], Node::items).iter() {
            let Some(name) = name.get("name") else { continue };
            if name.as_str().is_some_and(|text| !used.contains(text)) {
                let message = "no operation has this tag";
                findings.push(view.finding(index, name.span, &rule::UNUSED_TAG, message));
            }
        }
    }
    findings.extend(codes(view, &rule::UNUSED_CODE));
    findings
}

fn mentioned<'t>(view: &View<'t>, file: usize, of: Mentioned) -> BTreeSet<&'t str> {
    let mentions = view.files[file].mentions.iter().filter(|mention| mention.of == of);
    mentions.map(|mention| mention.text.as_str()).collect()
}

fn codes(view: &View<'_>, rule: &'static Rule) -> Vec<Finding> {
    if !view.is_whole {
        return Vec::new();
    }
    let files = 0..view.files.len();
    let used: BTreeSet<&str> =
        files.flat_map(|file| mentioned(view, file, Mentioned::ErrorCode)).collect();
    let mut findings = Vec::new();
    for (index, file) in view.files.iter().enumerate() {
        for (key, _) in file.root.get("x-error-codes").map_or(&[][..], Node::entries) {
            if !used.contains(key.text.as_str()) {
                let message = format!("no answer has the code `{}`", key.text);
                findings.push(view.finding(index, key.span, rule, message));
            }
        }
    }
    findings
}
