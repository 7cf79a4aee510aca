//! Programs beyond the Rust toolchain: one table of what is asked and which Debian package gives
//! it, and how a missing one is installed.
//!
//! Knows nothing about what the programs are used for.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anstream::eprintln;

/// The oldest Node.js that the pinned tools run on; Debian 12 has it.
const NODE_MAJOR: u32 = 18;

/// A program that must be on the PATH.
pub struct Requirement {
    /// What it is called there.
    pub program: &'static str,
    /// What else must hold for it to be of use, in words.
    pub condition: &'static str,
    holds: fn(&Path) -> bool,
    /// The Debian packages that give it.
    pub packages: &'static [&'static str],
    /// The environment variable that tells tests where it is.
    pub variable: &'static str,
}

/// Runs the tools of `xtask/node` and the generated TypeScript client.
pub const NODE: Requirement = Requirement {
    program: "node",
    condition: "18 or newer",
    holds: is_recent_node,
    packages: &["nodejs"],
    variable: "VESTIBULE_TEST_NODE",
};

/// Installs the tools of `xtask/node`.
pub const NPM: Requirement = Requirement {
    program: "npm",
    condition: "that starts",
    holds: |path| succeeds(path, &["--version"]),
    packages: &["npm"],
    variable: "VESTIBULE_TEST_NPM",
};

/// Makes the environments of Python consumers.
pub const PYTHON: Requirement = Requirement {
    program: "python3",
    condition: "with the modules venv and ensurepip",
    holds: |path| succeeds(path, &["-c", "import venv, ensurepip"]),
    packages: &["python3", "python3-venv"],
    variable: "VESTIBULE_TEST_PYTHON",
};

/// Shows the pages as a browser does.
pub const CHROMIUM: Requirement = Requirement {
    program: "chromium",
    condition: "that starts",
    holds: |path| succeeds(path, &["--version"]),
    packages: &["chromium"],
    variable: "VESTIBULE_TEST_CHROMIUM",
};

/// Everything that a run of all tests needs.
pub const ALL: [Requirement; 4] = [NODE, NPM, PYTHON, CHROMIUM];

impl Requirement {
    /// The first program of this name on the PATH that does.
    pub fn find(&self) -> Option<PathBuf> {
        self.find_on(&std::env::var_os("PATH")?)
    }

    fn find_on(&self, path: &OsStr) -> Option<PathBuf> {
        let mut places = std::env::split_paths(path).map(|folder| folder.join(self.program));
        places.find(|place| place.is_file() && (self.holds)(place))
    }

    fn describe(&self) -> String {
        format!("{} ({})", self.program, self.condition)
    }
}

/// The places of all these programs, in order.
///
/// # Errors
/// When one is missing: what it is, and the command to run.
pub fn find(wanted: &[Requirement]) -> Result<Vec<PathBuf>, String> {
    let places = wanted.iter().map(Requirement::find).collect::<Option<_>>();
    places.ok_or_else(|| remedy(&missing(wanted)))
}

/// The places of all these programs, in order; installs the missing ones with apt where this
/// account may.
///
/// # Errors
/// When one stays missing: what it is, and the command to run.
pub fn ensure(root: &Path, wanted: &[Requirement]) -> Result<Vec<PathBuf>, String> {
    if let Ok(places) = find(wanted) {
        return Ok(places);
    }
    let _one_at_a_time = lock(root, "apt").map_err(|bad| format!("target/apt.lock: {bad}"))?;
    install(&missing(wanted))?;
    let places = wanted.iter().map(|it| it.find().ok_or_else(|| it.describe()));
    places
        .collect::<Result<_, _>>()
        .map_err(|what| format!("Debian's package does not bring {what}; install it and try again"))
}

/// Holds other processes of this repository off until the file is dropped.
///
/// # Errors
/// When the disk refuses.
pub fn lock(root: &Path, name: &str) -> io::Result<File> {
    let folder = root.join("target");
    fs::create_dir_all(&folder)?;
    let file = File::create(folder.join(format!("{name}.lock")))?;
    file.lock()?;
    Ok(file)
}

fn missing(wanted: &[Requirement]) -> Vec<&Requirement> {
    wanted.iter().filter(|it| it.find().is_none()).collect()
}

/// What is missing and the command that brings it, for people.
fn remedy(missing: &[&Requirement]) -> String {
    let (what, packages) = (described(missing), packages(missing).join(" "));
    format!("not on the PATH: {what}; `sudo apt-get install {packages}` brings it")
}

fn described(missing: &[&Requirement]) -> String {
    missing.iter().map(|it| it.describe()).collect::<Vec<_>>().join(", ")
}

fn packages(missing: &[&Requirement]) -> Vec<&'static str> {
    missing.iter().flat_map(|it| it.packages).copied().collect()
}

fn install(missing: &[&Requirement]) -> Result<(), String> {
    if missing.is_empty() {
        return Ok(());
    }
    let Some(mut apt) = privileged_apt() else { return Err(remedy(missing)) };
    let packages = packages(missing);
    eprintln!("installing {} for {}", packages.join(", "), described(missing));
    // Old lists may do as well; the installation tells.
    let _ = run(apt().args(["update", "--quiet", "--quiet"]));
    let mut command = apt();
    command.args(["install", "--yes", "--quiet", "--quiet", "--no-install-recommends"]);
    run(command.args(&packages)).map_err(|bad| {
        format!("apt-get install {} failed ({bad}): {}", packages.join(" "), described(missing))
    })
}

/// Starts `apt-get` with the right to install, when this account has it.
fn privileged_apt() -> Option<impl FnMut() -> Command> {
    let (env, apt, sudo) = (Path::new("env"), Path::new("apt-get"), Path::new("sudo"));
    if !succeeds(apt, &["--version"]) {
        return None;
    }
    let is_root = Command::new("id").arg("-u").output().is_ok_and(|id| id.stdout == b"0\n");
    if !is_root && !succeeds(sudo, &["-n", "true"]) {
        return None;
    }
    Some(move || {
        let mut command = Command::new(if is_root { env } else { sudo });
        if !is_root {
            command.args(["-n", "env"]);
        }
        command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command.args(["-o", "DPkg::Lock::Timeout=600"]);
        command
    })
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(status.to_string()),
        Err(bad) => Err(bad.to_string()),
    }
}

fn is_recent_node(path: &Path) -> bool {
    let Ok(output) = Command::new(path).arg("--version").output() else { return false };
    let version = String::from_utf8_lossy(&output.stdout);
    let major = version.trim_start_matches('v').split('.').next().map(str::parse);
    major.is_some_and(|major| major.is_ok_and(|major: u32| major >= NODE_MAJOR))
}

fn succeeds(program: &Path, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn fake_node(folder: &Path, version: &str) {
        let (script, place) = (format!("#!/bin/sh\necho {version}\n"), folder.join("node"));
        fs::create_dir_all(folder).expect("it is ours");
        fs::write(&place, script).expect("it is ours");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[test]
    fn an_old_node_is_passed_over() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let folders = ["none", "old", "new"].map(|name| root.path().join(name));
        fake_node(&folders[1], "v16.20.2");
        let path = std::env::join_paths(&folders).expect("a PATH");
        assert_eq!(NODE.find_on(&path), None);
        fake_node(&folders[2], "v18.20.4");
        assert_eq!(NODE.find_on(&path), Some(folders[2].join("node")));
    }
}
