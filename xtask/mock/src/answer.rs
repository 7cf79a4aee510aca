//! Which documented answer a request gets: the one it prefers, or the success; with the document's
//! example, or a value drawn from the seed.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use dropshot::Body;
use http::header::{CONTENT_TYPE, HeaderName};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use serde_json::Value;
use vestibule_runtime::strategy::{self, sample};
use vestibule_runtime::{Part, Received, Refusal, StandardCodes, Violation};

use crate::MockOperation;
use crate::prefer::{APPLIED, PREFER, Preference};

/// Draws tried until one can stand in a header.
const DRAWS: u64 = 64;

/// The answer to a request whose constraints hold.
///
/// # Errors
/// When a refusal was preferred, or an answer that is not documented.
pub fn answer(
    operation: &'static MockOperation,
    received: &Received,
    seed: u64,
    codes: &StandardCodes,
) -> Result<Response<Body>, Refusal> {
    let seed = seed_of(seed, received);
    let preference = Preference::read(&received.headers);
    let wanted = Wanted::of(operation, &preference)?;
    let body = match wanted.refusal {
        Some(_) => None,
        None => body(operation, wanted.status, &preference, seed)?,
    };
    let kept = preference.kept(wanted.refusal.is_some(), body.is_some());
    let headers = headers(operation, &wanted, &kept, seed, codes)?;
    if let Some(code) = wanted.refusal {
        let named = headers.into_iter().filter_map(|(name, value)| Some((name?, value)));
        return Err(named.fold(Refusal::new(code), |told, (name, value)| told.header(name, value)));
    }
    let mut response = Response::new(Body::empty());
    *response.status_mut() =
        StatusCode::from_u16(wanted.status).map_err(|_| Refusal::new(codes.internal))?;
    *response.headers_mut() = headers;
    if let Some(body) = body {
        *response.body_mut() = Body::with_content(body.to_string());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    Ok(response)
}

/// The documented answer that was chosen.
struct Wanted {
    status: u16,
    /// Its stable code when it is a refusal.
    refusal: Option<vestibule_runtime::Code>,
}

impl Wanted {
    fn of(operation: &MockOperation, preference: &Preference) -> Result<Self, Refusal> {
        let answers = operation.info.answers;
        let Some(code) = &preference.code else {
            let success = answers.iter().find(|(_, codes)| codes.is_empty());
            let status = success.map_or(200, |(status, _)| *status);
            return Ok(Self { status, refusal: None });
        };
        let documented = answers.iter().find(|(status, _)| status.to_string() == *code);
        let Some((status, codes)) = documented else {
            let known: Vec<_> = answers.iter().map(|(status, _)| *status).collect();
            return Err(unmet(operation, known, code));
        };
        let refusal = match &preference.example {
            Some(name) if !codes.is_empty() => {
                let named = codes.iter().find(|code| code.name == name);
                let known = || codes.iter().map(|code| code.name).collect::<Vec<_>>();
                Some(*named.ok_or_else(|| unmet(operation, known(), name))?)
            }
            _ => codes.first().copied(),
        };
        Ok(Self { status: *status, refusal })
    }
}

/// A preference that nothing documented meets: answered rather than ignored, since whoever asks a
/// mock for an answer waits for that one.
fn unmet(operation: &MockOperation, known: impl Into<Value>, sent: &str) -> Refusal {
    let violation = Violation { part: Part::Header, ..Violation::body("/prefer", "enum") };
    let violation = violation.limit(known).actual(sent);
    let id = operation.info.id;
    Refusal::violations(operation.info.parameters_refused, vec![violation])
        .message(format!("{PREFER} asks for an answer that {id} does not document."))
}

/// The body of a documented success; nothing when it documents none.
fn body(
    operation: &'static MockOperation,
    status: u16,
    preference: &Preference,
    seed: u64,
) -> Result<Option<Value>, Refusal> {
    let media = &operation.response(status)["content"]["application/json"];
    if media.is_null() {
        return Ok(None);
    }
    if let Some(name) = &preference.example {
        let named = media["examples"].get(name).map(|example| example["value"].clone());
        let known = media["examples"].as_object().into_iter().flatten().map(|(name, _)| name);
        let known: Vec<_> = known.cloned().collect();
        return named.map(Some).ok_or_else(|| unmet(operation, known, name));
    }
    let example = example(operation, media).filter(|_| !preference.dynamic);
    let drawn = || sample(&strategy::full(&operation.schemas, &media["schema"]), seed);
    Ok(Some(example.cloned().unwrap_or_else(drawn)))
}

/// The example of a media type, a header or a parameter: its own, the first of several, or its
/// schema's.
pub fn example(operation: &MockOperation, holder: &'static Value) -> Option<&'static Value> {
    let first = || {
        let all = holder.get("examples")?.as_object()?;
        all.values().next()?.get("value")
    };
    let of_schema = || operation.resolve(holder.get("schema")?).get("example");
    holder.get("example").or_else(first).or_else(of_schema)
}

/// Whether an answer of the success of an operation comes from an example.
pub fn has_example(operation: &MockOperation) -> bool {
    let success = operation.info.answers.iter().find(|(_, codes)| codes.is_empty());
    let media = |status| &operation.response(status)["content"]["application/json"];
    success.is_some_and(|(status, _)| example(operation, media(*status)).is_some())
}

/// The documented headers of an answer that are not the runtime's.
fn headers(
    operation: &'static MockOperation,
    wanted: &Wanted,
    kept: &Preference,
    seed: u64,
    codes: &StandardCodes,
) -> Result<HeaderMap, Refusal> {
    let mut headers = HeaderMap::new();
    let defect = || Refusal::new(codes.internal);
    let documented = operation.response(wanted.status)["headers"].as_object();
    for (name, header) in documented.into_iter().flatten() {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| defect())?;
        if is_of_the_runtime(name.as_str()) {
            continue;
        }
        let value = header_value(operation, operation.resolve(header), seed);
        headers.insert(name, value.ok_or_else(defect)?);
    }
    if let Some(applied) = kept.applied() {
        headers.insert(APPLIED, HeaderValue::from_str(&applied).map_err(|_| defect())?);
    }
    Ok(headers)
}

fn is_of_the_runtime(name: &str) -> bool {
    name.starts_with("access-control-")
        || matches!(name, "vary" | "x-content-type-options" | "x-request-id" | "www-authenticate")
}

fn header_value(
    operation: &'static MockOperation,
    header: &'static Value,
    seed: u64,
) -> Option<HeaderValue> {
    if let Some(Value::String(text)) = example(operation, header) {
        return HeaderValue::from_str(text).ok();
    }
    let strategy = strategy::full(&operation.schemas, &header["schema"]);
    (0..DRAWS).find_map(|more| match sample(&strategy, seed.wrapping_add(more)) {
        Value::String(text) if text.is_ascii() => HeaderValue::from_str(&text).ok(),
        Value::String(_) => None,
        other => HeaderValue::from_str(&other.to_string()).ok(),
    })
}

/// The same request draws the same values; another one draws others.
fn seed_of(seed: u64, received: &Received) -> u64 {
    let mut hasher = DefaultHasher::new();
    (seed, received.operation.id, received.uri.to_string(), &received.body).hash(&mut hasher);
    hasher.finish()
}
