//! Opening a session of the assistant, and redeeming its cache key for the token.
//!
//! The session holds everything the page and the model need as one document, so that the token
//! can be minted again from the stored row and need not be kept.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::key::{Key, KeySettings};
use super::session::{FreshIds, Grant, Session, seconds};
use super::theme::{Fallback, ResolvedTheme, ThemeSettings, resolve};
use super::token::{Audience, IframeClaims};
use crate::error::{Error, Result};

/// What a host's backend asks for, checked against the document.
#[derive(Clone, Debug)]
pub struct Request {
    /// The host's user.
    pub uid: String,
    /// Source ids in textual form; may hold duplicates.
    pub sources: Vec<String>,
    /// How long the session lives, seconds.
    pub ttl_s: i64,
    /// Everything else.
    pub context: Context,
}

/// What a session keeps for its page and its model. Stored as JSON in [`Grant::Iframe`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// The model's alias.
    pub model: String,
    /// The explicit theme as it was when the session was opened; `None` follows the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<ThemeSettings>,
    /// The deprecated members of the request.
    #[serde(default)]
    pub fallback: Fallback,
    /// Entries that live as long as the session.
    #[serde(default)]
    pub knowledge_base_entries: Vec<String>,
    /// Queries that live as long as the session.
    #[serde(default)]
    pub reference_queries: Vec<ReferenceQuery>,
}

/// A query that shows the model how to ask a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReferenceQuery {
    /// What it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its text.
    pub query: String,
}

/// Opens a session for the holder of a generation of an API key. `known` are the ids of the
/// tenant's sources.
///
/// # Errors
/// `UnknownSource` with every id that is not the tenant's, each once; `InvalidApiKey` when the key
/// is not an iframe key.
pub fn open(
    key: &Key,
    generation: i64,
    request: Request,
    known: &BTreeSet<String>,
    now_ms: i64,
    ids: FreshIds,
) -> Result<Session> {
    let KeySettings::Iframe { .. } = key.settings else { return Err(Error::InvalidApiKey) };
    let sources = folded(request.sources);
    require_sources(&sources, known)?;
    let context = serde_json::to_value(request.context)
        .map_err(|error| Error::Internal(format!("a session's context is not JSON: {error}")))?;
    let grant = Grant::Iframe { uid: request.uid, sources, context };
    Ok(Session::open(key, generation, (now_ms, request.ttl_s), ids, grant))
}

/// Whether all of a session's sources are still the tenant's.
///
/// # Errors
/// `UnknownSource` with every one that is not.
pub fn require_sources(sources: &[String], known: &BTreeSet<String>) -> Result<()> {
    let unknown: Vec<String> = sources.iter().filter(|id| !known.contains(*id)).cloned().collect();
    if unknown.is_empty() { Ok(()) } else { Err(Error::UnknownSource { unknown }) }
}

/// Reads what a session keeps.
///
/// # Errors
/// `Internal` when the stored document is not one of ours.
pub fn context(stored: &Value) -> Result<Context> {
    Context::deserialize(stored)
        .map_err(|error| Error::Internal(format!("a stored iframe context is broken: {error}")))
}

impl Context {
    /// The theme a page shows now. `default` is the tenant's default theme at this moment, and
    /// counts only for sessions that were opened without a theme.
    pub fn theme_now(&self, default: Option<&ThemeSettings>) -> ResolvedTheme {
        let silent = ThemeSettings::default();
        let theme = self.theme.as_ref().or(default).unwrap_or(&silent);
        resolve(theme, &self.fallback)
    }
}

/// Whether a cache key may be redeemed once more. `key` is the API key that opened the session
/// (`None` when it is gone), `redeemed` how often the cache key was redeemed before. The count
/// itself is raised by the store, under the same limit.
///
/// # Errors
/// `CacheKeyExpired` when the session is over, revoked, or its key does not work; else
/// `CacheKeyUsed`.
pub fn require_redeemable(
    session: &Session,
    key: Option<&Key>,
    redeemed: u32,
    now_ms: i64,
) -> Result<()> {
    session.require_live(key.map(Key::terms), now_ms).map_err(|_| Error::CacheKeyExpired)?;
    if redeemed >= max_redemptions(key) { Err(Error::CacheKeyUsed) } else { Ok(()) }
}

/// The claims of a session's token, the same each time. A token speaks for a session only while
/// they are equal. `None` for a session of another surface.
pub fn claims(session: &Session, issuer: &str) -> Option<IframeClaims> {
    let Grant::Iframe { uid, .. } = &session.grant else { return None };
    let issued_at = seconds(session.token_issued_at());
    Some(IframeClaims {
        iss: issuer.to_owned(),
        aud: Audience::Iframe.name().to_owned(),
        sub: uid.clone(),
        tid: session.tenant.clone(),
        sid: session.id.clone(),
        jti: session.token_id.clone(),
        iat: issued_at,
        nbf: issued_at,
        exp: seconds(session.expires_at),
        kg: session.key_generation,
    })
}

/// Whether a genuine token speaks for a session: its present token, or one that it superseded a
/// moment ago.
pub fn speaks(session: &Session, token: &IframeClaims, now_ms: i64) -> bool {
    claims(session, &token.iss).as_ref() == Some(token)
        || session.overlap_of(&token.jti, now_ms).is_some()
}

/// Where the host page points its iframe. The path names the session, so that the server can send
/// the right headers; the cache key stays in the fragment, out of every log.
pub fn iframe_url(public_url: &str, session_id: &str, cache_key: &str) -> String {
    format!("{}/iframe/{session_id}#key={cache_key}", public_url.trim_end_matches('/'))
}

fn max_redemptions(key: Option<&Key>) -> u32 {
    match key.map(|key| &key.settings) {
        Some(KeySettings::Iframe { max_redemptions }) => *max_redemptions,
        Some(KeySettings::Embed { .. } | KeySettings::Chat { .. }) | None => 0,
    }
}

fn folded(ids: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    ids.into_iter().filter(|id| seen.insert(id.clone())).collect()
}

#[cfg(test)]
mod tests;
