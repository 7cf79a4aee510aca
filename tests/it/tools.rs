//! Programs beyond the Rust toolchain, where `cargo xtask test` found or put them.
//!
//! A test that needs one and is started otherwise fails and says so; it never passes by skipping.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Node.js, 18 or newer.
pub fn node() -> PathBuf {
    place("VESTIBULE_TEST_NODE")
}

/// The installed packages of `xtask/node`.
pub fn node_modules() -> PathBuf {
    place("VESTIBULE_TEST_NODE_MODULES")
}

/// Python 3 with the module venv.
pub fn python() -> PathBuf {
    place("VESTIBULE_TEST_PYTHON")
}

/// A browser that playwright-core drives.
pub fn chromium() -> PathBuf {
    place("VESTIBULE_TEST_CHROMIUM")
}

/// The program of PostgreSQL that makes clusters.
pub fn initdb() -> PathBuf {
    place("VESTIBULE_TEST_INITDB")
}

/// The pooler of connections.
pub fn pgbouncer() -> PathBuf {
    place("VESTIBULE_TEST_PGBOUNCER")
}

/// The administrative address of a PostgreSQL on which tests may make databases.
pub fn postgres() -> String {
    place("VESTIBULE_TEST_POSTGRES").into_os_string().into_string().expect("an address is text")
}

/// What a program does with this on its standard input.
pub fn fed(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|bad| panic!("{command:?}: {bad}"));
    // One that reads no input may be gone already.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    child.wait_with_output().expect("it ends")
}

/// A virtual environment below `target/` with the pinned packages of a `requirements.txt`; made anew
/// when that changes, by one process at a time.
pub fn python_environment(name: &str, requirements: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (folder, pinned) = (root.join("target").join(name), root.join(requirements));
    let wanted = fs::read_to_string(&pinned).expect("it is in the repository");
    let lock = File::create(folder.with_extension("lock")).expect("target is ours");
    lock.lock().expect("one run at a time makes it");
    let stamp = folder.join("installed-from");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    done(Command::new(python()).args(["-m", "venv", "--clear"]).arg(&folder));
    let mut install = Command::new(folder.join("bin/python"));
    done(install.args(["-m", "pip", "install", "--quiet", "-r"]).arg(pinned));
    fs::write(stamp, wanted).expect("target is ours");
    folder
}

fn done(command: &mut Command) {
    let output = command.output().unwrap_or_else(|bad| panic!("{command:?}: {bad}"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
}

fn place(variable: &str) -> PathBuf {
    let told = std::env::var_os(variable);
    told.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")).into()
}

#[test]
fn everything_that_tests_need_is_there() {
    for program in [node(), python(), chromium(), initdb(), pgbouncer()] {
        assert!(program.is_file(), "{}", program.display());
    }
    let packages = ["openapi-typescript", "typescript", "swagger-ui-dist", "playwright-core"];
    for package in packages {
        assert!(node_modules().join(package).is_dir(), "{package}");
    }
}
