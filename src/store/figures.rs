//! What the store counts about itself, for whoever watches the service.

use std::sync::atomic::{AtomicU64, Ordering};

use super::Store;
use crate::domain::ceiling::Ceiling;
use crate::domain::usage::Window;
use crate::error::Error;

/// Figures since the start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Sessions whose opening was committed, by surface.
    pub sessions_opened: [(&'static str, u64); 3],
    /// Messages and openings that an exact limit refused, by limit.
    pub limits_exceeded: [(&'static str, u64); 6],
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
            limits_exceeded: self.exceeded.counts(),
            commits: counts.commits,
            writes: counts.writes,
            queue_depth: self.writer.depth(),
            caches: self.caches.figures(),
        }
    }
}

/// What exact limits have refused, in the order of [`Exceeded::NAMES`].
#[derive(Default)]
pub(super) struct Exceeded([AtomicU64; 6]);

impl Exceeded {
    const NAMES: [&'static str; 6] = {
        let [hourly, daily, weekly, monthly] = Window::ALL;
        let [a_day, alive] = Ceiling::NAMES;
        [hourly.name(), daily.name(), weekly.name(), monthly.name(), a_day, alive]
    };

    /// Counts every limit that an outcome names.
    pub(super) fn note(&self, error: &Error) {
        let Error::LimitExceeded { exceeded, .. } = error else { return };
        for limit in exceeded {
            for (name, count) in Self::NAMES.iter().zip(&self.0) {
                count.fetch_add(u64::from(*name == limit.standing.policy), Ordering::Relaxed);
            }
        }
    }

    fn counts(&self) -> [(&'static str, u64); 6] {
        let mut counts = Self::NAMES.map(|name| (name, 0));
        for ((_, told), count) in counts.iter_mut().zip(&self.0) {
            *told = count.load(Ordering::Relaxed);
        }
        counts
    }
}
