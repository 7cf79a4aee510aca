//! What each keyword of the dialect finds, and how it is told.

use serde_json::{Value, json};

use super::{Schema, dialect};
use crate::Part;

/// Violations of `value` under the component `Thing`, as `pointer keyword limit actual`.
fn found(schema: Value, value: Value) -> Vec<String> {
    let document = json!({ "components": { "schemas": {
        "Thing": schema,
        "Nested": {
            "nullable": true,
            "anyOf": [
                { "type": "string", "maxLength": 3 },
                { "type": "number" },
                { "type": "array", "items": { "$ref": "#/components/schemas/Nested" } },
            ],
        },
    } } });
    let all = Schema::component(&document, "Thing").check(Part::Body, &value);
    let told = all.into_iter().map(|v| {
        let limit = v.limit.map_or("-".to_owned(), |limit| limit.to_string());
        format!("{} {} {limit} {}", v.pointer, v.keyword, v.actual.unwrap_or("-".into()))
    });
    told.collect()
}

fn object(properties: Value) -> Value {
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

#[test]
fn integers_are_whole_lexemes_in_their_bounds() {
    let schema = || object(json!({ "n": { "type": "integer", "minimum": 60, "maximum": 3600 } }));
    assert_eq!(found(schema(), json!({ "n": 60 })), [""; 0]);
    assert_eq!(found(schema(), json!({ "n": 900.0 })), [r#"/n type "integer" 900.0"#]);
    assert_eq!(found(schema(), json!({ "n": "900" })), [r#"/n type "integer" string of 3"#]);
    assert_eq!(found(schema(), json!({ "n": null })), [r#"/n type "integer" null"#]);
    assert_eq!(found(schema(), json!({ "n": 59 })), ["/n minimum 60 59"]);
    assert_eq!(found(schema(), json!({ "n": 3601 })), ["/n maximum 3600 3601"]);
}

#[test]
fn a_schema_is_compiled_with_what_it_reaches_and_nothing_else() {
    let reference = |to: &str| json!({ "$ref": format!("#/components/schemas/{to}") });
    let document = json!({ "components": { "schemas": {
        "Thing": object(json!({ "a": { "items": reference("Far~1ther") } })),
        "Far/ther": { "anyOf": [reference("Farthest/properties/n"), reference("Thing")] },
        "Farthest": object(json!({ "n": { "type": "number", "maximum": 1 } })),
        "Other": { "additionalProperties": reference("Thing") },
    } } });
    let reached = dialect::reached(&document["components"]["schemas"], &reference("Thing"));
    let names: Vec<_> = reached.as_object().expect("a map").keys().collect();
    assert_eq!(names, ["Far/ther", "Farthest", "Thing"]);
    let thing = Schema::try_inline(&document, &reference("Thing")).expect("it compiles");
    assert_eq!(thing.check(Part::Body, &json!({ "a": [1, 2] })).len(), 1);
    assert!(Schema::try_inline(&document, &reference("Nowhere")).is_err());
}

#[test]
fn exclusive_bounds_are_read_as_openapi_writes_them() {
    let schema = json!({ "type": "number", "minimum": 3, "exclusiveMinimum": true });
    assert_eq!(found(schema.clone(), json!(3)), [" exclusiveMinimum 3 3"]);
    assert_eq!(found(schema, json!(3.5)), [""; 0]);
}

#[test]
fn all_violations_come_at_once_and_name_the_member_itself() {
    let mut schema = object(json!({ "a/b": { "type": "string", "minLength": 2 } }));
    schema["required"] = json!(["a/b", "c"]);
    let told = found(schema, json!({ "a/b": "x", "d~": 1 }));
    let expected =
        ["/a~1b minLength 2 string of 1", "/c required - -", "/d~0 additionalProperties - -"];
    assert_eq!(told, expected);
}

#[test]
fn enumerations_refuse_what_they_do_not_list_and_only_that() {
    let schema = json!({ "type": "string", "enum": ["full", "basic"] });
    assert_eq!(found(schema.clone(), json!("Full")), [r#" enum ["full","basic"] string of 4"#]);
    assert_eq!(found(schema, json!(7)), [r#" type "string" 7"#]);
}

#[test]
fn null_is_taken_where_the_document_says_so() {
    let schema = json!({ "type": "string", "enum": ["full"], "nullable": true });
    assert_eq!(found(schema, Value::Null), [""; 0]);
    assert_eq!(found(json!({ "type": "integer", "nullable": true }), Value::Null), [""; 0]);
    assert_eq!(found(json!({ "type": "string" }), Value::Null), [r#" type "string" null"#]);
}

#[test]
fn a_value_of_several_types_is_judged_by_its_own() {
    let schema = || json!({ "$ref": "#/components/schemas/Nested" });
    assert_eq!(found(schema(), json!([1, ["abc", null]])), [""; 0]);
    assert_eq!(found(schema(), json!("abcd")), [" maxLength 3 string of 4"]);
    assert_eq!(found(schema(), json!([1, ["abcd"]])), ["/1/0 maxLength 3 string of 4"]);
    let told = found(schema(), json!([{ "x": 1 }]));
    assert_eq!(told, [r#"/0 type ["string","number","array","null"] object of 1"#]);
}

#[test]
fn member_names_size_and_depth_have_limits_of_their_own() {
    let schema = || {
        json!({
            "type": "object",
            "x-max-bytes": 20,
            "x-max-depth": 1,
            "x-property-names": { "pattern": "^[a-z]+$" },
            "additionalProperties": true,
        })
    };
    assert_eq!(found(schema(), json!({ "a": [1, 2] })), [""; 0]);
    assert_eq!(found(schema(), json!({ "A": 1 })), [r#"/A propertyNames "^[a-z]+$" -"#]);
    assert_eq!(found(schema(), json!({ "a": [[1]] })), ["/a x-max-depth 1 depth 2"]);
    let told = found(schema(), json!({ "a": "0123456789abcdef" }));
    assert_eq!(told, [" x-max-bytes 20 24 bytes"]);
}

#[test]
fn sensitive_values_are_not_described() {
    let schema =
        object(json!({ "secret": { "type": "string", "maxLength": 2, "x-sensitive": true } }));
    assert_eq!(found(schema, json!({ "secret": "abc" })), ["/secret maxLength 2 -"]);
}

#[test]
fn formats_are_enforced() {
    for (format, good, bad) in [
        ("uuid", "3c90c3cc-0d44-4b50-8888-8dd25736052a", "3c90c3cc"),
        ("date-time", "2026-05-08T12:15:00.000Z", "2026-05-08T12:15:00"),
    ] {
        let schema = json!({ "type": "string", "format": format });
        assert_eq!(found(schema.clone(), json!(good)), [""; 0]);
        assert_eq!(found(schema, json!(bad)).len(), 1, "{format}");
    }
}
