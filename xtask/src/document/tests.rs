//! Every kind of finding with its place, and what bundling makes of references.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use super::{Documents, Finding, load, load_texts};

const COMMON: &str = "\
x-error-codes:
  invalid_input:
    message: Mend it.
components:
  schemas:
    Error:
      type: object
      properties:
        details:
          $ref: '#/components/schemas/Violation'
    Violation:
      type: string
      example: {$ref: not a reference}
    ErrorList:
      type: string
  headers:
    RetryAfter:
      schema:
        type: string
";

/// Twelve lines, so that `components` of a test's document begin in line 13.
const HEAD: &str = "\
openapi: 3.0.3
info:
  title: Embed
  version: '1'
tags:
  - name: things
x-validation:
  body: {status: 400, code: invalid_input}
  parameters: {status: 400, code: invalid_input}
paths: {}
# Here the test's own lines begin:

";

fn load_with(common: &str, documents: &[(&str, &str)]) -> Result<Documents, Vec<Finding>> {
    let text = |(name, text): &(&str, &str)| (format!("openapi/{name}.yaml"), text.to_string());
    let mut texts: BTreeMap<String, String> = documents.iter().map(text).collect();
    texts.insert("openapi/common.yaml".to_owned(), common.to_owned());
    load_texts(&texts)
}

fn embed(body: &str) -> Result<Documents, Vec<Finding>> {
    load_with(COMMON, &[("embed", &format!("{HEAD}{body}"))])
}

/// `rule line:column message` of every finding in a document of these lines.
fn found(body: &str) -> Vec<String> {
    shown(embed(body))
}

fn shown(result: Result<Documents, Vec<Finding>>) -> Vec<String> {
    let show = |f: &Finding| format!("{} {}:{} {}", f.rule, f.line, f.column, f.message);
    result.map_or_else(|findings| findings.iter().map(show).collect(), |_| Vec::new())
}

fn operation(id: &str, tag: &str) -> String {
    let paths = format!(
        "\
paths:
  /{id}:
    get:
      operationId: {id}
      tags: [{tag}]
      summary: s
      description: d
      security: []
      responses:
        200: {{description: d}}
"
    );
    HEAD.replace("paths: {}\n", &paths).replace("things", tag)
}

#[test]
fn a_clean_document_has_no_findings() {
    assert_eq!(found(""), Vec::<String>::new());
}

#[test]
fn an_unknown_keyword_is_found_with_a_suggestion_and_shown_underlined() {
    let findings =
        embed("components:\n  schemas:\n    A:\n      type: string\n      maxLenght: 5\n")
            .expect_err("maxLenght is misspelt");
    let expected = "\
error[unknown-keyword]: `maxLenght` is not a keyword of a schema
  --> openapi/embed.yaml:17:7
   |
17 |       maxLenght: 5
   |       ^^^^^^^^^
   = help: did you mean `maxLength`?";
    assert_eq!(findings[0].to_string(), expected);
    assert!(format!("{:#}", findings[0]).contains("\u{1b}["), "colours on request");
}

#[test]
fn all_findings_of_all_files_are_collected() {
    let bad = format!("{HEAD}components:\n  schemas:\n    A: {{const: 1, oneOf: []}}\n");
    let chat = bad.replace("things", "chats");
    let result = load_with(COMMON, &[("chat", &chat), ("embed", &bad)]);
    let expected = [
        "refused-keyword 15:9 `const` is no part of the dialect of these documents",
        "untagged-union 15:19 `oneOf` is no part of the dialect of these documents",
        "name-collision 15:5 the schema `A` is taken by `A` at openapi/chat.yaml:15:5",
        "refused-keyword 15:9 `const` is no part of the dialect of these documents",
        "untagged-union 15:19 `oneOf` is no part of the dialect of these documents",
    ];
    assert_eq!(shown(result), expected);
}

#[test]
fn a_sibling_of_a_reference_is_found() {
    let body = "\
components:
  schemas:
    A:
      $ref: 'common.yaml#/components/schemas/Error'
      description: never shown
";
    assert_eq!(
        found(body),
        ["ref-sibling 17:7 `description` beside `$ref` is ignored by every reader"]
    );
}

#[test]
fn a_property_or_an_example_named_ref_is_no_reference() {
    let body = "\
components:
  schemas:
    A:
      type: object
      properties:
        $ref: {type: string}
      example: {$ref: text, anything: goes}
";
    assert_eq!(found(body), Vec::<String>::new());
}

