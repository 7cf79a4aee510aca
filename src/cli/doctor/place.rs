//! What the service stands on: the clock, the data directory, the database with its migrations, the
//! master key and the keys that allow an origin.
//!
//! Knows no network but the way to the database.

use std::fs::Metadata;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{Access, access};

use super::super::failure::CLOCK_REMEDY;
use super::super::listing::time;
use super::{Finding, Verdict};
use crate::config::DataAccess;
use crate::context::Clock;
use crate::domain::database::Database;
use crate::domain::key::{Key, KeyKind, KeyState};
use crate::domain::origin::Origin;
use crate::domain::session;
use crate::store::{Server, Store};

const CLOCK: &str = "clock";
const DIRECTORY: &str = "data directory";
const MASTER_KEY: &str = "master key";
const DATABASE: &str = "database";
const MIGRATIONS: &str = "migrations";
const KEYS: &str = "keys of origin";

/// How far a clock may have stepped back before tokens and signatures suffer, milliseconds.
const DRIFT_MS: i64 = session::DRIFT_MS / 2;

/// 2025-01-01T00:00:00Z, before this service was written.
const EARLIEST_MS: i64 = 1_735_689_600_000;

/// Keys read at once.
const PAGE: u32 = 200;

/// Looks at everything on this machine.
pub(super) async fn examine(access: &DataAccess, origin: Option<&Origin>) -> Vec<Finding> {
    let now = Clock::default().now_ms();
    let directory = directory(&access.data_dir);
    let later = |check| Finding::skipped(check, "the database cannot be read yet");
    let database = database(&access.database).await;
    if database.verdict == Verdict::Failed {
        let rest = [MIGRATIONS, MASTER_KEY, KEYS].map(later);
        return [clock(now, None), directory, database].into_iter().chain(rest).collect();
    }
    let migrations = migrations(&access.database).await;
    if directory.verdict == Verdict::Failed || migrations.verdict != Verdict::Fine {
        let rest = [MASTER_KEY, KEYS].map(later);
        return [clock(now, None), directory, database, migrations]
            .into_iter()
            .chain(rest)
            .collect();
    }
    match Store::inspect(&access.database).await {
        Ok(store) => {
            let newest = store.newest_act().await.ok().flatten();
            let seen = store.latest_time().await.unwrap_or_default();
            let findings = vec![
                clock(now, newest.max(Some(seen).filter(|seen| *seen > now))),
                directory,
                database,
                migrations,
                master_key(access, &store).await,
                keys(&store, origin).await,
            ];
            store.close().await;
            findings
        }
        Err(error) => {
            let help = "check that data directory and database are this service's and readable";
            let unreadable = Finding::failed(MIGRATIONS, error.to_string(), help);
            vec![clock(now, None), directory, database, unreadable]
        }
    }
}

/// A clock that stands before what is already written would refuse good signatures.
fn clock(now: i64, newest: Option<i64>) -> Finding {
    if now < EARLIEST_MS {
        let remedy = "set the clock by NTP (timedatectl set-ntp true) and restart the service";
        return Finding::failed(CLOCK, format!("it says {}", time(now)), remedy);
    }
    match newest {
        Some(newest) if newest > now + DRIFT_MS => {
            let finding = format!("it says {}, but {} was seen here", time(now), time(newest));
            Finding::failed(CLOCK, finding, CLOCK_REMEDY)
        }
        Some(newest) => {
            let finding = format!("{}; the last act was written at {}", time(now), time(newest));
            Finding::fine(CLOCK, finding)
        }
        None => Finding::fine(CLOCK, time(now)),
    }
}

fn directory(path: &Path) -> Finding {
    let shown = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(cause) => {
            let help = "start the service once, or give --data-dir the directory it uses";
            return Finding::failed(DIRECTORY, format!("{shown}: {cause}"), help);
        }
    };
    if !found.is_dir() {
        let help = "give --data-dir the directory that the service uses";
        return Finding::failed(DIRECTORY, format!("{shown} is no directory"), help);
    }
    if let Err(cause) = access(path, Access::WRITE_OK | Access::EXEC_OK) {
        let help = format!("let this user write there: chown {} {shown}", "$(id -un)");
        return Finding::failed(DIRECTORY, format!("{shown} cannot be written ({cause})"), help);
    }
    match open_to_others(path, &found) {
        Some((file, mode)) => Finding::warning(
            DIRECTORY,
            format!("{file} has mode {mode:04o}, so others on this machine can read it"),
            format!("chmod go-rwx {file}"),
        ),
        None => Finding::fine(DIRECTORY, format!("{shown}, writable, its files are private")),
    }
}

/// The first of the files that hold something and that others may read. A directory that others
/// may list is no harm as long as its files are private.
fn open_to_others(path: &Path, directory: &Metadata) -> Option<(String, u32)> {
    let names = ["vestibule.db", "vestibule.db-wal", "master.key", "dev-credentials.json"];
    let file = names.iter().find_map(|name| {
        let file = path.join(name);
        let mode = std::fs::metadata(&file).ok()?.permissions().mode() & 0o777;
        (mode & 0o077 != 0).then(|| (file.display().to_string(), mode))
    });
    let writable_by_all = directory.mode() & 0o022 != 0;
    file.or_else(|| writable_by_all.then(|| (path.display().to_string(), directory.mode() & 0o777)))
}

