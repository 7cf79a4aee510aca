//! Webhook endpoints, the events that are sent to them, and how: Standard Webhooks.
//!
//! A body never holds a token or a secret: it is made of ids and instants alone. Pure: the
//! queue is the store's, the wire `outbound`'s, and instants and random bytes come in.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use vestibule_runtime::Timestamp;

use super::base32;
use super::sealing::Sealed;
use crate::error::{Error, Result};

/// Names the message; the same on every attempt.
pub const ID_HEADER: &str = "webhook-id";
/// When the attempt was signed, whole seconds since 1970.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// One signature for each live secret.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// How many secrets an endpoint may have during a rotation.
pub const MAX_LIVE_SECRETS: usize = 2;

/// How many of a delivery's attempts its log shows.
pub const MOST_ATTEMPTS_SHOWN: i64 = 20;

/// What an endpoint may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// A session was opened.
    SessionCreated,
    /// A session got a new token and expiry.
    SessionRenewed,
    /// A session was ended.
    SessionRevoked,
    /// A session ended by itself.
    SessionExpired,
    /// A key got a new secret.
    KeyRotated,
    /// A limit was reached.
    LimitExceeded,
    /// Somebody asked for a test.
    Test,
}

/// What an event is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A session, with the key that opened it, its surface and its end.
    Session {
        /// `ses_…`
        session: String,
        /// `key_…`
        key: String,
        /// The word for the surface.
        surface: String,
        /// Milliseconds since 1970.
        expires_at: i64,
    },
    /// A key, by `key_…`.
    Key(String),
    /// A limit.
    Limit {
        /// Whose it was, for instance `uid:u1` or `key_…`.
        subject: String,
        /// Its name, as refusals tell it.
        limit: Option<String>,
    },
    /// The endpoint itself, by `whk_…`.
    Webhook(String),
}

/// One endpoint as the store remembers it.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The owner.
    pub tenant: String,
    /// `whk_…`
    pub id: String,
    /// Where to send.
    pub url: String,
    /// What to send, each once.
    pub events: Vec<EventType>,
    /// For people.
    pub description: String,
    /// Why nothing is sent; `None` while it is enabled.
    pub disabled: Option<Disabled>,
    /// Live secrets, newest first, at most [`MAX_LIVE_SECRETS`].
    pub secrets: Vec<WebhookSecret>,
    /// Milliseconds since 1970.
    pub created_at: i64,
}

impl Webhook {
    /// Until when a previous secret signs too, milliseconds since 1970; `None` when none does at
    /// `now_ms`.
    pub fn previous_secret_until(&self, now_ms: i64) -> Option<i64> {
        let previous = self.secrets.iter().find_map(|secret| secret.not_after);
        previous.filter(|end| now_ms < *end)
    }
}

/// The settings of a new endpoint.
#[derive(Clone, Debug)]
pub struct WebhookRequest {
    /// Where to send; checked already.
    pub url: String,
    /// What to send.
    pub events: Vec<EventType>,
    /// For people.
    pub description: String,
}

/// One secret of an endpoint.
#[derive(Clone, Debug)]
pub struct WebhookSecret {
    /// Counts up with each rotation.
    pub generation: i64,
    /// The text `whsec_…`, sealed by the master key.
    pub secret: Sealed,
    /// When it stops signing, milliseconds since 1970; `None` while it is the newest.
    pub not_after: Option<i64>,
}

/// Why nothing is sent to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disabled {
    /// An operator said so, or the tenant was revoked.
    Operator,
    /// The endpoint answered 410.
    Gone,
    /// An event was not taken after the last attempt.
    Exhausted,
}

/// What of an endpoint is changed; `None` stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where to send.
    pub url: Option<String>,
    /// What to send.
    pub events: Option<Vec<EventType>>,
    /// For people.
    pub description: Option<String>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// `msg_…`, the header `webhook-id`.
    pub id: String,
    /// The endpoint.
    pub webhook: String,
    /// What happened.
    pub event: EventType,
    /// How far it is.
    pub status: DeliveryStatus,
    /// How many attempts there were.
    pub attempt_count: i64,
    /// The latest of them, oldest first.
    pub attempts: Vec<Attempt>,
    /// Why it ended without an attempt, in words.
    pub note: Option<String>,
    /// When the next attempt is due, milliseconds since 1970, while it is pending.
    pub next_attempt_at: Option<i64>,
    /// When the event happened, milliseconds since 1970.
    pub created_at: i64,
}

