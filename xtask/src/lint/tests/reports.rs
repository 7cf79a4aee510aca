//! What is printed: text, JSON, SARIF, the list and the explanation.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::composing::compose;
use super::examples;
use crate::lint::{Input, Report, check, explain, report_json, report_sarif, report_text};
use crate::rule::{self, Rule};

fn bad(rule: &'static Rule) -> Report {
    let examples = examples(rule);
    check(&compose(examples.place, examples.bad).0)
}

/// The text without its colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn a_finding_shows_its_line_the_nearest_keyword_and_the_place() {
    let report = bad(&rule::UNKNOWN_KEYWORD);
    let line = report.findings[0].line;
    let expected = format!(
        "\
error[unknown-keyword]: `maxLenght` is not a keyword of a schema
   --> openapi/things.yaml:{line}:30
    |
{line} |         name: {{type: string, maxLenght: 8}}
    |                              ^^^^^^^^^
    = help: did you mean `maxLength`?

"
    );
    assert_eq!(plain(&report_text::findings(&report)), expected);
    let closing = "1 finding of 1 rule in 2 files. \
                   `cargo xtask lint --explain unknown-keyword` tells more of the first one.";
    assert_eq!(plain(&report_text::closing(&report)), closing);
}

#[test]
fn second_places_are_named_in_the_message() {
    let message = |rule| bad(rule).findings[0].message.clone();
    let conflict = message(&rule::PATH_CONFLICT);
    assert!(conflict.starts_with("`{partId}` in `/v1/parts/{partId}` stands where openapi/"));
    assert!(conflict.ends_with("has the literal `latest`"), "{conflict}");
    let example = message(&rule::INVALID_EXAMPLE);
    let expected = "`/name` of the example breaks `maxLength 8` of its schema, it is string of 13";
    assert_eq!(example, expected);
}

#[test]
fn what_repeats_itself_is_counted() {
    let many: String = (0..50).map(|index| format!("name{index}: {{type: string}}\n")).collect();
    let report = check(&compose("properties", &many).0);
    let text = plain(&report_text::findings(&report));
    assert_eq!(text.matches("error[unbounded-string]").count(), 20);
    assert!(text.ends_with("30 more of rule unbounded-string\n\n"), "{text}");
    assert!(plain(&report_text::closing(&report)).starts_with("50 findings of 1 rule"));
}

#[test]
fn a_long_line_is_shown_around_the_place() {
    let long = format!("example: {{name: one, {}}}\ntitle: 5\n", "a: 1, ".repeat(500));
    let report = check(&compose("a schema", &long.replace("title: 5", "title: t")).0);
    let shown = plain(&report_text::findings(&report));
    let widest = shown.lines().map(|line| line.chars().count()).max().unwrap_or_default();
    assert!(!report.findings.is_empty() && widest < 200, "{widest}");
}

#[test]
fn json_has_every_finding_with_its_place() {
    let report = bad(&rule::UNTYPED_SCHEMA);
    let value = report_json::json(&report);
    let finding = &value["findings"][0];
    assert_eq!(value["findings"].as_array().map(Vec::len), Some(1));
    assert_eq!(finding["rule"], "untyped-schema");
    assert_eq!(finding["file"], "openapi/things.yaml");
    assert_eq!(finding["line"], report.findings[0].line);
    assert_eq!((&finding["column"], &finding["endColumn"]), (&json!(9), &json!(14)));
    assert_eq!(finding["remedy"], rule::UNTYPED_SCHEMA.remedy);
    assert_eq!(value["silenced"], json!([]));
}

