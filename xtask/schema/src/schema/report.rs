//! From the validator's errors to violations.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde_json::Value;

use super::dialect::{INTEGER, MAX_DEPTH, array_depth, compact_bytes};
use crate::{Part, Violation, pointer_push};

/// Violations as they are found in one part of a request.
pub struct Report<'a> {
    part: Part,
    sensitive: &'a BTreeSet<String>,
    found: Vec<Violation>,
}

impl<'a> Report<'a> {
    /// An empty report.
    pub fn new(part: Part, sensitive: &'a BTreeSet<String>) -> Self {
        Self { part, sensitive, found: vec![] }
    }

    /// Adds what one error says.
    pub fn add(&mut self, error: &ValidationError<'_>) {
        let pointer = error.instance_path().to_string();
        let value = error.instance();
        match error.kind() {
            Kind::Required { property } => {
                self.member(&pointer, property.as_str().unwrap_or_default(), "required");
            }
            Kind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    self.member(&pointer, name, "additionalProperties");
                }
            }
            Kind::PropertyNames { error } => {
                let name = error.instance().as_str().unwrap_or_default().to_owned();
                self.member(&pointer, &name, "propertyNames");
                self.limit_last(limit_of(error.kind()));
            }
            Kind::AnyOf { context } => self.any_of(context, pointer, value),
            Kind::Custom { keyword, message } => self.custom(keyword, message, pointer, value),
            kind => self.push(pointer, kind.keyword(), limit_of(kind), value),
        }
    }

    /// All violations, each once, in the order of their pointers.
    pub fn finish(mut self) -> Vec<Violation> {
        let wrong_type: BTreeSet<_> =
            self.found.iter().filter(|v| v.keyword == "type").map(|v| v.pointer.clone()).collect();
        // A value of the wrong type is in no enumeration either; saying so twice helps nobody.
        self.found.retain(|v| v.keyword != "enum" || !wrong_type.contains(&v.pointer));
        self.found.sort_by(|a, b| (&a.pointer, &a.keyword).cmp(&(&b.pointer, &b.keyword)));
        self.found.dedup_by(|a, b| a.pointer == b.pointer && a.keyword == b.keyword);
        self.found
    }

    /// A value that fits no branch is judged by the one branch of its own type, if there is one.
    fn any_of(
        &mut self,
        branches: &[Vec<ValidationError<'static>>],
        pointer: String,
        value: &Value,
    ) {
        let of_type =
            branches.iter().filter(|errors| !errors.iter().any(|e| is_root_type(e, &pointer)));
        let mut of_type = of_type.peekable();
        match (of_type.next(), of_type.next()) {
            (Some(only), None) => only.iter().for_each(|error| self.add(error)),
            (None, _) => {
                let kinds = branches.iter().flatten().filter(|e| is_root_type(e, &pointer));
                let limit = kinds.filter_map(|e| limit_of(e.kind())).collect::<Vec<_>>();
                self.push(pointer, "type", Some(Value::Array(limit)), value);
            }
            (Some(_), Some(_)) => self.push(pointer, "anyOf", None, value),
        }
    }

    /// Keywords of our own; their messages are made for this reading.
    fn custom(&mut self, keyword: &str, message: &str, at: String, value: &Value) {
        let (limit, member) = message.split_once(' ').unwrap_or((message, ""));
        let limit = limit.parse::<u64>().ok().map(Value::from);
        match keyword {
            INTEGER => self.push(at, "type", Some("integer".into()), value),
            MAX_DEPTH => {
                let deep = value.pointer(member).map_or(0, array_depth);
                self.push(format!("{at}{member}"), MAX_DEPTH, limit, value);
                self.describe_last(format!("depth {deep}"));
            }
            other => {
                self.push(at, other, limit, value);
                self.describe_last(format!("{} bytes", compact_bytes(value)));
            }
        }
    }

    fn member(&mut self, object: &str, name: &str, keyword: &str) {
        let mut pointer = object.to_owned();
        pointer_push(&mut pointer, name);
        let (part, keyword) = (self.part, keyword.to_owned());
        self.found.push(Violation { part, pointer, keyword, limit: None, actual: None });
    }

    fn push(&mut self, pointer: String, keyword: &str, limit: Option<Value>, value: &Value) {
        let actual = (!self.is_sensitive(&pointer)).then(|| describe(value));
        let (part, keyword) = (self.part, keyword.to_owned());
        self.found.push(Violation { part, pointer, keyword, limit, actual });
    }

    fn limit_last(&mut self, limit: Option<Value>) {
        if let Some(last) = self.found.last_mut() {
            last.limit = limit;
        }
    }

    fn describe_last(&mut self, actual: String) {
        if let Some(last) = self.found.last_mut() {
            last.actual = last.actual.take().map(|_| actual);
        }
    }

    fn is_sensitive(&self, pointer: &str) -> bool {
        pointer.split('/').any(|segment| self.sensitive.contains(segment))
    }
}

fn is_root_type(error: &ValidationError<'_>, pointer: &str) -> bool {
    let kind = match error.kind() {
        Kind::Type { .. } => true,
        Kind::Custom { keyword, .. } => keyword == INTEGER,
        _ => false,
    };
    kind && error.instance_path().as_str() == pointer
}

/// What the broken keyword would have allowed, as it stands in the document.
fn limit_of(kind: &Kind) -> Option<Value> {
    Some(match kind {
        Kind::MaxLength { limit }
        | Kind::MinLength { limit }
        | Kind::MaxItems { limit }
        | Kind::MinItems { limit }
        | Kind::MaxProperties { limit }
        | Kind::MinProperties { limit } => (*limit).into(),
        Kind::Maximum { limit }
        | Kind::Minimum { limit }
        | Kind::ExclusiveMaximum { limit }
        | Kind::ExclusiveMinimum { limit } => limit.clone(),
        Kind::Enum { options } => (**options).clone(),
        Kind::Pattern { pattern } => pattern.clone().into(),
        Kind::Format { format } => format.clone().into(),
        Kind::MultipleOf { multiple_of } => (*multiple_of).into(),
        Kind::Type { kind: TypeKind::Single(one) } => one.to_string().into(),
        Kind::Type { kind: TypeKind::Multiple(set) } => {
            set.iter().map(|one| Value::from(one.to_string())).collect()
        }
        Kind::Custom { keyword, .. } if keyword == INTEGER => "integer".into(),
        _ => return None,
    })
}

/// A value in words that give its kind and size away, never a string's text.
fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(it) => it.to_string(),
        Value::Number(it) => it.to_string(),
        Value::String(it) => format!("string of {}", it.chars().count()),
        Value::Array(it) => format!("array of {}", it.len()),
        Value::Object(it) => format!("object of {}", it.len()),
    }
}
