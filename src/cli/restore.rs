//! `vestibule restore`: a backup in the place of the database, behind a fence.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use vestibule_api::authenticate::windows;

use super::listing::{columns, time};
use super::workplace::{Desk, Workplace, runtime};
use super::{Failure, print_json, print_line};
use crate::config::DataAccess;
use crate::domain::database::Database;
use crate::domain::key::{Key, KeyState};
use crate::provision::Fenced;
use crate::store::Store;

/// Put a backup in the place of the database, behind a fence
///
/// What happened since the backup is lost. So that nothing of it comes back to life, all sessions are
/// ended, and signatures from before this moment are refused. Keys that were revoked since, and
/// secrets that were rotated since, cannot be known: the keys that work are listed at the end.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule restore /backups/vestibule-2026-11-26.db --overwrite --revoke-key key_…
  vestibule restore --fence-only   # after pg_restore, or after putting files back by hand
  vestibule restore --fence-only --clock-is-right   # after a clock that was ahead is set right

Stop the service first. The database that is replaced stays beside the new one under another name.
Signed requests are answered 503 until no signature from before can be in time, which takes minutes.

Exit codes: 0 restored, 1 refused, and nothing was replaced, 2 unusable input or configuration")]
pub(super) struct Restore {
    /// A file that `vestibule backup` made
    #[arg(value_name = "FILE", required_unless_present = "fence_only")]
    file: Option<PathBuf>,
    /// Put nothing in place, but a fence before the database that is there
    #[arg(long, conflicts_with_all = ["file", "overwrite"])]
    fence_only: bool,
    /// Replace the database that is there
    #[arg(long)]
    overwrite: bool,
    /// This machine's clock is right and was ahead before: forget that later times were seen
    #[arg(long, requires = "fence_only")]
    clock_is_right: bool,
    /// Revoke a key again that was revoked since the backup; may be repeated
    #[arg(long = "revoke-key", value_name = "KEY")]
    revoke: Vec<String>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"takenAt","fencedAt","sessionsEnded","signaturesFrom","activeKeys","replaced"}
    #[arg(long)]
    json: bool,
}

/// Keys in one page.
const PAGE: u32 = 200;

/// Keys that people are shown; more than that are a list of its own.
const SHOWN: usize = 40;

/// The widest window of a signature: as much later than the fence a caller may have signed.
const WINDOW_MS: i64 = if windows::EMBED_TIMESTAMP_MS > windows::EMBED_TIMESTAMP_V2_MS {
    windows::EMBED_TIMESTAMP_MS
} else {
    windows::EMBED_TIMESTAMP_V2_MS
};

/// What a restore came to.
struct Restored {
    fenced: Fenced,
    active: Vec<Key>,
    /// Where the database lies that was there before.
    replaced: Option<PathBuf>,
}

impl Restore {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { file, fence_only: _, overwrite, clock_is_right, revoke, workplace, json } = self;
        let access = workplace.access()?;
        let shown = access.database.shown();
        let restored = match (&file, access.database.clone()) {
            (Some(file), Database::Embedded(data_dir)) => {
                put_in_place(access, &data_dir, file, overwrite, &revoke)?
            }
            (Some(_), Database::Postgres(_)) => {
                let help = "put the dump back by pg_restore, then run this with --fence-only";
                return Err(Failure::unusable(format!("the database is {shown}"), help));
            }
            (None, database) => {
                if let Database::Embedded(data_dir) = database {
                    drop(hold_alone(&data_dir)?);
                }
                let data_dir = access.data_dir.clone();
                fence(access, &data_dir, &revoke, clock_is_right)?
            }
        };
        if json {
            return print_json(&restored.json());
        }
        restored.print(&shown)
    }
}

