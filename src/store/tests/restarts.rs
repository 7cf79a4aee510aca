//! What holds across a close and a new start.

use super::super::{
    audit_trail, conversations, deliveries, delivery_log, delivery_upkeep, expiries, idempotency,
    key_rows, purge, sessions,
};
use super::*;

#[tokio::test]
async fn reopening_keeps_what_was_acknowledged() {
    let (dir, store) = furnished().await;
    open_embed(&store, "ses_1", "mac").await.expect("opens");
    store.close().await;
    let store = Store::open(dir.path()).await.expect("opens again");
    let read = store.session("ten_a", "ses_1").await.expect("reads");
    assert_eq!(read.as_deref(), Some(&embed_session("ses_1")));
    assert!(store.key_by_lookup("lookup_key_embed").await.expect("reads").is_some());
    let replayed = open_embed(&store, "ses_2", "mac").await;
    assert!(matches!(replayed, Err(Error::SignatureReplayed)), "{replayed:?}");
}

#[tokio::test]
async fn closing_writes_what_was_queued_and_refuses_the_rest() {
    let (dir, store) = furnished().await;
    let queued = (0..200).map(|n| {
        let store = store.clone();
        tokio::spawn(async move { open_embed(&store, &format!("ses_{n}"), &n.to_string()).await })
    });
    let queued: Vec<_> = queued.collect();
    tokio::task::yield_now().await;
    store.close().await;
    let mut acknowledged = 0;
    for call in queued {
        match call.await.expect("no panic") {
            Ok(_) => acknowledged += 1,
            Err(error) => assert!(matches!(error, Error::Unavailable(_)), "{error:?}"),
        }
    }
    assert!(acknowledged > 0);
    let late = open_embed(&store, "ses_late", "late").await;
    assert!(matches!(late, Err(Error::Unavailable(_))), "{late:?}");
    let read = store.session("ten_a", "ses_0").await;
    assert!(matches!(read, Err(Error::Unavailable(_))), "{read:?}");
    let store = Store::open(dir.path()).await.expect("opens again");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, acknowledged);
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_store() {
    let (_dir, store) = furnished().await;
    let ready = store.ready().await;
    assert!(ready.reader.is_ok() && ready.writer.is_ok(), "{ready:?}");
    store.close().await;
    let ready = store.ready().await;
    assert!(ready.reader.is_err() && ready.writer.is_err(), "{ready:?}");
}

#[tokio::test]
async fn the_first_key_check_stays() {
    let (dir, store) = furnished().await;
    let (one, two) = (Sealed(b"one".to_vec()), Sealed(b"two".to_vec()));
    assert_eq!(store.key_check().await.expect("reads"), None);
    assert_eq!(store.remember_key_check(&one).await.expect("writes"), one);
    assert_eq!(store.remember_key_check(&two).await.expect("writes"), one);
    store.close().await;
    let store = Store::open(dir.path()).await.expect("opens again");
    assert_eq!(store.key_check().await.expect("reads"), Some(one));
}

#[tokio::test]
async fn the_database_is_durable_private_and_referential() {
    let (dir, store) = furnished().await;
    let mut modes = store.readers.fetch("PRAGMA journal_mode", Vec::new()).await.expect("asks");
    assert_eq!(modes[0].text(0).expect("text"), "wal");
    let orphan = "INSERT INTO sources (tenant_id, source_id) VALUES ('ten_b', '1')";
    assert!(is_internal(&run(&store, orphan, vec![]).await));
    // Readers cannot write, whatever they are asked.
    let written = store.readers.fetch("DELETE FROM keys", Vec::new()).await;
    assert!(written.is_err());
    #[cfg(unix)]
    for name in ["vestibule.db", "vestibule.db-wal", "vestibule.db-shm", ".lock"] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(dir.path().join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    #[cfg(not(unix))]
    drop(dir);
}

#[tokio::test]
async fn no_lookup_walks_through_a_table() {
    let (_dir, store) = furnished().await;
    let statements = [
        key_rows::BY_LOOKUP,
        key_rows::BY_NAME,
        key_rows::BY_ID,
        key_rows::PAGE_ORIGINS,
        sessions::BY_CACHE_KEY,
        sessions::BY_NAME,
        conversations::BY_NAME,
        conversations::LATEST,
        audit_trail::OLDER,
        audit_trail::YOUNGER,
        audit_trail::CHAIN,
        purge::REPLAYS,
        purge::SESSIONS,
        purge::ANSWERS,
        idempotency::BY_CLAIM,
        deliveries::NEXT,
        deliveries::NEXT_ENDPOINT,
        deliveries::IN_FLIGHT,
        deliveries::TAKE,
        delivery_log::PAGE,
        delivery_upkeep::OLD,
        expiries::ENDED,
        purge::USES,
        sessions::BY_ID,
    ];
    for statement in statements {
        for step in plan(&store, statement).await {
            // A scan along an index that stops early is a lookup; one of a subquery has few rows.
            let is_few = ["SCAN k", "SCAN page"].contains(&step.as_str());
            let walks = step.starts_with("SCAN") && !step.contains("USING") && !is_few;
            assert!(!walks, "{step}: {statement}");
        }
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_one_clear_error() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("occupied");
    std::fs::write(&file, "not a directory").expect("writes");
    let refused = Store::open(&file).await.map(drop);
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("occupied")));
}
