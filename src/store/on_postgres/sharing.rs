//! What several instances do to one database: who waits for whom, and who cleans up.

use sqlx::PgConnection;

use super::super::locks::{Locks, Reach, work_key};
use super::super::postgres::begin_text;
use super::super::{AuditFilter, Bounds};
use super::tests::{audit, count, furnished, open_embed, run, tenant};
use super::*;
use crate::error::Error;

/// Another instance in the middle of something.
async fn hold(place: &Place, key: i64) -> PgConnection {
    let mut conn = connect(&place.url()).await;
    let hold = format!("BEGIN; SELECT pg_advisory_xact_lock({key})");
    sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut conn).await.expect("holds");
    conn
}

async fn let_go(mut conn: PgConnection) {
    sqlx::raw_sql("COMMIT").execute(&mut conn).await.expect("lets go");
    conn.close().await.expect("closes");
}

fn key_of(tenant: &str) -> i64 {
    let mut locks = Locks::default();
    locks.add(Reach::tenant(tenant));
    locks.keys().next().expect("a key")
}

#[tokio::test]
async fn writes_of_a_tenant_wait_for_each_other_and_not_for_another_tenants() {
    let (place, store) = furnished().await;
    let other = place.open().await.expect("another instance");
    for id in ["ten_b", "ten_c"] {
        store.create_tenant(tenant(id), audit(id), None).await.expect("tenant");
    }
    let held = hold(&place, key_of("ten_b")).await;
    open_embed(&store, "ses_1", "mac_1").await.expect("another tenant's");
    let put = |tenant: &'static str| other.put_source(tenant, "1", audit(tenant));
    put("ten_c").await.expect("another tenant's");
    let refused = put("ten_b").await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
    let_go(held).await;
    put("ten_b").await.expect("nobody is in the way");
}

#[tokio::test]
async fn clean_up_is_one_instances_work_and_the_others_pass_on() {
    let (place, store) = furnished().await;
    let other = place.open().await.expect("another instance");
    let now = 1_700_000_000_000;
    for n in 0..20 {
        open_embed(&store, &format!("ses_{n}"), &format!("mac_{n}")).await.expect("opens");
    }
    let (late, sessions) = (now + 1_000_000_000, "SELECT COUNT(*) FROM sessions");
    let held = hold(&place, work_key("purge")).await;
    for store in [&store, &other] {
        let purged = store.purge(late, late).await.expect("passes on");
        assert_eq!((purged.sessions, purged.replays), (0, 0));
    }
    assert_eq!(count(&store, sessions).await, 20);
    let_go(held).await;
    let (one, two) = tokio::join!(store.purge(late, late), other.purge(late, late));
    let (one, two) = (one.expect("purges"), two.expect("purges"));
    assert_eq!((one.sessions + two.sessions, one.replays + two.replays), (20, 20));
    assert_eq!(count(&store, sessions).await, 0);
}

#[tokio::test]
async fn upkeep_of_the_queue_is_one_instances_work() {
    let (place, store) = furnished().await;
    let sql = "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, event, body, \
               status, tries, attempts, next_at, created_at, finished_at) SELECT 'ten_a', \
               'msg_' || n, 'whk', 'session.created', '{}', 'failed', 1, 1, 1, 1, 1 \
               FROM generate_series(1, 30) AS n";
    run(&store, sql, Vec::new()).await.expect("fills");
    let other = place.open().await.expect("another instance");
    let (bounds, left) =
        (Bounds { keep_ms: 1, most: 10 }, "SELECT COUNT(*) FROM webhook_deliveries");
    let held = hold(&place, work_key("delivery upkeep")).await;
    assert!(!store.purge_deliveries(1, bounds).await.expect("passes on"));
    assert_eq!(count(&store, left).await, 30);
    let_go(held).await;
    // Both have seen twenty too many: only as many as that may go.
    let (one, two) =
        tokio::join!(store.purge_deliveries(1, bounds), other.purge_deliveries(1, bounds));
    assert!(!one.expect("purges") && !two.expect("purges"));
    assert_eq!(count(&store, left).await, 10);
}

/// Positions are drawn before they are committed.
#[tokio::test]
async fn whoever_follows_the_audit_misses_no_entry_that_commits_late() {
    let (place, store) = furnished().await;
    store.create_tenant(tenant("ten_b"), audit("ten_b"), None).await.expect("tenant");
    let mut late = connect(&place.url()).await;
    let mut locks = Locks::default();
    locks.add(Reach::tenant("ten_b"));
    let write = format!(
        "{}; INSERT INTO audit (tenant_id, sequence, audit_id, happened_at, actor, action, target, \
         detail, previous, hash) SELECT tenant_id, 99, 'aud_late', happened_at, actor, action, \
         target, detail, previous, hash FROM audit WHERE tenant_id = 'ten_b'",
        begin_text(&locks)
    );
    sqlx::raw_sql(AssertSqlSafe(write)).execute(&mut late).await.expect("writes");
    let before = store.audit_position().await.expect("reads");
    assert_eq!(before, 5, "the furniture's");
    open_embed(&store, "ses_1", "mac_1").await.expect("commits first, behind it");
    let all = AuditFilter::default();
    let page = store.audit_since(&all, before, 9).await.expect("reads");
    assert_eq!((page.entries.len(), page.next), (0, Some(before)), "not yet");
    assert_eq!(store.audit_page(&all, None, 1).await.expect("reads").entries[0].position, 7);
    let_go(late).await;
    let page = store.audit_since(&all, before, 9).await.expect("reads");
    let seen: Vec<_> = page.entries.iter().map(|found| found.position).collect();
    assert_eq!((seen, page.next), (vec![6, 7], Some(7)));
}

#[tokio::test]
async fn a_server_that_may_lose_commits_is_refused_with_the_remedy() {
    let place = Place::new().await;
    administer(&[format!("ALTER DATABASE {} SET synchronous_commit = off", place.name)]).await;
    let refused = place.open().await.map(drop).expect_err("it may lose commits").to_string();
    assert!(refused.contains("ALTER DATABASE"), "{refused}");
    assert!(!refused.contains('\n'), "one line: {refused}");
    administer(&[format!("ALTER DATABASE {} SET synchronous_commit = local", place.name)]).await;
    place.open().await.expect("durable on its own disk");
}
