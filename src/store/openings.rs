//! Opening sessions, many at a time: one statement per table for a whole batch.
//!
//! A session, its replay row, its conversation and its audit row stand or fall together. Decides
//! nothing but what needs the database: which of two equal signatures came first, and which
//! conversation a verified customer continues.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde_json::Value as Json;
use vestibule_runtime::Violation;

use super::ceilings::{self, Ledger};
use super::conversations;
use super::engine::{Connection, Failure, Rows, Value, to_json};
use super::idempotency::{self, Receipt};
use super::{audit, usage};
use crate::domain::ceiling::{Act, Ceiling};
use crate::domain::chat_session;
use crate::domain::idempotency::Claim;
use crate::domain::key::Mode;
use crate::domain::limits::{Limits, LimitsChange, LimitsOf};
use crate::domain::session::{AuditEntry, Conversation, Grant, Session};
use crate::error::{Error, Result};

/// Checks merged variables against the document: empty when they are fine, else violations whose
/// pointers begin at the variables themselves.
pub type VariablesCheck = fn(&Json) -> Vec<Violation>;

/// One session to be opened.
pub(super) struct Opening {
    session: Session,
    /// The session's grant as it is stored; made by the caller, the writer has no time for it.
    granted: String,
    /// For whom it is, made likewise.
    subject: Option<String>,
    audit: AuditEntry,
    ceiling: Option<Box<Ceiling>>,
    door: Door,
    receipt: Option<Receipt<Opened>>,
}

/// What belongs to one surface.
pub(super) enum Door {
    Embed { mac: Vec<u8>, replay_expires_at: i64 },
    Chat { conversation: Box<Conversation>, check: VariablesCheck },
    Iframe { cache_key_hash: Vec<u8>, max_redemptions: u32, limits: LimitsOf },
}

/// The surfaces by name, in the order of [`Door::surface`].
pub(super) const SURFACES: [&str; 3] = ["embed", "chat", "iframe"];

impl Door {
    /// Its place in [`SURFACES`].
    fn surface(&self) -> usize {
        match self {
            Self::Embed { .. } => 0,
            Self::Chat { .. } => 1,
            Self::Iframe { .. } => 2,
        }
    }
}

/// An opened session, and on the chat surface the conversation it speaks in.
pub(super) struct Opened {
    pub(super) session: Session,
    pub(super) conversation: Option<Conversation>,
}

/// The older conversation that an opening continues, merged.
pub(super) type Continued = Option<Box<Conversation>>;

impl Opening {
    /// # Errors
    /// `Internal` for a grant that JSON cannot hold.
    pub(super) fn new(
        session: Session,
        act: Act,
        door: Door,
        receipt: Option<Receipt<Opened>>,
    ) -> Result<Self> {
        let Act { audit, ceiling } = act;
        let (granted, subject) = (to_json(&session.grant)?, session.grant.subject());
        let subject = subject.as_ref().map(ToString::to_string);
        Ok(Self { granted, subject, session, audit, ceiling, door, receipt })
    }

    /// The place of its surface in [`SURFACES`].
    pub(super) fn surface(&self) -> usize {
        self.door.surface()
    }

    /// Whose session it is.
    pub(super) fn tenant(&self) -> &str {
        &self.session.tenant
    }

    pub(super) fn opened(self, continued: Continued) -> Opened {
        let fresh = match self.door {
            Door::Chat { conversation, .. } => Some(conversation),
            Door::Embed { .. } | Door::Iframe { .. } => None,
        };
        Opened::of(self.session, continued.or(fresh))
    }

    /// What [`Opening::opened`] will be, for an answer that is written with it.
    fn preview(&self, continued: &Continued) -> Opened {
        let fresh = match &self.door {
            Door::Chat { conversation, .. } => Some(conversation),
            Door::Embed { .. } | Door::Iframe { .. } => None,
        };
        Opened::of(self.session.clone(), continued.as_ref().or(fresh).cloned())
    }
}

impl Opened {
    fn of(mut session: Session, conversation: Option<Box<Conversation>>) -> Self {
        let conversation = conversation.map(|conversation| *conversation);
        if let Some(conversation) = &conversation {
            speak_in(&mut session.grant, &conversation.id);
        }
        Self { session, conversation }
    }
}

/// Writes all of `openings`; one outcome for each, in their order.
///
/// # Errors
/// A failure that spoils the transaction. Refusals are outcomes.
pub(super) async fn apply(
    conn: &mut Connection,
    openings: &[Opening],
) -> Result<Vec<Result<Continued>>, Failure> {
    let mut outcomes: Vec<Result<Continued>> = openings.iter().map(|_| Ok(None)).collect();
    claim_signatures(conn, openings, &mut outcomes).await?;
    let claimed = claim_answers(conn, openings, &mut outcomes).await?;
    let mut ledger = keep_to_ceilings(conn, openings, &mut outcomes).await?;
    join_conversations(conn, openings, &mut outcomes).await?;
    let accepted =
        || openings.iter().zip(&outcomes).filter_map(|(o, out)| Some((o, out.as_ref().ok()?)));
    let mut rows = Vec::with_capacity(openings.len() * SESSIONS.columns);
    for (opening, continued) in accepted() {
        session_row(opening, continued.as_deref(), &mut rows)?;
        ledger.opened(&opening.session.key_id);
    }
    conn.insert(&SESSIONS, rows).await?;
    ledger.write(conn).await?;
    change_limits(conn, accepted().map(|(opening, _)| opening)).await?;
    audit::insert(conn, accepted().map(|(opening, _)| &opening.audit)).await?;
    keep_answers(conn, openings, &outcomes, &claimed).await?;
    Ok(outcomes)
}

