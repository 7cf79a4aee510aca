//! Every way a request can be refused or fail, free of HTTP.
//!
//! Domain and store speak in this type; `api::refusal` turns it into an answer in one exhaustive
//! `match`. Nothing here knows a status code, a header or a database driver.

use vestibule_runtime::{Standing, Violation, seconds_up};

/// A refusal by the domain, or a failure below it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request is well formed by its document but breaks a rule between its members.
    #[error("{} rule(s) between members are broken", .0.len())]
    Rules(Vec<Violation>),
    /// No credential was presented at all.
    #[error("no credential was presented")]
    MissingCredentials,
    /// A credential that belongs to nobody, or to a dead key or tenant.
    #[error("the key is not valid")]
    InvalidApiKey,
    /// The signature does not match, or its headers are doubled or malformed.
    #[error("the signature is not valid")]
    InvalidSignature,
    /// The signed timestamp is malformed or outside the window.
    #[error("the timestamp is outside the window")]
    TimestampOutOfWindow {
        /// The service's time, milliseconds since 1970.
        server_time_ms: i64,
        /// Server time minus the caller's, milliseconds; `None` when theirs is malformed.
        skew_ms: Option<i64>,
        /// The caller sent ten digits: seconds where milliseconds are expected.
        looks_like_seconds: bool,
    },
    /// This signature already opened a session.
    #[error("the signature was used before")]
    SignatureReplayed,
    /// The first request with this idempotency key has no answer yet.
    #[error("a request with this idempotency key is being answered")]
    IdempotencyInProgress,
    /// This idempotency key was used for another request.
    #[error("the idempotency key was used for another request")]
    IdempotencyKeyReused,
    /// The request took effect before; its sealed answer. No refusal: whoever handed on a receipt
    /// opens it and says it again.
    #[error("the request took effect before")]
    Answered(Vec<u8>),
    /// A token that is not ours, of another surface or tenant, or malformed.
    #[error("the token is not valid")]
    InvalidToken,
    /// A genuine token past its expiry.
    #[error("the token has expired")]
    TokenExpired {
        /// The service's time, milliseconds since 1970.
        server_time_ms: i64,
        /// Server time minus the token's expiry, milliseconds.
        skew_ms: i64,
    },
    /// A genuine token whose session, key or tenant was revoked.
    #[error("the token was revoked")]
    TokenRevoked,
    /// A `customerToken` that does not prove its `customerId`, or is missing where required.
    #[error("the customer token is not valid: {0}")]
    InvalidCustomerToken(&'static str),
    /// The key may not grant these capabilities.
    #[error("the key's scope does not reach")]
    InsufficientScope {
        /// What the key's scope allows.
        scope: String,
        /// The requested capabilities beyond it.
        missing: Vec<String>,
    },
    /// The publishable key is unknown or paused.
    #[error("the widget is disabled")]
    WidgetDisabled,
    /// The request's origin is not on the key's list.
    #[error("the origin is not allowed")]
    OriginNotAllowed {
        /// The origin that was sent; `None` when there was none.
        origin: Option<String>,
    },
    /// The key that opened the session does not work any more.
    #[error("the session's key is disabled")]
    KeyDisabled,
    /// The key may not trigger these intents any more.
    #[error("the key may not trigger an intent any more")]
    IntentNotAllowed {
        /// The intents that the session was given and the key does not offer now.
        missing: Vec<String>,
    },
    /// The session is over or about to be, by what became of it.
    #[error("the session has ended: {}", .0)]
    SessionEnded(&'static str),
    /// The session has lived as long as it may.
    #[error("the session's longest lifetime is used up")]
    LifetimeExhausted,
    /// One of the sources is not the tenant's.
    #[error("unknown source")]
    UnknownSource {
        /// The ids that are not the tenant's, as they were sent.
        unknown: Vec<String>,
    },
    /// `theme` and `theme_id` were both given.
    #[error("theme and theme_id exclude each other")]
    ThemeConflict,
    /// Something addressed by the request is not there, or is another tenant's.
    #[error("{0} not found")]
    NotFound(Thing),
    /// Nothing is sent to a disabled endpoint.
    #[error("the webhook endpoint is disabled")]
    WebhookDisabled,
    /// The cache key, or the session behind it, is past its expiry or revoked.
    #[error("the cache key has expired")]
    CacheKeyExpired,
    /// The cache key was redeemed as often as it may be.
    #[error("the cache key is used up")]
    CacheKeyUsed,
    /// Two generations are accepted already, and a third may not be accepted beside them.
    #[error("an earlier rotation is not over: two generations are accepted")]
    RotationInProgress {
        /// When the older one ends, milliseconds since 1970.
        ends_at: i64,
        /// Seconds until then.
        retry_after_s: i64,
    },
    /// The request asks to be handled by a clock that its caller may not move, or not there.
    #[error("the test clock is refused: {reason}")]
    TestClockRefused {
        /// Why, in a few words.
        reason: &'static str,
        /// The service's time, milliseconds since 1970; also the earliest that may be asked for.
        server_time_ms: i64,
        /// The latest that a test key may ask for, milliseconds since 1970.
        latest_ms: i64,
    },
    /// Too many requests of one subject.
    #[error("rate limited")]
    RateLimited {
        /// The limit that was reached.
        standing: Standing,
        /// Seconds until a request is allowed again.
        retry_after_s: i64,
    },
    /// An exact limit is used up.
    #[error("limit exceeded")]
    LimitExceeded {
        /// Every limit that has no room.
        exceeded: Vec<Exceeded>,
        /// Seconds until all of them may have room again.
        retry_after_s: i64,
    },
    /// The store cannot answer now; the request may be tried again.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The database was put back a moment ago: whether a signature was used is not known for sure.
    #[error("the service was restored a moment ago")]
    Restored {
        /// Seconds until signatures are taken again.
        retry_after_s: i64,
    },
    /// A defect: logged with its cause, told to nobody.
    #[error("internal: {0}")]
    Internal(String),
}

/// An exact limit without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exceeded {
    /// The limit.
    pub standing: Standing,
    /// How much of it is used; more than the limit when that was lowered since.
    pub used: i64,
    /// When it has room again, milliseconds since 1970; `None` when no instant is known for that.
    pub resets_at: Option<i64>,
}

