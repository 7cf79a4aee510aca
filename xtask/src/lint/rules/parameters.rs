//! Parameters: those of the path against the path itself, names, shapes and defaults.

use std::collections::{BTreeMap, BTreeSet};

use super::routing::{segments, variable};
use super::{fold, is_set, value_span};
use crate::document::{Finding, Node, Object, nearest};
use crate::lint::view::{Operation, Place, View};
use crate::rule;

/// What OpenAPI says elsewhere: parameters of these names are ignored.
const ELSEWHERE: [(&str, &str); 3] = [
    ("accept", "the media types of the answers say it"),
    ("content-type", "the media type of the body says it"),
    ("authorization", "`security` says it"),
];
const SCALARS: [&str; 4] = ["string", "integer", "number", "boolean"];

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        let parameters = view.parameters(operation);
        path(view, operation, &parameters, &mut findings);
        duplicates(view, operation, &parameters, &mut findings);
    }
    for (file, site) in view.sites(Object::Parameter) {
        let place = Place { file, node: site.node };
        findings.extend(reserved(view, place));
        findings.extend(shape(view, place));
        if is_set(site.node, "required") {
            findings.extend(default(view, place, "parameter"));
        }
    }
    findings.extend(required_properties(view));
    findings
}

fn text<'t>(place: Place<'t>, name: &str) -> Option<&'t str> {
    place.node.get(name).and_then(Node::as_str)
}

/// The variables of the path and the `in: path` parameters are the same names.
fn path(view: &View<'_>, it: &Operation<'_>, all: &[Place<'_>], findings: &mut Vec<Finding>) {
    let variables: BTreeSet<&str> =
        segments(&it.path.text).filter_map(|(_, segment)| variable(segment)).collect();
    let mut declared = BTreeSet::new();
    for place in all.iter().filter(|place| text(**place, "in") == Some("path")) {
        let Some(name) = text(*place, "name") else { continue };
        declared.insert(name);
        let at = value_span(place.node, "name", place.node.span);
        if !variables.contains(name) {
            let message = format!("`{name}` is no variable of `{}`", it.path.text);
            let help = nearest(name, variables.iter().copied())
                .map(|near| format!("did you mean `{near}`?"));
            let finding = view.finding(place.file, at, &rule::STRAY_PATH_PARAMETER, message);
            findings.push(finding.maybe_help(help));
        }
        if !is_set(place.node, "required") {
            let at = value_span(place.node, "required", at);
            let message = format!("the path parameter `{name}` is not `required: true`");
            findings.push(view.finding(place.file, at, &rule::OPTIONAL_PATH_PARAMETER, message));
        }
    }
    for name in variables.difference(&declared) {
        let message = format!("{} has no parameter for `{{{name}}}`", it.title());
        let help = format!("add a parameter with `name: {name}`, `in: path`, `required: true`");
        let finding = view.finding(it.file, it.method.span, &rule::UNDECLARED_VARIABLE, message);
        findings.push(finding.help(help));
    }
}

fn duplicates(view: &View<'_>, it: &Operation<'_>, all: &[Place<'_>], out: &mut Vec<Finding>) {
    let mut known: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for place in all {
        let (Some(name), Some(part)) = (text(*place, "name"), text(*place, "in")) else { continue };
        let Some(first) = known.insert((part, fold(name)), name) else { continue };
        let at = value_span(place.node, "name", place.node.span);
        let is_same = first == name || (part == "header" && first.eq_ignore_ascii_case(name));
        let message = match is_same {
            true => format!("{} has the {part} parameter `{name}` twice", it.title()),
            false => format!("`{name}` and `{first}` become one field of {}", it.title()),
        };
        let rule = if is_same { &rule::DUPLICATE_PARAMETER } else { &rule::MEMBER_COLLISION };
        out.push(view.finding(place.file, at, rule, message));
    }
}

fn reserved(view: &View<'_>, place: Place<'_>) -> Option<Finding> {
    let name = text(place, "name").filter(|_| text(place, "in") == Some("header"))?;
    let (_, instead) = ELSEWHERE.iter().find(|(header, _)| name.eq_ignore_ascii_case(header))?;
    let at = value_span(place.node, "name", place.node.span);
    let message = format!("a header parameter `{name}` is ignored");
    Some(view.finding(place.file, at, &rule::RESERVED_HEADER, message).help(*instead))
}

fn shape(view: &View<'_>, place: Place<'_>) -> Option<Finding> {
    let schema = view.member(place, "schema")?;
    let kind = text(schema, "type").unwrap_or("any type");
    let is_scalar = SCALARS.contains(&kind);
    if is_scalar && !is_set(schema.node, "nullable") {
        return None;
    }
    let found = if is_scalar { "null" } else { kind };
    let at = value_span(place.node, "name", place.node.span);
    let message =
        format!("`{}` may be {found}, and a parameter is one scalar", text(place, "name")?);
    Some(view.finding(place.file, at, &rule::PARAMETER_SHAPE, message))
}

/// A default on something that may not be left out. Defaults of named schemas are for whoever
/// uses them optionally.
fn default(view: &View<'_>, place: Place<'_>, what: &str) -> Option<Finding> {
    let (key, _) = place.node.get("schema")?.entry("default")?;
    let message = format!("this {what} is required, so its default never applies");
    Some(view.finding(place.file, key.span, &rule::REQUIRED_DEFAULT, message))
}

fn required_properties(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (file, site) in view.sites(Object::Schema) {
        let required = site.node.get("required").map_or(&[][..], Node::items);
        let Some(properties) = site.node.get("properties") else { continue };
        let required: BTreeSet<&str> = required.iter().filter_map(Node::as_str).collect();
        for (key, node) in properties.entries() {
            let Some((default, _)) = node.entry("default") else { continue };
            if !required.contains(key.text.as_str()) {
                continue;
            }
            let message = format!("`{}` is required, so its default never applies", key.text);
            findings.push(view.finding(file, default.span, &rule::REQUIRED_DEFAULT, message));
        }
    }
    findings
}
