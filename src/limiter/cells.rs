//! Rates of any number of subjects in constant memory: GCRA (ITU-T I.371) over a sketch.
//!
//! A subject has one cell in each of four rows, chosen by a keyed hash, and shares each with
//! others. A cell holds when all that it was charged with is paid off; of a subject's four cells
//! the earliest is believed, and a request that passes moves those that are earlier than the new
//! instant up to it (Estan and Varghese's conservative update). So no cell is ever earlier than
//! its subject's own instant: sharing never loosens a limit. It tightens one only where all four
//! cells are shared with busy subjects; `benches/limiter.rs` says how rarely that is.

use std::sync::{Mutex, PoisonError};

use aws_lc_rs::hmac;

/// How often one subject may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Steadily, from 1.
    pub per_minute: u32,
    /// At once, from 1 to `per_minute`.
    pub burst: u32,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged {
    /// Milliseconds until it would pass; `None` when it passed.
    pub wait_ms: Option<i64>,
    /// How many more would pass now.
    pub remaining: u32,
    /// Milliseconds until the whole burst would pass again.
    pub whole_in_ms: i64,
}

/// The cells. All methods may be called from many threads.
pub struct Cells {
    key: hmac::Key,
    /// A subject's cells are all in one shard, so that one lock makes its requests exact.
    shards: Box<[Mutex<Shard>]>,
}

/// Microseconds since 1970; the past means an empty cell.
type Shard = [[u64; WIDTH]; ROWS];

const ROWS: usize = 4;
/// One byte of the hash chooses among them.
const WIDTH: usize = 256;

const MINUTE_US: u64 = 60_000_000;
/// No cell is charged further ahead than a minute and what rounding adds. One that lies beyond was
/// charged by a clock that has been set back since, and is taken for empty.
const HORIZON_US: u64 = 2 * MINUTE_US;

impl Rate {
    /// Between two requests of a steady stream, rounded up.
    fn interval_us(self) -> u64 {
        MINUTE_US.div_ceil(self.per_minute.into())
    }

    /// Milliseconds within which a whole burst comes back.
    pub fn window_ms(self) -> i64 {
        ms(self.interval_us() * u64::from(self.burst))
    }
}

impl Cells {
    /// What so many shards take up in memory.
    pub const fn bytes(shards: usize) -> usize {
        shards * size_of::<Mutex<Shard>>()
    }

    /// `shards` × 8 KiB of cells, chosen by `secret`.
    pub fn new(shards: usize, secret: [u8; 32]) -> Self {
        let shards = (0..shards).map(|_| Mutex::new([[0; WIDTH]; ROWS])).collect();
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, &secret), shards }
    }

    /// Charges one request of a subject at `now_ms`, unless it is one too many.
    pub fn charge(&self, subject: &[u8], rate: Rate, now_ms: i64) -> Charged {
        self.judge(subject, rate, now_ms, true)
    }

    /// What [`Cells::charge`] would say; charges nothing.
    pub fn look(&self, subject: &[u8], rate: Rate, now_ms: i64) -> Charged {
        self.judge(subject, rate, now_ms, false)
    }

    fn judge(&self, subject: &[u8], rate: Rate, now_ms: i64, charges: bool) -> Charged {
        let now = u64::try_from(now_ms).unwrap_or(0) * 1000;
        let (interval, burst) = (rate.interval_us(), u64::from(rate.burst));
        let hash = hmac::sign(&self.key, subject);
        let (shard, columns) = hash.as_ref().split_at(4);
        let shard = u32::from_be_bytes([shard[0], shard[1], shard[2], shard[3]]) as usize;
        let mut shard = self.shards[shard % self.shards.len()]
            .lock()
            // A charge is a few assignments of numbers: nothing that a panic could leave half done.
            .unwrap_or_else(PoisonError::into_inner);
        let mine = || (0..ROWS).map(|row| (row, usize::from(columns[row])));
        let known = |cell: u64| if cell > now + HORIZON_US { now } else { cell.max(now) };
        let paid = mine().map(|(row, column)| known(shard[row][column])).min().unwrap_or(now);
        let (charged, end) = (paid + interval, now + interval * burst);
        if charged > end {
            let wait_ms = Some(ms(charged - end));
            return Charged { wait_ms, remaining: 0, whole_in_ms: ms(paid - now) };
        }
        for (row, column) in mine().filter(|_| charges) {
            let cell = &mut shard[row][column];
            *cell = known(*cell).max(charged);
        }
        let remaining = u32::try_from((end - charged) / interval).unwrap_or(u32::MAX);
        Charged { wait_ms: None, remaining, whole_in_ms: ms(charged - now) }
    }
}