#[test]
fn a_duplicate_key_is_found_with_both_places() {
    let body = "components:\n  schemas:\n    A: {type: string}\n    'A': {type: object}\n";
    assert_eq!(found(body), ["duplicate-key 16:5 the key `A` is given twice, first at 15:5"]);
}

#[test]
fn an_unresolved_reference_is_found() {
    let body = "\
components:
  schemas:
    A: {$ref: '#/components/schemas/B'}
    C: {$ref: 'common.yaml#/components/schemas/Errors'}
    D: {$ref: 'chat.yaml#/components/schemas/X'}
    E: {$ref: 'common.yaml#/components/headers/RetryAfter'}
    F: {$ref: Error}
    G: {$ref: '#/components/schemas/H'}
    H: {$ref: '#/components/schemas/G'}
";
    let expected = [
        "unresolved-ref 15:15 there is no `B` in schemas",
        "unresolved-ref 16:15 there is no `Errors` in schemas",
        "unresolved-ref 17:15 `chat.yaml` cannot be referred to, only common.yaml can",
        "unresolved-ref 18:15 a schema is needed here, this leads to `headers`",
        "unresolved-ref 19:15 `Error` does not name a component",
        "circular-ref 20:15 this component leads back to itself and is never defined",
        "circular-ref 21:15 this component leads back to itself and is never defined",
    ];
    assert_eq!(found(body), expected);
}

#[test]
fn a_value_of_the_wrong_type_is_found() {
    let body = "\
components:
  schemas:
    A:
      type: string
      maxLength: \"64\"
      minLength: -1
      nullable: 'true'
      description: 5
      title:
    B:
      type: number
      exclusiveMinimum: 1
      multipleOf: 0
      maxLength: 3
    C:
      type: object
      required: true
      properties: [a]
    D:
      type: object
      required: []
      additionalProperties: yes
";
    let expected = [
        "wrong-type 17:18 `maxLength` must be an integer that is not negative, here it is the text \"64\"",
        "wrong-type 18:18 `minLength` must be an integer that is not negative, here it is the integer -1",
        "wrong-type 19:17 `nullable` must be `true` or `false`, here it is the text \"true\"",
        "wrong-type 20:20 `description` must be a text, here it is the integer 5",
        "wrong-type 21:7 `title` must be a text, here it is empty",
        "wrong-type 24:25 `exclusiveMinimum` must be `true` or `false`, here it is the integer 1",
        "wrong-type 25:19 `multipleOf` must be a number greater than 0, here it is the integer 0",
        "misplaced-keyword 26:7 `maxLength` means nothing for type `number`, only for `string`",
        "wrong-type 29:17 `required` must be a list, here it is `true`",
        "wrong-type 30:7 `properties` must be an object, here it is a list",
        "wrong-count 33:7 `required` needs at least one entry, has 0",
        "wrong-type 34:29 `additionalProperties` must be `true`, `false` or a schema, here it is the text \"yes\"",
    ];
    assert_eq!(found(body), expected);
}

#[test]
fn a_schema_name_belongs_to_one_document() {
    let chat = format!("{HEAD}components:\n  schemas:\n    Thing: {{type: string}}\n")
        .replace("things", "chats");
    let embed =
        format!("{HEAD}components:\n  schemas:\n    A: {{type: string}}\n    thinG: {{}}\n");
    let embed = embed.replace("thinG", "THING");
    assert_eq!(
        shown(load_with(COMMON, &[("chat", &chat), ("embed", &embed)])),
        ["name-collision 16:5 the schema `THING` is taken by `Thing` at openapi/chat.yaml:15:5"]
    );
    assert_eq!(
        found("components:\n  headers:\n    RetryAfter: {schema: {type: string}}\n"),
        [
            "name-collision 15:5 `RetryAfter` collides with common.yaml#/components/headers/RetryAfter"
        ]
    );
}

#[test]
fn an_operation_id_and_a_tag_belong_to_one_document() {
    let chat = operation("thingRead", "things");
    let embed = operation("thingread", "Things");
    assert_eq!(
        shown(load_with(COMMON, &[("chat", &chat), ("embed", &embed)])),
        [
            "name-collision 6:11 the tag `Things` is taken by `things` at openapi/chat.yaml:6:11",
            "wrong-type 6:11 `name` must be a camelCase text, here it is the text \"Things\"",
            "name-collision 13:20 the operationId `thingread` is taken by `thingRead` at openapi/chat.yaml:13:20",
        ]
    );
}

