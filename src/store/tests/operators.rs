//! What operators do: tenants, keys, what the doors show, clean-up.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::domain::catalogue::{Flow, QuickQuestion};
use crate::domain::key::{KeyKind, KeyUse, NotedUse};
use crate::domain::key_update::KeyChange;
use crate::domain::theme::ThemeSettings;
use crate::error::Thing;
use crate::store::DirectoryKind;

async fn state(store: &Store) -> (KeyState, KeyState) {
    let by_lookup = store.key_by_lookup("lookup_key_embed").await.expect("reads");
    let by_id = store.key("ten_a", "key_embed").await.expect("reads");
    (by_lookup.expect("there").state, by_id.expect("there").state)
}

#[tokio::test]
async fn keys_are_read_back_with_their_settings_and_secrets() {
    let (_place, store) = furnished().await;
    for key in [embed_key("key_embed"), chat_key("key_chat"), iframe_key("key_iframe")] {
        let read = store.key_by_lookup(&key.lookup).await.expect("reads").expect("there");
        assert_eq!(format!("{read:?}"), format!("{key:?}"));
        let same: Vec<_> = read.secrets.iter().map(|it| it.kept.clone()).collect();
        assert_eq!(same, key.secrets.iter().map(|it| it.kept.clone()).collect::<Vec<_>>());
        assert!(store.key("ten_b", &key.id).await.expect("reads").is_none());
        assert!(store.key_by_id(&key.id).await.expect("reads").is_some());
    }
    // A miss is not remembered.
    assert!(store.key_by_lookup("lookup_key_new").await.expect("reads").is_none());
    store.create_key(embed_key("key_new"), audit("ten_a"), None).await.expect("key");
    assert!(store.key_by_lookup("lookup_key_new").await.expect("reads").is_some());
}

#[tokio::test]
async fn a_key_needs_a_living_tenant_and_a_lookup_of_its_own() {
    let (_place, store) = furnished().await;
    let orphan = Key { tenant: "ten_b".into(), ..embed_key("key_b") };
    let refused = store.create_key(orphan, audit("ten_b"), None).await;
    assert!(matches!(refused, Err(Error::NotFound(Thing::Tenant))), "{refused:?}");
    let double = Key { lookup: "lookup_key_chat".into(), ..embed_key("key_double") };
    assert!(is_internal(&store.create_key(double, audit("ten_a"), None).await));
    assert!(store.key_by_id("key_double").await.expect("reads").is_none());
}

#[tokio::test]
async fn a_changed_state_is_seen_at_once() {
    let (_place, store) = furnished().await;
    let set = |state| store.set_key_state("ten_a", "key_embed", state, audit("ten_a"));
    for to in [KeyState::Active, KeyState::Paused, KeyState::Active, KeyState::Revoked] {
        assert_eq!(set(to).await.expect("changes").state, to);
        assert_eq!(state(&store).await, (to, to));
    }
    let resumed = set(KeyState::Active).await;
    assert!(matches!(resumed, Err(Error::NotFound(Thing::Key))), "{resumed:?}");
    assert_eq!(set(KeyState::Revoked).await.expect("again").state, KeyState::Revoked);
    let unknown = store.set_key_state("ten_b", "key_embed", KeyState::Revoked, audit("ten_b"));
    assert!(matches!(unknown.await, Err(Error::NotFound(Thing::Key))));
}

#[tokio::test]
async fn a_revoked_tenant_revokes_its_keys_at_once() {
    let (_place, store) = furnished().await;
    assert_eq!(state(&store).await, (KeyState::Active, KeyState::Active));
    assert_eq!(store.tenant("ten_a").await.expect("reads").expect("there").revoked_at, None);
    store.revoke_tenant("ten_a", NOW, audit("ten_a")).await.expect("revokes");
    store.revoke_tenant("ten_a", NOW + 1, audit("ten_a")).await.expect("again");
    assert_eq!(state(&store).await, (KeyState::Revoked, KeyState::Revoked));
    assert_eq!(store.tenant("ten_a").await.expect("reads").expect("there").revoked_at, Some(NOW));
    assert!(store.enabled_origins(KeyKind::Chat).await.expect("reads").is_empty());
    let unknown = store.revoke_tenant("ten_b", NOW, audit("ten_b")).await;
    assert!(matches!(unknown, Err(Error::NotFound(Thing::Tenant))), "{unknown:?}");
}

