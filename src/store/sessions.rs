//! Sessions: opened, read, and redeemed by cache key. Their tokens are never stored.

use std::sync::Arc;

use super::engine::{Connection, Failure, Row};
use super::idempotency::Receipt;
use super::locks::Reach;
use super::openings::{Door, Opened, Opening, VariablesCheck};
use super::session_rows::{AFTER, columns, from_sessions, session};
use super::stale::Stale;
use super::writer::Job;
use super::{Store, audit, key_rows, usage};
use crate::domain::ceiling::Act;
use crate::domain::key::{Mode, Terms};
use crate::domain::limits::{Limits, LimitsOf};
use crate::domain::session::{AuditEntry, Conversation, Grant, Session};
use crate::domain::test_clock::AskedClock;
use crate::error::{Error, Result, Thing};

/// A session of the chat surface and the conversation it speaks in.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenedChat {
    /// As it is stored: its grant names the conversation below, which may be an older one.
    pub session: Session,
    /// New, or continued with merged variables.
    pub conversation: Conversation,
}

/// What a cache key gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Redeemed {
    /// The session behind the key.
    pub session: Session,
    /// What the API key that opened it says of sessions.
    pub terms: Terms,
    /// The limits of its user, as they are now.
    pub limits: Option<Limits>,
    /// The time that it was redeemed by, milliseconds, when a test key moved its clock.
    pub moved_to: Option<i64>,
}

impl Store {
    /// Opens a session of the embed surface. `mac` is the decoded signature of the request; it is
    /// remembered until `replay_expires_at` (milliseconds) and opens no second session. The time
    /// must follow from what was signed: equal signatures are told by both.
    ///
    /// # Errors
    /// `SignatureReplayed` when it already opened one; then nothing is written. `Answered` when
    /// what the receipt names took effect before; then the signature alone is remembered.
    pub async fn open_embed_session(
        &self,
        session: Session,
        mac: &[u8],
        replay_expires_at: i64,
        act: impl Into<Act>,
        receipt: Option<Receipt<Session>>,
    ) -> Result<Session> {
        let door = Door::Embed { mac: mac.into(), replay_expires_at };
        let receipt = receipt.map(|receipt| receipt.within(session_of));
        Ok(self.open_by(Opening::new(session, act.into(), door, receipt)?).await?.session)
    }

    /// Opens a session of the chat surface in `conversation`. When that is of a verified customer
    /// who has an open one already, the session speaks in the latest of those instead: its
    /// variables are replaced key by key, and `check` looks at the merged result.
    ///
    /// # Errors
    /// `Rules` with what `check` found, `Answered` when what the receipt names took effect before;
    /// then nothing is written.
    pub async fn open_chat_session(
        &self,
        session: Session,
        conversation: Conversation,
        check: VariablesCheck,
        act: impl Into<Act>,
        receipt: Option<Receipt<OpenedChat>>,
    ) -> Result<OpenedChat> {
        let door = Door::Chat { conversation: Box::new(conversation), check };
        let receipt = receipt.map(|receipt| {
            receipt.within(|Opened { session, conversation }: &Opened| {
                opened_chat(session.clone(), conversation.clone())
            })
        });
        let opened = self.open_by(Opening::new(session, act.into(), door, receipt)?).await?;
        opened_chat(opened.session, opened.conversation)
    }

    /// Opens a session of the iframe surface that `max_redemptions` calls of
    /// [`Store::redeem_cache_key`] may find by the SHA-256 of its cache key, and changes the limits
    /// of its user.
    ///
    /// # Errors
    /// `Answered` when what the receipt names took effect before; `Unavailable` when the database
    /// does not answer.
    pub async fn open_iframe_session(
        &self,
        session: Session,
        cache_key_hash: &[u8],
        max_redemptions: u32,
        limits: LimitsOf,
        act: impl Into<Act>,
        receipt: Option<Receipt<Session>>,
    ) -> Result<Session> {
        let door = Door::Iframe { cache_key_hash: cache_key_hash.into(), max_redemptions, limits };
        let receipt = receipt.map(|receipt| receipt.within(session_of));
        Ok(self.open_by(Opening::new(session, act.into(), door, receipt)?).await?.session)
    }

    async fn open_by(&self, opening: Opening) -> Result<Opened> {
        self.writer.open(opening).await.inspect_err(|refused| self.exceeded.note(refused))
    }

    /// Redeems a cache key once more, by its SHA-256, at the service's time or at the one that is
    /// asked for, if a test key opened the session. The audit row gets `audit_id`.
    ///
    /// # Errors
    /// `TestClockRefused` when another key did, or the time cannot be had;
    /// `NotFound` for an unknown key; `CacheKeyExpired` when the session is past its expiry or
    /// revoked, or its key or tenant does not work; `CacheKeyUsed` when it was redeemed as often
    /// as it may be.
    pub async fn redeem_cache_key(
        &self,
        cache_key_hash: &[u8],
        clock: AskedClock,
        audit_id: String,
    ) -> Result<Redeemed> {
        let tenant = self.tenant_of_cache_key(cache_key_hash).await?;
        self.writer.run(Redeem { tenant, hash: cache_key_hash.into(), clock, audit_id }).await
    }

    /// Whose session a cache key is of, where a write has to say so beforehand.
    async fn tenant_of_cache_key(&self, hash: &[u8]) -> Result<Option<String>> {
        if !self.readers.is_shared() {
            return Ok(None);
        }
        let sql = "SELECT tenant_id FROM sessions WHERE cache_key_hash = $1";
        let row = self.readers.fetch(sql, vec![hash.into()]).await?.pop();
        Ok(row.map(|mut row| row.text(0)).transpose()?)
    }

