//! Faults in refusals: status, code, the error object and the violations it lists.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde_json::Value;

use crate::exchange::{Answer, without};
use crate::fault::Fault;
use vestibule_conformance::outcome::Check;

const EMBED: &str = "embedSessionCreate";
const CHAT: &str = "chatSessionCreate";
const IFRAME: &str = "iframeSessionCreate";
const TENANT: &str = "tenantCreate";

/// Faults of refusals.
pub fn faults() -> Vec<Fault> {
    let mut all = statuses();
    all.extend(objects());
    all.extend(violations());
    all
}

/// A fault that changes the refusals of one status.
fn of(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    by: Check,
    status: u16,
    change: fn(&mut Answer),
) -> Fault {
    Fault::after(name, operation, imitates, by, move |_, answer| {
        if answer.status.as_u16() == status {
            change(answer);
        }
    })
}

fn statuses() -> Vec<Fault> {
    vec![
        of(
            "status-400-for-422",
            CHAT,
            "one status for every broken body",
            Check::Broken,
            422,
            |answer| {
                answer.status = StatusCode::BAD_REQUEST;
            },
        ),
        of(
            "status-401-as-403",
            IFRAME,
            "missing credentials forbidden",
            Check::Credential,
            401,
            |answer| {
                answer.status = StatusCode::FORBIDDEN;
            },
        ),
        of(
            "status-415-as-406",
            TENANT,
            "the wrong one of two media statuses",
            Check::MediaType,
            415,
            |answer| {
                answer.status = StatusCode::NOT_ACCEPTABLE;
            },
        ),
        of(
            "status-413-as-500",
            TENANT,
            "a limit that ends in a crash",
            Check::Oversize,
            413,
            |answer| {
                answer.status = StatusCode::INTERNAL_SERVER_ERROR;
            },
        ),
        of("refusal-as-200", IFRAME, "errors answered with 200", Check::Broken, 400, |answer| {
            answer.status = StatusCode::OK;
        }),
        of(
            "code-undocumented",
            EMBED,
            "a code renamed in the server alone",
            Check::Broken,
            400,
            |answer| {
                answer.edit_at("/error", |code| *code = "bad_request".into());
            },
        ),
        of(
            "code-of-another-status",
            IFRAME,
            "a code that belongs to another status",
            Check::Credential,
            401,
            |it| {
                it.edit_at("/error", |code| *code = "invalid_input".into());
            },
        ),
    ]
}

fn objects() -> Vec<Fault> {
    vec![
        Fault::after(
            "secret-in-a-refusal",
            IFRAME,
            "a request quoted in its own refusal",
            Check::Broken,
            |request, answer| {
                let sent = request.bearer().unwrap_or_default();
                if answer.is_refusal() {
                    answer
                        .edit_at("/message", |message| *message = format!("refused {sent}").into());
                }
            },
        ),
        of(
            "error-as-text",
            EMBED,
            "a refusal by the framework, in plain text",
            Check::Credential,
            401,
            |answer| {
                answer.body = "unauthorized".into();
                answer.set(CONTENT_TYPE, "text/plain");
            },
        ),
        of(
            "error-without-request-id",
            CHAT,
            "a refusal that no log names",
            Check::Broken,
            422,
            |answer| {
                answer.edit(|body| without(body, "request_id"));
            },
        ),
        of(
            "error-without-details",
            TENANT,
            "details left out when empty",
            Check::MediaType,
            415,
            |answer| {
                answer.edit(|body| without(body, "details"));
            },
        ),
        of(
            "error-extra-member",
            IFRAME,
            "a stack trace in the error",
            Check::Broken,
            400,
            |answer| {
                answer.edit(|body| body["stack"] = "at line 1".into());
            },
        ),
        of(
            "error-as-html",
            TENANT,
            "a refusal by a proxy, as a page",
            Check::Oversize,
            413,
            |answer| {
                answer.body = "<html><body>413</body></html>".into();
                answer.set(CONTENT_TYPE, "text/html");
            },
        ),
    ]
}

/// A fault in the violations of the refusals of one status.
fn listed(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    status: u16,
    change: fn(&mut Vec<Value>),
) -> Fault {
    Fault::after(name, operation, imitates, Check::Broken, move |_, answer| {
        if answer.status.as_u16() == status {
            answer.edit_at("/details/violations", |list| {
                list.as_array_mut().map(change);
            });
        }
    })
}

fn violations() -> Vec<Fault> {
    vec![
        listed(
            "violation-limit-wrong",
            IFRAME,
            "another bound told than the documented one",
            400,
            |all| {
                for limit in all.iter_mut().filter_map(|it| it.get_mut("limit")) {
                    *limit = limit.as_i64().map_or(limit.clone(), |bound| (bound + 1).into());
                }
            },
        ),
        listed(
            "violation-pointer-of-parent",
            EMBED,
            "the object named, not its member",
            400,
            |all| {
                for violation in all {
                    let pointer = violation["pointer"].as_str().unwrap_or_default();
                    let parent =
                        pointer.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
                    violation["pointer"] = parent.into();
                }
            },
        ),
        listed("violation-keyword-wrong", CHAT, "a keyword of the validator's own", 422, |all| {
            all.iter_mut().for_each(|violation| violation["keyword"] = "invalid".into());
        }),
        listed(
            "violation-part-wrong",
            TENANT,
            "the body's violations filed under query",
            400,
            |all| {
                all.iter_mut().for_each(|violation| violation["in"] = "query".into());
            },
        ),
        listed("violation-first-only", IFRAME, "validation that stops at the first", 400, |all| {
            all.truncate(1);
        }),
        listed(
            "violations-of-the-body-only",
            TENANT,
            "each part of a request checked alone",
            400,
            |all| {
                if all.iter().any(|violation| violation["in"] == "body") {
                    all.retain(|violation| violation["in"] == "body");
                }
            },
        ),
        listed("violations-empty", TENANT, "a refusal that does not say why", 400, Vec::clear),
    ]
}
