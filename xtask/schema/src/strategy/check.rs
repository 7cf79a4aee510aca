//! A second, plain reading of the documents' dialect: which constraints a value breaks.
//!
//! Written for clearness, not speed, and apart from the server's validator, so that the two can
//! be held against each other.

use serde_json::{Map, Value};

use super::format::Format;
use super::number::{Span, compare};
use super::schema::{Kind, Rest, SchemaSet, count, flag, kind, list, member, rest, size};
use crate::{Violation, pointer_push};

/// Every constraint of the schema that a body breaks.
pub fn check(set: &SchemaSet, schema: &Value, value: &Value) -> Vec<Violation> {
    let mut check = Check { set, found: Vec::new() };
    check.value(schema, value, "");
    check.found
}

/// Whether the JSON type of a value is one that the schema takes.
pub(super) fn fits(set: &SchemaSet, schema: &Value, value: &Value) -> bool {
    let schema = set.resolve(schema);
    if value.is_null() && flag(schema, "nullable") {
        return true;
    }
    if let Some(branches) = list(schema, "anyOf") {
        return branches.iter().any(|branch| fits(set, branch, value));
    }
    match kind(schema) {
        Kind::String => value.is_string(),
        Kind::Integer => value.is_i64() || value.is_u64(),
        Kind::Number => value.is_number(),
        Kind::Boolean => value.is_boolean(),
        Kind::Array => value.is_array(),
        Kind::Object => value.is_object(),
        Kind::Any => true,
    }
}

/// Equality of JSON Schema, for which 1 and 1.0 are one number.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => compare(a, b).is_eq(),
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| alike(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            let same = |(name, a): (&String, &Value)| b.get(name).is_some_and(|b| alike(a, b));
            a.len() == b.len() && a.iter().all(same)
        }
        (a, b) => a == b,
    }
}

/// How deep arrays nest in a value: an array of scalars is 1.
pub(super) fn array_depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(array_depth).max().unwrap_or(0),
        Value::Object(members) => members.values().map(array_depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The pointer of a member or an item.
pub(super) fn below(at: &str, segment: &str) -> String {
    let mut pointer = at.to_owned();
    pointer_push(&mut pointer, segment);
    pointer
}

struct Check<'a> {
    set: &'a SchemaSet,
    found: Vec<Violation>,
}

impl Check<'_> {
    fn broken(&mut self, at: &str, keyword: &str) {
        self.found.push(Violation::body(at, keyword));
    }

    fn unless(&mut self, kept: bool, at: &str, keyword: &str) {
        if !kept {
            self.broken(at, keyword);
        }
    }

    fn value(&mut self, schema: &Value, value: &Value, at: &str) {
        let set = self.set;
        let schema = set.resolve(schema);
        if !fits(set, schema, value) {
            return self.broken(at, "type");
        }
        if value.is_null() && flag(schema, "nullable") {
            return;
        }
        if let Some(branches) = list(schema, "anyOf") {
            return self.any_of(branches, value, at);
        }
        if let Some(listed) = list(schema, "enum") {
            return self.unless(listed.contains(value), at, "enum");
        }
        match value {
            Value::String(text) => self.text(schema, text, at),
            Value::Array(items) => self.array(schema, items, at),
            Value::Object(members) => self.object(schema, members, at),
            Value::Number(number) => {
                let span = Span::of(schema);
                span.edges().for_each(|e| self.unless(e.admits(number), at, e.keyword));
                self.unless(span.on_step(number), at, "multipleOf");
            }
            Value::Null | Value::Bool(_) => {}
        }
        if let Some(most) = count(schema, "x-max-bytes") {
            self.unless(size(value) <= most, at, "x-max-bytes");
        }
    }

    /// The violations are those of the one branch whose type fits.
    fn any_of(&mut self, branches: &[Value], value: &Value, at: &str) {
        let fitting: Vec<&Value> = branches.iter().filter(|b| fits(self.set, b, value)).collect();
        match fitting[..] {
            [only] => self.value(only, value, at),
            _ => {
                let good = fitting.iter().any(|b| check(self.set, b, value).is_empty());
                self.unless(good, at, "anyOf");
            }
        }
    }

    fn bounds(&mut self, schema: &Value, length: usize, keywords: [&str; 2], at: &str) {
        let [min, max] = keywords.map(|keyword| count(schema, keyword));
        self.unless(min.is_none_or(|min| length >= min), at, keywords[0]);
        self.unless(max.is_none_or(|max| length <= max), at, keywords[1]);
    }

    fn text(&mut self, schema: &Value, text: &str, at: &str) {
        self.bounds(schema, text.chars().count(), ["minLength", "maxLength"], at);
        if let Some(pattern) = schema["pattern"].as_str() {
            let kept = self.set.regex(pattern).is_match(text);
            self.unless(kept, at, "pattern");
        }
        if let Some(format) = schema["format"].as_str().and_then(Format::named) {
            self.unless(format.accepts(text), at, "format");
        }
    }

    fn array(&mut self, schema: &Value, items: &[Value], at: &str) {
        self.bounds(schema, items.len(), ["minItems", "maxItems"], at);
        let twice = |(i, item): (usize, &Value)| items[..i].iter().any(|other| alike(item, other));
        if flag(schema, "uniqueItems") && items.iter().enumerate().any(twice) {
            self.broken(at, "uniqueItems");
        }
        for (i, item) in items.iter().enumerate() {
            self.value(&schema["items"], item, &below(at, &i.to_string()));
        }
    }

    fn object(&mut self, schema: &Value, members: &Map<String, Value>, at: &str) {
        self.bounds(schema, members.len(), ["minProperties", "maxProperties"], at);
        for name in list(schema, "required").into_iter().flatten().filter_map(Value::as_str) {
            self.unless(members.contains_key(name), &below(at, name), "required");
        }
        for (name, value) in members {
            self.member(schema, name, value, &below(at, name));
        }
    }

    fn member(&mut self, schema: &Value, name: &str, value: &Value, at: &str) {
        if let Some(rule) = schema.get("x-property-names") {
            let mut names = Check { set: self.set, found: Vec::new() };
            names.text(rule, name, at);
            names.found.iter().for_each(|_| self.broken(at, "propertyNames"));
        }
        if let Some(most) = count(schema, "x-max-depth") {
            self.unless(array_depth(value) <= most, at, "x-max-depth");
        }
        match (member(schema, name), rest(schema)) {
            (Some(inner), _) => self.value(inner, value, at),
            (None, Rest::Refused) => self.broken(at, "additionalProperties"),
            (None, Rest::Free | Rest::Schema(_)) => {}
        }
    }
}
