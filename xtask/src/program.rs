//! How a command starts a program of its own package, and how that program ends the command.
//!
//! It knows no program: names are for arguments and sentences alone.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

/// Cargo from where the user stands, so that paths mean what was meant.
pub fn cargo(root: &Path, command: &str) -> Command {
    let mut cargo = Command::new("cargo");
    cargo.args([command, "--quiet", "--manifest-path"]).arg(root.join("Cargo.toml"));
    cargo
}

/// Builds a package, without running it.
///
/// # Errors
/// One line: cargo does not run, or the package does not build.
pub fn build(root: &Path, package: &str) -> Result<(), String> {
    let built = cargo(root, "build").args(["--package", package]).status();
    match built.map_err(|bad| format!("error: cargo does not run: {bad}"))?.success() {
        true => Ok(()),
        false => Err(format!("error: {package} does not build")),
    }
}

/// Builds and runs a package with these arguments; its exit code is ours.
///
/// # Errors
/// One line: cargo does not run, or the program was ended.
pub fn run(root: &Path, package: &str, arguments: &[String]) -> Result<ExitCode, String> {
    let ran = cargo(root, "run").args(["--package", package, "--"]).args(arguments).status();
    code(package, ran.map_err(|bad| format!("error: cargo does not run: {bad}"))?)
}

/// The program's exit code as ours.
///
/// # Errors
/// One line when there is none: a program that a signal ended found nothing and is not fine.
pub fn code(program: &str, status: ExitStatus) -> Result<ExitCode, String> {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map(ExitCode::from).ok_or_else(|| format!("error: {program} was ended: {status}"))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, ExitCode};

    use super::code;

    #[test]
    fn a_program_that_a_signal_ended_is_not_fine() {
        let ended = |script: &str| {
            let status = Command::new("sh").args(["-c", script]).status();
            code("it", status.expect("there is a shell"))
        };
        assert_eq!(ended("exit 0"), Ok(ExitCode::SUCCESS));
        assert_eq!(ended("exit 2"), Ok(ExitCode::from(2)));
        let problem = ended("kill -9 $$").expect_err("it has no exit code");
        assert!(problem.starts_with("error: it was ended: signal: 9"), "{problem}");
    }
}
