//! A seeded simulation: many callers of the store at a time, on a database that fails, delays,
//! commits and then fails, and ends with its process, by a clock that jumps. What must hold is in
//! [`model`].
//!
//! `VESTIBULE_SIMULATION_MINUTES=1 cargo test --release --lib simulation -- --nocapture` goes on for
//! so long, from new seeds each time. A seed that fails is printed and kept in `simulation.seeds`,
//! which every run begins with.

mod ask;
mod model;

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Place;
use super::tests::{audit, furnished, iframe_key};
use crate::domain::limits::{Limits, LimitsChange};
use crate::store::Store;
use crate::store::weather::{Fate, Weather};
use crate::store::{engine, sqlite};
use ask::{Ask, ask};
use model::{HOUR_MS, Model};

/// What one caller asks for in each turn; all of them at once.
const CALLERS: usize = 96;
const TURNS: usize = 60;
/// Turns between two looks at the whole database.
const LOOK_EVERY: usize = 20;
const START: i64 = 1_700_000_000_000;
const USERS: u64 = 8;

const SEEDS: &str = include_str!("simulation.seeds");
const SEEDS_FILE: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/on_sqlite/simulation.seeds");

/// Numbers that look drawn and follow from a seed (SplitMix64).
struct Draws(u64);

impl Draws {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }
}

/// One run of a seed.
struct Simulation {
    draws: Draws,
    place: Place,
    weather: Arc<Weather>,
    store: Store,
    model: Model,
    now: i64,
    /// Fates that no database may have, for the proof that they are found.
    worst: Option<Fate>,
}

/// What came of a run.
struct Outcome {
    steps: usize,
    crashes: usize,
    faults: Vec<String>,
}

impl Simulation {
    async fn new(seed: u64, worst: Option<Fate>) -> Self {
        let (place, store) = furnished().await;
        let capped = iframe_key("key_capped");
        store.create_key(capped, audit("ten_a"), None).await.expect("a key");
        store.close().await;
        let weather = Arc::<Weather>::default();
        let store = open(&place, weather.clone()).await;
        let limits = Limits { hourly: Some(model::MESSAGES_AN_HOUR), ..Limits::default() };
        for uid in 0..USERS {
            let set = LimitsChange::Set(limits);
            ask::link(&store, &format!("ses_of_{uid}"), START, uid, set, None)
                .await
                .expect("opens");
        }
        let draws = Draws(seed);
        Self { draws, place, weather, store, model: Model::new(USERS), now: START, worst }
    }

    async fn run(mut self) -> Outcome {
        let mut crashes = 0;
        for turn in 1..=TURNS {
            self.turn().await;
            if self.weather.is_dead() {
                crashes += 1;
                self.weather.revive();
                self.store = open(&self.place, self.weather.clone()).await;
                self.model.look(&self.store, self.now).await;
            }
            if turn % LOOK_EVERY == 0 || turn == TURNS {
                self.model.look(&self.store, self.now).await;
            }
            if !self.model.faults.is_empty() {
                break;
            }
        }
        Outcome { steps: self.model.steps, crashes, faults: self.model.faults }
    }

    async fn turn(&mut self) {
        self.pass_time();
        let fates: Vec<_> = match self.draws.below(5) {
            0 => (0..=self.draws.below(3)).map(|_| self.fate()).collect(),
            _ => Vec::new(),
        };
        self.weather.send(fates);
        let asks: Vec<Ask> =
            (0..CALLERS).map(|_| self.model.draw(&mut self.draws, self.now)).collect();
        let gives_up: Vec<bool> = asks.iter().map(|_| self.draws.below(50) == 0).collect();
        let all = asks.iter().zip(gives_up).map(|(it, gives_up)| {
            let told = ask(&self.store, it, self.now);
            async move {
                match gives_up {
                    // Whoever gives up leaves its request behind.
                    true => ask::once(told).await,
                    false => told.await,
                }
            }
        });
        let told = futures::future::join_all(all).await;
        // What was left behind is written before anybody asks again.
        let _ = self.store.ready().await;
        self.model.hear(&asks, &told, self.now);
    }

