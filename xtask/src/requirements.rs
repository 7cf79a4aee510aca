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
/// The oldest PostgreSQL that tests run on; Debian 12 has it.
const POSTGRES_MAJOR: u32 = 15;

/// A program that must be on the PATH.
pub struct Requirement {
    /// What it is called there.
    pub program: &'static str,
    /// What else must hold for it to be of use, in words.
    pub condition: &'static str,
    holds: fn(&Path) -> bool,
    /// Where Debian keeps it beside the PATH; the newest last.
    beside: fn() -> Vec<PathBuf>,
    /// The Debian packages that give it.
    pub packages: &'static [&'static str],
    /// Whether these come with a service that starts as soon as they are installed.
    brings_service: bool,
    /// The environment variable that tells tests where it is.
    pub variable: &'static str,
}

/// Runs the tools of `xtask/node` and the generated TypeScript client.
pub const NODE: Requirement = Requirement {
    program: "node",
    condition: "18 or newer",
    holds: is_recent_node,
    beside: Vec::new,
    packages: &["nodejs"],
    brings_service: false,
    variable: "VESTIBULE_TEST_NODE",
};

/// Installs the tools of `xtask/node`.
pub const NPM: Requirement = Requirement {
    program: "npm",
    condition: "that starts",
    holds: |path| succeeds(path, &["--version"]),
    beside: Vec::new,
    packages: &["npm"],
    brings_service: false,
    variable: "VESTIBULE_TEST_NPM",
};

/// Makes the environments of Python consumers.
pub const PYTHON: Requirement = Requirement {
    program: "python3",
    condition: "with the modules venv and ensurepip",
    holds: |path| succeeds(path, &["-c", "import venv, ensurepip"]),
    beside: Vec::new,
    packages: &["python3", "python3-venv"],
    brings_service: false,
    variable: "VESTIBULE_TEST_PYTHON",
};

/// Shows the pages as a browser does.
pub const CHROMIUM: Requirement = Requirement {
    program: "chromium",
    condition: "that starts",
    holds: |path| succeeds(path, &["--version"]),
    beside: Vec::new,
    packages: &["chromium"],
    brings_service: false,
    variable: "VESTIBULE_TEST_CHROMIUM",
};

/// Makes the clusters that tests use; the other programs of PostgreSQL stand beside it.
pub const INITDB: Requirement = Requirement {
    program: "initdb",
    condition: "of PostgreSQL 15 or newer",
    holds: is_recent_postgres,
    beside: postgres_folders,
    packages: &["postgresql"],
    brings_service: true,
    variable: "VESTIBULE_TEST_INITDB",
};

/// Stands between the service and PostgreSQL, as it does in many a deployment.
pub const PGBOUNCER: Requirement = Requirement {
    program: "pgbouncer",
    condition: "that starts",
    holds: |path| succeeds(path, &["--version"]),
    beside: || vec!["/usr/sbin".into()],
    packages: &["pgbouncer"],
    brings_service: true,
    variable: "VESTIBULE_TEST_PGBOUNCER",
};

/// Everything that a run of all tests needs.
pub const ALL: [Requirement; 6] = [NODE, NPM, PYTHON, CHROMIUM, INITDB, PGBOUNCER];

impl Requirement {
    /// The first program of this name on the PATH that does, else the newest beside it.
    pub fn find(&self) -> Option<PathBuf> {
        self.find_on(&std::env::var_os("PATH")?)
    }

