//! A thing wrong in a document, and how it is shown: rule, place, the line underlined, the repair.
//!
//! It knows texts and positions, nothing of YAML or OpenAPI.

use std::fmt;

use anstyle::{AnsiColor, Style};

use super::yaml::Span;
use crate::rule::Rule;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

/// The widest part of a line that is shown, in characters; minified documents are one long line.
const WIDEST: usize = 160;
/// What is shown of a long line before the place, in characters.
const LEAD: usize = 60;
/// Every how many characters a [`Source`] notes where it is.
const STRIDE: usize = 1024;

/// One finding. `{}` prints it plain, `{:#}` with colours (for `anstream`, which drops them where
/// nobody can see them).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub file: String,
    /// 1-based; 0 when the finding is about the file as a whole.
    pub line: usize,
    /// 1-based, in characters; 0 when the finding is about the file as a whole.
    pub column: usize,
    pub end_line: usize,
    /// Exclusive.
    pub end_column: usize,
    pub rule: &'static Rule,
    pub message: String,
    /// The repair in this very case; what the rule says in general otherwise.
    pub help: Option<String>,
    /// The text of the line, or a part of a long one, to be underlined.
    source_line: String,
    /// Where the underline begins in it, from 0.
    indent: usize,
    /// How many characters to underline, at least one.
    underline: usize,
}

/// A file's name and text, with an index of places.
#[derive(Clone, Debug)]
pub struct Source<'t> {
    pub file: &'t str,
    pub text: &'t str,
    /// The byte at which every `STRIDE`-th character begins.
    marks: Vec<usize>,
}

impl<'t> Source<'t> {
    /// Indexes a text, so that a place in the middle of a long line is found at once.
    pub fn new(file: &'t str, text: &'t str) -> Self {
        let marks = text.char_indices().step_by(STRIDE).map(|(byte, _)| byte).collect();
        Source { file, text, marks }
    }

    /// `embed` of `openapi/embed.yaml`.
    pub fn stem(&self) -> &'t str {
        stem(self.file)
    }

    /// A finding at a place of this file.
    pub fn finding(&self, at: Span, rule: &'static Rule, message: impl Into<String>) -> Finding {
        let (source_line, indent) = self.window(at);
        let rest = source_line.chars().count().saturating_sub(indent);
        let length =
            if at.end_line == at.line { at.end_column.saturating_sub(at.column) } else { rest };
        Finding {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            end_line: at.end_line,
            end_column: at.end_column,
            rule,
            message: message.into(),
            help: None,
            source_line,
            indent,
            underline: length.min(rest).max(1),
        }
    }

    /// The line of a place, or the part of it around the place, and where the place is in it.
    fn window(&self, at: Span) -> (String, usize) {
        let byte = self.byte(at.index);
        let before = at.column - 1;
        let head = self.text[..byte].char_indices().rev().take(before.min(LEAD));
        let start = head.last().map_or(byte, |(start, _)| start);
        let indent = before.min(LEAD);
        // Not to the end of the line: that may be megabytes away.
        let mut tail = self.text[byte..].chars().take_while(|c| *c != '\n');
        let shown: String = tail.by_ref().take(WIDEST - indent).collect();
        let is_cut = tail.next().is_some();
        // A tab would move the underline; it counts as one column.
        let line = format!("{}{shown}", &self.text[start..byte]).replace('\t', " ");
        let mut line = line.trim_end().to_owned();
        if is_cut {
            line.push('…');
        }
        if before > LEAD {
            return (format!("…{line}"), indent + 1);
        }
        (line, indent)
    }

    /// Where the character of this index begins.
    fn byte(&self, index: usize) -> usize {
        let Some(mark) = self.marks.get(index / STRIDE) else { return self.text.len() };
        let mut rest = self.text[*mark..].char_indices();
        rest.nth(index % STRIDE).map_or(self.text.len(), |(byte, _)| mark + byte)
    }
}

/// `embed` of `openapi/embed.yaml`.
pub fn stem(file: &str) -> &str {
    let name = file.rsplit('/').next().unwrap_or(file);
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn of_file(file: &str, rule: &'static Rule, message: impl Into<String>) -> Self {
        Finding {
            file: file.to_owned(),
            line: 0,
            column: 0,
            end_line: 0,
            end_column: 0,
            rule,
            message: message.into(),
            help: None,
            source_line: String::new(),
            indent: 0,
            underline: 0,
        }
    }

    /// The same finding with its repair.
    pub fn help(self, help: impl Into<String>) -> Self {
        Finding { help: Some(help.into()), ..self }
    }

    /// The same finding with a repair if there is one to suggest.
    pub fn maybe_help(self, help: Option<String>) -> Self {
        Finding { help, ..self }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paint = |style| if f.alternate() { style } else { Style::new() };
        let (red, blue, bold) = (paint(RED), paint(BLUE), paint(BOLD));
        writeln!(f, "{red}error[{}]{red:#}{bold}: {}{bold:#}", self.rule.name, self.message)?;
        let number = if self.line == 0 { String::new() } else { self.line.to_string() };
        let pad = " ".repeat(number.len());
        if self.line == 0 {
            write!(f, "{blue} -->{blue:#} {}", self.file)?;
        } else {
            let indent = " ".repeat(self.indent);
            let carets = "^".repeat(self.underline);
            writeln!(f, "{pad}{blue}-->{blue:#} {}:{}:{}", self.file, self.line, self.column)?;
            writeln!(f, "{pad} {blue}|{blue:#}")?;
            writeln!(f, "{blue}{number} |{blue:#} {}", self.source_line)?;
            write!(f, "{pad} {blue}|{blue:#} {indent}{red}{carets}{red:#}")?;
        }
        let help = self.help.as_deref().unwrap_or(self.rule.remedy);
        write!(f, "\n{pad} {blue}={blue:#} help: {help}")
    }
}

/// The candidate that was probably meant: few letters changed, added, lost or swapped.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let tolerance = 1 + word.chars().count() / 4;
    candidates
        // Words of very different length are no neighbours; the distance need not be computed.
        .filter(|candidate| candidate.len().abs_diff(word.len()) <= tolerance)
        .map(|candidate| (strsim::osa_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}
