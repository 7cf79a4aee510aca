//! The PostgreSQL that tests find under `VESTIBULE_TEST_POSTGRES`: one for a run, gone after it, or
//! one that `tools` leaves running until `tools --stop`.
//!
//! Knows nothing about what tests do with it.

use std::fs;
use std::io;
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use vestibule_cluster::{Cluster, stop_at, url_at};

use crate::requirements;

/// Tells tests its administrative address.
pub const VARIABLE: &str = "VESTIBULE_TEST_POSTGRES";

/// Where it is written which one `tools` left.
const LEFT: &str = "target/postgres-of-tools";

/// A cluster of its own for a run of tests.
///
/// # Errors
/// One line: what is missing or what PostgreSQL said.
pub fn for_a_run() -> Result<Cluster, String> {
    let initdb = requirements::find(&[requirements::INITDB])?.remove(0);
    Cluster::start(&initdb).map_err(|bad| format!("no PostgreSQL for the tests: {bad}"))
}

/// The address of the cluster that an earlier call left, else of a new one.
///
/// # Errors
/// As [`for_a_run`].
pub fn left_running(root: &Path) -> Result<String, String> {
    let told = |bad: io::Error| format!("{LEFT}: {bad}");
    let _one_at_a_time = requirements::lock(root, "postgres").map_err(told)?;
    if let Some(url) = left(root).and_then(|home| url_at(&home).ok()).filter(|url| answers(url)) {
        return Ok(url);
    }
    stop_left(root)?;
    let home = for_a_run()?.leave().map_err(told)?;
    fs::write(root.join(LEFT), home.to_string_lossy().as_bytes()).map_err(told)?;
    url_at(&home).map_err(told)
}

/// Ends the cluster that `tools` left; whether there was one.
///
/// # Errors
/// One line: why it stays.
pub fn stop_left(root: &Path) -> Result<bool, String> {
    let told = |bad: io::Error| format!("{LEFT}: {bad}");
    let Some(home) = left(root) else { return Ok(false) };
    stop_at(&home).map_err(told)?;
    fs::remove_file(root.join(LEFT)).map_err(told)?;
    Ok(true)
}

fn left(root: &Path) -> Option<PathBuf> {
    fs::read_to_string(root.join(LEFT)).ok().map(PathBuf::from)
}

/// Whether somebody listens where the address points.
fn answers(url: &str) -> bool {
    let place = url.split('@').nth(1).and_then(|it| it.split('/').next());
    place.is_some_and(|place| TcpStream::connect(place).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_of_tools_is_found_again_and_ended() {
        let root = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(stop_left(root.path()), Ok(false));
        let url = left_running(root.path()).expect("it starts");
        assert_eq!(left_running(root.path()), Ok(url.clone()), "the same one");
        let home = left(root.path()).expect("it is written down");
        assert!(home.is_dir() && answers(&url));
        assert_eq!(stop_left(root.path()), Ok(true));
        assert!(!home.exists() && !answers(&url));
        assert_eq!(stop_left(root.path()), Ok(false));
    }
}
