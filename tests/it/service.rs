//! A service in this process: its own data directory and database, a free port, the demo tenants.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock, mpsc};

use tempfile::TempDir;
use vestibule::cli::dev::DevCredentials;
use vestibule::config::{Config, Overrides};
use vestibule::context::{Context, Ids};
use vestibule::domain::database::Database;
use vestibule::store::Store;

use crate::engine;

/// A running service. Dropping it stops its runtime; its data goes with the last instance.
pub struct Service {
    /// Where it answers, without a slash at the end.
    pub base_url: String,
    /// The demo tenants' credentials.
    pub demo: DevCredentials,
    /// What its handlers share: clock, store, keys.
    pub context: Arc<Context>,
    /// Where its metrics can be read, if it was told to show them.
    pub metrics: Option<SocketAddr>,
    runtime: Option<tokio::runtime::Runtime>,
    data: Arc<TempDir>,
}

impl Service {
    /// One service for all tests that only add to it. Token exchanges are not limited there.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Service> =
            LazyLock::new(|| Service::start(|config| config.limits.redeem_per_minute = 1 << 20));
        &SHARED
    }

    /// A service of its own, for a test that moves the clock, pauses keys or counts.
    pub fn start(configure: impl FnOnce(&mut Config)) -> Self {
        let data = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let demo = DevCredentials::load(data.path(), None, &Ids::default()).expect("credentials");
        Self::start_on(data, demo, configure)
    }

    /// A second instance on the data of another, which tells its callers the same address. Token
    /// exchanges are not limited there.
    pub fn beside(first: &Self) -> Self {
        Self::beside_at(first, engine::database(first.data()))
    }

    /// [`Service::beside`] one whose database is not that of its data directory.
    pub fn beside_at(first: &Self, database: Database) -> Self {
        let public_url = Some(first.base_url.clone());
        let (data, demo) = (Arc::clone(&first.data), first.demo.clone());
        Self::start_on(data, demo, |config| {
            config.database = database;
            config.public_url = public_url;
            config.limits.redeem_per_minute = 1 << 20;
        })
    }

    fn start_on(
        data: Arc<TempDir>,
        demo: DevCredentials,
        configure: impl FnOnce(&mut Config),
    ) -> Self {
        let overrides = Overrides {
            bind: Some("127.0.0.1:0".into()),
            data_dir: Some(data.path().to_owned()),
            dev: true,
            ..Overrides::default()
        };
        let mut config = Config::load(&overrides).expect("a valid configuration");
        config.database = engine::database(data.path());
        configure(&mut config);
        config.admin_token = Some(demo.admin.token.clone().into());
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime");
        let (started, running) = mpsc::channel();
        let given = demo.clone();
        runtime.spawn(async move {
            let store = Store::open(&config.database).await.expect("the store opens");
            let running = vestibule::serve::start(config, store, Some(given)).await;
            let running = running.unwrap_or_else(|bad| panic!("the service does not start: {bad}"));
            let base_url = format!("http://{}", running.address);
            let told = (base_url, Arc::clone(&running.context), running.metrics);
            started.send(told).expect("the test waits");
            let _ = running.server.await;
        });
        let (base_url, context, metrics) = running.recv().expect("the service starts");
        Self { base_url, demo, context, metrics, runtime: Some(runtime), data }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base_url)
    }

    /// Where its database lives.
    pub fn data(&self) -> &Path {
        self.data.path()
    }
}

impl Drop for Service {
    /// An async test drops its service on a runtime thread, where waiting for another is refused.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
