//! What the project checks about itself: `test` and `ci`, each a list of programs to run.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};

const STEP: Style = AnsiColor::Cyan.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The release of cargo-deny that `.deny.toml` was written for.
const DENY: &str = "0.20.2";

/// What is checked is built with these features. Not with all: `unfinished` would hide a handler
/// that nobody wrote.
const FEATURES: &str = "strategies";
const UNFINISHED: &str = "unfinished";

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

/// The build in which a missing handler answers 501.
const TEST_UNFINISHED: Step<'static> = Step {
    name: "tests of the unfinished build",
    program: "cargo",
    arguments: &[
        "test",
        "--package",
        "vestibule",
        "--features",
        UNFINISHED,
        "--test",
        "it",
        "--quiet",
        "--",
        "unfinished",
    ],
};

/// Runs every test of the workspace.
pub fn test(root: &Path, filter: &[String]) -> Result<ExitCode, String> {
    let mut command = command(root, &TEST);
    command.args(filter);
    finish(&TEST, &mut command)
}

/// Runs the service with a demo tenant, built so that a handler that does not exist yet answers 501.
pub fn dev(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let run = ["run", "--package", "vestibule", "--features", UNFINISHED, "--", "serve", "--dev"];
    let step = Step { name: "development server", program: "cargo", arguments: &run };
    let mut command = command(root, &step);
    command.args(arguments);
    finish(&step, &mut command)
}

/// Runs everything that must hold before a change lands; stops at the first thing that does not.
pub fn ci(root: &Path) -> Result<ExitCode, String> {
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
        Step {
            name: "generated code is fresh",
            program: "cargo",
            arguments: &["xtask", "generate", "--check"],
        },
        Step { name: "clippy", program: "cargo", arguments: &clippy },
        Step { name: "cargo-deny is here", program: "cargo", arguments: &install },
        Step { name: "licences, bans, sources", program: &deny, arguments: &check },
        TEST,
        TEST_UNFINISHED,
    ];
    for step in &steps {
        let code = finish(step, &mut command(root, step))?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    println!("{STEP}everything holds{STEP:#}");
    Ok(ExitCode::SUCCESS)
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
