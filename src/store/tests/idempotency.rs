//! Answers kept beside their effect: across stores on one database, refusals and failures.

use futures::future::join_all;

use super::*;
use crate::domain::idempotency::Claim;
use crate::store::Receipt;

const DAY: i64 = 86_400_000;

/// A receipt whose answer is the session's id.
fn receipt(claim: u8, now: i64) -> Option<Receipt<Session>> {
    let answer = Box::new(|session: &Session| Ok(session.id.clone().into_bytes()));
    let (tenant, claim) = ("ten_a".into(), Claim([claim; 32]));
    Some(Receipt { tenant, claim, now, until: now + DAY, answer })
}

async fn open(store: &Store, id: &str, receipt: Option<Receipt<Session>>) -> Result<Session> {
    let until = NOW + 360_000;
    let session = embed_session(id);
    store.open_embed_session(session, id.as_bytes(), until, audit("ten_a"), receipt).await
}

#[track_caller]
fn answered(result: &Result<Session>) -> String {
    let Err(Error::Answered(answer)) = result else { panic!("{result:?}") };
    String::from_utf8(answer.clone()).expect("text")
}

#[tokio::test]
async fn a_taken_claim_opens_nothing_and_tells_the_first_answer() {
    let (place, store) = furnished().await;
    open(&store, "ses_1", receipt(1, NOW)).await.expect("opens");
    assert_eq!(answered(&open(&store, "ses_2", receipt(1, NOW)).await), "ses_1");
    open(&store, "ses_3", receipt(2, NOW)).await.expect("another claim");
    let other = place.open().await.expect("another instance");
    assert_eq!(answered(&open(&other, "ses_4", receipt(1, NOW)).await), "ses_1");
    let read = other.kept_answer("ten_a", Claim([1; 32]), NOW).await.expect("reads");
    assert_eq!(read.as_deref(), Some(b"ses_1".as_slice()));
    let foreign = other.kept_answer("ten_b", Claim([1; 32]), NOW).await.expect("reads");
    assert_eq!(foreign, None);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 2);
    // The signatures of repetitions are used up all the same.
    assert_eq!(count(&store, "SELECT COUNT(*) FROM replays").await, 4);
    let again = open(&store, "ses_4", receipt(3, NOW)).await;
    assert!(matches!(again, Err(Error::SignatureReplayed)), "{again:?}");
    assert_eq!(store.kept_answer("ten_a", Claim([3; 32]), NOW).await.expect("reads"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_with_one_claim_on_two_instances_one_opens() {
    let (place, store) = furnished().await;
    let stores = [store.clone(), place.open().await.expect("another instance")];
    let calls = (0..120).map(|n| {
        let store = stores[n % 2].clone();
        tokio::spawn(async move { open(&store, &format!("ses_{n}"), receipt(1, NOW)).await })
    });
    let results = join_all(calls).await.into_iter().map(|it| it.expect("no panic"));
    let (opened, told): (Vec<_>, Vec<_>) = results.partition(Result::is_ok);
    assert_eq!(opened.len(), 1);
    let first = &opened[0].as_ref().expect("it opened").id;
    for result in &told {
        // Two of one batch are not told apart; the later one comes back for its answer.
        let early = matches!(result, Err(Error::IdempotencyInProgress));
        assert!(early || answered(result) == *first, "{result:?}");
    }
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 1);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM idempotency").await, 1);
}

#[tokio::test]
async fn an_expired_claim_is_free_whether_purged_or_not() {
    let (_place, store) = furnished().await;
    open(&store, "ses_1", receipt(1, NOW)).await.expect("opens");
    assert_eq!(answered(&open(&store, "ses_2", receipt(1, NOW + DAY - 1)).await), "ses_1");
    open(&store, "ses_3", receipt(1, NOW + DAY)).await.expect("opens anew");
    assert_eq!(answered(&open(&store, "ses_4", receipt(1, NOW + DAY + 1)).await), "ses_3");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM idempotency").await, 1);
    let kept = store.purge(NOW + 2 * DAY, NOW).await.expect("purges");
    assert_eq!(kept.answers, 0, "an answer that is still given is kept");
    let purged = store.purge(NOW + 2 * DAY + 1, NOW).await.expect("purges");
    assert_eq!(purged.answers, 1);
}

#[tokio::test]
async fn a_refused_effect_gives_its_claim_back() {
    let (_place, store) = furnished().await;
    let kept = |n: u8| Receipt {
        tenant: "ten_a".into(),
        claim: Claim([n; 32]),
        now: NOW,
        until: NOW + DAY,
        answer: Box::new(|(): &()| Ok(b"made".to_vec())),
    };
    let orphan = || Key { tenant: "ten_none".into(), ..embed_key("key_orphan") };
    for _ in 0..2 {
        let refused = store.create_key(orphan(), audit("ten_a"), Some(kept(1))).await;
        assert!(matches!(refused, Err(Error::NotFound(_))), "{refused:?}");
    }
    store.create_key(embed_key("key_new"), audit("ten_a"), Some(kept(1))).await.expect("made");
    let again = store.create_key(embed_key("key_other"), audit("ten_a"), Some(kept(1))).await;
    assert!(matches!(&again, Err(Error::Answered(told)) if told == b"made"), "{again:?}");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM keys WHERE key_id = 'key_other'").await, 0);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM idempotency").await, 1);
}

#[tokio::test]
async fn a_chat_that_is_refused_in_its_batch_gives_its_claim_back() {
    let (_place, store) = furnished().await;
    let kept = || {
        let answer = Box::new(|_: &crate::store::OpenedChat| Ok(b"opened".to_vec()));
        let (tenant, claim) = ("ten_a".into(), Claim([1; 32]));
        Some(Receipt { tenant, claim, now: NOW, until: NOW + DAY, answer })
    };
    let wrong = |_: &serde_json::Value| {
        vec![vestibule_runtime::Violation::body("/variables", "x-max-bytes")]
    };
    for (id, check) in [("1", (|_| vec![]) as crate::store::VariablesCheck), ("2", wrong)] {
        let talk = conversation(&format!("c-{id}"), "anna", true);
        let session = chat_session(&format!("ses_{id}"), &talk.id);
        let receipt = if id == "2" { kept() } else { None };
        let opened = store.open_chat_session(session, talk, check, audit("ten_a"), receipt).await;
        assert_eq!(opened.is_ok(), id == "1", "{opened:?}");
    }
    assert_eq!(count(&store, "SELECT COUNT(*) FROM idempotency").await, 0);
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_undoes_its_effect() {
    let (_place, store) = furnished().await;
    let failing = || {
        let answer = Box::new(|_: &Session| Err(Error::Internal("no answer".into())));
        let (tenant, claim) = ("ten_a".into(), Claim([1; 32]));
        Some(Receipt { tenant, claim, now: NOW, until: NOW + DAY, answer })
    };
    assert!(is_internal(&open(&store, "ses_1", failing()).await));
    for table in [
        "SELECT COUNT(*) FROM sessions",
        "SELECT COUNT(*) FROM replays",
        "SELECT COUNT(*) FROM idempotency",
    ] {
        assert_eq!(count(&store, table).await, 0, "{table}");
    }
    open(&store, "ses_1", receipt(1, NOW)).await.expect("nothing is in its way");
}
