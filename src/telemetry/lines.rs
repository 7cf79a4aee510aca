//! Lines that many threads hand over and one thread writes: nobody waits for a disk, a terminal or
//! a pipe. What has no room is lost and counted.
//!
//! The writer rests before each write. A thread that is woken for every line costs a busy service
//! more than all the rest of the line.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// How long lines gather before they are written.
const REST: Duration = Duration::from_millis(20);
/// Bytes that may wait: a tenth of a second of more requests than one core answers.
const MOST: usize = 4 << 20;
/// Bytes that one write should have at most.
const WRITE: usize = 64 << 10;

/// The end that takes lines. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub(super) struct Lines(Arc<Shared>);

/// The thread that writes. Dropping it writes what waits.
#[derive(Debug)]
pub struct Writing {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when the first line waits, and at the end.
    arrived: Condvar,
    lost: AtomicU64,
}

#[derive(Debug, Default)]
struct Waiting {
    text: Vec<u8>,
    is_over: bool,
}

impl Lines {
    /// Starts a thread that hands whole lines to `write`.
    ///
    /// # Errors
    /// When no thread can be started.
    pub(super) fn start(
        name: &str,
        write: impl FnMut(&[u8]) -> io::Result<()> + Send + 'static,
    ) -> io::Result<(Self, Writing)> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name(name.to_owned());
        let thread = thread.spawn(move || theirs.write_all(write))?;
        Ok((Self(Arc::clone(&shared)), Writing { shared, thread: Some(thread) }))
    }

    /// Takes whole lines; they are lost when too many wait already.
    pub(super) fn take(&self, lines: &[u8]) {
        self.0.take(lines);
    }

    /// Lines lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.shared.lock().is_over = true;
        self.shared.arrived.notify_all();
        if let Some(thread) = self.thread.take() {
            // An error means that it panicked, which was told of then.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // A panic in between leaves whole lines and nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, lines: &[u8]) {
        let mut waiting = self.lock();
        if waiting.text.len() + lines.len() > MOST {
            drop(waiting);
            return self.lose(lines);
        }
        let is_first = waiting.text.is_empty();
        waiting.text.extend_from_slice(lines);
        drop(waiting);
        if is_first {
            self.arrived.notify_one();
        }
    }

    fn lose(&self, lines: &[u8]) {
        let lost = lines.iter().filter(|byte| **byte == b'\n').count();
        self.lost.fetch_add(lost as u64, Ordering::Relaxed);
    }

    fn write_all(&self, mut write: impl FnMut(&[u8]) -> io::Result<()>) {
        let mut text = Vec::new();
        loop {
            let is_over = self.gather(&mut text);
            for lines in in_writes(&text) {
                if write(lines).is_err() {
                    self.lose(lines);
                }
            }
            text.clear();
            if is_over {
                return;
            }
        }
    }

    /// Waits for lines and gives all there are; whether they are the last ones.
    fn gather(&self, text: &mut Vec<u8>) -> bool {
        let none = |waiting: &mut Waiting| waiting.text.is_empty() && !waiting.is_over;
        let waiting = self.arrived.wait_while(self.lock(), none);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let rested = self.arrived.wait_timeout_while(waiting, REST, |waiting| !waiting.is_over);
        let (mut waiting, _) = rested.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(text, &mut waiting.text);
        waiting.is_over
    }
}

/// Whole lines, at most [`WRITE`] bytes at once where no line is longer.
fn in_writes(mut text: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let whole = text.get(..WRITE).map(|head| head.iter().rposition(|byte| *byte == b'\n'));
        let end = match whole {
            None => text.len(),
            Some(Some(last)) => last + 1,
            Some(None) => {
                text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |at| at + 1)
            }
        };
        let (lines, rest) = text.split_at(end);
        text = rest;
        (!lines.is_empty()).then_some(lines)
    })
}

/// An event of `tracing` is one write.
impl io::Write for &Lines {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        self.take(event);
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = &'a Self;

    fn make_writer(&'a self) -> Self::Writer {
        self
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use proptest::prelude::*;

    use super::*;

    /// What a writer was given, piece by piece.
    fn written(give: impl FnOnce(&Lines)) -> Vec<Vec<u8>> {
        let (sender, pieces) = mpsc::channel();
        let write = move |lines: &[u8]| {
            sender.send(lines.to_vec()).expect("the test waits");
            Ok(())
        };
        let (lines, writing) = Lines::start("lines", write).expect("a thread");
        give(&lines);
        drop(writing);
        pieces.try_iter().collect()
    }

    #[test]
    fn what_many_threads_hand_over_is_written_whole_and_in_the_order_of_each() {
        let pieces = written(|lines| {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        (0..500).for_each(|at| lines.take(format!("{thread} {at}\n").as_bytes()));
                    });
                }
            });
        });
        let text = String::from_utf8(pieces.concat()).expect("text");
        for thread in 0..4 {
            let prefix = format!("{thread} ");
            let of_thread = text.lines().filter_map(|line| line.strip_prefix(&prefix));
            let numbers: Vec<usize> = of_thread.filter_map(|number| number.parse().ok()).collect();
            assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lines_beyond_what_may_wait_are_lost_and_counted() {
        let shared = Shared::default();
        let half = [vec![b'a'; MOST / 2 - 1], vec![b'\n']].concat();
        for _ in 0..5 {
            shared.take(&half);
        }
        assert_eq!((shared.lock().text.len(), shared.lost.load(Ordering::Relaxed)), (MOST, 3));
    }

    #[test]
    fn lines_that_cannot_be_written_are_counted_as_lost() {
        let full = |_: &[u8]| Err(io::Error::from(io::ErrorKind::StorageFull));
        let (lines, writing) = Lines::start("lines", full).expect("a thread");
        (0..3).for_each(|_| lines.take(b"a\n"));
        drop(writing);
        assert_eq!(lines.lost(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Writes are whole lines, no longer than they should be unless one line is, and together
        /// all there was.
        #[test]
        fn a_text_is_cut_between_lines(lengths in prop::collection::vec(0..2 * WRITE, 0..8)) {
            let text: Vec<u8> = lengths
                .iter()
                .flat_map(|length| [vec![b'a'; *length], vec![b'\n']].concat())
                .collect();
            let pieces: Vec<&[u8]> = in_writes(&text).collect();
            prop_assert_eq!(&pieces.concat(), &text);
            for piece in pieces {
                let lines = piece.iter().filter(|byte| **byte == b'\n').count();
                prop_assert!(piece.ends_with(b"\n") && (piece.len() <= WRITE || lines == 1));
            }
        }
    }
}
