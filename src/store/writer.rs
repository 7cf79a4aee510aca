//! The one that writes: it takes the queued writes of many requests and commits them together.
//!
//! A write's caller hears of it only after the commit. Knows no table: openings of sessions are
//! grouped by `openings`, everything else is a [`Job`].

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use super::audit;
use super::cache::Caches;
use super::engine::{Connection, Failure};
use super::locks::{Locks, Reach};
use super::openings::{self, Opened, Opening, SURFACES};
use super::stale::Stale;
use crate::error::{Error, Result};

/// A write that is not the opening of a session.
pub(super) trait Job: Send + Sync + 'static {
    /// What the caller hears.
    type Answer: Send + 'static;

    /// Writes inside the running transaction. It may run twice: when the batch around it fails,
    /// its halves are tried again. A refusal must come before the first change.
    fn run(
        &self,
        conn: &mut Connection,
    ) -> impl Future<Output = Result<Self::Answer, Failure>> + Send;

    /// Whose rows it reads and writes.
    fn reach(&self) -> Reach<'_> {
        Reach::Everything
    }

    /// Says what this write made stale in memory; asked before the commit, of one that was not
    /// refused. It is dropped after the commit, before the answer.
    fn forget(&self, stale: &mut Stale);
}

/// How much was written and read since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Committed transactions.
    pub commits: u64,
    /// Writes in them.
    pub writes: u64,
    /// Queries beside them.
    pub reads: u64,
}

/// The writer's end for callers.
#[derive(Clone)]
pub(super) struct Queue {
    sender: mpsc::Sender<Message>,
    counters: Arc<Counters>,
}

/// The most writes in one transaction. On a disk that syncs in milliseconds, this and the number of
/// callers decide how many writes a second there can be.
const BATCH: usize = 256;

/// The longest wait for callers to come back, however slow the database is.
const MOST_GATHERING: Duration = Duration::from_millis(2);

/// How often a batch is tried that others are in the way of.
const MOST_TRIES: u32 = 4;

/// Writes that may wait; the next caller waits for a place.
const WAITING: usize = 1024;

/// How long a caller waits for a place before it is told to come back.
const PATIENCE: Duration = Duration::from_secs(1);

impl Queue {
    /// Starts writing: on a thread of its own where the database runs in this process, as it keeps
    /// whoever asks it waiting. It ends, with everything queued written, on `close` or when the last
    /// queue is dropped.
    ///
    /// # Errors
    /// `Unavailable` when no thread can be started.
    pub(super) fn start(conn: Connection, caches: Arc<Caches>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let counters = Arc::<Counters>::default();
        let (blocks, here) = (conn.blocks(), Handle::current());
        let writing = write_all(conn, receiver, caches, counters.clone());
        if blocks {
            let thread = std::thread::Builder::new().name("store-writer".to_owned());
            let started = thread.spawn(move || here.block_on(writing));
            started.map_err(|cause| Error::Unavailable(format!("no thread can start: {cause}")))?;
        } else {
            here.spawn(writing);
        }
        Ok(Self { sender, counters })
    }

