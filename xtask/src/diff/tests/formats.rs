//! What Markdown and JSON look like, and where the second opinion is told.

use super::approvals::APPROVAL;
use super::repository::{EMBED, Repository, steady};

#[test]
fn markdown_is_a_table_that_no_text_of_a_document_breaks() {
    let repository = Repository::new();
    repository.shorten();
    let shorter = EMBED.replace("maxLength: 64", "maxLength: 32");
    let worded = shorter
        .replace("summary: s", "summary: 'a | b'")
        .replace("{type: string, max", "{type: string, nullable: true, max");
    repository.write("embed.yaml", &worded);
    repository.write("approved-breaks.toml", APPROVAL);
    let (text, fails) = repository.report(&["--format", "markdown"]);
    let expected = "\
## Changes of the documents

2 changes break callers, 1 breaks servers, 1 is additive, 1 is wording; 1 of 3 breaks is not \
approved: take it back, or approve it with a reason in openapi/approved-breaks.toml.

Compared with the merge base with main (COMMIT).

### `embed`

| where | class | change | what | place |
|---|---|---|---|---|
| POST /things | wording | `summary-changed` | `summary` changed: \"s\" → \"a \\| b\" (thingCreate) | openapi/embed.yaml:12 |
| schema Thing | **breaks callers** (approved 2026-01-15: nobody sends more) | `request-max-length-lowered` | `maxLength` lowered: 64 → 32 (thingCreate) | openapi/embed.yaml:27 |
| schema Thing | **breaks servers** (approved 2026-01-15: nobody answers more) | `answer-max-length-lowered` | `maxLength` lowered: 64 → 32 (thingCreate) | openapi/embed.yaml:27 |
| schema Thing | **breaks callers** | `answer-nullable-set` | `nullable` set: true (thingCreate) | openapi/embed.yaml:27 |
| schema Thing | additive | `request-nullable-set` | `nullable` set: true (thingCreate) | openapi/embed.yaml:27 |

### To approve, with a reason each

```toml
[[approved]]
document = \"embed\"
pointer = \"/components/schemas/Thing/properties/name/nullable\"
change = \"answer-nullable-set\"
reason = \"\"
date = TODAY
```
";
    let json = repository.json();
    let text = steady(&text, &json);
    assert_eq!(text.split("\n<details>").next(), Some(expected), "{text}");
    assert!(fails);
    assert_eq!(json["changes"][0]["approval"]["reason"], "nobody sends more");
}

#[test]
fn json_says_everything_about_a_change() {
    let repository = Repository::new();
    repository.shorten();
    let json = repository.json();
    let expected = serde_json::json!({
        "document": "embed",
        "subject": "schema Thing",
        "class": "breaks-caller",
        "change": "request-max-length-lowered",
        "side": "request",
        "what": "`maxLength` lowered: 64 → 32",
        "old": 64,
        "new": 32,
        "pointer": "/components/schemas/Thing/properties/name/maxLength",
        "file": "openapi/embed.yaml",
        "line": 27,
        "column": 30,
        "operations": ["thingCreate"],
        "approval": null,
    });
    assert_eq!(json["changes"][0], expected);
    let counts = serde_json::json!({
        "breaks_caller": 1, "breaks_server": 1, "additive": 0, "wording": 0, "unapproved": 2,
    });
    assert_eq!(json["counts"], counts);
    assert_eq!(json["base"]["title"], "the merge base with main");
}

#[test]
fn a_second_opinion_that_panics_or_differs_is_told_and_changes_nothing() {
    let repository = Repository::new();
    // `drift` asserts that no media type goes.
    let content =
        "          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}}\n";
    repository.write("embed.yaml", &EMBED.replace(content, ""));
    let (text, fails) = repository.report(&[]);
    assert!(text.contains("drift: panics: assertion failed: a_unique.is_empty()"), "{text}");
    assert!(fails);
    // It does not look at what begins with `x-`.
    let cors = EMBED.replace("      security: []", "      x-cors: true\n      security: []");
    repository.write("embed.yaml", &cors);
    let (text, _) = repository.report(&[]);
    assert!(
        text.contains("we:    breaks servers (x-cors-set)\n    drift: sees no change"),
        "{text}"
    );
    repository.write("embed.yaml", &EMBED.replace("summary: s", "summary: t"));
    assert_eq!(repository.json()["second_opinion"], serde_json::json!([]));
    // About what both see there is nothing to dispute: an operation that is gone, one that is new.
    repository.write("embed.yaml", &EMBED.replace("    post:", "    put:"));
    let json = repository.json();
    assert_eq!(json["counts"]["unapproved"], 1);
    assert_eq!(json["second_opinion"], serde_json::json!([]));
}
