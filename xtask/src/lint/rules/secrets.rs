//! Members that carry a credential: answers with one may not be cached, requests with one may not
//! be repeated in errors and logs.
//!
//! A member is taken for a credential by its name.

use std::collections::BTreeSet;

use heck::ToSnakeCase;

use super::is_set;
use crate::document::{Finding, Key, Node, NodeValue, Object, Site};
use crate::lint::view::{Lead, Place, View};
use crate::rule;

/// Last words of a name that make it a credential.
const WORDS: [&str; 7] =
    ["token", "secret", "password", "passphrase", "jwt", "credential", "signature"];
/// Words before a last word `key` that make it one.
const KEYS: [&str; 5] = ["api", "private", "secret", "access", "cache"];

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = unmarked(view);
    findings.extend(cacheable(view));
    findings
}

/// Whether a name is that of a credential.
fn is_credential(name: &str) -> bool {
    let snake = name.to_snake_case();
    let mut words = snake.rsplit('_');
    let (last, before) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    WORDS.contains(&last) || (last == "key" && KEYS.contains(&before))
}

/// The members of a schema that carry a credential: texts that are not out of a short list.
fn members<'t>(view: &View<'t>, file: usize, schema: &'t Node) -> Vec<(&'t Key, Place<'t>)> {
    let properties = schema.get("properties").map_or(&[][..], Node::entries).iter();
    let named = properties.filter(|(key, _)| is_credential(&key.text));
    let texts = named.filter_map(|(key, node)| {
        let place = view.resolve(Place { file, node })?;
        let is_text = place.node.get("type").and_then(Node::as_str) == Some("string");
        (is_text && place.node.get("enum").is_none()).then_some((key, place))
    });
    texts.collect()
}

fn unmarked(view: &View<'_>) -> Vec<Finding> {
    let asked = view.reached(|lead| !is_answer(lead));
    let mut findings = Vec::new();
    for (file, site) in view.sites(Object::Schema) {
        if owner(view, file, site).is_none_or(|id| !asked.contains(&id)) {
            continue;
        }
        for (key, place) in members(view, file, site.node) {
            if !is_set(place.node, "x-sensitive") {
                let message = format!("`{}` looks like a credential", key.text);
                findings.push(view.finding(file, key.span, &rule::UNMARKED_SECRET, message));
            }
        }
    }
    findings
}

fn cacheable(view: &View<'_>) -> Vec<Finding> {
    let mut secret = BTreeSet::new();
    for (file, site) in view.sites(Object::Schema) {
        if !members(view, file, site.node).is_empty() {
            secret.extend(owner(view, file, site));
        }
    }
    let secret = view.leading_to(secret.into_iter().collect());
    let mut findings = Vec::new();
    for operation in &view.operations {
        for (status, answer) in view.answers(operation) {
            let content = answer.node.get("content").map_or(&[][..], Node::entries);
            let mut bodies = content.iter().filter_map(|(_, media)| media.get("schema"));
            let carries = bodies.any(|schema| {
                let target = schema.get("$ref").and_then(Node::as_str);
                let id = target.and_then(|target| view.target(answer.file, target));
                id.is_some_and(|id| secret.contains(&id))
            });
            if carries && status.text.starts_with('2') && !is_uncacheable(view, answer) {
                let message = format!(
                    "{} of {} carries a credential without `Cache-Control: no-store`",
                    status.text,
                    operation.title()
                );
                let rule = &rule::CACHEABLE_SECRET;
                findings.push(view.finding(operation.file, status.span, rule, message));
            }
        }
    }
    findings
}

fn is_uncacheable(view: &View<'_>, answer: Place<'_>) -> bool {
    let headers = answer.node.get("headers").map_or(&[][..], Node::entries);
    let header = headers.iter().find(|(key, _)| key.text.eq_ignore_ascii_case("Cache-Control"));
    let header = header.and_then(|(_, node)| view.resolve(Place { file: answer.file, node }));
    header.is_some_and(|header| {
        let values = view.member(header, "schema").and_then(|schema| schema.node.get("enum"));
        let no_store = |value: &Node| value.value == NodeValue::String("no-store".to_owned());
        let values = values.map_or(&[][..], Node::items);
        is_set(header.node, "required") && !values.is_empty() && values.iter().all(no_store)
    })
}

fn is_answer(lead: &Lead) -> bool {
    let mut members = lead.pointer.split('/').skip(4);
    members.next() == Some("responses")
}

/// The component that a schema is a part of.
fn owner(view: &View<'_>, file: usize, site: &Site<'_>) -> Option<usize> {
    let (section, rest) = site.pointer.strip_prefix("/components/")?.split_once('/')?;
    let name = rest.split('/').next()?;
    view.component(file, section, name)
}
