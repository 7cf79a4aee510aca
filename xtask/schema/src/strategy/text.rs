//! Strings of a schema: by length in characters, by size in bytes, within pattern and format.
//!
//! Never draws U+0000, which the reader refuses before any schema is asked.

use std::sync::Arc;

use regex::Regex;
use serde_json::{Value, json};

use super::format::Format;
use super::language::Language;
use super::schema::{SchemaSet, count, size};
use super::seeded::{Appetite, Dice};

/// Longest string that is drawn where a schema sets no bound.
const OPEN_LENGTH: usize = 512;

/// Bytes that a short further element of an array or a map takes at most.
const ELEMENT: usize = 80;

/// Characters that code gets wrong: two to four bytes, joined and combining ones, escapes.
pub(super) const EXOTIC: &[char] = &[
    'é',
    'ß',
    'ñ',
    'Ω',
    'я',
    '漢',
    '字',
    '€',
    '😀',
    '👩',
    '\u{301}',
    '\u{200d}',
    '\u{2028}',
    '\u{feff}',
    '"',
    '\\',
    '/',
    '\n',
    '\t',
    '\u{1}',
    '\u{1f}',
    '\u{7f}',
    '\u{fffd}',
    '\u{10ffff}',
    '<',
    '&',
    '%',
    '\'',
];

/// What a string schema asks for.
#[derive(Debug)]
pub(super) struct Text {
    pub min: usize,
    pub max: usize,
    /// Whether `max` is the schema's own.
    pub bounded: bool,
    pub pattern: Option<Pattern>,
    pub format: Option<Format>,
    /// Characters that fit into the schema's bytes even when each is escaped.
    roomy: usize,
}

/// Bytes of an escaped character: `\u001f`.
const ESCAPED: usize = 6;

/// A pattern, to test with and to draw from.
#[derive(Debug)]
pub(super) struct Pattern {
    pub regex: Arc<Regex>,
    language: Arc<Language>,
}

impl Text {
    /// Of a schema with `type: string`, or of an `x-property-names` object.
    pub fn of(set: &SchemaSet, schema: &Value) -> Self {
        let min = count(schema, "minLength").unwrap_or(0);
        let bound = count(schema, "maxLength");
        let max = bound.unwrap_or(min + OPEN_LENGTH).max(min);
        let pattern = schema["pattern"].as_str().map(|pattern| Pattern {
            regex: set.regex(pattern),
            language: set.language(pattern, max + 1),
        });
        let format = schema["format"].as_str().and_then(Format::named);
        let roomy = count(schema, "x-max-bytes").map_or(max, |bytes| bytes / ESCAPED);
        Self { min, max, bounded: bound.is_some(), pattern, format, roomy }
    }

    /// Of the member names of a map; plain words when it says nothing about them.
    pub fn names(set: &SchemaSet, schema: &Value) -> Self {
        let plain = json!({"minLength": 1, "maxLength": 16});
        Self::of(set, schema.get("x-property-names").unwrap_or(&plain))
    }

    /// A string that keeps every keyword, not much longer than `room` characters.
    pub fn draw(&self, dice: &mut Dice, appetite: Appetite, room: usize) -> String {
        if let (Some(format), None) = (self.format, &self.pattern) {
            return format.draw(dice);
        }
        let (least, room) = (self.nearest(0), room.min(self.roomy));
        let near = |dice: &mut Dice, spread| self.nearest(least + dice.below(spread));
        let length = match (appetite, dice.below(6)) {
            (Appetite::Lean, _) | (Appetite::Wild, 0) => least,
            (Appetite::Wild, 1) => self.nearest(self.max.min(room)),
            (Appetite::Wild, _) => near(dice, 24).min(self.nearest(room)),
            (Appetite::Small | Appetite::Full, _) => near(dice, 8),
        };
        let plain = appetite == Appetite::Lean;
        self.of_length(dice, length, plain).unwrap_or_default()
    }

    /// The greatest allowed length up to `wanted`, else the least one.
    pub fn nearest(&self, wanted: usize) -> usize {
        let Some(pattern) = &self.pattern else { return wanted.clamp(self.min, self.max) };
        let allowed = |n: &&usize| (self.min..=self.max).contains(*n);
        let lengths = pattern.language.lengths();
        let fitting = lengths[..lengths.partition_point(|n| *n <= wanted)].iter().rfind(allowed);
        fitting.or_else(|| lengths.iter().find(allowed)).copied().unwrap_or(self.min)
    }

    /// A string of exactly this length that keeps pattern and format, whatever the bounds say.
    pub fn of_length(&self, dice: &mut Dice, length: usize, plain: bool) -> Option<String> {
        match (&self.pattern, self.format) {
            (Some(pattern), _) => {
                let text = pattern.language.draw(dice, length, plain)?;
                pattern.regex.is_match(&text).then_some(text)
            }
            (None, Some(format)) => format.of_length(dice, length),
            (None, None) => Some((0..length).map(|_| character(dice, plain)).collect()),
        }
    }

    /// The same with a valid text cut or drawn out where pattern or format know no such length.
    pub fn forced(&self, dice: &mut Dice, length: usize) -> String {
        if let Some(text) = self.of_length(dice, length, false) {
            return text;
        }
        let mut text = self.draw(dice, Appetite::Small, length);
        let last = text.chars().last().unwrap_or('a');
        text.extend(std::iter::repeat_n(last, length));
        text.chars().take(length).collect()
    }

    /// A string one character long repeated that still keeps the pattern: more bytes than
    /// characters.
    pub fn wide(&self, dice: &mut Dice, length: usize) -> Option<String> {
        const WIDE: &[&str] = &["é", "漢", "😀"];
        let text = dice.pick(WIDE).repeat(length);
        let kept = self.pattern.as_ref().is_none_or(|pattern| pattern.regex.is_match(&text));
        (length > 0 && kept && self.format.is_none()).then_some(text)
    }

    /// A valid string whose JSON is `missing` bytes longer than that of `old`, or as near below
    /// as the schema allows; what it leaves is enough for another element.
    pub fn stretched(&self, dice: &mut Dice, old: &str, missing: usize) -> Option<String> {
        let free = self.pattern.is_none() && self.format.is_none();
        let most = if free { 4 * self.max } else { self.nearest(self.max) };
        let wanted = size(&old.into()) - 2 + missing;
        let beyond = wanted.saturating_sub(most);
        let kept_back = if (1..ELEMENT).contains(&beyond) { ELEMENT - beyond } else { 0 };
        let wanted = (wanted - beyond).saturating_sub(kept_back);
        (0..8).find_map(|_| self.of_bytes(dice, wanted))
    }

    /// A string of exactly that many bytes as JSON, its quotes not counted.
    pub fn of_bytes(&self, dice: &mut Dice, bytes: usize) -> Option<String> {
        let free = self.pattern.is_none() && self.format.is_none();
        if !free || bytes <= self.max {
            let text = self.of_length(dice, self.nearest(bytes), true)?;
            return (size(&text.as_str().into()) == bytes + 2).then_some(text);
        }
        let mut text = "😀".repeat(bytes / 4);
        text.push_str(["", "a", "é", "漢"][bytes % 4]);
        let length = text.chars().count();
        (self.min..=self.max).contains(&length).then_some(text)
    }
}

fn character(dice: &mut Dice, plain: bool) -> char {
    if !plain && dice.one_in(4) {
        return *dice.pick(EXOTIC);
    }
    char::from(b'a' + dice.below(26) as u8)
}
