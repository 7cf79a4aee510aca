//! `cargo xtask planted-faults`: builds the service and starts the program that plants faults.
//!
//! That program is a package of its own, so that nobody waits for its HTTP parts who only
//! generates. Knows nothing of what it does.

use std::path::Path;
use std::process::{Command, ExitCode};

use crate::exit;

/// The program puts this binary behind its proxy; one build puts both into one folder.
const SERVICE: &str = "vestibule";
const PROGRAM: &str = "vestibule-planted-faults";

/// Runs the program with these arguments; its exit code is ours.
pub fn planted_faults(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let built = cargo(root, "build").args(["--package", SERVICE]).status();
    if !built.map_err(|bad| format!("error: cargo does not run: {bad}"))?.success() {
        return Err("error: the service does not build".into());
    }
    let ran = cargo(root, "run").args(["--package", PROGRAM, "--"]).args(arguments).status();
    let status = ran.map_err(|bad| format!("error: cargo does not run: {bad}"))?;
    exit::code(PROGRAM, status)
}

/// Cargo from where the user stands, so that paths mean what was meant.
fn cargo(root: &Path, command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--quiet", "--manifest-path"]).arg(root.join("Cargo.toml"));
    cargo
}
