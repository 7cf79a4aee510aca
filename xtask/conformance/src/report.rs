//! The reports of a run, written into one folder.

use std::fs;
use std::io;
use std::path::Path;

use crate::outcome::Run;

/// Writes every report; the folder is made when it is not there.
///
/// # Errors
/// When the disk refuses.
pub fn write(folder: &Path, run: &Run) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("report.json"), serde_json::to_vec_pretty(run)?)
}
