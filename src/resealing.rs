//! Sealing anew what older master keys sealed, in the background and in slices.
//!
//! Its place is remembered in the database: whoever starts next goes on there, and of several
//! instances each slice is one's. Knows no SQL and no HTTP.

use std::time::Duration;

use crate::context::{Clock, Ids};
use crate::domain::sealing::{MasterKeys, Sealed};
use crate::error::Result;
use crate::store::{Resealing, Store};

/// Between two slices, so that requests' writes come first.
const PAUSE: Duration = Duration::from_millis(20);

/// What sealing anew takes.
#[derive(Clone, Copy)]
pub struct Resealer<'a> {
    /// Where the values lie.
    pub store: &'a Store,
    /// The first of them seals.
    pub keys: &'a MasterKeys,
    /// Tells since when.
    pub clock: &'a Clock,
    /// Draws nonces.
    pub ids: &'a Ids,
}

/// How many values each master key seals.
#[derive(Debug, Default)]
pub struct Census {
    /// In the order of the keys.
    pub by_key: Vec<u64>,
    /// Of values that none of the keys opens.
    pub unknown: u64,
}

impl Resealer<'_> {
    /// Seals everything anew by the first key, from where the last run stopped. Ends at once when
    /// nothing is left, and when an instance with another first key began after us.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer; `Internal` when a value does not open.
    pub async fn run(self) -> Result<()> {
        let key = self.keys.fingerprints().swap_remove(0);
        let mut seen = self.store.resealing().await?;
        if seen.as_ref().is_none_or(|progress| progress.key != key) {
            let begun = Resealing::begin(key.clone(), self.clock.now_ms());
            self.store.begin_resealing(seen.as_ref(), &begun).await?;
            seen = self.store.resealing().await?;
        }
        while let Some(progress) = seen.filter(|progress| progress.key == key && !progress.is_done)
        {
            self.step(&progress).await?;
            tokio::time::sleep(PAUSE).await;
            seen = self.store.resealing().await?;
        }
        Ok(())
    }

    /// One slice; when another instance was faster, nothing.
    async fn step(self, progress: &Resealing) -> Result<()> {
        let slice = self.store.sealed_values(progress).await?;
        let next = progress.clone();
        let mut values = Vec::new();
        for value in &slice {
            values.push(self.keys.reseal(value.place(), self.ids.bytes(), &value.sealed)?);
        }
        let resealed = values.iter().flatten().count() as u64;
        let next = next.behind(&slice, resealed);
        let check = if next.is_done { self.key_check().await? } else { None };
        let changed = slice.into_iter().zip(values);
        let changed = changed.filter_map(|(value, sealed)| Some((value, sealed?))).collect();
        let is_ours = self.store.put_sealed(changed, progress, &next, check).await?;
        let Resealing { key, resealed, .. } = &next;
        if is_ours && next.is_done {
            tracing::info!(key, resealed, "everything is sealed by the first master key");
        } else if is_ours && *resealed > progress.resealed {
            tracing::info!(key, resealed, "sealing anew by the first master key");
        }
        Ok(())
    }

    async fn key_check(self) -> Result<Option<Sealed>> {
        let Some(check) = self.store.key_check().await? else { return Ok(None) };
        self.keys.reseal_key_check(self.ids.bytes(), &check)
    }

    /// Opens everything that is sealed and counts by whom.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn census(self) -> Result<Census> {
        let keys = self.keys.fingerprints().len();
        let mut census = Census { by_key: vec![0; keys], unknown: 0 };
        let mut place = Resealing::begin(String::new(), 0);
        while !place.is_done {
            let slice = self.store.sealed_values(&place).await?;
            for value in &slice {
                census.count(self.keys.sealer(value.place(), &value.sealed));
            }
            place = place.behind(&slice, 0);
        }
        if let Some(check) = self.store.key_check().await? {
            census.count(self.keys.key_check_sealer(&check));
        }
        Ok(census)
    }
}

impl Census {
    fn count(&mut self, sealer: Option<usize>) {
        match sealer.and_then(|at| self.by_key.get_mut(at)) {
            Some(count) => *count += 1,
            None => self.unknown += 1,
        }
    }
}

#[cfg(test)]
mod tests;
