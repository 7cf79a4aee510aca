//! Who is at the far end of a connection that reaches the service from this machine: the listener
//! writes down for whom it speaks, by the port it speaks from.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

/// The peers of all connections that are open; as many as there are places.
#[derive(Debug, Default)]
pub(super) struct Peers(RwLock<HashMap<u16, SocketAddr>>);

/// One entry, for as long as its connection lasts.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    peers: &'a Peers,
    port: u16,
}

impl Peers {
    /// For whom the connection from `connected` speaks; for itself when the listener did not make
    /// it.
    pub(super) fn behind(&self, connected: SocketAddr) -> SocketAddr {
        if !connected.ip().is_loopback() {
            return connected;
        }
        let peers = self.0.read().unwrap_or_else(PoisonError::into_inner);
        peers.get(&connected.port()).copied().unwrap_or(connected)
    }

    /// Writes down that whoever connects from `port` of this machine speaks for `peer`.
    pub(super) fn enter(&self, port: u16, peer: SocketAddr) -> Entry<'_> {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(port, peer);
        Entry { peers: self, port }
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.peers.0.write().unwrap_or_else(PoisonError::into_inner).remove(&self.port);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("a socket address")
    }

    #[test]
    fn a_peer_is_known_for_as_long_as_its_connection_lasts() {
        let peers = Peers::default();
        let entry = peers.enter(4711, at("192.0.2.1:80"));
        assert_eq!(peers.behind(at("127.0.0.1:4711")), at("192.0.2.1:80"));
        assert_eq!(peers.behind(at("127.0.0.1:4712")), at("127.0.0.1:4712"));
        assert_eq!(peers.behind(at("192.0.2.9:4711")), at("192.0.2.9:4711"), "not this machine");
        drop(entry);
        assert_eq!(peers.behind(at("127.0.0.1:4711")), at("127.0.0.1:4711"));
    }
}
