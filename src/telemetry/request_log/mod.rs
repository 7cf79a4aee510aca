//! The request log: one JSON object a line, in files of bounded size and number in the data
//! directory, for `vestibule tail`.
//!
//! Lines are written by a thread of their own. When the disk is slower than the requests, lines are
//! lost and counted; a request never waits for its line.

mod files;
mod line;
mod reader;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use vestibule_runtime::RequestRecord;

use crate::config::RequestLogBounds;
use files::Files;
pub use line::Line;
pub use reader::{News, Reader};

/// Lines that may wait, about half a kilobyte each.
const WAITING: usize = 4096;
/// Bytes that one write should have at most.
const WRITE: usize = 64 << 10;

/// The end of the log that takes lines. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct RequestLog {
    sender: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// The thread that writes.
#[derive(Debug)]
pub struct Writer {
    sender: SyncSender<Message>,
    thread: JoinHandle<()>,
}

enum Message {
    Line(Vec<u8>),
    End,
}

impl RequestLog {
    /// Opens the log of a data directory and starts its thread.
    ///
    /// # Errors
    /// When no file can be opened there, or no thread be started.
    pub fn start(data_dir: &Path, bounds: RequestLogBounds) -> std::io::Result<(Self, Writer)> {
        let files = Files::open(data_dir, bounds)?;
        let (sender, receiver) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let counted = Arc::clone(&lost);
        let thread = std::thread::Builder::new().name("request-log".to_owned());
        let thread = thread.spawn(move || write_all(files, &receiver, &counted))?;
        Ok((Self { sender: sender.clone(), lost }, Writer { sender, thread }))
    }

    /// Takes a record; it is lost when too many wait already.
    pub(super) fn take(&self, record: &RequestRecord<'_>, at_ms: i64) {
        let line = Line::of(record, at_ms).to_json();
        if self.sender.try_send(Message::Line(line)).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines lost since the start.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Writer {
    /// Writes what waits, then ends the thread.
    pub fn close(self) {
        // Either fails only when the thread is gone already.
        let _ = self.sender.send(Message::End);
        let _ = self.thread.join();
    }
}

fn write_all(mut files: Files, waiting: &Receiver<Message>, lost: &AtomicU64) {
    let mut text = Vec::with_capacity(WRITE);
    let mut is_over = false;
    let mut is_failing = false;
    while !is_over {
        let Ok(first) = waiting.recv() else { return };
        let mut next = Some(first);
        let mut lines = 0;
        while let Some(message) = next.take() {
            match message {
                Message::Line(line) => text.extend_from_slice(&line),
                Message::End => is_over = true,
            }
            lines += u64::from(!is_over);
            if text.len() < WRITE && !is_over {
                next = waiting.try_recv().ok();
            }
        }
        match files.append(&text) {
            Ok(()) => is_failing = false,
            Err(error) => {
                lost.fetch_add(lines, Ordering::Relaxed);
                // Once, not for every line while the disk is full.
                if !is_failing {
                    tracing::error!(%error, "the request log cannot be written; lines are lost");
                }
                is_failing = true;
            }
        }
        text.clear();
    }
}

#[cfg(test)]
mod tests;
