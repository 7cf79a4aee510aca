//! The report for programs.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::{Judged, Report, subject};
use crate::diff::approvals::{Approval, Leftover};
use crate::diff::class::{Class, Side};
use crate::diff::second_opinion::Disagreement;

#[derive(Serialize)]
struct Shown<'r> {
    base: Compared<'r>,
    /// Whether the command exits with 0.
    fine: bool,
    counts: Counts,
    changes: Vec<Entry<'r>>,
    leftover_approvals: &'r [Leftover],
    second_opinion: &'r [Disagreement],
    summary: String,
}

#[derive(Serialize)]
struct Compared<'r> {
    commit: &'r str,
    title: &'r str,
    is_head: bool,
}

#[derive(Serialize)]
struct Counts {
    breaks_caller: usize,
    breaks_server: usize,
    additive: usize,
    wording: usize,
    unapproved: usize,
}

#[derive(Serialize)]
struct Entry<'r> {
    document: &'r str,
    subject: String,
    class: Class,
    change: &'r str,
    side: Option<Side>,
    what: &'r str,
    old: &'r Option<Value>,
    new: &'r Option<Value>,
    pointer: &'r str,
    /// Of the head, or of the base for what is gone.
    file: Option<&'r str>,
    line: Option<usize>,
    column: Option<usize>,
    operations: &'r BTreeSet<String>,
    approval: &'r Option<Approval>,
}

impl Report {
    pub fn json(&self) -> String {
        let shown = Shown {
            base: Compared {
                commit: &self.base.commit,
                title: &self.base.title,
                is_head: self.base.is_head,
            },
            fine: !self.fails(),
            counts: Counts {
                breaks_caller: self.count(Class::BreaksCaller),
                breaks_server: self.count(Class::BreaksServer),
                additive: self.count(Class::Additive),
                wording: self.count(Class::Wording),
                unapproved: self.unapproved().count(),
            },
            changes: self.changes.iter().map(entry).collect(),
            leftover_approvals: &self.leftovers,
            second_opinion: &self.second_opinion,
            summary: self.closing(),
        };
        let text = serde_json::to_string_pretty(&shown)
            .expect("names, numbers and JSON values can be written");
        text + "\n"
    }
}

/// The report where there is nothing to compare with.
pub fn without_base(summary: &str) -> String {
    format!("{:#}\n", json!({ "base": null, "fine": true, "changes": [], "summary": summary }))
}

fn entry(judged: &Judged) -> Entry<'_> {
    let (change, place) = (&judged.change, judged.place.as_ref());
    Entry {
        document: &change.document,
        subject: subject(&change.pointer),
        class: change.class,
        change: &change.name,
        side: change.side,
        what: &change.what,
        old: &change.old,
        new: &change.new,
        pointer: &change.pointer,
        file: place.map(|it| it.file.as_str()),
        line: place.map(|it| it.line),
        column: place.map(|it| it.column),
        operations: &change.operations,
        approval: &judged.approval,
    }
}