#[tokio::test]
async fn a_revoked_session_is_seen_at_once_and_elsewhere_within_a_second() {
    let (place, store) = furnished().await;
    let elsewhere = place.open().await.expect("opens");
    open_embed(&store, "ses_1", "mac").await.expect("opens");
    for store in [&store, &elsewhere] {
        let read = store.session("ten_a", "ses_1").await.expect("reads").expect("there");
        assert_eq!(read.revoked_at, None);
    }
    let revoke = |now| store.revoke_session("ten_a", "ses_1", now, audit("ten_a"));
    assert!(revoke(NOW).await.expect("revokes"));
    assert!(!revoke(NOW + 1).await.expect("again"));
    let revoked_at = |store: Store| async move {
        store.session("ten_a", "ses_1").await.expect("reads").expect("there").revoked_at
    };
    assert_eq!(revoked_at(store.clone()).await, Some(NOW));
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(revoked_at(elsewhere).await, Some(NOW));
}

#[tokio::test]
async fn what_becomes_of_a_key_is_seen_elsewhere_within_a_second() {
    let (place, store) = furnished().await;
    let elsewhere = place.open().await.expect("a second instance");
    let seen = async || {
        let key = elsewhere.key_by_lookup("lookup_key_chat").await.expect("reads").expect("there");
        (key.state, key.label.clone())
    };
    assert_eq!(seen().await, (KeyState::Active, "Embed".to_owned()));
    let paused = store.set_key_state("ten_a", "key_chat", KeyState::Paused, audit("ten_a"));
    paused.await.expect("pauses");
    let change = KeyChange { label: Some("Renamed".into()), ..KeyChange::default() };
    store.update_key("ten_a", "key_chat", change, audit("ten_a")).await.expect("changes");
    tokio::time::sleep(Duration::from_millis(1050)).await;
    assert_eq!(seen().await, (KeyState::Paused, "Renamed".to_owned()));
}

#[tokio::test]
async fn uses_go_forward_and_what_is_noted_of_a_lost_key_is_dropped() {
    let (_place, store) = furnished().await;
    let noted = |key: &str, at| NotedUse {
        tenant: "ten_a".into(),
        key: key.into(),
        at,
        origins: vec![("https://a.example".into(), at)],
    };
    for at in [NOW + 5, NOW] {
        let all = vec![noted("key_chat", at), noted("key_lost", at)];
        store.note_key_uses(all).await.expect("writes");
    }
    let keys = store.list_keys(None, None, None, 10).await.expect("reads");
    let uses = store.key_uses(&keys).await.expect("reads");
    assert_eq!(uses.len(), 1, "{uses:?}");
    let origins = vec!["https://a.example".to_owned()];
    assert_eq!(uses["key_chat"], KeyUse { last_used_at: Some(NOW + 5), origins });
}

#[tokio::test]
async fn lists_are_paged_by_id_and_filtered() {
    let (_place, store) = furnished().await;
    store.create_tenant(tenant("ten_b"), audit("ten_b"), None).await.expect("tenant");
    let other = Key { tenant: "ten_b".into(), ..chat_key("key_b") };
    store.create_key(other, audit("ten_b"), None).await.expect("key");
    let ids = |keys: Vec<Key>| keys.into_iter().map(|key| key.id).collect::<Vec<_>>();
    let first = ids(store.list_keys(None, None, None, 2).await.expect("lists"));
    assert_eq!(first, ["key_b", "key_chat"]);
    let rest = ids(store.list_keys(None, None, Some("key_chat"), 9).await.expect("lists"));
    assert_eq!(rest, ["key_embed", "key_iframe"]);
    let of_a = store.list_keys(Some("ten_a"), Some(KeyKind::Chat), None, 9).await;
    assert_eq!(ids(of_a.expect("lists")), ["key_chat"]);
    let secrets = store.list_keys(None, Some(KeyKind::Embed), None, 1).await.expect("lists");
    assert_eq!(secrets[0].secrets.len(), 2);
    let tenants = store.list_tenants(Some("ten_a"), 9).await.expect("lists");
    assert_eq!(tenants.iter().map(|it| it.id.as_str()).collect::<Vec<_>>(), ["ten_b"]);
}

#[tokio::test]
async fn putting_again_replaces() {
    let (_place, store) = furnished().await;
    let mut key = embed_key("key_embed");
    key.lookup = "lookup_moved".into();
    key.secrets.truncate(1);
    store.put_key(key, audit("ten_a")).await.expect("puts");
    assert!(store.key_by_lookup("lookup_key_embed").await.expect("reads").is_none());
    let read = store.key_by_lookup("lookup_moved").await.expect("reads").expect("there");
    assert_eq!(read.secrets.len(), 1);
    let renamed = Tenant { name: "B".into(), directory: Directory::Strict, ..tenant("ten_a") };
    store.put_tenant(renamed, audit("ten_a")).await.expect("puts");
    let read = store.tenant("ten_a").await.expect("reads").expect("there");
    assert_eq!((read.name.as_str(), read.directory), ("B", Directory::Strict));
}

