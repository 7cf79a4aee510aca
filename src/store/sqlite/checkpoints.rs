//! Moves the log back into the database beside the writer, so that no commit waits for megabytes.
//!
//! The log begins anew when nothing of it is left to move at the moment a transaction begins. Beside
//! a busy writer that moment does not come by itself, so the writer moves the last few pages.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
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
/// answer; more would let the log grow faster than it is moved.
const NICE: i32 = 10;

/// The helper of one writer.
pub(super) struct Checkpoints {
    file: PathBuf,
    commits: u32,
    helper: Option<Helper>,
}

struct Helper {
    wake: SyncSender<()>,
    is_nearly_done: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Checkpoints {
    /// Of the database in `file`. Its thread starts when there may be something to move.
    pub(super) fn of(file: &Path) -> Self {
        Self { file: file.to_owned(), commits: 0, helper: None }
    }

    /// To be told of each commit; whether the writer is to move what is left.
    pub(super) fn committed(&mut self) -> bool {
        self.commits += 1;
        if self.commits >= COMMITS {
            self.commits = 0;
            self.wake();
        }
        let helper = self.helper.as_ref();
        helper.is_some_and(|helper| helper.is_nearly_done.swap(false, Ordering::Relaxed))
    }

    fn wake(&mut self) {
        if self.helper.is_none() {
            self.helper = Helper::start(self.file.clone());
        }
        if let Some(helper) = &self.helper {
            // It is awake where that fails.
            let _ = helper.wake.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        if let Some(Helper { wake, thread, .. }) = self.helper.take() {
            drop(wake);
            let _ = thread.join();
        }
    }
}

impl Helper {
    fn start(file: PathBuf) -> Option<Self> {
        let (wake, woken) = sync_channel(1);
        let is_nearly_done = Arc::<AtomicBool>::default();
        let told = is_nearly_done.clone();
        let thread = std::thread::Builder::new().name("store-log".to_owned());
        match thread.spawn(move || move_all(&file, &woken, &told)) {
            Ok(thread) => Some(Self { wake, is_nearly_done, thread }),
            Err(error) => {
                // The writer's own limit holds then.
                tracing::warn!(%error, "no thread can start to move the log of the database");
                None
            }
        }
    }
}

fn move_all(file: &Path, woken: &Receiver<()>, is_nearly_done: &AtomicBool) {
    // Without it, it is as quick as the others.
    let _ = rustix::process::nice(NICE);
    let mut mover = None;
    while woken.recv().is_ok() {
        let moved = match mover.take().map_or_else(|| Mover::open(file), Ok) {
            Ok(there) => mover.insert(there).move_most(is_nearly_done),
            Err(error) => Err(error),
        };
        if let Err(error) = moved {
            tracing::warn!(?error, "the log of the database cannot be moved into it yet");
        }
    }
}

struct Mover {
    conn: rusqlite::Connection,
    /// Never closed: as long as another connection of this process is open, that would let go of
    /// the locks of all of them (`fcntl`).
    database: ManuallyDrop<File>,
}

impl Mover {
    fn open(file: &Path) -> Result<Self, Failure> {
        let conn = connect(file, WRITING)?;
        let database = File::open(file).map_err(|error| gone(&error))?;
        Ok(Self { conn, database: ManuallyDrop::new(database) })
    }

    /// In rounds: what was committed during one is there for the next.
    fn move_most(&self, is_nearly_done: &AtomicBool) -> Result<(), Failure> {
        let mut left = self.left()?;
        if left < ENOUGH {
            return Ok(());
        }
        loop {
            self.checkpoint("PASSIVE")?;
            // SQLite leaves that to whoever moves the last page, and the writer would wait for all.
            self.database.sync_data().map_err(|error| gone(&error))?;
            let before = std::mem::replace(&mut left, self.left()?);
            if left <= FEW {
                is_nearly_done.store(true, Ordering::Relaxed);
            }
            // No fewer: somebody still reads from the log.
            if left <= FEW || left >= before {
                return Ok(());
            }
        }
    }

    /// Pages of the log that are not in the database yet.
    fn left(&self) -> Result<i64, Failure> {
        let (in_log, moved) = self.checkpoint("NOOP")?;
        Ok(in_log - moved)
    }

    /// Pages of the log, and those of them that are in the database.
    fn checkpoint(&self, how: &str) -> Result<(i64, i64), Failure> {
        let sql = format!("PRAGMA wal_checkpoint({how})");
        self.conn.query_row(&sql, (), |row| Ok((row.get(1)?, row.get(2)?))).map_err(failure)
    }
}

fn gone(error: &std::io::Error) -> Failure {
    Failure::Gone(format!("the file of the database: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::super::Writer;
    use super::*;
    use crate::store::engine::{Sql, Value};

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

    #[test]
    fn the_log_begins_anew_beside_a_busy_writer() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("vestibule.db");
        File::create(&file).expect("a file");
        let mut writer = Writer::of_service(&file).expect("opens");
        let table: Vec<Value> = Vec::new();
        writer.execute(Sql::Text("CREATE TABLE ballast (bytes BLOB)"), &table).expect("makes it");
        for _ in 0..=ENOUGH / 50 {
            write(&mut writer, 50);
        }
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
        }
        // Not by the limit that the writer keeps to itself.
        assert!(longest < 24_000, "{longest}");
        let whole = writer.fetch(Sql::Text("PRAGMA integrity_check"), &[]).expect("answers");
        assert_eq!(whole.into_iter().next().expect("a row").text(0).expect("text"), "ok");
    }
}
