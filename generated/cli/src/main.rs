//! `vestibule-cli`: calls any operation of any surface from a shell.

use std::io::Write as _;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let variable = |name: &str| std::env::var(name).ok();
    let ended = vestibule_cli::run(std::env::args_os(), &variable).await;
    let printed = write!(anstream::stdout(), "{}", ended.out)
        .and_then(|()| write!(anstream::stderr(), "{}", ended.err));
    match printed {
        Ok(()) => ExitCode::from(ended.code),
        Err(_) => ExitCode::FAILURE,
    }
}
