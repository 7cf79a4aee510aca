//! A client that costs little: prepared bytes out, heads and lengths of answers in.
//!
//! Written by hand because a full HTTP client would take longer for a request than the bare server
//! does, and then the bench would measure the client.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

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
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(address).await);
    }
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
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        stream.set_nodelay(true).expect("a TCP socket");
        Self { stream, read: Vec::with_capacity(16 * 1024) }
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