static REPLAYS: Rows = Rows {
    head: "INSERT INTO replays (tenant_id, key_id, mac, session_id, expires_at) VALUES",
    columns: 5,
    tail: "ON CONFLICT DO NOTHING RETURNING session_id",
};

static UNCLAIM: Rows = Rows {
    head: "DELETE FROM replays WHERE (tenant_id, key_id, expires_at, mac) IN (VALUES",
    columns: 4,
    tail: ")",
};

static SESSIONS: Rows = Rows {
    head: "INSERT INTO sessions (tenant_id, session_id, key_id, key_generation, token_id, surface, \
           subject, chat, issued_at, ttl_s, expires_at, revoked_at, cache_key_hash, \
           max_redemptions, granted, capped) VALUES",
    columns: 16,
    tail: "",
};

async fn claim_signatures(
    conn: &mut Connection,
    openings: &[Opening],
    outcomes: &mut [Result<Continued>],
) -> Result<(), Failure> {
    let mut rows: Vec<Value> = Vec::new();
    for Opening { session, door, .. } in openings {
        if let Door::Embed { mac, replay_expires_at } = door {
            rows.extend([
                session.tenant.as_str().into(),
                session.key_id.as_str().into(),
                mac.as_slice().into(),
                session.id.as_str().into(),
                Value::from(*replay_expires_at),
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let claims = rows.len() / REPLAYS.columns;
    let mut won = conn.insert(&REPLAYS, rows).await?;
    if won.len() == claims {
        return Ok(());
    }
    let won: HashSet<String> = won.iter_mut().map(|row| row.text(0)).collect::<Result<_, _>>()?;
    for (Opening { session, door, .. }, outcome) in openings.iter().zip(outcomes) {
        if matches!(door, Door::Embed { .. }) && !won.contains(&session.id) {
            *outcome = Err(Error::SignatureReplayed);
        }
    }
    Ok(())
}

/// Claims the answers that openings want kept: whose claim was taken opens nothing and is told
/// what was answered then. Two of one batch with one claim are told from each other by nothing;
/// the later one comes back for the answer of the earlier.
async fn claim_answers(
    conn: &mut Connection,
    openings: &[Opening],
    outcomes: &mut [Result<Continued>],
) -> Result<HashSet<Claim>, Failure> {
    let mut wanted: HashMap<Claim, usize> = HashMap::new();
    for (at, (opening, outcome)) in openings.iter().zip(&mut *outcomes).enumerate() {
        let Some(receipt) = opening.receipt.as_ref().filter(|_| outcome.is_ok()) else { continue };
        match wanted.entry(receipt.claim) {
            Entry::Vacant(first) => {
                first.insert(at);
            }
            Entry::Occupied(_) => *outcome = Err(Error::IdempotencyInProgress),
        }
    }
    let receipts = wanted.values().filter_map(|at| openings[*at].receipt.as_ref());
    let free = idempotency::claim(conn, receipts).await?;
    for (claim, at) in wanted {
        if let Some(receipt) = openings[at].receipt.as_ref().filter(|_| !free.contains(&claim)) {
            outcomes[at] = Err(receipt.before(conn).await?);
        }
    }
    Ok(free)
}

/// Keeps the answers to what was opened, and gives back the claims of what was refused.
async fn keep_answers(
    conn: &mut Connection,
    openings: &[Opening],
    outcomes: &[Result<Continued>],
    claimed: &HashSet<Claim>,
) -> Result<(), Failure> {
    let mut done = Vec::new();
    for (opening, outcome) in openings.iter().zip(outcomes) {
        let Some(receipt) = &opening.receipt else { continue };
        match outcome {
            Ok(continued) => done.push((receipt, opening.preview(continued))),
            Err(Error::IdempotencyInProgress | Error::Answered(_)) => {}
            Err(_) if claimed.contains(&receipt.claim) => receipt.release(conn).await?,
            Err(_) => {}
        }
    }
    idempotency::keep(conn, done.into_iter()).await
}

/// Refuses openings for which their key has no room. What is let pass here may still be refused for
/// its conversation; then its room is given back with the batch.
async fn keep_to_ceilings<'a>(
    conn: &mut Connection,
    openings: &'a [Opening],
    outcomes: &mut [Result<Continued>],
) -> Result<Ledger<'a>, Failure> {
    let capped = openings.iter().zip(&*outcomes).filter_map(|(opening, outcome)| {
        let Opening { session, ceiling, .. } = opening;
        let ceiling = ceiling.as_deref().filter(|_| outcome.is_ok())?;
        let Session { tenant, key_id: key, issued_at: at, .. } = session;
        Some(ceilings::Opening { tenant, key, at: *at, ceiling })
    });
    let mut ledger = Ledger::read(conn, capped).await?;
    let mut unclaimed: Vec<Value> = Vec::new();
    for (Opening { session, door, .. }, outcome) in openings.iter().zip(outcomes) {
        let refused = outcome.is_ok().then(|| ledger.admit(&session.key_id)).and_then(Result::err);
        let Some(refused) = refused else { continue };
        *outcome = Err(refused);
        if let Door::Embed { mac, replay_expires_at } = door {
            unclaimed.extend([
                session.tenant.as_str().into(),
                session.key_id.as_str().into(),
                Value::from(*replay_expires_at),
                mac.as_slice().into(),
            ]);
        }
    }
    // A signature that had no effect may be sent again.
    conn.insert(&UNCLAIM, unclaimed).await?;
    Ok(ledger)
}

/// Whether the session counts among the live ones of its key.
fn is_capped(opening: &Opening) -> bool {
    opening.ceiling.as_ref().is_some_and(|it| it.ceilings.live_sessions.is_some())
}

async fn join_conversations(
    conn: &mut Connection,
    openings: &[Opening],
    outcomes: &mut [Result<Continued>],
) -> Result<(), Failure> {
    let mut fresh: Vec<&Conversation> = Vec::new();
    for (opening, outcome) in openings.iter().zip(outcomes) {
        let Door::Chat { conversation, check } = &opening.door else { continue };
        let Some(customer) = conversation.customer_id.as_deref().filter(|_| conversation.verified)
        else {
            fresh.push(conversation);
            continue;
        };
        // One by one: the next opening of the same batch may be of the same customer.
        let latest = conversations::latest_of(conn, &conversation.tenant, customer).await?;
        let Some(latest) = latest else {
            conversations::insert(conn, [&**conversation]).await?;
            continue;
        };
        *outcome = match merge(latest, conversation, *check) {
            Ok(merged) => {
                conversations::update(conn, &merged).await?;
                Ok(Some(Box::new(merged)))
            }
            Err(refusal) => Err(refusal),
        };
    }
    conversations::insert(conn, fresh).await
}

/// The older conversation with the newer one's variables, key by key, and its locale.
fn merge(older: Conversation, newer: &Conversation, check: VariablesCheck) -> Result<Conversation> {
    let variables = chat_session::merge(&older.variables, newer.variables.clone(), check)?;
    let locale = newer.locale.clone().or_else(|| older.locale.clone());
    Ok(Conversation { variables, locale, ..older })
}

fn session_row<'a>(
    opening: &'a Opening,
    continued: Option<&'a Conversation>,
    rows: &mut Vec<Value<'a>>,
) -> Result<(), Failure> {
    let Opening { session, granted, subject, door, .. } = opening;
    let mut granted: Value = granted.into();
    let (mut hash, mut max, mut chat) = (None, None, session.grant.chat());
    match door {
        Door::Embed { .. } => {}
        Door::Chat { conversation, .. } => {
            if let Some(continued) = continued {
                let mut grant = session.grant.clone();
                speak_in(&mut grant, &continued.id);
                granted = to_json(&grant)?.into();
            }
            chat = Some(continued.unwrap_or(conversation).id.as_str());
        }
        Door::Iframe { cache_key_hash, max_redemptions, .. } => {
            (hash, max) = (Some(cache_key_hash.as_slice()), Some(i64::from(*max_redemptions)));
        }
    }
    rows.extend([
        session.tenant.as_str().into(),
        session.id.as_str().into(),
        session.key_id.as_str().into(),
        session.key_generation.into(),
        session.token_id.as_str().into(),
        SURFACES[door.surface()].into(),
        subject.as_deref().into(),
        chat.into(),
        session.issued_at.into(),
        session.ttl_s.into(),
        session.expires_at.into(),
        session.revoked_at.into(),
        hash.into(),
        max.into(),
        granted,
        is_capped(opening).into(),
    ]);
    Ok(())
}

fn speak_in(grant: &mut Grant, id: &str) {
    match grant {
        Grant::Chat { conversation, .. } => id.clone_into(conversation),
        Grant::Embed { .. } | Grant::Iframe { .. } => {}
    }
}

/// Several sessions of one user in one batch: the last that says something wins.
async fn change_limits(
    conn: &mut Connection,
    openings: impl Iterator<Item = &Opening>,
) -> Result<(), Failure> {
    let mut changes: HashMap<(&str, Mode, &str), Option<Limits>> = HashMap::new();
    for Opening { session, door, .. } in openings {
        if let (Door::Iframe { limits, .. }, Grant::Iframe { uid, .. }) = (door, &session.grant) {
            let user = (&*session.tenant, limits.mode, &**uid);
            match limits.change {
                LimitsChange::Keep => None,
                LimitsChange::Clear => changes.insert(user, None),
                LimitsChange::Set(limits) => changes.insert(user, Some(limits)),
            };
        }
    }
    usage::set_limits(conn, changes).await
}
