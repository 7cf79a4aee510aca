//! The file of master keys as it is rotated: a key is added last, moved to the front, and left
//! alone there. Each step is one file in place of another, so that no reader sees half of it.

use std::path::Path;

use super::ConfigError;
use super::key_file::{read_private, write_private};
use super::layers::split;
use crate::domain::sealing::MasterKeys;

/// Reads the keys of a file, the first one first.
///
/// # Errors
/// The file cannot be read, others may read it, or a key in it cannot be used.
pub fn read_master_keys(path: &Path) -> Result<MasterKeys, ConfigError> {
    let place = path.display().to_string();
    super::secret::parse_master_keys(&place, &split(&read_private(&place, path)?))
}

/// Adds a key behind all others: it opens and verifies, and seals nothing yet.
///
/// # Errors
/// As [`read_master_keys`], or the file cannot be written.
pub fn add_last(path: &Path, key: &str) -> Result<(), ConfigError> {
    let text = read(path)?;
    write(path, &format!("{}\n{key}\n", text.trim_end()))
}

/// Moves a key before all others: it seals and signs from now on.
///
/// # Errors
/// As [`add_last`].
pub fn move_first(path: &Path, key: &str) -> Result<(), ConfigError> {
    let text = read(path)?;
    let others: Vec<_> = text.lines().filter(|line| line.trim() != key).collect();
    write(path, &format!("{key}\n{}\n", others.join("\n")))
}

/// Leaves the first key alone in the file; how many went.
///
/// # Errors
/// As [`add_last`].
pub fn keep_first(path: &Path) -> Result<usize, ConfigError> {
    let keys = split(&read(path)?);
    let Some(first) = keys.first() else { return Ok(0) };
    write(path, &format!("{first}\n"))?;
    Ok(keys.len() - 1)
}

fn read(path: &Path) -> Result<String, ConfigError> {
    read_master_keys(path)?;
    read_private(&path.display().to_string(), path)
}

fn write(path: &Path, text: &str) -> Result<(), ConfigError> {
    write_private(path, text).map_err(|cause| {
        let place = path.display().to_string();
        let problem = format!("the file of master keys cannot be replaced ({cause})");
        ConfigError::new(&place, problem, "let this user write its directory, or edit it by hand")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Ids;

    #[test]
    fn a_key_is_added_moved_and_left_alone_in_a_private_file() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().expect("a directory");
        let (path, fresh) = (dir.path().join("master.key"), || Ids::default().hex::<32>(""));
        let (old, new) = (fresh(), fresh());
        write_private(&path, &format!("# ours\n{old} # since spring\n")).expect("writes");
        let names = || read_master_keys(&path).expect("reads").fingerprints();
        let before = names();
        add_last(&path, &new).expect("adds");
        assert_eq!((names().len(), &names()[0]), (2, &before[0]));
        let added = names().swap_remove(1);
        move_first(&path, &new).expect("moves");
        assert_eq!(names(), [added.clone(), before[0].clone()]);
        let text = std::fs::read_to_string(&path).expect("reads");
        assert!(text.contains("# since spring"), "{text}");
        assert_eq!(keep_first(&path).expect("keeps"), 1);
        assert_eq!(names(), [added]);
        let mode = std::fs::metadata(&path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        std::fs::write(&path, "nonsense").expect("writes");
        assert!(add_last(&path, &new).is_err(), "a file that is no list stays as it is");
    }
}
