//! The rules beyond the dialect, grouped by subject: views in, findings out.
//!
//! A group judges; what a rule is called and why it is there stands in `rule.rs`.

mod answers;
mod bounds;
mod endless;
mod examples;
mod idempotency;
mod names;
mod operations;
mod parameters;
mod patterns;
mod reserved;
mod routing;
mod secrets;
mod security;
mod sizes;
mod test_clocks;
mod unused;

use super::view::View;
use crate::document::{Finding, Key, Node, Span};

type Group = fn(&View<'_>) -> Vec<Finding>;

const GROUPS: &[Group] = &[
    answers::check,
    bounds::check,
    endless::check,
    idempotency::check,
    names::check,
    operations::check,
    parameters::check,
    patterns::check,
    reserved::check,
    routing::check,
    secrets::check,
    security::check,
    sizes::check,
    test_clocks::check,
    unused::check,
];

/// Adds what every group finds. Values are checked last, against schemas that are sound so far.
pub fn check(view: &View<'_>, findings: &mut Vec<Finding>) {
    findings.extend(GROUPS.iter().flat_map(|group| group(view)));
    findings.extend(examples::check(view, findings));
}

/// Whether a member is `true`.
fn is_set(node: &Node, name: &str) -> bool {
    node.get(name).is_some_and(Node::is_true)
}

/// Where a member's value stands, or its holder when it is absent.
fn value_span(node: &Node, name: &str, holder: Span) -> Span {
    node.get(name).map_or(holder, |value| value.span)
}

/// A part of a key, by characters; all of it when the text is written with escapes.
fn part(key: &Key, start: usize, length: usize) -> Span {
    let width = key.span.end_column.saturating_sub(key.span.column);
    let quotes = width.saturating_sub(key.text.chars().count());
    if key.span.line != key.span.end_line || !matches!(quotes, 0 | 2) {
        return key.span;
    }
    let shift = start + quotes / 2;
    let column = key.span.column + shift;
    Span { column, end_column: column + length, index: key.span.index + shift, ..key.span }
}

/// Whether a name is the same as another for every language and file system.
fn fold(name: &str) -> String {
    let folded: String = name.chars().filter(|c| c.is_alphanumeric()).collect();
    if folded.is_empty() { name.to_owned() } else { folded.to_lowercase() }
}
