//! The places that read the bytes of strangers, each as a function of bytes that panics when
//! something does not hold which must hold for any bytes.
//!
//! libFuzzer feeds them (`cargo xtask fuzz`), and a test feeds them the kept corpus. Knows no
//! fuzzer.

mod extractors;
mod origins;
mod signature_headers;
mod strict_reader;
mod tokens;

pub use extractors::extractors;
pub use origins::origins;
pub use signature_headers::signature_headers;
pub use strict_reader::strict_reader;
pub use tokens::tokens;

/// A function of bytes that panics when something does not hold.
pub type Target = fn(&[u8]);

/// Every target under the name of its program and of its folder in `corpus/`.
pub const TARGETS: [(&str, Target); 5] = [
    ("strict_reader", strict_reader),
    ("signature_headers", signature_headers),
    ("tokens", tokens),
    ("origins", origins),
    ("extractors", extractors),
];

/// The time of every target, milliseconds since 1970.
const NOW_MS: i64 = 1_795_000_000_000;

/// Cuts bytes at line feeds into `N` pieces; the last one keeps the rest.
fn pieces<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut lines = data.splitn(N, |byte| *byte == b'\n');
    [(); N].map(|()| lines.next().unwrap_or_default())
}