/// How far a delivery is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryStatus {
    /// Attempts are under way or to come.
    Pending,
    /// The endpoint took it.
    Delivered,
    /// There will be no more attempts.
    Failed,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When it began, milliseconds since 1970.
    pub started_at: i64,
    /// How long it took, milliseconds.
    pub duration_ms: i64,
    /// What the endpoint answered.
    pub status_code: Option<u16>,
    /// Why no answer came, in words.
    pub error: Option<String>,
    /// The beginning of the answer's body.
    pub answer: Option<String>,
}

/// A delivery whose turn it is, with what sending it takes.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// The owner.
    pub tenant: String,
    /// `msg_…`
    pub id: String,
    /// The endpoint.
    pub webhook: String,
    /// Where to send.
    pub url: String,
    /// What happened.
    pub event: EventType,
    /// What is sent, byte for byte the same on every attempt.
    pub body: String,
    /// How many attempts there were since it was queued or replayed.
    pub tries: i64,
    /// The endpoint's live secrets.
    pub secrets: Vec<WebhookSecret>,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The endpoint took it.
    Delivered,
    /// It is tried again at this instant, milliseconds since 1970.
    Retry(i64),
    /// That was the last attempt; the endpoint is disabled.
    Exhausted,
    /// The endpoint wants nothing any more; it is disabled.
    Gone,
}

/// How long to wait after each attempt that failed, milliseconds. The first attempt is made at
/// once, so there is one more attempt than there are waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule(pub Vec<i64>);

impl Default for Schedule {
    /// That of Standard Webhooks.
    fn default() -> Self {
        const SECOND: i64 = 1000;
        const MINUTE: i64 = 60 * SECOND;
        const HOUR: i64 = 60 * MINUTE;
        let hours = [2, 5, 10, 14, 20, 24].map(|hours| hours * HOUR);
        Self([&[5 * SECOND, 5 * MINUTE, 30 * MINUTE], &hours[..]].concat())
    }
}

impl Schedule {
    /// What an attempt at `now_ms` leads to, the `made`th of its delivery counted from 1. Waits
    /// are longer by up to a tenth, `jitter` of 65 536 parts of it, so that what failed together
    /// does not come back together.
    pub fn judge(&self, status: Option<u16>, made: i64, now_ms: i64, jitter: u16) -> Verdict {
        match status {
            Some(200..=299) => return Verdict::Delivered,
            Some(410) => return Verdict::Gone,
            Some(_) | None => {}
        }
        let next = usize::try_from(made - 1).ok().and_then(|failed| self.0.get(failed));
        next.map_or(Verdict::Exhausted, |wait| {
            let longer = wait / 10 * i64::from(jitter) / 65_536;
            Verdict::Retry(now_ms.saturating_add(*wait).saturating_add(longer))
        })
    }
}

impl EventType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::SessionCreated,
        Self::SessionRenewed,
        Self::SessionRevoked,
        Self::SessionExpired,
        Self::KeyRotated,
        Self::LimitExceeded,
        Self::Test,
    ];

    /// The word in documents, bodies and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::SessionCreated => "session.created",
            Self::SessionRenewed => "session.renewed",
            Self::SessionRevoked => "session.revoked",
            Self::SessionExpired => "session.expired",
            Self::KeyRotated => "key.rotated",
            Self::LimitExceeded => "limit.exceeded",
            Self::Test => "webhook.test",
        }
    }

    /// The event of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// The event that an act in the audit is.
    pub fn of_act(action: &str) -> Option<Self> {
        Some(match action {
            "session.open" => Self::SessionCreated,
            "session.renew" => Self::SessionRenewed,
            "session.revoke" => Self::SessionRevoked,
            "key.rotate" => Self::KeyRotated,
            "limit.exceed" => Self::LimitExceeded,
            _ => return None,
        })
    }
}

impl Disabled {
    /// The word in documents and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Gone => "gone",
            Self::Exhausted => "exhausted",
        }
    }
}

impl DeliveryStatus {
    /// The word in documents and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Failed => "failed",
        }
    }
}

/// Events without repetitions, in their order.
pub fn folded(events: impl IntoIterator<Item = EventType>) -> Vec<EventType> {
    let mut all = Vec::new();
    for event in events {
        if !all.contains(&event) {
            all.push(event);
        }
    }
    all
}

