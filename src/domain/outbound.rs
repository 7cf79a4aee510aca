//! Where the service may send requests of its own: which addresses, schemes and ports.
//!
//! Whoever names an address to us may name one of our own network, so everything that is not
//! the public Internet is refused unless the operator allowed it. Pure: names are resolved
//! elsewhere, and what they resolve to is asked about here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use url::{Host, Url};

/// What the operator allows beyond HTTPS to the public Internet.
#[derive(Clone, Debug, Default)]
pub struct OutboundPolicy {
    /// Networks that are allowed although they are not public.
    pub allow: Vec<IpNet>,
    /// Whether plain HTTP is allowed.
    pub plain_http: bool,
}

/// An address that may be sent to, as far as its text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The address, normalised.
    pub url: Url,
    /// Whether TLS is spoken.
    pub is_https: bool,
    /// The host without brackets, as it is resolved and as certificates name it.
    pub host: Host,
    /// The port, given or usual.
    pub port: u16,
}

/// Why an address is refused. One sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusedTarget {
    /// Not an absolute URL with a host.
    #[error("This is no URL with a host.")]
    NoUrl,
    /// Neither `https` nor, where allowed, `http`.
    #[error("Only https is allowed.")]
    Scheme,
    /// A user name or password.
    #[error("The URL holds a user name or password.")]
    UserInfo,
    /// A fragment, which is never sent.
    #[error("The URL has a fragment.")]
    Fragment,
    /// A port of another protocol.
    #[error("The port is not 80, 443 or above 1023.")]
    Port,
    /// An address that is not of the public Internet.
    #[error("The address is refused: it is {0}.")]
    Address(&'static str),
}

impl OutboundPolicy {
    /// Reads an address and checks what its text says. A host that is an address, in whatever
    /// notation, is judged at once; a name is not.
    ///
    /// # Errors
    /// [`RefusedTarget`], the first that holds.
    pub fn target(&self, text: &str) -> Result<Target, RefusedTarget> {
        let url = Url::parse(text).map_err(|_| RefusedTarget::NoUrl)?;
        let is_https = match url.scheme() {
            "https" => true,
            "http" if self.plain_http => false,
            _ => return Err(RefusedTarget::Scheme),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RefusedTarget::UserInfo);
        }
        if url.fragment().is_some() {
            return Err(RefusedTarget::Fragment);
        }
        let port = url.port_or_known_default().ok_or(RefusedTarget::Port)?;
        if !matches!(port, 80 | 443 | 1024..) {
            return Err(RefusedTarget::Port);
        }
        let host = url.host().ok_or(RefusedTarget::NoUrl)?.to_owned();
        match host {
            Host::Ipv4(address) => self.require(address.into())?,
            Host::Ipv6(address) => self.require(address.into())?,
            Host::Domain(_) => {}
        }
        Ok(Target { url, is_https, host, port })
    }

    /// Whether a connection to this address may be made.
    ///
    /// # Errors
    /// [`RefusedTarget::Address`] with what the address is.
    pub fn require(&self, address: IpAddr) -> Result<(), RefusedTarget> {
        // An IPv4 address in IPv6 clothes reaches the same host.
        let address = address.to_canonical();
        if self.allow.iter().any(|net| net.contains(&address)) {
            return Ok(());
        }
        let special = match address {
            IpAddr::V4(address) => special_v4(address),
            IpAddr::V6(address) => special_v6(address),
        };
        special.map_or(Ok(()), |what| Err(RefusedTarget::Address(what)))
    }
}

/// IANA's IPv4 Special-Purpose Address Registry, what is not globally reachable; and multicast.
const SPECIAL_V4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 8), "of this network"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "shared by a carrier's customers"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "for protocols"),
    (v4([192, 0, 2, 0], 24), "for documentation"),
    (v4([192, 88, 99, 0], 24), "a 6to4 relay"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "for benchmarks"),
    (v4([198, 51, 100, 0], 24), "for documentation"),
    (v4([203, 0, 113, 0], 24), "for documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The one block of IPv6 that is handed out to hosts of the Internet. Everything beside it is
/// something else: loopback, unique local, link-local, multicast, NAT64, IPv4-compatible.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);

/// What of the global block leads elsewhere.
const SPECIAL_V6: &[(Ipv6Net, &str)] = &[
    (v6([0x2001, 0x0db8], 32), "for documentation"),
    (v6([0x2001, 0], 23), "for protocols, Teredo among them"),
    (v6([0x2002, 0], 16), "an IPv4 address behind 6to4"),
    (v6([0x3fff, 0], 20), "for documentation"),
];

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    SPECIAL_V4.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    if !GLOBAL_V6.contains(&address) {
        return Some("not of the public Internet");
    }
    SPECIAL_V6.iter().find(|(net, _)| net.contains(&address)).map(|(_, what)| *what)
}

const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6([a, b]: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests;
