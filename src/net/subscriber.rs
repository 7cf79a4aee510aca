//! What counts as one far end. Knows addresses alone.

use std::net::IpAddr;

/// The part of an address that one subscriber has: an IPv4 address, or the first 64 bits of an
/// IPv6 address, of which the same subscriber holds the rest.
pub fn subscriber(address: IpAddr) -> [u8; 16] {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => {
            let mut octets = address.octets();
            octets[8..].fill(0);
            octets
        }
    }
}
