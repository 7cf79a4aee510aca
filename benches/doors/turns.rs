//! Servers that take turns under the same load, so that whatever the machine does besides meets all
//! of them.

use std::time::Duration;

use crate::CONNECTIONS;
use crate::door::{Door, Holder};
use crate::load;
use crate::server::{Server, cpu_s};

/// Rounds of every door; the median counts.
pub const ROUNDS: usize = 5;
/// How long one round of one server should take, seconds.
const ROUND_S: f64 = 1.0;
/// Requests of the first round, which warms up and tells how many a second takes.
const FIRST: usize = 2_000;

/// What one server did in one round.
#[derive(Clone, Copy, Default)]
pub struct Figures {
    /// Requests a second.
    pub rps: f64,
    /// How much of a core the server used; below 1 it waited, for the disk or for the client.
    pub busy: f64,
    /// Processor time of one request, all threads and the kernel together, microseconds.
    pub cost_us: f64,
    /// Processor time of the client for one request, microseconds.
    pub client_us: f64,
}

/// One door: what each server did in each round, in the order in which they were given.
pub struct Turn<const SERVERS: usize> {
    pub door: Door,
    rounds: Vec<[Figures; SERVERS]>,
}

/// Loads all servers with all doors, round by round. Their order alternates.
pub async fn take_turns<const SERVERS: usize>(
    doors: &[Door],
    servers: [(&Server, &Holder); SERVERS],
) -> Vec<Turn<SERVERS>> {
    let mut turns: Vec<_> = doors.iter().map(|door| Turn { door: *door, rounds: vec![] }).collect();
    for round in 0..=ROUNDS {
        for Turn { door, rounds } in &mut turns {
            let mut done = [Figures::default(); SERVERS];
            for step in 0..SERVERS {
                let at = if round % 2 == 0 { step } else { SERVERS - 1 - step };
                let (server, holder) = servers[at];
                let size = rounds.last().map_or(FIRST, |last| last[at].requests_of_a_round());
                done[at] = run(server, holder, *door, size).await;
            }
            rounds.push(done);
        }
    }
    turns
}

/// One closed loop: each connection sends its next request once the last one is answered.
pub async fn run(server: &Server, holder: &Holder, door: Door, requests: usize) -> Figures {
    let requests = (0..requests).map(|at| door.request(holder, at)).collect();
    let used = || (server.cpu_s(), cpu_s("self"));
    let (server_before, client_before) = used();
    let took = load::run(server.address, CONNECTIONS, door.status(), requests).await;
    let (server_after, client_after) = used();
    let each_us = |seconds: f64| 1e6 * seconds / took.answers as f64;
    Figures {
        rps: took.answers as f64 / took.seconds,
        busy: (server_after - server_before) / took.seconds,
        cost_us: each_us(server_after - server_before),
        client_us: each_us(client_after - client_before),
    }
}

impl Figures {
    fn requests_of_a_round(&self) -> usize {
        ((self.rps * ROUND_S) as usize).max(1_000)
    }
}

impl<const SERVERS: usize> Turn<SERVERS> {
    /// The median of a value of all rounds but the one that warmed up.
    pub fn median(&self, value: impl Fn([Figures; SERVERS]) -> f64) -> f64 {
        median(self.rounds[1..].iter().map(|round| value(*round)).collect())
    }
}

/// The one in the middle, of two the greater.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The latency that this share of all do not exceed.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

/// Of a table, where fractions of them count.
pub fn milliseconds(latency: Duration) -> f64 {
    latency.as_secs_f64() * 1e3
}
