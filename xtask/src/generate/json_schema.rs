//! From the documents' dialect to the JSON Schema that typify reads.

use serde_json::{Map, Value, json};

/// Every component of every document, one definition per name; shared ones are the same text.
///
/// A component that is `nullable` becomes its plain self: as an optional member it is an `Option`
/// either way, and typify would otherwise invent a second name for it.
///
/// Models of answers alone hold plain strings and numbers (`bounded` is false): the service made
/// their values, and the tests hold its answers against the document.
pub fn definition(schema: &Value, bounded: bool) -> Value {
    let mut plain = schema.clone();
    if let Some(plain) = plain.as_object_mut() {
        plain.remove("nullable");
    }
    convert(&plain, bounded)
}

/// One schema.
pub fn convert(schema: &Value, bounded: bool) -> Value {
    let Some(members) = schema.as_object() else { return schema.clone() };
    if schema["format"] == "date-time" {
        return json!({ "$ref": "#/definitions/Timestamp" });
    }
    let mut out = Map::new();
    for (keyword, value) in members {
        let converted = match keyword.as_str() {
            "properties" => each(value, bounded),
            "items" | "additionalProperties" => convert(value, bounded),
            "anyOf" => {
                value.as_array().into_iter().flatten().map(|s| convert(s, bounded)).collect()
            }
            "$ref" => reference(value),
            "nullable" | "example" | "exclusiveMinimum" | "exclusiveMaximum" | "deprecated" => {
                continue;
            }
            "pattern" | "minLength" | "maxLength" | "minimum" | "maximum" if !bounded => continue,
            extension if extension.starts_with("x-") => continue,
            _ => value.clone(),
        };
        out.insert(keyword.clone(), converted);
    }
    if schema["nullable"] == true {
        make_nullable(&mut out);
    }
    Value::Object(out)
}

fn each(schemas: &Value, bounded: bool) -> Value {
    let each = schemas.as_object().into_iter().flatten();
    Value::Object(each.map(|(name, schema)| (name.clone(), convert(schema, bounded))).collect())
}

fn reference(target: &Value) -> Value {
    let text = target.as_str().unwrap_or_default();
    text.replace("#/components/schemas/", "#/definitions/").into()
}

fn make_nullable(out: &mut Map<String, Value>) {
    if let Some(kind) = out.get("type").cloned() {
        out.insert("type".into(), json!([kind, "null"]));
    }
    if let Some(Value::Array(options)) = out.get_mut("enum") {
        options.push(Value::Null);
    }
}
