//! Lower-case base32 whose digits are in the order of their bytes, so that texts sort as the
//! numbers they stand for.

const NOISE_BITS: u32 = 85;
const DIGITS: &[u8; 32] = b"234567abcdefghijklmnopqrstuvwxyz";

/// A prefix and the 26 digits of `number`.
pub fn with_prefix(prefix: &str, number: u128) -> String {
    let mut text = String::with_capacity(prefix.len() + 26);
    text.push_str(prefix);
    text.extend((0..26).rev().map(|at| DIGITS[(number >> (5 * at)) as usize & 31] as char));
    text
}

/// The number behind an id that sorts by its time: 43 bits of `at_ms`, 85 of `noise`.
pub fn number_at(at_ms: i64, noise: u128) -> u128 {
    let time = u128::try_from(at_ms).unwrap_or(0) & ((1 << 43) - 1);
    time << NOISE_BITS | noise >> 43
}

/// The like, up to 2^64 behind `latest` when that is of the same millisecond.
pub fn number_behind(latest: u128, at_ms: i64, noise: u128) -> u128 {
    let drawn = number_at(at_ms, noise);
    let next = latest.saturating_add(1 + (noise >> 64));
    // Above the last number of a millisecond comes any of it: no order is worth waiting for.
    if next >> NOISE_BITS == drawn >> NOISE_BITS { next } else { drawn }
}
