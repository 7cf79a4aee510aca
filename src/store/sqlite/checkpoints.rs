//! Moves the log back into the database beside the writer, so that no commit waits for megabytes.
//!
//! The log begins anew when nothing of it is left to move, and nobody reads from it, at the moment a
//! transaction begins. Beside a busy writer that moment does not come by itself, so the writer moves
//! the last few pages.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use super::WRITING;
use super::writer::{connect, failure};
use crate::store::engine::Failure;

/// Commits between two looks at the log.
const COMMITS: u32 = 16;

/// Pages of the log that are worth moving: 32 MiB. Hot pages are moved once instead of eight times.
const ENOUGH: i64 = 8000;

/// Pages that the writer moves itself: more than what is committed during a short round.
const FEW: i64 = 400;

/// The helper's thread is nicer than others, lest it take the processor from those who wait for an
/// answer; more would let the log grow faster than it is moved. Elsewhere that goes for a process.
#[cfg(target_os = "linux")]
const NICE: i32 = 10;

/// The helper of one writer.
pub(super) struct Checkpoints {
    file: PathBuf,
    commits: u32,
    shared: Arc<Shared>,
    helper: Option<Helper>,
}

/// What a writer and its helper have in common.
#[derive(Default)]
pub(super) struct Shared {
    /// Held by whoever moves pages: SQLite does not wait for another checkpoint.
    moving: Mutex<()>,
    is_nearly_done: AtomicBool,
}

