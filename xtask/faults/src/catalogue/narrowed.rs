//! Faults that refuse a body which is valid: a bound one off on the inside, a form that is missing.
//!
//! A value that is refused by mistake becomes one that the server behind refuses by right, so the
//! refusal itself is as documented. Every bound is read from the document.

use http::StatusCode;
use serde_json::{Value, json};
use vestibule_conformance::outcome::Check;
use vestibule_schema::Part;

use super::loosened::size;
use crate::exchange::Answer;
use crate::fault::Fault;

/// A value that no schema of ours takes in any place.
fn broken() -> Value {
    json!([[[[[[[["no schema takes this"]]]]]]]])
}

/// A bound whose own value is refused.
struct Edge {
    name: &'static str,
    operation: &'static str,
    pointer: &'static str,
    keyword: &'static str,
    imitates: &'static str,
}

const EDGES: &[Edge] = &[
    Edge {
        name: "max-length-refused",
        operation: "iframeSessionCreate",
        pointer: "/uid",
        keyword: "maxLength",
        imitates: "< bound in place of <= bound, on a text",
    },
    Edge {
        name: "min-length-refused",
        operation: "tenantCreate",
        pointer: "/name",
        keyword: "minLength",
        imitates: "> bound in place of >= bound, on a text",
    },
    Edge {
        name: "max-items-refused",
        operation: "embedSessionCreate",
        pointer: "/capabilities",
        keyword: "maxItems",
        imitates: "< bound in place of <= bound, on a list",
    },
    Edge {
        name: "min-items-refused",
        operation: "iframeSessionCreate",
        pointer: "/srcs",
        keyword: "minItems",
        imitates: "> bound in place of >= bound, on a list",
    },
    Edge {
        name: "minimum-refused",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "minimum",
        imitates: "> bound in place of >= bound",
    },
    Edge {
        name: "maximum-refused",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "maximum",
        imitates: "< bound in place of <= bound",
    },
    Edge {
        name: "max-properties-refused",
        operation: "chatSessionCreate",
        pointer: "/variables",
        keyword: "maxProperties",
        imitates: "members counted one too many",
    },
    Edge {
        name: "max-bytes-refused",
        operation: "chatSessionCreate",
        pointer: "/variables",
        keyword: "x-max-bytes",
        imitates: "a size counted with a line end",
    },
];

/// Faults that take too little.
pub fn faults() -> Vec<Fault> {
    EDGES.iter().map(edge).chain(forms()).chain(shapes()).collect()
}

/// Name, operation, pointer and keyword of each.
#[cfg(test)]
pub fn places() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    EDGES.iter().map(|it| (it.name, it.operation, it.pointer, it.keyword))
}

fn edge(edge: &'static Edge) -> Fault {
    let Edge { name, operation, pointer, keyword, imitates } = *edge;
    Fault::before(name, operation, imitates, Check::Boundary, move |request, place| {
        let mut body = request.json()?;
        let bound = place.world.documents.schema_at(place.operation, pointer)?[keyword].as_i64()?;
        let value = body.pointer_mut(pointer)?;
        if size(keyword, value)? == bound {
            *value = broken();
            request.set_json(&body);
        }
        None
    })
}

fn forms() -> Vec<Fault> {
    vec![
        Fault::before(
            "length-in-bytes",
            "chatSessionCreate",
            "a length counted in bytes, not in characters",
            Check::Boundary,
            |request, place| {
                let mut body = request.json()?;
                let longest =
                    &place.world.documents.schema_at(place.operation, "/customerId")?["maxLength"];
                let value = body.pointer_mut("/customerId")?;
                if value.as_str()?.len() > usize::try_from(longest.as_u64()?).ok()? {
                    *value = broken();
                    request.set_json(&body);
                }
                None
            },
        ),
        Fault::before(
            "enum-narrowed",
            "iframeSessionCreate",
            "the newest value of an enumeration forgotten",
            Check::Boundary,
            |request, place| {
                let mut body = request.json()?;
                let listed = &place.world.documents.schema_at(place.operation, "/model")?["enum"];
                let value = body.pointer_mut("/model")?;
                if Some(&*value) == listed.as_array()?.last() {
                    *value = broken();
                    request.set_json(&body);
                }
                None
            },
        ),
    ]
}

fn shapes() -> Vec<Fault> {
    vec![
        Fault::before(
            "null-refused",
            "iframeSessionCreate",
            "nullable overlooked",
            Check::Boundary,
            |request, _| {
                let mut body = request.json()?;
                let value = body.pointer_mut("/limits")?;
                if value.is_null() {
                    *value = broken();
                    request.set_json(&body);
                }
                None
            },
        ),
        Fault::before(
            "optional-required",
            "iframeSessionCreate",
            "a member demanded that is optional",
            Check::Valid,
            |request, place| {
                let mut body = request.json()?;
                let is_valid = place.operation.body.as_ref()?.check(Part::Body, &body).is_empty();
                if is_valid && body.get("ttl").is_none() {
                    body["ttl"] = broken();
                    request.set_json(&body);
                }
                None
            },
        ),
        Fault::before(
            "pattern-narrowed",
            "embedSessionCreate",
            "hexadecimal taken in lower case only",
            Check::Boundary,
            |request, _| {
                let mut body = request.json()?;
                let value = body.pointer_mut("/employeeId")?;
                if value.as_str()?.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    *value = broken();
                    request.set_json(&body);
                }
                None
            },
        ),
        Fault::before(
            "crash-on-one-input",
            "chatSessionCreate",
            "a text sliced in the middle of a character",
            Check::Boundary,
            |request, _| {
                let body = request.json()?;
                let text = body["customerId"].as_str()?;
                let cut = text.len() > 10 && !text.is_char_boundary(10);
                cut.then(|| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, ""))
            },
        ),
    ]
}