    /// One that takes no write.
    pub(super) fn closed() -> Self {
        let (sender, _) = mpsc::channel(1);
        Self { sender, counters: Arc::default() }
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            commits: self.counters.commits.load(Ordering::Relaxed),
            writes: self.counters.writes.load(Ordering::Relaxed),
            reads: 0,
        }
    }

    /// Sessions whose opening was committed, by surface.
    pub(super) fn opened(&self) -> [(&'static str, u64); 3] {
        let read = |place: usize| self.counters.opened[place].load(Ordering::Relaxed);
        [0, 1, 2].map(|place| (SURFACES[place], read(place)))
    }

    /// Writes that wait.
    pub(super) fn depth(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }

    pub(super) async fn open(&self, opening: Opening) -> Result<Opened> {
        let (answer, heard) = oneshot::channel();
        let queued = QueuedOpening { opening, answer };
        self.send(Message::Opening(Box::new(queued))).await?;
        heard.await.map_err(|_| interrupted())?
    }

    pub(super) async fn run<J: Job>(&self, job: J) -> Result<J::Answer> {
        let (answer, heard) = oneshot::channel();
        let queued = QueuedJob { job, outcome: None, answer };
        self.send(Message::Job(Box::new(queued))).await?;
        heard.await.map_err(|_| interrupted())?
    }

    /// Takes what was overwritten out of the files, behind what is queued; false when that has to
    /// wait, as [`Connection::checkpoint`] says.
    pub(super) async fn checkpoint(&self) -> Result<bool> {
        let (answer, heard) = oneshot::channel();
        self.send(Message::Checkpoint(answer)).await?;
        heard.await.map_err(|_| interrupted())?
    }

    /// Writes what is queued and closes the connection. Later writes are refused.
    pub(super) async fn close(&self) {
        let (closed, heard) = oneshot::channel();
        if self.sender.send(Message::Close(closed)).await.is_ok() {
            // An error means that the task is gone, which is what was asked for.
            let _ = heard.await;
        }
    }

    async fn send(&self, message: Message) -> Result<()> {
        let message = match self.sender.try_send(message) {
            Ok(()) => return Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => return Err(closing()),
            Err(mpsc::error::TrySendError::Full(message)) => message,
        };
        match self.sender.send_timeout(message, PATIENCE).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(closing()),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(Error::Unavailable(format!(
                "{WAITING} writes are waiting for the database; try again"
            ))),
        }
    }
}

#[derive(Default)]
struct Counters {
    commits: AtomicU64,
    writes: AtomicU64,
    /// Openings among them, by the place of their surface.
    opened: [AtomicU64; SURFACES.len()],
}

enum Message {
    Opening(Box<QueuedOpening>),
    Job(Box<dyn AnyJob>),
    Checkpoint(oneshot::Sender<Result<bool>>),
    Close(oneshot::Sender<()>),
}

struct QueuedOpening {
    opening: Opening,
    answer: oneshot::Sender<Result<Opened>>,
}

struct QueuedJob<J: Job> {
    job: J,
    outcome: Option<Result<J::Answer>>,
    answer: oneshot::Sender<Result<J::Answer>>,
}

/// A queued job, whatever it answers.
trait AnyJob: Send {
    fn reach(&self) -> Reach<'_>;
    fn run<'a>(&'a mut self, conn: &'a mut Connection) -> BoxFuture<'a, Result<(), Failure>>;
    fn forget(&self, stale: &mut Stale);
    fn settle(self: Box<Self>);
    fn fail(self: Box<Self>, error: Error);
}

impl<J: Job> AnyJob for QueuedJob<J> {
    fn reach(&self) -> Reach<'_> {
        self.job.reach()
    }

    fn run<'a>(&'a mut self, conn: &'a mut Connection) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            self.outcome = Some(match self.job.run(conn).await {
                Ok(answer) => Ok(answer),
                Err(Failure::Refused(error)) => Err(error),
                Err(failure) => return Err(failure),
            });
            Ok(())
        })
    }

    fn forget(&self, stale: &mut Stale) {
        if matches!(self.outcome, Some(Ok(_))) {
            self.job.forget(stale);
        }
    }

    fn settle(self: Box<Self>) {
        let outcome = self.outcome.unwrap_or_else(|| Err(interrupted()));
        // The caller may have gone; the write stands.
        let _ = self.answer.send(outcome);
    }

    fn fail(self: Box<Self>, error: Error) {
        let _ = self.answer.send(Err(error));
    }
}

/// What a database said of a batch.
enum Heard {
    Something,
    Nothing,
}

/// The writes of one transaction.
#[derive(Default)]
struct Batch {
    openings: Vec<Opening>,
    opening_outcomes: Vec<Result<openings::Continued>>,
    opening_answers: Vec<oneshot::Sender<Result<Opened>>>,
    jobs: Vec<Box<dyn AnyJob>>,
    stale: Stale,
}

