//! From the service's one error to the wire: code, details and headers.
//!
//! Exhaustive on purpose: a new error does not compile until somebody decides how it is told.

use http::HeaderValue;
use serde_json::{Value, json};
use vestibule_api::codes;
use vestibule_runtime::{Code, Refusal, Timestamp};

use crate::error::{Error, Exceeded, Thing};

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        match error {
            Error::Rules(violations) => Self::rules(violations),
            Error::MissingCredentials => Self::new(codes::MISSING_CREDENTIALS),
            Error::InvalidApiKey => Self::new(codes::INVALID_API_KEY),
            Error::InvalidSignature => Self::new(codes::INVALID_SIGNATURE),
            Error::TimestampOutOfWindow { server_time_ms, skew_ms, looks_like_seconds } => {
                out_of_window(server_time_ms, skew_ms, looks_like_seconds)
            }
            Error::SignatureReplayed => Self::new(codes::SIGNATURE_REPLAYED),
            Error::IdempotencyInProgress => in_progress(),
            Error::IdempotencyKeyReused => Self::new(codes::IDEMPOTENCY_KEY_REUSED),
            Error::Answered(_) => {
                tracing::error!("a kept answer reached nobody who opens it");
                Self::new(codes::INTERNAL)
            }
            Error::InvalidToken => Self::new(codes::INVALID_SESSION_TOKEN),
            Error::TokenExpired { server_time_ms, skew_ms } => Self::new(codes::TOKEN_EXPIRED)
                .detail("server_time_ms", server_time_ms)
                .detail("skew_ms", skew_ms),
            Error::TokenRevoked => Self::new(codes::TOKEN_REVOKED),
            Error::InvalidCustomerToken(reason) => {
                Self::new(codes::INVALID_CUSTOMER_TOKEN).detail("reason", reason)
            }
            Error::InsufficientScope { scope, missing } => Self::new(codes::INSUFFICIENT_SCOPE)
                .detail("scope", scope)
                .detail("missing", missing),
            Error::WidgetDisabled => Self::new(codes::WIDGET_DISABLED),
            Error::OriginNotAllowed { origin } => {
                Self::new(codes::ORIGIN_NOT_ALLOWED).detail("origin", origin)
            }
            Error::KeyDisabled => Self::new(codes::KEY_DISABLED),
            Error::IntentNotAllowed { missing } => {
                Self::new(codes::INTENT_NOT_ALLOWED).detail("missing", missing)
            }
            Error::SessionEnded(state) => Self::new(codes::SESSION_ENDED).detail("state", state),
            Error::LifetimeExhausted => Self::new(codes::LIFETIME_EXHAUSTED),
            Error::UnknownSource { unknown } => {
                Self::new(codes::UNKNOWN_SOURCE).detail("unknown", unknown)
            }
            Error::ThemeConflict => Self::new(codes::THEME_CONFLICT),
            Error::NotFound(thing) => Self::new(not_found(thing)),
            Error::WebhookDisabled => Self::new(codes::WEBHOOK_DISABLED),
            Error::CacheKeyExpired => Self::new(codes::CACHE_KEY_EXPIRED),
            Error::CacheKeyUsed => Self::new(codes::CACHE_KEY_USED),
            Error::RotationInProgress { ends_at, retry_after_s } => {
                let wait = HeaderValue::from(retry_after_s);
                Self::new(codes::ROTATION_IN_PROGRESS)
                    .detail("ends_at_ms", ends_at)
                    .header(http::header::RETRY_AFTER, wait)
            }
            Error::TestClockRefused { reason, server_time_ms, latest_ms } => {
                Self::new(codes::TEST_CLOCK_REFUSED)
                    .detail("reason", reason)
                    .detail("server_time_ms", server_time_ms)
                    .detail("latest_ms", latest_ms)
            }
            Error::RateLimited { standing, retry_after_s } => {
                Self::limited(codes::RATE_LIMITED, &[standing], retry_after_s)
                    .detail("limit", standing.quota)
                    .detail("window_s", standing.window_s)
            }
            Error::LimitExceeded { exceeded, retry_after_s } => {
                limit_exceeded(&exceeded, retry_after_s)
            }
            Error::Unavailable(cause) => {
                tracing::error!(cause, "unavailable");
                Self::new(codes::UNAVAILABLE)
            }
            Error::Restored { retry_after_s } => Self::new(codes::UNAVAILABLE)
                .message(RESTORED)
                .header(http::header::RETRY_AFTER, HeaderValue::from(retry_after_s)),
            Error::Internal(cause) => {
                tracing::error!(cause, "internal");
                Self::new(codes::INTERNAL)
            }
        }
    }
}

/// What the code's own words say is wrong here: the same request is never taken.
const RESTORED: &str = "The service was restored a moment ago and cannot tell which signatures were \
                        used. Sign the request anew after the seconds in Retry-After.";

/// The first request is answered or given up within a handler's time; a second is a fair guess.
fn in_progress() -> Refusal {
    let soon = HeaderValue::from_static("1");
    Refusal::new(codes::IDEMPOTENCY_IN_PROGRESS).header(http::header::RETRY_AFTER, soon)
}

fn not_found(thing: Thing) -> Code {
    match thing {
        Thing::Tenant => codes::TENANT_NOT_FOUND,
        Thing::Key => codes::KEY_NOT_FOUND,
        Thing::Theme => codes::THEME_NOT_FOUND,
        Thing::Employee => codes::EMPLOYEE_NOT_FOUND,
        Thing::Chat => codes::CHAT_NOT_FOUND,
        Thing::CacheKey => codes::CACHE_KEY_NOT_FOUND,
        Thing::Session => codes::SESSION_NOT_FOUND,
        Thing::Webhook => codes::WEBHOOK_NOT_FOUND,
        Thing::Delivery => codes::DELIVERY_NOT_FOUND,
        Thing::Message => codes::MESSAGE_NOT_FOUND,
    }
}

/// What callers are told who send seconds.
pub(super) const SECONDS_HINT: &str = "The timestamp has 10 digits: send milliseconds, 13 digits.";

fn out_of_window(server_time_ms: i64, skew_ms: Option<i64>, seconds: bool) -> Refusal {
    let refusal =
        Refusal::new(codes::TIMESTAMP_OUT_OF_WINDOW).detail("server_time_ms", server_time_ms);
    let refusal = match skew_ms {
        Some(skew_ms) => refusal.detail("skew_ms", skew_ms),
        None => refusal,
    };
    match seconds {
        true => refusal.detail("hint", SECONDS_HINT),
        false => refusal,
    }
}

fn limit_exceeded(exceeded: &[Exceeded], retry_after_s: i64) -> Refusal {
    let told = exceeded.iter().map(|Exceeded { standing, used, resets_at }| {
        let limit = json!({ "name": standing.policy, "limit": standing.quota, "used": used });
        match resets_at {
            Some(at) => with(limit, "resets_at", json!(Timestamp(*at))),
            None => limit,
        }
    });
    let told: Vec<_> = told.collect();
    let standings: Vec<_> = exceeded.iter().map(|it| it.standing).collect();
    Refusal::limited(codes::LIMIT_EXCEEDED, &standings, retry_after_s).detail("exceeded", told)
}

fn with(mut object: Value, name: &str, value: Value) -> Value {
    object[name] = value;
    object
}

/// A value of ours as its documented type.
///
/// # Errors
/// `internal` when it is not one: a defect.
pub fn documented<T: std::str::FromStr>(text: &str) -> Result<T, Refusal> {
    text.parse()
        .map_err(|_| Error::Internal(format!("{text:?} is not what the document says")).into())
}
