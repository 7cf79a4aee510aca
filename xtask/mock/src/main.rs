//! `vestibule-mock FOLDER`: reads what `cargo xtask mock` bundled and answers until it is
//! interrupted.
//!
//! Exit codes: 0 stopped by a signal, 2 unusable input.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use anstream::{eprintln, println};
use anstyle::{AnsiColor, Style};
use clap::Parser;
use vestibule_mock::{Facts, Unusable, start};

const ERROR: Style = AnsiColor::Red.on_default().bold();

/// A server that checks requests as the documents say and answers their examples.
///
/// It knows no tenant and no key: a credential must be there, whether it is true is not asked.
#[derive(Parser)]
#[command(
    name = "cargo xtask mock",
    override_usage = "cargo xtask mock [OPTIONS]",
    after_help = "\
`--watch` starts it again after every save of a document.

Answers are the documents' examples, or values drawn from the seed where there is none. Another
documented answer is asked for with the header Prefer (RFC 7240): code=404, example=NAME,
dynamic=true."
)]
struct Arguments {
    /// Where facts.json and the documents lie, bundled; `cargo xtask mock` gives it.
    #[arg(hide = true)]
    folder: PathBuf,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8081", value_name = "ADDR")]
    bind: SocketAddr,
    /// Serve this document alone; may be given again.
    #[arg(long = "document", value_name = "D")]
    documents: Vec<String>,
    /// What values are drawn from where a document has no example.
    #[arg(long, default_value_t = 0, value_name = "S")]
    seed: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(Unusable(problem)) => {
            eprintln!("{ERROR}error:{ERROR:#} {problem}");
            ExitCode::from(2)
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), Unusable> {
    let facts = Facts::read(&arguments.folder)?.only(&arguments.documents)?;
    let mut mock = start(facts, arguments.bind, arguments.seed, true)?;
    println!("{}", mock.table());
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|bad| Unusable(format!("signals cannot be heard: {bad}")))?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
        ended = &mut mock.server => return Err(Unusable(ended.err().unwrap_or_default())),
    }
    println!("Stopped.");
    mock.server.close().await.map_err(Unusable)
}
