//! The command in a repository of its own: bases and what cannot be compared.

use std::fs;

use tempfile::TempDir;

use super::outcome;
use repository::{EMBED, Repository, options, steady};

mod approvals;
mod formats;
mod repository;

#[test]
fn on_main_itself_there_is_nothing_to_compare() {
    let repository = Repository::new();
    let (text, fails) = repository.report(&[]);
    assert!(text.starts_with("HEAD is the merge base with main ("), "{text}");
    assert!(text.contains("there is nothing to compare"), "{text}");
    assert!(!fails);
}

#[test]
fn a_break_on_a_branch_fails_committed_or_not_and_says_how_to_approve_it() {
    let repository = Repository::new();
    repository.shorten();
    let expected = "\
the documents against the merge base with main (COMMIT)

embed
  schema Thing
    breaks callers  request-max-length-lowered  `maxLength` lowered: 64 → 32
                    /components/schemas/Thing/properties/name/maxLength  openapi/embed.yaml:27  thingCreate
    breaks servers  answer-max-length-lowered   `maxLength` lowered: 64 → 32
                    /components/schemas/Thing/properties/name/maxLength  openapi/embed.yaml:27  thingCreate

to approve, with a reason each:

[[approved]]
document = \"embed\"
pointer = \"/components/schemas/Thing/properties/name/maxLength\"
change = \"request-max-length-lowered\"
reason = \"\"
date = TODAY

[[approved]]
document = \"embed\"
pointer = \"/components/schemas/Thing/properties/name/maxLength\"
change = \"answer-max-length-lowered\"
reason = \"\"
date = TODAY

1 change breaks callers, 1 breaks servers; 2 of 2 breaks are not \
approved: take them back, or approve each with a reason in openapi/approved-breaks.toml.
";
    let (in_working_tree, fails) = repository.report(&[]);
    assert_eq!(steady(&in_working_tree, &repository.json()), expected);
    assert!(fails);
    repository.commit();
    assert_eq!(repository.report(&[]), (in_working_tree, true));
}

#[test]
fn what_happened_on_main_since_is_not_counted() {
    let repository = Repository::new();
    repository.shorten();
    repository.commit();
    repository.git(&["switch", "--quiet", "main"]);
    repository.write("embed.yaml", &EMBED.replace("summary: s", "summary: other"));
    repository.commit();
    repository.git(&["switch", "--quiet", "shorter"]);
    assert_eq!(repository.json()["counts"]["wording"], 0);
    let (text, _) = repository.report(&["--base", "main"]);
    assert!(text.contains("summary-changed"), "{text}");
}

#[test]
fn without_a_main_branch_the_remedy_is_told_or_the_lack_allowed() {
    let repository = Repository::new();
    repository.git(&["branch", "--quiet", "--move", "main", "trunk"]);
    let complaint = repository.diff(&[]).expect_err("there is no main");
    assert!(
        complaint.starts_with("there is neither `main` nor `origin/main`: fetch"),
        "{complaint}"
    );
    let (text, fails) = repository.report(&["--allow-no-base"]);
    assert!(text.starts_with("There is nothing to compare the documents with: "), "{text}");
    assert!(!fails);
    let (json, _) = repository.report(&["--allow-no-base", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["base"], &json["fine"]), (&serde_json::Value::Null, &true.into()));
    assert!(!repository.report(&["--base", "trunk"]).1);
    // The remote's main will do.
    repository.git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
    assert!(repository.report(&[]).0.starts_with("HEAD is the merge base with origin/main ("));
}

#[test]
fn a_history_that_does_not_reach_main_is_told() {
    let repository = Repository::new();
    repository.git(&["switch", "--quiet", "--orphan", "shallow"]);
    fs::create_dir_all(repository.root().join("openapi")).expect("a folder");
    repository.write("common.yaml", "x-error-codes: {}\n");
    repository.commit();
    let complaint = repository.diff(&[]).expect_err("no merge base");
    assert!(complaint.starts_with("HEAD and `main` have no common commit here: fetch"));
    assert!(!repository.report(&["--allow-no-base"]).1);
}

#[test]
fn outside_of_any_repository_there_is_nothing_to_compare_with() {
    let folder = TempDir::new().expect("a folder for the test");
    let complaint = outcome(folder.path(), &options(&[])).expect_err("no repository");
    assert!(complaint.starts_with("git finds no commit here (git rev-parse"), "{complaint}");
    assert!(!outcome(folder.path(), &options(&["--allow-no-base"])).expect("allowed").fails);
}

