//! Many callers at once: one winner, shared commits, failures that stay with their cause.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::Value as Json;
use tokio::sync::Notify;

use super::*;
use crate::store::Counts;
use crate::store::engine::{Connection, Failure};
use crate::store::locks::Reach;
use crate::store::stale::Stale;
use crate::store::writer::{Job, Queue};

/// Far longer than any write takes to be queued.
const PATIENCE: Duration = Duration::from_secs(60);

/// A write that keeps the writer until so many wait behind it.
struct Hold {
    queue: Queue,
    behind: usize,
    begun: Arc<Notify>,
}

impl Job for Hold {
    type Answer = ();

    async fn run(&self, _: &mut Connection) -> Result<(), Failure> {
        self.begun.notify_one();
        let begun = Instant::now();
        while self.queue.depth() < self.behind {
            if begun.elapsed() > PATIENCE {
                return Err(Failure::Statement("too few writes came".to_owned()));
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}

/// Runs so many writes as one batch; what had been counted before it.
async fn in_one_batch<T>(
    store: &Store,
    count: usize,
    writes: impl Future<Output = T>,
) -> (Counts, T) {
    let before = store.counts();
    let begun = Arc::new(Notify::new());
    let hold = Hold { queue: store.writer.clone(), behind: count, begun: Arc::clone(&begun) };
    let writes = async {
        begun.notified().await;
        writes.await
    };
    let (held, answers) = tokio::join!(store.writer.run(hold), writes);
    held.expect("writes nothing");
    (Counts { commits: before.commits + 1, writes: before.writes + 1, ..before }, answers)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_200_equal_signatures_one_opens_a_session() {
    let (_place, store) = furnished().await;
    let calls = (0..200).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { open_embed(&store, &format!("ses_{n}"), "same").await })
    });
    let results: Vec<_> =
        join_all(calls).await.into_iter().map(|joined| joined.expect("no panic")).collect();
    let winners: Vec<_> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    let replayed = |result: &&Result<Session>| matches!(result, Err(Error::SignatureReplayed));
    assert_eq!(results.iter().filter(replayed).count(), 199);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 1);
    assert!(store.session("ten_a", &winners[0].id).await.expect("reads").is_some());
    // Four rows of the furniture, one of the winner.
    assert_eq!(count(&store, "SELECT COUNT(*) FROM audit").await, 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_64_callers_share_commits() {
    let (_place, store) = furnished().await;
    let before = store.counts();
    let callers = (0..64).map(|caller| {
        let store = store.clone();
        tokio::spawn(async move {
            for n in 0..20 {
                let id = format!("ses_{caller}_{n}");
                open_embed(&store, &id, &id).await.expect("opens");
            }
        })
    });
    join_all(callers).await.into_iter().for_each(|joined| joined.expect("no panic"));
    let after = store.counts();
    let (writes, commits) = (after.writes - before.writes, after.commits - before.commits);
    assert_eq!(writes, 64 * 20);
    assert!(commits * 4 < writes, "{writes} writes took {commits} commits");
}

#[tokio::test]
async fn a_poisoned_write_fails_alone() {
    let (_place, store) = furnished().await;
    let writes = join_all((0..20).map(|n| {
        let store = store.clone();
        async move {
            let mut session = embed_session(&format!("ses_{n}"));
            if n == 7 {
                session.key_id = "key_of_nobody".into();
            }
            let mac = format!("mac_{n}");
            store.open_embed_session(session, mac.as_bytes(), NOW, audit("ten_a"), None).await
        }
    }));
    let (before, results) = in_one_batch(&store, 20, writes).await;
    for (n, result) in results.iter().enumerate() {
        assert_eq!(is_internal(result), n == 7, "{n}: {result:?}");
        assert_eq!(result.is_ok(), n != 7, "{n}: {result:?}");
    }
    // Not nineteen: halves are tried, so that a poisoned write costs the others little.
    let commits = store.counts().commits - before.commits;
    assert!(commits <= 5, "{commits} commits");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 19);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM replays").await, 19);
}

#[tokio::test]
async fn a_panic_in_a_check_costs_its_batch_alone() {
    fn panics(_: &Json) -> Vec<vestibule_runtime::Violation> {
        panic!("a check that panics")
    }
    let (_place, store) = furnished().await;
    for (n, check) in [(0, panics as crate::store::VariablesCheck), (1, panics), (2, |_| vec![])] {
        let conversation = conversation(&format!("c-{n}"), "anna", true);
        let session = chat_session(&format!("ses_{n}"), &conversation.id);
        let opened =
            store.open_chat_session(session, conversation, check, audit("ten_a"), None).await;
        // The first has nothing to merge with, so its check is not asked.
        assert_eq!(opened.is_ok(), n != 1, "{n}: {opened:?}");
    }
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_first_starts_on_one_database_at_once_all_succeed() {
    let place = Place::new().await;
    let starts = (0..super::super::FIRST_STARTS).map(|n: u8| {
        let database = place.database();
        tokio::spawn(async move {
            let store = Store::open(&database).await.expect("opens");
            let remembered = store.remember_key_check(&Sealed(vec![n])).await.expect("remembers");
            store.close().await;
            remembered
        })
    });
    let first: Vec<_> =
        join_all(starts).await.into_iter().map(|joined| joined.expect("no panic")).collect();
    assert!(first.iter().all(|who| *who == first[0]), "{first:?}");
}

#[tokio::test]
async fn a_full_batch_of_every_kind_of_write_is_one_commit() {
    let (_place, store) = furnished().await;
    let embeds = (0..20).map(|n| {
        let store = store.clone();
        async move {
            let id = format!("ses_e{n}");
            open_embed(&store, &id, &id).await.map(drop)
        }
    });
    let chats = (0..20).map(|n| {
        let store = store.clone();
        async move {
            let conversation = conversation(&format!("c-{n}"), "anna", n % 2 == 0);
            let session = chat_session(&format!("ses_c{n}"), &conversation.id);
            let check: crate::store::VariablesCheck = |_| Vec::new();
            store
                .open_chat_session(session, conversation, check, audit("ten_a"), None)
                .await
                .map(drop)
        }
    });
    let sources = (0..24).map(|n| {
        let store = store.clone();
        async move { store.put_source("ten_a", &n.to_string(), audit("ten_a")).await }
    });
    let writes = async { tokio::join!(join_all(embeds), join_all(chats), join_all(sources)) };
    let (before, (a, b, c)) = in_one_batch(&store, 64, writes).await;
    assert!(a.into_iter().chain(b).chain(c).all(|result| result.is_ok()));
    let after = store.counts();
    assert_eq!((after.commits - before.commits, after.writes - before.writes), (1, 64));
    // Ten verified sessions of one customer share one conversation, even in one batch.
    assert_eq!(count(&store, "SELECT COUNT(*) FROM conversations").await, 11);
}

/// A write that others are in the way of, so many times.
struct InTheWay(AtomicU32);

impl Job for InTheWay {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "INSERT INTO sources (tenant_id, source_id) VALUES ('ten_a', '1')";
        conn.execute(sql, Vec::new()).await?;
        match self.0.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(Failure::Again("deadlock".into())),
            Err(_) => Ok(()),
        }
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant("ten_a")
    }

    fn forget(&self, _: &mut Stale) {}
}

#[tokio::test]
async fn a_write_that_others_are_in_the_way_of_is_tried_again_but_not_for_ever() {
    let (_place, store) = furnished().await;
    let refused = store.writer.run(InTheWay(AtomicU32::new(99))).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sources").await, 0);
    store.writer.run(InTheWay(AtomicU32::new(3))).await.expect("the fourth time");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sources").await, 1);
}
