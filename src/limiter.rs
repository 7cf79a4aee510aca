//! Counts calls per address and minute in constant memory.
//!
//! A fixed table of counters, chosen by a keyed hash: an attacker who invents addresses fills
//! counters that are there already, and cannot aim at somebody else's. Two addresses may share a
//! counter; then they share a limit.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::hmac;

use crate::error::{Error, Result};

/// The length of a window, seconds. It begins with the first call in it.
const WINDOW_S: u32 = 60;
/// Counters in the table, 8 bytes each.
const CELLS: usize = 1 << 16;
const COUNT_BITS: u32 = 24;

/// At most `limit` calls per address in any window that begins with a call.
pub struct Limiter {
    limit: u32,
    key: hmac::Key,
    cells: Box<[AtomicU64]>,
}

impl Limiter {
    /// A limiter whose table is chosen by `secret`.
    pub fn new(limit: u32, secret: [u8; 32]) -> Self {
        let cells = (0..CELLS).map(|_| AtomicU64::new(0)).collect();
        Self { limit, key: hmac::Key::new(hmac::HMAC_SHA256, &secret), cells }
    }

    /// Counts one call.
    ///
    /// # Errors
    /// `RateLimited` when it is one too many.
    pub fn count(&self, address: IpAddr, now_ms: i64) -> Result<()> {
        let now_s = u64::try_from(now_ms.div_euclid(1000)).unwrap_or(0);
        let cell = &self.cells[self.cell_of(address)];
        let mut seen = cell.load(Ordering::Relaxed);
        loop {
            let (mut began, mut count) = (seen >> COUNT_BITS, seen & ((1 << COUNT_BITS) - 1));
            // A clock that steps back begins a new window too, or it would never end.
            if count == 0 || now_s < began || now_s - began >= u64::from(WINDOW_S) {
                (began, count) = (now_s, 0);
            }
            if count >= u64::from(self.limit) {
                let left = u64::from(WINDOW_S) - (now_s - began);
                let retry_after_s = u32::try_from(left).unwrap_or(WINDOW_S);
                return Err(Error::RateLimited {
                    limit: self.limit,
                    window_s: WINDOW_S,
                    retry_after_s,
                });
            }
            let counted = (began << COUNT_BITS) | (count + 1);
            match cell.compare_exchange_weak(seen, counted, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => seen = now,
            }
        }
    }

    fn cell_of(&self, address: IpAddr) -> usize {
        let tag = match address {
            IpAddr::V4(v4) => hmac::sign(&self.key, &v4.octets()),
            // One subscriber holds a whole /64.
            IpAddr::V6(v6) => hmac::sign(&self.key, &v6.octets()[..8]),
        };
        let bytes = tag.as_ref();
        usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) % CELLS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2));

    #[test]
    fn the_call_after_the_last_allowed_one_is_refused_until_the_window_ends() {
        let limiter = Limiter::new(30, [7; 32]);
        for n in 0..30 {
            limiter.count(A, 1_000_000 + n * 1_900).unwrap();
        }
        let refused = limiter.count(A, 1_000_000 + 59_000).unwrap_err();
        assert!(matches!(refused, Error::RateLimited { retry_after_s: 1, limit: 30, .. }));
        limiter.count(A, 1_000_000 + 60_000).unwrap();
    }

    #[test]
    fn addresses_have_windows_of_their_own() {
        let limiter = Limiter::new(1, [7; 32]);
        limiter.count(A, 5_000).unwrap();
        limiter.count(B, 5_000).unwrap();
        assert!(limiter.count(A, 5_000).is_err());
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lock_anyone_out() {
        let limiter = Limiter::new(1, [7; 32]);
        limiter.count(A, 9_000_000).unwrap();
        limiter.count(A, 1_000).unwrap();
    }
}
