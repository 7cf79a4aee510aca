//! A document as lines: blocks found by their indentation, copied and set in, so that comments
//! and formatting stay as people wrote them.
//!
//! It knows places of a YAML tree and nothing of OpenAPI.

use std::ops::Range;

use crate::document::{Key, Node};

/// The lines that belong to a key: its own and all that are indented deeper.
pub fn block(lines: &[String], key: &Key) -> Range<usize> {
    let (start, indent) = (key.span.line - 1, key.span.column - 1);
    let is_inside = |line: &str| {
        // A list may stand as far left as its key.
        indent_of(line) > indent || indent_of(line) == indent && line.trim_start().starts_with("- ")
    };
    extent(lines, start, is_inside)
}

/// The lines of an entry of a block list; `None` when it is written inside brackets.
pub fn item(lines: &[String], node: &Node) -> Option<(Range<usize>, usize)> {
    let start = node.span.line - 1;
    let indent = indent_of(lines.get(start)?);
    if !lines[start].trim_start().starts_with("- ") {
        return None;
    }
    Some((extent(lines, start, |line| indent_of(line) > indent), indent))
}

fn extent(lines: &[String], start: usize, is_inside: impl Fn(&str) -> bool) -> Range<usize> {
    let mut end = start + 1;
    for (at, line) in lines.iter().enumerate().skip(start + 1) {
        if line.trim().is_empty() {
            continue;
        }
        if !is_inside(line) {
            break;
        }
        end = at + 1;
    }
    start..end
}

/// Whether a key begins its line, as it does in block style.
pub fn begins_its_line(lines: &[String], key: &Key) -> bool {
    lines.get(key.span.line - 1).is_some_and(|line| indent_of(line) == key.span.column - 1)
}

/// Lines moved from one indentation to another.
pub fn moved(lines: &[String], from: usize, to: usize) -> Vec<String> {
    let each = lines.iter().map(|line| {
        let rest = line.get(from.min(indent_of(line))..).unwrap_or_default();
        if rest.trim().is_empty() { String::new() } else { format!("{}{rest}", " ".repeat(to)) }
    });
    each.collect()
}

pub fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// A text as lines of their own.
pub fn lines_of(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}
