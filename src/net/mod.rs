//! The public listener. It stands before the server, which waits for a silent client for ever: it
//! counts connections, asks for a request within seconds, cuts what does not move, speaks TLS, and
//! passes the bytes on over this machine's loopback. Knows nothing of what requests mean.

mod descriptors;
mod head;
mod peers;
mod places;
mod proxies;
mod splice;
mod subscriber;
mod tls;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

pub use descriptors::allow_connections;
use peers::Peers;
use places::{Full, Place, Places};
pub use proxies::TrustedProxies;
use splice::End;
pub use subscriber::subscriber;
pub use tls::{BadTlsFiles, TlsFiles};

/// After a failure to accept, e.g. for want of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a client may take to read that it is refused.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What one listener allows.
#[derive(Clone, Debug)]
pub struct Guard {
    /// Connections at once.
    pub most: usize,
    /// Connections at once from one [`subscriber`].
    pub most_of_one: usize,
    /// See [`Patience`].
    pub patience: Patience,
    /// `None` for plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// How long a client may keep a connection waiting.
#[derive(Clone, Debug)]
pub struct Patience {
    /// From the begin of a connection to its first byte; so long may a TLS handshake take, too.
    pub first_byte: Duration,
    /// From the first byte of a request's head to its last.
    pub head: Duration,
    /// The most bytes of a head.
    pub head_bytes: usize,
    /// Between two bytes of a request or an answer.
    pub stall: Duration,
    /// Between an answer and the next request. Longer than clients keep connections that they do
    /// not use: who ends one must not meet a request on its way.
    pub idle: Duration,
    /// From the begin of a connection to its end, which waits for the end of a request.
    pub lifetime: Duration,
}

/// Who is connected, for whom they speak, and what became of those who were.
#[derive(Debug)]
pub struct Clients {
    peers: Peers,
    trusted: TrustedProxies,
    places: Arc<Places>,
    outcomes: [AtomicU64; Outcome::ALL.len()],
}

/// Figures of a listener since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Connections now.
    pub open: usize,
    /// How often each thing became of one.
    pub outcomes: [(&'static str, u64); Outcome::ALL.len()],
}

/// One thing that may become of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// It was let in.
    Accepted,
    /// There was no place.
    RefusedFull,
    /// Its address had as many as one may have.
    RefusedAddress,
    /// The TLS handshake failed or took too long.
    FailedHandshake,
    /// It sent nothing.
    CutSilent,
    /// A head came too slowly, was too long, or was none.
    CutHead,
    /// Nothing moved for too long.
    CutStalled,
}

impl Outcome {
    /// All there are.
    const ALL: [Self; 7] = [
        Self::Accepted,
        Self::RefusedFull,
        Self::RefusedAddress,
        Self::FailedHandshake,
        Self::CutSilent,
        Self::CutHead,
        Self::CutStalled,
    ];

    /// Its name in metrics.
    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::RefusedFull => "refused_full",
            Self::RefusedAddress => "refused_address",
            Self::FailedHandshake => "failed_handshake",
            Self::CutSilent => "cut_silent",
            Self::CutHead => "cut_head",
            Self::CutStalled => "cut_stalled",
        }
    }
}

impl Clients {
    /// As many as a listener with this guard lets in; nobody comes in without one. The connections
    /// of `trusted` proxies speak for many and are not counted one by one.
    pub fn new(guard: Option<&Guard>, trusted: TrustedProxies) -> Self {
        let (most, most_of_one) = guard.map_or((0, 0), |guard| (guard.most, guard.most_of_one));
        let places = Places::new(most, most_of_one);
        Self { peers: Peers::default(), trusted, places, outcomes: Default::default() }
    }

    /// For whom a connection to the server speaks: for itself when the listener did not make it.
    pub fn behind(&self, connected: SocketAddr) -> SocketAddr {
        self.peers.behind(connected)
    }

    /// Who sent a request over a connection to the server, as far as trusted proxies tell.
    pub fn sender(&self, connected: SocketAddr, headers: &HeaderMap) -> IpAddr {
        self.trusted.client(self.behind(connected).ip(), headers)
    }

    /// How it stands.
    pub fn figures(&self) -> Figures {
        let of = |outcome: Outcome| self.outcomes[outcome as usize].load(Ordering::Relaxed);
        let outcomes = Outcome::ALL.map(|outcome| (outcome.name(), of(outcome)));
        Figures { open: self.places.taken(), outcomes }
    }

