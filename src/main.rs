//! The binary: hands its arguments to the command line and its exit code to the system.

fn main() -> std::process::ExitCode {
    vestibule::cli::main()
}
