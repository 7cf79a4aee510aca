//! Rules with more than one way to be broken: what their one bad example does not show.

use std::collections::BTreeSet;

use super::composing::compose;
use super::told;
use crate::lint::check;

/// A place, an example, and the rules that find something in it.
const CASES: &[(&str, &str, &[&str])] = &[
    ("a path", "parameters: []\n", &["refused-keyword"]),
    ("properties", "id: {oneOf: [{type: boolean}]}\n", &["untagged-union"]),
    ("properties", "n: {type: number, exclusiveMinimum: true}\n", &["misplaced-keyword"]),
    (
        "security schemes",
        "thingKey: {type: http, scheme: bearer, in: header, x-caller: k}\n",
        &["misplaced-keyword"],
    ),
    ("responses", "'299': {description: Odd.}\n", &["wrong-name"]),
    ("paths", "/v2/{a}/b/{a}: {}\n", &["path-segment"]),
    ("paths", "/v1//b: {}\n", &["path-segment"]),
    ("paths", "/v1/no tes: {}\n", &["path-segment"]),
    ("paths", "/v1/caf\u{e9}: {}\n", &["path-segment"]),
    ("paths", "/v1/a-b_c.d~e@f:g: {}\n", &[]),
    ("paths", "/v1/p/{a}: {}\n/v1/p/{b}/c: {}\n", &["path-conflict"]),
    ("paths", "/v1/p/{a}: {}\n/v1/p/b: {}\n", &["path-conflict"]),
    ("properties", "s: {type: string, maxLength: 9, pattern: '^(a)\\1$'}\n", &["pattern-syntax"]),
    ("properties", "s: {type: string, maxLength: 9, pattern: '^(?i)a$'}\n", &["pattern-syntax"]),
    ("properties", "s: {type: string, maxLength: 9, pattern: '^(a$'}\n", &["pattern-syntax"]),
    (
        "properties",
        "s: {type: string, minLength: 3, maxLength: 9, pattern: '^é?a?$'}\n",
        &["pattern-length"],
    ),
    ("properties", "n: {type: number, minimum: 2, maximum: 1}\n", &["empty-range"]),
    ("properties", "n: {type: integer, minimum: 7, maximum: 9, multipleOf: 5}\n", &["empty-range"]),
    (
        "properties",
        "a: {type: array, items: {type: boolean}, minItems: 2, maxItems: 1}\n",
        &["empty-range"],
    ),
    ("a schema", "minProperties: 2\n", &["empty-range"]),
    ("a schema", "required: [name]\nmaxProperties: 0\n", &["empty-range"]),
    (
        "properties",
        "n: {type: integer, minimum: -9007199254740992, maximum: 1}\n",
        &["large-integer"],
    ),
    ("properties", "m: {type: object, additionalProperties: true}\n", &["unbounded-map"]),
    (
        "parameters",
        "- {name: n, in: query, schema: {type: boolean}, example: 5}\n",
        &["invalid-example"],
    ),
    (
        "an answer",
        "content:\n  application/json:\n    schema: {$ref: '#/components/schemas/Sample'}\n    examples: {one: {value: {name: 5}}}\n",
        &["invalid-example"],
    ),
    ("an answer", "headers: {X-N: {schema: {type: boolean}, example: 5}}\n", &["invalid-example"]),
    ("properties", "part: {type: string, maxLength: 8, default: x}\n", &[]),
    (
        "a schema",
        "required: [name]\nproperties:\n  name: {type: boolean, default: true}\n",
        &["required-default"],
    ),
    (
        "an answer",
        "headers: {X-A: {schema: {type: boolean}}, x-a: {schema: {type: boolean}}}\n",
        &["member-collision"],
    ),
    ("properties", "kind: {type: string, enum: [a-b, a_b]}\n", &["member-collision"]),
    (
        "schemas",
        "Thing: {$ref: '#/components/schemas/SampleReadQuery'}\nSampleReadQuery: {type: boolean}\n",
        &["name-collision"],
    ),
    ("an operation", "security: [{}]\n", &["security-alternatives"]),
    ("an operation", "security: [{ownerToken: [], guestToken: []}]\n", &["security-alternatives"]),
    ("an operation", "security: [{ownerToken: [], ownerSeal: []}]\n", &["security-alternatives"]),
    (
        "an operation",
        "security: [{ownerToken: []}, {guestToken: []}, {ownerSeal: []}]\n",
        &["security-alternatives"],
    ),
    (
        "an operation",
        "security: [{ownerToken: []}, {thingKey: []}, {thingSeal: []}]\n",
        &["security-alternatives"],
    ),
    ("an operation", "security: [{ownerSeal: []}, {thingKey: []}, {guestToken: []}]\n", &[]),
    (
        "schemas",
        "Sample:\n  type: object\n  additionalProperties: false\n  required: [a]\n  properties: {a: {$ref: '#/components/schemas/Thing'}}\nThing:\n  type: object\n  additionalProperties: false\n  required: [b]\n  properties: {b: {$ref: '#/components/schemas/Sample'}}\n",
        &["endless-schema"],
    ),
];

#[test]
fn rules_find_their_other_cases() {
    for (place, example, expected) in CASES {
        let report = check(&compose(place, example).0);
        let found: BTreeSet<_> = report.findings.iter().map(|finding| finding.rule.name).collect();
        assert_eq!(found, expected.iter().copied().collect(), "{example}\n{}", told(&report));
    }
}
