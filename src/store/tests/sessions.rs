//! Sessions after their opening: lists, sweeps, renewals, uses, and rows of an older release.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;

use super::*;
use crate::domain::audit::Subject;
use crate::domain::renewal;
use crate::domain::session::{EarlierToken, Overview};
use crate::domain::target::Target;
use crate::store::session_ends::{SWEEP_SLICE, Slice, Sweep, Swept};
use crate::store::session_lists::SessionRange;

/// Opens a link that changes no limits.
async fn open_link(store: &Store, id: &str, uid: &str) -> Session {
    open_iframe(store, id, uid, LimitsChange::Keep).await
}

fn subject(text: &str) -> Target {
    Target::parse(text).expect("a target")
}

fn sweep(targets: &[&str], cut: i64) -> Sweep {
    Sweep {
        tenant: "ten_a".into(),
        tests_alone: false,
        targets: targets.iter().map(|text| subject(text)).collect(),
        now: NOW,
        cut,
        issued_before: NOW + 1,
        audit: AuditEntry { action: "session.revoke".into(), ..audit("ten_a") },
    }
}

async fn swept(store: &Store, sweep: Sweep) -> (u64, u64) {
    let done = store.sweep_sessions(sweep, || audit("ten_a").id).await;
    let Swept { revoked, not_revocable } = done.expect("sweeps");
    (revoked, not_revocable)
}

async fn listed(store: &Store, range: SessionRange, limit: u32) -> Vec<String> {
    let found: Vec<Overview> = store.list_sessions(&range, limit).await.expect("reads");
    found.into_iter().map(|session| session.id).collect()
}

#[tokio::test]
async fn lists_have_the_latest_first_and_keep_their_place() {
    let (_place, store) = furnished().await;
    for n in 1..=5 {
        open_link(&store, &format!("ses_{n}"), if n == 3 { "v" } else { "u" }).await;
    }
    let of = |target: Option<&str>, before: Option<&str>| SessionRange {
        tenant: Some("ten_a".into()),
        target: target.map(subject),
        from: None,
        before: before.map(str::to_owned),
    };
    assert_eq!(listed(&store, of(None, None), 2).await, ["ses_5", "ses_4"]);
    open_link(&store, "ses_6", "u").await;
    assert_eq!(listed(&store, of(None, Some("ses_4")), 2).await, ["ses_3", "ses_2"]);
    assert_eq!(
        listed(&store, of(Some("uid:u"), Some("ses_5")), 9).await,
        ["ses_4", "ses_2", "ses_1"]
    );
    assert_eq!(listed(&store, of(Some("key:key_iframe"), None), 1).await, ["ses_6"]);
    assert_eq!(listed(&store, of(Some("session:ses_2"), None), 9).await, ["ses_2"]);
    let from = SessionRange { from: Some("ses_5".into()), ..of(None, None) };
    assert_eq!(listed(&store, from, 9).await, ["ses_6", "ses_5"]);
    let other = SessionRange { tenant: Some("ten_b".into()), ..SessionRange::default() };
    assert!(listed(&store, other, 9).await.is_empty());
    assert_eq!(listed(&store, SessionRange::default(), 9).await.len(), 6, "the operator's");
}

#[tokio::test]
async fn a_sweep_counts_each_session_once_and_changes_nothing_twice() {
    let (_place, store) = furnished().await;
    for (id, uid) in [("ses_1", "u"), ("ses_2", "u"), ("ses_3", "v"), ("ses_4", "w")] {
        open_link(&store, id, uid).await;
    }
    store.revoke_session("ten_a", "ses_2", NOW, audit("ten_a")).await.expect("revokes");
    let lines = "SELECT COUNT(*) FROM audit WHERE action = 'session.revoke'";
    let both = || sweep(&["uid:u", "key:key_iframe", "session:ses_1", "uid:nobody"], NOW);
    assert_eq!(swept(&store, both()).await, (3, 1));
    assert_eq!(count(&store, lines).await, 3, "one line for each that was ended");
    assert_eq!(swept(&store, both()).await, (0, 4));
    assert_eq!(count(&store, lines).await, 3);
    let other = Sweep { tenant: "ten_b".into(), ..both() };
    assert_eq!(swept(&store, other).await, (0, 0));
}