async fn write_all(
    mut conn: Connection,
    mut queue: mpsc::Receiver<Message>,
    caches: Arc<Caches>,
    counters: Arc<Counters>,
) {
    let mut messages = Vec::with_capacity(BATCH);
    let (mut closing, mut checkpoints) = (Vec::new(), Vec::new());
    let (gathers, mut expected, mut patience) = (!conn.blocks(), 0, Duration::ZERO);
    while queue.recv_many(&mut messages, BATCH).await > 0 {
        if gathers {
            gather(&mut queue, &mut messages, expected, patience).await;
        }
        let batch = sorted(&mut queue, &mut messages, &mut checkpoints, &mut closing);
        let (start, size) = (Instant::now(), batch.size());
        // A panic loses its batch, whose callers hear of it; the next batch must not suffer.
        let written = AssertUnwindSafe(batch.write(&mut conn, &caches, &counters));
        match written.catch_unwind().await {
            Ok(Heard::Something) => {}
            Ok(Heard::Nothing) => {
                // Those who wait already have waited in vain; who comes from now on may be in time.
                let late = queue.len();
                take_waiting(&mut queue, &mut messages, late);
                sorted(&mut queue, &mut messages, &mut checkpoints, &mut closing).fail(silent);
            }
            Err(_) => {
                tracing::error!("a write panicked; its batch was rolled back");
                conn.recover().await;
            }
        }
        for answer in checkpoints.drain(..) {
            let _ = answer.send(conn.checkpoint().await.map_err(Error::from));
        }
        expected = BATCH.min(size + queue.len());
        // The larger a batch is, the less each of its writes costs.
        patience = MOST_GATHERING.min(start.elapsed() * 3 / 4);
    }
    conn.close().await;
    for closed in closing {
        let _ = closed.send(());
    }
}

/// Takes messages apart: writes into a batch, the rest into its list. Nobody is let in any more
/// behind a `Close`.
fn sorted(
    queue: &mut mpsc::Receiver<Message>,
    messages: &mut Vec<Message>,
    checkpoints: &mut Vec<oneshot::Sender<Result<bool>>>,
    closing: &mut Vec<oneshot::Sender<()>>,
) -> Batch {
    let mut batch = Batch::default();
    for message in messages.drain(..) {
        match message {
            Message::Opening(queued) => {
                batch.openings.push(queued.opening);
                batch.opening_answers.push(queued.answer);
            }
            Message::Job(job) => batch.jobs.push(job),
            Message::Checkpoint(answer) => checkpoints.push(answer),
            Message::Close(closed) => {
                queue.close();
                closing.push(closed);
            }
        }
    }
    batch
}

impl Batch {
    async fn write(self, conn: &mut Connection, caches: &Caches, counters: &Counters) -> Heard {
        if self.size() == 0 {
            return Heard::Something;
        }
        let mut waiting = vec![self];
        while let Some(mut batch) = waiting.pop() {
            match batch.insist(conn, counters).await {
                Ok(()) => batch.settle(caches),
                Err(Failure::Gone(why) | Failure::Again(why)) => {
                    batch.fail(|| Error::Unavailable(why.clone()))
                }
                Err(Failure::Silent(why)) => {
                    batch.fail(|| Error::Unavailable(why.clone()));
                    waiting.into_iter().for_each(|batch| batch.fail(silent));
                    return Heard::Nothing;
                }
                Err(failure) if batch.size() == 1 => {
                    let mut failure = Some(failure);
                    batch.fail(|| failure.take().map_or_else(interrupted, Error::from));
                }
                Err(failure) => {
                    tracing::warn!(?failure, "a batch of writes failed; trying its halves");
                    let (first, second) = batch.halves();
                    waiting.extend([second, first]);
                }
            }
        }
        Heard::Something
    }

    fn size(&self) -> usize {
        self.openings.len() + self.jobs.len()
    }

    /// Tries again when other transactions were in the way, but not for ever.
    async fn insist(&mut self, conn: &mut Connection, counters: &Counters) -> Result<(), Failure> {
        let mut tried = 1;
        loop {
            match self.transact(conn, counters).await {
                Err(Failure::Again(why)) if tried < MOST_TRIES => {
                    tracing::debug!(why, tried, "a batch of writes is tried again");
                    tried += 1;
                }
                done => return done,
            }
        }
    }

    /// What its transaction reaches.
    fn locks(&self) -> Locks {
        let mut locks = Locks::default();
        for opening in &self.openings {
            locks.add(Reach::tenant(opening.tenant()));
        }
        for job in &self.jobs {
            locks.add(job.reach());
        }
        locks
    }