/// Copies a backup beside the database, fences it there, and only then replaces the database.
fn put_in_place(
    access: DataAccess,
    data_dir: &Path,
    file: &Path,
    overwrite: bool,
    revoke: &[String],
) -> Result<Restored, Failure> {
    fs::create_dir_all(data_dir).map_err(|cause| unusable(data_dir, &cause))?;
    let _alone = hold_alone(data_dir)?;
    if Store::is_in(&access.database) && !overwrite {
        let problem = format!("{} has a database already", data_dir.display());
        let help = "add --overwrite; what is there is kept under another name";
        return Err(Failure::unusable(problem, help));
    }
    let beside = data_dir.join(".restoring");
    // What an interrupted restore left.
    remove(&beside)?;
    let access = DataAccess { database: Database::Embedded(beside.clone()), ..access };
    let done = fence_and_replace(access, &beside, file, data_dir, revoke);
    remove(&beside)?;
    done
}

fn fence_and_replace(
    access: DataAccess,
    beside: &Path,
    file: &Path,
    data_dir: &Path,
    revoke: &[String],
) -> Result<Restored, Failure> {
    copy_into(file, beside)?;
    let [copy, log, _] = Store::files(beside);
    require_backup(file, &copy)?;
    let mut restored = fence(access, data_dir, revoke, false)?;
    if log.exists() {
        let problem = format!("{} was not taken into the database", log.display());
        return Err(Failure::refused(problem, "this is a defect; report it"));
    }
    restored.replaced =
        replace(data_dir, &copy, restored.fenced.at).map_err(|cause| unusable(data_dir, &cause))?;
    Ok(restored)
}

