//! `cargo xtask diff`: what changed in the documents since they parted from the main branch, and
//! for whom that is a break.
//!
//! This module brings the parts together: the base from git, the working tree from the disk, the
//! comparison, the approvals, a second opinion, one report. Only it and `base` touch anything.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::ExitCode;
use std::time::SystemTime;

use anstream::{eprint, print};
use chrono::DateTime;
use clap::ValueEnum;

use crate::document::{self, Documents, Texts};

mod approvals;
mod base;
mod class;
mod compare;
mod report;
mod second_opinion;
#[cfg(test)]
mod tests;

use approvals::Approval;
use base::{Base, Missing};
use compare::Version;
use report::Report;

/// How the report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Aligned lines for a terminal.
    Table,
    /// For the description of a merge request.
    Markdown,
    /// For programs.
    Json,
}

/// What to compare with and how to tell.
#[derive(clap::Args, Debug)]
pub struct Options {
    /// The commit to compare with; without it the merge base of HEAD with `main`, or with
    /// `origin/main` where there is no `main`.
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// How to write the report.
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    /// Be content when there is nothing to compare with, as in a shallow clone.
    #[arg(long, conflicts_with = "base")]
    allow_no_base: bool,
}

/// What the command has to say, with colours for `anstream`; `fails` is exit code 1.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    report: String,
    /// Instead of a report, for people.
    complaint: String,
    fails: bool,
}

/// Compares, prints the report; exit code 1 when a break is not approved or an approval is left
/// over.
pub fn run(root: &Path, options: &Options) -> Result<ExitCode, String> {
    let outcome = outcome(root, options).map_err(|bad| format!("error: {bad}"))?;
    print!("{}", outcome.report);
    eprint!("{}", outcome.complaint);
    Ok(ExitCode::from(u8::from(outcome.fails)))
}

fn outcome(root: &Path, options: &Options) -> Result<Outcome, String> {
    let base = match Base::find(root, options.base.as_deref()) {
        Ok(base) => base,
        Err(Missing::Nowhere(reason)) if options.allow_no_base => {
            let report = report::without_base(&reason, options.format);
            return Ok(Outcome { report, ..Outcome::default() });
        }
        Err(Missing::Nowhere(reason) | Missing::Unknown(reason)) => return Err(reason),
    };
    let head = match working_tree(root)? {
        Ok(version) => version,
        Err(complaint) => return Ok(Outcome { complaint, fails: true, ..Outcome::default() }),
    };
    let old = committed(root, &base)?;
    let ours = approvals(fs::read_to_string(root.join("openapi").join(approvals::FILE)))?;
    // What the base approved is only asked for what it was about: a malformed file is no obstacle.
    let theirs = base.file(root, approvals::FILE)?.unwrap_or_default();
    let theirs = approvals::parse(&theirs).unwrap_or_default();

    let changes = compare::compare(&old, &head);
    let leftovers = approvals::leftovers(&ours, &theirs, &changes);
    let second_opinion = second_opinion::disagreements(&old, &head, &changes);
    let changes = report::judged(changes, &ours, &old.files, &head.files);
    let report = Report { base, changes, leftovers, second_opinion, today: today() };
    let fails = report.fails();
    let report = match options.format {
        Format::Table => report.table(),
        Format::Markdown => report.markdown(),
        Format::Json => report.json(),
    };
    Ok(Outcome { report, fails, ..Outcome::default() })
}

/// The changes from one state of the documents to another, a sentence each.
pub fn in_words(old: (Documents, &Texts), new: (Documents, &Texts)) -> Vec<String> {
    let versions = [old, new].map(|(documents, texts)| Version::new(documents, texts));
    compare::compare(&versions[0], &versions[1]).iter().map(report::sentence).collect()
}

/// The documents as they are on the disk, or in full what is wrong with them.
///
/// # Errors
/// In one line what cannot be read.
fn working_tree(root: &Path) -> Result<Result<Version, String>, String> {
    let texts = document::read(&root.join("openapi"))?;
    let loaded = document::load_texts(&texts).map_err(|findings| {
        let shown: String = findings.iter().map(|finding| format!("{finding:#}\n\n")).collect();
        format!("{shown}{} finding(s) in the documents: mend them, then compare.\n", findings.len())
    });
    Ok(loaded.map(|documents| Version::new(documents, &texts)))
}

/// The documents as they were, whatever dialect they were written in.
fn committed(root: &Path, base: &Base) -> Result<Version, String> {
    let texts: BTreeMap<String, String> = base.texts(root)?;
    let documents = document::load_leniently(&texts).map_err(|findings| {
        let first = findings.first().map(|it| match it.line {
            0 => format!("{}: {}", it.file, it.message),
            line => format!("{}:{line}: {}", it.file, it.message),
        });
        format!(
            "the documents of {} ({}) cannot be understood: {}; compare with another commit: \
             `--base REV`",
            base.title,
            base.short(),
            first.unwrap_or_default()
        )
    })?;
    Ok(Version::new(documents, &texts))
}

fn approvals(text: std::io::Result<String>) -> Result<Vec<Approval>, String> {
    match text {
        Ok(text) => approvals::parse(&text),
        Err(bad) if bad.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(bad) => Err(format!("openapi/{} cannot be read: {bad}", approvals::FILE)),
    }
}

/// For the entries to paste.
#[expect(clippy::disallowed_methods, reason = "a developer's command has no context to ask")]
fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |elapsed| elapsed.as_secs() as i64);
    DateTime::from_timestamp(seconds, 0).unwrap_or_default().date_naive().to_string()
}
