//! Findings for people, each with its line; what repeats itself is counted in the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::Report;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
/// How many findings of one rule are shown; the others are like them.
const SHOWN: usize = 20;

/// Every finding as it is shown, and what was left out.
pub fn findings(report: &Report) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut out = String::new();
    for finding in &report.findings {
        let count = counts.entry(finding.rule.name).or_default();
        *count += 1;
        if *count <= SHOWN {
            let _ = writeln!(out, "{finding:#}\n");
        }
    }
    for (rule, count) in counts.iter().filter(|(_, count)| **count > SHOWN) {
        let _ = writeln!(out, "{} more of rule {rule}\n", count - SHOWN);
    }
    out
}

/// The sentence in the end.
pub fn closing(report: &Report) -> String {
    let files = counted(report.files, "file");
    let silenced = match report.silenced.len() {
        0 => String::new(),
        count => format!("; {} silenced in lint.toml", counted(count, "finding")),
    };
    let count = report.findings.len();
    if count == 0 {
        return format!("{GOOD}No findings{GOOD:#} in {files}{silenced}.");
    }
    let rules: BTreeMap<_, ()> = report.findings.iter().map(|it| (it.rule.name, ())).collect();
    let first = report.findings[0].rule.name;
    format!(
        "{BAD}{}{BAD:#} of {} in {files}{silenced}. \
         `cargo xtask lint --explain {first}` tells more of the first one.",
        counted(count, "finding"),
        counted(rules.len(), "rule"),
    )
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
