//! `cargo xtask conformance`: the run for people and for CI.
//!
//! Exit codes: 0 nothing unexpected failed, 1 something did or the run was cut short, 2 unusable
//! input.

mod terminal;

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anstream::{eprintln, println};
use clap::Parser;
use clap::builder::RangedU64ValueParser;
use vestibule_conformance::outcome::Run;
use vestibule_conformance::{
    Credentials, Document, Expected, Limits, Options, Plan, plan, report, run, said,
};

use crate::terminal::Progress;

/// Test any deployment against the documents: valid requests, every broken constraint, every
/// wrong caller.
///
/// Needs nothing but the documents and credentials. It creates sessions, tenants and keys, and
/// revokes only what it created. A failing case is printed with a curl line that sends it again.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask conformance", bin_name = "cargo xtask conformance", after_help = EXAMPLES)]
struct Arguments {
    /// The deployment, e.g. http://127.0.0.1:8080
    #[arg(long, value_name = "URL", required_unless_present = "dry_run")]
    base_url: Option<String>,
    /// A document: the name of one of ours, or the path of a bundled one; may be repeated
    /// [default: all of ours]
    #[arg(long = "document", value_name = "D")]
    documents: Vec<String>,
    /// What the deployment accepts, in JSON or TOML; `cargo run` writes data/dev-credentials.json
    #[arg(long, value_name = "FILE")]
    credentials: Option<PathBuf>,
    /// Cases of each operation at least; every constraint is tried whatever this says
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = RangedU64ValueParser::<usize>::new().range(1..))]
    cases: usize,
    /// Where random cases come from; the same seed makes the same cases
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Cases that may fail, each with a reason: TOML, or lines of `case # reason`
    #[arg(long, value_name = "FILE")]
    expected_failures: Option<PathBuf>,
    /// A folder for report.json, junit.xml and report.html
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    /// Only this operation; may be repeated
    #[arg(long = "operation", value_name = "ID")]
    operations: Vec<String>,
    /// Requests in a second at most
    #[arg(long, value_name = "N", default_value_t = Limits::default().rate, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Requests at most; a run that reaches it is cut short, which is no success (exit code 1)
    #[arg(long, value_name = "N", default_value_t = Limits::default().max_requests)]
    max_requests: u64,
    /// Print how many cases there are and send nothing
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  cargo xtask conformance --base-url http://127.0.0.1:8080 --credentials data/dev-credentials.json
  cargo xtask conformance --dry-run --document embed
  cargo xtask conformance --base-url https://chat.example --document chat --credentials keys.toml \\
    --expected-failures known.toml --report target/conformance --rate 20

Exit codes: 0 nothing unexpected failed, 1 something did or the run was cut short, 2 unusable input";

fn main() -> ExitCode {
    conformance(&Arguments::parse()).unwrap_or_else(|problem| {
        eprintln!("{}", terminal::error(&problem));
        ExitCode::from(2)
    })
}