/// The body that tells of an event of a tenant.
pub fn body(event: EventType, at_ms: i64, tenant: &str, subject: &Subject) -> Value {
    let data = match subject {
        Subject::Session { session, key, surface, expires_at } => json!({
            "tenantId": tenant,
            "sessionId": session,
            "keyId": key,
            "surface": surface,
            "expiresAt": Timestamp(*expires_at),
        }),
        Subject::Key(key) => json!({ "tenantId": tenant, "keyId": key }),
        Subject::Limit { subject, limit: None } => {
            json!({ "tenantId": tenant, "subject": subject })
        }
        Subject::Limit { subject, limit: Some(limit) } => {
            json!({ "tenantId": tenant, "subject": subject, "limit": limit })
        }
        Subject::Webhook(id) => json!({ "tenantId": tenant, "webhookId": id }),
    };
    json!({ "type": event.name(), "timestamp": Timestamp(at_ms), "data": data })
}

/// The id of the message that tells one endpoint of one event, `cause` being what names the event.
/// The same event has the same id however often it is found; later ones sort after earlier ones.
pub fn message_id(webhook: &str, cause: &str, at_ms: i64) -> String {
    let digest = digest::digest(&digest::SHA256, format!("{webhook}|{cause}").as_bytes());
    let noise = digest.as_ref().first_chunk::<16>().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    base32::with_prefix("msg_", base32::number_at(at_ms, noise))
}

/// Makes a secret out of fresh random bytes: `whsec_` and the key in base64.
pub fn secret(random: &[u8; 32]) -> SecretString {
    SecretString::from(format!("{SECRET_PREFIX}{}", STANDARD.encode(random)))
}

/// The signature header: `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`, once for
/// each secret, separated by spaces.
///
/// # Errors
/// `Internal` for a secret that [`secret`] did not make.
pub fn signatures(id: &str, at_s: i64, body: &str, secrets: &[SecretString]) -> Result<String> {
    let signed = format!("{id}.{at_s}.{body}");
    let sign = |secret: &SecretString| {
        let text = secret.expose_secret().strip_prefix(SECRET_PREFIX);
        let key = text.and_then(|text| STANDARD.decode(text).ok());
        let key = key.ok_or_else(|| Error::Internal("a webhook's secret is no secret".into()))?;
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), signed.as_bytes());
        Ok(format!("v1,{}", STANDARD.encode(tag.as_ref())))
    };
    Ok(secrets.iter().map(sign).collect::<Result<Vec<_>>>()?.join(" "))
}

const SECRET_PREFIX: &str = "whsec_";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The vector of Standard Webhooks' own libraries.
    #[test]
    fn signature_is_that_of_standard_webhooks() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed = signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body, &[secret]);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.expect("a secret"), expected);
    }

    #[test]
    fn the_default_schedule_is_ten_attempts_in_three_days() {
        let Schedule(waits) = Schedule::default();
        assert_eq!(waits.len() + 1, 10);
        assert_eq!(waits[..3], [5_000, 300_000, 1_800_000]);
        assert_eq!(waits.iter().sum::<i64>() / 3_600_000, 75);
    }

    #[test]
    fn every_event_has_a_name_that_finds_it() {
        for event in EventType::ALL {
            assert_eq!(EventType::named(event.name()), Some(event));
        }
        assert_eq!(EventType::of_act("session.redeem"), None);
    }

    proptest! {
        /// Success is 2xx, 410 is the end, everything else is tried again until the schedule ends.
        #[test]
        fn an_attempt_is_judged_by_its_status(status in 100u16..600, made in 1i64..12, jitter: u16) {
            let schedule = Schedule::default();
            let expected_end = made >= 10;
            match schedule.judge(Some(status), made, 1_000, jitter) {
                Verdict::Delivered => prop_assert!((200..300).contains(&status)),
                Verdict::Gone => prop_assert_eq!(status, 410),
                Verdict::Exhausted => prop_assert!(expected_end && status != 410),
                Verdict::Retry(at) => {
                    let wait = schedule.0[made as usize - 1];
                    prop_assert!(!expected_end && status / 100 != 2);
                    prop_assert!((1_000 + wait..=1_000 + wait + wait / 10).contains(&at));
                }
            }
        }

        /// One event has one id at one endpoint, and ids sort by their time.
        #[test]
        fn message_ids_name_endpoint_and_event(at in 0i64..1 << 42, later in 1i64..1 << 42) {
            let id = message_id("whk_a", "aud_a", at);
            prop_assert_eq!(&id, &message_id("whk_a", "aud_a", at));
            prop_assert_ne!(&id, &message_id("whk_b", "aud_a", at));
            prop_assert_ne!(&id, &message_id("whk_a", "aud_b", at));
            prop_assert!(id < message_id("whk_a", "aud_b", at + later));
        }
    }
}
