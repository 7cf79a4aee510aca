//! What the fixture's operations become as pages, and that text of a document stays text.

use serde_json::json;

use super::example;
use super::schema::{constraints, kind, members_table};
use super::table::table;
use super::{prose, sentence};
use crate::generate::tests::fixture;

/// Panics unless the text has each part.
fn shows(path: &str, parts: &[&str]) {
    let files = fixture();
    let text = files.get(path).unwrap_or_else(|| panic!("{path} is not generated"));
    for part in parts {
        assert!(text.contains(part), "{path} lacks {part}\n{text}");
    }
}

#[test]
fn a_page_tells_all_of_its_operation() {
    shows(
        "generated/docs/bigThingPut.md",
        &[
            "# Put a thing\n\n`PUT /v1/things/{thingId}`\n\nPuts a thing.\n",
            "One header:\n\n- `X-Thing-Key: …`: A key.\n",
            "a request with an `Origin` header, as browsers send it, is refused",
            "| Name      | In    | Type    | Required | Constraints                                | Description |",
            "| `thingId` | path  | string  | yes      | at most 3 characters; matches `^[a-z]{3}$` | Which one. |",
            "| `dry`     | query | boolean | no       |",
            "`application/json`, required, at most 1024 bytes; no other members.",
            "| `size`  | integer | yes      | 1 to 9                    | How big. |",
            "| `color` | string  | no       | one of `red`, `dark-blue` | Its colour. |",
            "### 201 Created\n\nIt is put.\n",
            "| `Cache-Control` | string | yes         | always `no-store`",
            "### 422 Unprocessable Content\n\nBroken.\n",
            "| `invalid_input` | ",
            "\"pointer\": \"/size\"",
        ],
    );
    shows(
        "generated/docs/bigThingCount.md",
        &["None: no header carries a credential.", "### 204 No Content", "There is no body."],
    );
}

#[test]
fn the_example_request_is_a_command() {
    shows(
        "generated/docs/bigThingPut.md",
        &["```sh\ncurl -X PUT '/v1/things/string' \\\n  -H \"X-Thing-Key: $THING_KEY\" \\\n  \
           -H 'Content-Type: application/json' \\\n  -d '{\n  \"color\": \"red\",\n  \"size\": 1\n}'\n```"],
    );
}

#[test]
fn llms_txt_has_a_title_a_summary_and_lists_of_links() {
    shows(
        "generated/docs/llms.txt",
        &[
            "# Vestibule\n\n> ",
            "\n## Things\n\n- [Count things](/docs/api/bigThingCount.md): `GET /v1/things`. Counts things.\n- [Put a thing](/docs/api/bigThingPut.md): `PUT /v1/things/{thingId}`. Puts a thing.\n",
            "- [things.json](/openapi/things.json): ",
            "\n## Optional\n\n- [Errors](/docs/api/errors.md): ",
        ],
    );
}

#[test]
fn a_keyword_that_has_no_words_is_shown_as_it_stands() {
    let schema = json!({ "type": "string", "x-novel": 7, "maxLength": 3, "nullable": false });
    assert_eq!(constraints(&json!({}), &schema), "at most 3 characters; x-novel: `7`");
}

#[test]
fn bounds_are_said_with_their_direction() {
    let said = |schema| constraints(&json!({}), &schema);
    assert_eq!(said(json!({ "minimum": 1, "maximum": 9 })), "1 to 9");
    assert_eq!(
        said(json!({ "minimum": 1, "maximum": 9, "exclusiveMinimum": true })),
        "above 1, at most 9"
    );
    assert_eq!(said(json!({ "maximum": 9, "exclusiveMaximum": true })), "below 9");
    assert_eq!(said(json!({ "minItems": 2, "maxItems": 2 })), "exactly 2 items");
    assert_eq!(
        said(json!({ "anyOf": [{ "type": "string", "maxLength": 4 }, { "type": "boolean" }] })),
        "string: at most 4 characters"
    );
}

#[test]
fn columns_are_aligned_and_bars_are_no_borders() {
    let rows = [["a".to_owned(), "x|y".to_owned()], ["long".to_owned(), "two\nlines".to_owned()]];
    let expected = "| A    | B |\n| ---- | - |\n| a    | x\\|y |\n| long | two lines |\n";
    assert_eq!(table(["A", "B"], rows), expected);
}

#[test]
fn text_of_a_document_is_never_markup() {
    assert_eq!(prose("over <t>.<b> and `Bearer <token>`"), "over \\<t>.\\<b> and `Bearer <token>`");
    assert_eq!(sentence("One of\nthree. The rest:"), "One of three.");
}

/// Components that contain themselves or one another many times over end in a table all the same.
#[test]
fn tangled_components_end_in_a_table() {
    let members: serde_json::Map<_, _> = (0..12)
        .map(|n| (format!("m{n}"), json!({ "$ref": format!("#/components/schemas/S{n}") })))
        .collect();
    let each = |_| json!({ "type": "object", "properties": members });
    let mut schemas: serde_json::Map<_, _> = (0..12).map(|n| (format!("S{n}"), each(n))).collect();
    let own = json!({ "$ref": "#/components/schemas/Own" });
    schemas.insert("Own".to_owned(), json!({ "type": "array", "items": own }));
    schemas.insert(
        "Either".to_owned(),
        json!({ "anyOf": [own, { "$ref": "#/components/schemas/Either" }] }),
    );
    let root = json!({ "components": { "schemas": schemas } });
    let whole = json!({ "$ref": "#/components/schemas/S0" });
    let rows = members_table(&root, &whole).lines().count();
    assert!((200..500).contains(&rows), "{rows}");
    assert!(members_table(&root, &whole).contains("(Members as above.)"));
    let either = json!({ "$ref": "#/components/schemas/Either" });
    for schema in [&own, &either] {
        assert!(kind(&root, schema).contains("array of"), "{}", kind(&root, schema));
        assert_eq!(constraints(&root, schema), "");
        assert!(!example::of(&root, &json!({ "schema": schema })).is_null());
    }
    assert!(example::of(&root, &json!({ "schema": whole })).to_string().len() < 20_000);
}
