//! Faults in how query and path parameters are read.

use serde_json::Value;
use vestibule_conformance::outcome::Check;
use vestibule_schema::{Part, Schema};

use crate::documents::resolved;
use crate::exchange::{Answer, Request};
use crate::fault::{Fault, Place};

const LIST: &str = "tenantList";

/// Faults of parameters.
pub fn faults() -> Vec<Fault> {
    bounds().into_iter().chain(readings()).collect()
}

fn bounds() -> Vec<Fault> {
    vec![
        Fault::before(
            "query-maximum-plus-one",
            LIST,
            "a page size clamped",
            Check::Parameter,
            |request, place| rewrite_limit(request, place, "maximum", 1),
        ),
        Fault::before(
            "query-minimum-minus-one",
            LIST,
            "zero means the default",
            Check::Parameter,
            |request, place| rewrite_limit(request, place, "minimum", -1),
        ),
        Fault::before(
            "query-maximum-refused",
            LIST,
            "< bound in place of <= bound, in a query",
            Check::Parameter,
            |request, place| {
                let bound = bound_of_limit(place, "maximum")?;
                refuse_where(request, |value| value == bound.to_string())
            },
        ),
    ]
}

fn readings() -> Vec<Fault> {
    vec![
        Fault::before(
            "query-not-a-number",
            LIST,
            "what cannot be parsed is ignored",
            Check::Parameter,
            |request, _| keep_where(request, |name, value| name != "limit" || is_number(value)),
        ),
        Fault::before(
            "query-unknown",
            LIST,
            "unknown query parameters ignored",
            Check::Parameter,
            |request, place| {
                let known = names(place);
                keep_where(request, |name, _| known.iter().any(|it| it == name))
            },
        ),
        Fault::before(
            "query-doubled",
            LIST,
            "the last of two query parameters wins",
            Check::Parameter,
            |request, _| {
                let mut seen = Vec::new();
                let mut kept = request.parameters();
                kept.reverse();
                kept.retain(|(name, _)| {
                    let is_new = !seen.contains(name);
                    seen.push(name.clone());
                    is_new
                });
                kept.reverse();
                request.set_parameters(&kept);
                None
            },
        ),
        Fault::before(
            "path-unchecked",
            "tenantRevoke",
            "an id looked up without a look at its form",
            Check::Parameter,
            |request, place| {
                let parameter = parameter(place, "tenantId")?;
                let document = place.world.documents.document(place.operation);
                let schema = Schema::inline(document, &parameter["schema"]);
                let (before, id) = request.path.rsplit_once('/')?;
                if !schema.check(Part::Path, &id.into()).is_empty() {
                    // Well formed, and nobody's: the documented example.
                    let absent = resolved(document, &parameter["schema"])?["example"].as_str()?;
                    request.path = format!("{before}/{absent}");
                }
                None
            },
        ),
    ]
}

fn rewrite_limit(
    request: &mut Request,
    place: Place<'_>,
    keyword: &str,
    past: i64,
) -> Option<Answer> {
    let bound = bound_of_limit(place, keyword)?;
    let mut parameters = request.parameters();
    for (name, value) in &mut parameters {
        if name == "limit" && *value == (bound + past).to_string() {
            *value = bound.to_string();
            request.query = None;
        }
    }
    if request.query.is_none() {
        request.set_parameters(&parameters);
    }
    None
}

fn refuse_where(request: &mut Request, is_refused: impl Fn(&str) -> bool) -> Option<Answer> {
    let mut parameters = request.parameters();
    let limit = parameters.iter_mut().find(|(name, value)| name == "limit" && is_refused(value))?;
    "0".clone_into(&mut limit.1);
    request.set_parameters(&parameters);
    None
}

fn keep_where(request: &mut Request, is_kept: impl Fn(&str, &str) -> bool) -> Option<Answer> {
    let mut parameters = request.parameters();
    let before = parameters.len();
    parameters.retain(|(name, value)| is_kept(name, value));
    if parameters.len() < before {
        request.set_parameters(&parameters);
    }
    None
}

fn is_number(text: &str) -> bool {
    text.parse::<i64>().is_ok()
}

fn parameter<'a>(place: Place<'a>, name: &str) -> Option<&'a Value> {
    let parameters = place.operation.node["parameters"].as_array()?;
    parameters.iter().find(|parameter| parameter["name"] == name)
}

fn bound_of_limit(place: Place<'_>, keyword: &str) -> Option<i64> {
    parameter(place, "limit")?["schema"][keyword].as_i64()
}

fn names(place: Place<'_>) -> Vec<String> {
    let parameters = place.operation.node["parameters"].as_array().into_iter().flatten();
    parameters.filter_map(|parameter| Some(parameter["name"].as_str()?.to_owned())).collect()
}
