//! A link to the server that loses what it is told to lose.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use url::Url;

/// What is lost next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Loss {
    /// Nothing.
    None,
    /// The next commit, on its way there.
    Commit,
    /// The answer to the next commit.
    Answer,
    /// The answer to the next commit, and every connection after it.
    Everything,
    /// Every connection.
    Gone,
}

/// Passes bytes to the server until it is dropped.
pub(super) struct LossyLink {
    address: SocketAddr,
    next: Arc<AtomicU8>,
    _links: JoinSet<()>,
}

impl LossyLink {
    pub(super) async fn to(server: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server =
            format!("{}:{}", server.host_str().expect("a host"), server.port().unwrap_or(5432));
        let next = Arc::new(AtomicU8::new(Loss::None as u8));
        let (mut links, told) = (JoinSet::new(), Arc::clone(&next));
        links.spawn(async move {
            let mut open = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if told.load(Ordering::SeqCst) == Loss::Gone as u8 {
                    continue;
                }
                let server = TcpStream::connect(&server).await.expect("the server answers");
                open.spawn(link(client, server, Arc::clone(&told)));
            }
        });
        Self { address, next, _links: links }
    }

    /// The address of a database by this link.
    pub(super) fn url(&self, mut url: Url) -> Url {
        url.set_host(Some("127.0.0.1")).expect("a host");
        url.set_port(Some(self.address.port())).expect("a port");
        url
    }

    pub(super) fn lose(&self, loss: Loss) {
        self.next.store(loss as u8, Ordering::SeqCst);
    }
}

async fn link(client: TcpStream, server: TcpStream, next: Arc<AtomicU8>) {
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    // Whichever way ends first takes the other one with it.
    tokio::select! {
        () = forth(from_client, to_server, next) => {}
        () = back(from_server, to_client) => {}
    }
}

/// Everything to the server, up to what is to be lost.
async fn forth(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, next: Arc<AtomicU8>) {
    let mut bytes = [0; 16 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let is_commit = bytes[..count].windows(7).any(|it| it == b"COMMIT\0");
        let loss = next.load(Ordering::SeqCst);
        if is_commit && loss == Loss::Commit as u8 {
            next.store(Loss::None as u8, Ordering::SeqCst);
            return;
        }
        if to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
        if is_commit && (loss == Loss::Answer as u8 || loss == Loss::Everything as u8) {
            let then = if loss == Loss::Answer as u8 { Loss::None } else { Loss::Gone };
            next.store(then as u8, Ordering::SeqCst);
            return;
        }
    }
}

async fn back(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    // An end of either side is the end of both.
    let _ = tokio::io::copy(&mut from, &mut to).await;
}
