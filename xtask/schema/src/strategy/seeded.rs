//! A proptest strategy that draws from one seed and shrinks by drawing the same seed again with
//! less appetite; and the small generator of numbers behind it.
//!
//! One imperative draw keeps budgets, exact sizes and unique items simple; nothing is rejected.

use std::fmt;
use std::sync::Arc;

use proptest::num;
use proptest::strategy::{BoxedStrategy, NewTree, Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Draws one value for a plain test case: the same value for the same seed.
pub fn sample<T: fmt::Debug>(strategy: &BoxedStrategy<T>, seed: u64) -> T {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).expect("these strategies reject nothing").current()
}

/// How much a draw puts into a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// Required members only, everything as short as allowed.
    Lean,
    /// Some optional members, short.
    Small,
    /// Every optional member, nothing empty, short.
    Full,
    /// Anything allowed, bounds often.
    Wild,
}

/// A splitmix64 generator: any seed is a good one, and a draw costs nothing.
#[derive(Clone, Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number under `n`, or 0.
    pub fn below(&mut self, n: usize) -> usize {
        (self.roll() % n.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        let span = (i128::from(high) - i128::from(low) + 1).max(1);
        (i128::from(low) + i128::from(self.roll()) % span) as i64
    }

    /// One element of a list that is not empty.
    pub fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len())]
    }
}

/// What one draw does.
pub(super) type Make<T> = dyn Fn(Dice, Appetite) -> T + Send + Sync;

/// A strategy around a draw; `appetites` lists what shrinking tries, richest first.
pub(super) struct Seeded<T> {
    appetites: &'static [Appetite],
    make: Arc<Make<T>>,
}

impl<T: fmt::Debug + 'static> Seeded<T> {
    pub fn boxed(
        appetites: &'static [Appetite],
        make: impl Fn(Dice, Appetite) -> T + Send + Sync + 'static,
    ) -> BoxedStrategy<T> {
        Strategy::boxed(Self { appetites, make: Arc::new(make) })
    }
}

impl<T> fmt::Debug for Seeded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeded").field("appetites", &self.appetites).finish_non_exhaustive()
    }
}

impl<T: fmt::Debug> Strategy for Seeded<T> {
    type Tree = SeededTree<T>;
    type Value = T;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let seed = num::u64::ANY.new_tree(runner)?.current();
        let (appetites, make) = (self.appetites, self.make.clone());
        Ok(SeededTree { appetites, make, seed, level: 0, settled: false })
    }
}

/// One drawn value and how far it has been simplified.
pub(super) struct SeededTree<T> {
    appetites: &'static [Appetite],
    make: Arc<Make<T>>,
    seed: u64,
    level: usize,
    settled: bool,
}

impl<T: fmt::Debug> ValueTree for SeededTree<T> {
    type Value = T;

    fn current(&self) -> T {
        (self.make)(Dice::new(self.seed), self.appetites[self.level])
    }

    fn simplify(&mut self) -> bool {
        let simpler = !self.settled && self.level + 1 < self.appetites.len();
        self.level += usize::from(simpler);
        simpler
    }

    fn complicate(&mut self) -> bool {
        let back = !self.settled && self.level > 0;
        self.level -= usize::from(back);
        self.settled = true;
        back
    }
}
