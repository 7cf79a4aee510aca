//! `cargo xtask fuzz`: builds the targets of `fuzz/` with libFuzzer and lets each run for a while.
//!
//! The stable compiler marks the edges (`-C passes=sancov-module`), so no other toolchain is asked
//! for. Knows no target: what stands in `fuzz/fuzz_targets/` is run.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use clap::Args;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// What libFuzzer needs to see which way an input goes.
const SANCOV: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares";

/// Longer than every constraint needs, short enough to be quick.
const MOST_BYTES: usize = 8192;

/// Feed what reads the bytes of strangers with what libFuzzer makes of the corpus.
///
/// What makes a target panic is written to `target/fuzz/found/`; a mended one belongs into
/// `fuzz/corpus/`, where a test keeps feeding it.
#[derive(Args)]
pub struct Fuzz {
    /// The targets, as in `fuzz/fuzz_targets/`; all of them when none is named.
    #[arg(value_name = "TARGET")]
    targets: Vec<String>,
    /// How long each of them runs, seconds.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
}

/// What became of one target.
struct Outcome {
    target: String,
    executed: String,
    edges: String,
    held: bool,
}

/// Builds and runs the targets, one after the other.
///
/// # Errors
/// One line, when they cannot be built or run, or there is no such target.
pub fn run(root: &Path, fuzz: Fuzz) -> Result<ExitCode, String> {
    let all = targets(root).map_err(|bad| format!("error: fuzz/fuzz_targets: {bad}"))?;
    if let Some(unknown) = fuzz.targets.iter().find(|it| !all.contains(it)) {
        return Err(format!("error: there is no target `{unknown}`; there are {}", all.join(", ")));
    }
    let chosen = if fuzz.targets.is_empty() { all } else { fuzz.targets };
    let host = host()?;
    build(root, &host)?;
    let programs = root.join("target/fuzz").join(&host).join("fuzz");
    let mut outcomes = Vec::new();
    for target in chosen {
        eprintln!("{target}: {} s", fuzz.seconds);
        let ran = feed(root, &programs, target, fuzz.seconds);
        outcomes.push(ran.map_err(|bad| format!("error: a target does not run: {bad}"))?);
    }
    Ok(report(&outcomes))
}

fn targets(root: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(root.join("fuzz/fuzz_targets"))?;
    let mut all = entries
        .map(|entry| {
            let path = entry?.path();
            Ok(path.file_stem().unwrap_or_default().to_string_lossy().into_owned())
        })
        .collect::<io::Result<Vec<_>>>()?;
    all.sort_unstable();
    Ok(all)
}

/// The triple of this machine: with a target named, build scripts are not marked.
fn host() -> Result<String, String> {
    let told = Command::new("rustc").arg("-vV").output();
    let told = told.map_err(|bad| format!("error: rustc does not run: {bad}"))?;
    let text = String::from_utf8_lossy(&told.stdout);
    let host = text.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned).ok_or_else(|| "error: rustc does not tell its host".to_owned())
}

fn build(root: &Path, host: &str) -> Result<(), String> {
    let arguments = [
        "build",
        "--package",
        "vestibule-fuzz",
        "--features",
        "libfuzzer",
        "--bins",
        "--profile",
        "fuzz",
        "--target-dir",
        "target/fuzz",
        "--quiet",
        "--target",
        host,
    ];
    let mut command = Command::new("cargo");
    command.args(arguments).env("RUSTFLAGS", SANCOV).current_dir(root);
    let status = command.status().map_err(|bad| format!("error: cargo does not run: {bad}"))?;
    match status.success() {
        true => Ok(()),
        false => Err("error: the targets cannot be built; see above".to_owned()),
    }
}

fn feed(root: &Path, programs: &Path, target: String, seconds: u32) -> io::Result<Outcome> {
    let folder = |name: &str| -> io::Result<PathBuf> {
        let path = root.join("target/fuzz").join(name).join(&target);
        fs::create_dir_all(&path)?;
        Ok(path)
    };
    let (kept, found) = (folder("kept")?, folder("found")?);
    let log = root.join("target/fuzz").join(format!("{target}.log"));
    let mut command = Command::new(programs.join(&target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-max_len={MOST_BYTES}"))
        .arg(format!("-artifact_prefix={}/", found.display()))
        .arg("-print_final_stats=1")
        .args([&kept, &root.join("fuzz/corpus").join(&target)])
        .stdout(Stdio::null())
        .stderr(File::create(&log)?);
    let held = command.status()?.success();
    let text = fs::read_to_string(&log)?;
    if !held {
        io::stderr().write_all(text.as_bytes())?;
    }
    let executed = text.lines().find_map(|it| it.strip_prefix("stat::number_of_executed_units:"));
    let covered = text.lines().rev().find_map(|it| it.split_once(" cov: ")?.1.split(' ').next());
    let (executed, edges) = (executed.unwrap_or("?").trim(), covered.unwrap_or("?"));
    let (executed, edges) = (executed.to_owned(), edges.to_owned());
    Ok(Outcome { target, executed, edges, held })
}

fn report(outcomes: &[Outcome]) -> ExitCode {
    println!("\n{:<20}{:>14}{:>9}  outcome", "target", "inputs", "edges");
    for Outcome { target, executed, edges, held } in outcomes {
        let told =
            if *held { format!("{GOOD}holds{GOOD:#}") } else { format!("{BAD}broken{BAD:#}") };
        println!("{target:<20}{executed:>14}{edges:>9}  {told}");
    }
    let broken: Vec<_> = outcomes.iter().filter(|it| !it.held).map(|it| &*it.target).collect();
    if broken.is_empty() {
        println!("\nevery target holds");
        return ExitCode::SUCCESS;
    }
    let places = broken.join(", ");
    eprintln!("\n{BAD}broken{BAD:#}: {places}; the inputs are below target/fuzz/found/");
    ExitCode::from(1)
}
