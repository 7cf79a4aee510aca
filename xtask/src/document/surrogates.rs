//! JSON writes a character beyond U+FFFF as two escapes, YAML as one: the difference between the two.
//!
//! JSON is YAML otherwise. Positions are those of the text as it was written.

use std::borrow::Cow;

/// How many characters shorter `\U0001f600` is than `\ud83d\ude00`.
const SHORTER: usize = 2;
/// The length of a pair of escapes.
const PAIR: usize = 12;

/// A text with every pair of escapes as one.
pub struct Joined<'t> {
    pub text: Cow<'t, str>,
    /// The character after each joined escape, in the joined text; ascending.
    ends: Vec<usize>,
}

impl<'t> Joined<'t> {
    /// A text that is as it should be.
    pub fn unchanged(text: &'t str) -> Self {
        Joined { text: Cow::Borrowed(text), ends: Vec::new() }
    }

    /// A text of JSON.
    pub fn json(text: &'t str) -> Self {
        if !text.contains("\\ud") && !text.contains("\\uD") {
            return Self::unchanged(text);
        }
        let mut joined = String::with_capacity(text.len());
        let (mut ends, mut length, mut rest) = (Vec::new(), 0, text);
        while let Some(at) = rest.find('\\') {
            let (plain, escape) = rest.split_at(at);
            let pair = pair(escape);
            let written = match pair {
                Some(c) => format!("\\U{:08x}", u32::from(c)),
                // The escaped character too: it may be another backslash.
                None => escape.chars().take(2).collect(),
            };
            joined.push_str(plain);
            joined.push_str(&written);
            length += plain.chars().count() + written.chars().count();
            if pair.is_some() {
                ends.push(length);
            }
            rest = &escape[if pair.is_some() { PAIR } else { written.len() }..];
        }
        joined.push_str(rest);
        Joined { text: Cow::Owned(joined), ends }
    }

    /// The index of a character of the joined text in the text as it was written.
    pub fn index(&self, joined: usize) -> usize {
        joined + SHORTER * self.ends.partition_point(|end| *end <= joined)
    }
}

/// The character of the two escapes that a text begins with.
fn pair(text: &str) -> Option<char> {
    let unit = |from: usize| {
        let digits = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut units = char::decode_utf16([unit(0)?, unit(PAIR / 2)?]);
    let first = units.next()?.ok()?;
    units.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use super::Joined;

    #[test]
    fn pairs_are_joined_and_nothing_else() {
        let joined = |text| Joined::json(text).text.into_owned();
        assert_eq!(joined(r#""a \ud83d\ude00 b""#), r#""a \U0001f600 b""#);
        for same in [r#""\\ud83d\\ude00""#, r#""\ud83d""#, r#""\ud83d\u0041""#, r#""\u0041\ud83""#]
        {
            assert_eq!(joined(same), same);
        }
    }

    #[test]
    fn positions_are_those_of_the_written_text() {
        let written = r#""\ud83d\ude00é\uD83D\uDE00x""#;
        let joined = Joined::json(written);
        for c in ['é', 'x'] {
            let place = |text: &str| text.chars().position(|it| it == c).expect("it is there");
            assert_eq!(joined.index(place(&joined.text)), place(written));
        }
    }
}
