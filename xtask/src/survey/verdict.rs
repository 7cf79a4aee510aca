//! How one command ended on one document: run as its own process, so that a panic or an endless
//! loop is an outcome like any other.

use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{self, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longer than this is an outcome of its own.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a running command is looked at.
const GLANCE: Duration = Duration::from_millis(5);

/// What is run.
pub enum Command<'a> {
    Lint { file: &'a Path },
    Generate { file: &'a Path, into: &'a Path },
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing to object.
    Clean,
    /// Generated code, to be compiled.
    Code,
    /// Findings, each with file, line and column.
    Located,
    /// A message without a place.
    Unlocated(String),
    Panicked,
    TimedOut,
}

/// One run.
#[derive(Debug)]
pub struct Verdict {
    pub outcome: Outcome,
    /// How many findings; counted by the lint alone.
    pub findings: usize,
    pub took: Duration,
}

impl Verdict {
    /// Whether it ended as it must not.
    pub fn fails(&self) -> bool {
        matches!(self.outcome, Outcome::Unlocated(_) | Outcome::Panicked | Outcome::TimedOut)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Clean => f.write_str("clean"),
            Outcome::Code => f.write_str("code"),
            Outcome::Located => f.write_str("findings with a place"),
            Outcome::Unlocated(message) => write!(f, "a message without a place: {message}"),
            Outcome::Panicked => f.write_str("a panic"),
            Outcome::TimedOut => write!(f, "not done after {} s", PATIENCE.as_secs()),
        }
    }
}

/// Runs the command; what it prints is kept in `folder`.
///
/// # Errors
/// When the process cannot be started or its output not be read.
pub fn of(folder: &Path, command: &Command<'_>) -> Result<Verdict, String> {
    let bad = |bad: io::Error| format!("error: {}: {bad}", folder.display());
    let (out, err) = (folder.join("stdout.txt"), folder.join("stderr.txt"));
    let mut child = process::Command::new(std::env::current_exe().map_err(bad)?);
    match command {
        Command::Lint { file } => child.args(["lint", "--format=json"]).arg(file),
        Command::Generate { file, into } => {
            child.arg("generate").arg("--from").arg(file).arg("--into").arg(into)
        }
    };
    child.stdout(File::create(&out).map_err(bad)?).stderr(File::create(&err).map_err(bad)?);
    let started = Instant::now();
    let status = wait(&mut child).map_err(bad)?;
    let took = started.elapsed();
    let said = fs::read_to_string(&out).map_err(bad)?;
    let told = fs::read_to_string(&err).map_err(bad)?;
    let (outcome, findings) = match command {
        Command::Lint { .. } => linted(status, &said, &told),
        Command::Generate { .. } => (generated(status, &said, &told), 0),
    };
    Ok(Verdict { outcome, findings, took })
}

/// `None` when it was ended because it took too long.
fn wait(command: &mut process::Command) -> io::Result<Option<ExitStatus>> {
    let mut child = command.spawn()?;
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(GLANCE);
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn linted(status: Option<ExitStatus>, said: &str, told: &str) -> (Outcome, usize) {
    let report: Value = serde_json::from_str(said).unwrap_or_default();
    let all = report["findings"].as_array().map_or(&[][..], Vec::as_slice);
    let placeless = all.iter().find(|it| it["line"].as_u64().unwrap_or(0) == 0);
    let outcome = match ended(status, told) {
        Ok(0) => Outcome::Clean,
        Ok(1) if placeless.is_none() && !all.is_empty() => Outcome::Located,
        Ok(_) => Outcome::Unlocated(placeless.map_or_else(|| first_line(told), Value::to_string)),
        Err(outcome) => outcome,
    };
    (outcome, all.len())
}

fn generated(status: Option<ExitStatus>, said: &str, told: &str) -> Outcome {
    match ended(status, told) {
        Ok(0) => Outcome::Code,
        // As they are shown to people: an arrow, then file, line and column.
        Ok(1) if said.contains("--> ") => Outcome::Located,
        Ok(_) => Outcome::Unlocated(first_line(told)),
        Err(outcome) => outcome,
    }
}

/// The exit code, if the command ended by itself.
fn ended(status: Option<ExitStatus>, told: &str) -> Result<i32, Outcome> {
    let status = status.ok_or(Outcome::TimedOut)?;
    match status.code() {
        Some(code @ 0..=2) if !told.contains("panicked at") => Ok(code),
        _ => Err(Outcome::Panicked),
    }
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("no message").to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn exit(code: i32) -> Option<ExitStatus> {
        Some(ExitStatus::from_raw(code << 8))
    }

    #[test]
    fn a_panic_a_signal_and_a_message_without_a_place_fail() {
        let located = r#"{"findings":[{"line":3,"column":5}]}"#;
        assert_eq!(linted(exit(1), located, ""), (Outcome::Located, 1));
        let whole_file = r#"{"findings":[{"line":3},{"line":0}]}"#;
        assert!(matches!(linted(exit(1), whole_file, "").0, Outcome::Unlocated(_)));
        assert_eq!(linted(exit(101), "", "thread panicked at x.rs:1").0, Outcome::Panicked);
        assert_eq!(linted(exit(0), "", "thread panicked at x.rs:1").0, Outcome::Panicked);
        assert_eq!(linted(Some(ExitStatus::from_raw(11)), "", "").0, Outcome::Panicked);
        assert_eq!(linted(None, "", "").0, Outcome::TimedOut);
        assert_eq!(generated(exit(0), "", ""), Outcome::Code);
        assert_eq!(generated(exit(1), "error[x]: y\n --> a.json:1:2", ""), Outcome::Located);
        let refused = generated(exit(2), "", "error: a shape nobody knows\n");
        assert_eq!(refused, Outcome::Unlocated("error: a shape nobody knows".to_owned()));
    }
}
