//! A thing wrong in a document, and how it is shown: rule, place, the line underlined, the repair.
//!
//! It knows texts and positions, nothing of YAML or OpenAPI.

use std::fmt;

use anstyle::{AnsiColor, Style};

use super::yaml::Span;

const BOLD: Style = Style::new().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const BLUE: Style = AnsiColor::Blue.on_default().bold();

/// One finding. `{}` prints it plain, `{:#}` with colours (for `anstream`, which drops them where
/// nobody can see them).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub file: String,
    /// 1-based; 0 when the finding is about the file as a whole.
    pub line: usize,
    /// 1-based, in characters; 0 when the finding is about the file as a whole.
    pub column: usize,
    /// The rule's name in kebab-case, stable.
    pub rule: &'static str,
    pub message: String,
    /// The repair.
    pub help: Option<String>,
    /// The text of the line, to be underlined.
    source_line: String,
    /// How many characters to underline, at least one.
    underline: usize,
}

/// A file's name and text.
#[derive(Clone, Copy, Debug)]
pub struct Source<'t> {
    pub file: &'t str,
    pub text: &'t str,
}

impl<'t> Source<'t> {
    /// `embed` of `openapi/embed.yaml`.
    pub fn stem(&self) -> &'t str {
        let name = self.file.rsplit('/').next().unwrap_or(self.file);
        name.strip_suffix(".yaml").unwrap_or(name)
    }

    /// A finding at a place of this file.
    pub fn finding(&self, at: Span, rule: &'static str, message: impl Into<String>) -> Finding {
        let source_line = self.text.lines().nth(at.line - 1).unwrap_or_default();
        // A tab would move the underline; it counts as one column.
        let source_line = source_line.replace('\t', " ").trim_end().to_owned();
        let rest = (source_line.chars().count() + 1).saturating_sub(at.column);
        let length =
            if at.end_line == at.line { at.end_column.saturating_sub(at.column) } else { rest };
        Finding {
            file: self.file.to_owned(),
            line: at.line,
            column: at.column,
            rule,
            message: message.into(),
            help: None,
            source_line,
            underline: length.min(rest).max(1),
        }
    }
}

impl Finding {
    /// A finding about a file as a whole.
    pub fn of_file(file: &str, rule: &'static str, message: impl Into<String>) -> Self {
        Finding {
            file: file.to_owned(),
            line: 0,
            column: 0,
            rule,
            message: message.into(),
            help: None,
            source_line: String::new(),
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
        writeln!(f, "{red}error[{}]{red:#}{bold}: {}{bold:#}", self.rule, self.message)?;
        let number = if self.line == 0 { String::new() } else { self.line.to_string() };
        let pad = " ".repeat(number.len());
        if self.line == 0 {
            write!(f, "{blue} -->{blue:#} {}", self.file)?;
        } else {
            let indent = " ".repeat(self.column - 1);
            let carets = "^".repeat(self.underline);
            writeln!(f, "{pad}{blue}-->{blue:#} {}:{}:{}", self.file, self.line, self.column)?;
            writeln!(f, "{pad} {blue}|{blue:#}")?;
            writeln!(f, "{blue}{number} |{blue:#} {}", self.source_line)?;
            write!(f, "{pad} {blue}|{blue:#} {indent}{red}{carets}{red:#}")?;
        }
        match &self.help {
            Some(help) => write!(f, "\n{pad} {blue}={blue:#} help: {help}"),
            None => Ok(()),
        }
    }
}

/// The candidate that was probably meant: few letters changed, added, lost or swapped.
pub fn nearest<'c>(word: &str, candidates: impl Iterator<Item = &'c str>) -> Option<&'c str> {
    let lower = word.to_lowercase();
    let tolerance = 1 + word.chars().count() / 4;
    candidates
        .map(|candidate| {
            (strsim::damerau_levenshtein(&lower, &candidate.to_lowercase()), candidate)
        })
        .filter(|(distance, _)| *distance <= tolerance)
        .min()
        .map(|(_, candidate)| candidate)
}
