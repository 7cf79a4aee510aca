//! The request log: one JSON object a line, in files of bounded size and number in the data
//! directory, for `vestibule tail`.
//!
//! When the disk is slower than the requests, lines are lost and counted; a request never waits for
//! its line.

mod files;
mod line;
mod reader;

use std::path::Path;

use vestibule_runtime::RequestRecord;

use super::lines::{Lines, Writing};
use crate::config::RequestLogBounds;
use files::Files;
pub use line::Line;
pub use reader::{News, Reader};

/// The end of the log that takes lines. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct RequestLog(Lines);

impl RequestLog {
    /// Opens the log of a data directory and starts its thread, which writes what waits when it is
    /// dropped.
    ///
    /// # Errors
    /// When no file can be opened there, or no thread be started.
    pub fn start(data_dir: &Path, bounds: RequestLogBounds) -> std::io::Result<(Self, Writing)> {
        let mut files = Files::open(data_dir, bounds)?;
        let mut is_failing = false;
        let append = move |lines: &[u8]| {
            let appended = files.append(lines);
            // Once, not for every line while the disk is full.
            if let Err(error) = &appended
                && !is_failing
            {
                tracing::error!(%error, "the request log cannot be written; lines are lost");
            }
            is_failing = appended.is_err();
            appended
        };
        let (lines, writing) = Lines::start("request-log", append)?;
        Ok((Self(lines), writing))
    }

    /// Takes a record; it is lost when too many wait already.
    pub(super) fn take(&self, record: &RequestRecord<'_>, at_ms: i64) {
        self.0.take(&Line::of(record, at_ms).to_json());
    }

    /// Lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.0.lost()
    }
}

#[cfg(test)]
mod tests;
