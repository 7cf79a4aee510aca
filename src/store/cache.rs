//! What was read a moment ago: at most a second old, bounded in memory, dropped by our own writes.
//!
//! Misses are never kept, so that made-up ids cannot fill or sweep it. Knows no SQL.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use quick_cache::{Equivalent, OptionsBuilder, Weighter, sync};

use super::catalogue::Catalogue;
use super::figures::CacheFigures;
use crate::domain::key::{Kept, Key, KeySettings};
use crate::domain::session::{Grant, Session};
use crate::domain::signing_key::SigningKey;
use crate::domain::tenant::Tenant;
use crate::domain::theme::ThemeSettings;
use crate::error::Result;

/// All caches of one store.
pub(super) struct Caches {
    /// By `("", lookup)`.
    pub(super) keys_by_lookup: Cache<Key>,
    /// By `(tenant, key id)`.
    pub(super) keys: Cache<Key>,
    /// By `("", tenant)`.
    pub(super) tenants: Cache<Tenant>,
    /// By `(tenant, session id)`.
    pub(super) sessions: Cache<Session>,
    /// By `("", kind)`.
    pub(super) origins: Cache<Vec<String>>,
    /// By `(tenant, "")`.
    pub(super) catalogues: Cache<Catalogue>,
    /// By `(tenant, "")`.
    pub(super) sources: Cache<Vec<String>>,
    /// By `(tenant, theme id)`, the default by `(tenant, "")`.
    pub(super) themes: Cache<ThemeSettings>,
    /// By `("", "")`.
    pub(super) published: Cache<Vec<SigningKey>>,
}

/// One kind of values by tenant and id.
pub(super) struct Cache<V> {
    entries: sync::Cache<Name, Entry<V>, ByWeight>,
    /// Counts what was dropped, so that a value read before a write is not kept after it.
    dropped: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
    weigh: fn(&V) -> u64,
}

const FRESH: Duration = Duration::from_secs(1);

/// Each cache's share of memory, bytes.
const BUDGET: u64 = 8 << 20;

/// Fixed: with one shard per core, a heavy value would fit on small machines alone.
const SHARDS: usize = 4;

impl Caches {
    pub(super) fn new() -> Self {
        Self {
            keys_by_lookup: Cache::new(key_weight),
            keys: Cache::new(key_weight),
            tenants: Cache::new(|_| 512),
            sessions: Cache::new(session_weight),
            origins: Cache::new(|origins| texts_weight(origins)),
            catalogues: Cache::new(catalogue_weight),
            sources: Cache::new(|sources| texts_weight(sources)),
            themes: Cache::new(json_weight),
            published: Cache::new(|keys| 128 * keys.len() as u64),
        }
    }

    /// Drops everything.
    pub(super) fn drop_everything(&self) {
        self.drop_keys();
        self.sessions.drop_all();
        self.catalogues.drop_all();
        self.sources.drop_all();
        self.themes.drop_all();
    }

    /// What each of them was asked.
    pub(super) fn figures(&self) -> Vec<CacheFigures> {
        vec![
            self.keys_by_lookup.figures("keys_by_lookup"),
            self.keys.figures("keys"),
            self.tenants.figures("tenants"),
            self.sessions.figures("sessions"),
            self.origins.figures("origins"),
            self.catalogues.figures("catalogues"),
            self.sources.figures("sources"),
            self.themes.figures("themes"),
            self.published.figures("published"),
        ]
    }

    /// Drops everything that depends on a key or its tenant.
    pub(super) fn drop_keys(&self) {
        self.keys_by_lookup.drop_all();
        self.keys.drop_all();
        self.tenants.drop_all();
        self.origins.drop_all();
        self.published.drop_all();
    }
}

impl<V> Cache<V> {
    fn new(weigh: fn(&V) -> u64) -> Self {
        let options = OptionsBuilder::new()
            .shards(SHARDS)
            .estimated_items_capacity(1_000)
            .weight_capacity(BUDGET)
            .build()
            .expect("the sizes are positive");
        let entries =
            sync::Cache::with_options(options, ByWeight, Default::default(), Default::default());
        let [dropped, hits, misses] = [0; 3].map(AtomicU64::new);
        Self { entries, dropped, hits, misses, weigh }
    }

