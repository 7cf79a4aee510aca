//! The laws of the assistant's door.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::key::{Ceilings, KeyState, Mode, Scope};

const NOW: i64 = 1_700_000_000_999;

fn key(max_redemptions: u32) -> Key {
    Key {
        tenant: "ten_a".into(),
        id: "key_a".into(),
        lookup: "00".into(),
        mode: Mode::Live,
        label: "a".into(),
        state: KeyState::Active,
        allowed_origins: Vec::new(),
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings: KeySettings::Iframe { max_redemptions },
        secrets: Vec::new(),
        created_at: 0,
    }
}

fn request(sources: &[&str]) -> Request {
    Request {
        uid: "user-1".into(),
        sources: sources.iter().map(ToString::to_string).collect(),
        ttl_s: 900,
        context: Context {
            model: "gpt-5".into(),
            theme: None,
            fallback: Fallback::default(),
            knowledge_base_entries: vec!["an entry".into()],
            reference_queries: vec![ReferenceQuery { title: None, query: "select 1".into() }],
        },
    }
}

fn open_with(sources: &[&str], known: &[&str]) -> Result<Session> {
    let ids = FreshIds { session: "ses_a".into(), token: "tok_a".into() };
    let known = known.iter().map(ToString::to_string).collect();
    open(&key(10), 1, request(sources), &known, NOW, ids)
}

#[test]
fn a_session_lives_as_long_as_was_asked_and_keeps_its_context() {
    let session = open_with(&["1", "two", "1"], &["1", "two", "3"]).expect("known sources");
    assert_eq!(session.remaining_s(NOW), 900);
    let Grant::Iframe { uid, sources, context: stored } = &session.grant else {
        panic!("an iframe session");
    };
    assert_eq!(
        (uid.as_str(), sources.as_slice()),
        ("user-1", &["1".to_owned(), "two".to_owned()][..])
    );
    assert_eq!(context(stored).expect("ours"), request(&[]).context);
    assert!(matches!(context(&json!({"model": 1})), Err(Error::Internal(_))));
}

#[test]
fn another_kind_of_key_opens_nothing() {
    let other = Key { settings: KeySettings::Embed { scope: Scope::Read }, ..key(1) };
    let ids = FreshIds { session: "s".into(), token: "t".into() };
    let result = open(&other, 1, request(&[]), &BTreeSet::new(), NOW, ids);
    assert!(matches!(result, Err(Error::InvalidApiKey)));
}

#[test]
fn a_session_lives_no_longer_than_its_key_says() {
    let short = Key { max_lifetime_s: Some(60), ..key(1) };
    let ids = FreshIds { session: "s".into(), token: "t".into() };
    let session = open(&short, 1, request(&[]), &BTreeSet::new(), NOW, ids).expect("granted");
    assert_eq!((session.remaining_s(NOW), session.ttl_s), (60, 60));
}

#[test]
fn a_source_that_is_gone_is_told() {
    let known = BTreeSet::from(["1".to_owned()]);
    let gone = require_sources(&["1".into(), "2".into()], &known);
    assert!(matches!(gone, Err(Error::UnknownSource { unknown }) if unknown == ["2"]));
    assert!(require_sources(&["1".into()], &known).is_ok());
}

#[test]
fn claims_are_the_same_each_time() {
    let session = open_with(&["1"], &["1"]).expect("a known source");
    let claims = claims(&session, "vestibule").expect("an iframe session");
    assert_eq!(Some(&claims), super::claims(&session.clone(), "vestibule").as_ref());
    assert_eq!((claims.sub.as_str(), claims.exp - claims.iat), ("user-1", 900));
    let grant = Grant::Embed { employee: "e".into(), capabilities: vec![], chat: None };
    assert_eq!(super::claims(&Session { grant, ..session }, "vestibule"), None);
}

#[test]
fn a_cache_key_is_redeemed_while_its_session_lives_and_its_count_lasts() {
    let session = open_with(&["1"], &["1"]).expect("a known source");
    let redeem =
        |key: Option<&Key>, redeemed, now_ms| require_redeemable(&session, key, redeemed, now_ms);
    assert!(redeem(Some(&key(2)), 1, NOW).is_ok());
    assert!(matches!(redeem(Some(&key(2)), 2, NOW), Err(Error::CacheKeyUsed)));
    let end = session.expires_at;
    assert!(redeem(Some(&key(2)), 0, end - 1).is_ok());
    assert!(matches!(redeem(Some(&key(2)), 2, end), Err(Error::CacheKeyExpired)));
    for state in [KeyState::Paused, KeyState::Revoked] {
        let dead = Key { state, ..key(2) };
        assert!(matches!(redeem(Some(&dead), 0, NOW), Err(Error::CacheKeyExpired)));
    }
    assert!(matches!(redeem(None, 0, NOW), Err(Error::CacheKeyExpired)));
    let revoked = Session { revoked_at: Some(NOW), ..session.clone() };
    let result = require_redeemable(&revoked, Some(&key(2)), 0, NOW);
    assert!(matches!(result, Err(Error::CacheKeyExpired)));
}

#[test]
fn a_session_without_a_theme_follows_the_default_live_and_an_explicit_one_does_not() {
    let say = |message: &str| ThemeSettings {
        start_message: Some(message.into()),
        ..ThemeSettings::default()
    };
    let following = request(&[]).context;
    let shown = |context: &Context, default: Option<&ThemeSettings>| {
        context.theme_now(default).start_message
    };
    assert_eq!(shown(&following, Some(&say("today"))).as_deref(), Some("today"));
    assert_eq!(shown(&following, Some(&say("tomorrow"))).as_deref(), Some("tomorrow"));
    assert_eq!(shown(&following, None), None);
    let snapshot = Context { theme: Some(say("then")), ..request(&[]).context };
    assert_eq!(shown(&snapshot, Some(&say("tomorrow"))).as_deref(), Some("then"));
    let silent = Context { theme: Some(ThemeSettings::default()), ..request(&[]).context };
    assert_eq!(shown(&silent, Some(&say("tomorrow"))), None, "an empty theme is explicit");
}

#[test]
fn the_cache_key_stays_in_the_fragment() {
    let url = iframe_url("http://127.0.0.1:8080/", "ses_a", "ck_b");
    assert_eq!(url, "http://127.0.0.1:8080/iframe/ses_a#key=ck_b");
}

proptest! {
    /// A session opens exactly when every source is the tenant's; otherwise each foreign one is
    /// named once, in the order asked.
    #[test]
    fn every_source_must_be_the_tenants(
        asked in proptest::collection::vec("[a-e]", 1..8),
        known in proptest::collection::vec("[a-e]", 0..5),
    ) {
        let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        let mut foreign: Vec<&str> = Vec::new();
        for id in asked.iter().filter(|id| !known.contains(id)) {
            if !foreign.contains(id) {
                foreign.push(id);
            }
        }
        match open_with(&asked, &known) {
            Ok(_) => prop_assert!(foreign.is_empty()),
            Err(Error::UnknownSource { unknown }) => prop_assert_eq!(unknown, foreign),
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
