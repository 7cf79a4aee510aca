//! Every rule against its own two examples, put into documents that are otherwise clean.
//!
//! In a bad example a line `# ^^^` underlines what must be found: line, column and width.
//! `# found at get:` names it where it stands outside of the example.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::ExitCode;

use super::command::folder;
use super::explain::Examples;
use super::{Input, Report, check};
use crate::document::stem;
use crate::rule::{self, Rule};

mod composing;
mod other_cases;
mod reports;

use composing::{Expected, compose};

/// The place of the rules about files: its lines name what the folder holds, `/` makes a folder.
const FOLDER: &str = "a folder";

fn examples(rule: &'static Rule) -> Examples<'static> {
    Examples::of(rule).unwrap_or_else(|| panic!("{rule} lacks its bad or its good example"))
}

/// `rule file:line:column-end` of every finding.
fn shown(report: &Report) -> BTreeSet<String> {
    let place = |it: &crate::document::Finding| match it.line {
        0 => format!("{} {}", it.rule, it.file),
        _ => format!("{} {}:{}:{}-{}", it.rule, it.file, it.line, it.column, it.end_column),
    };
    report.findings.iter().map(place).collect()
}

fn told(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

fn in_folder(names: &str) -> Report {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let clean = composing::clean();
    for name in names.lines().filter(|line| !line.starts_with('#')) {
        let path = folder.path().join(name.trim_end_matches('/'));
        match name.ends_with('/') {
            true => fs::create_dir(path).expect("the disk"),
            false => {
                let named = |file: &&String| stem(file) == stem(name);
                let file = clean.keys().find(named).expect("a clean document of that name");
                fs::write(path, &clean[file]).expect("the disk");
            }
        }
    }
    check(&super::command::folder(folder.path(), "openapi").expect("the folder can be read"))
}

#[test]
fn every_rule_has_one_file_of_examples_and_every_file_a_rule() {
    let folder = crate::root().join("xtask/src/lint/examples");
    let files = fs::read_dir(folder).expect("the examples are there");
    let files: BTreeSet<_> = files
        .map(|file| file.expect("the disk").file_name().into_string().expect("UTF-8"))
        .collect();
    let rules: BTreeSet<_> = rule::ALL.iter().map(|rule| format!("{rule}.yaml")).collect();
    assert_eq!(files, rules);
    assert_eq!(rules.len(), rule::ALL.len(), "two rules of one name");
}

#[test]
fn every_rule_finds_its_bad_example_at_the_marked_places_and_nothing_else() {
    let mut faults = Vec::new();
    for rule in rule::ALL {
        let examples = examples(rule);
        let (report, expected) = if examples.place == FOLDER {
            let file = examples.bad.lines().find_map(|line| line.strip_prefix("# finds "));
            let expected = format!("{rule} {}", file.expect("the file that is found"));
            (in_folder(examples.bad), BTreeSet::from([expected]))
        } else {
            let (input, marks) = compose(examples.place, examples.bad);
            let each = marks.iter().map(|Expected { file, line, column, end }| match line {
                0 => format!("{rule} {file}"),
                _ => format!("{rule} {file}:{line}:{column}-{end}"),
            });
            (check(&input), each.collect())
        };
        if expected.is_empty() || shown(&report) != expected {
            faults.push(format!("{rule}: expected {expected:#?}, found\n{}", told(&report)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn every_good_example_is_clean() {
    for rule in rule::ALL {
        let examples = examples(rule);
        let report = if examples.place == FOLDER {
            in_folder(examples.good)
        } else {
            check(&compose(examples.place, examples.good).0)
        };
        assert!(report.findings.is_empty(), "{rule}:\n{}", told(&report));
    }
}

#[test]
fn rules_are_named_and_told_alike() {
    for rule in rule::ALL {
        let is_kebab = rule
            .name
            .split('-')
            .all(|word| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase()));
        assert!(is_kebab, "{rule}");
        for text in [rule.reason, rule.remedy] {
            assert!(text.ends_with('.') && !text.contains('\n'), "{rule}: {text}");
        }
    }
}

#[test]
fn the_documents_of_this_repository_are_clean() {
    let report = check(&folder(&crate::root().join("openapi"), "openapi").expect("documents"));
    assert!(report.findings.is_empty(), "\n{}", told(&report));
}

/// A single document is checked with what lies beside it, and nothing is said of that.
#[test]
fn a_part_of_the_documents_is_checked_without_judging_the_rest() {
    let mut texts = composing::clean();
    texts.retain(|file, _| file.ends_with("common.yaml") || file.ends_with("things.yaml"));
    let common = texts["openapi/common.yaml"].replace("message: A defect.", "massage: A defect.");
    texts.insert("openapi/common.yaml".to_owned(), common);
    let context = BTreeSet::from(["openapi/common.yaml".to_owned()]);
    let report = check(&Input { texts, context, ..Input::default() });
    assert_eq!(shown(&report), BTreeSet::new(), "{}", told(&report));
    assert_eq!(report.files, 1);
}

/// What is wrong with the file of silences itself is not about the documents that are not there.
#[test]
fn beside_a_part_of_the_documents_broken_silences_are_told() {
    let mut texts = composing::clean();
    texts.retain(|file, _| file.ends_with("common.yaml") || file.ends_with("things.yaml"));
    let found = |silences: &str| {
        let silences = Some(("openapi/lint.toml".to_owned(), silences.to_owned()));
        let report = check(&Input { texts: texts.clone(), silences, ..Input::default() });
        report.findings.iter().map(|finding| finding.rule.name).collect::<Vec<_>>()
    };
    let silence = |rule: &str, reason: &str| {
        format!("[[silence]]\nrule = '{rule}'\nat = 'others.yaml#/paths'\nreason = '{reason}'\n")
    };
    assert_eq!(found("[[silence"), ["silence-syntax"]);
    assert_eq!(found(&silence("operation-id", " ")), ["silence-syntax"]);
    assert_eq!(found(&silence("unused-schemas", "r")), ["silence-rule"]);
    assert_eq!(found(&silence("operation-id", "r")), [""; 0]);
}

/// The router is one for all documents.
#[test]
fn paths_of_two_documents_conflict() {
    let mut texts = composing::clean();
    let paths = "openapi: 3.0.3\ninfo: {title: Others, version: '1'}\n\
                 x-validation: {body: {status: 400, code: invalid_input}, \
                 parameters: {status: 400, code: invalid_input}}\n\
                 paths:\n  /v1/{version}: {}\n";
    texts.insert("openapi/others.yaml".to_owned(), paths.to_owned());
    let report = check(&Input { texts, is_whole: true, ..Input::default() });
    let found = report.findings.iter().map(|finding| (finding.rule.name, finding.file.as_str()));
    // The document that comes later in the order of names is the one at fault.
    let expected = [("path-conflict", "openapi/things.yaml"); 3];
    assert_eq!(found.collect::<Vec<_>>(), expected, "{}", told(&report));
}

/// Found by walking over each reference once, and without the stack.
#[test]
fn a_long_chain_of_references_ends_in_findings() {
    let schema = |index: usize, next: usize| {
        format!(
            "A{index}: {{$ref: '#/components/schemas/A{next}'}}\n\
             R{index}: {{type: object, additionalProperties: false, required: [n], \
             properties: {{n: {{$ref: '#/components/schemas/R{next}'}}}}}}\n"
        )
    };
    let count = 5000;
    let chain: String = (0..count).map(|index| schema(index, (index + 1) % count)).collect();
    let report = check(&compose("schemas", &chain).0);
    let of = |rule| report.findings.iter().filter(|finding| finding.rule == rule).count();
    assert_eq!(of(&rule::CIRCULAR_REF), count);
    assert_eq!(of(&rule::ENDLESS_SCHEMA), count);
}

#[test]
fn the_command_ends_with_0_1_or_2() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let openapi = folder.path().join("openapi");
    fs::create_dir(&openapi).expect("the disk");
    let run = || super::command::run(folder.path(), &super::command::Lint::default());
    assert!(run().expect_err("no document").contains("holds no document"));
    for (file, text) in composing::clean() {
        fs::write(folder.path().join(file), text).expect("the disk");
    }
    assert_eq!(run().expect("documents"), ExitCode::SUCCESS);
    let things = composing::clean()["openapi/things.yaml"].replace("maxLength", "maxLenght");
    fs::write(openapi.join("things.yaml"), things).expect("the disk");
    assert_eq!(run().expect("documents"), ExitCode::from(1));
}

#[test]
fn nothing_is_generated_from_documents_with_findings() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    fs::create_dir(folder.path().join("openapi")).expect("the disk");
    for (file, text) in composing::clean() {
        let text = text.replace("summary: Read a sample", "summary: ' '");
        fs::write(folder.path().join(file), text).expect("the disk");
    }
    let outcome = crate::generate(folder.path(), false);
    assert_eq!(outcome.expect("it is a finding"), ExitCode::from(1));
    assert!(!folder.path().join("generated").exists());
}

/// Somebody else's document, which knows nothing of the dialect, is found at fault, not fallen over.
#[test]
fn a_foreign_document_in_json_ends_in_findings() {
    let text = r##"{"openapi":"3.1.0","info":{"title":"T","version":"1"},
        "paths":{"/a/{b}.json":{"parameters":[{"$ref":"#/components/parameters/X"}],
        "get":{"responses":{"default":{"description":"d","content":{"text/html":{}}}}}}},
        "components":{"schemas":{"A":{"type":["string","null"],"allOf":[{"$ref":"b.json#/A"}]}}}}"##;
    let texts = BTreeMap::from([("foreign.json".to_owned(), text.to_owned())]);
    let report = check(&Input { texts, ..Input::default() });
    let found: BTreeSet<_> = report.findings.iter().map(|finding| finding.rule.name).collect();
    for rule in ["wrong-type", "refused-keyword", "operation-id", "path-segment", "wrong-name"] {
        assert!(found.contains(rule), "{rule}: {found:?}");
    }
    assert!(report.findings.iter().all(|finding| finding.line > 0), "{}", told(&report));
}
