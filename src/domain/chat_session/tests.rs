//! The laws of the widget's door.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::domain::key::{Ceilings, Mode};

const NOW: i64 = 1_700_000_000_250;
const ORIGIN: &str = "https://shop.acme.com";

fn key(allow_no_origin: bool) -> Key {
    Key {
        tenant: "ten_a".into(),
        id: "key_a".into(),
        lookup: "pk_live_a".into(),
        mode: Mode::Live,
        label: "Shop".into(),
        state: KeyState::Active,
        allowed_origins: vec![ORIGIN.into(), "https://*.acme.example".into()],
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings: KeySettings::Chat {
            allowed_intents: None,
            allow_no_origin,
            identity: Identity::Optional,
        },
        secrets: Vec::new(),
        created_at: 0,
    }
}

fn ids() -> FreshIds {
    FreshIds { session: "ses_a".into(), token: "tok_a".into() }
}

fn nothing_wrong(_: &Value) -> Vec<Violation> {
    Vec::new()
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().cloned().expect("an object")
}

fn conversation(customer: Option<&str>, verified: bool) -> Conversation {
    Conversation {
        tenant: "ten_a".into(),
        id: "old".into(),
        customer_id: customer.map(String::from),
        verified,
        locale: Some("de".into()),
        variables: object(json!({"a": 1, "b": [1, 2]})),
        opened_at: 5,
    }
}

fn customer(id: Option<&str>, verified: bool) -> Customer {
    Customer { id: id.map(String::from), verified }
}

#[test]
fn a_key_that_does_not_work_disables_the_widget_whatever_the_origin() {
    assert!(matches!(admit(None, Some(ORIGIN)), Err(Error::WidgetDisabled)));
    for state in [KeyState::Paused, KeyState::Revoked] {
        let key = Key { state, ..key(true) };
        assert!(matches!(admit(Some(&key), Some("https://evil.com")), Err(Error::WidgetDisabled)));
    }
    let other = Key { settings: KeySettings::Iframe { max_redemptions: 1 }, ..key(true) };
    assert!(matches!(admit(Some(&other), Some(ORIGIN)), Err(Error::WidgetDisabled)));
}

#[test]
fn only_listed_origins_are_let_in() {
    let (strict, lenient) = (key(false), key(true));
    for origin in [ORIGIN, "https://shop.acme.com:443", "https://a.b.acme.example"] {
        assert_eq!(admit(Some(&strict), Some(origin)).expect("listed").origin, Some(origin));
    }
    for sent in ["https://evil.com", "http://shop.acme.com", "https://acme.example", "null", ""] {
        let refused = admit(Some(&lenient), Some(sent));
        let Err(Error::OriginNotAllowed { origin }) = refused else { panic!("{refused:?}") };
        assert_eq!(origin.as_deref(), Some(sent));
    }
    let refused = admit(Some(&strict), None);
    assert!(matches!(refused, Err(Error::OriginNotAllowed { origin: None })));
    assert!(admit(Some(&lenient), None).is_ok(), "a native app");
}

#[test]
fn a_customer_token_is_checked_only_where_the_key_asks() {
    let unused = || -> Result<SecretString> { panic!("no token needs checking") };
    let plain = customer(Some("c1"), false);
    let off = identify(Identity::Off, Some("c1"), Some("junk"), unused, NOW).expect("ignored");
    assert_eq!(off, plain);
    let claimed = identify(Identity::Optional, Some("c1"), None, unused, NOW).expect("a claim");
    assert_eq!(claimed, plain);
    for identity in [Identity::Off, Identity::Optional, Identity::Required] {
        let nobody = identify(identity, None, None, unused, NOW).expect("anonymous");
        assert_eq!(nobody, Customer::default());
    }
    let missing = identify(Identity::Required, Some("c1"), None, unused, NOW);
    assert!(matches!(missing, Err(Error::InvalidCustomerToken(_))));
    let secret = || Ok(SecretString::from("cis_0123456789abcdef"));
    let bad = identify(Identity::Optional, Some("c1"), Some("junk"), secret, NOW);
    assert!(matches!(bad, Err(Error::InvalidCustomerToken(_))));
    let lone = identify(Identity::Optional, None, Some("junk"), secret, NOW);
    let Err(Error::Rules(violations)) = lone else { panic!("{lone:?}") };
    assert_eq!(violations, [Violation::body("/customerId", "required")]);
}

#[test]
fn a_proved_customer_continues_a_proved_conversation_and_nobody_else_does() {
    let continued = |customer: &Customer, latest: Conversation, tenant: &str| {
        let opening = Opening::default();
        converse(tenant, customer, Some(latest), "new".into(), opening, NOW, nothing_wrong)
            .expect("nothing is wrong")
            .id
    };
    let proved = customer(Some("c1"), true);
    assert_eq!(continued(&proved, conversation(Some("c1"), true), "ten_a"), "old");
    assert_eq!(continued(&proved, conversation(Some("c1"), false), "ten_a"), "new");
    assert_eq!(continued(&proved, conversation(Some("c2"), true), "ten_a"), "new");
    assert_eq!(continued(&proved, conversation(Some("c1"), true), "ten_b"), "new");
    let claimed = customer(Some("c1"), false);
    assert_eq!(continued(&claimed, conversation(Some("c1"), true), "ten_a"), "new");
    // No proved conversation lacks an id, but were there one, an anonymous visitor must not get it.
    assert_eq!(continued(&Customer::default(), conversation(None, true), "ten_a"), "new");
}

