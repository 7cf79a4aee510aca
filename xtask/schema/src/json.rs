//! A strict JSON reader (RFC 8259): what it accepts means one thing only.
//!
//! On top of the grammar it refuses a byte order mark, duplicate members, U+0000, trailing data,
//! nesting over 16 and more than 2 000 values, and it names the numbers that a double cannot
//! hold, so that nobody rounds them by accident. It knows no schema.

use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::number::{self, number_lexemes};
use crate::pointer_push;

/// The deepest nesting taken; the outermost value counts as 1.
pub const MAX_DEPTH: usize = 16;
/// The most values taken, containers and scalars together.
pub const MAX_VALUES: usize = 2_000;

/// A document that was read.
#[derive(Debug)]
pub struct Document {
    /// The value.
    pub value: Value,
    /// Pointers of numbers whose text neither a 64-bit integer nor a double holds exactly.
    pub inexact: Vec<String>,
}

/// Why a text is not a document, in words, with a position where there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct NotJson(pub String);

impl fmt::Display for NotJson {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for NotJson {}

/// Reads one JSON value from `bytes` and nothing else.
///
/// # Errors
/// Anything that is not exactly one value under the rules of this module.
pub fn read(bytes: &[u8]) -> Result<Document, NotJson> {
    if bytes.starts_with(b"\xef\xbb\xbf") {
        return Err(NotJson("the body begins with a byte order mark".into()));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|bad| NotJson(format!("the body is not UTF-8 at byte {}", bad.valid_up_to())))?;
    let reader = Reader {
        lexemes: RefCell::new(number_lexemes(text)),
        values: Cell::new(0),
        inexact: RefCell::default(),
    };
    let mut from = serde_json::Deserializer::from_str(text);
    let value = Seed { reader: &reader, place: &Place::Root, depth: 1 }
        .deserialize(&mut from)
        .and_then(|value| from.end().map(|()| value))
        .map_err(|bad| NotJson(bad.to_string()))?;
    Ok(Document { value, inexact: reader.inexact.into_inner() })
}

/// What one reading carries along.
struct Reader<'t, L: Iterator<Item = &'t str>> {
    /// The text of every number, in order: serde hands out values, not texts.
    lexemes: RefCell<L>,
    values: Cell<usize>,
    inexact: RefCell<Vec<String>>,
}

/// Where the reading stands, as a list on the stack.
enum Place<'a> {
    Root,
    Member(&'a Place<'a>, &'a str),
    Item(&'a Place<'a>, usize),
}

impl Place<'_> {
    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Member(parent, name) => {
                let mut pointer = parent.pointer();
                pointer_push(&mut pointer, name);
                pointer
            }
            Self::Item(parent, index) => format!("{}/{index}", parent.pointer()),
        }
    }
}

struct Seed<'a, 't, L: Iterator<Item = &'t str>> {
    reader: &'a Reader<'t, L>,
    place: &'a Place<'a>,
    depth: usize,
}

impl<'de, 't, L: Iterator<Item = &'t str>> DeserializeSeed<'de> for Seed<'_, 't, L> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        let count = self.reader.values.get() + 1;
        self.reader.values.set(count);
        if count > MAX_VALUES {
            return Err(de::Error::custom(format_args!("more than {MAX_VALUES} values")));
        }
        from.deserialize_any(self)
    }
}

impl<'t, L: Iterator<Item = &'t str>> Seed<'_, 't, L> {
    fn container<E: de::Error>(&self) -> Result<(), E> {
        if self.depth > MAX_DEPTH {
            return Err(E::custom(format_args!("nesting deeper than {MAX_DEPTH}")));
        }
        Ok(())
    }

    fn lexeme(&self) -> Option<&'t str> {
        self.reader.lexemes.borrow_mut().next()
    }
}

fn no_nul<E: de::Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("U+0000 in a string")) } else { Ok(()) }
}

