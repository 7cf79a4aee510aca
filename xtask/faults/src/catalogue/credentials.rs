//! Faults in who is let in: signatures, bearer tokens, tenants and browsers.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use http::StatusCode;
use http::header::{AUTHORIZATION, ORIGIN};

use crate::exchange::{Answer, Request, without};
use crate::fault::{Fault, Place};
use vestibule_conformance::now_ms;
use vestibule_conformance::outcome::Check;

const EMBED: &str = "embedSessionCreate";
const IFRAME: &str = "iframeSessionCreate";
const LIST: &str = "tenantList";

/// By how much the window is off.
const SECOND_MS: i64 = 1_000;

/// Faults of credentials.
pub fn faults() -> Vec<Fault> {
    let mut all = signatures();
    all.extend(windows());
    all.extend(bearers());
    all.extend(browsers());
    all.extend(tenants());
    all
}

fn signatures() -> Vec<Fault> {
    let seen = Mutex::new(HashSet::new());
    vec![
        Fault::before(
            "signature-unchecked",
            EMBED,
            "a signature that is looked for and never compared",
            Check::Signature,
            |request, place| {
                let is_signed =
                    request.once(&place.world.documents.header("embedSignature")).is_some();
                if is_signed && in_window(request_skew(request, place)?, place) {
                    place.world.sign_again(request);
                }
                None
            },
        ),
        Fault::before(
            "replay-accepted",
            EMBED,
            "used signatures forgotten at once",
            Check::Signature,
            move |request, place| {
                let sent =
                    request.once(&place.world.documents.header("embedSignature"))?.to_lowercase();
                let is_new = seen.lock().unwrap_or_else(PoisonError::into_inner).insert(sent);
                let skew = request_skew(request, place)?;
                if !is_new && in_window(skew, place) && place.world.is_genuine(request) {
                    place.world.sign_again(request);
                }
                None
            },
        ),
        Fault::before(
            "signature-upper-case-refused",
            EMBED,
            "hex compared as text, so only lower case fits",
            Check::Signature,
            |request, place| {
                let name = place.world.documents.header("embedSignature");
                let sent = request.once(&name)?;
                if sent.bytes().any(|byte| byte.is_ascii_uppercase()) {
                    let wrong = "0".repeat(sent.len());
                    request.set(name, &wrong);
                }
                None
            },
        ),
        Fault::before(
            "signature-missing",
            EMBED,
            "a request without any signature let through",
            Check::Credential,
            |request, place| {
                if !request.headers.contains_key(place.world.documents.header("embedSignature")) {
                    place.world.sign_again(request);
                }
                None
            },
        ),
        Fault::before(
            "signature-header-doubled",
            EMBED,
            "the first of two signature headers wins",
            Check::Credential,
            |request, place| {
                let name = place.world.documents.header("embedSignature");
                let first = request.headers.get(&name)?.clone();
                request.headers.insert(name, first);
                None
            },
        ),
    ]
}

fn windows() -> Vec<Fault> {
    vec![
        Fault::before(
            "window-past-plus-one",
            EMBED,
            "a window of 301 s for old requests",
            Check::Signature,
            |request, place| widen(request, place, |skew| skew > 0),
        ),
        Fault::before(
            "window-future-plus-one",
            EMBED,
            "a window of 301 s for requests from the future",
            Check::Signature,
            |request, place| widen(request, place, |skew| skew < 0),
        ),
        Fault::before(
            "window-past-minus-one",
            EMBED,
            "a window of 299 s for old requests",
            Check::Signature,
            |request, place| narrow(request, place, |skew| skew > 0),
        ),
        Fault::before(
            "window-future-minus-one",
            EMBED,
            "a window of 299 s for requests from the future",
            Check::Signature,
            |request, place| narrow(request, place, |skew| skew < 0),
        ),
        Fault::before(
            "window-one-way",
            EMBED,
            "now - timestamp compared without its absolute value",
            Check::Signature,
            |request, place| {
                let skew = request_skew(request, place)?;
                if skew < -place.world.window_ms() && place.world.is_genuine(request) {
                    place.world.sign_again(request);
                }
                None
            },
        ),
    ]
}

