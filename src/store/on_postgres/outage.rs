//! The server stopped, killed and frozen: refusals while it is away, and no restart afterwards.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use vestibule_cluster::{Cluster, Ending};

use super::tests::{furnish, open_embed};
use super::*;
use crate::error::Error;

/// A cluster of this test's own, and a furnished store on it.
async fn alone() -> (Cluster, Store) {
    let initdb = PathBuf::from(told("VESTIBULE_TEST_INITDB"));
    let cluster = tokio::task::spawn_blocking(move || Cluster::start(&initdb));
    let cluster = cluster.await.expect("no panic").expect("a cluster");
    let database = Database::at(&cluster.url("postgres")).expect("an address");
    let store = Store::open(&database).await.expect("opens");
    furnish(&store).await;
    (cluster, store)
}

fn is_away<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(Error::Unavailable(_)))
}

/// Repeats until it works, which takes as long as it takes.
async fn until_written(store: &Store, name: &str) {
    let until = Instant::now() + Duration::from_secs(60);
    let mut n = 0;
    loop {
        let id = format!("ses_{name}_{n}");
        match open_embed(store, &id, &id).await {
            Ok(_) => return,
            Err(Error::Unavailable(_)) if Instant::now() < until => n += 1,
            Err(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_stopped_or_killed_costs_refusals_and_no_restart() {
    let (mut cluster, store) = alone().await;
    for (n, ending) in [(0, Ending::Fast), (1, Ending::Immediate)] {
        let id = format!("ses_{n}");
        open_embed(&store, &id, &id).await.expect("opens");
        cluster.stop(ending).expect("stops");
        let refused = open_embed(&store, "ses_lost", "lost").await;
        assert!(is_away(&refused), "{refused:?}");
        let read = store.session("ten_a", "ses_unseen").await;
        assert!(is_away(&read), "{read:?}");
        let ready = store.ready().await;
        assert!(is_away(&ready.reader) && is_away(&ready.writer), "{ready:?}");
        cluster.resume().expect("starts again");
        until_written(&store, &format!("after_{n}")).await;
        let read = store.session("ten_a", &id).await.expect("reads");
        assert!(read.is_some(), "what was acknowledged is there");
        assert!(store.session("ten_a", "ses_lost").await.expect("reads").is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_says_nothing_is_given_up_and_taken_up_again() {
    let (cluster, store) = alone().await;
    {
        let _frozen = cluster.freeze().expect("freezes");
        let (written, read) = tokio::join!(
            open_embed(&store, "ses_1", "mac_1"),
            store.session("ten_a", "ses_unseen")
        );
        assert!(is_away(&written), "{written:?}");
        assert!(is_away(&read), "{read:?}");
        let again = open_embed(&store, "ses_2", "mac_2").await;
        assert!(is_away(&again), "{again:?}");
    }
    until_written(&store, "after").await;
    store.session("ten_a", "ses_unseen").await.expect("reads");
}
