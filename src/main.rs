//! The binary: hands its arguments to the command line and its exit code to the system.

/// Requests are many small allocations on one thread that end on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    vestibule::cli::main()
}