#[tokio::test]
async fn a_sweep_spares_what_was_opened_later_and_is_brought_forward() {
    let (_place, store) = furnished().await;
    open_link(&store, "ses_1", "u").await;
    let earlier = Sweep { issued_before: NOW, ..sweep(&["uid:u"], NOW) };
    assert_eq!(swept(&store, earlier).await, (0, 0), "it was opened at that very instant");
    assert_eq!(swept(&store, sweep(&["uid:u"], NOW + 30_000)).await, (1, 0));
    let end = async || {
        store.session("ten_a", "ses_1").await.expect("reads").expect("it is there").revoked_at
    };
    assert_eq!(end().await, Some(NOW + 30_000));
    assert_eq!(swept(&store, sweep(&["uid:u"], NOW + 40_000)).await, (0, 1), "never put off");
    assert_eq!(swept(&store, sweep(&["uid:u"], NOW + 10_000)).await, (1, 0));
    assert_eq!(end().await, Some(NOW + 10_000));
    assert!(store.revoke_session("ten_a", "ses_1", NOW, audit("ten_a")).await.expect("revokes"));
    assert_eq!(end().await, Some(NOW));
}

#[tokio::test]
async fn a_sweep_goes_in_slices_between_which_others_write() {
    let (_place, store) = furnished().await;
    let opened = (0..SWEEP_SLICE * 2 + 7).map(|n| {
        let store = store.clone();
        async move { open_link(&store, &format!("ses_{n:05}"), "u").await }
    });
    let total = futures::future::join_all(opened).await.len() as u64;
    let before = store.counts().writes;
    assert_eq!(swept(&store, sweep(&["uid:u"], NOW)).await, (total, 0));
    assert_eq!(store.counts().writes - before, 3, "one write a slice");
}

#[tokio::test]
async fn a_sweep_ends_what_came_in_behind_an_earlier_target() {
    let (_place, store) = furnished().await;
    let both = Arc::new(sweep(&["uid:u", "key:key_iframe"], NOW));
    let slice = async |at: usize| {
        let (sweep, after) = (Arc::clone(&both), String::new());
        let slice = Slice { sweep, at, after, audit_id: || audit("ten_a").id };
        store.writer.run(slice).await.expect("sweeps").0
    };
    open_link(&store, "ses_1", "u").await;
    assert_eq!(slice(0).await, Swept { revoked: 1, not_revocable: 0 });
    open_link(&store, "ses_2", "u").await;
    assert_eq!(slice(1).await, Swept { revoked: 1, not_revocable: 0 });
    assert_eq!(slice(1).await, Swept::default(), "both are over and named by the first target");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL").await, 0);
}

#[tokio::test]
async fn a_sweep_goes_on_when_whoever_asked_is_gone() {
    let (_place, store) = furnished().await;
    for n in 0..SWEEP_SLICE + 1 {
        open_link(&store, &format!("ses_{n:05}"), "u").await;
    }
    let sweeping = store.sweep_sessions(sweep(&["uid:u"], NOW), || audit("ten_a").id);
    assert!(sweeping.now_or_never().is_none(), "it takes more than a moment");
    let alive = "SELECT COUNT(*) FROM sessions WHERE revoked_at IS NULL";
    let done = async { while count(&store, alive).await > 0 {} };
    tokio::time::timeout(Duration::from_secs(30), done).await.expect("every one is ended");
}

#[tokio::test]
async fn a_slice_of_a_test_key_is_bounded_by_what_it_looks_at_and_draws_an_id_a_line() {
    let (_place, store) = furnished().await;
    for n in 0..SWEEP_SLICE + 1 {
        open_link(&store, &format!("ses_{n:05}"), "u").await;
    }
    let drawn = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let id = {
        let drawn = Arc::clone(&drawn);
        move || {
            drawn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            audit("ten_a").id
        }
    };
    let before = store.counts().writes;
    let tests = Sweep { tests_alone: true, ..sweep(&["uid:u"], NOW) };
    let done = store.sweep_sessions(tests.clone(), id.clone()).await.expect("sweeps");
    assert_eq!(done, Swept::default(), "they are of a live key");
    assert_eq!(store.counts().writes - before, 2, "a slice looks at so many, whoever opened them");
    assert_eq!(drawn.load(std::sync::atomic::Ordering::Relaxed), 0);
    let sql = "UPDATE keys SET mode = 'test' WHERE key_id = 'key_iframe'";
    run(&store, sql, Vec::new()).await.expect("a test key");
    let done = store.sweep_sessions(tests, id).await.expect("sweeps");
    assert_eq!(done.revoked, SWEEP_SLICE as u64 + 1);
    assert_eq!(drawn.load(std::sync::atomic::Ordering::Relaxed), SWEEP_SLICE + 1);
}

