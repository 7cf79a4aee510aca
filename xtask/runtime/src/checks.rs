//! Checks the parts of a received request against their schemas, all of them before any answer.

use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Part, Received, Refusal, Schema, StandardCodes, Violation, json, pointer_push};

/// The schemas of one operation's parts; `None` where it takes nothing.
#[derive(Debug)]
pub struct Checks {
    /// Of the path parameters.
    pub path: Option<Parameters>,
    /// Of the query parameters; unknown ones are refused even when none is documented.
    pub query: Parameters,
    /// Of the documented header parameters.
    pub headers: Option<Parameters>,
    /// Of the body.
    pub body: Option<Schema>,
}

/// The parameters of one part: an object schema and the JSON type of each member.
#[derive(Debug)]
pub struct Parameters {
    /// The object of all of them.
    pub schema: Schema,
    /// Names and types, as the document spells them.
    pub members: Vec<(String, String)>,
    /// Whether a request without any of them is fine.
    pub optional: bool,
}

/// A request's parts after all their constraints held.
#[derive(Debug)]
pub struct Checked {
    path: Value,
    query: Value,
    headers: Value,
    body: Value,
}

impl Checks {
    /// Checks every part of a request.
    ///
    /// # Errors
    /// One refusal with all violations. Its code is the body's when the body broke a constraint,
    /// otherwise that of the parameters; a body that is not JSON is refused before either.
    pub fn run(&self, received: &Received, codes: &StandardCodes) -> Result<Checked, Refusal> {
        let mut all = Vec::new();
        let path = check(self.path.as_ref(), Part::Path, &mut all, |p| p.of_path(received));
        let query = check(Some(&self.query), Part::Query, &mut all, |p| p.of_query(received));
        let headers = match &self.headers {
            // Most requests: what was not sent breaks nothing, and costs nothing.
            Some(headers) if headers.is_unused(&received.headers) => Value::Object(Map::new()),
            headers => {
                check(headers.as_ref(), Part::Header, &mut all, |p| p.of_headers(&received.headers))
            }
        };
        let outside = all.len();
        let body = self.check_body(received, codes, &mut all)?;
        if all.is_empty() {
            return Ok(Checked { path, query, headers, body });
        }
        let body_code = received.operation.body.as_ref().map(|body| body.refused);
        let parameters_code = received.operation.parameters_refused;
        let code = if all.len() > outside { body_code } else { None };
        Err(Refusal::violations(code.unwrap_or(parameters_code), all))
    }

    fn check_body(
        &self,
        received: &Received,
        codes: &StandardCodes,
        all: &mut Vec<Violation>,
    ) -> Result<Value, Refusal> {
        let Some(schema) = &self.body else { return Ok(Value::Null) };
        let (value, broken) = read_body(&received.body, schema)
            .map_err(|bad| Refusal::new(codes.invalid_json).detail("reason", bad.0))?;
        all.extend(broken);
        Ok(value)
    }
}

/// A body as every operation reads it: its value and what it breaks.
///
/// # Errors
/// When it is not JSON as [`json::read`] takes it.
pub fn read_body(bytes: &[u8], schema: &Schema) -> Result<(Value, Vec<Violation>), json::NotJson> {
    let document = json::read(bytes)?;
    let mut broken = schema.check(Part::Body, &document.value);
    let rounded = document.inexact.into_iter();
    broken.extend(rounded.map(|pointer| Violation::body(pointer, "x-exact-number")));
    Ok((document.value, broken))
}

fn check(
    parameters: Option<&Parameters>,
    part: Part,
    all: &mut Vec<Violation>,
    read: impl FnOnce(&Parameters) -> (Map<String, Value>, Vec<Violation>),
) -> Value {
    let Some(parameters) = parameters else { return Value::Null };
    let (members, mut broken) = read(parameters);
    all.append(&mut broken);
    let value = Value::Object(members);
    all.extend(parameters.schema.check(part, &value));
    value
}

impl Parameters {
    fn of_path(&self, received: &Received) -> (Map<String, Value>, Vec<Violation>) {
        let template = received.operation.path.split('/');
        let sent = received.uri.path().split('/').filter(|segment| !segment.is_empty());
        let variables = template.filter(|s| !s.is_empty()).zip(sent).filter_map(|(name, value)| {
            let name = name.strip_prefix('{')?.strip_suffix('}')?;
            Some((name.to_owned(), percent_decode_str(value).decode_utf8_lossy().into_owned()))
        });
        self.collect(Part::Path, variables)
    }

