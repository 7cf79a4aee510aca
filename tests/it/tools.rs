//! Programs beyond the Rust toolchain, where `cargo xtask test` found or put them.
//!
//! A test that needs one and is started otherwise fails and says so; it never passes by skipping.

use std::path::PathBuf;

/// Node.js, 18 or newer.
pub fn node() -> PathBuf {
    place("VESTIBULE_TEST_NODE")
}

/// The installed packages of `xtask/node`.
pub fn node_modules() -> PathBuf {
    place("VESTIBULE_TEST_NODE_MODULES")
}

/// Python 3 with the module venv.
pub fn python() -> PathBuf {
    place("VESTIBULE_TEST_PYTHON")
}

/// A browser that playwright-core drives.
pub fn chromium() -> PathBuf {
    place("VESTIBULE_TEST_CHROMIUM")
}

fn place(variable: &str) -> PathBuf {
    let told = std::env::var_os(variable);
    told.unwrap_or_else(|| panic!("{variable} is not set: run `cargo xtask test`")).into()
}

#[test]
fn everything_that_tests_need_is_there() {
    for program in [node(), python(), chromium()] {
        assert!(program.is_file(), "{}", program.display());
    }
    let packages = ["openapi-typescript", "typescript", "swagger-ui-dist", "playwright-core"];
    for package in packages {
        assert!(node_modules().join(package).is_dir(), "{package}");
    }
}