/// Microseconds as milliseconds, rounded up.
fn ms(us: u64) -> i64 {
    i64::try_from(us.div_ceil(1000)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::atomic::{AtomicU32, Ordering};

    use proptest::prelude::*;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const RATE: Rate = Rate { per_minute: 30, burst: 30 };

    fn cells() -> Cells {
        Cells::new(1, [7; 32])
    }

    fn passes(cells: &Cells, subject: &str, rate: Rate, now_ms: i64) -> bool {
        cells.charge(subject.as_bytes(), rate, now_ms).wait_ms.is_none()
    }

    #[test]
    fn a_burst_passes_and_then_one_in_each_interval() {
        let cells = cells();
        for left in (0..30).rev() {
            let charged = cells.charge(b"a", RATE, NOW);
            assert_eq!((charged.wait_ms, charged.remaining), (None, left));
        }
        let refused = cells.charge(b"a", RATE, NOW + 500);
        let expected = Charged { wait_ms: Some(1500), remaining: 0, whole_in_ms: 59_500 };
        assert_eq!(refused, expected);
        assert!(!passes(&cells, "a", RATE, NOW + 1999));
        for _ in 0..3 {
            assert_eq!(cells.look(b"a", RATE, NOW + 2000).wait_ms, None, "looking costs nothing");
        }
        assert!(passes(&cells, "a", RATE, NOW + 2000));
        assert!(!passes(&cells, "a", RATE, NOW + 2000));
        assert_eq!(cells.look(b"a", RATE, NOW + 2000).wait_ms, Some(2000));
        assert!(passes(&cells, "b", RATE, NOW), "others are not meant");
        assert_eq!(RATE.window_ms(), 60_000);
    }

    #[test]
    fn a_clock_that_steps_back_does_not_lock_anyone_out() {
        let (cells, rate) = (cells(), Rate { per_minute: 1, burst: 1 });
        assert!(passes(&cells, "a", rate, NOW));
        assert!(passes(&cells, "a", rate, NOW - 3_600_000));
        assert!(!passes(&cells, "a", rate, NOW - 3_600_000));
    }

    #[test]
    fn many_at_once_pass_as_often_as_one_after_the_other() {
        let (cells, passed) = (cells(), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mine = (0..100).filter(|_| passes(&cells, "a", RATE, NOW)).count();
                    passed.fetch_add(u32::try_from(mine).unwrap(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(passed.into_inner(), RATE.burst);
    }

    /// GCRA of one subject without any sharing.
    #[derive(Default)]
    struct Exact(HashMap<u16, u64>);

    impl Exact {
        fn passes(&self, subject: u16, rate: Rate, now: u64) -> Option<u64> {
            let charged = self.0.get(&subject).copied().unwrap_or(0).max(now) + rate.interval_us();
            (charged <= now + rate.interval_us() * u64::from(rate.burst)).then_some(charged)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// However many share the cells, nobody passes who would not pass alone.
        #[test]
        fn sharing_never_loosens_a_limit(
            requests in proptest::collection::vec((0u16..600, 0i64..40), 1..3000),
        ) {
            let rates = [(600, 10), (60, 60), (6000, 3)];
            let rates = rates.map(|(per_minute, burst)| Rate { per_minute, burst });
            let (cells, mut exact, mut now) = (cells(), Exact::default(), NOW);
            for (subject, later) in requests {
                now += later;
                // A subject has one rate for good.
                let rate = rates[usize::from(subject) % 3];
                let alone = exact.passes(subject, rate, now as u64 * 1000);
                let shared = cells.charge(&subject.to_be_bytes(), rate, now).wait_ms.is_none();
                prop_assert!(alone.is_some() || !shared, "{subject} at {now}");
                if let (Some(charged), true) = (alone, shared) {
                    exact.0.insert(subject, charged);
                }
            }
        }
    }
}
