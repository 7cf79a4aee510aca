//! How long creates take when they come by themselves, at a share of what the service can do.
//!
//! An open loop: who comes does not wait for whoever came before, so a slow answer delays no later
//! question, and what a request waits for a connection counts. Gaps are drawn from an exponential
//! distribution, as of many callers who know nothing of each other.

use std::ops::Range;
use std::time::Duration;

use clap::Args;

use crate::door::{Door, Holder};
use crate::load;
use crate::server::Service;
use crate::turns::{ROUNDS, median, milliseconds, percentile, run};
use crate::{CONNECTIONS, cores, data_dir};

/// Latencies of creates that come at a share of the throughput measured just before
#[derive(Args)]
pub struct Steady {
    /// The share of the throughput of the closed loop, percent
    #[arg(long, value_name = "PERCENT", default_value_t = 80)]
    load: u32,
    /// How long each round offers requests, seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 4)]
    seconds: u32,
}

/// Connections, more than there are ever requests under way.
const OPEN: usize = 256;
/// Requests of the closed loop before each round.
const CLOSED: usize = 10_000;
/// The most that is aimed at of the 99th percentile, milliseconds.
const AIM_MS: f64 = 5.0;

/// What became of one round.
struct Round {
    closed: f64,
    answered: f64,
    latencies: Vec<Duration>,
}

impl Steady {
    pub async fn measure(&self) {
        let data = data_dir();
        let service = Service::at(data.path()).start();
        let holder = Holder::open(&service, CONNECTIONS).await;
        println!(
            "closed loop of {CONNECTIONS} connections, then {} % of its requests a second by \
             schedule over {OPEN} for {} s; median of {ROUNDS} rounds, {}\n",
            self.load,
            self.seconds,
            cores()
        );
        println!(
            "{:<24}{:>10}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "door", "closed/s", "answered/s", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "aim p99"
        );
        for door in Door::CREATES {
            run(&service, &holder, door, CLOSED).await;
            let mut rounds = Vec::new();
            for _ in 0..ROUNDS {
                let closed = run(&service, &holder, door, CLOSED).await.rps;
                let offered = closed * f64::from(self.load) / 100.0;
                let count = (offered * f64::from(self.seconds)) as usize;
                let requests = |of: Range<usize>| of.map(|at| door.request(&holder, at)).collect();
                let (greetings, requests) = (requests(0..OPEN), requests(OPEN..OPEN + count));
                let offer = load::Offer { greetings, per_second: offered, requests };
                let (took, mut latencies) =
                    load::offer(service.address, door.status(), offer).await;
                latencies.sort_unstable();
                let answered = took.answers as f64 / took.seconds;
                rounds.push(Round { closed, answered, latencies });
            }
            print_row(door, &rounds);
        }
    }
}

fn print_row(door: Door, rounds: &[Round]) {
    let of = |value: &dyn Fn(&Round) -> f64| median(rounds.iter().map(value).collect());
    let latency = |share: f64| of(&|round| milliseconds(percentile(&round.latencies, share)));
    println!(
        "{:<24}{:>10.0}{:>12.0}{:>9.2}{:>9.2}{:>9.2}{:>9.2}{:>9}",
        door.name(),
        of(&|round| round.closed),
        of(&|round| round.answered),
        latency(0.5),
        latency(0.99),
        latency(0.999),
        latency(1.0),
        AIM_MS
    );
}
