//! The laws of renewal.

use proptest::prelude::*;

use super::*;
use crate::domain::key::{Ceilings, KeySettings, KeyState, Mode, Scope};
use crate::domain::session::Grant;

const OPENED: i64 = 1_700_000_000_123;

fn key(max_lifetime_s: Option<u32>) -> Key {
    Key {
        tenant: "ten_a".into(),
        id: "key_a".into(),
        lookup: "yk_a".into(),
        mode: Mode::Live,
        label: "a".into(),
        state: KeyState::Active,
        allowed_origins: Vec::new(),
        idle_timeout_s: None,
        max_lifetime_s,
        ceilings: Ceilings::default(),
        settings: KeySettings::Embed { scope: Scope::Read },
        secrets: Vec::new(),
        created_at: 0,
    }
}

fn session(ttl_s: i64) -> Session {
    Session {
        tenant: "ten_a".into(),
        id: "ses_a".into(),
        key_id: "key_a".into(),
        key_generation: 1,
        token_id: "tok_0".into(),
        issued_at: OPENED,
        ttl_s,
        renewed_at: None,
        earlier: Vec::new(),
        expires_at: expiry_ms(OPENED, ttl_s),
        revoked_at: None,
        last_used_at: None,
        grant: Grant::Embed { employee: "e".into(), capabilities: vec![], chat: None },
    }
}

proptest! {
    /// However often and whenever a session is renewed, it ends within its longest lifetime, its
    /// id and opening stay, and every renewal gives a token of its own.
    #[test]
    fn renewal_never_exceeds_the_maximum(
        ttl_s in 60i64..3601,
        max_lifetime_s in proptest::option::of(60u32..43_201),
        pauses in proptest::collection::vec(0i64..3_600_000, 1..40),
    ) {
        let key = key(max_lifetime_s);
        let mut session = session(ttl_s.min(longest_s(&key)));
        let end = expiry_ms(OPENED, longest_s(&key));
        let mut now_ms = OPENED;
        for (count, pause) in pauses.into_iter().enumerate() {
            now_ms += pause;
            let token = format!("tok_{}", count + 1);
            match renew(&session, Some(&key), now_ms, token.clone()) {
                Ok(renewed) => {
                    prop_assert!(renewed.expires_at <= end && renewed.expires_at > now_ms);
                    let full = expiry_ms(now_ms, session.ttl_s);
                    prop_assert_eq!(renewed.expires_at, full.min(end));
                    prop_assert_eq!((&renewed.id, renewed.issued_at), (&session.id, OPENED));
                    prop_assert_eq!(&renewed.token_id, &token);
                    session = renewed;
                }
                Err(Error::SessionEnded("expired")) => {
                    prop_assert!(now_ms >= session.expires_at);
                    break;
                }
                Err(other) => prop_assert!(false, "{other:?}"),
            }
        }
    }

    /// A superseded token is accepted for thirty seconds after its renewal and not after, however
    /// many renewals follow, as long as there are not more than eight.
    #[test]
    fn superseded_tokens_overlap_for_thirty_seconds(
        pauses in proptest::collection::vec(1i64..9_000, 1..8),
        later in 0i64..60_000,
    ) {
        let (mut session, mut now_ms, mut superseded) = (session(900), OPENED, Vec::new());
        for (count, pause) in pauses.into_iter().enumerate() {
            now_ms += pause;
            superseded.push((session.token_id.clone(), now_ms));
            let token = format!("tok_{}", count + 1);
            session = renew(&session, Some(&key(None)), now_ms, token).expect("it lives");
        }
        let asked_at = now_ms + later;
        for (token, at) in superseded {
            let is_accepted = session.overlap_of(&token, asked_at).is_some();
            prop_assert_eq!(is_accepted, asked_at < at + OVERLAP_MS, "{} of {}", token, at);
        }
        prop_assert!(session.overlap_of(&session.token_id, asked_at).is_none());
    }
}

#[test]
fn the_ninth_superseded_token_is_forgotten() {
    let mut renewed = session(900);
    for count in 1..=9 {
        renewed = renew(&renewed, Some(&key(None)), OPENED + count, format!("tok_{count}"))
            .expect("it lives");
    }
    assert!(renewed.overlap_of("tok_0", OPENED + 10).is_none());
    assert!(renewed.overlap_of("tok_1", OPENED + 10).is_some());
}

#[test]
fn a_key_whose_longest_lifetime_was_lowered_renews_nothing_beyond_it() {
    let opened = session(900);
    let exhausted = renew(&opened, Some(&key(Some(60))), OPENED + 61_000, "tok_1".into());
    assert!(matches!(exhausted, Err(Error::LifetimeExhausted)), "{exhausted:?}");
    let rest = renew(&opened, Some(&key(Some(60))), OPENED + 50_000, "tok_1".into());
    assert_eq!(rest.expect("ten seconds").expires_at, expiry_ms(OPENED, 60));
}

#[test]
fn what_is_over_or_ending_is_not_renewed() {
    let opened = session(900);
    let ended =
        |session: &Session, key: Option<&Key>, at| match renew(session, key, at, "tok_1".into()) {
            Err(Error::SessionEnded(state)) => state,
            other => panic!("{other:?}"),
        };
    let alive = key(None);
    assert_eq!(ended(&opened, Some(&alive), opened.expires_at), "expired");
    for state in [KeyState::Paused, KeyState::Revoked] {
        let disabled = Key { state, ..key(None) };
        let refused = renew(&opened, Some(&disabled), OPENED, "tok_1".into());
        assert!(matches!(refused, Err(Error::KeyDisabled)), "{refused:?}");
        assert_eq!(ended(&opened, Some(&disabled), opened.expires_at), "expired");
    }
    let gone = renew(&opened, None, OPENED, "tok_1".into());
    assert!(matches!(gone, Err(Error::KeyDisabled)), "{gone:?}");
    let ending = Session { revoked_at: Some(OPENED + 5_000), ..opened };
    assert_eq!(ended(&ending, Some(&alive), OPENED), "revoked");
}