/// Whether the database answers, and when it answers commits.
async fn database(database: &Database) -> Finding {
    let shown = database.shown();
    let server = match Store::server(database).await {
        Ok(Some(server)) => server,
        Ok(None) => return Finding::fine(DATABASE, format!("the embedded SQLite in {shown}")),
        Err(error) => {
            let help = "do what it says, and run this again";
            return Finding::failed(DATABASE, error.to_string(), help);
        }
    };
    let Server { version, synchronous_commit, waits_for_disk } = server;
    let finding = format!("{shown}, release {version}, synchronous_commit {synchronous_commit}");
    if !waits_for_disk {
        let finding = format!("{finding}, but fsync is off: a loss of power loses commits");
        return Finding::warning(DATABASE, finding, "set fsync = on in postgresql.conf");
    }
    Finding::fine(DATABASE, finding)
}

async fn migrations(database: &Database) -> Finding {
    match Store::migrations(database).await {
        Ok(None) => Finding::warning(
            MIGRATIONS,
            "there is no database yet",
            "start the service once: it makes the database",
        ),
        Ok(Some(found)) if found.foreign > 0 => Finding::failed(
            MIGRATIONS,
            format!("the database has {} migrations that this program lacks", found.foreign),
            "run the newer release that migrated it",
        ),
        Ok(Some(found)) if found.applied < found.known => Finding::warning(
            MIGRATIONS,
            format!("{} of {} are applied", found.applied, found.known),
            "start the service: it applies the rest",
        ),
        Ok(Some(found)) => {
            Finding::fine(MIGRATIONS, format!("{} of {} are applied", found.applied, found.known))
        }
        Err(error) => Finding::failed(
            MIGRATIONS,
            error.to_string(),
            "check that data directory and database are this service's and readable",
        ),
    }
}

async fn master_key(access: &DataAccess, store: &Store) -> Finding {
    let Some(keys) = &access.master_keys else {
        let help = "set VESTIBULE__MASTER_KEYS_FILE or give --config, as for the service";
        return Finding::failed(MASTER_KEY, "none is configured", help);
    };
    let check = match store.key_check().await {
        Ok(check) => check,
        Err(error) => {
            return Finding::failed(MASTER_KEY, error.to_string(), "see the data directory");
        }
    };
    let Some(check) = check else {
        let finding = "it opens nothing yet: this database has no secrets";
        return Finding::fine(MASTER_KEY, finding);
    };
    if keys.opens_key_check(&check) {
        return Finding::fine(MASTER_KEY, "it opens this database");
    }
    let help = "configure the key that sealed it, or another --data-dir for a new database";
    Finding::failed(MASTER_KEY, "the configured keys do not open this database", help)
}

/// Which working keys let pages of the origin show or call what they open.
async fn keys(store: &Store, origin: Option<&Origin>) -> Finding {
    let Some(origin) = origin else {
        return Finding::skipped(KEYS, "give --origin URL to see which keys allow a page");
    };
    let allowing = match allowing(store, origin).await {
        Ok(allowing) => allowing,
        Err(error) => return Finding::failed(KEYS, error.to_string(), "see the data directory"),
    };
    if allowing.is_empty() {
        let help = "add the origin to a key's allowed origins; a key without any is framed by none";
        return Finding::failed(KEYS, format!("no working key allows {origin}"), help);
    }
    let named: Vec<_> = allowing.iter().map(|(kind, key)| format!("{kind} {key}")).collect();
    Finding::fine(KEYS, format!("{origin} is allowed by {}", named.join(", ")))
}

/// Kind and id of each key that allows the origin.
async fn allowing(
    store: &Store,
    origin: &Origin,
) -> crate::error::Result<Vec<(&'static str, String)>> {
    let mut found = Vec::new();
    for kind in [KeyKind::Embed, KeyKind::Chat, KeyKind::Iframe] {
        let mut after: Option<String> = None;
        loop {
            let page = store.list_keys(None, Some(kind), after.as_deref(), PAGE).await?;
            let allows = |key: &&Key| {
                key.state == KeyState::Active && origin.is_allowed_by(&key.allowed_origins)
            };
            found.extend(page.iter().filter(allows).map(|key| (kind.name(), key.id.clone())));
            if page.len() < PAGE as usize {
                break;
            }
            after = page.last().map(|key| key.id.clone());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_000_000_000;

    #[test]
    fn clock_before_what_is_written_fails() {
        assert_eq!(clock(NOW, Some(NOW - 5)).verdict, Verdict::Fine);
        assert_eq!(clock(NOW, Some(NOW + DRIFT_MS)).verdict, Verdict::Fine);
        assert_eq!(clock(NOW, Some(NOW + DRIFT_MS + 1)).verdict, Verdict::Failed);
        assert_eq!(clock(EARLIEST_MS - 1, None).verdict, Verdict::Failed);
    }

    #[test]
    fn missing_directory_fails_and_an_open_file_is_a_warning() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        assert_eq!(directory(&dir.path().join("nowhere")).verdict, Verdict::Failed);
        assert_eq!(directory(dir.path()).verdict, Verdict::Fine);
        let key = dir.path().join("master.key");
        std::fs::write(&key, "secret").expect("it is ours");
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).expect("ours");
        let finding = directory(dir.path());
        assert_eq!(finding.verdict, Verdict::Warning);
        assert!(finding.finding.contains("0644"), "{}", finding.finding);
    }
}
