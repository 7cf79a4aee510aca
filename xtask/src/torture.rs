//! `cargo xtask torture`: builds the service and starts the program that kills it.
//!
//! That program is a package of its own, so that nobody waits for its HTTP parts who only
//! generates. Knows nothing of what it does.

use std::path::Path;
use std::process::ExitCode;

use crate::{program, requirements};

/// The program kills this binary; one build puts both into one folder.
const SERVICE: &str = "vestibule";
const PROGRAM: &str = "vestibule-torture";

/// Runs the program with these arguments; its exit code is ours.
pub fn torture(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    program::build(root, SERVICE)?;
    let mut arguments = arguments.to_vec();
    // Found here, where it is known where PostgreSQL may lie.
    if arguments.iter().any(|it| it == "postgres" || it == "--engine=postgres") {
        let initdb = requirements::find(&[requirements::INITDB])?.remove(0);
        arguments.extend(["--initdb".to_owned(), initdb.display().to_string()]);
    }
    program::run(root, PROGRAM, &arguments)
}
