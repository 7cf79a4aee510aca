//! `mock`: bundles the documents as they are now and runs the mock server on them.
//!
//! The server is a package of its own, so that this one stays light; it reads what is written
//! here at its start, and nothing is compiled again after an edit.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::{fs, io};

use anstream::{eprintln, println};
use clap::Args;

use crate::generate::Files;
use crate::generate::{self, BUNDLES, FACTS};
use crate::lint;
use crate::lint::command::Refused;
use crate::watch::saves::{Saves, next};

#[cfg(test)]
mod tests;

/// Where the server reads, below the repository's root.
const FOLDER: &str = "target/mock";

/// A server that checks requests as the documents say and answers their examples.
#[derive(Args)]
#[command(after_help = "\
Answers are the documents' examples, or values drawn from the seed where there is none. A
credential must be there; whether it is true is not asked. Another documented answer is asked for
with the header Prefer (RFC 7240): code=404, example=NAME, dynamic=true.")]
pub struct Mock {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDR")]
    bind: SocketAddr,
    /// Serve this document alone; may be given again.
    #[arg(long = "document", value_name = "D")]
    documents: Vec<String>,
    /// What values are drawn from.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
    /// Start again after every save of a document.
    #[arg(long)]
    watch: bool,
}

impl Mock {
    /// Bundles, then serves until ctrl-c.
    pub fn run(&self, root: &Path) -> Result<ExitCode, String> {
        if !bundle(root)? {
            return Ok(ExitCode::from(1));
        }
        if self.watch {
            return self.watched(root);
        }
        let status = self.server(root).status().map_err(|bad| unrunnable(&bad))?;
        Ok(ExitCode::from(status.code().and_then(|code| code.try_into().ok()).unwrap_or(0)))
    }

    fn watched(&self, root: &Path) -> Result<ExitCode, String> {
        let saves = Saves::of(root)?;
        let mut server = self.server(root).spawn().map_err(|bad| unrunnable(&bad))?;
        while next(saves.wakes()) {
            if !bundle(root)? {
                eprintln!("The mock goes on with the documents as they were.");
                continue;
            }
            end(&mut server)?;
            println!("openapi/ was saved: starting again.");
            server = self.server(root).spawn().map_err(|bad| unrunnable(&bad))?;
        }
        end(&mut server)?;
        Ok(ExitCode::SUCCESS)
    }

    fn server(&self, root: &Path) -> Command {
        let mut command = Command::new("cargo");
        command.args(["run", "--package", "vestibule-mock", "--", FOLDER]);
        command.args(["--bind", &self.bind.to_string(), "--seed", &self.seed.to_string()]);
        command.args(self.documents.iter().flat_map(|name| ["--document", name]));
        command.current_dir(root);
        command
    }
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

/// A server that has ended by itself, ctrl-c reaches it too, is no failure.
fn end(server: &mut Child) -> Result<(), String> {
    let ended = server.try_wait().and_then(|ended| match ended {
        Some(_) => Ok(()),
        None => server.kill().and_then(|()| server.wait().map(drop)),
    });
    ended.map_err(|bad| format!("error: the mock cannot be stopped: {bad}"))
}

fn unrunnable(bad: &io::Error) -> String {
    format!("error: cargo does not run: {bad}")
}