    fn of_query(&self, received: &Received) -> (Map<String, Value>, Vec<Violation>) {
        let query = received.uri.query().unwrap_or_default();
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(name), form_decode(value))
        });
        self.collect(Part::Query, pairs)
    }

    fn of_headers(&self, headers: &HeaderMap) -> (Map<String, Value>, Vec<Violation>) {
        let all = self.members.iter().flat_map(|(name, _)| {
            let values = headers.get_all(name.as_str()).iter();
            values.map(move |v| (name.clone(), String::from_utf8_lossy(v.as_bytes()).into_owned()))
        });
        self.collect(Part::Header, all)
    }

    fn is_unused(&self, sent: &HeaderMap) -> bool {
        self.optional && !self.members.iter().any(|(name, _)| sent.contains_key(name.as_str()))
    }

    /// Gives each text its documented type; one that is given twice or holds U+0000 is a violation.
    fn collect(
        &self,
        part: Part,
        pairs: impl Iterator<Item = (String, String)>,
    ) -> (Map<String, Value>, Vec<Violation>) {
        let (mut members, mut broken) = (Map::new(), Vec::new());
        for (name, text) in pairs {
            let kind = self.members.iter().find(|(known, _)| *known == name);
            let value = typed(kind.map_or("string", |(_, kind)| kind), text);
            // In a body it would be no JSON of ours, and not every database can keep it.
            let has_nul = value.as_str().is_some_and(|text| text.contains('\0'));
            let faults =
                [(members.contains_key(&name), "x-once"), (has_nul, "x-no-nul")].into_iter();
            broken.extend(faults.filter(|(is_broken, _)| *is_broken).map(|(_, keyword)| {
                let mut pointer = String::new();
                pointer_push(&mut pointer, &name);
                Violation { part, ..Violation::body(pointer, keyword) }
            }));
            members.insert(name, value);
        }
        (members, broken)
    }
}

/// A parameter's text as its documented type, or as a string that breaks `type`.
fn typed(kind: &str, text: String) -> Value {
    let parsed = match kind {
        "integer" => text.parse::<i64>().ok().filter(|n| n.to_string() == text).map(Value::from),
        "boolean" => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or(Value::String(text))
}

fn form_decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

impl Checked {
    /// Whether the body's member was sent as `null`, which models cannot tell from absent.
    pub fn body_member_is_null(&self, name: &str) -> bool {
        self.body.get(name) == Some(&Value::Null)
    }

    /// The path parameters as their model.
    ///
    /// # Errors
    /// As [`Checked::body`].
    pub fn path<T: DeserializeOwned>(&mut self, code: crate::Code) -> Result<T, Refusal> {
        model(self.path.take(), Part::Path, code)
    }

    /// The query parameters as their model.
    ///
    /// # Errors
    /// As [`Checked::body`].
    pub fn query<T: DeserializeOwned>(&mut self, code: crate::Code) -> Result<T, Refusal> {
        model(self.query.take(), Part::Query, code)
    }

    /// The header parameters as their model.
    ///
    /// # Errors
    /// As [`Checked::body`].
    pub fn headers<T: DeserializeOwned>(&mut self, code: crate::Code) -> Result<T, Refusal> {
        model(self.headers.take(), Part::Header, code)
    }

    /// The body as its model.
    ///
    /// # Errors
    /// When the model refuses what its schema accepts: a defect that must not become a 5xx.
    pub fn body<T: DeserializeOwned>(&mut self, code: crate::Code) -> Result<T, Refusal> {
        model(self.body.take(), Part::Body, code)
    }
}

fn model<T: DeserializeOwned>(value: Value, part: Part, code: crate::Code) -> Result<T, Refusal> {
    serde_json::from_value(value).map_err(|bad| {
        tracing::error!(%bad, ?part, "a model refuses what its schema accepts");
        let violation = Violation { part, ..Violation::body("", "type") };
        Refusal::violations(code, vec![violation.actual(bad.to_string())])
    })
}
