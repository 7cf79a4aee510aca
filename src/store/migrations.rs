//! Migrations of both engines: how sqlx is given them, and how far a database is.
//!
//! Knows no table and no text: each driver has its own list.

use sqlx::SqlSafeStr as _;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};

use crate::error::Error;

/// A migration's version, name and text. Applied ones are never edited.
pub(super) type Known = (i64, &'static str, &'static str);

/// How far a database is migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migrations {
    /// Migrations of this program that were applied.
    pub applied: usize,
    /// Migrations of this program.
    pub known: usize,
    /// Applied ones that this program does not have.
    pub foreign: usize,
}

impl Migrations {
    /// How far a database is that has these versions.
    pub(super) fn of(known: &[Known], versions: &[i64]) -> Self {
        let is_known = |version: &&i64| known.iter().any(|(known, ..)| known == *version);
        let applied = versions.iter().filter(is_known).count();
        Self { applied, known: known.len(), foreign: versions.len() - applied }
    }
}

/// What applies them, in their order. To be run by `run_direct`: the future of `run` is `Send` for no
/// lifetime that a spawned task could have.
pub(super) fn migrator(known: &[Known]) -> Migrator {
    let migrations = known.iter().map(|(version, name, sql)| {
        let (name, sql) = ((*name).into(), sql.into_sql_str());
        Migration::new(*version, name, MigrationType::Simple, sql, false)
    });
    Migrator::with_migrations(migrations.collect())
}

/// Why they were not applied.
pub(super) fn failed(error: MigrateError) -> Error {
    Error::Internal(format!(
        "the database cannot be migrated: {error}; it may belong to a newer release"
    ))
}
