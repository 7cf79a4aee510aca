//! Hears of what other instances changed, and drops it from memory at once.
//!
//! What it does not hear is a second old at most, whatever happens to it: nobody waits for it, and
//! nothing is refused without it. One connection of its own, made again when it is lost.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use tokio::task::AbortHandle;

use super::super::cache::Caches;
use super::super::stale::Stale;
use super::{ACQUIRE, CHANNEL};

/// How long after it is lost another connection is made.
const AGAIN: Duration = Duration::from_millis(500);

/// A listener at work. It ends with this.
pub(in crate::store) struct Listener(AbortHandle);

impl Listener {
    /// Listens from now on.
    pub(super) fn start(options: PgConnectOptions, caches: Arc<Caches>) -> Self {
        Self(tokio::spawn(listen(options, caches)).abort_handle())
    }

    /// Hears no more.
    pub(in crate::store) fn stop(&self) {
        self.0.abort();
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn listen(options: PgConnectOptions, caches: Arc<Caches>) {
    loop {
        match hear(options.clone(), &caches).await {
            Ok(()) => tracing::info!("the connection that hears of other instances was lost"),
            Err(error) => tracing::debug!(%error, "other instances cannot be heard now"),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Drops what is told until the connection is lost.
async fn hear(options: PgConnectOptions, caches: &Caches) -> Result<(), sqlx::Error> {
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(ACQUIRE);
    let pool = pool.idle_timeout(None).max_lifetime(None).connect_lazy_with(options);
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.eager_reconnect(false);
    listener.listen(CHANNEL).await?;
    // What was told before, nobody heard.
    caches.drop_everything();
    while let Some(told) = listener.try_recv().await? {
        Stale::heard(told.payload()).drop_from(caches);
    }
    Ok(())
}
