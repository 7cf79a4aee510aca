//! Carries the bytes of one connection to the service and back, and ends it when its peer keeps
//! everybody waiting. Follows where requests begin and answers begin; what they say passes by.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

use super::Patience;
use super::head::{Head, Progress};

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Both sides were done with it.
    Done,
    /// One side went away in the middle.
    Broken,
    /// Nothing came at first.
    Silent,
    /// A request's head did not arrive in time.
    SlowHead,
    /// A request's head is longer than heads may be.
    LongHead,
    /// It is no HTTP/1.1.
    Foreign,
    /// Nothing moved for too long.
    Stalled,
}

/// Bytes read at once. One buffer for all connections of a thread: one that waits holds none.
const CHUNK: usize = 16 * 1024;
/// Reads in one go, before other connections have their turn.
const TURNS: usize = 16;
/// After the service has ended its side, what its client may still send, and for how long: a
/// connection that is closed upon unread bytes takes the last answer with it.
const LINGER: Duration = Duration::from_secs(2);
const LINGER_BYTES: usize = 4 * 1024 * 1024;
/// After so long without a byte an answer is over: a connection that is too old may go.
const QUIET: Duration = Duration::from_secs(1);
/// What the service says before it reads a body that its client holds back.
const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; CHUNK].into());
}

/// The first head of a connection, perhaps with what came after it.
///
/// # Errors
/// Why there is none.
pub(super) async fn first_head(
    client: &mut (impl AsyncRead + Unpin),
    patience: &Patience,
) -> Result<Vec<u8>, End> {
    let mut bytes = Vec::new();
    let first = tokio::time::timeout(patience.first_byte, read_some(client, &mut bytes)).await;
    first.unwrap_or(Err(End::Silent))?;
    let until = Instant::now() + patience.head;
    let mut head = Head::default();
    let mut seen = 0;
    loop {
        let progress = head.take(&bytes[seen..], patience.head_bytes);
        seen = bytes.len();
        if is_complete(progress)? {
            return Ok(bytes);
        }
        let more = tokio::time::timeout_at(until, read_some(client, &mut bytes)).await;
        more.unwrap_or(Err(End::SlowHead))?;
    }
}

fn is_complete(progress: Progress) -> Result<bool, End> {
    match progress {
        Progress::Open => Ok(false),
        Progress::Complete => Ok(true),
        Progress::TooLong => Err(End::LongHead),
        Progress::Foreign => Err(End::Foreign),
    }
}

async fn read_some(client: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> Result<(), End> {
    let before = bytes.len();
    let read =
        poll_fn(|cx| poll_chunk(cx, client, |_, chunk| bytes.extend_from_slice(chunk))).await;
    read.map_err(|_| End::Broken)?;
    if bytes.len() == before { Err(End::Done) } else { Ok(()) }
}

/// Reads once into the buffer of this thread; what `take` makes of it. It is empty at the end.
fn poll_chunk<R: AsyncRead + Unpin, T>(
    cx: &mut Context<'_>,
    from: &mut R,
    take: impl FnOnce(&mut Context<'_>, &[u8]) -> T,
) -> Poll<io::Result<T>> {
    BUFFER.with_borrow_mut(|buffer| {
        let mut buffer = ReadBuf::new(buffer);
        Pin::new(from).poll_read(cx, &mut buffer).map_ok(|()| take(cx, buffer.filled()))
    })
}

/// Carries everything after `head`, which has been read already, until one side is done or `ends`
/// has come.
pub(super) async fn carry<C: AsyncRead + AsyncWrite + Unpin>(
    client: &mut C,
    service: TcpStream,
    head: Vec<u8>,
    patience: &Patience,
    ends: Instant,
) -> End {
    let now = Instant::now();
    let mut splice = Splice {
        client,
        service,
        up: Way { rest: head, ..Way::default() },
        down: Way::default(),
        watch: Watch { phase: Phase::Request, moved: now, is_blocked: false, patience, ends },
    };
    let mut alarm = std::pin::pin!(sleep_until(splice.watch.deadline()));
    poll_fn(|cx| match splice.poll(cx) {
        Poll::Ready(end) => Poll::Ready(end),
        Poll::Pending => splice.watch.poll_alarm(cx, alarm.as_mut()),
    })
    .await
}

struct Splice<'a, C> {
    client: &'a mut C,
    service: TcpStream,
    up: Way,
    down: Way,
    watch: Watch<'a>,
}

/// Why one direction came to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Whom it reads from went away.
    Reading,
    /// Whom it writes to went away.
    Writing,
    /// What came is not to go on.
    Refused(End),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Reading | Stop::Writing => Self::Broken,
            Stop::Refused(end) => end,
        }
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// What was read and the other side has not taken yet.
    rest: Vec<u8>,
    /// How much of `rest` it has taken.
    taken: usize,
    /// Something was written since it was last flushed.
    is_unflushed: bool,
    state: WayState,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum WayState {
    #[default]
    Open,
    /// There is nothing more to read; the other side is yet to hear of it.
    Ending,
    Ended,
    /// The other side takes no more: what comes is dropped, as long as it is no more than this.
    Dropping {
        left: usize,
    },
}

