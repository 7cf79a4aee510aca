//! What is exported and erased: every table, every column, and no byte left behind.

use std::collections::BTreeSet;

use futures::{StreamExt as _, stream};

use super::audit::verify;
use super::*;
use crate::domain::audit::Subject;
use crate::domain::erasure::Whose;
use crate::error::Thing;
use crate::store::DirectoryKind;
use crate::store::engine::Row;
use crate::store::holdings::{HOLDINGS, KEPT};
use crate::store::sealed_values::{COLUMNS, NOT_SEALED};

/// Table, column and type of everything that the database has.
async fn columns(store: &Store) -> Vec<[String; 3]> {
    let rows = store.readers.fetch(super::super::COLUMNS, Vec::new()).await.expect("reads");
    let text = |row: &mut Row, at| row.text(at).expect("text");
    rows.into_iter().map(|mut row| [0, 1, 2].map(|at| text(&mut row, at))).collect()
}

/// Whoever adds a table with a tenant says here what of it is exported and when it is erased.
#[tokio::test]
async fn every_table_of_a_tenant_is_in_the_list() {
    let (_place, store) = furnished().await;
    let found = columns(&store).await.into_iter().filter(|[_, column, _]| column == "tenant_id");
    let found: BTreeSet<_> = found.map(|[table, ..]| table).collect();
    let listed = HOLDINGS.iter().map(|holding| holding.table).chain(KEPT.iter().map(|it| it.0));
    let listed: BTreeSet<_> = listed.map(str::to_owned).collect();
    assert_eq!(found, listed, "store::holdings must name each of them");
}

#[tokio::test]
async fn every_column_is_shown_or_withheld() {
    let (_place, store) = furnished().await;
    let columns = columns(&store).await;
    for holding in HOLDINGS {
        let table = holding.table;
        let found =
            columns.iter().filter(|[its, ..]| its == table).map(|[_, name, _]| name.as_str());
        let named = [&["tenant_id"], holding.shown, holding.json, holding.withheld].concat();
        let named: BTreeSet<_> = named.into_iter().collect();
        assert_eq!(found.collect::<BTreeSet<_>>(), named, "{table} in store::holdings");
    }
}

/// Whoever adds a sealed column says here where it lies, or a rotated master key loses it.
#[tokio::test]
async fn every_column_of_bytes_is_sealed_anew_or_named_as_something_else() {
    let (_place, store) = furnished().await;
    let found = columns(&store).await.into_iter().filter(|[.., kind]| kind == "BYTEA");
    let found: BTreeSet<_> = found.map(|[table, column, _]| format!("{table}.{column}")).collect();
    let sealed = COLUMNS.iter().map(|it| format!("{}.{}", it.table, it.column));
    let other = NOT_SEALED.iter().map(|(table, column, _)| format!("{table}.{column}"));
    let named: BTreeSet<_> = sealed.chain(other).collect();
    assert_eq!(found, named, "store::sealed_values must name each of them");
}

/// Three people and what the service holds of them, ten times each.
async fn peopled() -> (Place, Store) {
    let (place, store) = furnished().await;
    for n in 0..10 {
        let who = |kind: &str| format!("canary-{kind}");
        let mut embed = embed_session(&format!("ses_e{n}"));
        embed.grant = Grant::Embed { employee: who("employee"), capabilities: vec![], chat: None };
        let entry = audit("ten_a").about(embed.grant.subject());
        store.open_embed_session(embed, &[n; 32], NOW + 1, entry, None).await.expect("opens");
        let talk = conversation(&format!("con_{n}"), &who("customer"), n == 0);
        let entry = audit("ten_a").about(talk.subject());
        let chat = chat_session(&format!("ses_c{n}"), &format!("con_{n}"));
        store.open_chat_session(chat, talk, |_| vec![], entry, None).await.expect("opens");
        let iframe = iframe_session(&format!("ses_i{n}"), &who("uid"));
        let limits =
            LimitsChange::Set(serde_json::from_value(json!({"daily": 3})).expect("limits"));
        let entry = AuditEntry { target: iframe.id.clone(), ..audit("ten_a") };
        let entry = entry.about(iframe.grant.subject());
        store
            .open_iframe_session(iframe, &[n; 32], 3, limits.of(Mode::Live), entry, None)
            .await
            .expect("opens");
    }
    let employee = DirectoryKind::Employee;
    let put = store.put_directory("ten_a", employee, "canary-employee", audit("ten_a"));
    put.await.expect("puts");
    (place, store)
}

fn people() -> [Whose; 3] {
    let name = |kind: &str| format!("canary-{kind}");
    [
        Subject::Uid(name("uid")),
        Subject::Customer(name("customer")),
        Subject::Employee(name("employee")),
    ]
    .map(Whose::Person)
}

/// Everything that pages give, by table.
async fn exported(store: &Store, whose: &Whose, limit: u32) -> Vec<(&'static str, String)> {
    let (mut rows, mut after) = (Vec::new(), None::<String>);
    loop {
        let page = store.held_page("ten_a", whose, after.as_deref(), limit).await.expect("reads");
        rows.extend(page.rows.into_iter().map(|(table, row)| (table, json!(row).to_string())));
        let Some(next) = page.next else { return rows };
        after = Some(next);
    }
}

