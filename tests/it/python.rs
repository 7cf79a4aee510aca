//! Clients that openapi-python-client makes from our documents, by the very command of the README,
//! against the shipped binary.
//!
//! What is asked of them stands in `tests/python`, with the pinned versions.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use vestibule_api::documents;

use crate::process::Process;
use crate::tools::python_environment;

/// Where the README says that the service is.
const README_URL: &str = "http://127.0.0.1:8080";

#[test]
fn the_documented_command_makes_clients_that_open_a_session_through_each_door() {
    let environment = python_environment("python-client", "tests/python/requirements.txt");
    let data = tempfile::tempdir().expect("a temporary directory");
    let service = Process::start(data.path(), 0);
    for (name, _) in documents::ALL {
        let line = documented(name).replace(README_URL, &service.base_url);
        let output = python(&environment, data.path())
            .args(line.split_whitespace().skip(1))
            .arg("--fail-on-warning")
            .output();
        let said = printed(&output.expect("openapi-python-client runs"));
        assert!(said.is_ok(), "{line}: {said:?}");
    }
    let mut tests = Command::new(environment.join("bin/python"));
    tests.args(["-B", "-m", "unittest", "client"]).current_dir(root().join("tests/python"));
    tests.env("PYTHONPATH", data.path());
    tests.env("VESTIBULE_CREDENTIALS", data.path().join("dev-credentials.json"));
    let said = printed(&tests.output().expect("Python runs"));
    let written = include_str!("../python/client.py").matches("    def test_").count();
    let said = said.unwrap_or_else(|bad| panic!("{bad}"));
    assert!(said.contains(&format!("Ran {written} tests")), "{said}");
}

/// The README names the version that is tested.
#[test]
fn the_documented_version_is_the_pinned_one() {
    let pinned = include_str!("../python/requirements.txt");
    let version = pinned.lines().find(|line| line.starts_with("openapi-python-client=="));
    assert!(readme().contains(version.expect("it is pinned")), "{version:?}");
}

/// The README's command for a document; a copy in the repository is named from its root.
fn documented(name: &str) -> String {
    let readme = readme();
    let lines = readme.split('`').filter(|it| it.starts_with("openapi-python-client generate"));
    let fits = |line: &&str| line.ends_with(&format!("/{name}.json"));
    let line =
        lines.clone().find(fits).or_else(|| lines.clone().find(|it| it.ends_with("/embed.json")));
    let line =
        line.expect("the README has the command").replace("embed.json", &format!("{name}.json"));
    line.replace("generated/", &format!("{}/generated/", root().display()))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("a text")
}

/// openapi-python-client, beside which it finds the formatter that it calls.
fn python(environment: &Path, folder: &Path) -> Command {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::iter::once(environment.join("bin")).chain(std::env::split_paths(&path));
    let mut command = Command::new(environment.join("bin/openapi-python-client"));
    command.env("PATH", std::env::join_paths(places).expect("a PATH")).current_dir(folder);
    command
}

fn printed(output: &Output) -> Result<String, String> {
    let said = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    if output.status.success() { Ok(said) } else { Err(said) }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