/// What was not found, by the stem of its stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A tenant.
    Tenant,
    /// A key of any kind.
    Key,
    /// A theme.
    Theme,
    /// An employee of a tenant with a strict directory.
    Employee,
    /// A chat of a tenant with a strict directory.
    Chat,
    /// A cache key.
    CacheKey,
    /// A session of any surface.
    Session,
    /// A webhook endpoint.
    Webhook,
    /// A delivery to a webhook endpoint.
    Delivery,
    /// A counted message of a user.
    Message,
}

impl Error {
    /// A rotation at `now_ms` while an older generation is accepted until `ends_at`, both
    /// milliseconds since 1970.
    pub fn rotation_in_progress(ends_at: i64, now_ms: i64) -> Self {
        // Rounded up: who comes back then is not refused again.
        Self::RotationInProgress { ends_at, retry_after_s: seconds_up(ends_at - now_ms) }
    }

    /// The refusal by limits that have no room, until the last of them may have some.
    pub fn limit_exceeded(exceeded: Vec<Exceeded>) -> Self {
        let waits = exceeded.iter().map(|it| it.standing.whole_in_s);
        let retry_after_s = waits.max().unwrap_or_default();
        Self::LimitExceeded { exceeded, retry_after_s }
    }
}

impl std::fmt::Display for Thing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Self::Tenant => "tenant",
            Self::Key => "key",
            Self::Theme => "theme",
            Self::Employee => "employee",
            Self::Chat => "chat",
            Self::CacheKey => "cache key",
            Self::Session => "session",
            Self::Webhook => "webhook endpoint",
            Self::Delivery => "delivery",
            Self::Message => "message",
        })
    }
}

/// The result of everything below `api`.
pub type Result<T, E = Error> = std::result::Result<T, E>;
