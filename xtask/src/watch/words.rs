//! What changed between two states of the documents, one line for each change.
//!
//! Says what, never whether it breaks anybody: that is `cargo xtask diff`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::document::Documents;

/// A text that is longer than this is not repeated.
const SHORT: usize = 40;

/// Every change, sorted by document.
pub fn changes(old: &Documents, new: &Documents) -> Vec<String> {
    let (before, after) = (parts(old), parts(new));
    let nothing = BTreeMap::new();
    let mut lines = Vec::new();
    for name in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        let (old, new) = (before.get(name), after.get(name));
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        for part in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            member(&format!("{name}:"), part, old.get(part), new.get(part), &mut lines);
        }
    }
    lines
}

/// Each document's operations by id, its schemas by name, and its other members.
fn parts(documents: &Documents) -> BTreeMap<String, BTreeMap<String, Value>> {
    let codes = documents.error_codes.iter();
    let codes = codes.map(|(code, message)| (format!("code {code}"), message.as_str().into()));
    let mut all = BTreeMap::from([("common.yaml".to_owned(), codes.collect())]);
    for document in &documents.documents {
        let mut rest = document.value.clone();
        let mut parts = BTreeMap::new();
        for (path, item) in taken(&mut rest["paths"]) {
            for (method, mut operation) in item.as_object().cloned().unwrap_or_default() {
                let id = operation["operationId"].as_str().unwrap_or("(unnamed)").to_owned();
                operation["at"] = format!("{} {path}", method.to_uppercase()).into();
                parts.insert(format!("operation {id}"), operation);
            }
        }
        let schemas = taken(&mut rest["components"]["schemas"]);
        parts.extend(schemas.into_iter().map(|(name, it)| (format!("schema {name}"), it)));
        parts.extend(rest.as_object().cloned().unwrap_or_default());
        all.insert(format!("{}.yaml", document.name), parts);
    }
    all
}

fn taken(node: &mut Value) -> Map<String, Value> {
    node.take().as_object().cloned().unwrap_or_default()
}

fn member(at: &str, name: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    match (old, new) {
        (Some(old), Some(new)) if old == new => {}
        (Some(old), Some(new)) => inside(&format!("{at} {name}"), old, new, lines),
        (None, Some(new)) => lines.push(format!("{at} {name} added{}", brief(new))),
        (Some(_), None) => lines.push(format!("{at} {name} removed")),
        (None, None) => {}
    }
}

/// The differences of two values at one place.
fn inside(at: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
                let (old, new) = (old.get(name), new.get(name));
                if name == "properties" {
                    properties(at, old, new, lines);
                    continue;
                }
                member(at, name, old, new, lines);
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for item in new.iter().filter(|item| !old.contains(item)) {
                lines.push(format!("{at}: {} added", shown(item)));
            }
            for item in old.iter().filter(|item| !new.contains(item)) {
                lines.push(format!("{at}: {} removed", shown(item)));
            }
            let same = old.iter().all(|item| new.contains(item)) && old.len() == new.len();
            if same {
                lines.push(format!("{at}: another order"));
            }
        }
        (Value::String(old), Value::String(new)) if old.len().max(new.len()) > SHORT => {
            lines.push(format!("{at} reworded"));
        }
        (old, new) => lines.push(format!("{at} {} → {}", shown(old), shown(new))),
    }
}

fn properties(at: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    let none = Map::new();
    let all = |value: Option<&'_ Value>| value.and_then(Value::as_object).cloned();
    let (old, new) = (all(old).unwrap_or(none.clone()), all(new).unwrap_or(none));
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        member(&format!("{at}: property"), name, old.get(name), new.get(name), lines);
    }
}

/// A schema in a few words, ` (string, ≤ 40)`; an operation by its method and path.
fn brief(value: &Value) -> String {
    let mut words = Vec::new();
    words.extend(["at", "type", "format"].iter().filter_map(|key| value[*key].as_str()));
    let reference = value["$ref"].as_str().and_then(|target| target.rsplit('/').next());
    words.extend(reference);
    let mut words: Vec<_> = words.into_iter().map(str::to_owned).collect();
    for (key, sign) in [
        ("minLength", "≥"),
        ("maxLength", "≤"),
        ("minimum", "≥"),
        ("maximum", "≤"),
        ("minItems", "≥"),
        ("maxItems", "≤"),
    ] {
        words.extend(value.get(key).map(|bound| format!("{sign} {bound}")));
    }
    words.extend(value["enum"].as_array().map(|all| format!("one of {}", all.len())));
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("`{text}`"),
        Value::Object(_) | Value::Array(_) => "an entry".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