struct Helper {
    wake: SyncSender<()>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Of the database in `file`. Its thread starts when there may be something to move.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), commits: 0, shared: Arc::default(), helper: None }
    }

    /// To be told of each commit of the writer's connection, which moves the last pages.
    pub(super) fn committed(&mut self, conn: &rusqlite::Connection) {
        self.commits += 1;
        if self.commits >= COMMITS {
            self.commits = 0;
            self.wake();
        }
        if self.shared.is_nearly_done.swap(false, Ordering::Relaxed)
            && let Err(error) = checkpoint(conn, "PASSIVE")
        {
            // The commit stands, and the next round begins soon.
            tracing::warn!(?error, "the end of the database's log cannot be moved into it yet");
        }
    }

    /// What it shares with its thread.
    pub(super) fn shared(&self) -> Arc<Shared> {
        Arc::clone(&self.shared)
    }

    fn wake(&mut self) {
        if self.helper.is_none() {
            self.helper = Helper::start(self.file.clone(), self.shared.clone());
        }
        let woken = self.helper.as_ref().map(|helper| helper.wake.try_send(()));
        // Where it is full, the helper is awake and looks once more.
        if let Some(Err(TrySendError::Disconnected(()))) = woken {
            self.helper = None;
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(Helper { wake, thread }) = self.helper.take() {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// Until it is dropped, nothing is moved but by the caller.
    pub(super) fn alone(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Helper {
    fn start(file: PathBuf, shared: Arc<Shared>) -> Option<Self> {
        let (wake, woken) = sync_channel(1);
        let thread = std::thread::Builder::new().name("store-log".to_owned());
        match thread.spawn(move || move_all(&file, &woken, &shared)) {
            Ok(thread) => Some(Self { wake, thread }),
            Err(error) => {
                // Until one can, the writer's own limit holds.
                tracing::debug!(%error, "no thread can start to move the log of the database");
                None
            }
        }
    }
}

fn move_all(file: &Path, woken: &Receiver<()>, shared: &Shared) {
    // Without it, the thread is as quick as the others.
    #[cfg(target_os = "linux")]
    let _ = rustix::process::nice(NICE);
    let (mut mover, mut is_failing) = (None, false);
    while woken.recv().is_ok() {
        let moved = match mover.take().map_or_else(|| Mover::open(file), Ok) {
            Ok(there) => mover.insert(there).move_most(shared),
            Err(error) => Err(error),
        };
        // Once, as it is tried again after a few commits.
        if let (Err(error), false) = (&moved, is_failing) {
            tracing::warn!(?error, "the log of the database cannot be moved into it yet");
        }
        is_failing = moved.is_err();
    }
}

struct Mover {
    conn: rusqlite::Connection,
    file: PathBuf,
    /// Open from the first move on, and never closed: as long as another connection of this process
    /// is open, that would let go of the locks of all of them (`fcntl`).
    database: Option<ManuallyDrop<File>>,
}

impl Mover {
    fn open(file: &Path) -> Result<Self, Failure> {
        Ok(Self { conn: connect(file, WRITING)?, file: file.to_owned(), database: None })
    }

    /// In rounds: what was committed during one is there for the next.
    fn move_most(&mut self, shared: &Shared) -> Result<(), Failure> {
        let Some(mut left) = self.left()?.filter(|left| *left >= ENOUGH) else { return Ok(()) };
        loop {
            let alone = shared.alone();
            checkpoint(&self.conn, "PASSIVE")?;
            drop(alone);
            self.sync()?;
            let Some(now) = self.left()? else { return Ok(()) };
            if now <= FEW {
                shared.is_nearly_done.store(true, Ordering::Relaxed);
                return Ok(());
            }
            // Somebody reads from the log, or the writer is faster.
            if now >= left {
                return Ok(());
            }
            left = now;
        }
    }

    /// SQLite leaves that to whoever moves the last page, and the writer would wait for all of them.
    fn sync(&mut self) -> Result<(), Failure> {
        let gone = |error| Failure::Gone(format!("the file of the database: {error}"));
        if self.database.is_none() {
            self.database = Some(ManuallyDrop::new(File::open(&self.file).map_err(gone)?));
        }
        self.database.as_ref().map_or(Ok(()), |file| file.sync_data().map_err(gone))
    }

    /// Pages of the log that are not in the database yet.
    fn left(&self) -> Result<Option<i64>, Failure> {
        Ok(checkpoint(&self.conn, "NOOP")?.map(|(in_log, moved)| in_log - moved))
    }
}

/// Pages of the log, and those of them that are in the database; `None` when the log could not be
/// looked at, because another connection was at its head.
fn checkpoint(conn: &rusqlite::Connection, how: &str) -> Result<Option<(i64, i64)>, Failure> {
    let sql = format!("PRAGMA wal_checkpoint({how})");
    let counts = conn.query_row(&sql, (), |row| Ok((row.get(1)?, row.get(2)?)));
    let (in_log, moved) = counts.map_err(failure)?;
    Ok((in_log >= 0).then_some((in_log, moved)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Writer;
    use super::*;
    use crate::store::engine::Sql;

    /// Far more than it takes.
    const PATIENCE: Duration = Duration::from_secs(120);

    fn write(writer: &mut Writer, pages: usize) {
        let bytes = vec![7_u8; pages * 4096];
        writer.begin().expect("begins");
        let sql = Sql::Text("INSERT INTO ballast (bytes) VALUES ($1)");
        writer.execute(sql, &[bytes.as_slice().into()]).expect("writes");
        writer.commit().expect("commits");
    }

    fn in_log(writer: &mut Writer) -> i64 {
        let sql = Sql::Text("PRAGMA wal_checkpoint(NOOP)");
        writer.fetch(sql, &[]).expect("answers")[0].int(1).expect("a count")
    }

    fn furnished(dir: &Path) -> Writer {
        let file = dir.join("vestibule.db");
        File::create(&file).expect("a file");
        let mut writer = Writer::of_service(&file).expect("opens");
        writer.execute(Sql::Text("CREATE TABLE ballast (bytes BLOB)"), &[]).expect("makes it");
        writer
    }

    #[test]
    fn the_log_begins_anew_beside_a_busy_writer() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = furnished(dir.path());
        // One commit, so that the helper sleeps until the next ones.
        write(&mut writer, ENOUGH as usize + 100);
        let (started, mut longest) = (Instant::now(), in_log(&mut writer));
        assert!(longest >= ENOUGH, "{longest}");
        loop {
            write(&mut writer, 1);
            let now = in_log(&mut writer);
            if now < longest {
                break;
            }
            longest = now;
            assert!(started.elapsed() < PATIENCE, "{longest} pages, and none was moved");
            std::thread::sleep(Duration::from_millis(1));
        }
        // Not by the limit that the writer keeps to itself.
        assert!(longest < 24_000, "{longest}");
        let whole = writer.fetch(Sql::Text("PRAGMA integrity_check"), &[]).expect("answers");
        assert_eq!(whole.into_iter().next().expect("a row").text(0).expect("text"), "ok");
    }

    #[test]
    fn the_log_can_be_emptied_while_it_is_moved() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut writer = furnished(dir.path());
        for _ in 0..4 {
            write(&mut writer, 2 * ENOUGH as usize);
            for _ in 0..COMMITS {
                write(&mut writer, 1);
            }
            // The helper was woken a moment ago.
            std::thread::sleep(Duration::from_millis(2));
            assert!(writer.checkpoint().expect("answers"), "what was erased is still in the log");
            assert_eq!(in_log(&mut writer), 0);
        }
    }
}
