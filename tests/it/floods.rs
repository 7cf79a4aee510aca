//! Floods of sockets against the shipped binary, and how its other clients fare meanwhile.
//!
//! Short unless `VESTIBULE_FLOODS=long`: then 5,000 idle and 500 slow sockets. Figures are printed
//! (`cargo xtask test -- floods --nocapture`), not judged; what is judged is that every honest
//! request is answered, and that memory and descriptors come back.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use crate::process::Process;
use crate::requests::{now_ms, open_embed, signed};

/// Honest requests in each part of a run.
const HONEST: usize = 150;
/// Sockets of one address; more would be refused for their address.
const OF_ONE_ADDRESS: usize = 400;
/// What the service may hold while it is flooded, and what it may keep afterwards.
const MOST_BYTES: u64 = 256 << 20;
/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one attacker does with one socket after it is connected, until it is cut.
#[derive(Clone, Copy, Debug)]
enum Attack {
    /// Sends nothing.
    Idle,
    /// Sends a byte of a head now and then.
    SlowHead,
    /// Sends half of what tells HTTP/2 from a head; TLS would be told by its first byte.
    Preamble,
    /// Sends headers without end.
    EndlessHead,
    /// Announces a body far too large, and sends it.
    Oversize,
    /// Sends a chunked body without end.
    EndlessBody,
    /// Sends whole requests with a key and an origin that nobody has seen.
    UnknownKeys,
}

const FLOOD: [Attack; 7] = [
    Attack::Idle,
    Attack::SlowHead,
    Attack::Preamble,
    Attack::EndlessHead,
    Attack::Oversize,
    Attack::EndlessBody,
    Attack::UnknownKeys,
];

