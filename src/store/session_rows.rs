//! How a session lies in its table: the columns, and the way from rows to sessions.

use super::engine::{Failure, Row, to_json};
use crate::domain::audit::Subject;
use crate::domain::session::{EarlierToken, Overview, Session, Surface, Times};

/// A whole session, last use included; twelve columns. What follows is another query's own.
macro_rules! columns {
    () => {
        "s.tenant_id, s.session_id, s.key_id, s.key_generation, s.token_id, s.issued_at, s.ttl_s, \
         s.renewed_at, s.earlier, s.expires_at, s.revoked_at, u.last_used_at, s.granted"
    };
}
pub(super) use columns;

/// A session without its grant.
macro_rules! overview_columns {
    () => {
        "s.tenant_id, s.session_id, s.key_id, s.surface, s.subject, s.chat, s.issued_at, \
         s.renewed_at, s.expires_at, s.revoked_at, u.last_used_at"
    };
}
pub(super) use overview_columns;

/// Sessions, each with its last use where one is remembered.
macro_rules! from_sessions {
    () => {
        " FROM sessions AS s LEFT JOIN session_uses AS u \
         ON u.tenant_id = s.tenant_id AND u.session_id = s.session_id "
    };
}
pub(super) use from_sessions;

/// Where the columns of another query begin behind those of a whole session.
pub(super) const AFTER: usize = 13;

pub(super) fn session(row: &mut Row) -> Result<Session, Failure> {
    Ok(Session {
        tenant: row.text(0)?,
        id: row.text(1)?,
        key_id: row.text(2)?,
        key_generation: row.int(3)?,
        token_id: row.text(4)?,
        issued_at: row.int(5)?,
        ttl_s: row.int(6)?,
        renewed_at: row.opt_int(7)?,
        earlier: earlier(row.opt_text(8)?)?,
        expires_at: row.int(9)?,
        revoked_at: row.opt_int(10)?,
        last_used_at: row.opt_int(11)?,
        grant: row.json(12)?,
    })
}

pub(super) fn overview(mut row: Row) -> Result<Overview, Failure> {
    Ok(Overview {
        tenant: row.text(0)?,
        id: row.text(1)?,
        key_id: row.text(2)?,
        surface: surface(&row.text(3)?)?,
        subject: row.opt_text(4)?.map(|text| subject(&text)).transpose()?,
        chat: row.opt_text(5)?,
        times: Times {
            issued_at: row.int(6)?,
            renewed_at: row.opt_int(7)?,
            expires_at: row.int(8)?,
            revoked_at: row.opt_int(9)?,
            last_used_at: row.opt_int(10)?,
        },
    })
}

/// Superseded tokens as they lie in their column.
pub(super) fn earlier_json(earlier: &[EarlierToken]) -> Result<Option<String>, Failure> {
    if earlier.is_empty() { Ok(None) } else { to_json(&earlier).map(Some) }
}

fn earlier(stored: Option<String>) -> Result<Vec<EarlierToken>, Failure> {
    let Some(text) = stored else { return Ok(Vec::new()) };
    serde_json::from_str(&text).map_err(|error| {
        Failure::Statement(format!("superseded tokens are unreadable JSON: {error}"))
    })
}

fn subject(text: &str) -> Result<Subject, Failure> {
    let read = Subject::parse(text);
    read.ok_or_else(|| Failure::Statement("a session is for nobody that can be named".to_owned()))
}

fn surface(name: &str) -> Result<Surface, Failure> {
    let all = [Surface::Embed, Surface::Chat, Surface::Iframe];
    let found = all.into_iter().find(|it| it.name() == name);
    found.ok_or_else(|| Failure::Statement(format!("there is no surface '{name}'")))
}
