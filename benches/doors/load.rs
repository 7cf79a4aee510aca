//! A client that costs little: prepared bytes out, heads and lengths of answers in.
//!
//! Written by hand because a full HTTP client would take longer for a request than the bare server
//! does, and then the bench would measure the client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Mutex;

/// How long a load took.
pub struct Took {
    /// Answers, all with the expected status.
    pub answers: usize,
    /// From the first byte sent to the last byte read, connecting not counted.
    pub seconds: f64,
}

/// Sends all `requests` over `connections` that are kept alive.
///
/// # Panics
/// When an answer has another status.
pub async fn run(
    address: SocketAddr,
    connections: usize,
    status: u16,
    requests: Vec<Vec<u8>>,
) -> Took {
    let open = Connection::open_all(address, connections).await;
    let answers = requests.len();
    let (requests, next) = (Arc::new(requests), Arc::new(AtomicUsize::new(0)));
    let started = Instant::now();
    let tasks = open.into_iter().map(|mut connection| {
        let (requests, next) = (requests.clone(), next.clone());
        tokio::spawn(async move {
            while let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) {
                let answer = connection.exchange(request).await;
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.expect("every answer is as expected");
    }
    Took { answers, seconds: started.elapsed().as_secs_f64() }
}

/// Requests that come by schedule.
pub struct Offer {
    /// Sent before, so that no connection is a new one any more: one for each.
    pub greetings: Vec<Vec<u8>>,
    /// How many come, on the average.
    pub per_second: f64,
    pub requests: Vec<Vec<u8>>,
}

/// Sends each request when it is due, or when a connection is free if none was then; as many at once
/// as there are greetings. How long each took counts from when it was due.
///
/// # Panics
/// As [`run`].
pub async fn offer(address: SocketAddr, status: u16, offer: Offer) -> (Took, Vec<Duration>) {
    let Offer { greetings, per_second, requests } = offer;
    let mut open = Connection::open_all(address, greetings.len()).await;
    for (connection, greeting) in open.iter_mut().zip(&greetings) {
        assert_eq!(connection.exchange(greeting).await.status, status);
    }
    let answers = requests.len();
    let started = Instant::now();
    let schedule = Schedule {
        requests: requests.into_iter(),
        due: started,
        gap_s: per_second.recip(),
        random: fastrand::Rng::with_seed(answers as u64),
    };
    let schedule = Arc::new(Mutex::new(schedule));
    let tasks = open.into_iter().map(|mut connection| {
        let schedule = schedule.clone();
        tokio::spawn(async move {
            let mut latencies = Vec::new();
            // Whoever waits for the next instant holds the schedule, the others queue behind.
            while let Some((due, request)) = { schedule.lock().await.next().await } {
                let answer = connection.exchange(&request).await;
                latencies.push(due.elapsed());
                assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(answer.body));
            }
            latencies
        })
    });
    let mut latencies = Vec::with_capacity(answers);
    for task in tasks.collect::<Vec<_>>() {
        latencies.extend(task.await.expect("every answer is as expected"));
    }
    (Took { answers, seconds: started.elapsed().as_secs_f64() }, latencies)
}

/// When which request comes.
struct Schedule {
    requests: std::vec::IntoIter<Vec<u8>>,
    due: Instant,
    gap_s: f64,
    random: fastrand::Rng,
}

impl Schedule {
    /// The next request, at the instant at which it comes, or later if nobody asked until then.
    async fn next(&mut self) -> Option<(Instant, Vec<u8>)> {
        let request = self.requests.next()?;
        let drawn = -(1.0 - self.random.f64()).ln();
        self.due += Duration::from_secs_f64(self.gap_s * drawn);
        // A timer is late by up to a millisecond. Yielding reads answers meanwhile.
        while Instant::now() < self.due {
            tokio::task::yield_now().await;
        }
        Some((self.due, request))
    }
}

/// One connection, with what was read from it last.
pub struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// One answer.
pub struct Answer<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Connection {
    async fn open_all(address: SocketAddr, connections: usize) -> Vec<Self> {
        let mut open = Vec::with_capacity(connections);
        for _ in 0..connections {
            open.push(Self::open(address).await);
        }
        open
    }

    pub async fn open(address: SocketAddr) -> Self {
        Self::attempt(address).await.expect("the server listens")
    }

    /// `None` when nobody listens.
    pub async fn attempt(address: SocketAddr) -> Option<Self> {
        let stream = TcpStream::connect(address).await.ok()?;
        stream.set_nodelay(true).expect("a TCP socket");
        Some(Self { stream, read: Vec::with_capacity(16 * 1024) })
    }

    /// Sends one request and reads its answer, which must tell its length.
    pub async fn exchange(&mut self, request: &[u8]) -> Answer<'_> {
        self.stream.write_all(request).await.expect("the server reads");
        self.read.clear();
        let (status, head, length) = loop {
            let count = self.stream.read_buf(&mut self.read).await.expect("the server answers");
            assert!(count > 0, "the server closed the connection");
            if let Some(parsed) = parse_head(&self.read) {
                break parsed;
            }
        };
        while self.read.len() < head + length {
            let count = self.stream.read_buf(&mut self.read).await.expect("the server answers");
            assert!(count > 0, "the server closed the connection");
        }
        Answer { status, body: &self.read[head..head + length] }
    }
}

/// Status, bytes of the head, bytes of the body; `None` while the head is not complete.
fn parse_head(read: &[u8]) -> Option<(u16, usize, usize)> {
    let end = 4 + read.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&read[..end]).expect("heads are ASCII");
    let status = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    Some((status, end, length.expect("an answer tells its length")))
}
