//! The service under load, as a process of its own: the figures of `docs/performance.md`.
//!
//! `cargo bench --bench doors -- --help` names them; without a word it is the requests a second of
//! each door beside a bare dropshot endpoint of the same shapes. The service is the shipped binary,
//! its SQLite database with `synchronous=FULL` below `target/`. Servers take turns on one core, the
//! client has another (`taskset`, when there is one). Requests are unique and made beforehand.

mod bare;
mod compared;
mod disk;
mod door;
mod filling;
mod listener;
mod load;
mod ratios;
mod second_core;
mod server;
mod starts;
mod steady;
mod stored;
mod turns;

use std::process::{Command, ExitCode};

use clap::{Parser, Subcommand};
use tempfile::TempDir;

/// Keep-alive connections, each with one request at a time.
const CONNECTIONS: usize = 32;

/// The core of the servers and the client's.
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";

/// Set in the process that has its core already.
const PINNED: &str = "DOORS_PINNED";

/// Measures the service under load.
#[derive(Parser)]
#[command(name = "doors", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    ratios: ratios::Ratios,
    #[command(subcommand)]
    figure: Option<Figure>,
}

#[derive(Subcommand)]
enum Figure {
    Ratios(ratios::Ratios),
    Steady(steady::Steady),
    Starts(starts::Starts),
    Stored(stored::Stored),
    SecondCore(second_core::SecondCore),
    Listener(listener::Listener),
    Compared(compared::Compared),
    Disk(disk::Disk),
}

fn main() -> ExitCode {
    if let Some(answers) = std::env::var_os(bare::ANSWERS) {
        return bare::main(answers.as_ref());
    }
    // Cargo says so behind whatever else is said.
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("doors: measures only as `cargo bench --bench doors`");
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::parse_from(std::env::args().filter(|it| it != "--bench"));
    if std::env::var_os(PINNED).is_none() {
        return on_own_core();
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(measure(arguments));
    ExitCode::SUCCESS
}

async fn measure(Arguments { ratios, figure }: Arguments) {
    match figure.unwrap_or(Figure::Ratios(ratios)) {
        Figure::Ratios(figure) => figure.measure().await,
        Figure::Steady(figure) => figure.measure().await,
        Figure::Starts(figure) => figure.measure().await,
        Figure::Stored(figure) => figure.measure().await,
        Figure::SecondCore(figure) => figure.measure().await,
        Figure::Listener(figure) => figure.measure().await,
        Figure::Compared(figure) => figure.measure().await,
        Figure::Disk(figure) => figure.measure(),
    }
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

/// Whether servers and client each have a core of their own.
fn is_pinned() -> bool {
    std::env::var(PINNED).is_ok_and(|pinned| pinned == "yes")
}

/// For the line above a table.
fn cores() -> &'static str {
    if is_pinned() { "servers and client each on a core of their own" } else { "not pinned" }
}

/// A directory for a service's data, gone when it is dropped. On the disk of `target/`, because a
/// temporary directory may be memory, on which a commit costs nothing.
fn data_dir() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory")
}
