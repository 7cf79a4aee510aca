//! Every schema says what it is and how large its values may be.

use std::collections::BTreeMap;

use super::is_set;
use crate::document::{Finding, Node, NodeValue, Object};
use crate::lint::view::{Place, View};
use crate::rule::{self, Rule};

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, site) in view.sites(Object::Schema) {
        let node = site.node;
        let kind = node.get("type");
        let mut report = |rule: &'static Rule, message: &str| {
            let at = kind.map_or(site.key, |kind| kind.span);
            findings.push(view.finding(file, at, rule, message));
        };
        match kind.and_then(Node::as_str) {
            None if is_open(node) => {
                report(&rule::UNTYPED_SCHEMA, "the schema says nothing of its values");
            }
            Some("string") if lacks(node, &["maxLength", "enum"]) => {
                report(&rule::UNBOUNDED_STRING, "the string has no `maxLength`");
            }
            Some("array") => {
                if lacks(node, &["maxItems"]) {
                    report(&rule::UNBOUNDED_ARRAY, "the array has no `maxItems`");
                }
                if lacks(node, &["items"]) {
                    report(&rule::UNTYPED_ITEMS, "the array does not say what its entries are");
                }
            }
            Some("object") if lacks(node, &["additionalProperties"]) => {
                report(&rule::OPEN_OBJECT, "the object does not say whether it is closed");
            }
            Some("object") if is_map(node) && lacks(node, &["maxProperties"]) => {
                report(&rule::UNBOUNDED_MAP, "the map has no `maxProperties`");
            }
            _ => {}
        }
        findings.extend(union(view, Place { file, node }));
    }
    findings
}

fn lacks(schema: &Node, keywords: &[&str]) -> bool {
    keywords.iter().all(|keyword| schema.get(keyword).is_none())
}

fn is_open(schema: &Node) -> bool {
    lacks(schema, &["anyOf"]) && !is_set(schema, "x-verbatim")
}

fn is_map(schema: &Node) -> bool {
    schema.get("additionalProperties").is_some_and(|it| it.value != NodeValue::Bool(false))
}

/// Branches of a union are told apart by their JSON type, at a glance.
fn union(view: &View<'_>, place: Place<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut known = BTreeMap::new();
    for branch in place.node.get("anyOf").map_or(&[][..], Node::items) {
        let Some(schema) = view.resolve(Place { file: place.file, node: branch }) else { continue };
        let kind = schema.node.get("type").and_then(Node::as_str).unwrap_or("any");
        let json = if kind == "integer" { "number" } else { kind };
        let clash = known.insert(json, kind).or((json == "any").then_some("any"));
        if let Some(other) = clash {
            let message = format!("this branch is of type {kind} beside one of type {other}");
            let at = branch.entries().first().map_or(branch.span, |(key, _)| key.span);
            findings.push(view.finding(place.file, at, &rule::UNTAGGED_UNION, message));
        }
    }
    findings
}