fn sockets(attack: Attack) -> usize {
    let is_long = std::env::var("VESTIBULE_FLOODS").is_ok_and(|mode| mode == "long");
    match (attack, is_long) {
        (Attack::Idle, true) => 5_000,
        (Attack::Idle, false) => 500,
        (Attack::SlowHead | Attack::Preamble, true) => 500,
        (Attack::SlowHead | Attack::Preamble, false) => 50,
        (Attack::EndlessHead | Attack::Oversize | Attack::EndlessBody, _) => 16,
        (Attack::UnknownKeys, _) => 8,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn floods_of_sockets_leave_other_clients_their_answers() {
    vestibule::net::allow_connections(8192);
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let before = Footprint::of(&process);
    let quiet = honest(&process).await;
    for attack in FLOOD {
        let count = sockets(attack);
        let flood = Flood::start(&process, attack, count).await;
        let flooded = honest(&process).await;
        let during = Footprint::of(&process);
        let sent = flood.stop().await;
        println!(
            "{attack:?}: {count} sockets, {sent} connections; p99 {:?} after {:?} alone; \
             {} MiB, {} descriptors",
            flooded,
            quiet,
            during.bytes >> 20,
            during.descriptors
        );
        assert!(during.bytes < MOST_BYTES, "{attack:?}: {during:?}");
    }
    let begun = Instant::now();
    // Connections of the honest client among them, which are kept for a while.
    while Footprint::of(&process).descriptors > before.descriptors + 64 {
        assert!(begun.elapsed() < PATIENCE, "descriptors do not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let after = Footprint::of(&process);
    println!("before {before:?}, after {after:?}");
    assert!(after.bytes < MOST_BYTES, "{after:?}");
    let body = serde_json::json!({
        "employeeId": "0123456789abcdef01234567", "capabilities": ["showChatsList"]
    });
    assert_eq!(open_embed(&process.base_url, &process.demo.demo, &body).await.status, 201);
}

/// The slowest but one in a hundred of signed creates, one after the other, each on a connection
/// of its own: a client with an open one would not notice that nobody is let in.
async fn honest(process: &Process) -> Duration {
    let embed = &process.demo.demo.embed;
    let mut took = Vec::with_capacity(HONEST);
    for number in 0..HONEST {
        let body = format!(r#"{{"employeeId":"{number:024x}","capabilities":["showChatsList"]}}"#);
        let headers = signed(&embed.key, &embed.secret, now_ms(), body.as_bytes());
        let fields: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!(
            "POST /v1/embed/sessions HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nconnection: close\r\n{fields}\r\n{body}",
            body.len()
        );
        let begun = Instant::now();
        let exchange = async {
            let mut stream = TcpStream::connect(at(process)).await.expect("it listens");
            stream.write_all(request.as_bytes()).await.expect("it reads");
            let mut said = String::new();
            stream.read_to_string(&mut said).await.expect("an answer");
            said
        };
        let said = tokio::time::timeout(PATIENCE, exchange).await.expect("it answers in time");
        took.push(begun.elapsed());
        assert!(said.starts_with("HTTP/1.1 201 "), "{said}");
    }
    took.sort();
    took[HONEST * 99 / 100]
}

fn at(process: &Process) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), process.port())
}

/// Memory and descriptors of the service, as the system counts them.
#[derive(Debug)]
struct Footprint {
    bytes: u64,
    descriptors: usize,
}

impl Footprint {
    fn of(process: &Process) -> Self {
        let place = PathBuf::from(format!("/proc/{}", process.id()));
        let status = std::fs::read_to_string(place.join("status")).expect("it runs");
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes =
            resident.and_then(|text| text.trim().split(' ').next()?.parse::<u64>().ok());
        let descriptors = std::fs::read_dir(place.join("fd")).expect("it is ours").count();
        Self { bytes: kibibytes.expect("a figure") << 10, descriptors }
    }
}

/// Attackers that come back whenever they are cut.
struct Flood {
    goes_on: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    attackers: Vec<tokio::task::JoinHandle<()>>,
}

impl Flood {
    async fn start(process: &Process, attack: Attack, count: usize) -> Self {
        let (goes_on, connections) = (Arc::new(AtomicBool::new(true)), Arc::default());
        let mut flood = Self { goes_on, connections, attackers: Vec::new() };
        let at = at(process);
        for number in 0..count {
            let from = u8::try_from(2 + number / OF_ONE_ADDRESS).expect("few addresses");
            let (goes_on, connections) =
                (Arc::clone(&flood.goes_on), Arc::clone(&flood.connections));
            flood.attackers.push(tokio::spawn(async move {
                while goes_on.load(Ordering::Relaxed) {
                    // However it is cut, it comes back.
                    let _ = once(attack, from, at, &goes_on, &connections).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }));
        }
        let begun = Instant::now();
        while flood.connections.load(Ordering::Relaxed) < count {
            let connected = flood.connections.load(Ordering::Relaxed);
            assert!(begun.elapsed() < PATIENCE, "{attack:?}: {connected} of {count} connected");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        flood
    }

    /// How many connections there were.
    async fn stop(self) -> usize {
        self.goes_on.store(false, Ordering::Relaxed);
        for attacker in self.attackers {
            attacker.abort();
            let _ = attacker.await;
        }
        self.connections.load(Ordering::Relaxed)
    }
}

async fn once(
    attack: Attack,
    from: u8,
    at: SocketAddr,
    goes_on: &AtomicBool,
    connections: &AtomicUsize,
) -> std::io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(Ipv4Addr::new(127, 0, 0, from).into(), 0))?;
    let mut stream = socket.connect(at).await?;
    connections.fetch_add(1, Ordering::Relaxed);
    let goes_on = || goes_on.load(Ordering::Relaxed);
    let post = "POST /v1/embed/sessions HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n";
    match attack {
        Attack::Idle => {}
        Attack::SlowHead => {
            for byte in post.bytes().cycle().filter(|byte| *byte != b'\n') {
                stream.write_all(&[byte]).await?;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Attack::Preamble => stream.write_all(b"PRI").await?,
        Attack::EndlessHead => {
            stream.write_all(b"GET / HTTP/1.1\r\n").await?;
            while goes_on() {
                stream.write_all(b"x-header: value of a header that never ends\r\n").await?;
            }
        }
        Attack::Oversize => {
            let head = format!("{post}content-length: 1000000000\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            while goes_on() {
                stream.write_all(&[b' '; 4096]).await?;
            }
        }
        Attack::EndlessBody => {
            let head = format!("{post}transfer-encoding: chunked\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            while goes_on() {
                stream.write_all(b"4\r\n    \r\n").await?;
            }
        }
        Attack::UnknownKeys => {
            while goes_on() {
                let (key, body) = (vestibule::context::Ids::default().id("key_"), "{}");
                let request = format!(
                    "{post}origin: https://{key}.example\r\nx-yolead-key: {key}\r\n\
                     x-yolead-timestamp: {}\r\nx-yolead-signature: {}\r\ncontent-length: 2\r\n\
                     \r\n{body}",
                    now_ms(),
                    "0".repeat(64)
                );
                stream.write_all(request.as_bytes()).await?;
                let mut said = [0; 4096];
                if stream.read(&mut said).await? == 0 {
                    return Ok(());
                }
            }
        }
    }
    // Until the other side has had enough.
    let mut said = [0; 256];
    while stream.read(&mut said).await? > 0 {}
    Ok(())
}
