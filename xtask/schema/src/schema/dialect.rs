//! From the documents' dialect of OpenAPI 3.0 to JSON Schema 2019-09 with keywords of our own.

use std::collections::BTreeSet;

use jsonschema::{Draft, Keyword, PatternOptions, ValidationError, ValidationOptions};
use serde_json::{Map, Value, json};

/// Whole numbers written as such: `900`, never `900.0` or `9e2`. JSON Schema's `integer` takes both.
pub const INTEGER: &str = "x-integer";
/// At most this many bytes as compact JSON.
pub const MAX_BYTES: &str = "x-max-bytes";
/// Arrays nest at most this deep inside each member.
pub const MAX_DEPTH: &str = "x-max-depth";

/// Options of every validator: linear-time patterns, formats enforced, our keywords.
pub fn options() -> ValidationOptions<'static> {
    jsonschema::options()
        .with_draft(Draft::Draft201909)
        .with_pattern_options(PatternOptions::regex())
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_keyword(INTEGER, |_, limit, _| {
            Ok(Box::new(Integer { nullable: limit == "nullable" }))
        })
        .with_keyword(MAX_BYTES, |_, limit, _| Ok(Box::new(MaxBytes(bound(limit)))))
        .with_keyword(MAX_DEPTH, |_, limit, _| Ok(Box::new(MaxDepth(bound(limit)))))
}

fn bound(limit: &Value) -> usize {
    limit.as_u64().and_then(|bound| usize::try_from(bound).ok()).unwrap_or(0)
}

/// Translates every schema of a map of schemas.
pub fn translate_each(schemas: &Value) -> Value {
    let each = schemas.as_object().into_iter().flatten();
    Value::Object(each.map(|(name, schema)| (name.clone(), translate(schema))).collect())
}

/// The components that a translated schema reaches, translated too. A document may have thousands
/// of others, each of which costs as much to compile.
pub fn reached(components: &Value, target: &Value) -> Value {
    let mut found = Map::new();
    let mut names = Vec::new();
    references(target, &mut names);
    while let Some(name) = names.pop() {
        let Some(schema) = components.get(&name).filter(|_| !found.contains_key(&name)) else {
            continue;
        };
        let schema = translate(schema);
        references(&schema, &mut names);
        found.insert(name, schema);
    }
    Value::Object(found)
}

