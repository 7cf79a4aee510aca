//! The files of the request log: `requests.jsonl` grows to its bound, then becomes
//! `requests.1.jsonl`, and so on; the last one goes. Only their owner can read them.
//!
//! Several services may share a data directory: each line is one write at the file's end, and who
//! finds the file moved away by another goes on with the new one.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::config::RequestLogBounds;

/// The file that grows.
#[derive(Debug)]
pub(super) struct Files {
    data_dir: PathBuf,
    bounds: RequestLogBounds,
    file: File,
}

/// The path of the newest file, or of the one that was so many files ago.
pub(super) fn path(data_dir: &Path, ago: u32) -> PathBuf {
    match ago {
        0 => data_dir.join("requests.jsonl"),
        ago => data_dir.join(format!("requests.{ago}.jsonl")),
    }
}

impl Files {
    pub(super) fn open(data_dir: &Path, bounds: RequestLogBounds) -> io::Result<Self> {
        let file = open(data_dir)?;
        Ok(Self { data_dir: data_dir.to_owned(), bounds, file })
    }

    /// Adds whole lines.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let ours = self.file.metadata()?;
        let is_there = path(&self.data_dir, 0).metadata().is_ok_and(|it| it.ino() == ours.ino());
        if is_there && ours.len() >= self.bounds.max_bytes {
            self.rotate()?;
        }
        if !is_there || ours.len() >= self.bounds.max_bytes {
            self.file = open(&self.data_dir)?;
        }
        self.file.write_all(lines)
    }

    /// Moves every file one further back; the last one is overwritten, or removed.
    fn rotate(&self) -> io::Result<()> {
        for ago in (1..self.bounds.files).rev() {
            moved(&path(&self.data_dir, ago - 1), &path(&self.data_dir, ago))?;
        }
        if self.bounds.files <= 1 {
            std::fs::remove_file(path(&self.data_dir, 0))?;
        }
        Ok(())
    }
}

fn open(data_dir: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path(data_dir, 0))
}

/// A file that is not there yet needs no moving.
fn moved(from: &Path, to: &Path) -> io::Result<()> {
    match std::fs::rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
