//! `cargo xtask lint`: every rule held against the documents, minus what `lint.toml` silences.
//!
//! [`check`] is pure, texts in and a report out; [`command`] alone reads files and prints.

pub mod command;
mod explain;
mod report_json;
mod report_sarif;
mod report_text;
mod rules;
mod silence;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{self, Finding, Tree};
use crate::rule;
use silence::Silence;

/// What is to be checked.
#[derive(Debug, Default)]
pub struct Input {
    /// File name (`openapi/embed.yaml`) and text.
    pub texts: BTreeMap<String, String>,
    /// Files that are here to be referred to: nothing is said about them.
    pub context: BTreeSet<String>,
    /// Name and text of the file of silences.
    pub silences: Option<(String, String)>,
    /// Whether these are all documents there are, with their `common.yaml`.
    pub is_whole: bool,
    /// Files that could not be read.
    pub unreadable: Vec<Finding>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Sorted by file and position.
    pub findings: Vec<Finding>,
    /// Silenced findings, each with the reason.
    pub silenced: Vec<(Finding, String)>,
    /// How many files were checked.
    pub files: usize,
}

/// Holds every rule against the documents.
pub fn check(input: &Input) -> Report {
    let (trees, mut findings) = document::parse(&input.texts);
    let parsed = trees.len() == input.texts.len() && input.unreadable.is_empty();
    let checked = document::check(&trees, &mut findings);
    let has_common = input.texts.keys().any(|file| document::stem(file) == document::SHARED);
    if input.is_whole && !has_common {
        findings.push(document::missing_common());
    }
    // Without common.yaml every reference to it would be reported as well: noise.
    if checked.common.is_some() || !(input.is_whole || has_common) {
        findings.extend(document::check_names(checked.common.as_ref(), &checked.surfaces));
        let view = view::View::new(&checked, input.is_whole && parsed, &mut findings);
        rules::check(&view, &mut findings);
    }
    findings.extend(input.unreadable.iter().cloned());
    findings.retain(|finding| !input.context.contains(&finding.file));
    findings.sort();
    findings.dedup();
    silenced(input, &trees, findings)
}

fn silenced(input: &Input, trees: &[Tree<'_>], findings: Vec<Finding>) -> Report {
    let files = input.texts.len() - input.context.len() + input.unreadable.len();
    let Some((file, text)) = &input.silences else {
        return Report { findings, silenced: Vec::new(), files };
    };
    let source = document::Source::new(file, text);
    let (silences, mut wrong) = silence::read(&source, trees);
    // Beside a part of the documents the silences of the others lead nowhere.
    if !input.is_whole {
        wrong.retain(|finding| finding.rule != &rule::SILENCE_POINTER);
    }
    let mut report = Report { findings: wrong, silenced: Vec::new(), files };
    // Rules over all documents did not run when one could not be read.
    let is_all = input.is_whole && trees.len() == input.texts.len();
    let mut used = vec![!is_all; silences.len()];
    for finding in findings {
        let place = silence::place(trees, &finding);
        let matching = silences.iter().position(|silence: &Silence| {
            place.as_ref().is_some_and(|place| silence.covers(finding.rule, place))
        });
        match matching {
            Some(index) => {
                used[index] = true;
                report.silenced.push((finding, silences[index].reason.clone()));
            }
            None => report.findings.push(finding),
        }
    }
    for (silence, _) in silences.iter().zip(used).filter(|(_, used)| !used) {
        let message = format!("`{}` finds nothing at `{}`", silence.rule.name, silence.at);
        let finding = source.finding(silence.span, &rule::SILENCE_UNUSED, message);
        report.findings.push(finding.help("remove this silence"));
    }
    report.findings.sort();
    report
}