/// Where a connection stands, and how long it may stay there.
struct Watch<'a> {
    phase: Phase,
    /// When bytes moved last.
    moved: Instant,
    /// The client does not take what is there for it.
    is_blocked: bool,
    patience: &'a Patience,
    ends: Instant,
}

enum Phase {
    /// A request's head is arriving.
    Head { head: Head, until: Instant },
    /// The head is here, no answer yet.
    Request,
    /// An answer has begun and may be over: the next bytes of the client begin a request.
    Answer,
    /// The service is done; what the client still sends is dropped.
    Linger { until: Instant },
}

impl<C: AsyncRead + AsyncWrite + Unpin> Splice<'_, C> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        for _ in 0..TURNS {
            match self.turn(cx) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(end) => return Poll::Ready(end),
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// One read of each side; whether anything moved.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        let Self { client, service, up, down, watch } = self;
        let sent = match up.step(cx, *client, service, |bytes| watch.client_sent(bytes)) {
            // The service may refuse a body before it is all here; its answer is on its way.
            Err(Stop::Writing) => {
                *up = Way::dropping();
                true
            }
            outcome => outcome?,
        };
        let answered = down.step(cx, service, *client, |bytes| {
            watch.service_sent(bytes);
            Ok(())
        });
        let answered = match answered {
            // It ended upon bytes that it had not read: after its last word all the same.
            Err(Stop::Reading) => {
                down.state = WayState::Ending;
                true
            }
            outcome => outcome?,
        };
        watch.is_blocked = !down.rest.is_empty();
        if down.state == WayState::Ended {
            if matches!(up.state, WayState::Ending | WayState::Ended) {
                return Err(End::Done);
            }
            if !matches!(watch.phase, Phase::Linger { .. }) {
                *up = Way::dropping();
                watch.phase = Phase::Linger { until: Instant::now() + LINGER };
                return Ok(true);
            }
        }
        let moved = sent || answered;
        if moved {
            watch.moved = Instant::now();
        }
        Ok(moved)
    }
}

impl Way {
    fn dropping() -> Self {
        Self { state: WayState::Dropping { left: LINGER_BYTES }, ..Self::default() }
    }

