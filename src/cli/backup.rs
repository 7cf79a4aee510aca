//! `vestibule backup`: a checked copy of the embedded database, made while the service runs.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::json;
use tempfile::NamedTempFile;

use super::listing::time;
use super::workplace::{Workplace, runtime};
use super::{Failure, print_json, print_line};
use crate::config::directory_of;
use crate::context::Clock;
use crate::domain::database::Database;
use crate::domain::sealing::MasterKeys;
use crate::store::{Holdings, Store};

/// Copy the embedded database into a file while the service runs, and check the copy
///
/// The copy is of one instant and holds up nobody. Its file is readable by its owner alone and never
/// replaces another. PostgreSQL has `pg_dump` for this; see the README.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule backup /backups/vestibule-$(date +%F).db
  vestibule restore /backups/vestibule-2026-11-26.db   # never copy it back by hand

Exit codes: 0 the copy is whole and on the disk, 1 it failed, 2 unusable input or configuration")]
pub(super) struct Backup {
    /// The file to make
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"file","takenAt","bytes","tenants","keys","sessions","entries"}
    #[arg(long)]
    json: bool,
}

/// How often it is looked how far a copy is.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Backup {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { file, workplace, json } = self;
        let access = workplace.access()?;
        let Database::Embedded(data_dir) = &access.database else {
            let problem = format!("the database is {}", access.database.shown());
            return Err(Failure::unusable(problem, "copy it by pg_dump; the README says how"));
        };
        if !Store::is_in(&access.database) {
            let problem = format!("there is no database in {}", data_dir.display());
            return Err(Failure::unusable(problem, "give --data-dir the service's directory"));
        }
        let copy = beside(&file)?;
        let held = runtime()?.block_on(copy_and_check(data_dir, copy.path()))?;
        let bytes = keep(copy, &file)?;
        if json {
            let Holdings { taken_at, tenants, keys, sessions, entries } = held;
            return print_json(&json!({
                "file": file, "takenAt": time(taken_at), "bytes": bytes, "tenants": tenants,
                "keys": keys, "sessions": sessions, "entries": entries,
            }));
        }
        print_line(&sentence(&file, bytes, held, access.master_keys.as_ref()))
    }
}

/// An empty file that is to become `file`, which is not there.
fn beside(file: &Path) -> Result<NamedTempFile, Failure> {
    if file.exists() {
        return Err(is_there(file));
    }
    NamedTempFile::with_prefix_in(".vestibule-backup-", directory_of(file)).map_err(|cause| {
        let problem = format!("{} cannot be written ({cause})", directory_of(file).display());
        Failure::unusable(problem, "give a file in a directory that this user may write")
    })
}

fn is_there(file: &Path) -> Failure {
    let problem = format!("{} is there already", file.display());
    Failure::unusable(problem, "give another name; a backup replaces nothing")
}

async fn copy_and_check(data_dir: &Path, copy: &Path) -> Result<Holdings, Failure> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |found| found.len());
    let total = Store::files(data_dir).iter().take(2).map(|path| size(path)).sum();
    let style = ProgressStyle::with_template("{bar:30} {bytes} of at most {total_bytes}, {msg}");
    let progress = ProgressBar::new(total)
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_message("copying");
    let copying = Store::copy(data_dir, copy, Clock::default().now_ms());
    tokio::pin!(copying);
    loop {
        match tokio::time::timeout(LOOK_EVERY, &mut copying).await {
            Ok(done) => break done?,
            Err(_) => progress.set_position(size(copy)),
        }
    }
    progress.set_message("checking");
    let checked = Store::check_copy(copy).await;
    progress.finish_and_clear();
    checked?.ok_or_else(|| {
        Failure::refused("the copy does not say that it is one", "this is a defect; report it")
    })
}

/// Puts the finished file in its place, on the disk; its size.
fn keep(copy: NamedTempFile, file: &Path) -> Result<u64, Failure> {
    let unwritten = |cause: std::io::Error| {
        let problem = format!("{} cannot be written ({cause})", file.display());
        Failure::refused(problem, "check the room on the disk and try again")
    };
    copy.as_file().sync_all().map_err(unwritten)?;
    let kept = copy.persist_noclobber(file).map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => is_there(file),
        _ => unwritten(error.error),
    })?;
    File::open(directory_of(file)).and_then(|dir| dir.sync_all()).map_err(unwritten)?;
    Ok(kept.metadata().map_err(unwritten)?.len())
}

fn sentence(file: &Path, bytes: u64, held: Holdings, keys: Option<&MasterKeys>) -> String {
    let (file, bytes) = (file.display(), HumanBytes(bytes));
    let Holdings { taken_at, tenants, keys: credentials, sessions, entries } = held;
    let at = time(taken_at);
    let fingerprints = keys.map(|keys| format!(" ({})", keys.fingerprints().join(", ")));
    format!(
        "{file} ({bytes}, checked) holds everything up to {at}: {tenants} tenants, {credentials} \
         keys, {sessions} live sessions, {entries} entries of the audit.\nNot in it: the master \
         keys{}, without which nobody opens its secrets, the admin token and the configuration. \
         Keep those elsewhere.",
        fingerprints.unwrap_or_default()
    )
}
