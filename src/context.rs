//! What every handler may use: configuration, store, clock, ids and keys.
//!
//! The only place that reads the system clock or draws random numbers, so that tests and `--dev`
//! can move time and nothing else can.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::{SecureRandom, SystemRandom};
use vestibule_runtime::BodyLimits;

use crate::domain::api_key::KeyHash;
use crate::domain::base32;
use crate::domain::ceiling::{Act, Ceiling};
use crate::domain::hex;
use crate::domain::key::{Ceilings, Key};
use crate::domain::outbound::OutboundPolicy;
use crate::domain::sealing::MasterKeys;
use crate::domain::session::{AuditEntry, FreshIds};
use crate::domain::token::Tokens;
use crate::error::Result;
use crate::in_flight::InFlight;
use crate::key_uses::KeyUses;
use crate::limiter::Edge;
use crate::net::Clients;
use crate::outbound::Outbound;
use crate::provision::Provision;
use crate::readiness::Readiness;
use crate::resealing::Resealer;
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::verified_tokens::VerifiedTokens;

/// The longest a handler may take.
const HANDLER_DEADLINE: Duration = Duration::from_secs(10);

/// What one running service shares between its requests.
pub struct Context {
    /// Where everything is remembered.
    pub store: Store,
    /// The service's time.
    pub clock: Clock,
    /// The service's randomness.
    pub ids: Ids,
    /// They seal secrets and sign tokens.
    pub master_keys: Arc<MasterKeys>,
    /// Mints and verifies the JWTs of the embed and iframe surfaces.
    pub tokens: Tokens,
    /// What was verified a moment ago.
    pub verified_tokens: VerifiedTokens,
    /// Where browsers reach this service, without a slash at the end.
    pub public_url: String,
    /// Of the token that opens the admin surface.
    pub admin_token: KeyHash,
    /// Limits on reading bodies.
    pub body_limits: BodyLimits,
    /// The longest a handler may take.
    pub handler_deadline: Duration,
    /// Uses of keys that are not written yet.
    pub key_uses: KeyUses,
    /// Requests with an idempotency key that have no answer yet.
    pub in_flight: InFlight,
    /// How often one address, key and session may ask.
    pub edge: Edge,
    /// Where the record of every request goes.
    pub telemetry: Arc<Telemetry>,
    /// The way out, to addresses that others name.
    pub outbound: Outbound,
    /// See [`crate::config::Webhooks`].
    pub webhooks: crate::config::Webhooks,
    /// Who is behind the connections that the public listener makes.
    pub clients: Arc<Clients>,
    /// Where this instance keeps files of its own.
    pub data_dir: PathBuf,
    /// Whether the store answers, as it was last asked.
    pub readiness: Readiness,
    /// Set once the service ends: it is not ready any more.
    pub is_stopping: AtomicBool,
    /// What `--dev` adds; `None` otherwise.
    pub dev: Option<crate::cli::dev::DevCredentials>,
}

/// What a [`Context`] is made of that is not made on the spot.
pub struct Parts {
    /// See [`Context::store`].
    pub store: Store,
    /// See [`Context::master_keys`].
    pub master_keys: MasterKeys,
    /// See [`Context::public_url`]; also the issuer of tokens.
    pub public_url: String,
    /// See [`Context::admin_token`].
    pub admin_token: KeyHash,
    /// See [`crate::config::Limits`].
    pub limits: crate::config::Limits,
    /// See [`Context::telemetry`].
    pub telemetry: Arc<Telemetry>,
    /// Where [`Context::outbound`] may send to.
    pub outbound: OutboundPolicy,
    /// See [`Context::webhooks`].
    pub webhooks: crate::config::Webhooks,
    /// See [`Context::clients`].
    pub clients: Arc<Clients>,
    /// See [`Context::data_dir`].
    pub data_dir: PathBuf,
    /// See [`Context::dev`].
    pub dev: Option<crate::cli::dev::DevCredentials>,
}

