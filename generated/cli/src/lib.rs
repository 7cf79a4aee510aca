//! The generated commands of every surface, put together as `vestibule-cli SURFACE OPERATION`.
//!
//! Written by hand and kept by the generator, like `credentials` and `printer`: which operations
//! there are, what they take and what their help says comes from the documents alone.

mod credentials;
mod printer;
mod surfaces;

use std::ffi::OsString;

use clap::{ArgMatches, Command};
use heck::ToKebabCase as _;

use credentials::Connection;
use printer::Printer;
pub use printer::{Ended, FINE, REFUSED, UNUSABLE};

const ABOUT: &str = "Call any operation of Vestibule.

Embed sessions are opened by a signature: give --embed-key and --secret-file. Everything else takes \
a bearer token: give --token-file. Secrets are never arguments, because arguments are seen by every \
process of the machine; a file that holds one must be its owner's alone (mode 0600).";

const AFTER: &str = "\
Examples:
  vestibule-cli --embed-key yk_… --secret-file embed.secret embed embed-session-create --json-body body.json
  vestibule-cli --token-file iframe.key iframe iframe-session-create --json-body /dev/stdin < body.json
  vestibule-cli --token-file admin.token admin tenant-list --limit 10

The answer is printed as JSON.
Exit codes: 0 fine, 1 refused or unreachable, 2 unusable input";

/// Runs one command line; `variable` reads the environment.
pub async fn run(
    arguments: impl IntoIterator<Item = OsString>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Ended {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(said) => return Ended::from_clap(&said),
    };
    let (surface, below) = matches.subcommand().expect("clap requires a surface");
    let (operation, given) = below.subcommand().expect("clap requires an operation");
    call(surface, operation, given, variable).await
}

/// The whole command line.
pub fn command() -> Command {
    Command::new("vestibule-cli")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Call any operation of Vestibule")
        .long_about(ABOUT)
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .args(credentials::arguments())
        .subcommands(surface_commands())
}

/// One surface with its operations, by their ids.
fn surface_command(
    name: &'static str,
    title: &'static str,
    description: &'static str,
    operations: impl Iterator<Item = (&'static str, Command)>,
) -> Command {
    Command::new(name)
        .about(title)
        .long_about(format!("{title}\n\n{description}"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommands(operations.map(|(id, command)| operation_command(id, command)))
}

/// The summary alone in lists, all of the documents' words in the operation's own help.
fn operation_command(id: &str, command: Command) -> Command {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let summary = about.lines().next().unwrap_or_default().to_owned();
    let mut command = command.name(id.to_kebab_case()).about(summary).long_about(about);
    if command.get_arguments().any(|argument| argument.get_id() == "json-body") {
        command = command.mut_arg("json-body", |argument| {
            argument.value_name("FILE").help(
                "A file that holds the body as JSON, or /dev/stdin; other arguments change it",
            )
        });
    }
    command
}

/// Implements for every surface what its generated module asks for.
macro_rules! put_together {
    ($($surface:ident, $title:literal, $description:literal, $server:literal;)*) => {
        fn surface_commands() -> Vec<Command> {
            vec![$({
                use surfaces::$surface::{Cli, CliCommand};
                let operations =
                    CliCommand::iter().map(|it| (it.operation_id(), Cli::<&Printer>::get_command(it)));
                surface_command(stringify!($surface), $title, $description, operations)
            }),*]
        }

        async fn call(
            surface: &str,
            operation: &str,
            given: &ArgMatches,
            variable: &dyn Fn(&str) -> Option<String>,
        ) -> Ended {
            let printer = Printer::default();
            let called = match surface {
                $(stringify!($surface) => {
                    use surfaces::$surface::{Cli, CliCommand};
                    let command = CliCommand::iter()
                        .find(|it| it.operation_id().to_kebab_case() == operation)
                        .expect("clap knows these commands alone");
                    let connection =
                        match Connection::read(command.operation_id(), given, variable, $server) {
                            Ok(connection) => connection,
                            Err(problem) => return Ended::unusable(&problem),
                        };
                    let Connection { base_url, http, credentials } = connection;
                    let client =
                        vestibule_client::$surface::Client::new_with_client(&base_url, http, credentials);
                    Cli::new(client, &printer).execute(command, given).await
                })*
                _ => unreachable!("clap knows these surfaces alone"),
            };
            printer.end(called)
        }

        $(impl surfaces::$surface::CliConfig for &Printer {
            fn success_item<T: serde::Serialize + std::fmt::Debug>(
                &self,
                value: &vestibule_client::ResponseValue<T>,
            ) {
                self.answer(&**value);
            }

            fn success_no_item(&self, _: &vestibule_client::ResponseValue<()>) {
                self.done();
            }

            fn error<T: serde::Serialize + std::fmt::Debug>(
                &self,
                value: &vestibule_client::Error<T>,
            ) {
                self.refusal(value);
            }

            fn list_start<T: serde::Serialize + std::fmt::Debug>(&self) {}

            fn list_item<T: serde::Serialize + std::fmt::Debug>(&self, value: &T) {
                self.answer(value);
            }

            fn list_end_success<T: serde::Serialize + std::fmt::Debug>(&self) {}

            fn list_end_error<T: serde::Serialize + std::fmt::Debug>(
                &self,
                value: &vestibule_client::Error<T>,
            ) {
                self.refusal(value);
            }
        })*
    };
}

surfaces::with_surfaces!(put_together);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn every_operation_is_known_by_what_proves_its_caller() {
        for surface in command().get_subcommands() {
            for operation in surface.get_subcommands() {
                let id = operation.get_name().replace('-', "_");
                assert!(surfaces::proofs(&id).is_some(), "{id}");
            }
        }
    }
}
