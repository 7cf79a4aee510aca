//! Faults in how a body is received: its text, its media type, its size.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;
use vestibule_conformance::outcome::Check;
use vestibule_schema::json;

use crate::exchange::{Answer, Request};
use crate::fault::{Fault, Place};

const EMBED: &str = "embedSessionCreate";
const CHAT: &str = "chatSessionCreate";
const IFRAME: &str = "iframeSessionCreate";
const TENANT: &str = "tenantCreate";

/// Faults of bodies.
pub fn faults() -> Vec<Fault> {
    let mut all = texts();
    all.extend(media_types());
    all.extend(sizes());
    all
}

fn texts() -> Vec<Fault> {
    vec![
        Fault::before(
            "json-duplicate-keys",
            TENANT,
            "the last of two equal members wins",
            Check::Malformed,
            |request, _| {
                if reason(request)?.contains("duplicate member") {
                    let last_wins = request.json()?;
                    request.set_json(&last_wins);
                }
                None
            },
        ),
        Fault::before(
            "json-trailing-data",
            EMBED,
            "reading stops after the first value",
            Check::Malformed,
            |request, _| {
                let whole = serde_json::from_slice::<Value>(&request.body).is_ok();
                let mut values = serde_json::Deserializer::from_slice(&request.body).into_iter();
                let first: Value = values.next()?.ok()?;
                if !whole {
                    request.set_json(&first);
                }
                None
            },
        ),
        tolerant("json-byte-order-mark", CHAT, "a mark before the body skipped", "byte order mark"),
        tolerant("json-nul", TENANT, "U+0000 kept, which databases cut at", "U+0000"),
        tolerant("json-nested-too-deep", IFRAME, "nesting without a bound", "nesting deeper"),
        Fault::before(
            "json-syntax-as-500",
            IFRAME,
            "a parse error that nobody catches",
            Check::Malformed,
            |request, _| {
                let is_json = serde_json::from_slice::<Value>(&request.body).is_ok();
                (!is_json).then(|| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "panicked"))
            },
        ),
        Fault::before(
            "body-missing",
            TENANT,
            "an absent body read as an empty object",
            Check::Malformed,
            |request, place| take_where(request, place, |request| request.body.is_empty()),
        ),
    ]
}

/// A fault that takes what the strict reader refuses for one reason.
fn tolerant(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    why: &'static str,
) -> Fault {
    Fault::before(name, operation, imitates, Check::Malformed, move |request, place| {
        take_where(request, place, |request| reason(request).is_some_and(|it| it.contains(why)))
    })
}

fn media_types() -> Vec<Fault> {
    vec![
        Fault::before(
            "media-type-unchecked",
            EMBED,
            "a body read whatever its type is",
            Check::MediaType,
            |request, _| {
                if request.headers.contains_key(CONTENT_TYPE) {
                    request.set(CONTENT_TYPE, "application/json");
                }
                None
            },
        ),
        Fault::before(
            "media-type-missing",
            CHAT,
            "a body without a type taken for JSON",
            Check::MediaType,
            |request, _| {
                if !request.headers.contains_key(CONTENT_TYPE) {
                    request.set(CONTENT_TYPE, "application/json");
                }
                None
            },
        ),
        Fault::before(
            "media-type-as-400",
            IFRAME,
            "a wrong type answered like a broken body",
            Check::MediaType,
            |request, _| {
                let found = request.once(&CONTENT_TYPE).unwrap_or_default();
                if !found.starts_with("application/json") {
                    request.set(CONTENT_TYPE, "application/json");
                    request.body = "{".into();
                }
                None
            },
        ),
    ]
}

fn sizes() -> Vec<Fault> {
    vec![
        Fault::before(
            "body-limit-plus-one",
            TENANT,
            "a limit that is checked after the last read",
            Check::Oversize,
            |request, place| {
                let limit = place.operation.max_bytes?;
                take_where(request, place, |request| request.body.len() == limit + 1)
            },
        ),
        Fault::before(
            "body-limit-unchecked",
            EMBED,
            "no limit on a body",
            Check::Oversize,
            |request, place| {
                let limit = place.operation.max_bytes?;
                take_where(request, place, |request| request.body.len() > limit)
            },
        ),
        Fault::before(
            "body-limit-refused",
            CHAT,
            "< limit in place of <= limit, on a body",
            Check::Oversize,
            |request, place| {
                if request.body.len() == place.operation.max_bytes? {
                    request.body = [&request.body, &b" "[..]].concat().into();
                }
                None
            },
        ),
    ]
}

/// Why the strict reader refuses a body; nothing when it does not.
fn reason(request: &Request) -> Option<String> {
    json::read(&request.body).err().map(|bad| bad.to_string())
}

fn take_where(
    request: &mut Request,
    place: Place<'_>,
    is_taken: impl Fn(&Request) -> bool,
) -> Option<Answer> {
    if is_taken(request) {
        request.set_json(&place.world.fine_body(&place.operation.id));
    }
    None
}
