//! The mark beside the database: how far the database of a data directory was seen to be.
//!
//! A database moves forward while a service runs on it, and the mark follows. One that is behind its
//! mark was put back by hand, without a fence. A directory that is put back whole has an old mark
//! too, which nobody can notice.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{Copied, Store};
use crate::error::{Error, Result};

/// Why a database must not be worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Displaced {
    /// It is a copy, or its restoring was interrupted.
    #[error("this database is a copy that was not restored")]
    Copy(Copied),
    /// This data directory has seen it newer.
    #[error("this database is older than the one this data directory had")]
    Behind,
}

impl Store {
    /// Why this must not be worked on in `data_dir`; `None` when it may be.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer or the mark cannot be read.
    pub async fn displaced(&self, data_dir: &Path) -> Result<Option<Displaced>> {
        if let Some(copied) = self.copied().await? {
            return Ok(Some(Displaced::Copy(copied)));
        }
        let mark = read(data_dir)?;
        let epoch = self.epoch().await?;
        // One that no service ever ran on was made just now.
        Ok((epoch > 0 && epoch < mark).then_some(Displaced::Behind))
    }

    /// Moves the database beyond the mark of `data_dir`: it takes the place of the one that was
    /// there.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer or the mark cannot be read.
    pub async fn pass_mark(&self, data_dir: &Path) -> Result<()> {
        self.advance_epoch(read(data_dir)?).await.map(drop)
    }

    /// Moves the database forward, and the mark of `data_dir` behind it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer or the mark cannot be written.
    pub async fn move_mark(&self, data_dir: &Path) -> Result<()> {
        let epoch = self.advance_epoch(0).await?;
        let data_dir = data_dir.to_owned();
        let written = tokio::task::spawn_blocking(move || write(&data_dir, epoch));
        written
            .await
            .map_err(|error| Error::Internal(format!("a mark was not written: {error}")))?
    }
}

fn place(data_dir: &Path) -> PathBuf {
    data_dir.join(".mark")
}

/// 0 where there is none.
fn read(data_dir: &Path) -> Result<i64> {
    let place = place(data_dir);
    let text = match std::fs::read_to_string(&place) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(unusable(&place, &error)),
    };
    text.trim().parse().map_err(|_| {
        let place = place.display();
        Error::Unavailable(format!("{place} is no number; put it right with `vestibule restore`"))
    })
}

fn write(data_dir: &Path, epoch: i64) -> Result<()> {
    let place = place(data_dir);
    let unusable = |error: std::io::Error| unusable(&place, &error);
    std::fs::create_dir_all(data_dir).map_err(unusable)?;
    let mut fresh = tempfile::NamedTempFile::new_in(data_dir).map_err(unusable)?;
    writeln!(fresh, "{epoch}").map_err(unusable)?;
    fresh.as_file().sync_all().map_err(unusable)?;
    fresh.persist(&place).map_err(|error| unusable(error.error))?;
    Ok(())
}

fn unusable(place: &Path, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("{} cannot be used: {error}", place.display()))
}
