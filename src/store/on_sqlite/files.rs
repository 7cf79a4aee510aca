//! What is so of SQLite's files.

use super::tests::furnished;
use super::*;
use crate::error::Error;

#[tokio::test]
async fn the_database_is_durable_and_private() {
    let (place, store) = furnished().await;
    let mut modes = store.readers.fetch("PRAGMA journal_mode", Vec::new()).await.expect("asks");
    assert_eq!(modes[0].text(0).expect("text"), "wal");
    #[cfg(unix)]
    for name in ["vestibule.db", "vestibule.db-wal", "vestibule.db-shm", ".lock"] {
        use std::os::unix::fs::PermissionsExt as _;
        let metadata = std::fs::metadata(place.path().join(name)).expect(name);
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600, "{name}");
    }
    #[cfg(not(unix))]
    drop(place);
}

#[tokio::test]
async fn a_directory_that_cannot_be_used_is_one_clear_error() {
    let place = Place::new().await;
    let file = place.path().join("occupied");
    std::fs::write(&file, "not a directory").expect("writes");
    let refused = Store::open(&file.as_path().into()).await.map(drop);
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("occupied")));
}