#[tokio::test]
async fn enabled_origins_are_those_of_active_chat_keys() {
    let (_place, store) = furnished().await;
    let origins = vec!["https://b.example".into(), "https://a.example".into()];
    let key = Key { allowed_origins: origins, ..chat_key("key_second") };
    store.create_key(key, audit("ten_a"), None).await.expect("key");
    let read = store.enabled_origins(KeyKind::Chat).await.expect("reads");
    assert_eq!(*read, ["https://a.example", "https://b.example"]);
    let paused = store.set_key_state("ten_a", "key_second", KeyState::Paused, audit("ten_a"));
    paused.await.expect("pauses");
    assert_eq!(*store.enabled_origins(KeyKind::Chat).await.expect("reads"), ["https://a.example"]);
}

#[tokio::test]
async fn what_the_doors_show_is_put_and_read_per_tenant() {
    let (_place, store) = furnished().await;
    let intent = |name: &str| {
        serde_json::from_value(json!({"name": name, "displayLabel": name})).expect("an intent")
    };
    let flow = |published, name: &str| Flow {
        id: "f-1".into(),
        name: "Refund".into(),
        published,
        intent: intent(name),
    };
    let question = |text: &str| QuickQuestion {
        question: text.into(),
        page_type: "cart".into(),
        flow_id: Some("f-1".into()),
    };
    assert!(store.catalogue("ten_a").await.expect("reads").flows.is_empty());
    for flow in [flow(true, "refund"), flow(false, "money_back")] {
        store.put_flow("ten_a", &flow, audit("ten_a")).await.expect("puts");
    }
    for (id, rank, text) in [("q-1", 2, "two"), ("q-2", 1, "one")] {
        let question = question(text);
        let put = store.put_quick_question("ten_a", id, rank, &question, audit("ten_a"));
        put.await.expect("puts");
    }
    let read = store.catalogue("ten_a").await.expect("reads");
    assert_eq!(read.flows, [flow(false, "money_back")]);
    assert_eq!(read.questions, [question("one"), question("two")]);
    assert!(store.catalogue("ten_b").await.expect("reads").questions.is_empty());
    store.put_source("ten_a", "7", audit("ten_a")).await.expect("puts");
    store.put_source("ten_a", "7", audit("ten_a")).await.expect("again");
    assert_eq!(store.sources("ten_a").await.expect("reads"), Arc::new(vec!["7".to_owned()]));
    let employee = DirectoryKind::Employee;
    store.put_directory("ten_a", employee, "e-1", audit("ten_a")).await.expect("puts");
    assert!(store.directory_has("ten_a", employee, "e-1").await.expect("reads"));
    assert!(!store.directory_has("ten_a", DirectoryKind::Chat, "e-1").await.expect("reads"));
    assert!(!store.directory_has("ten_b", employee, "e-1").await.expect("reads"));
}

#[tokio::test]
async fn a_new_default_theme_demotes_the_old_one() {
    let (_place, store) = furnished().await;
    let theme =
        |text: &str| ThemeSettings { start_message: Some(text.into()), ..ThemeSettings::default() };
    assert_eq!(store.default_theme("ten_a").await.expect("reads"), None);
    for (id, text) in [(1, "one"), (2, "two")] {
        store.put_theme("ten_a", id, true, &theme(text), audit("ten_a")).await.expect("puts");
        let default = store.default_theme("ten_a").await.expect("reads");
        assert_eq!(default, Some(Arc::new(theme(text))));
    }
    assert_eq!(store.theme("ten_a", 1).await.expect("reads"), Some(Arc::new(theme("one"))));
    assert_eq!(store.theme("ten_b", 1).await.expect("reads"), None);
}

#[tokio::test]
async fn the_audit_cannot_be_changed() {
    let (_place, store) = furnished().await;
    let before = count(&store, "SELECT COUNT(*) FROM audit").await;
    assert!(is_internal(&run(&store, "DELETE FROM audit", vec![]).await));
    assert!(is_internal(&run(&store, "UPDATE audit SET actor = 'nobody'", vec![]).await));
    assert_eq!(count(&store, "SELECT COUNT(*) FROM audit").await, before);
}

#[tokio::test]
async fn clean_up_goes_in_slices_and_spares_the_living() {
    let (_place, store) = furnished().await;
    let opened = (0..1200).map(|n| {
        let store = store.clone();
        async move {
            let mut session = embed_session(&format!("ses_{n}"));
            session.expires_at = NOW + i64::from(n >= 1100);
            let mac = format!("mac_{n}");
            let until = NOW + i64::from(n >= 1100);
            store.open_embed_session(session, mac.as_bytes(), until, audit("ten_a"), None).await
        }
    });
    assert!(futures::future::join_all(opened).await.iter().all(Result::is_ok));
    let mut slices = Vec::new();
    loop {
        let purged = store.purge(NOW + 1, NOW + 1).await.expect("purges");
        slices.push((purged.replays, purged.sessions));
        if !purged.is_partial() {
            break;
        }
    }
    assert_eq!(slices, [(1000, 1000), (100, 100)]);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 100);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM replays").await, 100);
}
