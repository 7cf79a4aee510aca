//! Two values of one keyword: whether they differ, in which direction, and what that is called.
//!
//! Pure functions over values; it knows no places and no documents.

use serde_json::Value;

use super::rules::{INCOMPARABLE, Rule};
use crate::diff::class::Class::{Additive, BreaksCaller};
use crate::diff::class::Effect::{self, Narrower, Wider};
use crate::diff::class::Verdict::{self, By, Is};

/// The verb of a change's name, and the verdict; `None` when both mean the same.
pub fn judge(
    rule: Rule,
    old: Option<&Value>,
    new: Option<&Value>,
) -> Option<(&'static str, Verdict)> {
    if same(old, new) {
        return None;
    }
    match rule {
        Rule::Flag { set, dropped } => flag(old, new, set, dropped),
        Rule::Upper => Some(bound(old, new, Narrower)),
        Rule::Lower => Some(bound(old, new, Wider)),
        Rule::Multiple => Some(multiple(old, new)),
        Rule::Opaque => Some(constraint(old, new)),
        Rule::Type => Some(kind(old, new)),
        Rule::Default => Some((verb(old, new), default(old))),
        Rule::Value(verdict) => Some((verb(old, new), verdict)),
        _ => Some((verb(old, new), INCOMPARABLE)),
    }
}

/// Whether two values are equal; `1` and `1.0` are.
pub fn same(old: Option<&Value>, new: Option<&Value>) -> bool {
    old == new || numbers(old, new).is_some_and(|(old, new)| old == new)
}

/// What happened to a value, not in which direction.
pub fn verb(old: Option<&Value>, new: Option<&Value>) -> &'static str {
    match (old, new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    }
}

/// `: 64 → 32`, as far as people can read the values in passing.
pub fn shown(old: Option<&Value>, new: Option<&Value>) -> String {
    let text = |value: &Value| match value {
        Value::Object(_) => None,
        value => Some(shortened(&value.to_string())),
    };
    let shown = match (old, new) {
        (Some(old), Some(new)) => text(old).zip(text(new)).map(|(a, b)| format!(": {a} → {b}")),
        (Some(old), None) => text(old).map(|old| format!(", was {old}")),
        (None, Some(new)) => text(new).map(|new| format!(": {new}")),
        (None, None) => None,
    };
    shown.unwrap_or_default()
}

fn shortened(text: &str) -> String {
    const LONGEST: usize = 48;
    if text.chars().count() <= LONGEST {
        return text.to_owned();
    }
    let start: String = text.chars().take(LONGEST).collect();
    format!("{start}…")
}

/// Absent is `false`.
fn flag(
    old: Option<&Value>,
    new: Option<&Value>,
    set: Verdict,
    dropped: Verdict,
) -> Option<(&'static str, Verdict)> {
    let is_set = |value: Option<&Value>| value.and_then(Value::as_bool).unwrap_or(false);
    match (is_set(old), is_set(new)) {
        (false, true) => Some(("set", set)),
        (true, false) => Some(("dropped", dropped)),
        _ => None,
    }
}

/// A bound; `lowered` is what a smaller number does to the values that are allowed.
fn bound(old: Option<&Value>, new: Option<&Value>, lowered: Effect) -> (&'static str, Verdict) {
    let raised = if lowered == Narrower { Wider } else { Narrower };
    let Some((old, new)) = numbers(old, new) else { return constraint(old, new) };
    if new < old { ("lowered", By(lowered)) } else { ("raised", By(raised)) }
}

/// Something that was free and is constrained, or the reverse.
fn constraint(old: Option<&Value>, new: Option<&Value>) -> (&'static str, Verdict) {
    match (old, new) {
        (None, _) => ("added", By(Narrower)),
        (_, None) => ("removed", By(Wider)),
        _ => ("changed", INCOMPARABLE),
    }
}

fn multiple(old: Option<&Value>, new: Option<&Value>) -> (&'static str, Verdict) {
    let Some((before, after)) = numbers(old, new) else { return constraint(old, new) };
    match (after % before == 0.0, before % after == 0.0) {
        (true, _) => ("raised", By(Narrower)),
        (_, true) => ("lowered", By(Wider)),
        _ => ("changed", INCOMPARABLE),
    }
}

/// Every integer is a number.
fn kind(old: Option<&Value>, new: Option<&Value>) -> (&'static str, Verdict) {
    match (old.and_then(Value::as_str), new.and_then(Value::as_str)) {
        (Some("integer"), Some("number")) => ("widened", By(Wider)),
        (Some("number"), Some("integer")) => ("narrowed", By(Narrower)),
        _ => constraint(old, new),
    }
}

/// What stands for an absent value must stay what it was.
fn default(old: Option<&Value>) -> Verdict {
    Is(if old.is_none() { Additive } else { BreaksCaller })
}

fn numbers(old: Option<&Value>, new: Option<&Value>) -> Option<(f64, f64)> {
    Some((old?.as_f64()?, new?.as_f64()?))
}