    /// A tenant's session, revoked and expired ones too. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn session(&self, tenant: &str, id: &str) -> Result<Option<Arc<Session>>> {
        let read = async {
            let mut row = self.readers.fetch(BY_NAME, vec![tenant.into(), id.into()]).await?.pop();
            Ok(row.as_mut().map(session).transpose()?)
        };
        self.caches.sessions.through(tenant, id, read).await
    }

    /// A session by its id alone, for operators. As of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn session_by_id(&self, id: &str) -> Result<Option<Session>> {
        let mut row = self.readers.fetch(BY_ID, vec![id.into()]).await?.pop();
        Ok(row.as_mut().map(session).transpose()?)
    }
}

fn session_of(opened: &Opened) -> Result<Session> {
    Ok(opened.session.clone())
}

fn opened_chat(session: Session, conversation: Option<Conversation>) -> Result<OpenedChat> {
    let conversation = conversation.ok_or_else(|| {
        Error::Internal("a chat session was opened without a conversation".into())
    })?;
    Ok(OpenedChat { session, conversation })
}

pub(super) const BY_NAME: &str = concat!(
    "SELECT ",
    columns!(),
    from_sessions!(),
    "WHERE s.tenant_id = $1 AND s.session_id = $2"
);

pub(super) const BY_ID: &str =
    concat!("SELECT ", columns!(), from_sessions!(), "WHERE s.session_id = $1");

/// What decides whether a cache key may be redeemed, after the session's own columns.
pub(super) const BY_CACHE_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    ", s.redemptions, s.max_redemptions, k.state, k.idle_timeout_s, t.revoked_at, k.mode",
    from_sessions!(),
    "JOIN keys AS k ON k.tenant_id = s.tenant_id AND k.key_id = s.key_id \
     JOIN tenants AS t ON t.tenant_id = s.tenant_id WHERE s.cache_key_hash = $1"
);

struct Redeem {
    /// `None` when the cache key is nobody's, or nobody has to know.
    tenant: Option<String>,
    hash: Vec<u8>,
    clock: AskedClock,
    audit_id: String,
}

impl Job for Redeem {
    type Answer = Redeemed;

    async fn run(&self, conn: &mut Connection) -> Result<Redeemed, Failure> {
        let row = conn.fetch(BY_CACHE_KEY, vec![self.hash.as_slice().into()]).await?.pop();
        let Redeemable { session, terms, mode, moved_to } = self.redeemable(row)?;
        // Again with the limit: on PostgreSQL another instance may redeem between the two.
        let sql = "UPDATE sessions SET redemptions = redemptions + 1 WHERE tenant_id = $1 \
                   AND session_id = $2 AND redemptions < max_redemptions";
        let values = vec![session.tenant.as_str().into(), session.id.as_str().into()];
        if conn.execute(sql, values).await? == 0 {
            return Err(Failure::Refused(Error::CacheKeyUsed));
        }
        let limits = match &session.grant {
            Grant::Iframe { uid, .. } => usage::limits_of(conn, &session.tenant, mode, uid).await?,
            Grant::Embed { .. } | Grant::Chat { .. } => None,
        };
        audit::insert(conn, [&self.entry(&session, moved_to)]).await?;
        Ok(Redeemed { session, terms, limits, moved_to })
    }

    fn reach(&self) -> Reach<'_> {
        Reach::Tenants(self.tenant.as_deref().into_iter().collect())
    }

    fn forget(&self, _: &mut Stale) {}
}

/// What may be redeemed: the session, what its key says, and the time that a test key moved to.
struct Redeemable {
    session: Session,
    terms: Terms,
    mode: Mode,
    moved_to: Option<i64>,
}

impl Redeem {
    fn redeemable(&self, row: Option<Row>) -> Result<Redeemable, Failure> {
        let unknown = || Failure::Refused(Error::NotFound(Thing::CacheKey));
        let mut row = row.ok_or_else(unknown)?;
        let session = session(&mut row)?;
        let state = key_rows::state(row.text(AFTER + 2)?.as_str(), row.opt_int(AFTER + 4)?)?;
        let terms = Terms { state, idle_timeout_s: row.opt_count(AFTER + 3)? };
        let mode = key_rows::mode(&row.text(AFTER + 5)?)?;
        let moved_to = self.clock.granted(Some(mode)).map_err(Failure::Refused)?;
        let now = moved_to.unwrap_or(self.clock.own_ms);
        if !session.times().has_begun(now) {
            return Err(unknown());
        }
        let live = session.require_live(Some(terms), now);
        live.map_err(|_| Failure::Refused(Error::CacheKeyExpired))?;
        if row.int(AFTER)? >= row.int(AFTER + 1)? {
            return Err(Failure::Refused(Error::CacheKeyUsed));
        }
        Ok(Redeemable { session, terms, mode, moved_to })
    }

    /// Who redeems shows nothing but the cache key.
    fn entry(&self, session: &Session, moved_to: Option<i64>) -> AuditEntry {
        let entry = AuditEntry {
            id: self.audit_id.clone(),
            tenant: session.tenant.clone(),
            at: self.clock.own_ms,
            actor: "cache_key".into(),
            action: "session.redeem".into(),
            target: session.id.clone(),
            subject: session.grant.subject(),
            detail: serde_json::Map::new(),
        };
        entry.by_clock(moved_to)
    }
}
