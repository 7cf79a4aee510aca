//! `cargo xtask planted-faults`: builds the service and starts the program that plants faults.
//!
//! That program is a package of its own, so that nobody waits for its HTTP parts who only
//! generates. Knows nothing of what it does.

use std::path::Path;
use std::process::ExitCode;

use crate::program;

/// The program puts this binary behind its proxy; one build puts both into one folder.
const SERVICE: &str = "vestibule";
const PROGRAM: &str = "vestibule-planted-faults";

/// Runs the program with these arguments; its exit code is ours.
pub fn planted_faults(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    program::build(root, SERVICE)?;
    program::run(root, PROGRAM, arguments)
}