impl<'de, 't, L: Iterator<Item = &'t str>> Visitor<'de> for Seed<'_, 't, L> {
    type Value = Value;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, it: bool) -> Result<Value, E> {
        Ok(Value::Bool(it))
    }

    fn visit_i64<E>(self, it: i64) -> Result<Value, E> {
        self.lexeme();
        Ok(it.into())
    }

    fn visit_u64<E>(self, it: u64) -> Result<Value, E> {
        self.lexeme();
        Ok(it.into())
    }

    fn visit_f64<E: de::Error>(self, read: f64) -> Result<Value, E> {
        let lexeme = self.lexeme();
        // serde_json's own reading may be one unit off in the last place; the standard library's
        // is not.
        let double = lexeme.and_then(|text| text.parse().ok()).unwrap_or(read);
        if !lexeme.is_some_and(|text| number::is_exact(text, double)) {
            self.reader.inexact.borrow_mut().push(self.place.pointer());
        }
        Number::from_f64(double)
            .map(Value::Number)
            .ok_or_else(|| E::custom("a number outside the range of a double"))
    }

    fn visit_str<E: de::Error>(self, it: &str) -> Result<Value, E> {
        no_nul(it)?;
        Ok(Value::String(it.to_owned()))
    }

    fn visit_string<E: de::Error>(self, it: String) -> Result<Value, E> {
        no_nul(&it)?;
        Ok(Value::String(it))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.container()?;
        let mut items = Vec::new();
        loop {
            let place = Place::Item(self.place, items.len());
            let seed = Seed { reader: self.reader, place: &place, depth: self.depth + 1 };
            let Some(item) = from.next_element_seed(seed)? else { break };
            items.push(item);
        }
        Ok(Value::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        self.container()?;
        let mut members = Map::new();
        while let Some(name) = from.next_key::<String>()? {
            no_nul(&name)?;
            if members.contains_key(&name) {
                return Err(de::Error::custom(format_args!("duplicate member {name:?}")));
            }
            let place = Place::Member(self.place, &name);
            let seed = Seed { reader: self.reader, place: &place, depth: self.depth + 1 };
            let value = from.next_value_seed(seed)?;
            members.insert(name, value);
        }
        Ok(Value::Object(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        read(text.as_bytes()).expect_err(text).0
    }

    #[test]
    fn only_one_value_is_read() {
        for text in ["", "{}x", "{} {}", "[1,]", "nul", "{\"a\":1,}", "'a'", "01", "+1", ".5", "1."]
        {
            refused(text);
        }
        assert_eq!(read(b" {\"a\":[1,\"x\",null]} ").unwrap().value["a"][1], "x");
    }

    #[test]
    fn duplicate_members_are_refused_after_unescaping() {
        assert!(refused(r#"{"a":1,"\u0061":2}"#).contains("duplicate member"));
        assert!(refused(r#"[{"b":{"x":1,"x":1}}]"#).contains("duplicate member"));
    }

    #[test]
    fn nul_lone_surrogates_and_marks_are_refused() {
        assert!(refused(r#""a\u0000""#).contains("U+0000"));
        assert!(refused(r#"{"a\u0000":1}"#).contains("U+0000"));
        refused(r#""\ud800""#);
        assert!(read(b"\xef\xbb\xbf{}").unwrap_err().0.contains("byte order mark"));
        assert!(read(b"\"\xff\"").unwrap_err().0.contains("UTF-8"));
    }

    #[test]
    fn depth_sixteen_passes_and_seventeen_does_not() {
        let nested = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(read(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(refused(&nested(MAX_DEPTH + 1)).contains("nesting"));
    }

    #[test]
    fn two_thousand_values_pass_and_one_more_does_not() {
        let flat = |n: usize| format!("[{}]", vec!["1"; n - 1].join(","));
        assert!(read(flat(MAX_VALUES).as_bytes()).is_ok());
        assert!(refused(&flat(MAX_VALUES + 1)).contains("values"));
    }

    #[test]
    fn numbers_are_kept_exactly_or_named() {
        let text = r#"{"a":0.1,"b":[1.50,1e2,0.1000000000000000055],"c/d":123456789012345678901,"e":9007199254740993}"#;
        let read = read(text.as_bytes()).unwrap();
        assert_eq!(read.inexact, ["/b/2", "/c~1d"]);
        assert_eq!(read.value["a"].to_string(), "0.1");
        assert_eq!(read.value["e"].to_string(), "9007199254740993");
        assert!(refused("1e400").contains("number"));
    }
}
