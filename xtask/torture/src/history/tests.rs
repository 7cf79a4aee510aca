//! Tests of the checker: a good history has no fault, and each way of being bad has its own.

use super::*;

fn opened(subject: &str, guard: Guard, heard: Heard<&str>) -> Event {
    let heard = match heard {
        Heard::Acknowledged(sid) => Heard::Acknowledged(sid.to_owned()),
        Heard::Refused => Heard::Refused,
        Heard::Unknown => Heard::Unknown,
    };
    Event::Opened { subject: subject.into(), guard, heard }
}

fn renewed(sid: &str, heard: Heard<i64>) -> Event {
    Event::Renewed { sid: sid.into(), heard }
}

fn ended(sid: &str, heard: Heard<()>) -> Event {
    Event::Ended { sid: sid.into(), heard }
}

fn used(sid: &str, heard: Heard<()>) -> Event {
    Event::Used { sid: sid.into(), heard }
}

fn counted(uid: &str, heard: Heard<()>) -> Event {
    Event::Counted { uid: uid.into(), heard }
}

const YES: Heard<()> = Heard::Acknowledged(());

fn there(sid: &str, subject: &str) -> SeenSession {
    let (sid, subject) = (sid.into(), subject.into());
    SeenSession { sid, subject, expires_at: 900, is_revoked: false }
}

fn seen(sessions: Vec<SeenSession>) -> Seen {
    Seen { sessions, used: BTreeMap::new() }
}

#[test]
fn what_is_as_it_was_told_is_no_fault() {
    let events = [
        opened("a", Guard::Signature, Heard::Acknowledged("s1")),
        opened("a", Guard::Signature, Heard::Refused),
        opened("b", Guard::Key, Heard::Unknown),
        opened("b", Guard::Key, Heard::Acknowledged("s2")),
        opened("c", Guard::Nothing, Heard::Unknown),
        opened("d", Guard::Nothing, Heard::Unknown),
        used("s1", YES),
        renewed("s1", Heard::Acknowledged(900)),
        ended("s2", Heard::Unknown),
        ended("s1", YES),
        used("s1", Heard::Refused),
        renewed("s1", Heard::Refused),
        counted("u", YES),
        counted("u", Heard::Unknown),
        counted("u", Heard::Refused),
    ];
    let s1 = SeenSession { is_revoked: true, ..there("s1", "a") };
    for (used, is_revoked) in [(1, true), (2, false)] {
        let s2 = SeenSession { is_revoked, ..there("s2", "b") };
        let sessions = vec![s1.clone(), s2, there("s3", "c")];
        let seen = Seen { sessions, used: BTreeMap::from([("u".into(), used)]) };
        assert_eq!(check(&events, &seen), []);
    }
}

#[test]
fn a_lost_session_is_found_whatever_guards_it() {
    for guard in [Guard::Signature, Guard::Key, Guard::Nothing] {
        let events = [opened("a", guard, Heard::Acknowledged("s1"))];
        assert_eq!(check(&events, &seen(vec![])), [Fault::LostSession("s1".into())]);
        // Another one in its place does not make it good.
        let faults = check(&events, &seen(vec![there("s2", "a")]));
        assert!(faults.contains(&Fault::LostSession("s1".into())), "{faults:?}");
    }
}

#[test]
fn a_request_without_an_answer_may_have_failed_and_may_not_count_twice() {
    for guard in [Guard::Signature, Guard::Key, Guard::Nothing] {
        let events = [opened("a", guard, Heard::Unknown)];
        assert_eq!(check(&events, &seen(vec![])), []);
        assert_eq!(check(&events, &seen(vec![there("s1", "a")])), []);
        let both = seen(vec![there("s1", "a"), there("s2", "a")]);
        assert_eq!(check(&events, &both), [Fault::Duplicate("a".into())]);
    }
}

#[test]
fn a_signature_is_acknowledged_once_and_a_key_names_one_session() {
    let twice = |guard, second| {
        let events = [
            opened("a", guard, Heard::Acknowledged("s1")),
            opened("a", guard, Heard::Acknowledged(second)),
        ];
        check(&events, &seen(vec![there("s1", "a")]))
    };
    assert_eq!(twice(Guard::Signature, "s1"), [Fault::Duplicate("a".into())]);
    assert_eq!(twice(Guard::Key, "s1"), []);
    let faults = twice(Guard::Key, "s2");
    assert!(faults.contains(&Fault::Duplicate("a".into())), "{faults:?}");
}

#[test]
fn a_session_that_nobody_asked_for_or_that_was_refused_is_found() {
    let stray = seen(vec![there("s1", "a")]);
    assert_eq!(check(&[], &stray), [Fault::Unasked("s1".into())]);
    let events = [opened("a", Guard::Key, Heard::Refused)];
    assert_eq!(check(&events, &stray), [Fault::Unasked("s1".into())]);
}

#[test]
fn what_was_revoked_stays_revoked() {
    let open = opened("a", Guard::Key, Heard::Acknowledged("s1"));
    let revived = [Fault::Revived("s1".into())];
    let events = [open.clone(), ended("s1", YES)];
    assert_eq!(check(&events, &seen(vec![there("s1", "a")])), revived);
    let over = seen(vec![SeenSession { is_revoked: true, ..there("s1", "a") }]);
    assert_eq!(check(&events, &over), []);
    for alive in [used("s1", YES), renewed("s1", Heard::Acknowledged(900))] {
        let events = [open.clone(), ended("s1", YES), alive];
        assert_eq!(check(&events, &over), revived);
    }
}

#[test]
fn what_nobody_revoked_is_not() {
    let open = opened("a", Guard::Key, Heard::Acknowledged("s1"));
    let over = seen(vec![SeenSession { is_revoked: true, ..there("s1", "a") }]);
    assert_eq!(check(std::slice::from_ref(&open), &over), [Fault::Ended("s1".into())]);
    let events = [open.clone(), used("s1", Heard::Refused)];
    assert_eq!(check(&events, &seen(vec![there("s1", "a")])), [Fault::Ended("s1".into())]);
    let events = [open, ended("s1", Heard::Refused)];
    assert_eq!(check(&events, &over), [Fault::Ended("s1".into())]);
}

#[test]
fn a_renewal_lasts() {
    let open = opened("a", Guard::Key, Heard::Acknowledged("s1"));
    let there = seen(vec![there("s1", "a")]);
    let events = [open.clone(), renewed("s1", Heard::Acknowledged(901))];
    assert_eq!(check(&events, &there), [Fault::LostRenewal("s1".into())]);
    let events = [open, renewed("s1", Heard::Unknown)];
    assert_eq!(check(&events, &there), []);
}

#[test]
fn a_count_lies_between_what_was_acknowledged_and_what_was_sent() {
    let events = [counted("u", YES), counted("u", YES), counted("u", Heard::Unknown)];
    let of = |used| Seen { sessions: vec![], used: BTreeMap::from([("u".into(), used)]) };
    assert_eq!(check(&events, &of(1)), [Fault::LostCount("u".into())]);
    assert_eq!(check(&events, &of(2)), []);
    assert_eq!(check(&events, &of(3)), []);
    assert_eq!(check(&events, &of(4)), [Fault::ExtraCount("u".into())]);
    assert_eq!(check(&events, &Seen::default()), [Fault::LostCount("u".into())]);
}
