//! Faults in headers and methods: what browsers, caches and clients rely on.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, LOCATION, ORIGIN, VARY,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, Method, StatusCode};

use crate::exchange::Answer;
use crate::fault::Fault;
use vestibule_conformance::outcome::Check;

const EMBED: &str = "embedSessionCreate";
const CHAT: &str = "chatSessionCreate";
const CONVERSATION: &str = "chatConversationRead";
const IFRAME: &str = "iframeSessionCreate";
const REDEEM: &str = "iframeTokenRedeem";
const LIST: &str = "tenantList";

/// Faults of headers and methods.
pub fn faults() -> Vec<Fault> {
    let mut all = of_successes();
    all.extend(of_refusals());
    all.extend(cors());
    all.extend(methods());
    all
}

/// A fault that loses a header of the answers of which `is_hit` is true.
fn lost(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    by: Check,
    header: &HeaderName,
    is_hit: fn(&Answer) -> bool,
) -> Fault {
    let header = header.clone();
    Fault::after(name, operation, imitates, by, move |_, answer| {
        if is_hit(answer) {
            answer.drop_header(&header);
        }
    })
}

fn of_successes() -> Vec<Fault> {
    vec![
        lost(
            "location-lost",
            EMBED,
            "a creation that does not say where",
            Check::Valid,
            &LOCATION,
            |_| true,
        ),
        lost(
            "cache-control-lost",
            IFRAME,
            "a token that caches may keep",
            Check::Valid,
            &CACHE_CONTROL,
            Answer::is_success,
        ),
        Fault::after(
            "cache-control-public",
            REDEEM,
            "a token that caches are told to keep",
            Check::Valid,
            |_, answer| {
                if answer.is_success() {
                    answer.set(CACHE_CONTROL, "public, max-age=300");
                }
            },
        ),
        Fault::after(
            "deprecation-malformed",
            IFRAME,
            "a date of another RFC",
            Check::Valid,
            |_, answer| {
                let name = HeaderName::from_static("deprecation");
                if answer.headers.contains_key(&name) {
                    answer.set(name, "Fri, 08 May 2026 12:15:00 GMT");
                }
            },
        ),
        lost(
            "vary-lost",
            CHAT,
            "one page's answer given to another",
            Check::Valid,
            &VARY,
            Answer::is_success,
        ),
        lost(
            "nosniff-lost",
            CONVERSATION,
            "answers that a browser may guess about",
            Check::Valid,
            &X_CONTENT_TYPE_OPTIONS,
            Answer::is_success,
        ),
    ]
}

fn of_refusals() -> Vec<Fault> {
    let calls = AtomicUsize::new(0);
    vec![
        lost(
            "challenge-lost",
            LIST,
            "401 without a challenge",
            Check::Credential,
            &WWW_AUTHENTICATE,
            |_| true,
        ),
        lost(
            "nosniff-lost-on-errors",
            CHAT,
            "errors past the middleware",
            Check::Broken,
            &X_CONTENT_TYPE_OPTIONS,
            Answer::is_refusal,
        ),
        Fault::before(
            "retry-after-lost",
            REDEEM,
            "a limit that does not say how long",
            Check::Broken,
            {
                move |_, _| {
                    let call = calls.fetch_add(1, Ordering::Relaxed);
                    (call % 2 == 1).then(limited_without_a_pause)
                }
            },
        ),
    ]
}

fn limited_without_a_pause() -> Answer {
    let body = serde_json::json!({
        "error": "rate_limited",
        "message": "Too many calls from this address.",
        "details": { "limit": 30, "window_s": 60 },
        "request_id": "7f3c9a5e-5a77-4a29-9d6c-0c7f6a0e2a11",
    });
    let mut answer = Answer::text(StatusCode::TOO_MANY_REQUESTS, body.to_string());
    answer.set(CONTENT_TYPE, "application/json");
    answer.set(HeaderName::from_static("ratelimit-policy"), "\"address\";q=30;w=60");
    answer.set(HeaderName::from_static("ratelimit"), "\"address\";r=0;t=30");
    answer
}

fn cors() -> Vec<Fault> {
    vec![
        lost(
            "cors-lost",
            CHAT,
            "a page that cannot read its answer",
            Check::Cors,
            &ACCESS_CONTROL_ALLOW_ORIGIN,
            Answer::is_success,
        ),
        lost(
            "cors-lost-on-errors",
            CHAT,
            "CORS set by the handler, which a refusal never reaches",
            Check::Cors,
            &ACCESS_CONTROL_ALLOW_ORIGIN,
            Answer::is_refusal,
        ),
        Fault::after(
            "cors-with-credentials",
            CHAT,
            "cookies of other pages allowed",
            Check::Cors,
            |_, answer| answer.set(ACCESS_CONTROL_ALLOW_CREDENTIALS, "true"),
        ),
        Fault::after(
            "cors-wildcard",
            CONVERSATION,
            "every page may read",
            Check::Cors,
            |_, answer| {
                answer.set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
            },
        ),
        Fault::after(
            "cors-for-refused-origins",
            CHAT,
            "any origin echoed",
            Check::Cors,
            |request, answer| {
                if let Some(origin) = request.headers.get(ORIGIN) {
                    answer.headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                }
            },
        ),
        Fault::beside(
            "preflight-unanswered",
            CHAT,
            "OPTIONS that no route takes",
            Check::Cors,
            |request, _| {
                let is_preflight = request.method == Method::OPTIONS;
                is_preflight.then(|| Answer::text(StatusCode::METHOD_NOT_ALLOWED, "no such method"))
            },
        ),
        Fault::beside(
            "preflight-without-headers",
            CONVERSATION,
            "a preflight that permits no Authorization",
            Check::Cors,
            |request, _| {
                if request.method != Method::OPTIONS {
                    return None;
                }
                let mut headers = HeaderMap::new();
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, request.headers.get(ORIGIN)?.clone());
                let mut answer =
                    Answer { status: StatusCode::NO_CONTENT, headers, body: "".into() };
                answer.set(ACCESS_CONTROL_ALLOW_METHODS, "GET");
                answer.set(ACCESS_CONTROL_ALLOW_HEADERS, "Content-Type");
                answer.set(VARY, "Origin");
                Some(answer)
            },
        ),
    ]
}

fn methods() -> Vec<Fault> {
    vec![
        Fault::beside(
            "method-undocumented",
            "embedSessionRead",
            "a route for every method",
            Check::Method,
            {
                |request, _| {
                    let is_meant =
                        request.method != Method::OPTIONS && request.method != Method::HEAD;
                    is_meant.then(|| Answer::text(StatusCode::OK, "ok"))
                }
            },
        ),
        Fault::beside(
            "method-as-500",
            "tenantRevoke",
            "a method that nobody expected",
            Check::Method,
            {
                |request, _| {
                    let is_meant = request.method == Method::PUT || request.method == Method::PATCH;
                    is_meant.then(|| Answer::text(StatusCode::INTERNAL_SERVER_ERROR, "panicked"))
                }
            },
        ),
    ]
}
