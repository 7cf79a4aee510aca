//! What holds across a close and a new start.

use super::*;

#[tokio::test]
async fn reopening_keeps_what_was_acknowledged() {
    let (place, store) = furnished().await;
    open_embed(&store, "ses_1", "mac").await.expect("opens");
    store.close().await;
    let store = place.open().await.expect("opens again");
    let read = store.session("ten_a", "ses_1").await.expect("reads");
    assert_eq!(read.as_deref(), Some(&embed_session("ses_1")));
    assert!(store.key_by_lookup("lookup_key_embed").await.expect("reads").is_some());
    let replayed = open_embed(&store, "ses_2", "mac").await;
    assert!(matches!(replayed, Err(Error::SignatureReplayed)), "{replayed:?}");
}

#[tokio::test]
async fn closing_writes_what_was_queued_and_refuses_the_rest() {
    let (place, store) = furnished().await;
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
    let store = place.open().await.expect("opens again");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, acknowledged);
}

#[tokio::test]
async fn readiness_follows_the_life_of_the_store() {
    let (_place, store) = furnished().await;
    let ready = store.ready().await;
    assert!(ready.reader.is_ok() && ready.writer.is_ok(), "{ready:?}");
    store.close().await;
    let ready = store.ready().await;
    assert!(ready.reader.is_err() && ready.writer.is_err(), "{ready:?}");
}

#[tokio::test]
async fn the_first_key_check_stays() {
    let (place, store) = furnished().await;
    let (one, two) = (Sealed(b"one".to_vec()), Sealed(b"two".to_vec()));
    assert_eq!(store.key_check().await.expect("reads"), None);
    assert_eq!(store.remember_key_check(&one).await.expect("writes"), one);
    assert_eq!(store.remember_key_check(&two).await.expect("writes"), one);
    store.close().await;
    let store = place.open().await.expect("opens again");
    assert_eq!(store.key_check().await.expect("reads"), Some(one));
}

#[tokio::test]
async fn readers_write_nothing_and_rows_refer_to_what_is_there() {
    let (_place, store) = furnished().await;
    let orphan = "INSERT INTO sources (tenant_id, source_id) VALUES ('ten_b', '1')";
    assert!(is_internal(&run(&store, orphan, vec![]).await));
    // Readers cannot write, whatever they are asked.
    let written = store.readers.fetch("DELETE FROM keys", Vec::new()).await;
    assert!(written.is_err());
}
