//! Clean documents, and an example of a rule put into them.
//!
//! The documents stand in `base/`; `# <place` and `# place>` enclose the members or entries that an
//! example replaces or adds to.

use std::collections::BTreeMap;

use crate::lint::Input;

const COMMON: &str = include_str!("../base/common.yaml");
const THINGS: &str = include_str!("../base/things.yaml");
const SILENCES: &str = "openapi/lint.toml";
/// What there is to silence.
const SILENCED: &str = "Forgotten: {type: boolean}";

/// What a bad example must be found at. Line 0 is the file as a whole.
#[derive(Debug)]
pub struct Expected {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub end: usize,
}

/// The documents without an example.
pub fn clean() -> BTreeMap<String, String> {
    [("common", COMMON), ("things", THINGS)]
        .map(|(name, text)| (format!("openapi/{name}.yaml"), text.to_owned()))
        .into()
}

/// The documents with an example at a place, and what its marks expect.
pub fn compose(place: &str, example: &str) -> (Input, Vec<Expected>) {
    let mut texts = clean();
    let mut silences = None;
    let (file, text) = match place {
        "lint.toml" => {
            let things = texts.get_mut("openapi/things.yaml").expect("a clean document");
            *things = inserted(things, "schemas", SILENCED);
            (SILENCES.to_owned(), example.to_owned())
        }
        _ => {
            let whole = place.strip_prefix("the document ");
            let inside = || {
                let mark = format!("# <{place}\n");
                let found = texts.iter().find(|(_, text)| text.contains(&mark));
                let (file, text) = found.unwrap_or_else(|| panic!("no document has `{place}`"));
                (file.clone(), inserted(text, place, example))
            };
            whole.map_or_else(inside, |file| (format!("openapi/{file}"), example.to_owned()))
        }
    };
    let expected = marks(&file, &text);
    if file == SILENCES {
        silences = Some((file, text));
    } else {
        texts.insert(file, text);
    }
    (Input { texts, silences, is_whole: true, ..Input::default() }, expected)
}

/// The text with the example between the marks of a place.
fn inserted(text: &str, place: &str, example: &str) -> String {
    let (open, close) = (format!("# <{place}\n"), format!("# {place}>\n"));
    let start = text.find(&open).expect("the place begins") + open.len();
    let end = text.find(&close).expect("the place ends");
    let line = text[..start].trim_end_matches(&open).rfind('\n').map_or(0, |at| at + 1);
    let indent = start - open.len() - line;
    let body = text[start..end].trim_end_matches(' ');
    let merged = overlay(&blocks(body, indent), &blocks(example, 0));
    let pad = " ".repeat(indent);
    let lines = merged.iter().flat_map(|block| block.lines());
    let indented: String = lines.map(|line| format!("{pad}{line}\n")).collect();
    format!("{}{indented}{pad}{}", &text[..start], &text[end..])
}

/// Members or entries, each with all of its lines, the indentation taken off. Comments belong to
/// the block before them.
fn blocks(text: &str, indent: usize) -> Vec<String> {
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        let line = line.get(indent..).unwrap_or_default();
        let starts = !line.starts_with([' ', '#', '}', ']']) && !line.is_empty();
        if starts || blocks.is_empty() {
            blocks.push(String::new());
        }
        let last = blocks.last_mut().expect("one was pushed");
        last.push_str(line);
        last.push('\n');
    }
    blocks
}

/// Members of the example replace those of the same name; `# no name` removes one; others and
/// entries of lists are added in the end.
fn overlay(base: &[String], example: &[String]) -> Vec<String> {
    let name = |block: &str| {
        let first = block.lines().find(|line| !line.starts_with('#')).unwrap_or_default();
        let is_entry = first.starts_with("- ");
        (!is_entry).then(|| first.split(':').next().unwrap_or(first).to_owned())
    };
    let removed: Vec<_> = example
        .iter()
        .flat_map(|it| it.lines())
        .filter_map(|it| it.strip_prefix("# no "))
        .collect();
    let replaced: Vec<_> = example.iter().filter_map(|block| name(block)).collect();
    let kept = base.iter().filter(|block| {
        let name = name(block).unwrap_or_default();
        !replaced.contains(&name) && !removed.contains(&name.as_str())
    });
    // A mark in the first line is about the key above, so the example's head goes first.
    let (head, rest) = match example.first() {
        Some(first) if first.starts_with('#') => (Some(first), &example[1..]),
        _ => (None, example),
    };
    head.into_iter().chain(kept).chain(rest).cloned().collect()
}

/// What a text says of its findings: `# ^^^` marks a part of the line above, `# found at get:` the
/// nearest text above that is not in the example, `# finds the file` all of it.
fn marks(file: &str, text: &str) -> Vec<Expected> {
    let mut marks = Vec::new();
    let mut above = (0, "");
    for (index, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        let Some(comment) = bare.strip_prefix('#') else {
            above = (index + 1, line);
            continue;
        };
        let file = file.to_owned();
        if comment.trim() == "finds the file" {
            marks.push(Expected { file, line: 0, column: 0, end: 0 });
        } else if let Some(key) = comment.trim().strip_prefix("found at ") {
            let before = text.lines().take(index).enumerate();
            let found = before.filter(|(_, line)| line.contains(key)).last();
            let (at, line) = found.unwrap_or_else(|| panic!("no line above has {key}"));
            let column = line.find(key).unwrap_or_default() + 1;
            let end = column + key.trim_end_matches(':').chars().count();
            marks.push(Expected { file, line: at + 1, column, end });
        } else if !comment.trim().is_empty() && comment.trim().trim_matches('^').is_empty() {
            // `#^^` begins with the `#`: the first column has no other way to be marked.
            let hash = usize::from(comment.starts_with('^'));
            let column = line.find('^').unwrap_or_default() + 1 - hash;
            let end = column + comment.trim().len() + hash;
            marks.push(Expected { file, line: above.0, column, end });
        }
    }
    marks
}