fn remove(beside: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(beside) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(unusable(beside, &cause)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn hold_alone(data_dir: &Path) -> Result<File, Failure> {
    Store::hold_alone(data_dir)?.ok_or_else(|| {
        let problem = format!("a service or a command has {} open", data_dir.display());
        Failure::refused(problem, "stop it first")
    })
}

/// A directory of the copy's own: it is a whole store until it is in its place.
fn copy_into(file: &Path, beside: &Path) -> Result<(), Failure> {
    let [copy, ..] = Store::files(beside);
    let unreadable = |cause: std::io::Error| {
        let problem =
            format!("{} cannot be copied to {} ({cause})", file.display(), copy.display());
        Failure::unusable(problem, "give a file that `vestibule backup` made, and room for it")
    };
    let mut from = File::open(file).map_err(unreadable)?;
    let (mut directory, mut options) = (fs::DirBuilder::new(), File::options());
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    directory.create(beside).map_err(unreadable)?;
    let to = options.open(&copy).map_err(unreadable)?;
    let total = from.metadata().map_err(unreadable)?.len();
    let progress = ProgressBar::new(total).with_message("copying");
    std::io::copy(&mut from, &mut progress.wrap_write(&to)).map_err(unreadable)?;
    progress.finish_and_clear();
    to.sync_all().map_err(unreadable)
}

fn require_backup(file: &Path, copy: &Path) -> Result<(), Failure> {
    let shown = file.display();
    match runtime()?.block_on(Store::check_copy(copy)) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(Failure::unusable(
            format!("{shown} was not made by `vestibule backup`"),
            "put other copies in place by hand, then run `vestibule restore --fence-only`",
        )),
        Err(error) => {
            Err(Failure::unusable(format!("{shown}: {error}"), "use another backup; this is none"))
        }
    }
}

/// Fences the store of `access`, which is to be that of `data_dir`.
fn fence(
    access: DataAccess,
    data_dir: &Path,
    revoke: &[String],
    clock_is_right: bool,
) -> Result<Restored, Failure> {
    Desk::open(access, async |desk| {
        for id in revoke {
            desk.provision().set_key_state(id, KeyState::Revoked).await?;
        }
        desk.store.pass_mark(data_dir).await?;
        let progress = ProgressBar::new_spinner();
        let told = |sessions| {
            progress.set_message(format!("{sessions} sessions are ended"));
            progress.tick();
        };
        let fenced = match clock_is_right {
            true => desk.provision().fence_by_clock(told).await?,
            false => desk.provision().fence(told).await?,
        };
        progress.finish_and_clear();
        Ok(Restored { fenced, active: active(&desk.store).await?, replaced: None })
    })
}

async fn active(store: &Store) -> Result<Vec<Key>, Failure> {
    let (mut active, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.list_keys(None, None, after.as_deref(), PAGE).await?;
        let Some(last) = page.last() else { return Ok(active) };
        after = Some(last.id.clone());
        active.extend(page.into_iter().filter(|key| key.state == KeyState::Active));
    }
}

/// Puts `copy` in the place of the database; where that lies now. At every step there is one of them
/// in place, and no log of one beside the other.
fn replace(data_dir: &Path, copy: &Path, at: i64) -> std::io::Result<Option<PathBuf>> {
    let [file, log, index] = Store::files(data_dir);
    let kept = data_dir.join(format!("vestibule.before-{at}.db"));
    let was_there = file.exists();
    if was_there {
        fs::hard_link(&file, &kept)?;
    }
    for (from, to) in [(log, kept.with_extension("db-wal")), (index, kept.with_extension("db-shm"))]
    {
        if from.exists() {
            fs::rename(from, to)?;
        }
    }
    File::open(copy)?.sync_all()?;
    fs::rename(copy, &file)?;
    File::open(data_dir)?.sync_all()?;
    Ok(was_there.then_some(kept))
}

fn unusable(path: &Path, cause: &std::io::Error) -> Failure {
    let problem = format!("{} cannot be used ({cause})", path.display());
    Failure::unusable(problem, "give a data directory that this user may write")
}

impl Restored {
    fn signatures_from(&self) -> String {
        time(self.fenced.at.saturating_add(WINDOW_MS))
    }

    fn json(&self) -> Value {
        let Fenced { taken_at, at, sessions } = self.fenced;
        let keys = self.active.iter().map(|key| {
            let generations = key.secrets.iter().map(|secret| secret.generation);
            json!({
                "keyId": key.id, "tenantId": key.tenant, "kind": key.kind().name(),
                "label": key.label, "generations": generations.collect::<Vec<_>>(),
            })
        });
        json!({
            "takenAt": taken_at.map(time), "fencedAt": time(at), "sessionsEnded": sessions,
            "signaturesFrom": self.signatures_from(), "activeKeys": keys.collect::<Vec<_>>(),
            "replaced": self.replaced,
        })
    }

    fn print(&self, database: &str) -> Result<(), Failure> {
        let rows = self.active.iter().take(SHOWN).map(|key| {
            let newest = key.secrets.iter().map(|secret| secret.generation).max();
            [
                key.id.clone(),
                key.tenant.clone(),
                key.kind().name().to_owned(),
                newest.map_or_else(String::new, |newest| newest.to_string()),
                key.label.clone(),
            ]
        });
        let head = ["KEY", "TENANT", "KIND", "GENERATION", "LABEL"];
        print_line(&columns(head, &rows.collect::<Vec<_>>()))?;
        if self.active.len() > SHOWN {
            let more = self.active.len() - SHOWN;
            print_line(&format!("and {more} more; see `vestibule keys list`"))?;
        }
        if let Some(replaced) = &self.replaced {
            print_line(&format!("what was there before is {}", replaced.display()))?;
        }
        print_line(&self.sentence(database))
    }

    fn sentence(&self, database: &str) -> String {
        let Fenced { taken_at, sessions, .. } = self.fenced;
        let since = taken_at.map_or_else(|| "the copy was made".to_owned(), time);
        format!(
            "{database} is fenced: {sessions} sessions were ended, and signatures are taken again from {}.\n\
             These {} keys work. What was done since {since} is lost: revoke and pause again which \
             of them were, rotate again which were rotated, and erase again whoever was erased. \
             Then start the service.",
            self.signatures_from(),
            self.active.len(),
        )
    }
}