/// The parts of SARIF 2.1.0 that its readers insist on.
#[test]
fn sarif_names_rules_places_and_silences() {
    let good = examples(&rule::SILENCE_UNUSED).good;
    let (mut input, _) = compose("lint.toml", good);
    let things = input.texts.get_mut("openapi/things.yaml").expect("it is there");
    *things = things.replace("maxLength: 8", "maxLenght: 8");
    let report = check(&input);
    let log = report_sarif::sarif(&report);
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    let rules = run["tool"]["driver"]["rules"].as_array().expect("rules");
    let ids: BTreeSet<_> = rules.iter().map(|rule| rule["id"].as_str().expect("a text")).collect();
    assert_eq!(ids.len(), rule::ALL.len());
    let help =
        |rule: &Value| rule["help"]["text"].is_string() && rule["help"]["markdown"].is_string();
    assert!(rules.iter().all(help));
    let results = run["results"].as_array().expect("results");
    assert_eq!(results.len(), report.findings.len() + 1);
    for result in results {
        let index = result["ruleIndex"].as_u64().expect("a number");
        assert_eq!(rules[usize::try_from(index).expect("small")]["id"], result["ruleId"]);
        let place = &result["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "openapi/things.yaml");
        let region = &place["region"];
        let numbers =
            ["startLine", "startColumn", "endLine", "endColumn"].map(|name| &region[name]);
        assert!(numbers.iter().all(|number| number.as_u64() > Some(0)), "{region}");
    }
    let silenced = results.last().expect("the silenced one");
    assert_eq!(silenced["suppressions"][0]["kind"], "external");
    assert_eq!(silenced["suppressions"][0]["justification"], "The next release needs it.");
    assert_eq!(
        run["artifacts"],
        json!([{ "location": {
            "uri": "openapi/things.yaml", "uriBaseId": "SRCROOT"
        }}])
    );
}

#[test]
fn a_silence_covers_its_place_and_what_is_below() {
    let text = "[[silence]]\nrule = \"unbounded-string\"\nat = \"things.yaml#/components/schemas/Sample\"\nreason = \"Measured elsewhere.\"\n";
    let (composed, _) = compose("properties", "name: {type: string}\n");
    let silenced = |text: &str| {
        let silences = Some(("openapi/lint.toml".to_owned(), text.to_owned()));
        check(&Input {
            silences,
            texts: composed.texts.clone(),
            is_whole: true,
            ..Input::default()
        })
    };
    let report = silenced(text);
    assert!(report.findings.is_empty());
    assert_eq!(report.silenced.len(), 1);
    let elsewhere = silenced(&text.replace("Sample", "Thing"));
    let rules: Vec<_> = elsewhere.findings.iter().map(|finding| finding.rule.name).collect();
    assert_eq!(rules, ["silence-unused", "unbounded-string"]);
    // Nor is it known to be unused while a document cannot be read.
    let mut texts = composed.texts.clone();
    texts.insert("openapi/broken.yaml".to_owned(), "a: [".to_owned());
    let silences = Some(("lint.toml".to_owned(), text.replace("Sample", "Thing")));
    let unread = check(&Input { silences, texts, is_whole: true, ..Input::default() });
    assert!(unread.findings.iter().any(|it| it.rule.name == "yaml-syntax"), "{unread:?}");
    assert!(unread.findings.iter().all(|it| it.rule.name != "silence-unused"), "{unread:?}");
    // With a part of the documents the silence of another one is no finding.
    let silences = Some(("lint.toml".to_owned(), text.replace("things.yaml", "gone.yaml")));
    let part = check(&Input { silences, texts: composed.texts.clone(), ..Input::default() });
    let rules: Vec<_> = part.findings.iter().map(|finding| finding.rule.name).collect();
    assert_eq!(rules, ["unbounded-string"]);
}

#[test]
fn a_file_of_silences_that_is_no_toml_is_found() {
    let (input, _) = compose("lint.toml", "[[silence]]\nrule = unused-tag\n");
    let report = check(&input);
    let syntax = report.findings.iter().find(|finding| finding.rule == &rule::SILENCE_SYNTAX);
    let syntax = syntax.expect("it is no TOML");
    assert_eq!((syntax.line, syntax.file.as_str()), (2, "openapi/lint.toml"));
}

#[test]
fn the_list_has_every_rule_and_an_explanation_its_examples() {
    let list = plain(&explain::list());
    for rule in rule::ALL {
        assert!(list.lines().any(|line| line.trim_start().starts_with(rule.name)), "{rule}");
    }
    let columns: BTreeSet<_> = (list.lines().filter(|line| line.starts_with("  ")))
        .map(|line| line.rfind("  ").expect("two columns"))
        .collect();
    assert_eq!(columns.len(), 1, "not aligned:\n{list}");
    let one = plain(&explain::one("empty-range").expect("there is such a rule"));
    for part in ["Remedy: ", "Bad, properties:", "Good, properties:", "minLength: 9"] {
        assert!(one.contains(part), "{one}");
    }
    let unknown = explain::one("empty-ranges").expect_err("there is no such rule");
    assert!(unknown.ends_with("did you mean `empty-range`?"), "{unknown}");
}
