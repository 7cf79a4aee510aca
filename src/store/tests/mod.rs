//! Tests of the store against a real database of their own: one suite, which each engine's module
//! takes in under its own name.

mod audit;
mod ceilings;
mod concurrency;
mod doors;
mod erasure;
mod fences;
mod idempotency;
mod operators;
mod restarts;
mod sessions;
mod usage;
mod webhooks;

use std::fmt::Debug;

use serde_json::json;

use super::Place;
use crate::domain::key::{
    Ceilings, Identity, Kept, Key, KeySecret, KeySettings, KeyState, Mode, Scope,
};
use crate::domain::limits::LimitsChange;
use crate::domain::sealing::Sealed;
use crate::domain::session::{AuditEntry, Conversation, Grant, Session};
use crate::domain::signing_key::SigningAlgorithm;
use crate::domain::tenant::{Directory, Tenant};
use crate::error::{Error, Result};
use crate::store::engine::Value;
use crate::store::script::Script;
use crate::store::{
    Store, audit_trail, conversations, deliveries, delivery_log, delivery_upkeep, expiries,
    idempotency as answers, key_rows, purge, sessions as session_rows,
};

/// What somebody may do to the audit who has the whole database, in the words of an engine.
pub(super) struct Tampering {
    /// Takes the triggers away.
    pub(super) unlock: &'static [&'static str],
    /// Changes of the entry at `$1`, beside those that both engines understand.
    pub(super) of_an_entry: &'static [&'static str],
    /// Changes of the end of the chain of `ten_b`, likewise.
    pub(super) of_an_end: &'static [&'static str],
}

/// Statements that find few rows, however many there are.
pub(super) const LOOKUPS: &[&str] = &[
    key_rows::BY_LOOKUP,
    key_rows::BY_NAME,
    key_rows::BY_ID,
    key_rows::PAGE_ORIGINS,
    session_rows::BY_CACHE_KEY,
    session_rows::BY_NAME,
    conversations::BY_NAME,
    conversations::LATEST,
    audit_trail::OLDER,
    audit_trail::YOUNGER,
    audit_trail::CHAIN,
    purge::REPLAYS,
    purge::SESSIONS,
    purge::ANSWERS,
    answers::BY_CLAIM,
    deliveries::NEXT,
    deliveries::NEXT_ENDPOINT,
    deliveries::IN_FLIGHT,
    deliveries::TAKE,
    delivery_log::PAGE,
    delivery_upkeep::OLD,
    expiries::ENDED,
    purge::USES,
    session_rows::BY_ID,
];

const NOW: i64 = 1_700_000_000_000;

/// A store with tenant `ten_a` and one key of each kind: `key_embed`, `key_chat`, `key_iframe`.
pub(super) async fn furnished() -> (Place, Store) {
    let place = Place::new().await;
    let store = place.open().await.expect("opens");
    furnish(&store).await;
    (place, store)
}

pub(super) async fn furnish(store: &Store) {
    store.create_tenant(tenant("ten_a"), audit("ten_a"), None).await.expect("tenant");
    for key in [embed_key("key_embed"), chat_key("key_chat"), iframe_key("key_iframe")] {
        store.create_key(key, audit("ten_a"), None).await.expect("key");
    }
}

pub(super) fn tenant(id: &str) -> Tenant {
    Tenant {
        id: id.into(),
        name: "A".into(),
        directory: Directory::Open,
        signing: SigningAlgorithm::Hs256,
        identity_secret: Sealed(vec![1, 2, 3]),
        created_at: NOW,
        revoked_at: None,
        erased_at: None,
    }
}

fn embed_key(id: &str) -> Key {
    let secret = |generation, not_after| KeySecret {
        generation,
        kept: Kept::Sealed(Sealed(vec![7; 60])),
        created_at: NOW,
        not_after,
    };
    Key {
        tenant: "ten_a".into(),
        id: id.into(),
        lookup: format!("lookup_{id}"),
        mode: Mode::Live,
        label: "Embed".into(),
        state: KeyState::Active,
        allowed_origins: vec!["https://a.example".into()],
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings: KeySettings::Embed { scope: Scope::ReadWrite },
        secrets: vec![secret(2, None), secret(1, Some(NOW + 5))],
        created_at: NOW,
    }
}

