//! Faults in how requests under an idempotency key are told from each other and answered again.

use http::HeaderName;
use serde_json::Value;
use vestibule_conformance::outcome::Check;

use crate::fault::Fault;

const EMBED: &str = "embedSessionCreate";
const CHAT: &str = "chatSessionCreate";
const IFRAME: &str = "iframeSessionCreate";
const KEY_CREATE: &str = "keyCreate";
const TENANT_CREATE: &str = "tenantCreate";

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Faults of repetitions.
pub fn faults() -> Vec<Fault> {
    let mut all = Vec::new();
    for (name, operation) in [
        ("repetition-second-session-embed", EMBED),
        ("repetition-second-session-chat", CHAT),
        ("repetition-second-session-iframe", IFRAME),
    ] {
        all.push(Fault::before(
            name,
            operation,
            "a key that nobody looks at: every repetition opens a session",
            Check::Idempotency,
            |request, _| {
                request.headers.remove(KEY);
                None
            },
        ));
    }
    all.push(Fault::before(
        "repetition-other-body-accepted",
        KEY_CREATE,
        "answers kept by key and body, so that a reused key makes something else",
        Check::Idempotency,
        |request, _| {
            let length = request.body.len();
            let key = request.once(&KEY).map(|key| format!("{key}-{length}"));
            key.inspect(|key| request.set(KEY, key));
            None
        },
    ));
    all.push(repeated("repetition-not-equal", IFRAME, "seconds counted anew", |body| {
        body["expires_in"] = 899.into();
    }));
    all.push(repeated("repetition-without-secret", TENANT_CREATE, "a secret kept back", |body| {
        body["identitySecret"] = Value::from("cis_".to_owned() + &"0".repeat(64));
    }));
    all.push(Fault::after(
        "repetition-not-told",
        EMBED,
        "a repetition that looks like a first answer",
        Check::Idempotency,
        |_, answer| answer.drop_header(&REPLAYED),
    ));
    all.push(Fault::after(
        "first-answer-told-as-repetition",
        CHAT,
        "every answer under a key told as given before",
        Check::Idempotency,
        |request, answer| {
            if answer.is_success() && request.headers.contains_key(KEY) {
                answer.set(REPLAYED, "true");
            }
        },
    ));
    all
}

/// A fault that changes the answers that are given again.
fn repeated(
    name: &'static str,
    operation: &'static str,
    imitates: &'static str,
    change: fn(&mut Value),
) -> Fault {
    Fault::after(name, operation, imitates, Check::Idempotency, move |_, answer| {
        if answer.headers.contains_key(REPLAYED) {
            answer.edit(change);
        }
    })
}