fn conformance(arguments: &Arguments) -> Result<ExitCode, String> {
    let documents = documents(&arguments.documents)?;
    let credentials = arguments.credentials.as_deref().map(Credentials::read).transpose()?;
    let options = Options {
        cases: arguments.cases,
        seed: arguments.seed,
        operations: arguments.operations.clone(),
    };
    let plan = planned(&documents, credentials.unwrap_or_default(), &options)?;
    let expected = expected(arguments, &plan)?;
    if arguments.dry_run {
        println!("{}", terminal::planned(&plan));
        return Ok(ExitCode::SUCCESS);
    }
    let base_url = base_url(arguments.base_url.as_deref().unwrap_or_default())?;
    let limits = Limits {
        rate: arguments.rate,
        max_requests: arguments.max_requests,
        timeout: Duration::from_secs(30),
        ..Limits::default()
    };
    let run = carry_out(plan, &base_url, &limits, &expected)?;
    if let Some(folder) = &arguments.report {
        report::write(folder, &run).map_err(|bad| format!("{}: {bad}", folder.display()))?;
    }
    println!("{}", terminal::told(&run, arguments.report.as_deref()));
    let counts = run.counts();
    if counts.total() == counts.skipped && run.untried == 0 {
        return Err(terminal::untried(&run));
    }
    Ok(if run.is_fine() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// The plan; what a document makes impossible is told in one line and not as a panic too, and a
/// mistake of our own in one line as well.
fn planned(
    documents: &[Document],
    credentials: Credentials,
    options: &Options,
) -> Result<Plan, String> {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let planned =
        std::panic::catch_unwind(AssertUnwindSafe(|| plan(documents, credentials, options)));
    std::panic::set_hook(usual);
    planned.unwrap_or_else(|panic| {
        let text = said(&*panic);
        Err(format!("the cases cannot be planned, which is a mistake of this program: {text}"))
    })
}

fn carry_out(
    plan: Plan,
    base_url: &str,
    limits: &Limits,
    expected: &Expected,
) -> Result<Run, String> {
    let progress = Progress::new(&plan);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|bad| format!("no threads: {bad}"))?;
    let ran = runtime.block_on(run(plan, base_url, limits, expected, &progress));
    progress.end();
    ran
}

/// The documents by name or path; all of ours when none is named.
fn documents(wanted: &[String]) -> Result<Vec<Document>, String> {
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../generated/server/documents");
    if !wanted.is_empty() {
        return wanted.iter().map(|it| document(&ours, it)).collect();
    }
    let entries = std::fs::read_dir(&ours).map_err(|bad| format!("{}: {bad}", ours.display()))?;
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<_> = paths.filter(|path| is_json(path)).collect();
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn document(ours: &Path, wanted: &str) -> Result<Document, String> {
    let named = ours.join(format!("{wanted}.json"));
    let path = if named.is_file() { named } else { PathBuf::from(wanted) };
    if path.is_file() {
        return read(&path);
    }
    Err(format!("there is no document `{wanted}`: give the name of one of ours or a file"))
}

fn read(path: &Path) -> Result<Document, String> {
    let text = std::fs::read_to_string(path).map_err(|bad| format!("{}: {bad}", path.display()))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    Document::read(&name, &text).map_err(|bad| format!("{}: {bad}", path.display()))
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|it| it == "json")
}

fn expected(arguments: &Arguments, plan: &Plan) -> Result<Expected, String> {
    let Some(file) = &arguments.expected_failures else { return Ok(Expected::default()) };
    let expected = Expected::read(file)?;
    let stale = expected.without_case(plan.cases.iter().map(|case| case.name.as_str()));
    if stale.is_empty() {
        return Ok(expected);
    }
    let (place, names) = (file.display(), stale.join("\n  "));
    Err(format!("{place}: no case has these names; remove or mend them\n  {names}"))
}

fn base_url(text: &str) -> Result<String, String> {
    let url = text.trim_end_matches('/');
    if url.starts_with("http://") || url.starts_with("https://") {
        return Ok(url.to_owned());
    }
    Err(format!("`{text}` is no base URL: write it as http://127.0.0.1:8080"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a command line ends in: the number of its exit code, or the one line on the way to 2.
    fn ends(arguments: &[&str]) -> Result<ExitCode, String> {
        let all = ["conformance"].iter().chain(arguments);
        conformance(&Arguments::try_parse_from(all).expect("arguments"))
    }

    #[test]
    fn unusable_input_is_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let bad = file("bad.json", "{\"embed\": ysk_secret");
        let no_document = file("no.json", "{\"openapi\": \"3.0.3\"}");
        let stale = file("stale.txt", "nobody/valid/plain # gone");
        let odd = r##"{"openapi":"3.0.3","paths":{"/a":{"post":{"operationId":"a","responses":{},
            "requestBody":{"content":{"application/json":{"schema":{"$ref":"#/nowhere"}}}}}}}}"##;
        let odd = file("odd.json", odd);
        let empty = file("empty.json", r#"{"openapi":"3.0.3","paths":{}}"#);
        let newer = file("newer.json", r#"{"openapi":"3.1.0","paths":{"/a":{"get":{}}}}"#);
        let older = file("older.json", r#"{"swagger":"2.0","paths":{"/a":{"get":{}}}}"#);
        let twice = concat!(env!("CARGO_MANIFEST_DIR"), "/../../generated/server/documents");
        let twice = format!("{twice}/iframe.json");
        let down = ["--base-url", "http://127.0.0.1:1"];
        let more: [&[&str]; 12] = [
            &[],
            &["--credentials", &bad],
            &["--credentials", "/nowhere.json"],
            &["--document", "nowhere"],
            &["--dry-run", "--document", "iframe", "--document", &twice],
            &["--document", &no_document],
            &["--document", &odd],
            &["--dry-run", "--document", &empty],
            &["--dry-run", "--document", &newer],
            &["--dry-run", "--document", &older],
            &["--operation", "nobody"],
            &["--expected-failures", &stale],
        ];
        for arguments in more {
            let line = ends(&[&down, arguments].concat()).expect_err("unusable");
            assert!(!line.contains("ysk_secret"), "{line}");
            let is_list = arguments.contains(&"--expected-failures");
            assert!(is_list || !line.contains('\n'), "{arguments:?}: {line}");
        }
        assert!(ends(&["--base-url", "ftp://a"]).is_err());
    }

    #[test]
    fn dry_run_needs_no_deployment() {
        assert_eq!(ends(&["--dry-run"]), Ok(ExitCode::SUCCESS));
        assert!(Arguments::try_parse_from(["conformance"]).is_err(), "nothing says where");
        for none in ["--cases", "--rate"] {
            assert!(Arguments::try_parse_from(["conformance", "--dry-run", none, "0"]).is_err());
        }
    }

    #[test]
    fn help_names_the_command_as_it_is_typed() {
        let help = <Arguments as clap::CommandFactory>::command().render_help().to_string();
        assert!(help.contains("Usage: cargo xtask conformance"), "{help}");
    }
}
