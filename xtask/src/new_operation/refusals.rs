//! The refusals of a new operation: what the runtime may answer for it, and what every operation of
//! its caller answers; in a neighbour's words where it has the same codes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::neighbours::{Neighbour, Neighbours};
use super::skeleton::Asked;
use super::text::lines_of;
use crate::document::Node;

/// Statuses and their codes.
type Wanted = BTreeMap<String, BTreeSet<String>>;

/// The lines of every refusal, as they stand below `responses`; `like` is the neighbour whose limit
/// on bodies was taken.
pub fn write(
    asked: &Asked<'_>,
    neighbours: &Neighbours<'_>,
    like: Option<&Neighbour<'_>>,
) -> Vec<String> {
    let mine = neighbours.called_by(asked.caller.as_deref());
    let wanted = wanted(asked, neighbours, &mine);
    let among: Vec<_> = like.into_iter().chain(&mine).chain(&neighbours.all).copied().collect();
    let each = wanted.iter().map(|(status, codes)| {
        let copied = neighbours.answer(&among, status, codes, 4);
        let lines = copied.unwrap_or_else(|| placeholder(asked, neighbours, status, codes));
        (status.clone(), lines)
    });
    let mut written: BTreeMap<String, Vec<String>> = each.collect();
    if let Some(lines) = not_found(asked, neighbours) {
        written.entry("404".to_owned()).or_insert(lines);
    }
    written.into_values().flatten().collect()
}

fn wanted(asked: &Asked<'_>, neighbours: &Neighbours<'_>, mine: &[Neighbour<'_>]) -> Wanted {
    let mut wanted = Wanted::new();
    let mut add = |status: &str, code: &str| {
        wanted.entry(status.to_owned()).or_default().insert(code.to_owned());
    };
    let (status, code) = validation(neighbours, "parameters");
    add(&status, &code);
    if asked.naming.deed.takes_body() {
        let (status, code) = validation(neighbours, "body");
        add(&status, &code);
        add("400", "invalid_json");
        add("408", "request_timeout");
        add("413", "payload_too_large");
        add("415", "unsupported_media_type");
    }
    let everywhere =
        neighbours.proving().filter(|_| asked.knows_caller()).map(|it| it.codes("400"));
    let everywhere = everywhere.reduce(|a, b| &a & &b);
    // What no body is refused with has its place above.
    let more = everywhere.unwrap_or_default().into_iter().filter(|code| *code != "invalid_json");
    more.for_each(|code| add("400", code));
    if asked.takes_key() {
        add("409", "idempotency_in_progress");
        add("422", "idempotency_key_reused");
    }
    for status in ["401", "403"].into_iter().filter(|_| asked.caller.is_some()) {
        let common = mine.iter().map(|it| it.codes(status)).reduce(|a, b| &a & &b);
        common.unwrap_or_default().iter().for_each(|code| add(status, code));
        if status == "401" && mine.is_empty() {
            add(status, "missing_credentials");
            add(status, "invalid_api_key");
        }
    }
    let caller = asked.caller.as_deref();
    if caller.is_some_and(|caller| neighbours.browser_refused(caller)) {
        add("403", "secret_key_in_browser");
    }
    add("429", "rate_limited");
    add("500", "internal");
    add("503", "unavailable");
    wanted
}

/// What the document answers a broken part with: status and code.
fn validation(neighbours: &Neighbours<'_>, part: &str) -> (String, String) {
    let answer = neighbours.root.get("x-validation").and_then(|it| it.get(part));
    let text = |name: &str| match answer.and_then(|it| it.get(name)).map(Node::to_json) {
        Some(serde_json::Value::String(text)) => text,
        Some(other) => other.to_string(),
        None => String::new(),
    };
    (text("status"), text("code"))
}

fn placeholder(
    asked: &Asked<'_>,
    neighbours: &Neighbours<'_>,
    status: &str,
    codes: &BTreeSet<String>,
) -> Vec<String> {
    let codes = codes.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "    '{status}':\n      description: Placeholder. When and why.\n      x-codes: [{codes}]\n"
    );
    let caller = asked.caller.as_deref();
    let mut headers = neighbours.common_headers(caller, |key| !key.starts_with('2'));
    let own: &[_] = match status {
        "401" => &[("WWW-Authenticate", "WwwAuthenticate")],
        "429" => &[
            ("Retry-After", "RetryAfter"),
            ("RateLimit-Policy", "RateLimitPolicy"),
            ("RateLimit", "RateLimit"),
        ],
        "409" | "503" => &[("Retry-After", "RetryAfter")],
        _ => &[],
    };
    headers.extend(own.iter().map(|(name, component)| {
        ((*name).to_owned(), format!("common.yaml#/components/headers/{component}"))
    }));
    if !headers.is_empty() {
        text.push_str("      headers:\n");
    }
    for (name, target) in headers {
        let _ = writeln!(text, "        {name}:\n          $ref: '{target}'");
    }
    text.push_str(
        "      content:\n        application/json:\n          schema:\n            \
         $ref: 'common.yaml#/components/schemas/Error'",
    );
    lines_of(&text)
}

/// What an operation on the same thing answers when it is not there.
fn not_found(asked: &Asked<'_>, neighbours: &Neighbours<'_>) -> Option<Vec<String>> {
    let end = asked.path.find('}')?;
    let alike: Vec<_> =
        neighbours.all.iter().filter(|it| it.path.starts_with(&asked.path[..=end])).collect();
    let (key, _) = alike.iter().find_map(|it| it.answers().find(|(key, _)| key.text == "404"))?;
    Some(neighbours.copy(key, 4))
}
