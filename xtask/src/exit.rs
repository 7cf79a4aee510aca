//! How a program that a command stands for ends the command.
//!
//! It knows no program: its name is for the sentence alone.

use std::process::{ExitCode, ExitStatus};

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
