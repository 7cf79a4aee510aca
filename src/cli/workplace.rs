//! Where a command works: the data directory, its master keys and its store.

use std::path::PathBuf;

use clap::Args;
use tokio::runtime::Runtime;

use super::Failure;
use crate::config::{DataAccess, Overrides};
use crate::context::{Clock, Ids};
use crate::domain::database::Database;
use crate::domain::sealing::MasterKeys;
use crate::provision::Provision;
use crate::resealing::Resealer;
use crate::store::Store;

/// The flags that say which data directory and database.
#[derive(Clone, Debug, Args)]
pub(super) struct Workplace {
    /// The data directory of the service [default: ./data]
    #[arg(long, value_name = "D")]
    data_dir: Option<PathBuf>,
    /// The TOML file of the service, for its data directory, database and master keys
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
}

/// An open store, and what writing into it takes.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) ids: Ids,
    pub(super) master_keys: MasterKeys,
    /// The file they stand in, if they do.
    pub(super) master_key_file: Option<PathBuf>,
}

impl Workplace {
    /// The data directory and the master keys, if they are known.
    pub(super) fn access(self) -> Result<DataAccess, Failure> {
        let Self { data_dir, config } = self;
        Ok(DataAccess::load(&Overrides { data_dir, config, ..Overrides::default() })?)
    }

    /// Does `work` on the store. A running service does not mind: both databases take several
    /// processes, and it notices what changed within a second.
    pub(super) fn work<T>(
        self,
        work: impl AsyncFnOnce(&Desk) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let access = self.access()?;
        let data_dir = access.data_dir.clone();
        Desk::open(access, async |desk| {
            if let Some(displaced) = desk.store.displaced(&data_dir).await? {
                return Err(displaced.into());
            }
            work(desk).await
        })
    }
}

impl Desk {
    /// Does `work` on a store, even on one that was put back.
    pub(super) fn open<T>(
        access: DataAccess,
        work: impl AsyncFnOnce(&Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let DataAccess { database, master_keys, master_key_file, .. } = access;
        let shown = database.shown();
        // A mistyped path must not become a second, empty database.
        if let Database::Embedded(data_dir) = &database
            && !data_dir.is_dir()
        {
            let help = "start the service once, or give --data-dir the directory it uses";
            return Err(Failure::unusable(format!("there is no data directory {shown}"), help));
        }
        let master_keys = master_keys.ok_or_else(|| {
            let help = "set VESTIBULE__MASTER_KEYS_FILE or give --config, as for the service";
            Failure::unusable(format!("no master key for {shown} is known"), help)
        })?;
        runtime()?.block_on(async {
            let store = Store::open(&database).await?;
            let (clock, ids) = (Clock::default(), Ids::default());
            let desk = Self { store, clock, ids, master_keys, master_key_file };
            let done = match desk.require_fitting_keys().await {
                Ok(()) => work(&desk).await,
                Err(failure) => Err(failure),
            };
            desk.store.close().await;
            done
        })
    }

    /// Makes things in the name of the command line.
    pub(super) fn provision(&self) -> Provision<'_> {
        let Self { store, clock, ids, master_keys, .. } = self;
        Provision { store, keys: master_keys, clock, ids, actor: "cli" }
    }

    /// Seals anew by the first master key.
    pub(super) fn resealer(&self) -> Resealer<'_> {
        let Self { store, clock, ids, master_keys: keys, .. } = self;
        Resealer { store, keys, clock, ids }
    }

    async fn require_fitting_keys(&self) -> Result<(), Failure> {
        if self.provision().master_keys_fit().await? {
            return Ok(());
        }
        let help = "use the master keys that the service of this database runs with";
        Err(Failure::unusable("the master keys do not open this database", help))
    }
}

/// What a command waits on the database with.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|cause| {
        Failure::refused(format!("no thread can be started ({cause})"), "raise the limits")
    })
}
