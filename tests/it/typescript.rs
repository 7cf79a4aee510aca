//! The generated TypeScript client: it compiles strictly, and under Node.js it opens a session
//! through each door of the running service.
//!
//! What is asked of it stands in `tests/typescript`; this file prepares and starts that.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use crate::process::Process;
use crate::tools;

/// Both are copied side by side as they lie in the repository.
const PARTS: [&str; 2] = ["generated/typescript", "tests/typescript"];

#[test]
fn the_client_compiles_strictly() {
    let output = tsc(copied().path(), &["--noEmit", "--project", "generated/typescript"]);
    assert!(output.status.success(), "{}", printed(&output));
}

#[test]
fn the_client_opens_a_session_through_each_door() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let copied = copied();
    let place = copied.path();
    let output = tsc(place, &["--project", "tests/typescript"]);
    assert!(output.status.success(), "{}", printed(&output));
    let output = Command::new(tools::node())
        .args(["--test-reporter=tap", "built/tests/typescript/client.test.js"])
        .arg(data.path().join("dev-credentials.json"))
        .current_dir(place)
        .output()
        .expect("node runs");
    drop(process);
    let text = printed(&output);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().find_map(|line| line.strip_prefix("# pass "));
    let written = fs::read_to_string(place.join("tests/typescript/client.test.ts"));
    let written = written.expect("it was copied").matches("\ntest(").count();
    assert_eq!(passed, Some(&*written.to_string()), "{text}");
}

/// The package is checked with the very versions that it asks for.
#[test]
fn versions_are_those_of_the_pinned_tools() {
    let read = |path: &str| -> Value {
        let text = fs::read_to_string(root().join(path)).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    };
    let pinned = read("xtask/node/package.json");
    let package = read("generated/typescript/package.json");
    for kind in ["dependencies", "devDependencies"] {
        for (name, version) in package[kind].as_object().expect("some") {
            assert_eq!(version, &pinned["devDependencies"][name], "{name}");
        }
    }
    assert_eq!(package["version"], env!("CARGO_PKG_VERSION"));
}

/// A copy of both parts below the installed packages, where Node.js and tsc look for them.
fn copied() -> tempfile::TempDir {
    let below = tools::node_modules().with_file_name("copies");
    fs::create_dir_all(&below).expect("target is ours");
    let place = tempfile::tempdir_in(below).expect("target is ours");
    PARTS.iter().for_each(|part| copy(&root().join(part), &place.path().join(part)));
    fs::write(place.path().join("package.json"), r#"{"type":"module"}"#).expect("it is ours");
    place
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("it is ours");
    for entry in fs::read_dir(from).expect("a folder of the repository") {
        let entry = entry.expect("the disk");
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        match entry.file_type().expect("the disk").is_dir() {
            true if entry.file_name() == "node_modules" => {}
            true => copy(&from, &to),
            false => drop(fs::copy(from, to).expect("the disk")),
        }
    }
}

fn tsc(place: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(tools::node());
    command.arg(tools::node_modules().join("typescript/bin/tsc")).args(arguments);
    command.current_dir(place).output().expect("node runs")
}

fn printed(output: &Output) -> String {
    [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
