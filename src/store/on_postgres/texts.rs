//! Texts that PostgreSQL orders or holds otherwise than SQLite.

use super::tests::{audit, furnished, tenant};
use crate::domain::key::Mode;
use crate::error::Error;
use crate::store::{AuditFilter, Message};

/// A path may hold U+0000, which no text of PostgreSQL can.
#[tokio::test]
async fn a_text_that_cannot_be_held_finds_nothing_and_is_refused_as_the_callers_fault() {
    let (_place, store) = furnished().await;
    let filter = AuditFilter { actor: Some("cl\0i".into()), ..AuditFilter::default() };
    assert!(store.audit_page(&filter, None, 9).await.expect("reads").entries.is_empty());
    let used = store.usage("ten_a", Mode::Live, "a\0b").await.expect("reads");
    assert_eq!(used.last_message_at, None);
    let (tenant, uid, id) = ("ten_a".into(), "a\0b".into(), "msg_1".into());
    let message = Message { tenant, mode: Mode::Live, uid, id, at: 1_700_000_000_000 };
    let entries = [audit("ten_a"), audit("ten_a"), audit("ten_a"), audit("ten_a")];
    let refused = store.accept_message(message, entries, None).await;
    assert!(matches!(refused, Err(Error::Rules(_))), "{refused:?}");
}

/// The order of the database itself, that of a language, has these the other way round.
#[tokio::test]
async fn ids_are_ordered_by_their_bytes() {
    let (_place, store) = furnished().await;
    for id in ["ten_b", "ten_B", "ten_-c"] {
        store.create_tenant(tenant(id), audit(id), None).await.expect("tenant");
    }
    let listed = store.list_tenants(None, 9).await.expect("lists");
    let ids: Vec<_> = listed.iter().map(|it| it.id.as_str()).collect();
    assert_eq!(ids, ["ten_-c", "ten_B", "ten_a", "ten_b"]);
}
