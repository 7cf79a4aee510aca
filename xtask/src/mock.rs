//! `mock`: bundles the documents as they are now and runs the mock server on them.
//!
//! The server is a package of its own, so that this one stays light; it reads what is written
//! here at its start, and nothing is compiled again after an edit.

use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::{fs, io};

use anstream::{eprintln, println};
use clap::Args;

use crate::generate::Files;
use crate::generate::{self, BUNDLES, FACTS};
use crate::lint;
use crate::lint::command::Refused;
use crate::program;
use crate::watch::saves::{Saves, next};

#[cfg(test)]
mod tests;

/// Where the server reads, below the repository's root.
const FOLDER: &str = "target/mock";

/// Starts the server again after every save; everything else is the server's.
const WATCH: &str = "--watch";
const HELP: [&str; 2] = ["-h", "--help"];

/// A server that checks requests as the documents say and answers their examples; `--help` tells
/// the arguments.
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Mock {
    /// For the server; `--watch` starts it again after every save of a document.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

impl Mock {
    /// Bundles, then serves until ctrl-c.
    pub fn run(&self, root: &Path) -> Result<ExitCode, String> {
        let asks_for_help = self.arguments.iter().any(|it| HELP.contains(&it.as_str()));
        if !asks_for_help && !bundle(root)? {
            return Ok(ExitCode::from(1));
        }
        if !asks_for_help && self.arguments.iter().any(|it| it == WATCH) {
            return self.watched(root);
        }
        let status = self.server(root).status().map_err(|bad| unrunnable(&bad))?;
        program::code("the mock", status)
    }

    fn watched(&self, root: &Path) -> Result<ExitCode, String> {
        let saves = Saves::of(root)?;
        let mut server = Server::start(self.server(root))?;
        while next(saves.wakes()) {
            if !is_bundled_again(root) {
                eprintln!("The mock goes on with the documents as they were.");
                continue;
            }
            server.end()?;
            println!("openapi/ was saved: starting again.");
            server = Server::start(self.server(root))?;
        }
        server.end()?;
        Ok(ExitCode::SUCCESS)
    }

    fn server(&self, root: &Path) -> Command {
        let mut command = Command::new("cargo");
        command.args(["run", "--package", "vestibule-mock", "--", FOLDER]);
        command.args(self.arguments.iter().filter(|it| *it != WATCH));
        command.current_dir(root);
        command
    }
}

/// A server that runs; it ends with this, however the command does, and leaves the port.
struct Server(Child);

impl Server {
    fn start(mut command: Command) -> Result<Self, String> {
        command.spawn().map(Self).map_err(|bad| unrunnable(&bad))
    }

    /// One that has ended by itself, ctrl-c reaches it too, is no failure.
    fn end(&mut self) -> Result<(), String> {
        let ended = self.0.try_wait().and_then(|ended| match ended {
            Some(_) => Ok(()),
            None => self.0.kill().and_then(|()| self.0.wait().map(drop)),
        });
        ended.map_err(|bad| format!("error: the mock cannot be stopped: {bad}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(problem) = self.end() {
            eprintln!("{problem}");
        }
    }
}

/// Whether a save can be served. A file may be away while an editor renames, and come with the
/// next event.
fn is_bundled_again(root: &Path) -> bool {
    bundle(root).unwrap_or_else(|problem| {
        eprintln!("{problem}");
        false
    })
}

/// Writes what the server reads; false when the documents have findings, which are printed.
fn bundle(root: &Path) -> Result<bool, String> {
    let (documents, _) = match lint::command::documents(root) {
        Ok(read) => read,
        Err(Refused::Unusable(problem)) => return Err(problem),
        Err(Refused::Findings(shown)) => {
            println!("{shown} There is nothing to mock.");
            return Ok(false);
        }
    };
    let files = generate::all(&documents).map_err(|bad| format!("error: {bad}"))?;
    let written = write(&root.join(FOLDER), &files);
    written.map_err(|bad| format!("error: {FOLDER} cannot be written: {bad}"))?;
    Ok(true)
}

fn write(folder: &Path, files: &Files) -> io::Result<()> {
    let documents = folder.join("documents");
    if documents.exists() {
        fs::remove_dir_all(&documents)?;
    }
    fs::create_dir_all(&documents)?;
    for (path, text) in files {
        let name = path.strip_prefix(BUNDLES).and_then(|rest| rest.strip_prefix('/'));
        if let Some(name) = name {
            fs::write(documents.join(name), text)?;
        }
        if path == FACTS {
            fs::write(folder.join("facts.json"), text)?;
        }
    }
    Ok(())
}

fn unrunnable(bad: &io::Error) -> String {
    format!("error: cargo does not run: {bad}")
}
