//! The laws of a session's life.

use proptest::prelude::*;

use super::*;

const START: i64 = 1_700_000_000_123;

fn session(now_ms: i64, ttl_s: i64) -> Session {
    let grant = Grant::Chat {
        conversation: "c".into(),
        origin: None,
        customer: Some("m".into()),
        intents: vec![],
    };
    Session {
        tenant: "ten_a".into(),
        id: "ses_a".into(),
        key_id: "key_a".into(),
        key_generation: 1,
        token_id: "tok_a".into(),
        issued_at: now_ms,
        ttl_s,
        renewed_at: None,
        earlier: Vec::new(),
        expires_at: expiry_ms(now_ms, ttl_s),
        revoked_at: None,
        last_used_at: None,
        grant,
    }
}

fn terms(state: KeyState, idle_timeout_s: Option<u32>) -> Option<Terms> {
    Some(Terms { state, idle_timeout_s })
}

proptest! {
    /// A new session has its whole lifetime left and never outlives it.
    #[test]
    fn a_new_session_has_its_whole_lifetime_left(now_ms in 0i64..1 << 42, ttl_s in 1i64..3601) {
        let session = session(now_ms, ttl_s);
        prop_assert_eq!(session.remaining_s(now_ms), ttl_s);
        prop_assert!(session.expires_at - now_ms <= ttl_s * 1000);
        prop_assert_eq!(session.expires_at % 1000, 0);
    }

    /// A session is live exactly while seconds remain.
    #[test]
    fn a_session_is_live_while_seconds_remain(later in 0i64..2_000_000) {
        let session = session(START, 900);
        let now_ms = session.issued_at + later;
        let live = session.require_live(terms(KeyState::Active, None), now_ms);
        prop_assert_eq!(live.is_ok(), session.remaining_s(now_ms) > 0);
    }

    /// What may be used is live, and what is live may be used once its key works.
    #[test]
    fn a_live_session_is_one_that_a_working_key_could_use(
        later in 0i64..2_000_000,
        revoked in proptest::option::of(0i64..2_000_000),
        idle in proptest::option::of(60u32..1_200),
    ) {
        let mut session = session(START, 900);
        let now_ms = START + later;
        session.revoked_at = revoked.map(|after| START + after);
        let usable = session.require_live(terms(KeyState::Active, idle), now_ms).is_ok();
        for key in [KeyState::Active, KeyState::Paused] {
            let state = session.times().state(terms(key, idle), now_ms);
            prop_assert_eq!(state == State::Live, usable);
        }
        for key in [terms(KeyState::Revoked, idle), None] {
            prop_assert_ne!(session.times().state(key, now_ms), State::Live);
        }
    }

    /// What the store takes for over for want of use is what the state says is over.
    #[test]
    fn a_last_sign_is_too_old_exactly_when_the_session_has_expired(
        idle in 60u32..3_600,
        used in 0i64..10_000_000,
        later in 0i64..10_000_000,
        near in -2i64..3,
    ) {
        let mut session = session(START, 1 << 30);
        let sign = START + used;
        session.last_used_at = Some(sign);
        for now_ms in [sign + later, sign + i64::from(idle) * 1_250 + READ_LATE_MS + near] {
            let state = session.times().state(terms(KeyState::Active, Some(idle)), now_ms);
            prop_assert_eq!(sign <= idle_until(idle, now_ms), state == State::Expired);
        }
    }

    /// A session that is used at least once in each time-out lives on, even where each use is
    /// written seconds late; one that is not used any more ends within the documented bound.
    #[test]
    fn a_session_in_use_does_not_end_for_want_of_use(
        idle in 60u32..3_600,
        parts in proptest::collection::vec((0.0f64..1.0, 0i64..READ_LATE_MS), 1..30),
    ) {
        let mut session = session(START, 1 << 30);
        let key = terms(KeyState::Active, Some(idle));
        let idle_ms = i64::from(idle) * 1000;
        // What another instance has read: a use reaches it late.
        let (mut read, mut now_ms) = (session.times(), START);
        for (part, late_ms) in parts {
            let used_at = now_ms + (part * idle_ms as f64) as i64;
            prop_assert_eq!(read.state(key, used_at), State::Live, "before a use is heard of");
            if session.times().use_is_due(key, used_at) {
                session.last_used_at = Some(used_at);
            }
            now_ms = used_at;
            let heard_at = (used_at + late_ms).min(used_at + idle_ms);
            prop_assert_eq!(read.state(key, heard_at), State::Live, "until it is heard of");
            read = session.times();
        }
        prop_assert_eq!(read.state(key, now_ms + idle_ms - 1), State::Live);
        let bound_ms = idle_ms + idle_ms / 4 + 10_000;
        prop_assert_eq!(read.state(key, now_ms + bound_ms), State::Expired);
    }
}

#[test]
fn a_revoked_session_or_key_is_a_revoked_token() {
    let mut session = session(START, 900);
    for key in [None, terms(KeyState::Paused, None), terms(KeyState::Revoked, None)] {
        assert!(matches!(session.require_live(key, START), Err(Error::TokenRevoked)));
    }
    session.revoked_at = Some(START);
    let revoked = session.require_live(terms(KeyState::Active, None), START);
    assert!(matches!(revoked, Err(Error::TokenRevoked)));
}

#[test]
fn an_end_that_is_set_comes_when_it_is_set() {
    let mut session = session(START, 900);
    session.revoked_at = Some(START + 5_000);
    let key = terms(KeyState::Active, None);
    assert!(session.require_live(key, START + 4_999).is_ok());
    assert!(matches!(session.require_live(key, START + 5_000), Err(Error::TokenRevoked)));
    assert_eq!(session.times().state(key, START + 5_000), State::Revoked);
}

#[test]
fn an_unused_session_is_an_expired_token_and_a_use_puts_that_off() {
    let mut session = session(START, 12 * 3600);
    let key = terms(KeyState::Active, Some(60));
    assert!(session.require_live(key, START + 79_999).is_ok());
    let over = session.require_live(key, START + 80_000);
    assert!(matches!(over, Err(Error::TokenExpired { skew_ms: 0, .. })), "{over:?}");
    assert!(!session.times().use_is_due(key, START + 14_999));
    assert!(session.times().use_is_due(key, START + 15_000));
    assert!(!session.times().use_is_due(terms(KeyState::Active, None), START + 15_000));
    session.last_used_at = Some(START + 15_000);
    assert!(session.require_live(key, START + 94_999).is_ok());
    session.renewed_at = Some(START + 90_000);
    assert!(session.require_live(key, START + 169_999).is_ok(), "renewing is a use");
}

#[test]
fn a_session_is_for_whom_its_grant_says() {
    let chat = session(START, 900).overview();
    assert_eq!(chat.subject, Some(Subject::Customer("m".into())));
    assert_eq!(chat.chat.as_deref(), Some("c"));
    let embed = Grant::Embed { employee: "e".into(), capabilities: vec![], chat: None };
    assert_eq!((embed.subject(), embed.chat()), (Some(Subject::Employee("e".into())), None));
}
