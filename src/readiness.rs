//! Whether the store answers, asked once for all who want to know at about the same time: anybody may
//! ask, without a limit, and each asking is a transaction.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;

use crate::store::{Ready, Store};

/// For how long an answer holds.
const HOLDS: Duration = Duration::from_millis(250);

/// The last answer, and when it was given. Held while the store is asked.
#[derive(Default)]
pub struct Readiness(Mutex<Option<(Instant, Arc<Ready>)>>);

impl Readiness {
    /// Whether each part of the store answers now, or did a moment ago.
    pub async fn of(&self, store: &Store) -> Arc<Ready> {
        let mut last = self.0.lock().await;
        if let Some((at, ready)) = &*last
            && at.elapsed() < HOLDS
        {
            return Arc::clone(ready);
        }
        let ready = Arc::new(store.ready().await);
        *last = Some((Instant::now(), Arc::clone(&ready)));
        ready
    }
}
