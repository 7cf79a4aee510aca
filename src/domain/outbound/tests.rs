//! The laws of outbound addresses: what is not public is refused in every notation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

fn strict() -> OutboundPolicy {
    OutboundPolicy::default()
}

fn with_http(allow: &[&str]) -> OutboundPolicy {
    let allow = allow.iter().map(|net| net.parse().expect("a network")).collect();
    OutboundPolicy { allow, plain_http: true }
}

/// Networks that are nobody's on the Internet, written a second time on purpose.
const CLOSED: [&str; 28] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/96",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/32",
    "2001:20::/28",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "ff00::/8",
];

/// Some address of a network, by the bits behind its prefix.
fn within(net: IpNet, bits: u128) -> IpAddr {
    match net {
        IpNet::V4(net) => {
            let host = (bits as u32) & u32::from(net.hostmask());
            Ipv4Addr::from(u32::from(net.network()) | host).into()
        }
        IpNet::V6(net) => {
            let host = bits & u128::from(net.hostmask());
            Ipv6Addr::from(u128::from(net.network()) | host).into()
        }
    }
}

fn closed() -> impl Strategy<Value = IpAddr> {
    (select(&CLOSED[..]), any::<u128>())
        .prop_map(|(net, bits)| within(net.parse().expect("a network"), bits))
}

proptest! {
    /// No address of a closed network may be connected to.
    #[test]
    fn closed_addresses_are_refused(address in closed()) {
        prop_assert!(matches!(strict().require(address), Err(RefusedTarget::Address(_))));
    }

    /// An IPv4 address is judged alike when it comes as an IPv4-mapped one.
    #[test]
    fn mapped_addresses_are_judged_as_what_they_map(bits: u32) {
        let plain = Ipv4Addr::from(bits);
        let mapped = strict().require(plain.to_ipv6_mapped().into());
        prop_assert_eq!(mapped, strict().require(plain.into()));
    }

    /// An IPv4 address that any transition mechanism carries never gets through, public or not.
    #[test]
    fn carried_addresses_are_refused(bits: u32) {
        let low = u128::from(bits);
        for carrier in [
            0x0064_ff9b_u128 << 96 | low,
            0x2002_u128 << 112 | low << 80,
            0x2001_0000_u128 << 96 | low,
            low,
        ] {
            let address = Ipv6Addr::from(carrier);
            // ::a.b.c.d with a zero prefix is IPv4-compatible, not mapped.
            prop_assert!(strict().require(address.into()).is_err(), "{address}");
        }
    }

    /// What the text of a URL makes of an IPv4 address is what is judged: decimal, octal,
    /// hexadecimal and short forms are the same address.
    #[test]
    fn every_notation_of_an_address_is_the_address(bits: u32, https: bool) {
        let plain = Ipv4Addr::from(bits);
        let [a, b, c, d] = plain.octets();
        let scheme = if https { "https" } else { "http" };
        let expected = with_http(&[]).require(plain.into());
        for host in [
            format!("{a}.{b}.{c}.{d}"),
            format!("{bits}"),
            format!("0x{bits:x}"),
            format!("0{bits:o}"),
            format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
            format!("0x{a:x}.{b}.0{c:o}.{d}"),
            format!("{a}.{b}.{}", u32::from(c) << 8 | u32::from(d)),
            format!("[::ffff:{a}.{b}.{c}.{d}]"),
            format!("{a}.{b}.{c}.{d}."),
        ] {
            let found = with_http(&[]).target(&format!("{scheme}://{host}/x"));
            prop_assert_eq!(found.map(drop), expected, "{}", host);
        }
    }

    /// An allowed network lets exactly its own closed addresses through.
    #[test]
    fn an_allowed_network_opens_itself_alone(address in closed(), net in select(&CLOSED[..])) {
        let net: IpNet = net.parse().expect("a network");
        let policy = OutboundPolicy { allow: vec![net], plain_http: false };
        let is_inside = net.contains(&address.to_canonical());
        prop_assert_eq!(policy.require(address).is_ok(), is_inside, "{} in {}", address, net);
    }
}

#[test]
fn public_addresses_get_through() {
    for address in ["1.1.1.1", "93.184.215.14", "172.15.255.255", "172.32.0.0", "100.128.0.0"] {
        strict().require(address.parse().expect("an address")).expect(address);
    }
    for address in ["2606:4700::1111", "2a00:1450:4001::1", "2001:4860:4860::8888", "2003::1"] {
        strict().require(address.parse().expect("an address")).expect(address);
    }
}

#[test]
fn the_text_of_a_url_is_judged_by_scheme_user_fragment_and_port() {
    use RefusedTarget::{Fragment, NoUrl, Port, Scheme, UserInfo};
    let refusal = |text: &str| strict().target(text).err();
    for (text, expected) in [
        ("http://acme.com/", Scheme),
        ("ftp://acme.com/", Scheme),
        ("file:///etc/passwd", Scheme),
        ("https://user@acme.com/", UserInfo),
        ("https://:word@acme.com/", UserInfo),
        ("https://acme.com/#x", Fragment),
        ("https://acme.com:22/", Port),
        ("https://acme.com:1023/", Port),
        ("https://acme.com:0/", Port),
        ("https://", NoUrl),
        ("acme.com", NoUrl),
        ("https://acme.com:99999/", NoUrl),
        ("https://1.2.3.4.5/", NoUrl),
    ] {
        assert_eq!(refusal(text), Some(expected), "{text}");
    }
    for text in ["https://acme.com/a?b", "https://acme.com:8443/", "https://acme.com:80/"] {
        assert_eq!(refusal(text), None, "{text}");
    }
    assert!(with_http(&[]).target("http://acme.com/").is_ok());
    let loopback = with_http(&["127.0.0.1/32", "::1/128"]);
    assert!(loopback.target("http://127.0.0.1:8080/").is_ok());
    assert!(loopback.target("http://[::1]:8080/").is_ok());
    assert!(loopback.target("http://127.0.0.2:8080/").is_err());
}