    fn figures(&self, name: &'static str) -> CacheFigures {
        let [hits, misses] = [&self.hits, &self.misses].map(|it| it.load(Ordering::Relaxed));
        CacheFigures { name, hits, misses }
    }

    /// The value by its name, from memory when it is fresh, else from `read`.
    pub(super) async fn through(
        &self,
        tenant: &str,
        id: &str,
        read: impl Future<Output = Result<Option<V>>>,
    ) -> Result<Option<Arc<V>>> {
        // Before reading: the age counts from the earliest instant the value may be of.
        let now = Instant::now();
        if let Some(entry) = self.entries.get(&Named(tenant, id))
            && now.duration_since(entry.read_at) < FRESH
        {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(Some(entry.value));
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let dropped = self.dropped.load(Ordering::SeqCst);
        let Some(value) = read.await?.map(Arc::new) else {
            return Ok(None);
        };
        let weight = (self.weigh)(&value) + 128;
        let entry = Entry { value: value.clone(), read_at: now, weight };
        self.entries.insert(Name(tenant.into(), id.into()), entry);
        // A write may have committed while we read; its drop came before our insert.
        if self.dropped.load(Ordering::SeqCst) != dropped {
            self.entries.remove(&Named(tenant, id));
        }
        Ok(Some(value))
    }

    /// Forgets one value at once.
    pub(super) fn drop_one(&self, tenant: &str, id: &str) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        self.entries.remove(&Named(tenant, id));
    }

    /// Forgets all values at once.
    pub(super) fn drop_all(&self) {
        self.dropped.fetch_add(1, Ordering::SeqCst);
        self.entries.clear();
    }
}

struct Entry<V> {
    value: Arc<V>,
    read_at: Instant,
    weight: u64,
}

impl<V> Clone for Entry<V> {
    fn clone(&self) -> Self {
        Self { value: self.value.clone(), read_at: self.read_at, weight: self.weight }
    }
}

#[derive(Clone)]
struct ByWeight;

impl<V> Weighter<Name, Entry<V>> for ByWeight {
    fn weight(&self, name: &Name, entry: &Entry<V>) -> u64 {
        entry.weight + (name.0.len() + name.1.len()) as u64
    }
}

#[derive(PartialEq, Eq, Hash)]
struct Name(String, String);

struct Named<'a>(&'a str, &'a str);

impl Hash for Named<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
        self.1.hash(state);
    }
}

impl Equivalent<Name> for Named<'_> {
    fn equivalent(&self, name: &Name) -> bool {
        name.0 == self.0 && name.1 == self.1
    }
}

fn texts_weight(texts: &[String]) -> u64 {
    texts.iter().map(|text| text.len() as u64 + 24).sum()
}

/// Values in memory take several times their text.
fn json_weight(value: &impl serde::Serialize) -> u64 {
    serde_json::to_vec(value).map_or(u64::MAX >> 8, |text| 4 * text.len() as u64)
}

fn key_weight(key: &Key) -> u64 {
    let settings = match &key.settings {
        KeySettings::Chat { allowed_intents, .. } => {
            allowed_intents.as_deref().map_or(0, texts_weight)
        }
        KeySettings::Embed { .. } | KeySettings::Iframe { .. } => 0,
    };
    let secrets: usize = key.secrets.iter().map(|it| kept_weight(&it.kept) + 64).sum();
    512 + settings + texts_weight(&key.allowed_origins) + secrets as u64
}

fn kept_weight(kept: &Kept) -> usize {
    match kept {
        Kept::Sealed(sealed) => sealed.0.len(),
        Kept::Lookup(lookup) => lookup.len(),
    }
}

fn session_weight(session: &Session) -> u64 {
    512 + match &session.grant {
        Grant::Embed { capabilities, .. } => texts_weight(capabilities),
        Grant::Chat { intents, .. } => texts_weight(intents),
        Grant::Iframe { sources, context, .. } => texts_weight(sources) + json_weight(context),
    }
}

fn catalogue_weight(catalogue: &Catalogue) -> u64 {
    json_weight(&catalogue.flows) + json_weight(&catalogue.questions)
}