#[test]
fn a_revision_that_does_not_exist_is_one_line() {
    let repository = Repository::new();
    for revision in ["nonsense", "--upload-pack=x", "HEAD:openapi"] {
        let argument = format!("--base={revision}");
        let complaint = repository.diff(&[&argument]).expect_err("no such commit");
        let start = format!("git knows no commit `{revision}`");
        assert!(complaint.starts_with(&start) && !complaint.contains('\n'), "{complaint}");
    }
}

#[test]
fn documents_that_do_not_load_are_shown_with_their_findings() {
    let repository = Repository::new();
    repository.write("embed.yaml", &EMBED.replace("maxLength", "maxLenght"));
    let (text, fails) = repository.report(&[]);
    assert!(text.contains("did you mean `maxLength`?"), "{text}");
    assert!(text.ends_with("1 finding(s) in the documents: mend them, then compare.\n") && fails);
}

#[test]
fn what_cannot_be_read_is_one_line_and_no_finding() {
    let repository = Repository::new();
    repository.shorten();
    repository.write("things.yaml", "");
    let things = repository.root().join("openapi/things.yaml");
    fs::write(&things, [0xff]).expect("a file of the test");
    let complaint = repository.diff(&[]).expect_err("it is no UTF-8");
    let start = "openapi/things.yaml cannot be read: ";
    assert!(complaint.starts_with(start) && !complaint.contains('\n'), "{complaint}");
    fs::remove_dir_all(repository.root().join("openapi")).expect("the disk");
    let complaint = repository.diff(&[]).expect_err("there are no documents");
    let start = "openapi cannot be read: ";
    assert!(complaint.starts_with(start) && !complaint.contains('\n'), "{complaint}");
}

/// What is served from a JSON document is compared as well.
#[test]
fn a_break_in_a_document_of_any_ending_fails() {
    for name in ["embed.json", "embed.yml"] {
        let repository = Repository::new();
        fs::remove_file(repository.root().join("openapi/embed.yaml")).expect("the disk");
        repository.write(name, EMBED);
        repository.commit();
        repository.git(&["switch", "--quiet", "--create", "shorter"]);
        repository.write(name, &EMBED.replace("maxLength: 64", "maxLength: 32"));
        let (text, fails) = repository.report(&[]);
        assert!(text.contains("request-max-length-lowered") && fails, "{name}: {text}");
        assert!(text.contains(&format!("openapi/{name}:27")), "{text}");
    }
}

#[test]
fn two_documents_of_one_name_are_not_compared() {
    let repository = Repository::new();
    repository.write("embed.json", EMBED);
    let (text, fails) = repository.report(&[]);
    assert!(text.contains("openapi/embed.json is the document `embed` already"), "{text}");
    assert!(fails);
    repository.commit();
    fs::remove_file(repository.root().join("openapi/embed.json")).expect("the disk");
    let complaint = repository.diff(&[]).expect_err("one of the base would be lost");
    assert!(complaint.contains("understood: openapi/embed.yaml: openapi/embed.json is the"));
}

#[test]
fn a_base_in_an_older_dialect_is_compared_and_one_that_is_no_yaml_is_refused() {
    let repository = Repository::new();
    // Without `x-validation`, which is required today, and with a keyword that never was.
    let (before, after) = EMBED.split_once("x-validation:").expect("it is there");
    let (_, after) = after.split_once("paths:").expect("it is there");
    let old =
        format!("{before}paths:{}", after.replace("maxLength: 64", "maxLength: 64, const: 1"));
    repository.write("embed.yaml", &old);
    repository.commit();
    repository.write("embed.yaml", EMBED);
    let (text, fails) = repository.report(&[]);
    assert!(
        text.contains("x-validation-added") && text.contains("request-unknown-keyword-removed")
    );
    assert!(fails);

    repository.write("embed.yaml", "paths: [");
    repository.commit();
    repository.write("embed.yaml", EMBED);
    let complaint = repository.diff(&[]).expect_err("the base is no YAML");
    assert!(complaint.contains("cannot be understood: openapi/embed.yaml:"), "{complaint}");
    assert!(complaint.ends_with("`--base REV`") && !complaint.contains('\n'), "{complaint}");
}
