//! Origins that browsers send, and the patterns of a key that allow them.
//!
//! A pattern is an exact origin, or `https://*.acme.com` for one or more labels below, never the
//! apex and never a public suffix. Hosts are ASCII: an internationalised name is written in its
//! `xn--` form, as browsers send it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// An origin in its canonical form: lower case, without its scheme's own port.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origin {
    scheme: Scheme,
    host: String,
    port: u16,
}

/// What a key allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OriginPattern {
    /// This origin alone.
    Exact(Origin),
    /// Every origin one or more labels below this one's host.
    Below(Origin),
}

/// Why a text is not a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPattern {
    /// Not `scheme://host` or `scheme://host:port`.
    #[error(
        "is not an origin: write scheme://host or scheme://host:port, http or https, without a path"
    )]
    NotAnOrigin,
    /// A star elsewhere than as the whole first label of a domain.
    #[error("has a star elsewhere than as the first label of a domain, as in https://*.acme.com")]
    Star,
    /// The star would match other people's domains.
    #[error("would match everybody's domains below a public suffix: name your own domain")]
    PublicSuffix,
}

impl Origin {
    /// Reads the value of an `Origin` header. `None` for `null` and for everything that is not a
    /// serialised http or https origin.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = Scheme::parse(scheme)?;
        // A colon inside the brackets of an IPv6 address does not begin the port.
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (rest, None),
        };
        let port = port.map_or(Some(scheme.default_port()), parse_port)?;
        Some(Self { scheme, host: parse_host(host)?, port })
    }

    /// Whether one of the patterns allows this origin. Texts that are not patterns allow nothing.
    pub fn is_allowed_by(&self, patterns: &[String]) -> bool {
        patterns.iter().any(|text| OriginPattern::parse(text).is_ok_and(|it| it.matches(self)))
    }
}

impl OriginPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// [`BadPattern`], which completes the sentence "`<text>` …".
    pub fn parse(text: &str) -> Result<Self, BadPattern> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(BadPattern::NotAnOrigin);
        };
        let Some(base) = rest.strip_prefix("*.") else {
            let wrong = if rest.contains('*') { BadPattern::Star } else { BadPattern::NotAnOrigin };
            return Origin::parse(text).map(Self::Exact).ok_or(wrong);
        };
        if base.contains('*') {
            return Err(BadPattern::Star);
        }
        let base = Origin::parse(&format!("{scheme}://{base}")).ok_or(BadPattern::NotAnOrigin)?;
        if is_address(&base.host) {
            return Err(BadPattern::Star);
        }
        if spans_suffix(&base.host) {
            return Err(BadPattern::PublicSuffix);
        }
        Ok(Self::Below(base))
    }

    /// Whether this pattern allows an origin.
    pub fn matches(&self, origin: &Origin) -> bool {
        match self {
            Self::Exact(exact) => exact == origin,
            Self::Below(base) => {
                (base.scheme, base.port) == (origin.scheme, origin.port)
                    && is_below(&origin.host, &base.host)
                    // Some suffixes lie below ordinary domains, as s3.amazonaws.com does.
                    && psl::domain_str(&origin.host) == psl::domain_str(&base.host)
            }
        }
    }
}

/// The sources of a `frame-ancestors` directive; `'none'` when no pattern is valid.
pub fn frame_ancestors(patterns: &[String]) -> String {
    let sources: Vec<String> = patterns
        .iter()
        .filter_map(|text| OriginPattern::parse(text).ok())
        .map(|pattern| pattern.to_string())
        .collect();
    if sources.is_empty() { "'none'".into() } else { sources.join(" ") }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(out, "")
    }
}

impl fmt::Display for OriginPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(origin) => origin.write(out, ""),
            Self::Below(base) => base.write(out, "*."),
        }
    }
}

impl Origin {
    fn write(&self, out: &mut fmt::Formatter<'_>, star: &str) -> fmt::Result {
        let Self { scheme, host, port } = self;
        write!(out, "{}://{star}{host}", scheme.name())?;
        if *port != scheme.default_port() {
            write!(out, ":{port}")?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Scheme {
    Http,
    Https,
}

impl Scheme {
    fn parse(text: &str) -> Option<Self> {
        [Self::Http, Self::Https].into_iter().find(|it| it.name().eq_ignore_ascii_case(text))
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

fn parse_port(text: &str) -> Option<u16> {
    let plain = !text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}

fn parse_host(text: &str) -> Option<String> {
    if let Some(address) = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"));
    }
    let host = text.to_ascii_lowercase();
    let label = |label: &str| {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        (1..=63).contains(&label.len()) && label.bytes().all(plain)
    };
    if host.len() > 253 || !host.split('.').all(label) {
        return None;
    }
    // Browsers take a host that ends in a number for an address, so it must be one.
    let last = host.rsplit('.').next().unwrap_or_default();
    if last.bytes().all(|b| b.is_ascii_digit()) && host.parse::<Ipv4Addr>().is_err() {
        return None;
    }
    Some(host)
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<Ipv4Addr>().is_ok()
}

fn is_below(host: &str, base: &str) -> bool {
    host.strip_suffix(base).is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
}

/// Whether `*.base` reaches over a public suffix: `base` is one, or any label before it makes one
/// (the list has such rules: `*.kawasaki.jp`).
fn spans_suffix(base: &str) -> bool {
    let anything_below = format!("vestibule-probe.{base}");
    psl::domain_str(base).is_none()
        || psl::suffix_str(&anything_below) == Some(anything_below.as_str())
}

#[cfg(test)]
mod tests;
