//! What Vestibule remembers: tenants, keys, sessions, conversations and what the doors show.
//!
//! The only SQL of the service. Callers speak domain types; no row, statement or driver leaves
//! here. Reads go beside the one writer and may be a second old; a write is answered only after its
//! commit. Knows no HTTP, draws no time and no id.

mod audit;
mod audit_trail;
mod backups;
mod cache;
mod catalogue;
mod ceilings;
mod claims;
mod conversations;
mod deliveries;
mod delivery_log;
mod delivery_upkeep;
mod directory;
mod engine;
mod erasure;
mod expiries;
mod fences;
mod figures;
mod holdings;
mod idempotency;
mod key_rows;
mod key_uses;
mod keys;
mod latest_time;
mod locks;
mod marks;
mod meta;
mod migrations;
#[cfg(test)]
mod on_postgres;
#[cfg(test)]
mod on_sqlite;
mod openings;
mod postgres;
mod purge;
mod script;
mod sealed_values;
mod session_ends;
mod session_lists;
mod session_pages;
mod session_renewals;
mod session_rows;
mod session_uses;
mod sessions;
mod signing_keys;
mod sources;
mod sqlite;
mod stale;
mod subscribers;
mod tenants;
mod themes;
mod usage;
mod usage_rows;
#[cfg(test)]
mod weather;
mod webhooks;
mod writer;

use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use tokio::sync::Notify;

use crate::domain::database::Database;
use crate::error::Result;

pub use audit_trail::{AuditFilter, AuditPage};
pub use backups::Holdings;
pub use catalogue::Catalogue;
pub use deliveries::{Claim, ClaimRequest, Settled};
pub use delivery_upkeep::Bounds;
pub use directory::DirectoryKind;
pub use erasure::{Erasure, HeldPage};
pub use fences::Copied;
pub use figures::{CacheFigures, Figures};
pub use idempotency::Receipt;
pub use marks::Displaced;
pub use migrations::Migrations;
pub use openings::VariablesCheck;
pub use postgres::Server;
pub use purge::Purged;
pub use sealed_values::{Resealing, SealedValue};
pub use session_ends::{Sweep, Swept};
pub use session_pages::{Judged, SessionPage};
pub use session_renewals::Renew;
pub use sessions::{OpenedChat, Redeemed};
pub use usage::{Message, UsageFilter};
pub use writer::Counts;

/// The store. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Store {
    readers: engine::Readers,
    writer: writer::Queue,
    caches: Arc<cache::Caches>,
    /// Hears of other instances, where there may be any.
    listener: Option<Arc<postgres::Listener>>,
    queued: Arc<Notify>,
    uses: Arc<session_uses::Noted>,
    exceeded: Arc<figures::Exceeded>,
    /// The instant of the fence; 0 without one.
    fence: Arc<AtomicI64>,
}

/// Whether each part of the store answers.
#[derive(Debug)]
pub struct Ready {
    /// A query was answered.
    pub reader: Result<()>,
    /// A transaction was committed.
    pub writer: Result<()>,
}

impl Store {
    /// Opens a database; an embedded one's directory and file are made as needed, and the tables of
    /// any. Safe for many processes at once.
    ///
    /// # Errors
    /// `Unavailable` when the directory, file or server cannot be used, `Internal` when the
    /// database belongs to a newer release or would lose what it acknowledged.
    pub async fn open(database: &Database) -> Result<Self> {
        let queued = Arc::new(Notify::new());
        let (conn, readers) = match database {
            Database::Embedded(data_dir) => sqlite::open(data_dir, queued.clone()).await?,
            Database::Postgres(at) => postgres::open(at, queued.clone()).await?,
        };
        let mut store = Self::on(conn, readers, queued).await?;
        if let Database::Postgres(at) = database {
            store.listener = postgres::listen(at, store.caches.clone())?.map(Arc::new);
        }
        Ok(store)
    }

    /// A store on connections that were made; it listens to nobody.
    async fn on(
        conn: engine::Connection,
        readers: engine::Readers,
        queued: Arc<Notify>,
    ) -> Result<Self> {
        let caches = Arc::new(cache::Caches::new());
        let writer = writer::Queue::start(conn, caches.clone())?;
        audit::adopt(&readers, &writer).await?;
        let (uses, exceeded, fence) = Default::default();
        let store = Self { readers, writer, caches, listener: None, queued, uses, exceeded, fence };
        store.hear_of_fence().await?;
        Ok(store)
    }

    /// Opens a database, migrated already, to be read and left as it is: nothing is made and no
    /// write is possible.
    ///
    /// # Errors
    /// `Unavailable` when the file or the server cannot be read.
    pub async fn inspect(database: &Database) -> Result<Self> {
        let readers = match database {
            Database::Embedded(data_dir) => sqlite::inspect(data_dir).await?,
            Database::Postgres(at) => postgres::inspect(at).await?,
        };
        let (queued, caches) = (Arc::default(), Arc::new(cache::Caches::new()));
        let writer = writer::Queue::closed();
        let (uses, exceeded, fence) = Default::default();
        Ok(Self { readers, writer, caches, listener: None, queued, uses, exceeded, fence })
    }

    /// How far a database is migrated; `None` when there is none. Changes nothing.
    ///
    /// # Errors
    /// `Unavailable` when the file or the server cannot be read.
    pub async fn migrations(database: &Database) -> Result<Option<Migrations>> {
        match database {
            Database::Embedded(data_dir) => sqlite::migrations(data_dir).await,
            Database::Postgres(at) => postgres::migrations(at).await,
        }
    }

    /// What the database's server says of itself; `None` for an embedded one.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be reached; `Internal` when it must not be trusted.
    pub async fn server(database: &Database) -> Result<Option<Server>> {
        match database {
            Database::Embedded(_) => Ok(None),
            Database::Postgres(at) => postgres::server(at).await.map(Some),
        }
    }

    /// Whether a store was ever opened there, as far as this machine can tell without asking.
    pub fn is_in(database: &Database) -> bool {
        match database {
            Database::Embedded(data_dir) => sqlite::file(data_dir).is_file(),
            Database::Postgres(_) => true,
        }
    }

    /// Writes everything queued, then closes all connections. Later calls are `Unavailable`.
    pub async fn close(&self) {
        if let Some(listener) = &self.listener {
            listener.stop();
        }
        // The last connection takes the log back into the database, and one that reads cannot.
        self.readers.close().await;
        self.writer.close().await;
    }

    /// Asks the reader and the writer for an answer each.
    pub async fn ready(&self) -> Ready {
        let read = async { Ok(self.readers.fetch("SELECT 1", Vec::new()).await.map(drop)?) };
        let (reader, writer) = tokio::join!(read, self.writer.run(meta::Touch));
        Ready { reader, writer }
    }

    /// How many writes were committed in how many transactions since the start, and how many
    /// queries were run beside them.
    pub fn counts(&self) -> Counts {
        Counts { reads: self.readers.queries(), ..self.writer.counts() }
    }
}
