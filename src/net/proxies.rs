//! Whose request it is when a proxy passes it on. `X-Forwarded-For` counts only as far as trusted
//! proxies wrote it: everything to the left of the first address that is none of theirs was
//! written by whoever sits there.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use ipnet::IpNet;

/// What each proxy appends the address to that it was asked from.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word is taken.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    /// Addresses and networks of proxies.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// Whether `address` is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The nearest address that is no trusted proxy, seen from `connected`. An entry that is no
    /// address ends the search: nobody knows who is behind it.
    pub fn client(&self, connected: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut nearest = connected.to_canonical();
        if !self.contains(nearest) {
            return nearest;
        }
        let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).iter().collect();
        let lines = lines.iter().rev().map(|line| line.to_str().unwrap_or_default());
        for entry in lines.flat_map(|line| line.rsplit(',')) {
            let Some(address) = address(entry.trim()) else { return nearest };
            nearest = address;
            if !self.contains(nearest) {
                return nearest;
            }
        }
        nearest
    }
}

/// An address as proxies write it: alone, in brackets, or with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let bare = entry.strip_prefix('[').and_then(|entry| entry.split_once(']')).map(|(ip, _)| ip);
    let parsed = bare.unwrap_or(entry).parse::<IpAddr>().ok();
    let with_port = || entry.parse::<std::net::SocketAddr>().ok().map(|at| at.ip());
    parsed.or_else(with_port).map(|ip| ip.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], connected: &str, lines: &[&str]) -> String {
        let networks = trusted.iter().map(|text| text.parse().expect("a network")).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, line.parse().expect("a value"));
        }
        let connected = connected.parse().expect("an address");
        TrustedProxies::new(networks).client(connected, &headers).to_string()
    }

    #[test]
    fn nobody_is_believed_who_is_not_trusted() {
        assert_eq!(client(&[], "192.0.2.1", &["203.0.113.7"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["203.0.113.7"]), "192.0.2.1");
    }

    #[test]
    fn the_nearest_address_that_is_no_proxy_of_ours_is_the_client() {
        let ours = &["10.0.0.0/8", "2001:db8::/32"];
        let forged = "198.51.100.1, 203.0.113.7, 10.0.0.2";
        assert_eq!(client(ours, "10.0.0.1", &[forged]), "203.0.113.7");
        assert_eq!(client(ours, "10.0.0.1", &["198.51.100.1", "203.0.113.7"]), "203.0.113.7");
        assert_eq!(client(ours, "2001:db8::1", &["[2001:db9::7]:443"]), "2001:db9::7");
        assert_eq!(client(ours, "::ffff:10.0.0.1", &["203.0.113.7:8080"]), "203.0.113.7");
    }

    #[test]
    fn what_is_no_address_hides_nobody() {
        let ours = &["10.0.0.0/8"];
        assert_eq!(client(ours, "10.0.0.1", &["203.0.113.7, unknown"]), "10.0.0.1");
        assert_eq!(client(ours, "10.0.0.1", &["203.0.113.7, , 10.0.0.2"]), "10.0.0.2");
        assert_eq!(client(ours, "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client(ours, "10.0.0.1", &["10.0.0.3"]), "10.0.0.3");
    }
}