impl Context {
    /// A context with a fresh clock, ids and limiter.
    pub fn new(parts: Parts) -> Self {
        let Parts { store, master_keys, public_url, admin_token, limits, .. } = parts;
        let Parts { telemetry, outbound, webhooks, clients, data_dir, dev, .. } = parts;
        let master_keys = Arc::new(master_keys);
        let tokens = Tokens::new(Arc::clone(&master_keys), public_url.clone());
        let deadline = Duration::from_millis(limits.body_deadline_ms);
        let ids = Ids::default();
        Self {
            store,
            clock: Clock::default(),
            master_keys,
            tokens,
            verified_tokens: VerifiedTokens::default(),
            public_url,
            admin_token,
            body_limits: BodyLimits::new(deadline, limits.in_flight_bytes),
            handler_deadline: HANDLER_DEADLINE,
            key_uses: KeyUses::default(),
            in_flight: InFlight::default(),
            edge: Edge::new(limits.edge_mode, limits.edge_rates(), || ids.bytes()),
            ids,
            telemetry,
            outbound: Outbound::new(outbound, webhooks.deadline),
            webhooks,
            clients,
            data_dir,
            readiness: Readiness::default(),
            is_stopping: AtomicBool::new(false),
            dev,
        }
    }

    /// The ids of a session about to be opened at `now_ms`.
    pub fn fresh_ids(&self, now_ms: i64) -> FreshIds {
        let session = self.ids.id_at("ses_", now_ms);
        FreshIds { session, token: self.ids.id("tok_") }
    }

    /// Hears of what other instances and commands did with tenants' signing keys.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was known stays.
    pub async fn hear_of_signing_keys(&self) -> Result<()> {
        let all = self.store.signing_keys(self.clock.now_ms()).await?;
        self.master_keys.signing.replace(all);
        Ok(())
    }

    /// Hears of what this instance just did with signing keys. Without it a round hears of it in
    /// time, so that whoever asked is told of what took effect either way.
    pub async fn hear_at_once(&self) {
        if let Err(error) = self.hear_of_signing_keys().await {
            tracing::warn!(%error, "a change of signing keys is heard of in the next round");
        }
    }

    /// Hears of what others did that no cache of the store forgets in time: a fence, and what was
    /// done with tenants' signing keys.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; what was known stays.
    pub async fn hear(&self) -> Result<()> {
        self.store.hear_of_fence().await?;
        self.hear_of_signing_keys().await?;
        self.hear_of_jumps().await
    }

    /// Remembers how late it is when the system's clock has jumped ahead: should it come back, this
    /// service does not, not even after a restart.
    async fn hear_of_jumps(&self) -> Result<()> {
        let Some(jump_ms) = self.clock.jumped_ms() else { return Ok(()) };
        self.store.remember_time(self.clock.latest_ms()).await?;
        tracing::warn!(jump_ms, "the system's clock has jumped ahead");
        Ok(())
    }

    /// Moves the database forward, so that an older one is known from it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer or the data directory cannot be written.
    pub async fn move_mark(&self) -> Result<()> {
        self.store.move_mark(&self.data_dir).await
    }

    /// A line of the audit, now.
    pub fn audit(&self, tenant: &str, actor: &str, action: &str, target: &str) -> AuditEntry {
        self.provision(actor).audit(tenant, action, target)
    }

    /// Seals anew by the first master key.
    pub fn resealer(&self) -> Resealer<'_> {
        let Self { store, master_keys: keys, clock, ids, .. } = self;
        Resealer { store, keys, clock, ids }
    }

    /// The opening of a session with a key, and the ceilings that it must keep to.
    pub fn opening(&self, key: &Key, audit: AuditEntry) -> Act {
        let Ceilings { sessions_per_day, live_sessions, .. } = key.ceilings;
        if sessions_per_day.is_none() && live_sessions.is_none() {
            return audit.into();
        }
        let exceeded = Ceiling::NAMES.map(|name| {
            self.audit(&key.tenant, &key.id, "limit.exceed", &key.id).with("name", name)
        });
        let (ceilings, idle_timeout_s) = (key.ceilings, key.idle_timeout_s);
        Act { audit, ceiling: Some(Box::new(Ceiling { ceilings, idle_timeout_s, exceeded })) }
    }

    /// Makes tenants and keys on behalf of `actor`.
    pub fn provision<'a>(&'a self, actor: &'a str) -> Provision<'a> {
        let Self { store, master_keys: keys, clock, ids, .. } = self;
        Provision { store, keys, clock, ids, actor }
    }
}

