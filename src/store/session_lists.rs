//! Sessions as lists: the latest first, of one tenant or all, of whom one target names.
//!
//! Session ids sort by the time of their opening, so a place in a list is an id, and a session
//! that is opened later is in no page that follows.

use std::borrow::Cow;

use super::Store;
use super::engine::Value;
use super::session_rows::{from_sessions, overview, overview_columns};
use crate::domain::session::Overview;
use crate::domain::target::Target;
use crate::error::Result;

/// Which part of the sessions to read.
#[derive(Clone, Debug, Default)]
pub(super) struct SessionRange {
    /// Those of one tenant; `None` is all.
    pub(super) tenant: Option<String>,
    /// Those that one target names. Without a tenant it narrows nothing.
    pub(super) target: Option<Target>,
    /// Ids from this one on.
    pub(super) from: Option<String>,
    /// Ids before this one.
    pub(super) before: Option<String>,
}

impl Store {
    /// At most `limit` sessions of a range, the latest first. As of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub(super) async fn list_sessions(
        &self,
        range: &SessionRange,
        limit: u32,
    ) -> Result<Vec<Overview>> {
        let from = range.from.as_deref().unwrap_or_default();
        let before = range.before.as_deref().unwrap_or(BEYOND);
        let named = range.target.as_ref().map(id_of);
        let mut values = vec![from.into(), before.into(), i64::from(limit).into()];
        let sql = match (range.tenant.as_deref(), &range.target) {
            (None, _) => ALL,
            (Some(tenant), target) => {
                values.push(tenant.into());
                values.extend(named.as_deref().map(Value::from));
                target.as_ref().map_or(OF_TENANT, latest_of)
            }
        };
        let rows = self.readers.fetch(sql, values).await?;
        Ok(rows.into_iter().map(overview).collect::<Result<_, _>>()?)
    }
}

/// Sorts behind every session id.
const BEYOND: &str = "ses_~";

macro_rules! page {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            overview_columns!(),
            from_sessions!(),
            "WHERE s.session_id >= $1 AND s.session_id < $2",
            $condition,
            " ORDER BY s.session_id DESC LIMIT $3"
        )
    };
}

pub(super) const ALL: &str = page!("");
pub(super) const OF_TENANT: &str = page!(" AND s.tenant_id = $4");
pub(super) const OF_SUBJECT: &str = page!(" AND s.tenant_id = $4 AND s.subject = $5");
pub(super) const OF_CHAT: &str = page!(" AND s.tenant_id = $4 AND s.chat = $5");
/// The tenant is asked for in a way that no index has: with it, SQLite would rather walk through
/// all sessions of the tenant.
pub(super) const OF_KEY: &str = page!(" AND s.tenant_id || '' = $4 AND s.key_id = $5");
pub(super) const OF_ID: &str = page!(" AND s.tenant_id = $4 AND s.session_id = $5");

fn latest_of(target: &Target) -> &'static str {
    match target {
        Target::Subject(_) => OF_SUBJECT,
        Target::Chat(_) => OF_CHAT,
        Target::Key(_) => OF_KEY,
        Target::Session(_) => OF_ID,
    }
}

/// What a target's column holds.
pub(super) fn id_of(target: &Target) -> Cow<'_, str> {
    match target {
        Target::Subject(subject) => subject.to_string().into(),
        Target::Chat(id) | Target::Key(id) | Target::Session(id) => id.into(),
    }
}
