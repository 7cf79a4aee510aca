//! The audit: chained in the transaction of the act, by several processes, and checked.

use super::super::TAMPERING;
use super::*;
use crate::domain::audit::{Hash, Subject};
use crate::domain::audit_chain::{Break, Fault, Walk};
use crate::store::AuditFilter;
use crate::store::engine::{Connection, Failure};
use crate::store::stale::Stale;
use crate::store::writer::Job;

/// Statements that write no audit entry of their own, as an attacker's.
struct Raw(Vec<(&'static str, Vec<Value<'static>>)>);

impl Job for Raw {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        for (sql, values) in &self.0 {
            conn.execute(*sql, values.clone()).await?;
        }
        Ok(())
    }

    fn forget(&self, _: &mut Stale) {}
}

async fn raw(store: &Store, statements: &[&'static str]) {
    let statements = statements.iter().map(|sql| (*sql, Vec::new())).collect();
    store.writer.run(Raw(statements)).await.expect("runs");
}

async fn at(store: &Store, sql: &'static str, position: i64) {
    store.writer.run(Raw(vec![(sql, vec![position.into()])])).await.expect("runs");
}

/// Every chain, walked to its end.
pub(super) async fn verify(store: &Store) -> Result<Vec<(String, i64)>, Break> {
    let (mut chains, mut name) = (Vec::new(), None::<String>);
    while let Some(next) = store.audit_chain_behind(name.as_deref()).await.expect("reads") {
        let mut walk = Walk::new(&next, &[]);
        for found in store.audit_chain(&next, 0, 10_000).await.expect("reads") {
            walk.step(&found)?;
        }
        walk.finish(store.audit_chain_end(&next).await.expect("reads"))?;
        chains.push((next.clone(), walk.head().sequence));
        name = Some(next);
    }
    Ok(chains)
}

/// Three chains of a few entries, with and without subject and detail.
async fn audited() -> (Place, Store) {
    let (place, store) = furnished().await;
    store.create_tenant(tenant("ten_b"), audit("ten_b"), None).await.expect("tenant");
    for (id, tenant) in [("ten_c", ""), ("ten_d", ""), ("ten_e", "ten_b")] {
        let entry = audit(tenant).with("count", 7).about(Subject::Uid("canary".into()));
        store.create_tenant(super::tenant(id), entry, None).await.expect("tenant");
    }
    (place, store)
}

#[tokio::test]
async fn each_tenant_has_a_chain_and_so_has_what_belongs_to_none() {
    let (_place, store) = audited().await;
    let expected = [("".to_owned(), 2), ("ten_a".into(), 4), ("ten_b".into(), 2)];
    assert_eq!(verify(&store).await, Ok(expected.to_vec()));
    let entries = store.audit_chain("", 0, 9).await.expect("reads");
    let subjects: Vec<_> = entries.into_iter().filter_map(|found| found.record?.subject).collect();
    assert_eq!(subjects.len(), 2);
    assert_eq!(subjects[0], subjects[1], "one person has one pseudonym");
    assert!(!subjects[0].contains("canary"));
    let elsewhere = store.audit_chain("ten_b", 1, 9).await.expect("reads").pop();
    let elsewhere = elsewhere.and_then(|found| found.record?.subject).expect("a subject");
    assert_ne!(elsewhere, subjects[0], "another tenant's pseudonyms are other ones");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chain_holds_when_two_processes_write_it_at_once() {
    let (place, store) = furnished().await;
    let elsewhere = place.open().await.expect("opens");
    let opened = (0..200).map(|n| {
        let store = if n % 2 == 0 { store.clone() } else { elsewhere.clone() };
        async move { open_embed(&store, &format!("ses_{n}"), &format!("mac_{n}")).await }
    });
    assert!(futures::future::join_all(opened).await.iter().all(Result::is_ok));
    assert_eq!(verify(&store).await, Ok(vec![("ten_a".to_owned(), 204)]));
}

/// Batches that fail are undone and tried again in halves: no entry of theirs may be lost, told
/// twice or chained to one that was undone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn chains_hold_when_many_write_them_and_some_writes_fail() {
    let (place, store) = furnished().await;
    let elsewhere = place.open().await.expect("opens");
    for id in ["ten_b", "ten_c"] {
        store.create_tenant(tenant(id), audit(id), None).await.expect("tenant");
    }
    let writers = (0..24).map(|writer| {
        let store = if writer % 2 == 0 { store.clone() } else { elsewhere.clone() };
        tokio::spawn(async move {
            let mut written = 0;
            for n in 0..15 {
                let id = format!("ses_{writer}_{n}");
                written += i64::from(open_embed(&store, &id, &id).await.is_ok());
                let tenant = if n % 2 == 0 { "ten_b" } else { "ten_c" };
                // Found by what finds another key: spoils its batch behind the openings in it.
                let key = Key { lookup: "lookup_key_chat".into(), ..embed_key(&id) };
                assert!(is_internal(&store.create_key(key, audit("ten_a"), None).await));
                let mut orphan = embed_session(&format!("{id}_orphan"));
                orphan.key_id = "key_lost".into();
                let mac = format!("mac_{id}");
                let orphan =
                    store.open_embed_session(orphan, mac.as_bytes(), NOW, audit("ten_a"), None);
                assert!(is_internal(&orphan.await));
                let source = store.put_source(tenant, &id, audit(tenant)).await;
                written += i64::from(source.is_ok());
            }
            written
        })
    });
    let mut written = 0;
    for writer in futures::future::join_all(writers).await {
        written += writer.expect("no panic");
    }
    let chains = verify(&store).await.expect("every chain holds");
    let names: Vec<_> = chains.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ten_a", "ten_b", "ten_c"]);
    let entries: i64 = chains.iter().map(|(_, entries)| entries).sum();
    // A tenant and three keys, two tenants, and what was acknowledged.
    assert_eq!((written, entries), (24 * 30, 24 * 30 + 6));
}

#[tokio::test]
async fn every_single_row_tampering_is_found() {
    let (_place, store) = audited().await;
    let copies = [
        "CREATE TABLE entries AS SELECT * FROM audit",
        "CREATE TABLE ends AS SELECT * FROM audit_chains",
    ];
    raw(&store, TAMPERING.unlock).await;
    raw(&store, &copies).await;
    let restore = [
        "DELETE FROM audit",
        "INSERT INTO audit SELECT * FROM entries",
        "DELETE FROM audit_chains",
        "INSERT INTO audit_chains SELECT * FROM ends",
    ];
    let of_an_entry = [
        "DELETE FROM audit WHERE position = $1",
        "UPDATE audit SET tenant_id = 'ten_x' WHERE position = $1",
        "UPDATE audit SET sequence = sequence + 100 WHERE position = $1",
        "UPDATE audit SET audit_id = audit_id || 'x' WHERE position = $1",
        "UPDATE audit SET happened_at = happened_at + 1 WHERE position = $1",
        "UPDATE audit SET actor = 'nobody' WHERE position = $1",
        "UPDATE audit SET action = 'nothing' WHERE position = $1",
        "UPDATE audit SET target = '' WHERE position = $1",
        "UPDATE audit SET subject = COALESCE(subject, 'sub_') || 'x' WHERE position = $1",
        "UPDATE audit SET detail = '{\"count\":8}' WHERE position = $1",
        "UPDATE audit SET position = -position WHERE position = $1",
        "INSERT INTO audit SELECT position + 1000, tenant_id, sequence + 1000, audit_id, \
         happened_at, actor, action, target, subject, detail, previous, hash \
         FROM audit WHERE position = $1",
    ];
    let last = store.audit_position().await.expect("reads");
    assert_eq!(last, 8);
    for position in 1..=last {
        for sql in of_an_entry.iter().chain(TAMPERING.of_an_entry) {
            at(&store, sql, position).await;
            assert!(verify(&store).await.is_err(), "{sql} of {position}");
            raw(&store, &restore).await;
        }
    }
    let of_an_end = [
        "DELETE FROM audit_chains WHERE tenant_id = 'ten_b'",
        "UPDATE audit_chains SET sequence = sequence + 1 WHERE tenant_id = 'ten_b'",
        "UPDATE audit_chains SET sequence = sequence - 1 WHERE tenant_id = 'ten_b'",
        "UPDATE audit_chains SET tenant_id = 'ten_x' WHERE tenant_id = 'ten_b'",
    ];
    for sql in of_an_end.iter().chain(TAMPERING.of_an_end) {
        raw(&store, &[sql]).await;
        assert!(verify(&store).await.is_err(), "{sql}");
        raw(&store, &restore).await;
    }
    assert!(verify(&store).await.is_ok(), "and untouched it holds");
}

#[tokio::test]
async fn an_entry_written_anew_with_its_hash_betrays_itself_by_the_next() {
    let (_place, store) = audited().await;
    raw(&store, TAMPERING.unlock).await;
    let found = store.audit_chain("ten_a", 1, 1).await.expect("reads").pop().expect("there");
    let mut record = found.record.expect("a record");
    record.actor = "nobody".into();
    let Hash(hash) = record.hash();
    let sql = "UPDATE audit SET actor = 'nobody', hash = $1 WHERE position = $2";
    let values = vec![Value::Bytes(Some(hash.to_vec().into())), found.position.into()];
    store.writer.run(Raw(vec![(sql, values)])).await.expect("runs");
    let broken = verify(&store).await.expect_err("it is broken");
    assert_eq!((broken.sequence, broken.fault), (3, Fault::Detached));
}

#[tokio::test]
async fn pages_and_followers_see_what_fits_in_order() {
    let (_place, store) = audited().await;
    let all = AuditFilter::default();
    let (mut ids, mut before) = (Vec::new(), None);
    loop {
        let page = store.audit_page(&all, before, 3).await.expect("reads");
        ids.extend(page.entries.iter().map(|found| found.position));
        let Some(next) = page.next else { break };
        before = Some(next);
    }
    assert_eq!(ids, [8, 7, 6, 5, 4, 3, 2, 1]);
    let filter = AuditFilter { tenant: Some("ten_b".into()), ..all.clone() };
    let page = store.audit_page(&filter, None, 9).await.expect("reads");
    assert_eq!(page.entries.iter().map(|it| it.position).collect::<Vec<_>>(), [8, 5]);
    let subject = page.entries[0].record.as_ref().and_then(|it| it.subject.clone());
    for (filter, fits) in [
        (AuditFilter { subject, ..all.clone() }, 1),
        (AuditFilter { actor: Some("cli".into()), ..all.clone() }, 8),
        (AuditFilter { actor: Some("admin".into()), ..all.clone() }, 0),
        (AuditFilter { action: Some("test".into()), ..all.clone() }, 8),
        (AuditFilter { target: Some("that".into()), ..all.clone() }, 0),
        (AuditFilter { since: Some(NOW), until: Some(NOW + 1), ..all.clone() }, 8),
        (AuditFilter { since: Some(NOW + 1), ..all.clone() }, 0),
        (AuditFilter { until: Some(NOW), ..all.clone() }, 0),
    ] {
        let page = store.audit_page(&filter, None, 9).await.expect("reads");
        assert_eq!(page.entries.len(), fits, "{filter:?}");
        assert_eq!(page.next, None);
    }
    let younger = store.audit_since(&all, 2, 3).await.expect("reads");
    assert_eq!(younger.entries.iter().map(|it| it.position).collect::<Vec<_>>(), [3, 4, 5]);
    assert_eq!(younger.next, Some(5));
}

#[tokio::test]
async fn entries_of_the_release_without_chains_are_chained_when_it_opens() {
    let (place, store) = furnished().await;
    let unchained = "INSERT INTO audit_unchained VALUES \
         ('ten_b', 2, 'aud_2', 'cli', 'b', 'y'), ('ten_b', 1, 'aud_1', 'cli', 'a', 'x')";
    raw(&store, &[unchained]).await;
    store.close().await;
    let store = place.open().await.expect("opens again");
    let expected = [("ten_a".to_owned(), 4), ("ten_b".into(), 2)];
    assert_eq!(verify(&store).await, Ok(expected.to_vec()));
    let chain = store.audit_chain("ten_b", 0, 9).await.expect("reads");
    let ids: Vec<_> = chain.into_iter().filter_map(|it| it.record).map(|it| it.id).collect();
    assert_eq!(ids, ["aud_1", "aud_2"]);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM audit_unchained").await, 0);
}
