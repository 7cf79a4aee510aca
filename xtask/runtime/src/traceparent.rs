//! The caller's trace, from its `traceparent` header (W3C Trace Context, section 3.2).
//!
//! A malformed header is no trace: nothing is refused for it, and nothing of it is shown.

use std::fmt;

use http::HeaderMap;

/// Which trace a request belongs to, and the caller's span in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace's id; never all zero.
    pub trace_id: [u8; 16],
    /// The caller's span; never all zero.
    pub span_id: [u8; 8],
    /// Whether the caller keeps this trace.
    pub sampled: bool,
}

/// The trace's id, 32 lower-case hex digits.
impl fmt::Display for TraceParent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:032x}", u128::from_be_bytes(self.trace_id))
    }
}

const NAME: &str = "traceparent";

/// Version, trace id, span id and flags, with their hyphens.
const LENGTH: usize = 55;

impl TraceParent {
    /// The one trace of a request; `None` when there is none, or more than one.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut all = headers.get_all(NAME).iter();
        let (one, other) = (all.next()?, all.next());
        Self::parse(one.to_str().ok().filter(|_| other.is_none())?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (known, rest) = (text.get(..LENGTH)?, &text[LENGTH..]);
        let mut parts = known.split('-');
        let [version] = hex(parts.next()?)?;
        let (trace_id, span_id) = (hex(parts.next()?)?, hex(parts.next()?)?);
        let [flags] = hex(parts.next()?)?;
        // Later versions may add fields behind a hyphen; 255 is no version.
        let is_readable = match version {
            0 => rest.is_empty(),
            255 => false,
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let is_one = is_readable && trace_id != [0; 16] && span_id != [0; 8];
        is_one.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Exactly `N` bytes in lower-case hex.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The example of the specification.
    const EXAMPLE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn the_example_of_the_specification_is_read() {
        let parent = TraceParent::parse(EXAMPLE).unwrap();
        assert_eq!(parent.to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(parent.span_id, [0xb7, 0xad, 0x6b, 0x71, 0x69, 0x20, 0x33, 0x31]);
        assert!(parent.sampled);
        assert!(!TraceParent::parse(&EXAMPLE.replace("-01", "-00")).unwrap().sampled);
    }

    #[test]
    fn later_versions_may_say_more() {
        let later = EXAMPLE.replacen("00", "cc", 1);
        assert!(TraceParent::parse(&format!("{later}-what-the-future-will-be-like")).is_some());
        assert!(TraceParent::parse(&format!("{later}.what")).is_none());
        assert!(TraceParent::parse(&format!("{EXAMPLE}-what")).is_none());
    }

    #[test]
    fn what_is_malformed_is_no_trace() {
        let zeros = ["0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"]
            .map(|id| EXAMPLE.replace(id, &"0".repeat(id.len())));
        let upper = EXAMPLE.replace("0af", "0AF");
        let moved = EXAMPLE.replace("c-b7", "-cb7");
        let wide = "0é-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let others = ["", "00", &EXAMPLE[..54], &EXAMPLE.replacen("00", "ff", 1), &upper, &moved];
        let all = others.into_iter().chain([wide]).chain(zeros.iter().map(String::as_str));
        for text in all {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn two_traces_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(NAME, HeaderValue::from_static(EXAMPLE));
        assert!(TraceParent::of(&headers).is_some());
        headers.append(NAME, HeaderValue::from_static(EXAMPLE));
        assert!(TraceParent::of(&headers).is_none());
    }
}
