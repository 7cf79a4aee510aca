//! The command line: what it understands, and which module does it.
//!
//! Output for people by default, one JSON value with `--json`. Commands talk to the same domain and
//! store as the service; none of them knows HTTP except by the text of a curl line.

mod audit;
mod backup;
mod banner;
pub mod dev;
mod doctor;
mod erasure;
mod failure;
mod keys;
mod listing;
mod master_key;
mod restore;
mod serve;
mod sessions;
mod sign;
mod tail;
mod tenants;
mod token;
mod webhooks;
mod workplace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use failure::Failure;

const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  refused, not found, or a finding (a token that does not verify)
  2  unusable input or configuration; nothing was changed";

/// Short-lived, narrowly scoped sessions for chats and assistants in other people's pages.
///
/// Without a command: `serve --dev`, a service with a demo tenant on 127.0.0.1:8080.
#[derive(Debug, Parser)]
#[command(name = "vestibule", version, after_help = EXIT_CODES, after_long_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Sign(sign::Sign),
    Tail(tail::Tail),
    #[command(subcommand)]
    Token(token::Token),
    #[command(subcommand)]
    Keys(keys::Keys),
    #[command(subcommand)]
    Sessions(sessions::Sessions),
    #[command(subcommand)]
    Tenants(tenants::Tenants),
    #[command(subcommand)]
    Webhooks(webhooks::Webhooks),
    Doctor(doctor::Doctor),
    Backup(backup::Backup),
    Restore(restore::Restore),
    #[command(subcommand)]
    Audit(audit::Audit),
    #[command(subcommand)]
    MasterKey(master_key::MasterKey),
}

/// Reads the arguments of this process, does what they say, and gives the exit code.
pub fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve(serve::Serve::for_a_first_look()));
    let done = match command {
        Command::Serve(serve) => serve.run(),
        Command::Sign(sign) => sign.run(),
        Command::Tail(tail) => tail.run(),
        Command::Token(token) => token.run(),
        Command::Keys(keys) => keys.run(),
        Command::Sessions(sessions) => sessions.run(),
        Command::Tenants(tenants) => tenants.run(),
        Command::Webhooks(webhooks) => webhooks.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Backup(backup) => backup.run(),
        Command::Restore(restore) => restore.run(),
        Command::Audit(audit) => audit.run(),
        Command::MasterKey(master_key) => master_key.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Writes one JSON value to standard output.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|cause| Failure::refused(cause.to_string(), "this is a defect; report it"))?;
    print_line(&text)
}

/// Writes one line to standard output; a reader that has gone away is no failure worth a trace.
fn print_line(line: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    writeln!(anstream::stdout(), "{line}").map_err(|cause| {
        Failure::refused(format!("standard output cannot be written ({cause})"), "check the pipe")
    })
}
