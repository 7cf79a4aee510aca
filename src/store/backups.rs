//! Copies of SQLite's whole database, made while others write to it, and what a copy says of itself.
//!
//! A copy holds a row that says so: what happened after it was made is lost to it, and no service
//! may start on it before `fences` has dealt with that. PostgreSQL has `pg_dump` instead.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::engine::{Failure, Row, Sql, Value};
use super::fences::{self, Copied};
use super::{Store, sqlite};
use crate::error::{Error, Result};

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Everything that was acknowledged before this instant is in it, milliseconds since 1970.
    pub taken_at: i64,
    /// Tenants that are not revoked.
    pub tenants: i64,
    /// Keys that are not revoked.
    pub keys: i64,
    /// Sessions that had not ended.
    pub sessions: i64,
    /// Entries of the audit.
    pub entries: i64,
}

impl Store {
    /// Copies the embedded database in `data_dir` as of one instant after `now` (milliseconds) into
    /// an empty file of its own mode, and writes that it is a copy. Holds up nobody who writes.
    ///
    /// # Errors
    /// `Unavailable` when either file cannot be used or there is no room.
    pub async fn copy(data_dir: &Path, to: &Path, now: i64) -> Result<()> {
        let (source, to) = (sqlite::file(data_dir), to.to_owned());
        sqlite::beside(move || copy(&source, &to, now)).await
    }

    /// Keeps everybody else from the embedded database in `data_dir` until what is returned is
    /// dropped; `None` while a service or a command has it open.
    ///
    /// # Errors
    /// `Unavailable` when the directory cannot be used.
    pub fn hold_alone(data_dir: &Path) -> Result<Option<File>> {
        sqlite::hold_alone(data_dir)
    }

    /// Where the embedded database of a data directory lies, and the files that SQLite may have
    /// left beside it.
    pub fn files(data_dir: &Path) -> [PathBuf; 3] {
        let file = sqlite::file(data_dir);
        [file.clone(), file.with_extension("db-wal"), file.with_extension("db-shm")]
    }

    /// What a copy holds, after a look at every page of it; `None` when the file is none.
    ///
    /// # Errors
    /// `Unavailable` when it cannot be read, `Internal` when it is damaged.
    pub async fn check_copy(file: &Path) -> Result<Option<Holdings>> {
        let file = file.to_owned();
        let checked = sqlite::beside(move || {
            let mut copy = sqlite::Writer::of(&file)?;
            let found = check(&mut copy);
            copy.close();
            Ok(found?)
        });
        checked.await
    }
}

fn copy(source: &Path, to: &Path, now: i64) -> Result<()> {
    let text = to.to_str().ok_or_else(|| {
        Error::Unavailable(format!("{} is a name that SQLite cannot take", to.display()))
    })?;
    let mut source = sqlite::Writer::of(source)?;
    let done = source.execute(Sql::Text("VACUUM INTO $1"), &[text.into()]);
    source.close();
    done?;
    let mut copy = sqlite::Writer::of(to)?;
    let mut mark = || {
        // One file, whatever the database that it was made of is.
        copy.fetch(Sql::Text("PRAGMA journal_mode = DELETE"), &[])?;
        let copied = Copied { taken_at: Some(now) };
        copy.execute(Sql::Text(fences::MARK), &fences::marked(&copied)?)
    };
    let done = mark();
    copy.close();
    Ok(done.map(drop)?)
}

fn check(copy: &mut sqlite::Writer) -> Result<Option<Holdings>, Failure> {
    for (sql, sound) in [("PRAGMA integrity_check", Some("ok")), ("PRAGMA foreign_key_check", None)]
    {
        let found = copy.fetch(Sql::Text(sql), &[])?.pop();
        let found = found.map(|mut row| row.text(0)).transpose()?;
        if found.as_deref() != sound {
            let found = found.unwrap_or_default();
            return Err(Failure::Statement(format!("the copy is damaged: {found}")));
        }
    }
    let made = "SELECT 1 FROM sqlite_master WHERE name = 'meta'";
    if copy.fetch(Sql::Text(made), &[])?.is_empty() {
        return Ok(None);
    }
    let Some(row) = copy.fetch(Sql::Text(fences::MARKED), &[])?.pop() else {
        return Ok(None);
    };
    let Some(taken_at) = fences::copied(row)?.taken_at else { return Ok(None) };
    let row = copy.fetch(Sql::Text(COUNTS), &[Value::from(taken_at)])?.pop();
    row.map(|row| holdings(taken_at, row)).transpose()
}

const COUNTS: &str = "SELECT (SELECT COUNT(*) FROM tenants WHERE revoked_at IS NULL), \
     (SELECT COUNT(*) FROM keys WHERE state <> 'revoked'), \
     (SELECT COUNT(*) FROM sessions WHERE expires_at > $1 \
      AND (revoked_at IS NULL OR revoked_at > $1)), (SELECT COUNT(*) FROM audit)";

fn holdings(taken_at: i64, mut row: Row) -> Result<Holdings, Failure> {
    Ok(Holdings {
        taken_at,
        tenants: row.int(0)?,
        keys: row.int(1)?,
        sessions: row.int(2)?,
        entries: row.int(3)?,
    })
}
