//! `cargo xtask planted-faults`: the command line.
//!
//! Exit codes: 0 every fault was found, 1 one was missed or the control failed, 2 unusable input.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use clap::Parser;
use clap::builder::RangedU64ValueParser;
use vestibule_planted_faults::{Fault, Finding, Report, Suite, catalogue, found};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const SOFT: Style = Style::new().dimmed();

/// Plant faults before a running server, one at a time, and show that the conformance suite finds
/// each.
///
/// Starts the service on temporary data and a proxy before it. The suite runs against the proxy:
/// first without a fault, where nothing may fail, then with each fault, where something must.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask planted-faults",
    bin_name = "cargo xtask planted-faults",
    after_help = "\
Examples:
  cargo xtask planted-faults
  cargo xtask planted-faults --only replay-accepted --only enum-widened
  cargo xtask planted-faults --report target/planted-faults

Exit codes: 0 every fault was found, 1 one was missed or the control failed, 2 unusable input"
)]
struct Arguments {
    /// Print every fault and what it imitates, and start nothing
    #[arg(long)]
    list: bool,
    /// Only this fault; may be repeated
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Cases of each operation at least; every constraint is tried whatever this says
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    cases: usize,
    /// Where random cases come from
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// A folder for planted-faults.md and planted-faults.json
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// The service's binary [default: the one beside this program]
    #[arg(long, value_name = "FILE")]
    server: Option<PathBuf>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match (chosen(&arguments.only), arguments.list) {
        (Ok(faults), true) => {
            faults
                .iter()
                .for_each(|it| println!("{:<32} {:<20} {}", it.name, it.operation, it.imitates));
            println!("{} faults.", faults.len());
            Ok(ExitCode::SUCCESS)
        }
        (Ok(faults), false) => plant(&arguments, faults),
        (Err(problem), _) => Err(problem),
    };
    outcome.unwrap_or_else(|problem| {
        eprintln!("{BAD}error{BAD:#}: {problem}");
        ExitCode::from(2)
    })
}

/// The named faults, or all.
fn chosen(only: &[String]) -> Result<Vec<Fault>, String> {
    let mut all = catalogue::all();
    if let Some(unknown) = only.iter().find(|name| all.iter().all(|it| it.name != **name)) {
        return Err(format!("there is no fault `{unknown}`; --list prints all names"));
    }
    all.retain(|fault| only.is_empty() || only.iter().any(|name| name == fault.name));
    Ok(all)
}

fn plant(arguments: &Arguments, faults: Vec<Fault>) -> Result<ExitCode, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|bad| format!("no threads: {bad}"))?;
    runtime.block_on(plant_each(arguments, faults))
}

async fn plant_each(arguments: &Arguments, faults: Vec<Fault>) -> Result<ExitCode, String> {
    let began = Instant::now();
    let binary = arguments.server.clone().map_or_else(beside, Ok)?;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    println!("The service starts behind a proxy; without a fault nothing may fail.");
    let suite = Suite::start(&root, &binary, arguments.cases, arguments.seed).await?;
    let control = suite.control().await?;
    let counts = control.counts();
    println!(
        "{} of {} cases failed. Now each fault:",
        counts.failed,
        counts.total() - counts.skipped
    );
    if !counts.is_fine() {
        for found in found(&control) {
            println!(
                "  {}: {} {SOFT}not{SOFT:#} {}",
                found.case, found.observed, found.expectation
            );
        }
        println!("{BAD}The suite fails without any fault{BAD:#}; mend that first.");
        return Ok(ExitCode::from(1));
    }
    let (total, mut findings) = (faults.len(), Vec::new());
    for (place, fault) in faults.into_iter().enumerate() {
        let finding = suite.against(fault).await?;
        println!("{}", line(place + 1, total, &finding));
        findings.push(finding);
    }
    let took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    let report = Report { control_cases: counts.passed, took_ms, findings };
    if let Some(folder) = &arguments.report {
        report.write(folder).map_err(|bad| format!("{}: {bad}", folder.display()))?;
    }
    Ok(conclude(&report, arguments.report.as_deref()))
}

fn line(place: usize, total: usize, finding: &Finding) -> String {
    let Finding { fault, operation, imitates, cases, failed, found, took_ms, .. } = finding;
    let (style, sign) = if found.is_empty() { (BAD, "✗") } else { (GOOD, "✓") };
    let told = found
        .first()
        .map_or(format!("no case of the check {} failed", finding.by), |first| first.case.clone());
    let seconds = took_ms / 100;
    format!(
        "{place:>3}/{total} {style}{sign}{style:#} {fault:<32} {operation:<20} {failed:>3} of {cases:<4} {}.{} s\n\
         {SOFT}          {imitates}{SOFT:#} → {told}",
        seconds / 10,
        seconds % 10,
    )
}

fn conclude(report: &Report, folder: Option<&Path>) -> ExitCode {
    let told = folder.map(|it| format!(" The table is in {}.", it.display())).unwrap_or_default();
    let (all, took) = (report.findings.len(), report.took_ms / 1_000);
    let missed: Vec<_> = report.missed().map(|finding| finding.fault).collect();
    if missed.is_empty() {
        println!("{GOOD}The suite found each of {all} faults{GOOD:#} in {took} s.{told}");
        return ExitCode::SUCCESS;
    }
    let names = missed.join(", ");
    println!("{BAD}The suite missed {} of {all} faults{BAD:#}: {names}.{told}", missed.len());
    ExitCode::from(1)
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
