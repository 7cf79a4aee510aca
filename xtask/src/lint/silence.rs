//! `openapi/lint.toml`: rules that are silenced at a place, each with a reason.
//!
//! A silence that is malformed, names nothing or silences nothing is a finding of its own.

use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::document::{
    Finding, Node, NodeValue, Source, Span, Tree, nearest, pointer_to, unescaped,
};
use crate::rule::{self, Rule};

/// One silence.
#[derive(Debug)]
pub struct Silence {
    pub rule: &'static Rule,
    /// `embed.yaml#/paths/…`.
    pub at: String,
    pub reason: String,
    /// Where `at` stands in the file of silences.
    pub span: Span,
}

impl Silence {
    /// Whether it is for a finding of this rule at `embed.yaml#/…`: there or anywhere below.
    pub fn covers(&self, rule: &Rule, place: &str) -> bool {
        let below = place.strip_prefix(self.at.as_str());
        self.rule == rule && below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    #[serde(default)]
    silence: Vec<Spanned<Entry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    rule: Option<Spanned<String>>,
    at: Option<Spanned<String>>,
    reason: Option<Spanned<String>>,
}

/// Reads the silences, and what is wrong with them.
pub fn read(source: &Source<'_>, trees: &[Tree<'_>]) -> (Vec<Silence>, Vec<Finding>) {
    let contents: Contents = match toml::from_str(source.text) {
        Ok(contents) => contents,
        Err(error) => {
            let at = span(source.text, error.span().unwrap_or(0..0));
            let message = error.message().to_owned();
            return (Vec::new(), vec![source.finding(at, &rule::SILENCE_SYNTAX, message)]);
        }
    };
    let mut findings = Vec::new();
    let mut silences = Vec::new();
    for entry in contents.silence {
        match one(source, trees, entry) {
            Ok(silence) => silences.push(silence),
            Err(finding) => findings.push(*finding),
        }
    }
    (silences, findings)
}

fn one(
    source: &Source<'_>,
    trees: &[Tree<'_>],
    entry: Spanned<Entry>,
) -> Result<Silence, Box<Finding>> {
    let wrong = |range: Range<usize>, rule, message: String| {
        Box::new(source.finding(span(source.text, range), rule, message))
    };
    let whole = entry.span();
    let Entry { rule, at, reason } = entry.into_inner();
    let absent = |what: &str| {
        let message = format!("a silence needs `{what}`");
        wrong(whole.clone(), &rule::SILENCE_SYNTAX, message)
    };
    let named = rule.ok_or_else(|| absent("rule"))?;
    let at = at.ok_or_else(|| absent("at"))?;
    let reason = reason.ok_or_else(|| absent("reason"))?;
    let name = named.get_ref();
    let Some(rule) = rule::find(name) else {
        let help = nearest(name, rule::ALL.iter().map(|rule| rule.name))
            .map(|near| format!("did you mean `{near}`?"));
        let finding =
            wrong(named.span(), &rule::SILENCE_RULE, format!("there is no rule `{name}`"));
        return Err(Box::new(finding.maybe_help(help)));
    };
    if reason.get_ref().trim().is_empty() {
        let message = "the reason is empty".to_owned();
        return Err(wrong(reason.span(), &rule::SILENCE_SYNTAX, message));
    }
    if let Some(objection) = leads_nowhere(trees, at.get_ref()) {
        return Err(wrong(at.span(), &rule::SILENCE_POINTER, objection));
    }
    let span = span(source.text, at.span());
    Ok(Silence { rule, at: at.into_inner(), reason: reason.into_inner(), span })
}

/// Why there is no such place, if there is none.
fn leads_nowhere(trees: &[Tree<'_>], at: &str) -> Option<String> {
    let Some((file, pointer)) = at.split_once('#') else {
        return Some(format!("`{at}` is not a file name, `#` and a JSON pointer"));
    };
    let Some(tree) = trees.iter().find(|tree| name_of(tree) == file) else {
        return Some(format!("there is no document `{file}`"));
    };
    let mut node = &tree.root;
    for member in pointer.split('/').skip(1) {
        let name = unescaped(member);
        let next = match &node.value {
            NodeValue::Sequence(items) => name.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => node.get(&name),
        };
        let Some(next) = next else { return Some(format!("{file} has nothing at `{pointer}`")) };
        node = next;
    }
    (!pointer.is_empty() && !pointer.starts_with('/'))
        .then(|| format!("`{pointer}` is not a JSON pointer: it begins with `/`"))
}

fn name_of<'t>(tree: &Tree<'t>) -> &'t str {
    tree.source.file.rsplit('/').next().unwrap_or(tree.source.file)
}

/// `embed.yaml#/paths/…` of a finding; `None` when it is not in a document.
pub fn place(trees: &[Tree<'_>], finding: &Finding) -> Option<String> {
    let tree = trees.iter().find(|tree| tree.source.file == finding.file)?;
    let pointer = pointer(&tree.root, (finding.line, finding.column));
    Some(format!("{}#{pointer}", name_of(tree)))
}

/// The JSON pointer of the innermost member that begins at or before a place.
pub fn pointer(root: &Node, at: (usize, usize)) -> String {
    let (mut node, mut pointer) = (root, String::new());
    loop {
        let before = |span: Span| (span.line, span.column) <= at;
        let next = match &node.value {
            NodeValue::Mapping(entries) => {
                let index = entries.partition_point(|(key, _)| before(key.span));
                let entry = index.checked_sub(1).map(|index| &entries[index]);
                entry.map(|(key, node)| (key.text.clone(), node))
            }
            NodeValue::Sequence(items) => {
                let index = items.partition_point(|item| before(item.span)).checked_sub(1);
                index.map(|index| (index.to_string(), &items[index]))
            }
            _ => None,
        };
        let Some((member, inner)) = next else { return pointer };
        pointer = pointer_to(&pointer, &member);
        node = inner;
    }
}

/// A range of bytes as a place.
fn span(text: &str, range: Range<usize>) -> Span {
    let place = |byte: usize| {
        let before = &text[..text.floor_char_boundary(byte)];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    };
    let ((line, column), (end_line, end_column)) = (place(range.start), place(range.end));
    let index = text[..text.floor_char_boundary(range.start)].chars().count();
    Span { line, column, end_line, end_column, index }
}
