//! Faults in successes: status, members, types and forms of what is answered.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use serde_json::{Value, json};

use crate::exchange::{Answer, without};
use crate::fault::Fault;
use vestibule_conformance::outcome::Check;

const EMBED: &str = "embedSessionCreate";
const READ: &str = "embedSessionRead";
const CHAT: &str = "chatSessionCreate";
const IFRAME: &str = "iframeSessionCreate";
const REDEEM: &str = "iframeTokenRedeem";

/// Faults of successes.
pub fn faults() -> Vec<Fault> {
    let mut all = members();
    all.extend(forms());
    all.extend(statuses());
    all.extend(bodies());
    all
}

/// A fault that changes one value of a success.
fn at(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    pointer: &'static str,
    change: fn(&mut Value),
) -> Fault {
    Fault::after(name, operation, imitates, Check::Valid, move |_, answer| {
        if answer.is_success() {
            answer.edit_at(pointer, change);
        }
    })
}

fn members() -> Vec<Fault> {
    vec![
        at("answer-member-missing", EMBED, "a member left out when it is small", "/data", |data| {
            without(data, "expiresIn");
        }),
        at(
            "answer-member-missing-nested",
            CHAT,
            "a member that only some entries have",
            "/intents/0",
            |intent| without(intent, "isPinned"),
        ),
        at("answer-member-extra", IFRAME, "an internal member that slips out", "", |body| {
            body["tenant"] = "ten_1".into();
        }),
        at("answer-null", CHAT, "null for what is absent", "/widget/label", |label| {
            *label = Value::Null;
        }),
        at("answer-type", IFRAME, "a number written as text", "/expires_in", |seconds| {
            *seconds = seconds.to_string().into();
        }),
        at(
            "answer-decimal",
            IFRAME,
            "seconds from a floating division",
            "/expires_in",
            |seconds| {
                *seconds = json!(899.5);
            },
        ),
        at("answer-over-maximum", REDEEM, "milliseconds for seconds", "/expires_in", |seconds| {
            *seconds = 871_000.into();
        }),
        at(
            "answer-below-minimum",
            READ,
            "a clock that runs past the end",
            "/data/expiresIn",
            |it| {
                *it = (-1).into();
            },
        ),
        at("answer-enum", REDEEM, "a value outside its enumeration", "/token_type", |kind| {
            *kind = "bearer".into();
        }),
        at("answer-pattern", READ, "an id of another form", "/data/sessionId", |id| {
            *id = "7f3c9a5e-5a77-4a29-9d6c-0c7f6a0e2a11".into();
        }),
        at(
            "answer-list-for-object",
            READ,
            "an empty map written as a list (PHP)",
            "/data",
            |data| *data = json!([]),
        ),
    ]
}

fn forms() -> Vec<Fault> {
    vec![
        at(
            "date-without-zone",
            EMBED,
            "a local time written without its zone",
            "/data/expiresAt",
            |date| cut(date, "Z"),
        ),
        at("date-with-a-space", CHAT, "a date as a database prints it", "/expiresAt", |date| {
            *date = date.as_str().unwrap_or_default().replace('T', " ").into()
        }),
        at("date-as-rfc-2822", READ, "a date as mails have it", "/data/expiresAt", |date| {
            *date = "Fri, 08 May 2026 12:15:00 GMT".into()
        }),
        at("uuid-without-hyphens", CHAT, "an id in its short form", "/conversationId", |id| {
            *id = id.as_str().unwrap_or_default().replace('-', "").into();
        }),
        at("uri-relative", EMBED, "a URL without its host", "/data/iframeUrl", |url| {
            let text = url.as_str().unwrap_or_default();
            let path = text.splitn(4, '/').nth(3).unwrap_or_default();
            *url = format!("/{path}").into();
        }),
    ]
}

fn cut(date: &mut Value, end: &str) {
    let text = date.as_str().unwrap_or_default();
    *date = text.trim_end_matches(end).into();
}

fn statuses() -> Vec<Fault> {
    vec![
        Fault::after(
            "status-200-for-201",
            EMBED,
            "a creation answered 200",
            Check::Valid,
            |_, answer| {
                if answer.status == StatusCode::CREATED {
                    answer.status = StatusCode::OK;
                }
            },
        ),
        Fault::after(
            "status-undocumented",
            CHAT,
            "a status that nobody documented",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    answer.status = StatusCode::IM_A_TEAPOT;
                }
            },
        ),
    ]
}

fn bodies() -> Vec<Fault> {
    vec![
        Fault::after(
            "empty-success",
            IFRAME,
            "a success without its body",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    answer.body = bytes::Bytes::new();
                }
            },
        ),
        Fault::after(
            "half-a-body",
            REDEEM,
            "a body cut off by a buffer",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    answer.body.truncate(answer.body.len() / 2);
                }
            },
        ),
        Fault::after(
            "body-with-204",
            "keyRevoke",
            "a word where there is no body",
            Check::Valid,
            |_, answer| {
                if answer.status == StatusCode::NO_CONTENT {
                    *answer = Answer::text(StatusCode::OK, "deleted");
                }
            },
        ),
        Fault::after(
            "content-type-text",
            EMBED,
            "JSON labelled as text/json",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    answer.set(CONTENT_TYPE, "text/json");
                }
            },
        ),
        Fault::after(
            "content-type-missing",
            READ,
            "JSON without a label",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    let gone: [HeaderName; 2] = [CONTENT_TYPE, CONTENT_LENGTH];
                    gone.iter().for_each(|name| answer.drop_header(name));
                }
            },
        ),
    ]
}
