//! Schemathesis, a judge from outside: all its checks on every document, against the shipped
//! binary.
//!
//! A bounded run with a fixed seed. For a long one set `VESTIBULE_SCHEMATHESIS_EXAMPLES` to the
//! examples per operation and `VESTIBULE_SCHEMATHESIS_SEED` to another seed, and run
//! `cargo xtask test -- schemathesis`. Its versions, settings and hooks are in `tests/schemathesis`.

use std::path::Path;
use std::process::{Command, Output};

use vestibule_api::documents;
use vestibule_api::register::OPERATIONS;

use crate::constraints::{document, none};
use crate::process::Process;
use crate::tools::python_environment;

/// Random examples of each operation; the examples and boundaries of its schemas come on top.
const EXAMPLES: u32 = 20;
const SEED: u32 = 1;

/// The most that the service allows: a judge is no attacker.
const SETTINGS: [(&str, &str); 1] = [("VESTIBULE__LIMITS__REDEEM_PER_MINUTE", "100000")];

#[test]
fn every_check_of_schemathesis_passes_on_every_document() {
    let faults = std::thread::scope(|scope| {
        let judged = documents::ALL.iter().map(|(name, _)| scope.spawn(|| judge(name)));
        let judged: Vec<_> = judged.collect();
        let done = judged.into_iter().map(|thread| thread.join().expect("a verdict"));
        done.flatten().collect()
    });
    none(faults);
}

/// A document that promises what the service does not do must be found out.
#[test]
fn schemathesis_finds_a_broken_promise() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let service = Process::start_with(data.path(), 0, &SETTINGS);
    let mut promise = document("embed");
    promise["components"]["schemas"]["EmbedGrant"]["properties"]["employeeId"] =
        serde_json::json!({ "type": "string", "maxLength": 23 });
    let file = data.path().join("embed.json");
    std::fs::write(&file, promise.to_string()).expect("the directory is ours");
    let output = run(&service, data.path(), &file.to_string_lossy(), 1);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("/v1/embed/session") && said.contains("longer than 23"), "{said}");
}

/// What Schemathesis finds in a service of its own; it revokes what it comes across.
fn judge(name: &str) -> Option<String> {
    let data = tempfile::tempdir().expect("a temporary directory");
    let service = Process::start_with(data.path(), 0, &SETTINGS);
    let url = format!("{}/openapi/{name}.json", service.base_url);
    let output = run(&service, data.path(), &url, number("EXAMPLES", EXAMPLES));
    let said = String::from_utf8_lossy(&output.stdout);
    let operations = OPERATIONS.iter().filter(|operation| operation.document == name).count();
    let is_whole = said.contains(&format!("Selected: {operations}/{operations}"))
        && said.contains(&format!("Tested: {operations}"));
    let is_fine = output.status.success() && is_whole;
    (!is_fine).then(|| format!("{name}: {}\n{said}", output.status))
}

fn run(service: &Process, data: &Path, location: &str, examples: u32) -> Output {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis");
    let (examples, seed) = (examples.to_string(), number("SEED", SEED).to_string());
    let environment = python_environment("schemathesis", "tests/schemathesis/requirements.txt");
    let mut command = Command::new(environment.join("bin/schemathesis"));
    command.arg("--config-file").arg(tests.join("schemathesis.toml"));
    command.args(["run", location, "--url", &service.base_url]);
    command.args(["--max-examples", &examples, "--seed", &seed, "--continue-on-failure"]);
    command.args(["--generation-database", "none", "--no-color"]);
    command.env("VESTIBULE_CREDENTIALS", data.join("dev-credentials.json"));
    command.env("SCHEMATHESIS_HOOKS", "hooks").env("PYTHONPATH", tests);
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command.current_dir(data).output().expect("Schemathesis runs")
}

fn number(name: &str, usual: u32) -> u32 {
    let told = std::env::var(format!("VESTIBULE_SCHEMATHESIS_{name}"));
    told.map_or(usual, |text| text.parse().unwrap_or_else(|bad| panic!("{name}: {bad}")))
}
