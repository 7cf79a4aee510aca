//! Requests per second of each door beside a bare dropshot endpoint of the same shapes.
//!
//! `cargo bench --bench doors [-- part of a door's name]`. The service is the shipped binary in `--dev`, its SQLite database
//! with `synchronous=FULL` below `target/`. Servers take turns on one core, the client has another
//! (`taskset`, when there is one). Every request is unique and signed before its round begins.

mod bare;
mod door;
mod load;
mod server;

use std::process::{Command, ExitCode};

use door::{Door, Holder};
use server::Server;

/// Keep-alive connections, each with one request at a time.
const CONNECTIONS: usize = 32;
/// Rounds of every door; the median counts.
const ROUNDS: usize = 5;
/// How long one round of one server should take, seconds.
const ROUND_S: f64 = 1.0;

/// The core of the servers and the client's.
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";

/// Set in the process that has its core already.
const PINNED: &str = "DOORS_PINNED";

fn main() -> ExitCode {
    if let Some(answers) = std::env::var_os(bare::ANSWERS) {
        return bare::main(answers.as_ref());
    }
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("doors: measures only as `cargo bench --bench doors`");
        return ExitCode::SUCCESS;
    }
    if std::env::var_os(PINNED).is_none() {
        return on_own_core();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure());
    ExitCode::SUCCESS
}

/// Runs this program again, on the client's core when it can be chosen.
fn on_own_core() -> ExitCode {
    let own = std::env::current_exe().expect("the path of this program");
    let can_pin = std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1)
        && Command::new("taskset").arg("--version").output().is_ok();
    let mut command = match can_pin {
        true => server::pinned(CLIENT_CORE, &own),
        false => Command::new(own),
    };
    let pinned = if can_pin { "yes" } else { "no" };
    let status = command.args(std::env::args().skip(1)).env(PINNED, pinned).status();
    let is_good = status.expect("this program starts again").success();
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn measure() {
    let data = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let service = Server::service(data.path());
    let holder = Holder::open(&service, CONNECTIONS).await;
    let answers = data.path().join("answers.json");
    std::fs::write(&answers, holder.answers.to_string()).expect("the directory is ours");
    let bare = Server::bare(&answers);
    let wanted: Vec<_> = std::env::args().skip(1).filter(|it| !it.starts_with('-')).collect();
    let is_wanted = |door: &Door| wanted.iter().all(|part| door.name().contains(part));
    let mut tables: Vec<_> =
        Door::ALL.into_iter().filter(is_wanted).map(|door| (door, Vec::new())).collect();
    for round in 0..=ROUNDS {
        for (door, rounds) in &mut tables {
            let (mut ours, mut theirs) = (Side::new(&service), Side::new(&bare));
            // The first round warms up and tells how much a second takes; order alternates.
            let sizes = rounds.last().map_or((2_000, 4_000), Round::requests);
            if round % 2 == 0 {
                ours.run(*door, &holder, sizes.0).await;
                theirs.run(*door, &holder, sizes.1).await;
            } else {
                theirs.run(*door, &holder, sizes.1).await;
                ours.run(*door, &holder, sizes.0).await;
            }
            rounds.push(Round { service: ours.figures, bare: theirs.figures });
        }
    }
    print_table(&tables);
}

/// One server in one round.
struct Side<'a> {
    server: &'a Server,
    figures: Figures,
}

/// What one server did in one round.
#[derive(Clone, Copy, Default)]
struct Figures {
    rps: f64,
    /// How much of its core the server used; below 1 it waited, for the disk or for the client.
    busy: f64,
    /// Processor time of one request, all threads and the kernel together, microseconds.
    cost_us: f64,
}

/// Both servers in one round.
struct Round {
    service: Figures,
    bare: Figures,
}

impl<'a> Side<'a> {
    fn new(server: &'a Server) -> Self {
        Self { server, figures: Figures::default() }
    }

    async fn run(&mut self, door: Door, holder: &Holder, requests: usize) {
        let requests = (0..requests).map(|at| door.request(holder, at)).collect();
        let cpu = self.server.cpu_s();
        let took = load::run(self.server.address, CONNECTIONS, door.status(), requests).await;
        let cpu = self.server.cpu_s() - cpu;
        self.figures = Figures {
            rps: took.answers as f64 / took.seconds,
            busy: cpu / took.seconds,
            cost_us: 1e6 * cpu / took.answers as f64,
        };
    }
}

impl Round {
    fn requests(&self) -> (usize, usize) {
        let of = |figures: &Figures| ((figures.rps * ROUND_S) as usize).max(1_000);
        (of(&self.service), of(&self.bare))
    }
}

fn print_table(tables: &[(Door, Vec<Round>)]) {
    let pinned = std::env::var(PINNED).is_ok_and(|pinned| pinned == "yes");
    let cores =
        if pinned { "servers and client each on a core of their own" } else { "not pinned" };
    println!("{CONNECTIONS} connections, median of {ROUNDS} rounds, {cores}\n");
    println!(
        "{:<24}{:>11}{:>7}{:>7}{:>12}{:>7}{:>7}{:>8}{:>7}",
        "door", "service/s", "busy", "us", "bare/s", "busy", "us", "ratio", "aim"
    );
    for (door, rounds) in tables {
        let rounds = &rounds[1..];
        let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
        println!(
            "{:<24}{:>11.0}{:>6.0}%{:>7.0}{:>12.0}{:>6.0}%{:>7.0}{:>8.3}{:>7}",
            door.name(),
            of(|round| round.service.rps),
            of(|round| 100.0 * round.service.busy),
            of(|round| round.service.cost_us),
            of(|round| round.bare.rps),
            of(|round| 100.0 * round.bare.busy),
            of(|round| round.bare.cost_us),
            of(|round| round.service.rps / round.bare.rps),
            door.aim(),
        );
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