    fn count(&self, outcome: Outcome) {
        self.outcomes[outcome as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// An address that is taken, at which nobody is let in yet.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

/// A listener that lets clients in.
#[derive(Debug)]
pub struct Public {
    closed: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

/// What all connections of a listener share.
#[derive(Debug)]
struct Shared {
    guard: Guard,
    inside: SocketAddr,
    clients: Arc<Clients>,
}

/// Takes an address.
///
/// # Errors
/// What the system says.
pub async fn bind(address: SocketAddr) -> io::Result<Bound> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok(Bound { listener, address })
}

impl Bound {
    /// The address, its port settled.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets clients in and passes them on to the service at `inside`.
    ///
    /// # Errors
    /// When the files for TLS cannot be used.
    pub fn open(
        self,
        mut guard: Guard,
        inside: SocketAddr,
        clients: Arc<Clients>,
    ) -> Result<Public, BadTlsFiles> {
        let tls = guard.tls.take().map(TlsFiles::acceptor).transpose()?;
        let shared = Arc::new(Shared { guard, inside, clients });
        let (closed, closing) = watch::channel(());
        let accepting = tokio::spawn(accept(self.listener, shared, tls, closing));
        Ok(Public { closed, accepting })
    }
}

impl Public {
    /// Lets nobody in any more. Connections go on, but for those that no request has come from.
    pub fn close(&self) {
        self.closed.send_replace(());
    }

    /// Waits until the last connection has ended, once it is closed.
    pub async fn drained(&mut self) {
        // It cannot fail: nobody aborts it before this value is dropped, and it does not panic.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for Public {
    /// Cuts every connection that there still is.
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
    mut closing: watch::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Some(place) = admit(&stream, peer, &shared, tls.is_some()) else { continue };
                    let (shared, tls) = (Arc::clone(&shared), tls.clone());
                    let client = Client { peer, closing: closing.clone(), _place: place };
                    connections.spawn(async move { serve(stream, client, &shared, tls).await });
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
            _ = closing.changed() => break,
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

/// One connection's far end.
struct Client {
    peer: SocketAddr,
    /// Changes when the listener closes.
    closing: watch::Receiver<()>,
    _place: Place,
}

/// The place of a connection; `None` when it is turned away.
fn admit(stream: &TcpStream, peer: SocketAddr, shared: &Shared, is_tls: bool) -> Option<Place> {
    let is_trusted = shared.clients.trusted.contains(peer.ip());
    let taken = shared.clients.places.take(peer.ip(), is_trusted);
    shared.clients.count(match &taken {
        Ok(_) => Outcome::Accepted,
        Err(Full::All) => Outcome::RefusedFull,
        Err(Full::Address) => Outcome::RefusedAddress,
    });
    if taken.is_err() && !is_tls {
        // What does not fit into an empty send buffer is lost; that is all it deserves.
        let _ = stream.try_write(OVERLOADED);
    }
    taken.ok()
}

async fn serve(stream: TcpStream, client: Client, shared: &Shared, tls: Option<TlsAcceptor>) {
    let ends = Instant::now() + shared.guard.patience.lifetime;
    // Answers are written whole; waiting for more would only delay them. A socket that is gone
    // already is noticed at its first read.
    let _ = stream.set_nodelay(true);
    let Some(tls) = tls else { return run(stream, client, shared, ends).await };
    let handshake = tls.accept(stream);
    match tokio::time::timeout(shared.guard.patience.first_byte, handshake).await {
        Ok(Ok(stream)) => run(stream, client, shared, ends).await,
        Ok(Err(_)) | Err(_) => shared.clients.count(Outcome::FailedHandshake),
    }
}

/// One connection from its first byte to its last.
async fn run<C>(mut stream: C, mut client: Client, shared: &Shared, ends: Instant)
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let head = tokio::select! {
        biased;
        head = splice::first_head(&mut stream, &shared.guard.patience) => head,
        _ = client.closing.changed() => Err(End::Done),
    };
    let end = match head {
        Ok(head) => pass_on(&mut stream, head, client.peer, shared, ends).await,
        Err(end) => Ok(end),
    };
    let last_words = match end {
        Err(error) => {
            tracing::error!(%error, "the service cannot be reached from its own listener");
            Some(OVERLOADED)
        }
        Ok(end) => {
            if let Some(outcome) = outcome(end) {
                shared.clients.count(outcome);
            }
            last_words(end)
        }
    };
    let Some(text) = last_words else { return };
    let farewell = async {
        stream.write_all(text).await?;
        stream.shutdown().await
    };
    // Whoever does not read it has gone or is not worth waiting for.
    let _ = tokio::time::timeout(LAST_WORDS, farewell).await;
}

async fn pass_on<C>(
    stream: &mut C,
    head: Vec<u8>,
    peer: SocketAddr,
    shared: &Shared,
    ends: Instant,
) -> io::Result<End>
where
    C: AsyncRead + AsyncWrite + Unpin,
{
    let service = TcpStream::connect(shared.inside).await?;
    service.set_nodelay(true)?;
    // Before the first byte of a request: whoever handles it asks for whom.
    let _entry = shared.clients.peers.enter(service.local_addr()?.port(), peer);
    Ok(splice::carry(stream, service, head, &shared.guard.patience, ends).await)
}

fn outcome(end: End) -> Option<Outcome> {
    match end {
        End::Done | End::Broken => None,
        End::Silent => Some(Outcome::CutSilent),
        End::SlowHead | End::LongHead | End::Foreign => Some(Outcome::CutHead),
        End::Stalled => Some(Outcome::CutStalled),
    }
}

// What a server says whose parser has not been reached: no body, as there is no operation.
const OVERLOADED: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_SLOW: &[u8] =
    b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const TOO_LONG: &[u8] =
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
const NOT_HERE: &[u8] =
    b"HTTP/1.1 505 HTTP Version Not Supported\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

fn last_words(end: End) -> Option<&'static [u8]> {
    match end {
        End::SlowHead => Some(TOO_SLOW),
        End::LongHead => Some(TOO_LONG),
        End::Foreign => Some(NOT_HERE),
        End::Done | End::Broken | End::Silent | End::Stalled => None,
    }
}