#[test]
fn a_continued_conversation_keeps_what_the_page_does_not_say() {
    let proved = customer(Some("c1"), true);
    let opening = Opening { locale: None, variables: object(json!({"a": null, "c": "x"})) };
    let latest = Some(conversation(Some("c1"), true));
    let kept = converse("ten_a", &proved, latest, "new".into(), opening, NOW, nothing_wrong)
        .expect("nothing is wrong");
    assert_eq!((kept.locale.as_deref(), kept.opened_at), (Some("de"), 5));
    assert_eq!(kept.variables, object(json!({"a": null, "b": [1, 2], "c": "x"})));
    let opening = Opening { locale: Some("en".into()), ..Opening::default() };
    let fresh = converse("ten_a", &proved, None, "new".into(), opening, NOW, nothing_wrong)
        .expect("nothing is wrong");
    assert_eq!(
        (fresh.id.as_str(), fresh.locale.as_deref(), fresh.opened_at),
        ("new", Some("en"), NOW)
    );
    assert!(fresh.verified && fresh.variables.is_empty());
}

#[test]
fn merged_variables_must_keep_the_limits_of_a_request() {
    let at_most_two = |value: &Value| match value.as_object() {
        Some(object) if object.len() > 2 => vec![Violation::body("", "maxProperties").limit(2)],
        _ => vec![Violation::body("/a", "maxLength")],
    };
    let refused = merge(&object(json!({"a": 1, "b": 2})), object(json!({"c": 3})), at_most_two);
    let Err(Error::Rules(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations, [Violation::body("/variables", "maxProperties").limit(2)]);
    let refused = merge(&Map::new(), object(json!({"a": "long"})), at_most_two);
    let Err(Error::Rules(violations)) = refused else { panic!("{refused:?}") };
    assert_eq!(violations[0].pointer, "/variables/a");
}

#[test]
fn a_session_lives_an_hour_and_its_claims_say_so() {
    let key = key(false);
    let admitted = admit(Some(&key), Some(ORIGIN)).expect("let in");
    let intents = vec!["refund".into()];
    let session = open(admitted, 1, &conversation(None, false), intents, NOW, ids());
    assert_eq!(session.remaining_s(NOW), 3600);
    let claims = claims(&session).expect("a chat session");
    assert_eq!((claims.cid.as_str(), claims.sid.as_str()), ("old", "ses_a"));
    assert_eq!(claims.exp - claims.iat, 3600);
    let grant = Grant::Embed { employee: "e".into(), capabilities: vec![], chat: None };
    assert_eq!(super::claims(&Session { grant, ..session }), None);
}

#[test]
fn a_key_is_asked_again_for_origin_and_intents() {
    let key = key(false);
    let names = |all: &[&str]| all.iter().map(ToString::to_string).collect::<Vec<_>>();
    let ask = |key: &Key, origin, offered: &[&str]| {
        reconsider(key, origin, &names(&["a", "b"]), &names(offered))
    };
    assert!(ask(&key, Some(ORIGIN), &["c", "b", "a"]).is_ok());
    let gone = ask(&key, Some(ORIGIN), &["b"]);
    assert!(matches!(gone, Err(Error::IntentNotAllowed { missing }) if missing == ["a"]));
    let elsewhere = ask(&key, Some("https://evil.example"), &["a", "b"]);
    assert!(matches!(elsewhere, Err(Error::OriginNotAllowed { .. })));
    assert!(matches!(ask(&key, None, &["a", "b"]), Err(Error::OriginNotAllowed { .. })));
    let paused = Key { state: KeyState::Paused, ..key };
    assert!(matches!(ask(&paused, Some(ORIGIN), &["a", "b"]), Err(Error::KeyDisabled)));
}

fn variables() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::btree_map("[a-d]", 0i64..4, 0..4)
        .prop_map(|map| map.into_iter().map(|(name, value)| (name, value.into())).collect())
}

proptest! {
    /// After a merge every incoming value stands, and every other value is what it was.
    #[test]
    fn merging_replaces_per_key(existing in variables(), incoming in variables()) {
        let merged = merge(&existing, incoming.clone(), nothing_wrong).expect("nothing is wrong");
        for name in ["a", "b", "c", "d"] {
            prop_assert_eq!(merged.get(name), incoming.get(name).or(existing.get(name)));
        }
        let again = merge(&merged, incoming, nothing_wrong).expect("nothing is wrong");
        prop_assert_eq!(again, merged);
    }
}