    fn find_on(&self, path: &OsStr) -> Option<PathBuf> {
        let beside = (self.beside)().into_iter().rev();
        let folders = std::env::split_paths(path).chain(beside);
        let mut places = folders.map(|folder| folder.join(self.program));
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
    let Some(mut privileged) = privileged() else { return Err(remedy(missing)) };
    let packages = packages(missing);
    eprintln!("installing {} for {}", packages.join(", "), described(missing));
    let mut command = privileged();
    command.args(["sh", "-c", INSTALL, "install"]);
    command.arg(if missing.iter().any(|it| it.brings_service) { "services" } else { "" });
    run(command.args(&packages)).map_err(|bad| {
        format!("apt-get install {} failed ({bad}): {}", packages.join(" "), described(missing))
    })
}

/// Installs packages. When the first argument is not empty they bring services, which belong to
/// nobody here: they are not started, and the cluster that Debian makes of a PostgreSQL is not made.
/// What says so is there for as long as this takes, and only where nobody else has said anything.
const INSTALL: &str = r#"
services=$1
shift
apt() { apt-get -o DPkg::Lock::Timeout=600 "$@"; }
install() { apt install --yes --quiet --quiet --no-install-recommends "$@"; }
# Old lists may do as well; the installation tells.
apt update --quiet --quiet
[ -n "$services" ] || { install "$@"; exit; }
policy=/usr/sbin/policy-rc.d clusters=/etc/postgresql-common/createcluster.conf
trap 'rm -f "$ours"; [ -z "$kept" ] || mv -f "$kept" "$clusters"' EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ]; then
    ours=$policy
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
install postgresql-common || exit
if ! grep -q '^[[:space:]]*create_main_cluster' "$clusters"; then
    cp -p "$clusters" "$clusters.kept" && kept=$clusters.kept
    echo 'create_main_cluster = false' >>"$clusters"
fi
install "$@"
"#;

/// Starts programs with the right to install, when this account has it and there is `apt-get`.
fn privileged() -> Option<impl FnMut() -> Command> {
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
        command.arg("DEBIAN_FRONTEND=noninteractive");
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

/// `initdb (PostgreSQL) 15.4 (Debian …)`; from 15 on it knows the orders of languages by ICU.
fn is_recent_postgres(path: &Path) -> bool {
    let Ok(output) = Command::new(path).arg("--version").output() else { return false };
    let version = String::from_utf8_lossy(&output.stdout);
    let number = version.split_whitespace().find_map(|word| word.split('.').next()?.parse().ok());
    number.is_some_and(|number: u32| number >= POSTGRES_MAJOR)
}

/// Debian keeps one version beside the other, and none of them on the PATH.
fn postgres_folders() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut numbered: Vec<(u32, PathBuf)> = versions
        .filter_map(|it| Some((it.file_name().to_str()?.parse().ok()?, it.path().join("bin"))))
        .collect();
    numbered.sort();
    numbered.into_iter().map(|(_, folder)| folder).collect()
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

    fn fake(folder: &Path, program: &str, version: &str) {
        let (script, place) = (format!("#!/bin/sh\necho '{version}'\n"), folder.join(program));
        fs::create_dir_all(folder).expect("it is ours");
        fs::write(&place, script).expect("it is ours");
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).expect("it is ours");
    }

    #[test]
    fn an_old_node_is_passed_over() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let folders = ["none", "old", "new"].map(|name| root.path().join(name));
        fake(&folders[1], "node", "v16.20.2");
        let path = std::env::join_paths(&folders).expect("a PATH");
        assert_eq!(NODE.find_on(&path), None);
        fake(&folders[2], "node", "v18.20.4");
        assert_eq!(NODE.find_on(&path), Some(folders[2].join("node")));
    }
    #[test]
    fn an_old_postgres_is_passed_over_and_one_beside_the_path_is_found() {
        let root = tempfile::tempdir().expect("a temporary directory");
        let folders = ["old", "new"].map(|name| root.path().join(name));
        fake(&folders[0], "initdb", "initdb (PostgreSQL) 14.9 (Debian 14.9-1)");
        let path = std::env::join_paths(&folders).expect("a PATH");
        let alone = Requirement { beside: Vec::new, ..INITDB };
        assert_eq!(alone.find_on(&path), None);
        fake(&folders[1], "initdb", "initdb (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)");
        assert_eq!(alone.find_on(&path), Some(folders[1].join("initdb")));
        let beside = Requirement { program: "sh", beside: || vec!["/bin".into()], ..NPM };
        let beside = Requirement { holds: |_| true, ..beside };
        assert_eq!(beside.find_on(OsStr::new("")), Some("/bin/sh".into()));
    }

    /// The shell says where it would break; that it does what it says, an installation shows.
    #[test]
    fn the_installation_is_a_shell_script() {
        let read = Command::new("sh").args(["-n", "-c", INSTALL]).status();
        assert!(read.expect("there is a shell").success());
    }
}