#[tokio::test]
async fn an_export_holds_all_of_a_person_and_nothing_of_another() {
    let (_place, store) = peopled().await;
    let tables = |rows: &[(&'static str, String)]| {
        let mut counts = std::collections::BTreeMap::new();
        rows.iter().for_each(|(table, _)| *counts.entry(*table).or_insert(0) += 1);
        counts.into_iter().collect::<Vec<_>>()
    };
    let expected = [
        vec![("audit", 10), ("sessions", 10), ("uid_usage", 1)],
        vec![("audit", 10), ("conversations", 10), ("sessions", 10)],
        vec![("audit", 10), ("directory", 1), ("sessions", 10)],
    ];
    for (whose, expected) in people().iter().zip(expected) {
        let rows = exported(&store, whose, 3).await;
        assert_eq!(tables(&rows), expected, "{whose:?}");
        assert_eq!(rows, exported(&store, whose, 200).await, "whatever the size of pages");
    }
    let everything = exported(&store, &Whose::Everything, 200).await;
    let held: BTreeSet<_> = everything.iter().map(|(table, _)| *table).collect();
    assert!(held.is_superset(&["keys", "key_secrets", "replays", "sessions"].into()), "{held:?}");
    let stranger = Whose::Person(Subject::Uid("nobody".into()));
    assert_eq!(exported(&store, &stranger, 3).await, []);
    for after in ["x", "WyJub3doZXJlIixbXV0", "WyJzZXNzaW9ucyIsWzEsMl1d"] {
        let refused = store.held_page("ten_a", &stranger, Some(after), 3).await;
        assert!(matches!(refused, Err(Error::Rules(_))), "{refused:?}");
    }
    let unknown = store.held_page("ten_b", &stranger, None, 3).await;
    assert!(matches!(unknown, Err(Error::NotFound(Thing::Tenant))), "{unknown:?}");
}

#[tokio::test]
async fn an_erased_person_is_nowhere_and_the_audit_still_holds() {
    let (place, store) = peopled().await;
    for (whose, kind) in people().iter().zip(["uid", "customer", "employee"]) {
        let canary = format!("canary-{kind}");
        assert!(place.holds(&canary).await, "{canary} is there at first");
        let done = store.erase("ten_a", whose, NOW, || audit("ten_a")).await.expect("erases");
        assert!(done.is_complete && done.rows.values().sum::<u64>() > 10, "{done:?}");
        assert!(!place.holds(&canary).await, "{canary} is gone");
        let rows = exported(&store, whose, 200).await;
        assert!(rows.iter().all(|(table, _)| *table == "audit"), "{rows:?}");
        let again = store.erase("ten_a", whose, NOW, || audit("ten_a")).await.expect("again");
        assert!(again.is_complete && again.rows.is_empty(), "{again:?}");
    }
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 0);
    assert!(verify(&store).await.is_ok());
}

#[tokio::test]
async fn an_erased_tenant_leaves_its_id_and_an_audit_of_nobody() {
    let (place, store) = peopled().await;
    store.create_tenant(tenant("ten_b"), audit("ten_b"), None).await.expect("tenant");
    let erase = || store.erase("ten_a", &Whose::Everything, NOW, || audit("ten_a"));
    let done = erase().await.expect("erases");
    assert!(done.is_complete, "{done:?}");
    assert_eq!((done.rows["sessions"], done.rows["keys"]), (30, 3));
    assert!(!place.holds("canary").await);
    let left = store.tenant("ten_a").await.expect("reads").expect("the tombstone");
    assert_eq!(
        (left.name.as_str(), left.revoked_at, left.erased_at),
        ("(erased)", Some(NOW), Some(NOW))
    );
    assert!(left.identity_secret.0.is_empty());
    let keys = "SELECT COUNT(*) FROM audit_chains WHERE LENGTH(subject_key) = 0";
    assert_eq!(count(&store, keys).await, 1);
    let rows = exported(&store, &Whose::Everything, 200).await;
    assert!(rows.iter().all(|(table, _)| *table == "audit"), "{rows:?}");
    assert!(erase().await.expect("again").rows.is_empty());
    assert!(verify(&store).await.is_ok());
    assert!(store.tenant("ten_b").await.expect("reads").is_some_and(|it| it.name == "A"));
}

#[tokio::test]
async fn a_large_holding_is_erased_in_several_calls() {
    let (_place, store) = furnished().await;
    let opened = (0..10_300).map(|n| {
        let store = store.clone();
        async move { open_embed(&store, &format!("ses_{n}"), &format!("mac_{n}")).await }
    });
    // All at once would be more than wait in the queue, which a busy machine refuses.
    let opened: Vec<_> = stream::iter(opened).buffer_unordered(512).collect().await;
    assert!(opened.iter().all(Result::is_ok));
    let whose = Whose::Person(Subject::Employee("e-1".into()));
    let erase = || store.erase("ten_a", &whose, NOW, || audit("ten_a"));
    let first = erase().await.expect("erases");
    assert_eq!((first.is_complete, first.rows["sessions"]), (false, 10_000));
    let second = erase().await.expect("erases");
    assert_eq!((second.is_complete, second.rows["sessions"]), (true, 300));
}
