//! What the project checks about itself: `test` and `ci`, each a list of programs to run, and
//! `tools`, which brings what tests need.

use std::ffi::OsString;
use std::fs;
#[cfg(unix)]
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};

use crate::generate::{self, Handler};
use crate::lint;
use crate::node::{MODULES_VARIABLE, Tools};
use crate::{postgres, requirements};

const STEP: Style = AnsiColor::Cyan.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The release of cargo-deny that `.deny.toml` was written for.
const DENY: &str = "0.20.2";

/// What is checked is built with these features. Not with all: `unfinished` would hide a handler
/// that nobody wrote.
const FEATURES: &str = "strategies";
/// Beside the usual features, so that whatever does not depend on the other one is built once.
const UNFINISHED: &str = "strategies,unfinished";
/// Not in the usual build either: what it adds to the tree is for those who want it.
const TRACES: &str = "strategies,otlp";

/// One program and why it runs.
struct Step<'a> {
    name: &'a str,
    program: &'a str,
    arguments: &'a [&'a str],
}

const TEST: Step<'static> = Step {
    name: "tests",
    program: "cargo",
    arguments: &["test", "--workspace", "--features", FEATURES, "--quiet"],
};

/// The integration tests once more, with every service on PostgreSQL. What is left out is added.
const TEST_POSTGRES: Step<'static> = Step {
    name: "integration tests on PostgreSQL",
    program: "cargo",
    arguments: &["test", "--workspace", "--features", FEATURES, "--test", "it", "--quiet", "--"],
};

/// The build in which a missing handler answers 501.
const TEST_UNFINISHED: Step<'static> = Step {
    name: "tests of the unfinished build",
    program: "cargo",
    arguments: &[
        "test",
        "--workspace",
        "--features",
        UNFINISHED,
        "--test",
        "it",
        "--quiet",
        "--",
        "unfinished",
    ],
};

/// The build that sends traces, against a small collector on loopback.
const TEST_TRACES: Step<'static> = Step {
    name: "tests of the build with traces",
    program: "cargo",
    arguments: &[
        "test",
        "--workspace",
        "--features",
        TRACES,
        "--lib",
        "--test",
        "it",
        "--quiet",
        "--",
        "config::",
        "secrets::",
        "traces::",
    ],
};

const CLIPPY_TRACES: Step<'static> = Step {
    name: "clippy of the build with traces",
    program: "cargo",
    arguments: &[
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        TRACES,
        "--quiet",
        "--",
        "-D",
        "warnings",
    ],
};

/// What tests need beyond the Rust toolchain: the variable that names it, and where it is.
type Places = Vec<(&'static str, OsString)>;

/// What the services of integration tests remember in.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Engine {
    /// The embedded one.
    Sqlite,
    /// A cluster of its own for the run.
    Postgres,
}

/// Tells integration tests that they are to run on PostgreSQL.
const ENGINE_VARIABLE: &str = "VESTIBULE_TEST_ENGINE";

/// The modules and tests that one run is enough for, a line each, with the reason behind a colon.
const ONCE: &str = "tests/it/once.txt";

/// Runs every test, those of integration on both engines unless one is asked for; with a filter
/// those of the usual build alone.
pub fn test(root: &Path, engine: Option<Engine>, filter: &[String]) -> Result<ExitCode, String> {
    with_postgres(root, |places| {
        if engine != Some(Engine::Postgres) {
            let code = test_on_sqlite(root, places, filter)?;
            if code != ExitCode::SUCCESS || engine.is_some() {
                return Ok(code);
            }
        }
        test_on_postgres(root, places, filter)
    })
}

fn test_on_sqlite(root: &Path, places: &Places, filter: &[String]) -> Result<ExitCode, String> {
    if filter.is_empty() {
        return all(root, &[TEST, TEST_UNFINISHED, TEST_TRACES], places);
    }
    let mut command = command(root, &TEST);
    finish(&TEST, command.arg("--").args(filter).envs(variables(places)))
}

fn test_on_postgres(root: &Path, places: &Places, filter: &[String]) -> Result<ExitCode, String> {
    let once =
        fs::read_to_string(root.join(ONCE)).map_err(|bad| format!("error: {ONCE}: {bad}"))?;
    let lines = once.lines().filter(|line| !line.starts_with('#'));
    let names = lines.filter_map(|line| Some(line.split_once(": ")?.0));
    let whole = |name: &str| if name.contains("::") { name.into() } else { format!("{name}::") };
    let mut command = command(root, &TEST_POSTGRES);
    command.args(filter).args(names.flat_map(|name| ["--skip".to_owned(), whole(name)]));
    finish(&TEST_POSTGRES, command.env(ENGINE_VARIABLE, "postgres").envs(variables(places)))
}

/// Makes available what tests need and prints the variables that tell them where it is.
pub fn tools(root: &Path) -> Result<ExitCode, String> {
    let mut places = test_places(root)?;
    let url = postgres::left_running(root).map_err(|bad| format!("error: {bad}"))?;
    places.push((postgres::VARIABLE, url.into()));
    for (variable, place) in places {
        println!("export {variable}='{}'", place.to_string_lossy());
    }
    eprintln!("PostgreSQL for tests runs until `cargo xtask tools --stop`.");
    Ok(ExitCode::SUCCESS)
}

