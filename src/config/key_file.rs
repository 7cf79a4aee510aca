//! Files that only their owner may read: secrets given by path, and what `--dev` keeps.
//!
//! Reading refuses a file that others could have read; writing never leaves half a file behind.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use super::ConfigError;
use crate::context::Ids;

/// Where `--dev` keeps the master key, inside the data directory.
pub(super) const MASTER_KEY_FILE: &str = "master.key";

/// Reads a file that nobody but its owner may read. `place` says who asks, for the complaint.
///
/// # Errors
/// The file cannot be read, is not UTF-8, or its mode lets group or others in.
pub fn read_private(place: &str, path: &Path) -> Result<String, ConfigError> {
    let shown = path.display();
    let read = || -> io::Result<(u32, String)> {
        let mut file = File::open(path)?;
        let mut text = String::new();
        // The mode of the open file, not of the path: nobody can swap it in between.
        let mode = file.metadata()?.permissions().mode() & 0o777;
        file.read_to_string(&mut text)?;
        Ok((mode, text))
    };
    let (mode, text) = read().map_err(|cause| {
        let remedy = "give the path of a text file that this user can read";
        ConfigError::new(place, format!("{shown} cannot be read ({cause})"), remedy)
    })?;
    if mode & 0o077 != 0 {
        let problem = format!("{shown} has mode {mode:04o}, so others may read the secret");
        return Err(ConfigError::new(place, problem, format!("run: chmod 600 {shown}")));
    }
    Ok(text)
}

/// Writes a file with mode 0600 in one step, in place of what was there; it outlives a power cut.
///
/// # Errors
/// The system's, when the file or its directory cannot be written.
pub fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let fresh = write_beside(path, text)?;
    std::fs::rename(&fresh, path)?;
    File::open(directory_of(path))?.sync_all()
}

/// Where a file lies, also when its path is a name alone.
pub fn directory_of(file: &Path) -> &Path {
    file.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// The master key of a data directory, created there when it is missing.
pub(super) fn read_or_create_master_key(data_dir: &Path) -> Result<String, ConfigError> {
    let path = data_dir.join(MASTER_KEY_FILE);
    let create = || -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
        if path.exists() {
            return Ok(());
        }
        let fresh = write_beside(&path, &(Ids::default().hex::<32>("") + "\n"))?;
        // A link never replaces: of two processes that start at once, one key stays.
        let linked = std::fs::hard_link(&fresh, &path);
        std::fs::remove_file(&fresh)?;
        match linked {
            Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
            Ok(()) | Err(_) => File::open(data_dir)?.sync_all(),
        }
    };
    let place = path.display().to_string();
    create().map_err(|cause| {
        let problem = format!("the master key cannot be created ({cause})");
        ConfigError::new(&place, problem, "give --data-dir a directory this user can write")
    })?;
    read_private("--dev", &path)
}

fn write_beside(path: &Path, text: &str) -> io::Result<std::path::PathBuf> {
    let fresh = path.with_extension(format!("{}.new", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(fresh)
}
