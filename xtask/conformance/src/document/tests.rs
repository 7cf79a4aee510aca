//! What of a document an operation is made from.

use serde_json::json;

use super::*;

#[test]
fn parameter_of_the_operation_stands_before_that_of_its_path() {
    let said = |place: &str, name: &str, kind: &str| json!({ "name": name, "in": place, "schema": { "type": kind } });
    let document = json!({ "openapi": "3.0.3", "paths": { "/things": {
        "parameters": [said("query", "page", "string"), said("query", "all", "boolean")],
        "get": {
            "operationId": "thingList",
            "parameters": [said("query", "page", "integer"), said("header", "all", "string")],
            "responses": {},
        },
    } } });
    let document = Document::read("things", &document.to_string()).unwrap();
    let operation = operations(&[document]).unwrap().remove(0);
    let found =
        operation.parameters.iter().map(|it| (it.name.as_str(), it.schema["type"].as_str()));
    let expected = [("all", Some("boolean")), ("page", Some("integer")), ("all", Some("string"))];
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
