//! What of somebody else's document the run cannot honestly use: keywords outside the dialect
//! that it draws from and checks by.
//!
//! An operation that needs one is skipped with the reason; a guess would be reported as a fault
//! of the deployment.

use std::collections::BTreeSet;

use serde_json::Value;

/// Keywords that combine schemas in ways nothing here draws from.
const FOREIGN: &[&str] = &["allOf", "oneOf", "not", "patternProperties", "if", "const"];
/// Formats that say how a number or a text is kept, not which ones there are.
const ANNOTATIONS: &[&str] = &["int32", "int64", "float", "double", "byte", "binary", "password"];
/// Formats that are drawn and checked.
const FORMATS: &[&str] = &["date-time", "uuid", "uri"];

/// Takes out of a document what only annotates.
pub fn without_annotations(node: &mut Value) {
    match node {
        Value::Object(members) => {
            let is_annotation =
                |it: &Value| it.as_str().is_some_and(|it| ANNOTATIONS.contains(&it));
            if members.get("format").is_some_and(is_annotation) {
                members.remove("format");
            }
            members.values_mut().for_each(without_annotations);
        }
        Value::Array(items) => items.iter_mut().for_each(without_annotations),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The first keyword or format that a schema reaches and the run cannot use.
pub fn foreign(document: &Value, schema: &Value) -> Option<String> {
    Walk { document, seen: BTreeSet::new() }.schema(schema)
}

struct Walk<'d> {
    document: &'d Value,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    fn schema(&mut self, schema: &Value) -> Option<String> {
        let members = schema.as_object()?;
        if let Some(target) = schema["$ref"].as_str() {
            if !self.seen.insert(target.to_owned()) {
                return None;
            }
            let Some(found) = target.strip_prefix('#').and_then(|at| self.document.pointer(at))
            else {
                return Some(format!("`{target}`, which leads nowhere"));
            };
            return self.schema(found);
        }
        if let Some(keyword) = FOREIGN.iter().find(|keyword| members.contains_key(**keyword)) {
            return Some(format!("`{keyword}`"));
        }
        if let Some(format) = schema["format"].as_str().filter(|it| !FORMATS.contains(it)) {
            return Some(format!("the format `{format}`"));
        }
        let properties = schema["properties"].as_object().into_iter().flat_map(|it| it.values());
        let branches = schema["anyOf"].as_array().into_iter().flatten();
        let more = [&schema["items"], &schema["additionalProperties"]];
        properties.chain(branches).chain(more).find_map(|inner| self.schema(inner))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_cannot_be_drawn_from_is_named() {
        let document = json!({ "components": { "schemas": {
            "Tree": { "properties": { "left": { "$ref": "#/components/schemas/Tree" } } },
            "Pet": { "items": { "oneOf": [] } },
        } } });
        let told = |schema: Value| foreign(&document, &schema).unwrap_or_default();
        assert_eq!(told(json!({ "$ref": "#/components/schemas/Tree" })), "");
        assert_eq!(told(json!({ "properties": { "oneOf": { "type": "string" } } })), "");
        assert_eq!(told(json!({ "anyOf": [{ "$ref": "#/components/schemas/Pet" }] })), "`oneOf`");
        assert_eq!(
            told(json!({ "additionalProperties": { "format": "email" } })),
            "the format `email`"
        );
        assert!(told(json!({ "$ref": "#/nowhere" })).contains("leads nowhere"));
    }

    #[test]
    fn annotations_go_and_formats_stay() {
        let mut node = json!({ "a": [{ "format": "int64" }], "b": { "format": "uuid" } });
        without_annotations(&mut node);
        assert_eq!(node, json!({ "a": [{}], "b": { "format": "uuid" } }));
    }
}
