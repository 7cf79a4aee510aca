//! The limits at the edge: how often one address, one key and one session may ask, in constant
//! memory and per process.
//!
//! Knows no request and no wire. Exact quotas are the store's business.

mod cells;
mod counter;

use std::net::IpAddr;

use vestibule_runtime::Standing;

use crate::error::Result;
use crate::net::subscriber;

pub use cells::{Cells, Charged, Rate};
use counter::Counter;
pub use counter::{Counts, Mode};

/// How often each kind of subject may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeRates {
    /// One address, as far as it is one [`subscriber`].
    pub address: Rate,
    /// One key of any kind that has no rate of its own, and the admin key.
    pub key: Rate,
    /// One session.
    pub session: Rate,
    /// Token exchanges of one address.
    pub redemption: Rate,
}

/// All limits at the edge.
pub struct Edge {
    mode: Mode,
    address: Counter,
    key: Counter,
    session: Counter,
    redemption: Counter,
}

/// What each kind of subject was counted for since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeCounts {
    /// See [`EdgeRates::address`].
    pub address: Counts,
    /// See [`EdgeRates::key`]; also keys with a rate of their own.
    pub key: Counts,
    /// See [`EdgeRates::session`].
    pub session: Counts,
    /// See [`EdgeRates::redemption`].
    pub redemption: Counts,
}

impl EdgeCounts {
    /// All of them, by the names that refusals tell.
    pub fn by_limit(&self) -> [(&'static str, Counts); 4] {
        let Self { address, key, session, redemption } = *self;
        [(ADDRESS, address), (KEY, key), (SESSION, session), (REDEMPTION, redemption)]
    }
}

const ADDRESS: &str = "address";
const KEY: &str = "key";
const SESSION: &str = "session";
const REDEMPTION: &str = "redemption";

/// 2 MiB of cells for each kind of subject.
pub const SHARDS: usize = 256;
/// Fewer addresses exchange tokens, and never often.
const REDEMPTION_SHARDS: usize = 64;

impl EdgeRates {
    /// What is allowed unless the configuration says otherwise.
    pub const DEFAULT: Self = Self {
        address: Rate { per_minute: 6000, burst: 1000 },
        key: Rate { per_minute: 6000, burst: 1000 },
        session: Rate { per_minute: 600, burst: 120 },
        redemption: Rate { per_minute: 30, burst: 30 },
    };
}

impl Edge {
    /// All that the limits ever take up in memory, bytes.
    pub const BYTES: usize = 3 * Cells::bytes(SHARDS) + Cells::bytes(REDEMPTION_SHARDS);

    /// Limits that refuse nothing in shadow mode, but for token exchanges and keys with a rate of
    /// their own. `secret` draws the keys of the hashes.
    pub fn new(mode: Mode, rates: EdgeRates, secret: impl Fn() -> [u8; 32]) -> Self {
        let counter =
            |policy, rate, shards| Counter::new(policy, rate, Cells::new(shards, secret()));
        Self {
            mode,
            address: counter(ADDRESS, rates.address, SHARDS),
            key: counter(KEY, rates.key, SHARDS),
            session: counter(SESSION, rates.session, SHARDS),
            redemption: counter(REDEMPTION, rates.redemption, REDEMPTION_SHARDS),
        }
    }

    /// Counts a request of an address.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn address(&self, address: IpAddr, now_ms: i64) -> Result<()> {
        self.address.count(&subscriber(address), None, self.mode, now_ms).map(drop)
    }

    /// Counts a request with a key that exists, by its id. A rate of the key's own, requests a
    /// minute, takes the place of the configured one and holds in every mode: somebody asked for it
    /// by the key's name.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn key(&self, id: &str, own_per_minute: Option<u32>, now_ms: i64) -> Result<()> {
        let (own, mode) = self.of_key(own_per_minute);
        self.key.count(id.as_bytes(), own, mode, now_ms).map(drop)
    }

    /// Whether a request with a key would pass now; counts nothing.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn look_at_key(&self, id: &str, own_per_minute: Option<u32>, now_ms: i64) -> Result<()> {
        let (own, mode) = self.of_key(own_per_minute);
        match mode {
            Mode::Shadow => Ok(()),
            Mode::Enforce => self.key.look(id.as_bytes(), own, now_ms),
        }
    }

    fn of_key(&self, own_per_minute: Option<u32>) -> (Option<Rate>, Mode) {
        let own = own_per_minute.map(|per_minute| Rate { per_minute, burst: per_minute });
        (own, if own.is_some() { Mode::Enforce } else { self.mode })
    }

    /// Counts a request in a session that exists, by its id.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn session(&self, id: &str, now_ms: i64) -> Result<()> {
        self.session.count(id.as_bytes(), None, self.mode, now_ms).map(drop)
    }

    /// Counts a token exchange of an address, in every mode; how the limit stands then.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn redemption(&self, address: IpAddr, now_ms: i64) -> Result<Standing> {
        self.redemption.count(&subscriber(address), None, Mode::Enforce, now_ms)
    }

    /// What was counted since the start.
    pub fn counts(&self) -> EdgeCounts {
        EdgeCounts {
            address: self.address.counts(),
            key: self.key.counts(),
            session: self.session.counts(),
            redemption: self.redemption.counts(),
        }
    }
}
