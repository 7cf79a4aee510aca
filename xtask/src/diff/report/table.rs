//! The report for a terminal: grouped, aligned, coloured by class.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};

use super::{Judged, Report, objection, place, reach};
use crate::diff::class::Class;

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const GREEN: Style = AnsiColor::Green.on_default();
const BLUE: Style = AnsiColor::Blue.on_default();

/// As wide as the longest class.
const CLASS: usize = "breaks callers".len();

impl Report {
    /// Lines with colours; `anstream` drops them where nobody can see them.
    pub fn table(&self) -> String {
        let mut out = String::new();
        if !self.changes.is_empty() {
            out += &format!("{BOLD}the documents against {}{BOLD:#}\n", self.title());
        }
        let width = self.changes.iter().map(|it| it.change.name.len()).max().unwrap_or_default();
        let mut last = None;
        for ((document, subject), changes) in self.groups() {
            if last.replace(document) != Some(document) {
                out += &format!("\n{BOLD}{document}{BOLD:#}\n");
            }
            out += &format!("  {BLUE}{subject}{BLUE:#}\n");
            changes.iter().for_each(|judged| lines(&mut out, judged, width));
        }
        self.paste(&mut out);
        self.remove(&mut out);
        self.dissent(&mut out);
        let style = if self.fails() { RED } else { GREEN };
        let gap = if out.is_empty() { "" } else { "\n" };
        out + &format!("{gap}{style}{}{style:#}\n", self.closing())
    }

    fn paste(&self, out: &mut String) {
        let snippets = self.snippets();
        if snippets.is_empty() {
            return;
        }
        *out += &format!("\n{BOLD}to approve, with a reason each:{BOLD:#}\n");
        snippets.iter().for_each(|snippet| *out += &format!("\n{snippet}"));
    }

    fn remove(&self, out: &mut String) {
        if self.leftovers.is_empty() {
            return;
        }
        *out += &format!("\n{BOLD}approvals to remove:{BOLD:#}\n");
        for leftover in &self.leftovers {
            let it = &leftover.approval;
            let file = crate::diff::approvals::FILE;
            let names = format!("{} {} {}", it.document, it.change, it.pointer);
            let place = format!("openapi/{file}:{}", it.line);
            *out += &format!("  {YELLOW}{}{YELLOW:#}: {names}\n", objection(leftover));
            *out += &format!("    {DIM}{place}{DIM:#}\n");
        }
    }

    fn dissent(&self, out: &mut String) {
        if self.second_opinion.is_empty() {
            return;
        }
        *out += &format!("\n{BOLD}a second opinion, where `drift` disagrees:{BOLD:#}\n");
        for it in &self.second_opinion {
            *out += &format!("  {BLUE}{} {}{BLUE:#}\n", it.document, it.pointer);
            *out += &format!("    we:    {}\n    drift: {}\n", it.ours, it.drift);
        }
    }
}

fn lines(out: &mut String, judged: &Judged, width: usize) {
    let change = &judged.change;
    let style = style(change.class);
    let class = change.class.to_string();
    *out +=
        &format!("    {style}{class:CLASS$}{style:#}  {:width$}  {}\n", change.name, change.what);
    let mut details = vec![change.pointer.clone(), place(judged), reach(change)];
    details.retain(|detail| !detail.is_empty());
    let indent = 4 + CLASS + 2;
    if !details.is_empty() {
        let _ = writeln!(out, "{:indent$}{DIM}{}{DIM:#}", "", details.join("  "));
    }
    if let Some(it) = &judged.approval {
        let _ = writeln!(out, "{:indent$}{GREEN}approved {}: {}{GREEN:#}", "", it.date, it.reason);
    }
}

fn style(class: Class) -> Style {
    match class {
        Class::BreaksCaller => RED,
        Class::BreaksServer => YELLOW,
        Class::Additive => GREEN,
        Class::Wording => DIM,
    }
}
