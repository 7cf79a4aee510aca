//! The string formats of the documents: `uuid`, `date-time`, `uri`.
//!
//! Deliberately narrower than their standards: what is drawn is beyond dispute, and what counts
//! as a miss is refused by every reading.

use std::sync::LazyLock;

use regex::Regex;

use super::seeded::Dice;

static DATE_TIME: LazyLock<Regex> = LazyLock::new(|| {
    const DATE: &str = "([0-9]{4})-(0[1-9]|1[0-2])-([0-2][0-9]|3[01])";
    const TIME: &str = r"([01][0-9]|2[0-3])(:[0-5][0-9]){2}(\.[0-9]{1,9})?";
    const ZONE: &str = "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])";
    Regex::new(&format!("^{DATE}T{TIME}{ZONE}$")).expect("a constant pattern")
});
static UUID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$").expect("a constant pattern")
});
static URI: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("^[A-Za-z][A-Za-z0-9+.-]*:[!#-;=?-Z_a-z~]+$").expect("a constant pattern")
});

const UUID_MISSES: &[(&str, &str)] = &[
    ("no hyphens", "3c90c3cc0d444b5088888dd25736052a"),
    ("not hexadecimal", "3c90c3cc-0d44-4b50-8888-8dd25736052g"),
    ("one digit less", "3c90c3cc-0d44-4b50-8888-8dd25736052"),
];
const DATE_TIME_MISSES: &[(&str, &str)] = &[
    ("no zone", "2026-05-08T12:15:00"),
    ("a date alone", "2026-05-08"),
    ("month 13", "2026-13-08T12:15:00Z"),
    ("30 February", "2026-02-30T12:15:00Z"),
    ("hour 24", "2026-05-08T24:15:00Z"),
];
const URI_MISSES: &[(&str, &str)] =
    &[("no scheme", "/path"), ("a space", "https://a b"), ("no text", "")];

/// A format with a meaning here; the others (`int64`, `password`, …) constrain nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Uuid,
    DateTime,
    Uri,
}

impl Format {
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "uuid" => Some(Self::Uuid),
            "date-time" => Some(Self::DateTime),
            "uri" => Some(Self::Uri),
            _ => None,
        }
    }

    pub fn accepts(self, text: &str) -> bool {
        match self {
            Self::Uuid => UUID.is_match(text),
            Self::DateTime => DATE_TIME.captures(text).is_some_and(|parts| {
                let number = |i: usize| parts[i].parse().unwrap_or_default();
                (1..=days(number(1), number(2))).contains(&number(3))
            }),
            Self::Uri => URI.is_match(text),
        }
    }

    /// Texts that are not of the format, with what is wrong about each.
    pub fn misses(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Uuid => UUID_MISSES,
            Self::DateTime => DATE_TIME_MISSES,
            Self::Uri => URI_MISSES,
        }
    }

    /// Any usual text of the format.
    pub fn draw(self, dice: &mut Dice) -> String {
        match self {
            Self::Uuid => uuid(dice),
            Self::DateTime => {
                let digits = *dice.pick(&[0, 3, 6]);
                date_time(dice, digits)
            }
            Self::Uri => {
                let length = 20 + dice.below(30);
                uri(dice, length)
            }
        }
    }

    /// A text of the format with exactly this many characters, if there is one.
    pub fn of_length(self, dice: &mut Dice, length: usize) -> Option<String> {
        match self {
            Self::Uuid => (length == 36).then(|| uuid(dice)),
            Self::DateTime => match length {
                20 => Some(date_time(dice, 0)),
                22..=30 => Some(date_time(dice, length - 21)),
                _ => None,
            },
            Self::Uri => (length > 4).then(|| uri(dice, length)),
        }
    }
}

fn days(year: u32, month: u32) -> u32 {
    match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => {
            29
        }
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn uuid(dice: &mut Dice) -> String {
    let (a, b) = (dice.roll(), dice.roll());
    let (head, middle, version) = (a >> 32, (a >> 16) & 0xffff, a & 0xfff);
    let (variant, node) = (((b >> 48) & 0x3fff) | 0x8000, b & 0xffff_ffff_ffff);
    format!("{head:08x}-{middle:04x}-4{version:03x}-{variant:04x}-{node:012x}")
}

/// `digits` is the number of digits of the second's fraction; 0 leaves it out.
fn date_time(dice: &mut Dice, digits: usize) -> String {
    let (year, month) = (dice.between(1971, 2098), dice.between(1, 12));
    let day = dice.between(1, i64::from(days(year as u32, month as u32)));
    let (hour, minute, second) = (dice.between(0, 23), dice.between(0, 59), dice.between(0, 59));
    let mut fraction = String::new();
    if digits > 0 {
        fraction.push('.');
        fraction.extend((0..digits).map(|_| char::from(b'0' + dice.below(10) as u8)));
    }
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

fn uri(dice: &mut Dice, length: usize) -> String {
    const START: &str = "https://example.org/";
    let mut text = if length >= START.len() { START.to_owned() } else { "urn:".to_owned() };
    while text.len() < length {
        text.push(char::from(b'a' + dice.below(26) as u8));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_texts_are_accepted_and_misses_are_not() {
        for format in [Format::Uuid, Format::DateTime, Format::Uri] {
            for seed in 0..200 {
                let text = format.draw(&mut Dice::new(seed));
                assert!(format.accepts(&text), "{text}");
                let length = text.len();
                let again = format.of_length(&mut Dice::new(seed), length).expect("just drawn");
                assert!(format.accepts(&again) && again.len() == length, "{again}");
            }
            for (label, text) in format.misses() {
                assert!(!format.accepts(text), "{label}");
            }
        }
    }
}