#[test]
fn an_operation_needs_an_id_one_tag_and_names_that_exist() {
    let embed = operation("thingRead", "things")
        .replace("      operationId: thingRead\n", "")
        .replace("tags: [things]", "tags: [things, others]")
        .replace("security: []", "security: [{nobody: []}]")
        .replace("200: {description: d}", "2XX: {description: d, x-codes: [invalid_inputs]}");
    assert_eq!(
        shown(load_with(COMMON, &[("embed", &embed)])),
        [
            "operation-id 12:5 an operation needs `operationId`",
            "operation-tag 13:7 `tags` needs exactly one entry, has 2",
            "unknown-tag 13:22 `others` is not in the document's `tags`",
            "unknown-scheme 16:19 `nobody` is not in `components.securitySchemes`",
            "wrong-name 18:9 `2XX` cannot stand here: expected one registered status such as `404`: ranges and `default` would let undocumented answers in",
            "unknown-code 18:41 `invalid_inputs` is not in the catalogue `x-error-codes` of common.yaml",
        ]
    );
}

#[test]
fn yaml_that_reads_differently_than_it_looks_is_refused() {
    let body = "\
components:
  schemas:
    A: &anchor {type: string}
    B: *anchor
    C: !!str {type: string}
    D: {type: string, maxLength: 99999999999999999999}
";
    let expected = [
        "yaml-anchor 15:8 anchors are not part of the dialect",
        "wrong-type 16:5 `B` must be a schema, here it is empty",
        "yaml-anchor 16:8 aliases are not part of the dialect",
        "yaml-tag 17:8 tags are not part of the dialect",
        "wrong-type 18:23 `maxLength` must be an integer that is not negative, here it is empty",
        "yaml-number 18:34 the number `99999999999999999999` does not fit into a JSON number",
    ];
    assert_eq!(found(body), expected);
    assert!(found("a: [1\nb: 2\n")[0].starts_with("yaml-syntax 14:"));
    assert_eq!(found("---\na: 1\n"), ["yaml-syntax 13:1 the file holds a second document"]);
}

#[test]
fn scalars_follow_the_core_schema() {
    let body = "\
components:
  schemas:
    A:
      example: [1, -2, 0x1F, 0o17, 1.5, 1e3, .5, true, yes, on, null, ~, '1', \"true\", 3.0.3, 1_0, 12:30, -]
";
    let documents = embed(&body.replace(", -]", "]")).expect("examples may be anything");
    let example = &documents.documents[0].value["components"]["schemas"]["A"]["example"];
    let expected = json!([
        1, -2, 31, 15, 1.5, 1000.0, 0.5, true, "yes", "on", null, null, "1", "true", "3.0.3",
        "1_0", "12:30"
    ]);
    assert_eq!(*example, expected);
}

#[test]
fn shared_components_are_copied_with_what_they_need() {
    let body = "\
components:
  schemas:
    Thing:
      type: array
      items:
        $ref: 'common.yaml#/components/schemas/Error'
    Violation: {$ref: 'common.yaml#/components/schemas/Violation'}
";
    let documents = embed(body).expect("all references lead somewhere");
    assert_eq!(documents.error_codes["invalid_input"], "Mend it.");
    let document = &documents.documents[0];
    assert_eq!(document.name, "embed");
    let expected: Value = json!({"schemas": {
        "Error": {
            "type": "object",
            "properties": {"details": {"$ref": "#/components/schemas/Violation"}},
        },
        "Thing": {"type": "array", "items": {"$ref": "#/components/schemas/Error"}},
        "Violation": {"type": "string", "example": {"$ref": "not a reference"}},
    }});
    assert_eq!(document.value["components"], expected);
}

#[test]
fn a_file_without_a_document_or_without_common_is_found() {
    let shown = |result: Result<Documents, Vec<Finding>>| {
        result.expect_err("something is missing")[0].to_string()
    };
    assert_eq!(
        shown(load_with(COMMON, &[("embed", "# nothing\n")])),
        "error[yaml-syntax]: the file holds no document\n --> openapi/embed.yaml\n = help: Mend the place shown; nothing of the file was checked."
    );
    assert_eq!(
        shown(load_texts(&BTreeMap::from([("openapi/embed.yaml".to_owned(), HEAD.to_owned())]))),
        "error[missing-file]: there is no common.yaml\n --> common.yaml\n = help: write `x-error-codes` and the schema `Error` into it"
    );
}

#[test]
fn the_documents_of_this_repository_are_clean() {
    let openapi = Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi");
    if let Err(findings) = load(&openapi) {
        let shown: Vec<String> = findings.iter().map(|finding| format!("{finding}\n")).collect();
        panic!("\n{}", shown.join("\n"));
    }
}