#[tokio::test]
async fn a_session_for_somebody_with_an_empty_name_is_listed_and_ended_like_any() {
    let (_place, store) = furnished().await;
    let mut session = chat_session("ses_1", "c-1");
    let Grant::Chat { customer, .. } = &mut session.grant else { panic!("a chat session") };
    *customer = Some(String::new());
    let conversation = conversation("c-1", "", false);
    store
        .open_chat_session(session, conversation, |_| vec![], audit("ten_a"), None)
        .await
        .expect("opens");
    let range = SessionRange { tenant: Some("ten_a".into()), ..SessionRange::default() };
    let found = store.list_sessions(&range, 9).await.expect("lists");
    assert_eq!(found[0].subject, Some(Subject::Customer(String::new())));
    assert_eq!(swept(&store, sweep(&["chat:c-1"], NOW)).await, (1, 0));
}

#[tokio::test]
async fn a_renewal_is_kept_and_never_brings_back_what_was_revoked() {
    let (place, store) = furnished().await;
    let opened = open_embed(&store, "ses_1", "mac").await.expect("opens");
    let key = embed_key("key_embed");
    let renew = |at: i64| -> crate::store::Renew {
        let key = key.clone();
        Box::new(move |stored| renewal::renew(stored, Some(&key), at, format!("tok_{at}")))
    };
    let at = NOW + 60_000;
    let renewed = store.renew_session("ten_a", "ses_1", renew(at), audit("ten_a")).await;
    let renewed = renewed.expect("renews");
    assert_eq!((renewed.issued_at, renewed.renewed_at), (opened.issued_at, Some(at)));
    let superseded = EarlierToken { id: opened.token_id, valid_until: at + renewal::OVERLAP_MS };
    assert_eq!(renewed.earlier, [superseded]);
    store.close().await;
    let store = place.open().await.expect("opens again");
    let read = store.session("ten_a", "ses_1").await.expect("reads").expect("it is there");
    assert_eq!(*read, renewed);
    store.revoke_session("ten_a", "ses_1", at, audit("ten_a")).await.expect("revokes");
    let refused = store.renew_session("ten_a", "ses_1", renew(at + 1), audit("ten_a")).await;
    assert!(matches!(refused, Err(Error::SessionEnded("revoked"))), "{refused:?}");
    let unknown = store.renew_session("ten_b", "ses_1", renew(at), audit("ten_b")).await;
    assert!(matches!(unknown, Err(Error::NotFound(_))), "{unknown:?}");
}

#[tokio::test]
async fn uses_are_written_together_and_never_go_back() {
    let (_place, store) = furnished().await;
    let one = open_link(&store, "ses_1", "u").await;
    let two = open_link(&store, "ses_2", "u").await;
    let before = store.counts().writes;
    for at in [NOW + 2, NOW + 9, NOW + 5] {
        store.note_use(&one, at);
    }
    store.note_use(&two, NOW + 3);
    assert_eq!(store.counts().writes, before, "noting writes nothing");
    store.write_uses().await.expect("writes");
    assert_eq!(store.counts().writes, before + 1, "both in one write");
    store.note_use(&one, NOW + 4);
    store.write_uses().await.expect("writes");
    let used = async |id: &str| {
        store.session("ten_a", id).await.expect("reads").expect("it is there").last_used_at
    };
    assert_eq!((used("ses_1").await, used("ses_2").await), (Some(NOW + 9), Some(NOW + 3)));
    store.write_uses().await.expect("nothing to write");
    assert_eq!(store.counts().writes, before + 2);
    store.purge(NOW, NOW + 10_000_000).await.expect("purges");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM session_uses").await, 0);
    // What was noted before its session went.
    store.note_use(&one, NOW + 11);
    store.write_uses().await.expect("writes");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM session_uses").await, 0);
}
