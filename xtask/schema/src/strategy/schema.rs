//! The schemas of one bundled document and how their keywords are read.
//!
//! Patterns are compiled once per set. Knows nothing of drawing or breaking values.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use regex::Regex;
use serde_json::{Map, Value};

use super::language::Language;

/// What the server's reader takes at all; a value over it is refused before validation.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Bytes of a body.
    pub body_bytes: usize,
    /// JSON values in a body, containers included.
    pub values: usize,
}

impl Default for Caps {
    /// A little under the server's own 256 KiB and 2 000 values.
    fn default() -> Self {
        Self { body_bytes: 240 * 1024, values: 1900 }
    }
}

/// The schemas of one bundled OpenAPI 3.0 document, for drawing values.
///
/// Wherever a function takes a schema beside a set, that is an inline schema object, a
/// `{"$ref": "#/components/schemas/Name"}` or the plain component name as a JSON string.
#[derive(Debug)]
pub struct SchemaSet {
    schemas: Arc<Map<String, Value>>,
    caps: Caps,
    regexes: Known<String, Regex>,
    languages: Known<(String, usize), Language>,
}

/// What was compiled, shared by all sets of one document.
type Known<K, V> = Arc<Mutex<HashMap<K, Arc<V>>>>;

impl SchemaSet {
    /// The set of `components.schemas` of a bundled document (references are local).
    pub fn new(document: &Value, caps: Caps) -> Self {
        let schemas = document["components"]["schemas"].as_object().cloned().unwrap_or_default();
        let schemas = Arc::new(schemas);
        Self { schemas, caps, regexes: Known::default(), languages: Known::default() }
    }

    /// The same schemas and patterns, shared, under other caps.
    #[must_use]
    pub fn with_caps(&self, caps: Caps) -> Self {
        let (schemas, regexes) = (self.schemas.clone(), self.regexes.clone());
        Self { schemas, caps, regexes, languages: self.languages.clone() }
    }

    /// The names of all components.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.keys().map(String::as_str)
    }

    /// The caps that every drawn value keeps.
    pub fn caps(&self) -> Caps {
        self.caps
    }

    /// The schema itself, behind any chain of references.
    ///
    /// # Panics
    /// When a reference names no component: the lint of documents excludes that.
    pub(super) fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let mut schema = schema;
        while let Some(name) = reference(schema) {
            schema = self
                .schemas
                .get(name)
                .unwrap_or_else(|| panic!("the document has no schema `{name}`"));
        }
        schema
    }

    /// The compiled pattern.
    ///
    /// # Panics
    /// When the pattern is not a linear-time expression: the lint of documents excludes that.
    pub(super) fn regex(&self, pattern: &str) -> Arc<Regex> {
        let mut known = self.regexes.lock().unwrap_or_else(PoisonError::into_inner);
        let compile = || Arc::new(Regex::new(pattern).expect("the lint admits linear patterns"));
        known.entry(pattern.to_owned()).or_insert_with(compile).clone()
    }

    /// The strings of up to `horizon` characters that match a pattern as a whole.
    pub(super) fn language(&self, pattern: &str, horizon: usize) -> Arc<Language> {
        let mut known = self.languages.lock().unwrap_or_else(PoisonError::into_inner);
        let build = || Arc::new(Language::new(pattern, horizon));
        known.entry((pattern.to_owned(), horizon)).or_insert_with(build).clone()
    }
}

/// The JSON type a schema asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    String,
    Integer,
    Number,
    Boolean,
    Array,
    Object,
    /// No `type`: anything goes.
    Any,
}

/// The type of a resolved schema.
pub(super) fn kind(schema: &Value) -> Kind {
    match schema["type"].as_str() {
        Some("string") => Kind::String,
        Some("integer") => Kind::Integer,
        Some("number") => Kind::Number,
        Some("boolean") => Kind::Boolean,
        Some("array") => Kind::Array,
        Some("object") => Kind::Object,
        Some(_) | None => Kind::Any,
    }
}

/// What an object does with members that `properties` does not list.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rest<'a> {
    /// `additionalProperties: false`
    Refused,
    /// Absent or `true`.
    Free,
    /// Each one has this schema: the object is a map.
    Schema(&'a Value),
}

/// The rule for members that are not listed.
pub(super) fn rest(schema: &Value) -> Rest<'_> {
    match schema.get("additionalProperties") {
        Some(Value::Bool(false)) => Rest::Refused,
        Some(Value::Bool(true)) | None => Rest::Free,
        Some(inner) => Rest::Schema(inner),
    }
}

/// The schema of one member of an object.
pub(super) fn member<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    match (schema["properties"].get(name), rest(schema)) {
        (Some(listed), _) => Some(listed),
        (None, Rest::Schema(inner)) => Some(inner),
        (None, Rest::Refused | Rest::Free) => None,
    }
}

/// The listed members of an object.
pub(super) fn members(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema["properties"].as_object().into_iter().flatten()
}

/// Whether an object must have this member.
pub(super) fn is_required(schema: &Value, name: &str) -> bool {
    list(schema, "required").is_some_and(|names| names.iter().any(|n| n == name))
}

/// The component a schema refers to.
pub(super) fn reference(schema: &Value) -> Option<&str> {
    let text = schema.as_str().or_else(|| schema.get("$ref")?.as_str())?;
    Some(text.trim_start_matches("#/components/schemas/"))
}

/// A keyword that holds a count.
pub(super) fn count(schema: &Value, keyword: &str) -> Option<usize> {
    schema.get(keyword)?.as_u64().and_then(|n| usize::try_from(n).ok())
}

/// A keyword that is on or off.
pub(super) fn flag(schema: &Value, keyword: &str) -> bool {
    schema[keyword] == true
}

/// A keyword that holds a list.
pub(super) fn list<'a>(schema: &'a Value, keyword: &str) -> Option<&'a [Value]> {
    schema.get(keyword)?.as_array().map(Vec::as_slice)
}

/// Bytes of a value as compact JSON.
pub(super) fn size(value: &Value) -> usize {
    value.to_string().len()
}
