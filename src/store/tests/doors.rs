//! What the three doors write and read back.

use serde_json::Value as Json;
use vestibule_runtime::Violation;

use super::*;
use crate::domain::limits::Limits;
use crate::domain::test_clock::AskedClock;
use crate::error::Thing;
use crate::store::{OpenedChat, Redeemed};

fn fine(_: &Json) -> Vec<Violation> {
    Vec::new()
}

fn too_many(merged: &Json) -> Vec<Violation> {
    match merged.as_object().map_or(0, serde_json::Map::len) {
        0..=3 => Vec::new(),
        _ => vec![Violation::body("", "maxProperties")],
    }
}

async fn open_chat(
    store: &Store,
    id: &str,
    conversation: Conversation,
    check: fn(&Json) -> Vec<Violation>,
) -> Result<OpenedChat> {
    let session = chat_session(id, &conversation.id);
    store.open_chat_session(session, conversation, check, audit("ten_a"), None).await
}

async fn redeem(store: &Store, id: &str, now: i64) -> Result<Redeemed> {
    let clock = AskedClock { own_ms: now, asked_ms: None, ahead_ms: 0 };
    store.redeem_cache_key(id.as_bytes(), clock, audit("ten_a").id).await
}

fn with(conversation: Conversation, variables: Json) -> Conversation {
    let variables = variables.as_object().cloned().expect("an object");
    Conversation { variables, ..conversation }
}

#[tokio::test]
async fn sessions_of_all_surfaces_are_read_back_as_they_were_opened() {
    let (_place, store) = furnished().await;
    let embed = open_embed(&store, "ses_1", "mac").await.expect("opens");
    assert_eq!(embed, embed_session("ses_1"));
    let chat = open_chat(&store, "ses_2", conversation("c-1", "anna", false), fine).await;
    let chat = chat.expect("opens");
    assert_eq!(chat.session, chat_session("ses_2", "c-1"));
    assert_eq!(chat.conversation, conversation("c-1", "anna", false));
    open_iframe(&store, "ses_3", "u-1", LimitsChange::Keep).await;
    for session in [embed, chat.session, iframe_session("ses_3", "u-1")] {
        let read = store.session("ten_a", &session.id).await.expect("reads");
        assert_eq!(read.as_deref(), Some(&session));
        assert!(store.session("ten_b", &session.id).await.expect("reads").is_none());
    }
    let read = store.conversation("ten_a", "c-1").await.expect("reads");
    assert_eq!(read, Some(conversation("c-1", "anna", false)));
    assert_eq!(store.conversation("ten_b", "c-1").await.expect("reads"), None);
}

#[tokio::test]
async fn the_same_mac_under_another_key_is_another_signature() {
    let (_place, store) = furnished().await;
    store.create_key(embed_key("key_other"), audit("ten_a"), None).await.expect("key");
    open_embed(&store, "ses_1", "mac").await.expect("opens");
    let other = Session { key_id: "key_other".into(), ..embed_session("ses_2") };
    store.open_embed_session(other, b"mac", NOW, audit("ten_a"), None).await.expect("opens");
    let again = open_embed(&store, "ses_3", "mac").await;
    assert!(matches!(again, Err(Error::SignatureReplayed)), "{again:?}");
}

#[tokio::test]
async fn a_verified_customer_continues_the_latest_conversation() {
    let (_place, store) = furnished().await;
    open_chat(&store, "ses_1", conversation("c-1", "anna", true), fine).await.expect("opens");
    // A claim continues nothing and is continued by nobody.
    open_chat(&store, "ses_2", conversation("c-2", "anna", false), fine).await.expect("opens");
    let newer = with(conversation("c-3", "anna", true), json!({"b": null, "c": "x"}));
    let newer = Conversation { locale: None, ..newer };
    let opened = open_chat(&store, "ses_3", newer, fine).await.expect("opens");
    let merged = with(conversation("c-1", "anna", true), json!({"a": 1, "b": null, "c": "x"}));
    assert_eq!(opened.conversation, merged);
    assert_eq!(opened.session, chat_session("ses_3", "c-1"));
    assert_eq!(store.conversation("ten_a", "c-1").await.expect("reads"), Some(merged));
    assert_eq!(store.conversation("ten_a", "c-3").await.expect("reads"), None);
    let read = store.session("ten_a", "ses_3").await.expect("reads");
    assert_eq!(read.as_deref(), Some(&opened.session));
}

