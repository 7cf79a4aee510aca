//! Finds where the head of an HTTP/1.1 request ends, and how long it has become. Looks at bytes as
//! they pass and keeps none; what the head says is the server's business.

/// Follows one head.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head {
    bytes: usize,
    /// The current line has bytes beside its end.
    has_line: bool,
    /// Lines before the first are empty: a server skips them, so they end no head.
    has_begun: bool,
    prefix: [u8; PREFACE.len()],
}

/// What a head has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// Its end is still to come.
    Open,
    /// Its last byte was seen.
    Complete,
    /// It is longer than heads may be.
    TooLong,
    /// It is none: the peer begins TLS where none is spoken, or HTTP/2, which passes by without heads
    /// that could be watched.
    Foreign,
}

/// How a peer begins HTTP/2 without having been asked (RFC 9113, section 3.4).
const PREFACE: [u8; 6] = *b"PRI * ";
/// How a peer begins TLS (RFC 8446, section 5.1). It waits for an answer and would send no more.
const HANDSHAKE: u8 = 22;

impl Head {
    /// Takes the next bytes; `most` is the most bytes of a head.
    pub(super) fn take(&mut self, mut bytes: &[u8], most: usize) -> Progress {
        if self.is_foreign(bytes) {
            return Progress::Foreign;
        }
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.see(&bytes[..end]);
            if self.bytes <= most && !self.has_line && self.has_begun {
                return Progress::Complete;
            }
            self.has_line = false;
            self.bytes += 1;
            if self.bytes > most {
                return Progress::TooLong;
            }
            bytes = &bytes[end + 1..];
        }
        self.see(bytes);
        if self.bytes > most { Progress::TooLong } else { Progress::Open }
    }

    /// Takes bytes of one line without its end.
    fn see(&mut self, line: &[u8]) {
        self.bytes += line.len();
        self.has_line |= line.iter().any(|byte| *byte != b'\r');
        self.has_begun |= self.has_line;
    }

    /// Whether the next bytes show that no head begins here.
    fn is_foreign(&mut self, bytes: &[u8]) -> bool {
        let begin = self.prefix.get_mut(self.bytes..).unwrap_or_default();
        let known = begin.len().min(bytes.len());
        begin[..known].copy_from_slice(&bytes[..known]);
        known > 0 && (self.prefix[0] == HANDSHAKE || self.prefix == PREFACE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 64;

    fn of(bytes: &[u8]) -> Progress {
        Head::default().take(bytes, MOST)
    }

    #[test]
    fn a_head_ends_at_its_first_empty_line() {
        assert_eq!(of(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"), Progress::Complete);
        assert_eq!(of(b"GET / HTTP/1.1\nhost: a\n\n"), Progress::Complete);
        assert_eq!(of(b"GET / HTTP/1.1\r\nhost: a\r\n"), Progress::Open);
        assert_eq!(of(b"GET / HTTP/1.1\r\n\r\n{body}"), Progress::Complete);
    }

    #[test]
    fn empty_lines_before_it_end_no_head() {
        assert_eq!(of(b"\r\n\r\n"), Progress::Open);
        assert_eq!(of(b"\r\nGET / HTTP/1.1\r\n\r\n"), Progress::Complete);
    }

    #[test]
    fn a_head_in_single_bytes_is_the_same_head() {
        let mut head = Head::default();
        let bytes = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
        let (last, before) = bytes.split_last().expect("bytes");
        assert!(before.iter().all(|byte| head.take(&[*byte], MOST) == Progress::Open));
        assert_eq!(head.take(&[*last], MOST), Progress::Complete);
    }

    #[test]
    fn a_head_may_be_as_long_as_allowed_and_no_longer() {
        let exact = format!("GET /{} HTTP/1.1\r\n\r\n", "a".repeat(MOST - 18));
        assert_eq!((exact.len(), of(exact.as_bytes())), (MOST, Progress::Complete));
        assert_eq!(of(&[b'a'; MOST]), Progress::Open);
        assert_eq!(of(&[b'a'; MOST + 1]), Progress::TooLong);
        assert_eq!(of(&[b'\r'; MOST + 1]), Progress::TooLong);
    }

    #[test]
    fn tls_is_noticed_at_its_first_byte() {
        assert_eq!(of(&[HANDSHAKE]), Progress::Foreign);
        assert_eq!(of(&[b'G', HANDSHAKE]), Progress::Open);
    }

    #[test]
    fn the_preface_of_http_2_is_noticed_at_its_sixth_byte() {
        assert_eq!(of(b"PRI *"), Progress::Open);
        assert_eq!(of(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Progress::Foreign);
    }
}
