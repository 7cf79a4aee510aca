//! `cargo xtask torture`: the command line.
//!
//! Exit codes: 0 nothing acknowledged was lost, 1 something was, 2 unusable input or no server.

use std::io::IsTerminal as _;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use clap::{Parser, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use vestibule_torture::{Database, Plan, Summary, Watch, torture};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// Faults told in full.
const TOLD: usize = 20;
/// Answers before a kill. The first kills of some rounds come while the first requests are under way.
const ANSWERS: RangeInclusive<u64> = 1..=3_000;
/// Kills between two lines where there is no terminal.
const LINE_EVERY: usize = 10;

/// Kill a running server again and again under load, and check that nothing acknowledged is lost.
///
/// Starts the service on temporary data. Clients open sessions through all three doors, use, renew
/// and revoke them, repeat requests under idempotency keys and count messages; the server is killed
/// by SIGKILL meanwhile, started again, and what is there is held against what they were told.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask torture",
    bin_name = "cargo xtask torture",
    after_help = "\
Examples:
  cargo xtask torture --minutes 30
  cargo xtask torture --kills 5 --clients 32
  cargo xtask torture --minutes 30 --engine postgres
  cargo xtask torture --minutes 30 --database-url postgres://vestibule@127.0.0.1/vestibule

Exit codes: 0 nothing acknowledged was lost, 1 something was, 2 unusable input"
)]
struct Arguments {
    /// Go on for this long
    #[arg(long, value_name = "N", default_value_t = 0)]
    minutes: u64,
    /// Kill at least this often
    #[arg(long, value_name = "N", default_value_t = 10)]
    kills: usize,
    /// Clients at once
    #[arg(long, value_name = "N", default_value_t = 16)]
    clients: usize,
    /// Where what clients do comes from
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Where the service remembers. With postgres on a throw-away cluster, whose server is killed
    /// as well
    #[arg(long, value_enum, default_value_t = Engine::Sqlite)]
    engine: Engine,
    /// The initdb of a PostgreSQL 15 or newer, with its neighbours
    #[arg(long, value_name = "FILE", env = "VESTIBULE_TEST_INITDB", hide = true)]
    initdb: Option<PathBuf>,
    /// A PostgreSQL database of yours, which is left running; it must be empty
    #[arg(
        long,
        conflicts_with = "engine",
        value_name = "URL",
        env = "VESTIBULE_TORTURE_DATABASE_URL",
        hide_env_values = true
    )]
    database_url: Option<String>,
    /// The service's binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

/// A database that the service can remember in.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    /// The embedded one
    Sqlite,
    /// A server's
    Postgres,
}

fn main() -> ExitCode {
    let outcome = Arguments::parse().run();
    outcome.unwrap_or_else(|problem| {
        eprintln!("{BAD}error{BAD:#}: {problem}");
        ExitCode::from(2)
    })
}

impl Arguments {
    fn run(self) -> Result<ExitCode, String> {
        let Self { minutes, kills, clients, seed, engine, initdb, database_url, server } = self;
        let binary = server.map_or_else(beside, Ok)?;
        let database = match (database_url, engine, initdb) {
            (Some(url), _, _) => Database::At(url),
            (None, Engine::Sqlite, _) => Database::Embedded,
            (None, Engine::Postgres, Some(initdb)) => Database::Cluster(initdb),
            (None, Engine::Postgres, None) => {
                return Err("there is no initdb; run it as `cargo xtask torture`".into());
            }
        };
        let lasting = Duration::from_secs(60 * minutes);
        let answers = ANSWERS;
        let plan = Plan { binary, database, clients, seed, answers, kills, lasting };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.map_err(|bad| format!("no threads: {bad}"))?;
        let progress = Progress::new(plan.lasting);
        let summary = runtime.block_on(torture(&plan, &progress));
        progress.end();
        Ok(conclude(&summary?, seed))
    }
}

/// The service's binary in the folder of this program, where one build puts both.
fn beside() -> Result<PathBuf, String> {
    let here = std::env::current_exe().map_err(|bad| format!("no path of this program: {bad}"))?;
    let binary = here.with_file_name("vestibule");
    if binary.is_file() {
        return Ok(binary);
    }
    Err("the service is not built; run `cargo build -p vestibule`, or name it with --server".into())
}

/// A line that changes on a terminal, otherwise one now and then.
struct Progress {
    begun: Instant,
    lasting: Duration,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn new(lasting: Duration) -> Self {
        let style = ProgressStyle::with_template("{spinner} {elapsed}  {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_spinner());
        let is_terminal = std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| ProgressBar::new_spinner().with_style(style));
        Self { begun: Instant::now(), lasting, bar }
    }

    fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Watch for Progress {
    fn killed(&self, so_far: &Summary) {
        let Summary { kills, acknowledged, unknown, .. } = so_far;
        let left = self.lasting.saturating_sub(self.begun.elapsed()).as_secs();
        let line = format!(
            "{kills} kills, {acknowledged} acknowledged, {unknown} unknown, {} lost, {left} s left",
            so_far.lost()
        );
        match &self.bar {
            Some(bar) => {
                bar.set_message(line);
                bar.tick();
            }
            None if kills.is_multiple_of(LINE_EVERY) => eprintln!("{line}"),
            None => {}
        }
    }

    fn is_down(&self, _: &Path, _: usize) {}
}

fn conclude(summary: &Summary, seed: u64) -> ExitCode {
    let Summary { kills, database_kills, acknowledged, unknown, refused, .. } = summary;
    let Summary { faults, starts, recoveries, .. } = summary;
    let mut starts = starts.clone();
    starts.sort_unstable();
    let (median, most) = (starts[starts.len() / 2], starts[starts.len() - 1]);
    println!("kills          {kills:>10}");
    if *database_kills > 0 {
        println!("  of the database {database_kills:>7}");
    }
    println!("acknowledged   {acknowledged:>10}");
    println!("unknown        {unknown:>10}");
    println!("refused        {refused:>10}");
    println!("lost           {:>10}", summary.lost());
    println!("surplus        {:>10}", summary.surplus());
    println!("start, median  {:>7} ms", median.as_millis());
    println!("start, longest {:>7} ms", most.as_millis());
    if let Some(longest) = recoveries.iter().max() {
        println!("back, longest  {:>7} ms", longest.as_millis());
    }
    for (kill, fault) in faults.iter().take(TOLD) {
        println!("{BAD}after kill {kill}{BAD:#}: {fault}");
    }
    if faults.is_empty() {
        println!("{GOOD}Nothing acknowledged was lost, and nothing was done twice.{GOOD:#}");
        return ExitCode::SUCCESS;
    }
    println!(
        "{BAD}{} of what was acknowledged is lost, {} is there that must not be.{BAD:#} Run it \
         again with --seed {seed}; kills fall elsewhere each time.",
        summary.lost(),
        summary.surplus()
    );
    ExitCode::from(1)
}