#[tokio::test]
async fn merged_variables_beyond_the_limits_write_nothing() {
    let (_place, store) = furnished().await;
    open_chat(&store, "ses_1", conversation("c-1", "anna", true), too_many).await.expect("opens");
    let audited = count(&store, "SELECT COUNT(*) FROM audit").await;
    let newer = with(conversation("c-2", "anna", true), json!({"c": 1, "d": 1}));
    let refused = open_chat(&store, "ses_2", newer, too_many).await;
    assert!(matches!(&refused, Err(Error::Rules(found)) if found.len() == 1), "{refused:?}");
    assert!(store.session("ten_a", "ses_2").await.expect("reads").is_none());
    let kept = store.conversation("ten_a", "c-1").await.expect("reads");
    assert_eq!(kept, Some(conversation("c-1", "anna", true)));
    assert_eq!(count(&store, "SELECT COUNT(*) FROM audit").await, audited);
}

#[tokio::test]
async fn a_cache_key_is_redeemed_as_often_as_it_may_be() {
    let (_place, store) = furnished().await;
    open_iframe(&store, "ses_1", "u-1", LimitsChange::Keep).await;
    let calls = (0..20).map(|_| redeem(&store, "ses_1", NOW));
    let results = futures::future::join_all(calls).await;
    let given: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(given.len(), 3);
    assert!(given.iter().all(|it| it.session == iframe_session("ses_1", "u-1")));
    let used = |result: &&Result<Redeemed>| matches!(result, Err(Error::CacheKeyUsed));
    assert_eq!(results.iter().filter(used).count(), 17);
    let audited = "SELECT COUNT(*) FROM audit WHERE action = 'session.redeem'";
    assert_eq!(count(&store, audited).await, 3);
    let unknown = redeem(&store, "ses_9", NOW).await;
    assert!(matches!(unknown, Err(Error::NotFound(Thing::CacheKey))), "{unknown:?}");
}

#[tokio::test]
async fn a_cache_key_dies_with_its_session_key_or_tenant() {
    let (_place, store) = furnished().await;
    for id in ["ses_1", "ses_2"] {
        open_iframe(&store, id, "u-1", LimitsChange::Keep).await;
    }
    let expired = |result: Result<Redeemed>| matches!(result, Err(Error::CacheKeyExpired));
    assert!(expired(redeem(&store, "ses_1", NOW + 900_000).await));
    assert!(redeem(&store, "ses_1", NOW + 899_999).await.is_ok());
    store.revoke_session("ten_a", "ses_1", NOW, audit("ten_a")).await.expect("revokes");
    assert!(expired(redeem(&store, "ses_1", NOW).await));
    let set = |state| store.set_key_state("ten_a", "key_iframe", state, audit("ten_a"));
    set(KeyState::Paused).await.expect("pauses");
    assert!(expired(redeem(&store, "ses_2", NOW).await));
    set(KeyState::Active).await.expect("resumes");
    assert!(redeem(&store, "ses_2", NOW).await.is_ok());
    store.revoke_tenant("ten_a", NOW, audit("ten_a")).await.expect("revokes");
    assert!(expired(redeem(&store, "ses_2", NOW).await));
}

#[tokio::test]
async fn limits_are_kept_replaced_and_cleared_for_all_sessions_of_a_user() {
    let (_place, store) = furnished().await;
    let some = |hourly| Limits { hourly: Some(hourly), ..Limits::default() };
    let steps = [
        (LimitsChange::Keep, None),
        (LimitsChange::Set(some(5)), Some(some(5))),
        (LimitsChange::Keep, Some(some(5))),
        (LimitsChange::Set(some(6)), Some(some(6))),
        (LimitsChange::Clear, None),
    ];
    for (n, (change, expected)) in steps.into_iter().enumerate() {
        let id = format!("ses_{n}");
        open_iframe(&store, &id, "u-1", change).await;
        let redeemed = redeem(&store, &id, NOW).await.expect("redeems");
        assert_eq!(redeemed.limits, expected, "step {n}");
    }
}
