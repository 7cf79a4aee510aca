//! Two linters that nobody here wrote, Redocly and Spectral with their own rules, on the documents
//! as the service serves them.
//!
//! They are npm packages pinned in `xtask/node`; neither may have an error or a warning.

use std::path::Path;
use std::process::Command;

use reqwest::Method;
use serde_json::Value;
use vestibule_api::documents;

use crate::constraints::{document, none};
use crate::requests::send;
use crate::service::Service;
use crate::tools::{node, node_modules};

/// What a linter has to say, one line for each finding.
type Lint = fn(&Path) -> Vec<String>;

const LINTERS: [(&str, Lint); 2] = [("redocly", redocly), ("spectral", spectral)];

#[tokio::test]
async fn served_documents_satisfy_both_linters() {
    let (folder, mut faults) = (tempfile::tempdir().expect("a temporary directory"), Vec::new());
    for (name, _) in documents::ALL {
        let url = Service::shared().url(&format!("/openapi/{name}.json"));
        let served = send(Method::GET, &url, &[], None).await;
        assert_eq!(served.status, 200, "{name}");
        let file = folder.path().join(format!("{name}.json"));
        std::fs::write(&file, served.text).expect("the directory is ours");
        faults.extend(LINTERS.iter().flat_map(|(_, lint)| lint(&file)));
    }
    none(faults);
}

/// Otherwise silence would mean nothing.
#[test]
fn both_linters_find_a_planted_fault() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut planted = document("embed");
    planted["paths"]["/v1/embed/session"]["get"]["responses"] = Value::Null;
    let file = folder.path().join("embed.json");
    std::fs::write(&file, planted.to_string()).expect("the directory is ours");
    for (linter, lint) in LINTERS {
        let found = lint(&file);
        assert!(found.iter().any(|line| line.contains("responses")), "{linter}: {found:?}");
    }
}

/// The rules `recommended`.
fn redocly(document: &Path) -> Vec<String> {
    let report = run("redocly", &["lint", "--extends=recommended", "--format=json"], document);
    let problems = report["problems"].as_array().expect("a list of problems");
    let lines = problems.iter().map(|it| line(document, it, &it["ruleId"], &it["location"]));
    lines.collect()
}

/// Its rules for OpenAPI.
fn spectral(document: &Path) -> Vec<String> {
    let rules = document.with_extension("yaml");
    std::fs::write(&rules, "extends: [\"spectral:oas\"]\n").expect("the directory is ours");
    let ruleset = format!("--ruleset={}", rules.display());
    let report = run("spectral", &["lint", "--quiet", "--format=json", &ruleset], document);
    let results = report.as_array().expect("a list of results");
    results.iter().map(|it| line(document, it, &it["code"], &it["path"])).collect()
}

fn line(document: &Path, problem: &Value, rule: &Value, place: &Value) -> String {
    format!("{} {rule}: {} at {place}", document.display(), problem["message"])
}

/// Runs a linter, whose report is JSON on the standard output.
fn run(linter: &str, arguments: &[&str], document: &Path) -> Value {
    let mut command = Command::new(node());
    command.arg(node_modules().join(".bin").join(linter)).args(arguments).arg(document);
    command.envs([("REDOCLY_TELEMETRY", "off"), ("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")]);
    let output = command.output().expect("Node.js runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|bad| {
        let [out, err] = [&output.stdout, &output.stderr].map(|it| String::from_utf8_lossy(it));
        panic!("{linter} gave no report ({bad}): {out}{err}")
    })
}
