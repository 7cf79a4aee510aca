//! Both engines have one schema: what one has and the other lacks is a defect of a migration.

use std::collections::BTreeSet;

use super::super::{on_postgres, on_sqlite};
use super::Place;
use crate::store::Store;

/// Four columns of each row, as text.
async fn told(store: &Store, sql: &'static str) -> BTreeSet<String> {
    let rows = store.readers.fetch(sql, Vec::new()).await.expect("reads");
    let line = rows.into_iter().map(|mut row| {
        let (table, name) = (row.text(0).expect("text"), row.text(1).expect("text"));
        let kind = row.text(2).expect("text");
        format!("{table} ({name}) {kind} {}", row.int(3).expect("a number"))
    });
    line.collect()
}

#[tokio::test]
async fn both_engines_have_the_same_tables_columns_and_indexes() {
    let place = Place::new().await;
    let dir = tempfile::tempdir().expect("a directory");
    let postgres = place.open().await.expect("opens");
    let sqlite = Store::open(&dir.path().into()).await.expect("opens");
    for (of_sqlite, of_postgres) in
        [(on_sqlite::COLUMNS, on_postgres::COLUMNS), (on_sqlite::INDEXES, on_postgres::INDEXES)]
    {
        let (one, other) = (told(&sqlite, of_sqlite).await, told(&postgres, of_postgres).await);
        let lacks: Vec<_> = one.difference(&other).collect();
        let has: Vec<_> = other.difference(&one).collect();
        assert!(
            one.len() > 30 && lacks.is_empty() && has.is_empty(),
            "lacks {lacks:#?}, has {has:#?}"
        );
    }
}
