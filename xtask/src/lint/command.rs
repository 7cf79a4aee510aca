//! The command itself: which files are meant, what is printed, how it ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::println;
use clap::{Args, ValueEnum};

use super::{Input, Report, check, explain, report_json, report_sarif, report_text};
use crate::document::{self, Documents, Finding, SHARED, Texts};
use crate::rule;

/// The folder of the documents and the file of silences in it.
const FOLDER: &str = "openapi";
const SILENCES: &str = "lint.toml";

/// What is linted and how it is told.
#[derive(Args, Default)]
pub struct Lint {
    /// One folder of documents, or single documents, YAML or JSON [default: openapi/].
    paths: Vec<PathBuf>,
    /// How findings are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// List every rule with its reason and end.
    #[arg(long, conflicts_with_all = ["paths", "format", "explain"])]
    rules: bool,
    /// Explain one rule, with a bad and a good example, and end.
    #[arg(long, value_name = "RULE", conflicts_with_all = ["paths", "format"])]
    explain: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people: each line shown, the place underlined.
    #[default]
    Text,
    /// One object with all findings.
    Json,
    /// SARIF 2.1.0, for code hosts and editors.
    Sarif,
}

/// Runs the command.
pub fn run(root: &Path, lint: &Lint) -> Result<ExitCode, String> {
    if lint.rules {
        println!("{}", explain::list());
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(name) = &lint.explain {
        println!("{}", explain::one(name)?);
        return Ok(ExitCode::SUCCESS);
    }
    let input = match &lint.paths[..] {
        [] => folder(&root.join(FOLDER), FOLDER)?,
        paths => named(paths)?,
    };
    let report = check(&input);
    match lint.format {
        Format::Text => println!("{}", shown_text(&report)),
        Format::Json => println!("{:#}", report_json::json(&report)),
        Format::Sarif => println!("{:#}", report_sarif::sarif(&report)),
    }
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Why nothing can be generated.
#[derive(Debug)]
pub enum Refused {
    /// The findings as they are shown.
    Findings(String),
    /// What could not be read.
    Unusable(String),
}

/// The documents of the repository and the texts they were read from, if there is nothing to
/// object.
pub fn documents(root: &Path) -> Result<(Documents, Texts), Refused> {
    accepted(folder(&root.join(FOLDER), FOLDER).map_err(Refused::Unusable)?)
}

/// Somebody's documents, a folder or one file, if there is nothing to object.
pub fn documents_at(path: &Path) -> Result<Documents, Refused> {
    accepted(named(&[path.to_owned()]).map_err(Refused::Unusable)?).map(|(documents, _)| documents)
}

fn accepted(input: Input) -> Result<(Documents, Texts), Refused> {
    let report = check(&input);
    if !report.findings.is_empty() {
        return Err(Refused::Findings(shown_text(&report)));
    }
    let documents = document::load_texts(&input.texts).map_err(|findings| {
        // A silence does not make readable what the generator cannot read.
        let report = Report { files: findings.len(), findings, silenced: Vec::new() };
        Refused::Findings(shown_text(&report))
    })?;
    Ok((documents, input.texts))
}

fn shown_text(report: &Report) -> String {
    format!("{}{}", report_text::findings(report), report_text::closing(report))
}

/// A whole folder, shown as `shown/…`.
pub fn folder(folder: &Path, shown: &str) -> Result<Input, String> {
    let mut input = Input { is_whole: true, ..Input::default() };
    let unreadable = |error| format!("error: {} cannot be read: {error}", folder.display());
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = format!("{shown}/{name}");
        if name == SILENCES {
            input.silences = Some((file, read(&path)?));
        } else if document::is_document(&path) {
            add(&mut input, &path, file);
        }
    }
    if input.texts.is_empty() && input.unreadable.is_empty() {
        return Err(format!(
            "error: {} holds no document: expected *.yaml, *.yml or *.json",
            folder.display()
        ));
    }
    Ok(input)
}

/// Folders and files as they were named. The `common.yaml` and the silences beside a single file
/// are read too: its references lead somewhere, and what is silenced stays silent.
fn named(paths: &[PathBuf]) -> Result<Input, String> {
    if let [path] = paths
        && path.is_dir()
    {
        return folder(path, &shown(path));
    }
    let mut input = Input::default();
    let mut beside = BTreeMap::new();
    for path in paths {
        if path.is_dir() {
            return Err(format!("error: name one folder, or files: {}", path.display()));
        }
        if !path.exists() {
            return Err(format!("error: there is no file {}", path.display()));
        }
        add(&mut input, path, shown(path));
        let common = path.with_file_name(format!("{SHARED}.yaml"));
        if common.is_file() {
            beside.insert(shown(&common), common);
        }
        let silences = path.with_file_name(SILENCES);
        if silences.is_file() && input.silences.is_none() {
            input.silences = Some((shown(&silences), read(&silences)?));
        }
    }
    let has_common = input.texts.keys().any(|file| document::stem(file) == SHARED);
    if let Some((file, path)) = beside.into_iter().next().filter(|_| !has_common) {
        input.context.insert(file.clone());
        input.texts.insert(file, read(&path)?);
    }
    Ok(input)
}

fn add(input: &mut Input, path: &Path, file: String) {
    match fs::read_to_string(path) {
        Ok(text) => {
            input.texts.insert(file, text);
        }
        Err(error) => {
            let message = format!("cannot be read: {error}");
            input.unreadable.push(Finding::of_file(&file, &rule::UNREADABLE_FILE, message));
        }
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string().trim_end_matches('/').to_owned()
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path)
        .map_err(|error| format!("error: {} cannot be read: {error}", path.display()))
}