fn bearers() -> Vec<Fault> {
    vec![
        Fault::before(
            "credentials-missing",
            LIST,
            "an operation registered without its guard",
            Check::Credential,
            |request, place| {
                if !request.headers.contains_key(AUTHORIZATION) {
                    request.set_bearer(place.world.credential("/admin/token"));
                }
                None
            },
        ),
        Fault::before(
            "credential-wrong",
            IFRAME,
            "any key of the right form is let in",
            Check::Credential,
            |request, place| {
                if request.bearer().is_some() {
                    request.set_bearer(place.world.credential("/iframe/api_key"));
                }
                None
            },
        ),
        Fault::before(
            "credential-of-another-surface",
            LIST,
            "one table of keys for all surfaces, whatever their kind",
            Check::Credential,
            |request, place| {
                let foreign =
                    ["/iframe/api_key", "/embed/key", "/embed/secret", "/chat/public_key"];
                let sent = request.bearer()?;
                if foreign.iter().any(|at| place.world.credential(at) == sent) {
                    request.set_bearer(place.world.credential("/admin/token"));
                }
                None
            },
        ),
        Fault::before(
            "credential-scheme-unchecked",
            IFRAME,
            "what follows the scheme is taken, whatever the scheme",
            Check::Credential,
            |request, _| {
                let sent = request.once(&AUTHORIZATION)?;
                let (scheme, token) = sent.split_once(' ')?;
                if !scheme.eq_ignore_ascii_case("bearer") {
                    let token = token.to_owned();
                    request.set_bearer(&token);
                }
                None
            },
        ),
        Fault::before(
            "credential-doubled",
            LIST,
            "the first of two Authorization headers wins",
            Check::Credential,
            |request, _| {
                let first = request.headers.get(AUTHORIZATION)?.clone();
                request.headers.insert(AUTHORIZATION, first);
                None
            },
        ),
    ]
}

fn browsers() -> Vec<Fault> {
    vec![
        Fault::before(
            "browser-with-a-secret",
            IFRAME,
            "a secret key taken from a page",
            Check::Browser,
            |request, _| {
                request.headers.remove(ORIGIN);
                None
            },
        ),
        Fault::before(
            "exchange-from-any-page",
            "iframeTokenRedeem",
            "an operation for the own pages taken from any page",
            Check::Credential,
            |request, _| {
                request.headers.remove(ORIGIN);
                None
            },
        ),
        Fault::before(
            "browser-with-a-signature",
            EMBED,
            "a signed request taken from a page",
            Check::Browser,
            |request, _| {
                request.headers.remove(ORIGIN);
                None
            },
        ),
        Fault::before(
            "origin-unchecked",
            "chatSessionCreate",
            "a publishable key taken from any page",
            Check::Cors,
            |request, place| {
                if request.headers.contains_key(ORIGIN) {
                    request.set(ORIGIN, place.world.credential("/chat/origin"));
                }
                None
            },
        ),
    ]
}

fn tenants() -> Vec<Fault> {
    vec![
        Fault::before(
            "other-tenant-visible",
            IFRAME,
            "a theme found by its id alone, without its tenant",
            Check::Foreign,
            |request, place| {
                let mut body = request.json()?;
                if place.world.is_foreign_theme(&body["theme_id"]) {
                    without(&mut body, "theme_id");
                    request.set_json(&body);
                }
                None
            },
        ),
        Fault::before(
            "other-tenant-as-403",
            IFRAME,
            "another tenant's theme refused as forbidden, which says that it exists",
            Check::Foreign,
            |request, place| {
                let body = request.json()?;
                let is_foreign = place.world.is_foreign_theme(&body["theme_id"]);
                is_foreign.then(|| Answer::text(StatusCode::FORBIDDEN, "forbidden"))
            },
        ),
    ]
}

/// Server time minus the request's timestamp.
fn request_skew(request: &Request, place: Place<'_>) -> Option<i64> {
    place.world.claimed(request).map(|(_, timestamp)| now_ms() - timestamp)
}

fn in_window(skew: i64, place: Place<'_>) -> bool {
    skew.abs() <= place.world.window_ms()
}

fn widen(request: &mut Request, place: Place<'_>, is_this_side: fn(i64) -> bool) -> Option<Answer> {
    let skew = request_skew(request, place)?;
    let is_taken = !in_window(skew, place) && skew.abs() <= place.world.window_ms() + SECOND_MS;
    if is_taken && is_this_side(skew) && place.world.is_genuine(request) {
        place.world.sign_again(request);
    }
    None
}

fn narrow(
    request: &mut Request,
    place: Place<'_>,
    is_this_side: fn(i64) -> bool,
) -> Option<Answer> {
    let skew = request_skew(request, place)?;
    let is_refused = in_window(skew, place) && skew.abs() > place.world.window_ms() - SECOND_MS;
    if is_refused && is_this_side(skew) {
        let early = (now_ms() - 2 * place.world.window_ms()).to_string();
        request.set(place.world.documents.header("embedTimestamp"), &early);
    }
    None
}