/// The service's wall clock. Cheap to read; one per process. It never goes back: while the system's
/// clock is behind what it once said, this one stands still, so that nothing that ended begins anew.
#[derive(Debug, Default)]
pub struct Clock {
    /// The latest that the system's clock was seen to say.
    latest_ms: AtomicI64,
    offset_ms: AtomicI64,
    /// The instant it stands at; 0 while it runs.
    held_at_ms: AtomicI64,
    /// When it was last looked for jumps, by a clock that has none and by the system's.
    looked: Mutex<Option<(Instant, i64)>>,
}

/// How much further than time itself a clock goes in a jump, milliseconds.
const JUMP_MS: i64 = 1_000;

impl Clock {
    /// Now, milliseconds since 1970: by the clock that the request being handled has moved, if it
    /// has.
    pub fn now_ms(&self) -> i64 {
        vestibule_runtime::moved_clock().unwrap_or_else(|| self.own_now_ms())
    }

    /// Now, milliseconds since 1970, whatever clock a request has moved: for what is told of
    /// requests, and for what they all share.
    pub fn own_now_ms(&self) -> i64 {
        let held_at = self.held_at_ms.load(Ordering::Relaxed);
        if held_at != 0 {
            return held_at;
        }
        let system = Self::system_now_ms();
        let latest = self.latest_ms.fetch_max(system, Ordering::Relaxed).max(system);
        latest.saturating_add(self.offset_ms.load(Ordering::Relaxed))
    }

    /// The latest that the system's clock was seen to say, milliseconds since 1970.
    pub fn latest_ms(&self) -> i64 {
        let system = Self::system_now_ms();
        self.latest_ms.fetch_max(system, Ordering::Relaxed).max(system)
    }

    /// Never says less than `latest_ms` (milliseconds since 1970), which an earlier run has seen.
    pub fn continue_from(&self, latest_ms: i64) {
        self.latest_ms.fetch_max(latest_ms, Ordering::Relaxed);
    }

