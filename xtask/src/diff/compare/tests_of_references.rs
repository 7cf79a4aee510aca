//! What is found through references: shared, recursive, moved and renamed components, whole
//! documents, and documents that mean the same.

use super::tests::{COMMON, EMBED, POST, bodies, told, version};
use super::{Version, compare};
use crate::document::load_texts;

#[test]
fn a_whole_document_comes_and_goes() {
    let base = bodies("type: string", "type: string");
    let none = version(&[("common", COMMON)]);
    assert_eq!(told(&compare(&base, &none)), ["breaks callers: document-removed "]);
    assert_eq!(told(&compare(&none, &base)), ["additive: document-added "]);
}

#[test]
fn a_shared_schema_is_told_once_with_every_operation_it_reaches() {
    let given = "$ref: 'common.yaml#/components/schemas/Error'";
    let embed = EMBED.replace("ASKED", "type: string").replace("GIVEN", given);
    let chat = embed
        .replace("thing", "chat")
        .replace("others", "more")
        .replace("Other", "Another")
        .replace("Asked", "Said")
        .replace("Given", "Heard")
        .replace("Unused", "Idle");
    let common = COMMON.replace("error: {type: string}", "error: {type: boolean}");
    let both = |common| version(&[("common", common), ("embed", &embed), ("chat", &chat)]);
    let changes = compare(&both(COMMON), &both(&common));
    let line =
        "breaks callers: answer-type-changed /components/schemas/Error/properties/error/type";
    assert_eq!(told(&changes), [line]);
    assert_eq!(changes[0].document, "common");
    let operations: Vec<_> = changes[0].operations.iter().map(String::as_str).collect();
    assert_eq!(operations, ["chatCreate", "thingCreate"]);
}

#[test]
fn components_of_every_kind_are_compared_where_operations_use_them() {
    let parts = |length: u32| {
        let embed = EMBED
            .replace(
                "{name: q, in: query, schema: {type: string, maxLength: 9}}",
                "{$ref: '#/components/parameters/Q'}",
            )
            .replace("200: {description: d}", "200: {$ref: '#/components/responses/Fine'}")
            .replace("ASKED", "type: string")
            .replace("GIVEN", "type: string");
        let parts = format!(
            "  parameters:
    Q: {{name: q, in: query, schema: {{type: string, maxLength: {length}}}}}
  headers:
    H: {{schema: {{type: string, maxLength: {length}}}}}
  responses:
    Fine: {{description: d, headers: {{H: {{$ref: '#/components/headers/H'}}}}}}
"
        );
        version(&[("common", COMMON), ("embed", &format!("{embed}{parts}"))])
    };
    let changes = compare(&parts(9), &parts(8));
    let expected = [
        "breaks servers: answer-max-length-lowered /components/headers/H/schema/maxLength",
        "breaks callers: request-max-length-lowered /components/parameters/Q/schema/maxLength",
    ];
    assert_eq!(told(&changes), expected);
    let operations: Vec<_> = changes.iter().flat_map(|it| &it.operations).collect();
    assert_eq!(operations, ["thingShow", "thingCreate"]);
}

#[test]
fn another_reference_is_followed_into_what_it_leads_to_now() {
    let short = EMBED.replace("Other: {type: string}", "Other: {type: string, maxLength: 3}");
    let version_of = |reference: &str| {
        let embed = short.replace("ASKED", "type: string").replace("GIVEN", "type: string");
        let embed = embed.replace("schemas/Asked", &format!("schemas/{reference}"));
        version(&[("common", COMMON), ("embed", &embed)])
    };
    let changes = compare(&version_of("Asked"), &version_of("Other"));
    let expected = [
        "breaks callers: request-max-length-added /components/schemas/Other/maxLength".to_owned(),
        format!(
            "breaks callers: request-reference-changed {POST}/requestBody/content/application~1json/schema"
        ),
    ];
    assert_eq!(told(&changes), expected);
}

#[test]
fn a_schema_that_contains_itself_ends_under_its_name_and_renamed() {
    let tree = |name: &str, length: u32| {
        let reference = format!("$ref: '#/components/schemas/{name}'");
        let tree = format!(
            "{name}: {{type: object, properties: {{t: {{{reference}}}, \
             s: {{type: string, maxLength: {length}}}}}}}\n    Other: {{"
        );
        let embed = EMBED.replace("Other: {", &tree).replace("GIVEN", "type: string");
        let asked = format!("type: object, properties: {{t: {{{reference}}}}}");
        version(&[("common", COMMON), ("embed", &embed.replace("ASKED", &asked))])
    };
    let place = "properties/s/maxLength";
    let line = |name| {
        format!("breaks callers: request-max-length-lowered /components/schemas/{name}/{place}")
    };
    assert_eq!(told(&compare(&tree("Tree", 9), &tree("Tree", 8))), [line("Tree")]);
    let renamed = told(&compare(&tree("Tree", 9), &tree("Wood", 8)));
    assert!(renamed.contains(&line("Wood")), "{renamed:?}");
    assert_eq!(renamed.len(), 5, "two references, two components, one bound: {renamed:?}");
}

#[test]
fn what_is_moved_into_the_shared_document_is_no_break() {
    let base = bodies("$ref: '#/components/schemas/Other'", "type: string");
    let embed = EMBED
        .replace("    Other: {type: string}\n", "")
        .replace("ASKED", "$ref: 'common.yaml#/components/schemas/Other'")
        .replace("GIVEN", "type: string");
    let common = format!("{COMMON}    Other: {{type: string}}\n");
    let head = version(&[("common", &common), ("embed", &embed)]);
    assert_eq!(told(&compare(&base, &head)), ["additive: schema-added /components/schemas/Other"]);
}

#[test]
fn equal_documents_have_no_changes() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi");
    let texts = crate::document::read(&folder).expect("the folder is there");
    let version = || Version::new(load_texts(&texts).expect("the documents are clean"), &texts);
    assert_eq!(compare(&version(), &version()), []);
    // What means the same is not a change either: an order, a default written out.
    let reordered = "nullable: false, type: string, enum: [b, a]";
    let changes = compare(
        &bodies("enum: [a, b], type: string", "type: string"),
        &bodies(reordered, "type: string, x-sensitive: false"),
    );
    assert_eq!(changes, []);
}
