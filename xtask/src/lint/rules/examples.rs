//! Examples, defaults and enum values against their own schema, by the validator that the service
//! uses.
//!
//! All values of a file are checked in one pass, as the members of one object: its schema is
//! compiled once, however many examples there are.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use vestibule_schema::{Part, Schema, Violation};

use crate::document::{Finding, Node, NodeValue, Object, SHARED, Span, unescaped};
use crate::lint::view::View;
use crate::rule::{self, Rule};

/// With these the schemas of a file do not compile, or mean something else than was meant.
const UNSOUND: [&Rule; 9] = [
    &rule::UNKNOWN_KEYWORD,
    &rule::MISPLACED_KEYWORD,
    &rule::REFUSED_KEYWORD,
    &rule::UNTAGGED_UNION,
    &rule::WRONG_TYPE,
    &rule::UNRESOLVED_REF,
    &rule::CIRCULAR_REF,
    &rule::NAME_COLLISION,
    &rule::PATTERN_SYNTAX,
];

/// Checks every file whose schemas are sound.
pub fn check(view: &View<'_>, found: &[Finding]) -> Vec<Finding> {
    let unsound = found.iter().filter(|finding| UNSOUND.contains(&finding.rule));
    let unsound: BTreeSet<&str> = unsound.map(|finding| finding.file.as_str()).collect();
    let is_sound = |file: &usize| !unsound.contains(view.files[*file].source.file);
    let common = (0..view.files.len()).find(|file| view.files[*file].source.stem() == SHARED);
    if !common.iter().all(is_sound) {
        return Vec::new();
    }
    (0..view.files.len()).filter(is_sound).flat_map(|file| of_file(view, file, common)).collect()
}

/// A value that stands in a document beside the schema that it must fit.
struct Claim<'t> {
    rule: &'static Rule,
    what: &'static str,
    value: &'t Node,
    schema: Value,
}

fn of_file(view: &View<'_>, file: usize, common: Option<usize>) -> Vec<Finding> {
    let claims = claims(view, file);
    if claims.is_empty() {
        return Vec::new();
    }
    let mut schemas = components(view.files[file].root);
    schemas.extend(common.map(|common| components(view.files[common].root)).unwrap_or_default());
    let document = json!({ "components": { "schemas": schemas } });
    let each = claims.iter().enumerate();
    let properties: Map<_, _> =
        each.map(|(index, claim)| (index.to_string(), claim.schema.clone())).collect();
    let each = claims.iter().enumerate();
    let values: Map<_, _> =
        each.map(|(index, claim)| (index.to_string(), claim.value.to_json())).collect();
    let schema = json!({ "type": "object", "properties": properties });
    let schema = match Schema::try_inline(&document, &schema) {
        Ok(schema) => schema,
        Err(problem) => {
            let message = format!("the examples cannot be checked: {problem}");
            let name = view.files[file].source.file;
            return vec![Finding::of_file(name, &rule::INVALID_EXAMPLE, message)];
        }
    };
    let broken = schema.check(Part::Body, &Value::Object(values));
    broken
        .iter()
        .filter_map(|violation| {
            let (index, pointer) = split(&violation.pointer);
            let claim = claims.get(index.parse::<usize>().ok()?)?;
            let at = locate(claim.value, pointer);
            let message = told(claim.what, pointer, violation);
            Some(view.finding(file, at, claim.rule, message))
        })
        .collect()
}

/// `/12/a/b` is `/a/b` of value 12.
fn split(pointer: &str) -> (&str, &str) {
    let rest = pointer.strip_prefix('/').unwrap_or(pointer);
    rest.find('/').map_or((rest, ""), |at| rest.split_at(at))
}

fn claims<'t>(view: &View<'t>, file: usize) -> Vec<Claim<'t>> {
    let mut claims = Vec::new();
    for site in &view.files[file].sites {
        let node = site.node;
        match site.object {
            Object::Schema => {
                let mut claim = |rule, what, value, schema: &Value| {
                    claims.push(Claim { rule, what, value, schema: schema.clone() });
                };
                let (example, default) = (node.get("example"), node.get("default"));
                let values = node.get("enum").map_or(&[][..], Node::items);
                if example.is_none() && default.is_none() && values.is_empty() {
                    continue;
                }
                let mut schema = local(node);
                example.iter().for_each(|it| {
                    claim(&rule::INVALID_EXAMPLE, "example", it, &schema);
                });
                default.iter().for_each(|it| {
                    claim(&rule::INVALID_DEFAULT, "default", it, &schema);
                });
                if let Some(members) = schema.as_object_mut() {
                    members.remove("enum");
                }
                values.iter().for_each(|it| {
                    claim(&rule::ENUM_MISMATCH, "value", it, &schema);
                });
            }
            Object::Parameter | Object::Header | Object::MediaType => {
                let Some(schema) = node.get("schema").map(local) else { continue };
                let named = node.get("examples").map_or(&[][..], Node::entries).iter();
                let values = named.filter_map(|(_, example)| example.get("value"));
                for value in node.get("example").into_iter().chain(values) {
                    let (rule, schema) = (&rule::INVALID_EXAMPLE, schema.clone());
                    claims.push(Claim { rule, what: "example", value, schema });
                }
            }
            _ => {}
        }
    }
    claims
}

fn components(root: &Node) -> Map<String, Value> {
    let schemas = root.get("components").and_then(|it| it.get("schemas"));
    let entries = schemas.map_or(&[][..], Node::entries).iter();
    entries.map(|(key, node)| (key.text.clone(), local(node))).collect()
}

/// The JSON value with every reference led into the document itself.
fn local(node: &Node) -> Value {
    let mut value = node.to_json();
    rewrite(&mut value);
    value
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(target)) = members.get_mut("$ref")
                && let Some(at) = target.find('#')
            {
                target.drain(..at);
            }
            members.values_mut().for_each(rewrite);
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}

/// Where a member of a value stands; where it would stand, if it is missing.
fn locate(value: &Node, pointer: &str) -> Span {
    let (mut node, mut at) = (value, value.span);
    for member in pointer.split('/').skip(1) {
        let name = unescaped(member);
        let next = match &node.value {
            NodeValue::Mapping(_) => node.entry(&name).map(|(key, next)| (key.span, next)),
            NodeValue::Sequence(items) => {
                name.parse::<usize>().ok().and_then(|at| items.get(at)).map(|it| (it.span, it))
            }
            _ => None,
        };
        let Some((key, next)) = next else { return at };
        // A collection begins on another line than its key.
        let is_scalar = next.entries().is_empty() && next.items().is_empty();
        (node, at) = (next, if is_scalar { next.span } else { key });
    }
    at
}

fn told(what: &str, pointer: &str, violation: &Violation) -> String {
    let place = match pointer {
        "" => format!("the {what}"),
        pointer => format!("`{pointer}` of the {what}"),
    };
    let limit = violation.limit.as_ref().map(|it| format!(" {it}")).unwrap_or_default();
    let found = violation.actual.as_ref().map(|it| format!(", it is {it}")).unwrap_or_default();
    match violation.keyword.as_str() {
        "required" => format!("{place} is required and missing"),
        "additionalProperties" => format!("{place} is no member of the schema"),
        keyword => format!("{place} breaks `{keyword}{limit}` of its schema{found}"),
    }
}