    /// Ahead, mostly a little, and sometimes back, but into no hour that is over.
    fn pass_time(&mut self) {
        let step = match self.draws.below(100) {
            0..80 => self.draws.below(3_000),
            80..90 => self.draws.below(600_000),
            90..93 => self.draws.below(2 * HOUR_MS as u64),
            _ => {
                let back = self.draws.below(20_000) as i64;
                let hour = self.now.div_euclid(HOUR_MS) * HOUR_MS;
                self.now = (self.now - back).max(hour);
                return;
            }
        };
        self.now += step as i64;
    }

    fn fate(&mut self) -> Fate {
        if let Some(worst) = self.worst {
            return worst;
        }
        match self.draws.below(12) {
            0..2 => Fate::NeverBegins,
            2..4 => Fate::NeverCommits,
            4..7 => Fate::IsSpoilt,
            7..9 => Fate::CommitsUnheard,
            9 => Fate::DiesBefore,
            10 => Fate::DiesAfter,
            _ => Fate::Fine,
        }
    }
}

/// A store like any other, but for the weather.
async fn open(place: &Place, weather: Arc<Weather>) -> Store {
    let queued = Arc::default();
    let opened = sqlite::open(place.path(), Arc::clone(&queued)).await;
    let (mut conn, readers): (engine::Connection, _) = opened.expect("opens");
    conn.weather = Some(weather);
    Store::on(conn, readers, queued).await.expect("opens")
}

fn kept_seeds() -> impl Iterator<Item = u64> {
    let lines = SEEDS.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.map(|line| line.trim().parse().expect("a seed is a number"))
}

/// Runs a seed and keeps it when it fails.
async fn require(seed: u64) -> Outcome {
    let outcome = Simulation::new(seed, None).await.run().await;
    if !outcome.faults.is_empty() {
        if !kept_seeds().any(|kept| kept == seed) {
            let file = std::fs::OpenOptions::new().append(true).open(SEEDS_FILE);
            writeln!(file.expect("the repository is ours"), "{seed}").expect("it is ours");
        }
        panic!("seed {seed}, now in {SEEDS_FILE}: {:#?}", outcome.faults);
    }
    outcome
}

/// Where new seeds begin: other ones each time when it goes on for long.
fn first_seed(lasting: Duration) -> u64 {
    if lasting.is_zero() { 1 } else { u64::from(std::process::id()) << 32 }
}

#[tokio::test]
async fn a_simulated_store_loses_nothing_and_does_nothing_twice() {
    let minutes = std::env::var("VESTIBULE_SIMULATION_MINUTES").ok();
    let minutes = minutes.map_or(0, |text| text.parse().expect("a number of minutes"));
    let (begun, lasting) = (Instant::now(), Duration::from_secs(60 * minutes));
    let (mut runs, mut steps, mut crashes) = (0, 0, 0);
    let new = (first_seed(lasting)..).enumerate();
    let new = new.take_while(|(number, _)| *number < 2 || begun.elapsed() < lasting);
    for seed in kept_seeds().chain(new.map(|(_, seed)| seed)) {
        let outcome = require(seed).await;
        (runs, steps, crashes) = (runs + 1, steps + outcome.steps, crashes + outcome.crashes);
    }
    let a_minute = steps as f64 / begun.elapsed().as_secs_f64() * 60.0;
    println!("{runs} seeds, {steps} steps, {crashes} crashes; {a_minute:.0} steps a minute");
    assert!(steps > TURNS * CALLERS && crashes > 0);
}

#[tokio::test]
async fn a_store_that_forgets_what_it_acknowledged_is_found() {
    let outcome = Simulation::new(1, Some(Fate::IsForgotten)).await.run().await;
    assert!(outcome.faults.iter().any(|fault| fault.contains("lost")), "{:?}", outcome.faults);
}