/// The names of the components that a schema refers to itself.
fn references(node: &Value, names: &mut Vec<String>) {
    match node {
        Value::Object(members) => {
            let target = members.get("$ref").and_then(Value::as_str);
            let path = target.and_then(|it| it.strip_prefix("#/components/schemas/"));
            let name = path.and_then(|it| it.split('/').next());
            names.extend(name.map(|it| it.replace("~1", "/").replace("~0", "~")));
            members.values().for_each(|inner| references(inner, names));
        }
        Value::Array(items) => items.iter().for_each(|inner| references(inner, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Translates one schema; references keep their text.
pub fn translate(schema: &Value) -> Value {
    let Some(schema) = schema.as_object() else { return schema.clone() };
    let nullable = schema.get("nullable") == Some(&Value::Bool(true));
    let mut out = Map::new();
    for (keyword, value) in schema {
        match keyword.as_str() {
            "type" => translate_type(value, nullable, &mut out),
            "enum" => put(&mut out, keyword, translate_enum(value, nullable)),
            "anyOf" => put(&mut out, keyword, translate_any(value, nullable)),
            "properties" => put(&mut out, "properties", translate_each(value)),
            "items" | "additionalProperties" => put(&mut out, keyword, translate(value)),
            "x-property-names" => put(&mut out, "propertyNames", value.clone()),
            "exclusiveMinimum" => exclusive(schema, "minimum", keyword, value, &mut out),
            "exclusiveMaximum" => exclusive(schema, "maximum", keyword, value, &mut out),
            kept if is_constraint(kept) => put(&mut out, kept, value.clone()),
            _ => {}
        }
    }
    if out.contains_key("exclusiveMinimum") {
        out.remove("minimum");
    }
    if out.contains_key("exclusiveMaximum") {
        out.remove("maximum");
    }
    Value::Object(out)
}

/// Names of properties marked `x-sensitive` anywhere in a map of schemas.
pub fn sensitive_names(schemas: &Value) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    collect_sensitive(schemas, &mut names);
    names
}

fn collect_sensitive(node: &Value, names: &mut BTreeSet<String>) {
    let members = node.as_object().into_iter().flatten();
    for (name, member) in members {
        if member.get("x-sensitive") == Some(&Value::Bool(true)) {
            names.insert(name.clone());
        }
        collect_sensitive(member, names);
    }
}

fn is_constraint(keyword: &str) -> bool {
    matches!(
        keyword,
        "$ref"
            | "pattern"
            | "format"
            | "minLength"
            | "maxLength"
            | "minimum"
            | "maximum"
            | "multipleOf"
            | "minItems"
            | "maxItems"
            | "uniqueItems"
            | "minProperties"
            | "maxProperties"
            | "required"
            | MAX_BYTES
            | MAX_DEPTH
    )
}

fn put(out: &mut Map<String, Value>, keyword: &str, value: Value) {
    out.insert(keyword.into(), value);
}

fn translate_type(kind: &Value, nullable: bool, out: &mut Map<String, Value>) {
    match (kind == "integer", nullable) {
        (true, true) => put(out, INTEGER, "nullable".into()),
        (true, false) => put(out, INTEGER, "plain".into()),
        (false, true) => put(out, "type", json!([kind, "null"])),
        (false, false) => put(out, "type", kind.clone()),
    }
}

fn translate_enum(options: &Value, nullable: bool) -> Value {
    let mut options = options.as_array().cloned().unwrap_or_default();
    if nullable {
        options.push(Value::Null);
    }
    Value::Array(options)
}

fn translate_any(branches: &Value, nullable: bool) -> Value {
    let mut branches: Vec<_> = branches.as_array().into_iter().flatten().map(translate).collect();
    if nullable {
        branches.push(json!({ "type": "null" }));
    }
    Value::Array(branches)
}

/// OpenAPI 3.0 writes `minimum: 3, exclusiveMinimum: true` for JSON Schema's `exclusiveMinimum: 3`.
fn exclusive(
    schema: &Map<String, Value>,
    bound: &str,
    keyword: &str,
    flag: &Value,
    out: &mut Map<String, Value>,
) {
    if let (Value::Bool(true), Some(limit)) = (flag, schema.get(bound)) {
        put(out, keyword, limit.clone());
    }
}

struct Integer {
    nullable: bool,
}

impl<'i> Keyword<'i> for Integer {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(value) { Ok(()) } else { Err(ValidationError::custom("not an integer")) }
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        value.is_i64() || value.is_u64() || (self.nullable && value.is_null())
    }
}

struct MaxBytes(usize);

impl<'i> Keyword<'i> for MaxBytes {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(value) { Ok(()) } else { Err(ValidationError::custom(self.0.to_string())) }
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        compact_bytes(value) <= self.0
    }
}

/// The size of a value as compact JSON, bytes.
pub fn compact_bytes(value: &Value) -> usize {
    value.to_string().len()
}

struct MaxDepth(usize);

impl<'i> Keyword<'i> for MaxDepth {
    fn validate(&self, value: &'i Value) -> Result<(), ValidationError<'i>> {
        self.iter_errors(value).next().map_or(Ok(()), Err)
    }

    fn is_valid(&self, value: &'i Value) -> bool {
        self.iter_errors(value).next().is_none()
    }

    /// One error for each member that nests too deep; its message is the limit and its pointer.
    fn iter_errors(&self, value: &'i Value) -> Box<dyn Iterator<Item = ValidationError<'i>> + 'i> {
        let limit = self.0;
        let members = value.as_object().into_iter().flatten();
        let deep = members.filter(move |(_, member)| array_depth(member) > limit);
        Box::new(deep.map(move |(name, _)| {
            let mut message = format!("{limit} ");
            crate::pointer_push(&mut message, name);
            ValidationError::custom(message)
        }))
    }
}

/// How deep arrays nest: a scalar is 0, an array of scalars 1.
pub fn array_depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(array_depth).max().unwrap_or(0),
        _ => 0,
    }
}
