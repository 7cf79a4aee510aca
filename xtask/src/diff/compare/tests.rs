//! One small change a row, and what it is called, for whom it is a break, and where it is shown.

use std::collections::BTreeMap;

use super::{Change, Version, compare};
use crate::document::load_texts;

pub const COMMON: &str = "\
x-error-codes:
  invalid_input: {message: Mend it.}
  gone: {message: It is gone.}
components:
  headers:
    Vary: {required: true, schema: {type: string}}
  schemas:
    Error: {type: object, properties: {error: {type: string}}}
    Nobody: {type: string}
";

/// `ASKED` and `GIVEN` are the schemas of the request's and of the answer's body.
pub const EMBED: &str = "\
openapi: 3.0.3
info: {title: Embed, version: '1'}
servers: [{url: 'http://a', description: A}]
tags: [{name: things}, {name: others}]
x-validation:
  body: {status: 400, code: invalid_input}
  parameters: {status: 400, code: invalid_input}
paths:
  /things/{id}:
    parameters:
    - {name: id, in: path, required: true, schema: {type: string}}
    post:
      operationId: thingCreate
      tags: [things]
      summary: s
      description: d
      x-max-bytes: 100
      security: [{key: []}]
      parameters:
      - {name: q, in: query, schema: {type: string, maxLength: 9}}
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: '#/components/schemas/Asked'}}}
      responses:
        200:
          description: d
          headers:
            X-A: {required: true, schema: {type: string}}
            X-B: {schema: {type: string}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Given'}}}
        404:
          description: d
          x-codes: [gone]
          content: {application/json: {schema: {$ref: 'common.yaml#/components/schemas/Error'}}}
    get:
      operationId: thingShow
      tags: [things]
      summary: s
      description: d
      security: []
      responses:
        200: {description: d}
components:
  securitySchemes:
    key: {type: apiKey, in: header, name: X-Key, x-caller: key}
    other: {type: http, scheme: bearer, x-caller: other, x-browser: refused}
  schemas:
    Asked: {ASKED}
    Given: {GIVEN}
    Other: {type: string}
    Unused: {type: string, maxLength: 5}
";

pub fn version(texts: &[(&str, &str)]) -> Version {
    let text = |(name, text): &(&str, &str)| (format!("openapi/{name}.yaml"), text.to_string());
    let texts: BTreeMap<String, String> = texts.iter().map(text).collect();
    let documents = load_texts(&texts).unwrap_or_else(|findings| panic!("{findings:#?}"));
    Version::new(documents, &texts)
}

pub fn bodies(asked: &str, given: &str) -> Version {
    let embed = EMBED.replace("ASKED", asked).replace("GIVEN", given);
    version(&[("common", COMMON), ("embed", &embed)])
}

/// `class: name pointer` of every change.
pub fn told(changes: &[Change]) -> Vec<String> {
    let line = |it: &Change| format!("{}: {} {}", it.class, it.name, it.pointer);
    changes.iter().map(line).collect()
}

/// Base, head, the name and the pointer below the schema, the class in a request, in an answer.
type SchemaRow = (&'static str, &'static str, &'static str, &'static str, &'static str);

const CALLER: &str = "breaks callers";
const SERVER: &str = "breaks servers";

#[rustfmt::skip]
const NARROWER_OR_WIDER: &[(&str, &str, &str)] = &[
    // The first is narrower than the second; narrowed, widened: name and pointer.
    ("type: string, maxLength: 4", "type: string, maxLength: 8", "max-length-lowered /maxLength|max-length-raised /maxLength"),
    ("type: string, maxLength: 4", "type: string", "max-length-added /maxLength|max-length-removed /maxLength"),
    ("type: string, minLength: 8", "type: string, minLength: 4", "min-length-raised /minLength|min-length-lowered /minLength"),
    ("type: integer, minimum: 1", "type: integer, minimum: 0", "minimum-raised /minimum|minimum-lowered /minimum"),
    ("type: integer, maximum: 1", "type: integer, maximum: 2", "maximum-lowered /maximum|maximum-raised /maximum"),
    ("type: number, minimum: 1, exclusiveMinimum: true", "type: number, minimum: 1", "exclusive-minimum-set /exclusiveMinimum|exclusive-minimum-dropped /exclusiveMinimum"),
    ("type: number, maximum: 1, exclusiveMaximum: true", "type: number, maximum: 1", "exclusive-maximum-set /exclusiveMaximum|exclusive-maximum-dropped /exclusiveMaximum"),
    ("type: integer, multipleOf: 10", "type: integer, multipleOf: 5", "multiple-of-raised /multipleOf|multiple-of-lowered /multipleOf"),
    ("type: array, items: {type: string}, minItems: 2", "type: array, items: {type: string}", "min-items-added /minItems|min-items-removed /minItems"),
    ("type: array, items: {type: string}, maxItems: 2", "type: array, items: {type: string}, maxItems: 3", "max-items-lowered /maxItems|max-items-raised /maxItems"),
    ("type: array, items: {type: string}, uniqueItems: true", "type: array, items: {type: string}, uniqueItems: false", "unique-items-set /uniqueItems|unique-items-dropped /uniqueItems"),
    ("type: array, items: {type: integer}", "type: array, items: {type: number}", "type-narrowed /items/type|type-widened /items/type"),
    ("type: object, minProperties: 2", "type: object, minProperties: 1", "min-properties-raised /minProperties|min-properties-lowered /minProperties"),
    ("type: object, maxProperties: 1", "type: object, maxProperties: 2", "max-properties-lowered /maxProperties|max-properties-raised /maxProperties"),
    ("type: object, x-max-depth: 1", "type: object, x-max-depth: 2", "x-max-depth-lowered /x-max-depth|x-max-depth-raised /x-max-depth"),
    ("type: object, x-max-bytes: 1", "type: object, x-max-bytes: 2", "x-max-bytes-lowered /x-max-bytes|x-max-bytes-raised /x-max-bytes"),
    ("type: object, x-property-names: {maxLength: 1}", "type: object, x-property-names: {maxLength: 2}", "max-length-lowered /x-property-names/maxLength|max-length-raised /x-property-names/maxLength"),
    ("type: object, x-property-names: {pattern: a}", "type: object", "x-property-names-added /x-property-names|x-property-names-removed /x-property-names"),
    ("type: string, pattern: a", "type: string", "pattern-added /pattern|pattern-removed /pattern"),
    ("type: string, format: uuid", "type: string", "format-added /format|format-removed /format"),
    ("type: string, enum: [a]", "type: string", "enum-added /enum|enum-removed /enum"),
    ("type: string, enum: [a]", "type: string, enum: [b, a]", "enum-value-removed /enum/0|enum-value-added /enum/0"),
    ("type: string", "type: string, nullable: true", "nullable-dropped /nullable|nullable-set /nullable"),
    ("description: d, type: string", "description: d", "type-added /type|type-removed /type"),
    ("type: object, required: [a], properties: {a: {type: string}}", "type: object, properties: {a: {type: string}}", "member-required /required/0|member-optional /required/0"),
    ("type: object, additionalProperties: {type: string}", "type: object", "additional-properties-narrowed /additionalProperties|additional-properties-widened /additionalProperties"),
    ("anyOf: [{type: string}]", "anyOf: [{type: string}, {type: boolean}]", "alternative-removed /anyOf/1|alternative-added /anyOf/1"),
];

#[test]
fn a_narrower_request_breaks_callers_and_a_narrower_answer_breaks_servers() {
    for (narrow, wide, expected) in NARROWER_OR_WIDER {
        let (narrowed, _) = expected.split_once('|').expect("two names");
        row((wide, narrow, narrowed, CALLER, SERVER));
    }
}

#[test]
fn a_wider_request_is_additive_and_a_wider_answer_breaks_callers() {
    for (narrow, wide, expected) in NARROWER_OR_WIDER {
        let (_, widened) = expected.split_once('|').expect("two names");
        row((narrow, wide, widened, "additive", CALLER));
    }
}

#[rustfmt::skip]
const OTHERS: &[SchemaRow] = &[
    ("type: string", "type: boolean", "type-changed /type", CALLER, CALLER),
    ("type: string, pattern: a", "type: string, pattern: b", "pattern-changed /pattern", CALLER, CALLER),
    ("type: string, format: uuid", "type: string, format: uri", "format-changed /format", CALLER, CALLER),
    ("type: integer, multipleOf: 4", "type: integer, multipleOf: 6", "multiple-of-changed /multipleOf", CALLER, CALLER),
    ("type: string", "type: string, default: a", "default-added /default", "additive", "additive"),
    ("type: string, default: a", "type: string", "default-removed /default", CALLER, CALLER),
    ("type: string, default: a", "type: string, default: b", "default-changed /default", CALLER, CALLER),
    ("type: string", "type: string, x-sensitive: true", "x-sensitive-set /x-sensitive", SERVER, SERVER),
    ("type: string, x-sensitive: true", "type: string", "x-sensitive-dropped /x-sensitive", CALLER, CALLER),
    ("description: d", "description: d, x-verbatim: true", "x-verbatim-added /x-verbatim", CALLER, CALLER),
    ("type: string", "type: string, deprecated: true", "deprecated-added /deprecated", "additive", "additive"),
    ("type: object, additionalProperties: false", "type: object, additionalProperties: false, properties: {a: {type: string}}", "member-added /properties/a", "additive", "additive"),
    // An open object let the member in before, with any value, or with those of its schema.
    ("type: object", "type: object, properties: {a: {type: string}}", "member-added /properties/a", CALLER, "additive"),
    ("type: object, additionalProperties: true", "type: object, additionalProperties: true, properties: {a: {type: string}}", "member-added /properties/a", CALLER, "additive"),
    ("type: object", "type: object, properties: {a: {}}", "member-added /properties/a", "additive", "additive"),
    ("type: object, additionalProperties: {type: string}", "type: object, additionalProperties: {type: string}, properties: {a: {type: string}}", "member-added /properties/a", "additive", "additive"),
    ("type: object, additionalProperties: {type: string}", "type: object, additionalProperties: {type: string}, properties: {a: {type: boolean}}", "member-added /properties/a", CALLER, CALLER),
    ("type: object, required: [a]", "type: object, required: [a], properties: {a: {type: string}}", "member-added /properties/a", CALLER, "additive"),
    ("anyOf: [{type: string, maxLength: 10}, {type: string, maxLength: 20}]", "anyOf: [{type: string, maxLength: 20}]", "alternative-removed /anyOf/0", CALLER, SERVER),
    ("type: object", "type: object, required: [a], properties: {a: {type: string}}", "required-member-added /properties/a", CALLER, SERVER),
    ("type: object, properties: {a: {type: string}}", "type: object", "member-removed /properties/a", CALLER, CALLER),
    ("type: object, required: [a], properties: {a: {type: string}}", "type: object", "member-removed /properties/a", CALLER, CALLER),
    ("type: object, additionalProperties: false", "type: object", "additional-properties-opened /additionalProperties", "additive", "additive"),
    ("type: object", "type: object, additionalProperties: false", "additional-properties-closed /additionalProperties", CALLER, SERVER),
    ("type: object, additionalProperties: {type: string}", "type: object, additionalProperties: false", "additional-properties-closed /additionalProperties", CALLER, CALLER),
    ("type: object, additionalProperties: {type: string}", "type: object, additionalProperties: {type: boolean}", "type-changed /additionalProperties/type", CALLER, CALLER),
    ("anyOf: [{type: string, maxLength: 3}, {type: boolean}]", "anyOf: [{type: boolean}, {type: string, maxLength: 2}]", "max-length-lowered /anyOf/1/maxLength", CALLER, SERVER),
    ("type: object, properties: {a: {type: string}}", "type: object, properties: {a: {$ref: '#/components/schemas/Other'}}", "reference-changed /properties/a", CALLER, CALLER),
    ("type: array, items: {type: array, items: {type: string, maxLength: 3}}", "type: array, items: {type: array, items: {type: string, maxLength: 2}}", "max-length-lowered /items/items/maxLength", CALLER, SERVER),
];

#[test]
fn other_changes_of_a_schema_are_judged_by_their_own_rules() {
    OTHERS.iter().for_each(|it| row(*it));
}

/// The member is told as new, and that it need not be there any more is told as well.
#[test]
fn a_member_that_was_required_without_being_described_is_told_as_optional() {
    let (base, head) = ("type: object, required: [a]", "type: object, properties: {a: {}}");
    let given = compare(&bodies("type: boolean", base), &bodies("type: boolean", head));
    let expected = [
        "additive: answer-member-added /components/schemas/Given/properties/a",
        "breaks callers: answer-member-optional /components/schemas/Given/required/0",
    ];
    assert_eq!(told(&given), expected);
}

/// The same change in the request's schema, in the answer's, and in one that both use.
fn row((base, head, change, in_request, in_answer): SchemaRow) {
    const BOTH: &str = "$ref: '#/components/schemas/Other'";
    let (name, below) = change.split_once(' ').expect("a name and a pointer");
    let line = |class: &str, side: &str, schema: &str| {
        format!("{class}: {side}-{name} /components/schemas/{schema}{below}")
    };
    let asked = compare(&bodies(base, "type: boolean"), &bodies(head, "type: boolean"));
    assert_eq!(told(&asked), [line(in_request, "request", "Asked")], "{base} → {head}");
    let given = compare(&bodies("type: boolean", base), &bodies("type: boolean", head));
    assert_eq!(told(&given), [line(in_answer, "answer", "Given")], "{base} → {head}");

    if name == "reference-changed" {
        return;
    }
    let shared = |snippet: &str| {
        let embed = EMBED.replace("Other: {type: string}", &format!("Other: {{{snippet}}}"));
        let embed = embed.replace("ASKED", BOTH).replace("GIVEN", BOTH);
        version(&[("common", COMMON), ("embed", &embed)])
    };
    let mut both = told(&compare(&shared(base), &shared(head)));
    both.sort();
    let mut expected = [line(in_request, "request", "Other"), line(in_answer, "answer", "Other")];
    expected.sort();
    assert_eq!(both, expected, "{base} → {head}");
}

/// What to find in `EMBED` or `COMMON`, what to put there, and what must be told.
type Row = (&'static str, &'static str, &'static [&'static str]);

pub const POST: &str = "/paths/~1things~1{id}/post";

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("operationId: thingCreate", "operationId: thingMake", &["breaks callers: operation-id-changed POST/operationId"]),
    ("tags: [things]\n      summary: s\n      description: d\n      x-max", "tags: [others]\n      summary: s\n      description: d\n      x-max", &["breaks servers: tags-changed POST/tags"]),
    ("summary: s", "summary: t", &["wording: summary-changed GET/summary", "wording: summary-changed POST/summary"]),
    ("x-max-bytes: 100", "x-max-bytes: 99", &["breaks callers: x-max-bytes-lowered POST/x-max-bytes"]),
    ("x-max-bytes: 100", "x-max-bytes: 101", &["additive: x-max-bytes-raised POST/x-max-bytes"]),
    ("x-max-bytes: 100", "x-max-bytes: 100\n      x-cors: true", &["breaks servers: x-cors-set POST/x-cors"]),
    ("x-max-bytes: 100", "x-max-bytes: 100\n      deprecated: true", &["additive: deprecated-added POST/deprecated"]),
    ("[{key: []}]", "[]", &["breaks servers: security-opened POST/security"]),
    ("security: []", "security: [{key: []}]", &["breaks callers: security-alternative-removed GET/security", "breaks servers: security-alternative-added GET/security/0"]),
    ("[{key: []}]", "[{other: []}]", &["breaks callers: security-alternative-removed POST/security/0", "breaks servers: security-alternative-added POST/security/0"]),
    ("[{key: []}]", "[{key: []}, {other: []}]", &["breaks servers: security-alternative-added POST/security/1"]),
    ("[{key: []}]", "[{key: [], other: []}]", &["breaks callers: security-alternative-removed POST/security/0", "breaks servers: security-alternative-added POST/security/0"]),
    ("name: X-Key", "name: X-Token", &["breaks callers: name-changed /components/securitySchemes/key/name"]),
    ("x-caller: key", "x-caller: lock", &["breaks servers: x-caller-changed /components/securitySchemes/key/x-caller"]),
    // Nobody uses `other`.
    (", x-browser: refused", "", &["additive: x-browser-removed /components/securitySchemes/other/x-browser"]),
    ("      - {name: q, in: query,", "      - {name: p, in: query, schema: {type: string}}\n      - {name: q, in: query,", &["additive: parameter-added POST/parameters/0"]),
    ("      - {name: q, in: query,", "      - {name: p, in: query, required: true, schema: {type: string}}\n      - {name: q, in: query,", &["breaks callers: required-parameter-added POST/parameters/0"]),
    ("      - {name: q, in: query,", "      - {name: X-P, in: header, required: true, schema: {type: string}}\n      - {name: q, in: query,", &["breaks callers: required-parameter-added POST/parameters/0"]),
    ("      - {name: q, in: query,", "      - {name: q, in: header,", &["breaks callers: parameter-moved POST/parameters/0"]),
    ("      - {name: q, in: query,", "      - {name: r, in: query,", &["breaks callers: parameter-removed POST/parameters/0", "additive: parameter-added POST/parameters/0"]),
    ("      - {name: q, in: query,", "      - {name: q, required: true, in: query,", &["breaks callers: request-required-set POST/parameters/0/required"]),
    ("      - {name: q, in: query,", "      - {name: q, description: q, in: query,", &["wording: description-added POST/parameters/0/description"]),
    ("maxLength: 9", "maxLength: 8", &["breaks callers: request-max-length-lowered POST/parameters/0/schema/maxLength"]),
    // Of the path: both operations have it, one change.
    ("required: true, schema: {type: string}}\n    post", "required: true, schema: {type: integer}}\n    post", &["breaks callers: request-type-changed /paths/~1things~1{id}/parameters/0/schema/type"]),
    ("        required: true\n", "", &["additive: request-required-dropped POST/requestBody/required"]),
    ("      requestBody:\n        required: true\n        content: {application/json: {schema: {$ref: '#/components/schemas/Asked'}}}\n", "", &["breaks callers: request-body-removed POST/requestBody"]),
    ("        404:", "        410:", &["breaks servers: status-removed POST/responses/404", "additive: status-added POST/responses/410"]),
    ("        200: {description: d}", "        202: {description: d}", &["breaks servers: status-removed GET/responses/200", "breaks callers: status-added GET/responses/202"]),
    ("x-codes: [gone]", "x-codes: [gone, invalid_input]", &["additive: answer-x-codes-value-added POST/responses/404/x-codes/1"]),
    ("x-codes: [gone]", "x-codes: [invalid_input]", &["breaks servers: answer-x-codes-value-removed POST/responses/404/x-codes/0", "additive: answer-x-codes-value-added POST/responses/404/x-codes/0"]),
    ("X-A: {required: true, ", "X-A: {", &["breaks callers: answer-required-dropped POST/responses/200/headers/X-A/required"]),
    ("X-B: {", "X-B: {required: true, ", &["breaks servers: answer-required-set POST/responses/200/headers/X-B/required"]),
    ("            X-B: {schema: {type: string}}\n", "", &["breaks callers: answer-header-removed POST/responses/200/headers/X-B"]),
    ("            X-B", "            X-C: {schema: {type: string}}\n            X-B", &["additive: answer-header-added POST/responses/200/headers/X-C"]),
    ("            X-B", "            X-C: {required: true, schema: {type: string}}\n            X-B", &["breaks servers: answer-header-added POST/responses/200/headers/X-C"]),
    ("          content: {application/json: {schema: {$ref: '#/components/schemas/Given'}}}\n", "", &["breaks callers: answer-media-type-removed POST/responses/200/content/application~1json"]),
    ("        200: {description: d}", "        200: {description: d, content: {application/json: {schema: {type: string}}}}", &["breaks callers: answer-media-type-added GET/responses/200/content/application~1json"]),
    ("schema: {$ref: '#/components/schemas/Given'}", "schema: {$ref: '#/components/schemas/Given'}, example: 1", &["wording: example-added POST/responses/200/content/application~1json/example"]),
    ("    get:\n      operationId: thingShow", "    put:\n      operationId: thingShow", &["breaks callers: operation-removed GET", "additive: operation-added /paths/~1things~1{id}/put"]),
    ("  /things/{id}:", "  /stuff/{id}:", &["additive: path-added /paths/~1stuff~1{id}", "breaks callers: path-removed /paths/~1things~1{id}"]),
    ("url: 'http://a'", "url: 'http://b'", &["breaks callers: server-removed /servers/0", "additive: server-added /servers/0"]),
    ("description: A", "description: B", &["wording: description-changed /servers/0/description"]),
    ("tags: [{name: things}, {name: others}]", "tags: [{name: things}]", &["wording: tag-removed /tags/1"]),
    ("title: Embed", "title: embed", &["wording: title-changed /info/title"]),
    ("parameters: {status: 400", "parameters: {status: 422", &["breaks callers: status-changed /x-validation/parameters/status"]),
    ("    Other: {", "    More: {type: string}\n    Other: {", &["additive: schema-added /components/schemas/More"]),
    ("    Other: {type: string}\n", "", &["breaks callers: schema-removed /components/schemas/Other"]),
    ("maxLength: 5", "maxLength: 4", &["additive: unused-max-length-lowered /components/schemas/Unused/maxLength"]),
    // In common.yaml.
    ("message: Mend it.", "message: Mend.", &["wording: message-changed /x-error-codes/invalid_input/message"]),
    ("  gone: {message", "  lost: {message: x}\n  gone: {message", &["additive: error-code-added /x-error-codes/lost"]),
    ("Error: {type: object, properties: {error: {type: string}}}", "Error: {type: object, properties: {error: {type: boolean}}}", &["breaks callers: answer-type-changed /components/schemas/Error/properties/error/type"]),
    ("Nobody: {type: string}", "Nobody: {type: boolean}", &["additive: unused-type-changed /components/schemas/Nobody/type"]),
];

#[test]
fn callers_who_send_more_credentials_than_are_asked_for_are_let_in() {
    let embed = EMBED.replace("ASKED", "type: string").replace("GIVEN", "type: string");
    let both = embed.replace("[{key: []}]", "[{key: [], other: []}]");
    let [base, head] = [&both, &embed].map(|it| version(&[("common", COMMON), ("embed", it)]));
    let expected = format!("breaks servers: security-alternative-added {POST}/security/0");
    assert_eq!(told(&compare(&base, &head)), [expected]);
}

#[test]
fn every_other_place_is_told_under_its_name_and_class() {
    let base = bodies("type: string", "type: string");
    for (find, put, expected) in ROWS {
        let embed = EMBED.replace("ASKED", "type: string").replace("GIVEN", "type: string");
        let (common, changed) = (COMMON.replace(find, put), embed.replace(find, put));
        assert!(common != COMMON || changed != embed, "{find}");
        let head = version(&[("common", &common), ("embed", &changed)]);
        let expected: Vec<String> = expected
            .iter()
            .map(|line| line.replace("POST", POST).replace("GET", "/paths/~1things~1{id}/get"))
            .collect();
        assert_eq!(told(&compare(&base, &head)), expected, "{find} → {put}");
    }
}
