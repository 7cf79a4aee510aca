//! Fences: all sessions end, a copy is known until its fence is complete, and a database that was
//! put back by hand is known by its mark.

use super::*;
use crate::store::fences::SLICE;
use crate::store::{Copied, Displaced};

fn line(tenant: &str) -> AuditEntry {
    AuditEntry { action: "session.revoke".into(), ..audit(tenant) }
}

/// Ends everything; how many sessions there were, and in how many slices.
async fn fence(store: &Store, at: i64, now: i64) -> (u64, usize) {
    store.begin_fence(at).await.expect("begins");
    let (mut total, mut slices, mut after) = (0, 0, Some(String::new()));
    while let Some(behind) = after {
        let (ended, next) = store.end_before_fence(now, behind, line).await.expect("ends");
        (total, slices, after) = (total + ended, slices + 1, next);
    }
    store.complete_fence(audit("")).await.expect("completes");
    (total, slices)
}

#[tokio::test]
async fn a_fence_ends_every_session_whenever_it_was_opened_and_each_once() {
    let (place, store) = furnished().await;
    let opened = (0..SLICE).map(|n| {
        let store = store.clone();
        async move { open_iframe(&store, &format!("ses_{n:05}"), "u", LimitsChange::Keep).await }
    });
    futures::future::join_all(opened).await;
    let ahead = Session {
        issued_at: NOW + 86_400_000,
        expires_at: NOW + 87_000_000,
        ..embed_session("ses_a")
    };
    let ending = Session { revoked_at: Some(NOW + 30_000), ..embed_session("ses_b") };
    let over = Session { revoked_at: Some(NOW - 1), ..embed_session("ses_c") };
    for (session, mac) in [(ahead, "a"), (ending, "b"), (over, "c")] {
        let opening = store.open_embed_session(session, mac.as_bytes(), NOW, audit("ten_a"), None);
        opening.await.expect("opens");
    }
    let living =
        "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL OR revoked_at > 1700000000000";
    assert_eq!(count(&store, living).await, SLICE as i64 + 2);
    assert_eq!(fence(&store, NOW + 7, NOW).await, (SLICE as u64 + 2, 2));
    assert_eq!(count(&store, living).await, 0);
    let lines = "SELECT COUNT(*) FROM audit WHERE action = 'session.revoke'";
    assert_eq!(count(&store, lines).await, SLICE as i64 + 2, "one line for each");
    assert_eq!(fence(&store, NOW + 8, NOW).await, (0, 1), "nothing is ended twice");
    assert_eq!(store.fenced_at(), NOW + 8);
    let other = place.open().await.expect("opens");
    assert_eq!(other.fenced_at(), NOW + 8, "it is read at the start");
    store.begin_fence(NOW + 9).await.expect("begins");
    other.hear_of_fence().await.expect("hears");
    assert_eq!(other.fenced_at(), NOW + 9);
}

#[tokio::test]
async fn a_database_is_a_copy_until_its_fence_is_complete() {
    let (_place, store) = furnished().await;
    let dir = tempfile::tempdir().expect("a directory");
    assert_eq!(store.displaced(dir.path()).await.expect("asks"), None);
    store.begin_fence(NOW).await.expect("begins");
    let copy = Displaced::Copy(Copied { taken_at: None });
    assert_eq!(store.displaced(dir.path()).await.expect("asks"), Some(copy));
    store.begin_fence(NOW).await.expect("again, after an interruption");
    store.complete_fence(audit("")).await.expect("completes");
    assert_eq!(store.displaced(dir.path()).await.expect("asks"), None);
}

#[tokio::test]
async fn a_database_behind_its_mark_is_noticed_until_it_has_passed_it() {
    let (_place, store) = furnished().await;
    let (_other_place, newer) = furnished().await;
    let dir = tempfile::tempdir().expect("a directory");
    let displaced = async |store: &Store| store.displaced(dir.path()).await.expect("asks");
    newer.move_mark(dir.path()).await.expect("moves");
    newer.move_mark(dir.path()).await.expect("moves");
    assert_eq!(displaced(&newer).await, None);
    assert_eq!(displaced(&store).await, None, "no service ever ran on it");
    store.advance_epoch(0).await.expect("moves");
    assert_eq!(displaced(&store).await, Some(Displaced::Behind));
    store.pass_mark(dir.path()).await.expect("passes");
    assert_eq!(displaced(&store).await, None);
    store.move_mark(dir.path()).await.expect("moves");
    assert_eq!(displaced(&newer).await, Some(Displaced::Behind), "now it is the older one");
    std::fs::write(dir.path().join(".mark"), "none").expect("it is ours");
    let unreadable = store.displaced(dir.path()).await;
    assert!(matches!(unreadable, Err(Error::Unavailable(_))), "{unreadable:?}");
}
