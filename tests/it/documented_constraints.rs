//! Every constraint that the documents put on requests, read from the documents themselves: on
//! bodies, and on path, query and header parameters.
//!
//! A walk of its own, apart from the strategies and the validator: a keyword that both of them
//! overlooked would stand here and be missed.

use std::collections::BTreeSet;

use serde_json::Value;
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::constraints::{document, resolved};

/// Keywords that describe and do not restrict.
const SILENT: &[&str] = &[
    "default",
    "deprecated",
    "description",
    "example",
    "nullable",
    "title",
    "x-sensitive",
    "x-verbatim",
];

/// A recursive component is entered this often on one way, then cut.
const TURNS: usize = 2;

/// Every constraint of every body as lines of the ledger.
pub fn of_bodies() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for operation in OPERATIONS {
        let Some(body) = &operation.body else { continue };
        let document = document(operation.document);
        let schema = serde_json::json!({ "$ref": format!("{COMPONENTS}{}", body.schema) });
        let mut walk = Walk::new(&document, false);
        walk.enter(&schema, body.schema, false);
        found.extend(walk.found.iter().map(|place| body_line(operation, place)));
    }
    found
}

/// Every constraint of every parameter as lines of the ledger.
pub fn of_parameters() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for operation in OPERATIONS {
        let document = document(operation.document);
        let method = operation.method.as_str().to_lowercase();
        let listed = &document["paths"][operation.path][method]["parameters"];
        for parameter in listed.as_array().into_iter().flatten() {
            let parameter = resolved(&document, parameter);
            let text = |name: &str| parameter[name].as_str().expect("a parameter has names");
            let mut walk = Walk::new(&document, true);
            walk.enter(&parameter["schema"], "", false);
            let mut keywords = walk.found;
            // Without its segment a path is another path.
            if parameter["required"] == true && text("in") != "path" {
                keywords.push("/required".to_owned());
            }
            let line = |place: &String| parameter_line(operation, text("in"), text("name"), place);
            found.extend(keywords.iter().map(line));
        }
    }
    found
}

/// A constraint of a body; its place begins with the schema's name.
pub fn body_line(operation: &OperationInfo, place: &str) -> String {
    format!("body {} {place}", operation.id)
}

/// A constraint of a parameter; its place begins with a slash.
pub fn parameter_line(operation: &OperationInfo, part: &str, name: &str, place: &str) -> String {
    format!("parameter {} {part} {name}{place}", operation.id)
}

const COMPONENTS: &str = "#/components/schemas/";

struct Walk<'a> {
    document: &'a Value,
    /// Whether values are sent as text, so that every one is a string.
    of_text: bool,
    /// The components on the way.
    turns: Vec<&'a str>,
    found: Vec<String>,
}

impl<'a> Walk<'a> {
    fn new(document: &'a Value, of_text: bool) -> Self {
        Self { document, of_text, turns: Vec::new(), found: Vec::new() }
    }

    fn enter(&mut self, schema: &'a Value, place: &str, is_branch: bool) {
        let Some(target) = schema["$ref"].as_str() else {
            return self.inside(schema, place, is_branch);
        };
        let name = target.strip_prefix(COMPONENTS).expect("a reference to a schema");
        if self.turns.iter().filter(|known| **known == name).count() >= TURNS {
            return;
        }
        self.turns.push(name);
        self.enter(&self.document["components"]["schemas"][name], place, is_branch);
        self.turns.pop();
    }

    fn inside(&mut self, schema: &'a Value, place: &str, is_branch: bool) {
        for (keyword, value) in schema.as_object().expect("a schema is an object") {
            match keyword.as_str() {
                silent if SILENT.contains(&silent) => {}
                // The branches decide about types together; which keyword says so is one.
                "type" if is_branch || self.of_text && *value == "string" => {}
                "anyOf" => {
                    self.add(place, "type");
                    for (i, branch) in value.as_array().into_iter().flatten().enumerate() {
                        self.enter(branch, &format!("{place}/anyOf/{i}"), true);
                    }
                }
                "items" => self.enter(value, &format!("{place}/items"), false),
                "properties" => {
                    for (name, member) in value.as_object().into_iter().flatten() {
                        self.enter(member, &format!("{place}/properties/{name}"), false);
                    }
                }
                "additionalProperties" if value.is_object() => {
                    self.enter(value, &format!("{place}/additionalProperties"), false);
                }
                "required" => {
                    for name in value.as_array().into_iter().flatten().filter_map(Value::as_str) {
                        self.add(place, &format!("required/{name}"));
                    }
                }
                // Told by its name in JSON Schema.
                "x-property-names" => self.add(place, "propertyNames"),
                "additionalProperties" if *value == true => {}
                restricting => self.add(place, restricting),
            }
        }
    }

    fn add(&mut self, place: &str, keyword: &str) {
        self.found.push(format!("{place}/{keyword}"));
    }
}
