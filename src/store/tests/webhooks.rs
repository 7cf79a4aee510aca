//! What is queued for endpoints, and who is given it.

use super::*;
use crate::domain::webhook::{EventType, Webhook, WebhookSecret};
use crate::store::ClaimRequest;

fn endpoint(events: &[EventType]) -> Webhook {
    let secret = WebhookSecret { generation: 1, secret: Sealed(vec![9; 60]), not_after: None };
    Webhook {
        tenant: "ten_a".into(),
        id: "whk_1".into(),
        url: "https://hooks.example/".into(),
        events: events.to_vec(),
        description: String::new(),
        disabled: None,
        secrets: vec![secret],
        created_at: NOW,
    }
}

fn claim() -> ClaimRequest {
    ClaimRequest {
        now: NOW + 10_000_000,
        until: NOW + 10_060_000,
        lease: "lea_1".into(),
        per_endpoint: 100,
        room: 100,
        after: Default::default(),
    }
}

/// Opens a session as its act is called.
async fn open(store: &Store, id: &str) -> Result<Session> {
    let audit = AuditEntry { action: "session.open".into(), target: id.into(), ..audit("ten_a") };
    let until = NOW + 360_000;
    store.open_embed_session(embed_session(id), id.as_bytes(), until, audit, None).await
}

#[tokio::test]
async fn a_batch_of_sessions_is_told_one_by_one_at_both_ends() {
    let (_place, store) = furnished().await;
    let events = [EventType::SessionCreated, EventType::SessionExpired];
    store.create_webhook(endpoint(&events), audit("ten_a"), None).await.expect("makes");
    let opened = (0..70).map(|n| {
        let store = store.clone();
        async move { open(&store, &format!("ses_{n}")).await }
    });
    assert!(futures::future::join_all(opened).await.iter().all(Result::is_ok));
    store.revoke_session("ten_a", "ses_7", NOW, audit("ten_a")).await.expect("revokes");
    assert!(!store.tell_expired_sessions(NOW + 900_000).await.expect("tells"));
    assert!(!store.tell_expired_sessions(NOW + 900_000).await.expect("tells"));
    let mut told = std::collections::HashMap::new();
    loop {
        let claimed = store.claim_deliveries(claim()).await.expect("claims").deliveries;
        if claimed.is_empty() {
            break;
        }
        for delivery in &claimed {
            let body: serde_json::Value = serde_json::from_str(&delivery.body).expect("JSON");
            assert_eq!(body["data"]["keyId"], "key_embed", "{body}");
            let session = body["data"]["sessionId"].as_str().expect("an id").to_owned();
            *told.entry((delivery.event.name(), session)).or_insert(0) += 1;
        }
        let sent = "UPDATE webhook_deliveries SET status = 'delivered', lease = NULL, \
                    finished_at = 1 WHERE lease IS NOT NULL";
        run(&store, sent, vec![]).await.expect("sends");
    }
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    let of = |event: EventType| told.keys().filter(|(it, _)| *it == event.name()).count();
    assert_eq!((of(EventType::SessionCreated), of(EventType::SessionExpired)), (70, 69));
    assert!(!told.contains_key(&(EventType::SessionExpired.name(), "ses_7".to_owned())));
}

#[tokio::test]
async fn an_endpoint_that_cannot_be_read_is_an_error_and_not_an_empty_queue() {
    let (_place, store) = furnished().await;
    let created = [EventType::SessionCreated];
    store.create_webhook(endpoint(&created), audit("ten_a"), None).await.expect("makes");
    open(&store, "ses_1").await.expect("opens");
    let spoil = "UPDATE webhooks SET events = 'no JSON'";
    run(&store, spoil, vec![]).await.expect("spoils");
    let claimed = store.claim_deliveries(claim()).await;
    assert!(is_internal(&claimed), "{claimed:?}");
    let gone = "UPDATE webhooks SET state = 'deleted'";
    run(&store, gone, vec![]).await.expect("deletes");
    assert!(store.claim_deliveries(claim()).await.expect("claims").deliveries.is_empty());
}