    /// How far the system's clock has jumped ahead since this was last asked, milliseconds.
    pub fn jumped_ms(&self) -> Option<i64> {
        let now = (Instant::now(), Self::system_now_ms());
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, said) = looked.replace(now)?;
        let passed = i64::try_from(now.0.duration_since(at).as_millis()).unwrap_or(i64::MAX);
        let jump = now.1.saturating_sub(said).saturating_sub(passed);
        (jump > JUMP_MS).then_some(jump)
    }

    /// How far the system's clock has gone back, milliseconds; 0 while it goes ahead.
    pub fn behind_ms(&self) -> i64 {
        self.latest_ms.load(Ordering::Relaxed).saturating_sub(Self::system_now_ms()).max(0)
    }

    /// Now by the system's clock, which nobody moves; for what people compare with other logs.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
    pub fn system_now_ms() -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    /// Moves the clock away from the system's; `--dev` and tests alone may call this.
    pub fn set_offset_ms(&self, offset_ms: i64) {
        self.offset_ms.store(offset_ms, Ordering::Relaxed);
    }

    /// Stops the clock at an instant, for tests of boundaries that are a millisecond wide.
    pub fn hold_at_ms(&self, now_ms: i64) {
        self.held_at_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// Where ids, nonces and secrets come from: the system's random generator.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    random: SystemRandom,
    /// The latest number of [`Ids::id_at`].
    latest: Arc<Mutex<u128>>,
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

impl Ids {
    /// `N` random bytes.
    ///
    /// # Panics
    /// When the system has no randomness: nothing safe can be done then.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes).expect("the system's random generator works");
        bytes
    }

    /// A prefix and 128 bits in lower-case base32, e.g. `ses_` + 26 characters.
    pub fn id(&self, prefix: &str) -> String {
        base32::with_prefix(prefix, u128::from_be_bytes(self.bytes()))
    }

    /// Like [`Ids::id`], but later ones sort after earlier ones: 43 bits of `now_ms`, 85 random
    /// ones or, within a millisecond, a random step behind the one before. That saves most of the
    /// pages a commit writes. For what need not be guessed, not for secrets.
    pub fn id_at(&self, prefix: &str, now_ms: i64) -> String {
        let noise = u128::from_be_bytes(self.bytes());
        // A panic in between leaves a number, which is all there is.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = base32::number_behind(*latest, now_ms, noise);
        base32::with_prefix(prefix, *latest)
    }

    /// A prefix and `N` random bytes in lower-case hex.
    pub fn hex<const N: usize>(&self, prefix: &str) -> String {
        format!("{prefix}{}", hex::encode(&self.bytes::<N>()))
    }

    /// A prefix and 256 bits as 43 base62 characters.
    pub fn base62(&self, prefix: &str) -> String {
        // 43 digits hold log2(62^43) = 256.03 bits; bytes ≥ 248 are drawn again to stay uniform.
        let mut text = String::from(prefix);
        while text.len() < prefix.len() + 43 {
            let fresh: [u8; 64] = self.bytes();
            let digits = fresh.iter().filter(|b| **b < 248).map(|b| BASE62[usize::from(b % 62)]);
            text.extend(digits.take(prefix.len() + 43 - text.len()).map(char::from));
        }
        text
    }

    /// A version 7 UUID (RFC 9562, section 5.7): the 48 bits of `now_ms`, then 74 random ones, so that
    /// later ones sort after earlier ones as those of [`Ids::id_at`] do. For what need not be guessed.
    pub fn uuid_at(&self, now_ms: i64) -> uuid::Uuid {
        // No clock of ours stands before 1970.
        let now_ms = now_ms.unsigned_abs();
        uuid::Builder::from_unix_timestamp_millis(now_ms, &self.bytes()).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use std::sync::atomic::Ordering;

    use super::{Clock, Ids};

    #[test]
    fn a_clock_stands_still_while_the_system_is_behind_what_it_said_and_tells_how_far() {
        let clock = Clock::default();
        assert!(clock.now_ms() > 0);
        assert_eq!(clock.behind_ms(), 0, "it goes ahead");
        // As if the system's clock had just been set back by a minute.
        let said = Clock::system_now_ms() + 60_000;
        clock.latest_ms.store(said, Ordering::Relaxed);
        assert_eq!(clock.now_ms(), said);
        assert!(clock.behind_ms() > 30_000, "{}", clock.behind_ms());
    }

    #[test]
    fn a_clock_tells_of_a_jump_once_and_goes_on_from_what_an_earlier_run_has_seen() {
        let clock = Clock::default();
        assert_eq!(clock.jumped_ms(), None, "nothing to compare with");
        let said = clock.looked.lock().expect("no panic").as_mut().map(|it| it.1 -= 60_000);
        assert_eq!(said, Some(()), "as if it had said a minute less");
        assert!(clock.jumped_ms().is_some_and(|jump| jump > 50_000));
        assert_eq!(clock.jumped_ms(), None);
        let seen = Clock::system_now_ms() + 60_000;
        clock.continue_from(seen);
        assert_eq!((clock.now_ms(), clock.latest_ms()), (seen, seen));
    }

    proptest! {
        /// Ids drawn later sort later, and no two are the same.
        #[test]
        fn ids_sort_by_the_time_they_were_drawn_at(
            now_ms in 0i64..1 << 43,
            later_ms in 0i64..1 << 43,
        ) {
            prop_assume!(now_ms != later_ms);
            let ids = Ids::default();
            let (first, second) = (ids.id_at("ses_", now_ms), ids.id_at("ses_", later_ms));
            prop_assert_eq!(first < second, now_ms < later_ms);
            let (again, next) = (ids.id_at("ses_", now_ms), ids.id_at("ses_", now_ms));
            prop_assert!(first != again && again < next, "{first} {again} {next}");
            let digits = |c: char| matches!(c, 'a'..='z' | '2'..='7');
            prop_assert!(first.len() == 30 && first[4..].chars().all(digits), "{first}");
        }

        #[test]
        fn uuids_sort_by_the_time_they_were_drawn_at(
            now_ms in 0i64..1 << 48,
            later_ms in 0i64..1 << 48,
        ) {
            prop_assume!(now_ms != later_ms);
            let ids = Ids::default();
            let draw = |ms: i64| ids.uuid_at(ms).to_string();
            prop_assert_eq!(draw(now_ms) < draw(later_ms), now_ms < later_ms);
            prop_assert_ne!(draw(now_ms), draw(now_ms));
        }
    }
}