fn chat_key(id: &str) -> Key {
    let settings = KeySettings::Chat {
        allowed_intents: Some(vec!["refund".into()]),
        allow_no_origin: true,
        identity: Identity::Optional,
    };
    found_by_itself(Key { settings, ..embed_key(id) })
}

pub(super) fn iframe_key(id: &str) -> Key {
    let settings = KeySettings::Iframe { max_redemptions: 3 };
    found_by_itself(Key { settings, ..embed_key(id) })
}

/// The key with one credential, its lookup.
fn found_by_itself(key: Key) -> Key {
    let kept = Kept::Lookup(key.lookup.clone());
    let secrets = vec![KeySecret { generation: 1, kept, created_at: NOW, not_after: None }];
    Key { secrets, ..key }
}

pub(super) fn audit(tenant: &str) -> AuditEntry {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    AuditEntry {
        id: format!("aud_{id}"),
        tenant: tenant.into(),
        at: NOW,
        actor: "cli".into(),
        action: "test".into(),
        target: "it".into(),
        subject: None,
        detail: serde_json::Map::new(),
    }
}

fn session(id: &str, key: &str, grant: Grant) -> Session {
    Session {
        tenant: "ten_a".into(),
        id: id.into(),
        key_id: key.into(),
        key_generation: 1,
        token_id: format!("tok_{id}"),
        issued_at: NOW,
        ttl_s: 900,
        renewed_at: None,
        earlier: Vec::new(),
        expires_at: NOW + 900_000,
        revoked_at: None,
        last_used_at: None,
        grant,
    }
}

pub(super) fn embed_session(id: &str) -> Session {
    let capabilities = vec!["showChatsList".into(), "showChatPage".into()];
    session(id, "key_embed", Grant::Embed { employee: "e-1".into(), capabilities, chat: None })
}

pub(super) async fn open_embed(store: &Store, id: &str, mac: &str) -> Result<Session> {
    store
        .open_embed_session(embed_session(id), mac.as_bytes(), NOW + 360_000, audit("ten_a"), None)
        .await
}

fn chat_session(id: &str, conversation: &str) -> Session {
    let grant = Grant::Chat {
        conversation: conversation.into(),
        origin: None,
        customer: None,
        intents: Vec::new(),
    };
    session(id, "key_chat", grant)
}

fn conversation(id: &str, customer: &str, verified: bool) -> Conversation {
    Conversation {
        tenant: "ten_a".into(),
        id: id.into(),
        customer_id: Some(customer.into()),
        verified,
        locale: Some("de".into()),
        variables: json!({"a": 1, "b": [1.25]}).as_object().cloned().unwrap_or_default(),
        opened_at: NOW,
    }
}

pub(super) fn iframe_session(id: &str, uid: &str) -> Session {
    let (uid, sources) = (uid.into(), vec!["1".into()]);
    session(id, "key_iframe", Grant::Iframe { uid, sources, context: json!({"model": "gpt-5"}) })
}

/// Opens a link of a user with the key `key_iframe`.
async fn open_iframe(store: &Store, id: &str, uid: &str, limits: LimitsChange) -> Session {
    let (session, limits) = (iframe_session(id, uid), limits.of(Mode::Live));
    let opened =
        store.open_iframe_session(session, id.as_bytes(), 3, limits, audit("ten_a"), None).await;
    opened.expect("opens")
}

/// The limits that refused something.
fn refusing<T: Debug>(outcome: Result<T>) -> Vec<&'static str> {
    match outcome {
        Err(Error::LimitExceeded { exceeded, .. }) => {
            exceeded.iter().map(|it| it.standing.policy).collect()
        }
        other => panic!("{other:?}"),
    }
}

/// How often the audit was told of a limit.
async fn told(store: &Store) -> i64 {
    count(store, "SELECT COUNT(*) FROM audit WHERE action = 'limit.exceed'").await
}

/// How many rows a table has.
pub(super) async fn count(store: &Store, sql: &'static str) -> i64 {
    let mut rows = store.readers.fetch(sql, Vec::new()).await.expect("counts");
    rows[0].int(0).expect("a number")
}

/// Runs any statement as one write.
pub(super) async fn run(
    store: &Store,
    sql: &'static str,
    values: Vec<Value<'static>>,
) -> Result<()> {
    let statements = vec![(sql, values)];
    let script =
        Script { tenant: "ten_a".into(), statements, audit: audit("ten_a"), forget: |_, _| {} };
    store.writer.run(script).await
}

pub(super) fn is_internal<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::Internal(_)))
}