    /// Moves one buffer from one side to the other, after `see` has seen it; whether bytes moved.
    fn step<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut R,
        to: &mut W,
        see: impl FnOnce(&[u8]) -> Result<(), End>,
    ) -> Result<bool, Stop> {
        let (is_clear, moved) = self.drain(cx, to)?;
        if !is_clear {
            return Ok(moved);
        }
        match self.state {
            WayState::Open => {
                match poll_chunk(cx, from, |cx, chunk| self.pass(cx, to, chunk, see)) {
                    Poll::Pending => self.flush(cx, to).map(|()| moved),
                    Poll::Ready(passed) => passed.map_err(|_| Stop::Reading)?.map(|()| true),
                }
            }
            WayState::Ending => {
                if let Poll::Ready(ended) = Pin::new(to).poll_shutdown(cx) {
                    ended.map_err(|_| Stop::Writing)?;
                    self.state = WayState::Ended;
                    return Ok(true);
                }
                Ok(moved)
            }
            WayState::Ended => Ok(moved),
            WayState::Dropping { left } => {
                let Poll::Ready(read) = poll_chunk(cx, from, |_, chunk| chunk.len()) else {
                    return Ok(false);
                };
                self.state = match read {
                    Ok(read @ 1..) if left > 0 => {
                        WayState::Dropping { left: left.saturating_sub(read) }
                    }
                    Ok(_) | Err(_) => WayState::Ended,
                };
                Ok(true)
            }
        }
    }

    /// Takes what was read; nothing when the other side is done.
    fn pass<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
        chunk: &[u8],
        see: impl FnOnce(&[u8]) -> Result<(), End>,
    ) -> Result<(), Stop> {
        if chunk.is_empty() {
            self.state = WayState::Ending;
            return Ok(());
        }
        see(chunk).map_err(Stop::Refused)?;
        let written = match Pin::new(to).poll_write(cx, chunk) {
            Poll::Pending => 0,
            Poll::Ready(written) => written.map_err(|_| Stop::Writing)?,
        };
        self.is_unflushed |= written > 0;
        self.rest.extend_from_slice(&chunk[written..]);
        Ok(())
    }

    /// Writes what is left over; whether nothing is left, and whether bytes moved.
    fn drain<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<(bool, bool), Stop> {
        let mut moved = false;
        while self.taken < self.rest.len() {
            match Pin::new(&mut *to).poll_write(cx, &self.rest[self.taken..]) {
                Poll::Pending => return Ok((false, moved)),
                Poll::Ready(Ok(0) | Err(_)) => return Err(Stop::Writing),
                Poll::Ready(Ok(written)) => self.taken += written,
            }
            (self.is_unflushed, moved) = (true, true);
        }
        if !self.rest.is_empty() {
            // Not cleared: whoever was slow once shall not hold the memory for ever.
            (self.rest, self.taken) = (Vec::new(), 0);
        }
        Ok((true, moved))
    }

    fn flush<W: AsyncWrite + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        to: &mut W,
    ) -> Result<(), Stop> {
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(to).poll_flush(cx)
        {
            flushed.map_err(|_| Stop::Writing)?;
            self.is_unflushed = false;
        }
        Ok(())
    }
}

impl Watch<'_> {
    fn client_sent(&mut self, bytes: &[u8]) -> Result<(), End> {
        if matches!(self.phase, Phase::Answer) {
            let until = Instant::now() + self.patience.head;
            self.phase = Phase::Head { head: Head::default(), until };
        }
        if let Phase::Head { head, .. } = &mut self.phase
            && is_complete(head.take(bytes, self.patience.head_bytes))?
        {
            self.phase = Phase::Request;
        }
        Ok(())
    }

    fn service_sent(&mut self, bytes: &[u8]) {
        if bytes != INTERIM {
            self.phase = Phase::Answer;
        }
    }

    /// When this phase has lasted too long.
    fn deadline(&self) -> Instant {
        let stalled = self.moved + self.patience.stall;
        match self.phase {
            Phase::Head { until, .. } => until.min(stalled),
            Phase::Linger { until, .. } => until,
            // In the middle of a request nobody is cut for age.
            Phase::Request => stalled,
            Phase::Answer if self.is_blocked => stalled,
            Phase::Answer => {
                (self.moved + self.patience.idle).min(self.ends.max(self.moved + QUIET))
            }
        }
    }

    fn end(&self) -> End {
        match self.phase {
            Phase::Head { .. } => End::SlowHead,
            Phase::Linger { .. } => End::Done,
            Phase::Answer if !self.is_blocked => End::Done,
            Phase::Request | Phase::Answer => End::Stalled,
        }
    }

    fn poll_alarm(&self, cx: &mut Context<'_>, mut alarm: Pin<&mut Sleep>) -> Poll<End> {
        let deadline = self.deadline();
        // A later deadline waits until the alarm rings: most requests move it, and few let it ring.
        if deadline < alarm.deadline() {
            alarm.as_mut().reset(deadline);
        }
        while alarm.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                return Poll::Ready(self.end());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    }
}