/// Ends what [`tools`] left running.
pub fn stop_tools(root: &Path) -> Result<ExitCode, String> {
    let stopped = postgres::stop_left(root).map_err(|bad| format!("error: {bad}"))?;
    println!("{}", if stopped { "PostgreSQL for tests is gone." } else { "Nothing was running." });
    Ok(ExitCode::SUCCESS)
}

/// Makes available what tests need, with a PostgreSQL that is gone after them, and runs them.
fn with_postgres(
    root: &Path,
    run: impl FnOnce(&Places) -> Result<ExitCode, String>,
) -> Result<ExitCode, String> {
    let mut places = test_places(root)?;
    let cluster = postgres::for_a_run().map_err(|bad| format!("error: {bad}"))?;
    places.push((postgres::VARIABLE, cluster.url("postgres").into()));
    run(&places)
}

fn test_places(root: &Path) -> Result<Places, String> {
    let bad = |bad| format!("error: {bad}");
    let programs = requirements::ensure(root, &requirements::ALL).map_err(bad)?;
    let variables = requirements::ALL.iter().map(|it| it.variable);
    let mut places: Places = variables.zip(programs.into_iter().map(Into::into)).collect();
    places.push((MODULES_VARIABLE, Tools::install(root).map_err(bad)?.modules().into()));
    Ok(places)
}

/// Becomes the service with a demo tenant, built so that a handler that does not exist yet answers
/// 501, after saying which those are.
pub fn dev(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    if let Ok((documents, _)) = lint::command::documents(root) {
        let handlers = generate::handlers(&documents).map_err(|bad| format!("error: {bad}"))?;
        for Handler { id, file, method } in generate::missing(root, handlers) {
            println!("{STEP}{id}{STEP:#} answers 501: {file} misses `{method}`");
        }
    }
    let run = ["run", "--package", "vestibule", "--features", "unfinished", "--", "serve", "--dev"];
    let step = Step { name: "development server", program: "cargo", arguments: &run };
    let mut command = command(root, &step);
    command.args(arguments);
    // Whoever ends this process ends the service.
    #[cfg(unix)]
    return Err(format!("error: cargo does not run: {}", command.exec()));
    #[cfg(not(unix))]
    finish(&step, &mut command)
}

/// Runs everything that must hold before a change lands; stops at the first thing that does not.
pub fn ci(root: &Path) -> Result<ExitCode, String> {
    with_postgres(root, |places| everything(root, places))
}

fn everything(root: &Path, places: &Places) -> Result<ExitCode, String> {
    let tools = root.join("target/tools");
    let deny = tools.join("bin/cargo-deny");
    let (tools, deny) = (tools.to_string_lossy(), deny.to_string_lossy());
    let clippy = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--features",
        FEATURES,
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    let install = [
        "install",
        "cargo-deny",
        "--version",
        DENY,
        "--locked",
        "--debug",
        "--quiet",
        "--root",
        &tools,
    ];
    // The advisory database lives outside the package registries that CI reaches.
    let check = ["--all-features", "--log-level", "error", "check", "bans", "licenses", "sources"];
    let steps = [
        Step { name: "formatting", program: "cargo", arguments: &["fmt", "--all", "--check"] },
        Step { name: "documents", program: "cargo", arguments: &["xtask", "lint"] },
        Step {
            name: "generated code is fresh",
            program: "cargo",
            arguments: &["xtask", "generate", "--check"],
        },
        Step {
            name: "no break without approval",
            program: "cargo",
            arguments: &["xtask", "diff", "--allow-no-base"],
        },
        Step { name: "clippy", program: "cargo", arguments: &clippy },
        CLIPPY_TRACES,
        Step { name: "cargo-deny is here", program: "cargo", arguments: &install },
        Step { name: "licences, bans, sources", program: &deny, arguments: &check },
        TEST,
        TEST_UNFINISHED,
        TEST_TRACES,
        Step {
            name: "a minute of each fuzz target",
            program: "cargo",
            arguments: &["xtask", "fuzz", "--seconds", "60"],
        },
    ];
    let mut code = all(root, &steps, places)?;
    if code == ExitCode::SUCCESS {
        code = test_on_postgres(root, places, &[])?;
    }
    if code == ExitCode::SUCCESS {
        println!("{STEP}everything holds{STEP:#}");
    }
    Ok(code)
}

/// Runs steps one after the other, up to the first that fails.
fn all(root: &Path, steps: &[Step<'_>], places: &Places) -> Result<ExitCode, String> {
    for step in steps {
        let mut command = command(root, step);
        let code = finish(step, command.envs(variables(places)))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn variables(places: &Places) -> impl Iterator<Item = (&'static str, &OsString)> {
    places.iter().map(|(name, place)| (*name, place))
}

fn command(root: &Path, step: &Step<'_>) -> Command {
    let mut command = Command::new(step.program);
    command.args(step.arguments).current_dir(root);
    command
}

fn finish(step: &Step<'_>, command: &mut Command) -> Result<ExitCode, String> {
    let Step { name, program, arguments } = step;
    println!("{STEP}{name}{STEP:#}: {program} {}", arguments.join(" "));
    let started = Instant::now();
    let status = command.status().map_err(|bad| format!("error: {program} does not run: {bad}"))?;
    let took = started.elapsed().as_secs();
    if status.success() {
        println!("{STEP}{name}{STEP:#}: fine after {took} s");
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{BAD}{name}{BAD:#}: failed after {took} s ({status})");
    Ok(ExitCode::from(1))
}
