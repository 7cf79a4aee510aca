//! One request of a simulated caller, put to the store as its handler puts it.

use std::pin::pin;
use std::task::Poll;

use super::super::tests::{audit, embed_session, iframe_session};
use super::model::{DAY_MS, HOUR_MS, SESSIONS_A_DAY};
use crate::domain::ceiling::{Act, Ceiling};
use crate::domain::idempotency::Claim;
use crate::domain::key::{Ceilings, KeyState, Mode, Terms};
use crate::domain::limits::LimitsChange;
use crate::domain::session::{AuditEntry, Session};
use crate::error::{Error, Result};
use crate::store::{Message, Receipt, Store};

/// How long a session lives, and how long its signature is remembered.
pub(super) const LIFE_MS: i64 = 900_000;
const REMEMBERED_MS: i64 = 360_000;

/// What a caller asks for.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    /// An embed session by a signature.
    Embed { mac: u64, signed_at: i64, sid: String },
    /// An iframe session under an idempotency key.
    Link { claim: u64, sid: String },
    /// An iframe session with a key that may open so many a day.
    Capped { sid: String },
    /// A message of a user, with its id.
    Message { uid: u64, id: String },
    /// A message taken back.
    Refund { uid: u64, id: String },
    /// The end of a session.
    Revoke { sid: String },
    /// A longer life of one.
    Renew { sid: String },
    /// A look at one.
    Read { sid: String },
    /// What is over, taken away.
    Purge,
}

/// What a caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Done; the session's id, where there is one.
    Done(String),
    /// Read: whether it is there, and whether it was revoked.
    Seen(Option<bool>),
    /// Refused by a rule.
    Refused,
    /// Refused by a limit.
    Full,
    /// To be asked again: another request with this key has no answer.
    Busy,
    /// Nobody knows.
    Unknown,
}

/// Asks the store.
pub(super) async fn ask(store: &Store, ask: &Ask, now: i64) -> Told {
    let of_session = |session: Session| session.id;
    match ask {
        Ask::Embed { mac, signed_at, sid } => {
            let session = Session { id: sid.clone(), ..lasting(embed_session(sid), now) };
            let until = signed_at + REMEMBERED_MS;
            let mac = mac.to_be_bytes();
            let opened = store.open_embed_session(session, &mac, until, audit("ten_a"), None);
            told(opened.await.map(of_session))
        }
        Ask::Link { claim, sid } => {
            let opened = link(store, sid, now, 0, LimitsChange::Keep, Some(*claim));
            told(opened.await.map(of_session))
        }
        Ask::Capped { sid } => told(capped(store, sid, now).await.map(of_session)),
        Ask::Message { uid, id } => {
            let (uid, id, tenant) = (name(*uid), id.clone(), "ten_a".to_owned());
            let message = Message { tenant, mode: Mode::Live, uid, id, at: now };
            let sent = store.accept_message(message, [(); 4].map(|()| exceeding()), None);
            told(sent.await.map(|_| String::new()))
        }
        Ask::Refund { uid, id } => {
            let uid = name(*uid);
            let back = store.refund_message("ten_a", Mode::Live, &uid, id, now);
            told(back.await.map(|()| String::new()))
        }
        Ask::Revoke { sid } => {
            let ended = store.revoke_session("ten_a", sid, now, audit("ten_a"));
            // False is none that lives: it is over, or was never there.
            match ended.await {
                Ok(false) => Told::Refused,
                ended => told(ended.map(|_| String::new())),
            }
        }
        Ask::Renew { sid } => told(renew(store, sid, now).await.map(of_session)),
        Ask::Read { sid } => match store.session("ten_a", sid).await {
            Ok(session) => Told::Seen(session.map(|it| it.revoked_at.is_some())),
            Err(_) => Told::Unknown,
        },
        Ask::Purge => told(store.purge(now, now - HOUR_MS).await.map(|_| String::new())),
    }
}

/// Lets it begin, and gives up: it may be done all the same.
pub(super) async fn once(told: impl Future<Output = Told>) -> Told {
    let mut told = pin!(told);
    std::future::poll_fn(|context| match told.as_mut().poll(context) {
        Poll::Ready(told) => Poll::Ready(told),
        Poll::Pending => Poll::Ready(Told::Unknown),
    })
    .await
}

/// Opens a link, perhaps under a claim, and changes the limits of its user.
pub(super) async fn link(
    store: &Store,
    sid: &str,
    now: i64,
    uid: u64,
    limits: LimitsChange,
    claim: Option<u64>,
) -> Result<Session> {
    let session = lasting(iframe_session(sid, &name(uid)), now);
    let receipt = claim.map(|claim| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&claim.to_be_bytes());
        let answer = Box::new(|session: &Session| Ok(session.id.clone().into_bytes()));
        let (tenant, claim) = ("ten_a".into(), Claim(bytes));
        Receipt { tenant, claim, now, until: now + DAY_MS, answer }
    });
    let limits = limits.of(Mode::Live);
    store.open_iframe_session(session, sid.as_bytes(), 3, limits, audit("ten_a"), receipt).await
}

async fn capped(store: &Store, sid: &str, now: i64) -> Result<Session> {
    let ceilings = Ceilings { sessions_per_day: Some(SESSIONS_A_DAY), ..Ceilings::default() };
    let exceeded = [(); 2].map(|()| exceeding());
    let ceiling = Some(Box::new(Ceiling { ceilings, idle_timeout_s: None, exceeded }));
    let session = lasting(iframe_session(sid, "capped"), now);
    let session = Session { key_id: "key_capped".into(), ..session };
    let (limits, act) = (LimitsChange::Keep.of(Mode::Live), Act { audit: audit("ten_a"), ceiling });
    store.open_iframe_session(session, sid.as_bytes(), 3, limits, act, None).await
}

async fn renew(store: &Store, sid: &str, now: i64) -> Result<Session> {
    let terms = Terms { state: KeyState::Active, idle_timeout_s: None };
    let renew = Box::new(move |session: &Session| {
        session.require_live(Some(terms), now)?;
        Ok(Session { expires_at: now + LIFE_MS, renewed_at: Some(now), ..session.clone() })
    });
    store.renew_session("ten_a", sid, renew, audit("ten_a")).await
}

fn told(result: Result<String>) -> Told {
    match result {
        Ok(sid) => Told::Done(sid),
        Err(Error::Answered(answer)) => Told::Done(String::from_utf8(answer).expect("an id")),
        Err(Error::LimitExceeded { .. }) => Told::Full,
        Err(Error::IdempotencyInProgress) => Told::Busy,
        Err(Error::Unavailable(_) | Error::Internal(_)) => Told::Unknown,
        Err(_) => Told::Refused,
    }
}

fn lasting(session: Session, now: i64) -> Session {
    Session { issued_at: now, expires_at: now + LIFE_MS, ..session }
}

fn exceeding() -> AuditEntry {
    AuditEntry { action: "limit.exceed".into(), ..audit("ten_a") }
}

/// A user's name.
pub(super) fn name(uid: u64) -> String {
    format!("u{uid}")
}
