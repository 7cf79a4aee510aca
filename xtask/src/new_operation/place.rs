//! Where in a document's text a new operation and its schemas go.

use super::neighbours::nearest;
use super::skeleton::Skeleton;
use super::text::{block, indent_of, lines_of, moved};
use crate::document::{Key, Node, Tree};

/// How much deeper a document's members stand than what they belong to, where nothing shows it.
const STEP: usize = 2;

/// The text with both set in, and the operation's line, from 1.
///
/// # Errors
/// When the document is not written in block style.
pub fn set_in(tree: &Tree<'_>, path: &str, skeleton: &Skeleton) -> Result<(String, usize), String> {
    let lines = lines_of(tree.source.text);
    // What stands further down goes in first, so that the other place stays where it is.
    let (at, mut operation, before) = operation(&tree.root, &lines, path, skeleton)?;
    let schemas = schemas(&tree.root, &lines, skeleton)?;
    let line = at + before + 1;
    let mut places = vec![(at, std::mem::take(&mut operation))];
    places.extend(schemas);
    // Stable, and reversed: of two at one place the first given stays the first.
    places.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    let moved_by: usize =
        places.iter().filter(|(other, _)| *other < at).map(|(_, added)| added.len()).sum();
    let mut lines = lines;
    for (at, added) in places {
        lines.splice(at..at, added);
    }
    Ok((lines.join("\n") + "\n", line + moved_by))
}

/// Where to, what, and how many of its lines stand before the operation itself.
fn operation(
    root: &Node,
    lines: &[String],
    path: &str,
    skeleton: &Skeleton,
) -> Result<(usize, Vec<String>, usize), String> {
    let (key, paths) = root.entry("paths").ok_or("the document has no `paths`")?;
    if let Some((item, _)) = paths.entry(path) {
        let whole = block(lines, item);
        let indent = member_indent(paths.get(path), item);
        return Ok((whole.end, moved(&skeleton.operation, 0, indent), 0));
    }
    let indent = paths.entries().first().map_or(STEP, |(first, _)| first.span.column - 1);
    let mut added = vec![format!("{}{path}:", " ".repeat(indent))];
    added.extend(moved(&skeleton.operation, 0, indent + STEP));
    let near = nearest(path, paths.entries().iter().map(|(key, _)| key.text.as_str()));
    let Some((near, _)) = near.and_then(|near| paths.entry(near)) else {
        require_open(lines, key, paths)?;
        return Ok((key.span.line, added, 1));
    };
    added.insert(0, String::new());
    Ok((block(lines, near).end, added, 2))
}

fn member_indent(item: Option<&Node>, key: &Key) -> usize {
    let first = item.and_then(|item| item.entries().first());
    first.map_or(key.span.column - 1 + STEP, |(first, _)| first.span.column - 1)
}

fn schemas(
    root: &Node,
    lines: &[String],
    skeleton: &Skeleton,
) -> Result<Vec<(usize, Vec<String>)>, String> {
    if skeleton.schemas.is_empty() {
        return Ok(Vec::new());
    }
    let components = root.entry("components");
    let known = components.and_then(|(_, it)| it.entry("schemas"));
    let mut added = Vec::new();
    let (at, indent) = match (components, known) {
        (_, Some((key, known))) => {
            let first = known.entries().first();
            if first.is_none() {
                require_open(lines, key, known)?;
            }
            let indent = first.map_or(key.span.column - 1 + STEP, |(it, _)| it.span.column - 1);
            (block(lines, key).end, indent)
        }
        (Some((key, it)), None) => {
            let indent = it.entries().first().map_or(STEP, |(first, _)| first.span.column - 1);
            added.extend([String::new(), format!("{}schemas:", " ".repeat(indent))]);
            (block(lines, key).end, indent + STEP)
        }
        (None, None) => {
            added.extend(["", "components:", "  schemas:"].map(str::to_owned));
            (lines.len(), 2 * STEP)
        }
    };
    for (_, schema) in &skeleton.schemas {
        if added.last().is_none_or(|line| !line.trim_start().starts_with("schemas:")) {
            added.push(String::new());
        }
        added.extend(moved(schema, 0, indent));
    }
    Ok(vec![(at, added)])
}

/// `paths:` may be empty, `paths: {}` may not: nothing can be set in between its brackets.
fn require_open(lines: &[String], key: &Key, node: &Node) -> Result<(), String> {
    let line = lines.get(key.span.line - 1).map_or("", String::as_str);
    let is_open = line.trim_end().ends_with(':') && indent_of(line) == key.span.column - 1;
    match is_open && node.entries().is_empty() {
        true => Ok(()),
        false => Err(format!("write `{}:` in block style, without brackets", key.text)),
    }
}
