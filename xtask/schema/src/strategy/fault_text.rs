//! Ways to break the constraints of a string, one at a time.
//!
//! Used for string values and for the member names of maps alike.

use std::sync::Arc;

use super::seeded::{Appetite, Dice};
use super::text::{EXOTIC, Text};

/// One way to break one keyword of a string.
#[derive(Clone)]
pub(super) struct Miss {
    pub keyword: &'static str,
    pub label: String,
    pub make: Arc<Make>,
}

/// Makes the broken text; none when this draw found none.
type Make = dyn Fn(&Text, &mut Dice) -> Option<String> + Send + Sync;

/// Every way to break a string; some may turn out impossible.
pub(super) fn misses(text: &Text) -> Vec<Miss> {
    let mut found = Vec::new();
    let mut add = |keyword, label: &str, make: fn(&Text, &mut Dice) -> Option<String>| {
        found.push(Miss { keyword, label: label.to_owned(), make: Arc::new(make) });
    };
    if text.min > 0 {
        add("minLength", "minLength - 1", |text, dice| Some(text.forced(dice, text.min - 1)));
        add("minLength", "minLength - 1, in several bytes each", |text, dice| {
            text.wide(dice, text.min - 1)
        });
    }
    if text.bounded {
        add("maxLength", "maxLength + 1", |text, dice| Some(text.forced(dice, text.max + 1)));
        add("maxLength", "maxLength + 1, in several bytes each", |text, dice| {
            text.wide(dice, text.max + 1)
        });
    }
    if text.pattern.is_some() {
        add("pattern", "one character replaced", replaced);
        add("pattern", "in other case", other_case);
        add("pattern", "something before", |text, dice| Some(format!("x{}", usual(text, dice, 1))));
        add("pattern", "a space after", |text, dice| Some(usual(text, dice, 1) + " "));
        add("pattern", "a line feed after", |text, dice| Some(usual(text, dice, 1) + "\n"));
        add("pattern", "empty", |_, _| Some(String::new()));
    }
    for (label, wrong) in text.format.into_iter().flat_map(|format| format.misses()) {
        let make = Arc::new(|_: &Text, _: &mut Dice| Some((*wrong).to_owned()));
        found.push(Miss { keyword: "format", label: (*label).to_owned(), make });
    }
    found
}

/// A valid text, with `spare` characters left up to the bound where it allows.
fn usual(text: &Text, dice: &mut Dice, spare: usize) -> String {
    text.draw(dice, Appetite::Small, text.max.saturating_sub(spare))
}

/// A valid text with one character replaced by one that leaves the pattern: any of ASCII but
/// U+0000, and some others.
fn replaced(text: &Text, dice: &mut Dice) -> Option<String> {
    let length = text.nearest(1 + dice.below(24));
    let usual: Vec<char> = text.of_length(dice, length, false)?.chars().collect();
    let at = dice.below(usual.len());
    let (before, after) = (usual.get(..at)?, usual.get(at + 1..)?);
    let others = ('\u{1}'..='\u{7f}').chain(EXOTIC.iter().copied());
    let wrong = others.map(|other| before.iter().chain([&other]).chain(after).collect());
    let wrong: Vec<String> = wrong.filter_map(|wrong| leaves(text, wrong)).collect();
    (!wrong.is_empty()).then(|| dice.pick(&wrong).clone())
}

fn other_case(text: &Text, dice: &mut Dice) -> Option<String> {
    let flip = |c: char| {
        if c.is_ascii_lowercase() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
    };
    leaves(text, usual(text, dice, 0).chars().map(flip).collect())
}

/// The text, if the pattern refuses it.
fn leaves(text: &Text, wrong: String) -> Option<String> {
    let pattern = text.pattern.as_ref()?;
    (!pattern.regex.is_match(&wrong)).then_some(wrong)
}
