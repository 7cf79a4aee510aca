//! Which engine the services of this run remember in: SQLite in their data directories, or, with
//! `VESTIBULE_TEST_ENGINE=postgres`, PostgreSQL, with a database of its own for each data directory.
//!
//! A data directory stands for its database: whoever is told of the one finds the other. What is
//! done to a database from outside goes through `psql`, so that the store does not vouch for itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use vestibule::domain::database::Database;

use crate::tools::{initdb, postgres};

/// The setting that names [`ADDRESS`] to a process.
pub const URL_FILE: &str = "VESTIBULE__DATABASE__URL_FILE";

/// The file in a data directory that holds the address of its database, where it has one.
const ADDRESS: &str = "database-url";

/// The file in which [`laid_open`] writes what the tables hold.
const COPIED: &str = "tables.bin";

/// Whether this run is the one on PostgreSQL.
pub fn is_postgres() -> bool {
    match std::env::var("VESTIBULE_TEST_ENGINE").as_deref() {
        Err(_) | Ok("sqlite") => false,
        Ok("postgres") => true,
        Ok(other) => panic!("VESTIBULE_TEST_ENGINE is {other}, not sqlite or postgres"),
    }
}

/// The database of a data directory; made when there is none yet.
pub fn database(data_dir: &Path) -> Database {
    match address_file(data_dir) {
        None => Database::from(data_dir),
        Some(file) => Database::at(&fs::read_to_string(file).expect("ours")).expect("an address"),
    }
}

/// The file that a process on this data directory must be told of, made with its database when
/// there is none yet; nothing on SQLite.
pub fn address_file(data_dir: &Path) -> Option<PathBuf> {
    static ONE_AT_A_TIME: Mutex<Vec<Own>> = Mutex::new(Vec::new());
    if !is_postgres() {
        return None;
    }
    let mut all = ONE_AT_A_TIME.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if known_address_file(data_dir).is_none() {
        // What tests have left behind by now.
        all.retain(|it| it.data_dir.exists());
        all.push(Own::create(data_dir));
    }
    known_address_file(data_dir)
}

/// [`address_file`] where a service was started on this data directory before.
pub fn known_address_file(data_dir: &Path) -> Option<PathBuf> {
    Some(data_dir.join(ADDRESS)).filter(|file| file.exists())
}

/// What `psql` prints for one script on the database of a data directory, a value per line; `$1`…
/// are written `:'v1'`….
pub fn psql(data_dir: &Path, sql: &str, values: &[&str]) -> String {
    String::from_utf8(ask(&address(data_dir), sql, values)).expect("UTF-8")
}

/// What `psql` prints for one script on the database at an address.
pub fn at_address(address: &str, sql: &str) -> String {
    String::from_utf8(ask(address, sql, &[])).expect("UTF-8")
}

/// The names of files in a data directory in which every stored byte can be read as it is: those of
/// SQLite, or a copy of what all tables of PostgreSQL hold.
pub fn laid_open<'a>(data_dir: &Path, sqlite: &[&'a str]) -> Vec<&'a str> {
    if !is_postgres() {
        return sqlite.to_vec();
    }
    let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'";
    let mut copied = Vec::new();
    for table in psql(data_dir, tables, &[]).lines() {
        let sql = format!("COPY {table} TO STDOUT (FORMAT binary)");
        copied.extend(ask(&address(data_dir), &sql, &[]));
    }
    fs::write(data_dir.join(COPIED), copied).expect("ours");
    vec![COPIED]
}

/// The database of one data directory. It goes with this.
struct Own {
    data_dir: PathBuf,
    name: String,
}

impl Own {
    fn create(data_dir: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("it_{}_{number}", std::process::id());
        let server = postgres();
        ask(&server, &format!("CREATE DATABASE {name}"), &[]);
        let (address, _) = server.rsplit_once('/').expect("an address ends in a database");
        let file = data_dir.join(ADDRESS);
        fs::create_dir_all(data_dir).expect("ours");
        fs::write(&file, format!("{address}/{name}")).expect("ours");
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .expect("ours");
        Self { data_dir: data_dir.to_owned(), name }
    }
}

impl Drop for Own {
    /// In the background: the server writes a checkpoint for it. What is left when this process ends
    /// goes with the cluster.
    fn drop(&mut self) {
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        std::thread::spawn(move || ask(&postgres(), &sql, &[]));
    }
}

fn address(data_dir: &Path) -> String {
    let file = known_address_file(data_dir).expect("a service was started on it");
    fs::read_to_string(file).expect("ours")
}

fn ask(address: &str, sql: &str, values: &[&str]) -> Vec<u8> {
    let beside = initdb().canonicalize().expect("it is there").with_file_name("psql");
    let mut command = Command::new(beside);
    command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
    command.args(["--set", "ON_ERROR_STOP=1", "--dbname", address, "--file", "-"]);
    for (at, value) in values.iter().enumerate() {
        command.args(["--set", &format!("v{}={value}", at + 1)]);
    }
    let output = crate::tools::fed(&mut command, sql.as_bytes());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{sql}: {said}");
    output.stdout
}

/// They are left out by their names, so that a name must be a whole module, and no other's end, or a
/// test of one.
#[test]
fn what_runs_once_is_a_list_of_modules_with_reasons() {
    let modules: Vec<_> = include_str!("main.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'))
        .collect();
    let lines = include_str!("once.txt").lines().filter(|line| !line.starts_with('#'));
    let listed: Vec<_> = lines.map(|line| line.split_once(": ").expect("a reason")).collect();
    assert!(listed.is_sorted() && listed.len() > 10, "{listed:?}");
    for (name, reason) in listed {
        let (module, test) = name.split_once("::").unwrap_or((name, ""));
        let hit = |other: &&&str| {
            if test.is_empty() { other.ends_with(module) } else { **other == module }
        };
        assert_eq!(modules.iter().filter(hit).collect::<Vec<_>>(), [&module], "once.txt");
        let place = format!("{}/tests/it/{module}.rs", env!("CARGO_MANIFEST_DIR"));
        let source = fs::read_to_string(place).expect("a module is a file");
        assert!(source.contains(&format!("fn {test}")), "{name} is no test");
        assert!(!reason.is_empty(), "{name}");
    }
}
