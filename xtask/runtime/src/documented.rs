//! Reads a bundled document for generated code: schemas for dropshot's own document, and the
//! parameters of an operation.

use schemars::schema::{Schema as EmittedSchema, SchemaObject};
use serde_json::{Map, Value, json};

use crate::{Parameters, Schema};

/// The document's own schema of a component, verbatim, as schemars carries it.
///
/// # Panics
/// When the document has no such component, which the generator rules out.
pub fn json_schema_of(document: &Value, name: &str) -> EmittedSchema {
    let schema = &document["components"]["schemas"][name];
    let object: SchemaObject = serde_json::from_value(schema.clone())
        .unwrap_or_else(|bad| panic!("schema {name} is not one that schemars can carry: {bad}"));
    EmittedSchema::Object(object)
}

/// The parameters of one part of an operation (`path`, `query` or `header`), ready to check.
///
/// Only a query refuses unknown members: proxies add headers, and a path has no others.
pub fn parameters(document: &Value, path: &str, method: &str, part: &str) -> Parameters {
    let mut object = parameters_object(document, path, method, part);
    let listed = object["properties"].as_object().into_iter().flatten();
    let members = listed.map(|(name, schema)| (name.clone(), kind_of(document, schema))).collect();
    if part == "query" {
        object["additionalProperties"] = false.into();
    }
    let optional = object["required"].as_array().is_none_or(Vec::is_empty);
    Parameters { schema: Schema::inline(document, &object), members, optional }
}

/// The same parameters as the object that dropshot documents them from.
///
/// # Panics
/// As [`json_schema_of`].
pub fn json_schema_of_parameters(
    document: &Value,
    path: &str,
    method: &str,
    part: &str,
) -> EmittedSchema {
    let object = parameters_object(document, path, method, part);
    let object = serde_json::from_value(object)
        .unwrap_or_else(|bad| panic!("a parameter of {path} has no schema for schemars: {bad}"));
    EmittedSchema::Object(object)
}

fn parameters_object(document: &Value, path: &str, method: &str, part: &str) -> Value {
    let listed = document["paths"][path][method]["parameters"].as_array();
    let mine = listed.into_iter().flatten().map(|one| resolve(document, one));
    let (mut properties, mut required) = (Map::new(), vec![]);
    for parameter in mine.filter(|parameter| parameter["in"] == part) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if parameter["required"] == true {
            required.push(name);
        }
        properties.insert(name.to_owned(), parameter["schema"].clone());
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

/// The JSON type of a parameter's schema.
fn kind_of(document: &Value, schema: &Value) -> String {
    resolve(document, schema)["type"].as_str().unwrap_or("string").to_owned()
}

/// What a node stands for, through one reference.
fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let pointer = node["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(node)
}
