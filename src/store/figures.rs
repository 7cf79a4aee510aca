//! What the store counts about itself, for whoever watches the service.

use super::Store;

/// Figures since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Sessions whose opening was committed, by surface.
    pub sessions_opened: [(&'static str, u64); 3],
    /// Committed transactions.
    pub commits: u64,
    /// Writes in them.
    pub writes: u64,
    /// Writes that wait now.
    pub queue_depth: usize,
    /// One entry per cache.
    pub caches: Vec<CacheFigures>,
}

/// Figures of one cache since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheFigures {
    /// What it holds.
    pub name: &'static str,
    /// Reads that it answered.
    pub hits: u64,
    /// Reads that went to the database.
    pub misses: u64,
}

impl Store {
    /// What was counted so far.
    pub fn figures(&self) -> Figures {
        let counts = self.counts();
        Figures {
            sessions_opened: self.writer.opened(),
            commits: counts.commits,
            writes: counts.writes,
            queue_depth: self.writer.depth(),
            caches: self.caches.figures(),
        }
    }
}