    async fn transact(
        &mut self,
        conn: &mut Connection,
        counters: &Counters,
    ) -> Result<(), Failure> {
        let locks = if conn.is_shared() { self.locks() } else { Locks::default() };
        let done = match conn.begin(locks).await {
            Ok(()) => self.apply(conn).await,
            Err(failure) => Err(failure),
        };
        let done = match done {
            Ok(()) => conn.commit().await,
            Err(failure) => Err(failure),
        };
        if done.is_err() {
            conn.recover().await;
            return done;
        }
        counters.commits.fetch_add(1, Ordering::Relaxed);
        counters.writes.fetch_add(self.size() as u64, Ordering::Relaxed);
        for (opening, outcome) in self.openings.iter().zip(&self.opening_outcomes) {
            let opened = u64::from(outcome.is_ok());
            counters.opened[opening.surface()].fetch_add(opened, Ordering::Relaxed);
        }
        done
    }

    async fn apply(&mut self, conn: &mut Connection) -> Result<(), Failure> {
        self.opening_outcomes = openings::apply(conn, &self.openings).await?;
        for job in &mut self.jobs {
            job.run(conn).await?;
        }
        audit::write(conn).await?;
        self.stale = Stale::default();
        self.jobs.iter().for_each(|job| job.forget(&mut self.stale));
        if conn.is_shared()
            && let Some(text) = self.stale.told()
        {
            conn.tell(&text).await?;
        }
        Ok(())
    }

    fn settle(self, caches: &Caches) {
        self.stale.drop_from(caches);
        let openings = self.openings.into_iter().zip(self.opening_outcomes);
        for ((opening, outcome), answer) in openings.zip(self.opening_answers) {
            let _ = answer.send(outcome.map(|continued| opening.opened(continued)));
        }
        for job in self.jobs {
            job.settle();
        }
    }

    fn fail(self, mut error: impl FnMut() -> Error) {
        for answer in self.opening_answers {
            let _ = answer.send(Err(error()));
        }
        for job in self.jobs {
            job.fail(error());
        }
    }

    /// So that the one write at fault is alone after a few rounds, not after one round each.
    fn halves(mut self) -> (Self, Self) {
        let half = self.size() / 2;
        let openings = self.openings.len().min(half);
        let second = Self {
            opening_answers: self.opening_answers.split_off(openings),
            openings: self.openings.split_off(openings),
            jobs: self.jobs.split_off(half - openings),
            opening_outcomes: Vec::new(),
            stale: Stale::default(),
        };
        (self, second)
    }
}

/// Adds to `messages` until as many as last time are together, `patience` is over, or nobody has come
/// for a third of it. Callers that were just answered come back at once under load; without this
/// wait, half of them would miss the commit that the other half is in. Not for a writer with a
/// thread of its own: while it writes one half, the other cores make the second ready, and on one
/// core as much is gained as lost.
async fn gather(
    queue: &mut mpsc::Receiver<Message>,
    messages: &mut Vec<Message>,
    expected: usize,
    patience: Duration,
) {
    let (start, mut last, mut there) = (Instant::now(), Instant::now(), messages.len());
    while there < expected && start.elapsed() < patience && last.elapsed() < patience / 3 {
        // The runtime's timers are too coarse for this: they count in milliseconds.
        tokio::task::yield_now().await;
        take_waiting(queue, messages, BATCH);
        if messages.len() > there {
            (last, there) = (Instant::now(), messages.len());
        }
    }
}

/// Adds to `messages` what waits, until there are `most`.
fn take_waiting(queue: &mut mpsc::Receiver<Message>, messages: &mut Vec<Message>, most: usize) {
    while messages.len() < most
        && let Ok(message) = queue.try_recv()
    {
        messages.push(message);
    }
}

fn silent() -> Error {
    Error::Unavailable("the database says nothing; the write did not take place".into())
}

fn closing() -> Error {
    Error::Unavailable("the store is closing".into())
}

fn interrupted() -> Error {
    Error::Unavailable("the write was interrupted; whether it took place is unknown".into())
}
