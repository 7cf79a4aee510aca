//! Ceilings of keys: exact over batches, instances and surfaces, and free where there is none.

use super::*;
use crate::domain::ceiling::{Act, Ceiling};

const DAY_MS: i64 = 86_400_000;

fn act(ceilings: Ceilings) -> Act {
    let exceeded = [(); 2].map(|()| AuditEntry { action: "limit.exceed".into(), ..audit("ten_a") });
    Act {
        audit: audit("ten_a"),
        ceiling: Some(Box::new(Ceiling { ceilings, idle_timeout_s: None, exceeded })),
    }
}

fn a_day(sessions: u32) -> Ceilings {
    Ceilings { sessions_per_day: Some(sessions), ..Ceilings::default() }
}

fn alive(sessions: u32) -> Ceilings {
    Ceilings { live_sessions: Some(sessions), ..Ceilings::default() }
}

/// Opens a link at `at` that lives for 15 minutes.
async fn open(store: &Store, id: &str, at: i64, ceilings: Ceilings) -> Result<Session> {
    let session = iframe_session(id, "u");
    let session = Session { issued_at: at, expires_at: at + 900_000, ..session };
    let keep = LimitsChange::Keep;
    store
        .open_iframe_session(session, id.as_bytes(), 3, keep.of(Mode::Live), act(ceilings), None)
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_openers_over_two_instances_open_exactly_as_many_as_the_ceilings_allow() {
    let (place, store) = furnished().await;
    let other = place.open().await.expect("opens");
    for (name, ceilings) in [("day", a_day(50)), ("live", alive(90))] {
        let openers: Vec<_> = (0..64)
            .map(|opener| {
                let store = if opener % 2 == 0 { store.clone() } else { other.clone() };
                tokio::spawn(async move {
                    let mut opened = 0;
                    for n in 0..3 {
                        let id = format!("ses_{name}_{opener}_{n}");
                        opened += i64::from(open(&store, &id, NOW, ceilings).await.is_ok());
                    }
                    opened
                })
            })
            .collect();
        for opener in openers {
            opener.await.expect("no panic");
        }
    }
    // The day's ceiling let 50 pass. All of them are alive when the other one comes.
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions").await, 90);
    assert_eq!(told(&store).await, 2, "each ceiling once, however many were refused");
}

#[tokio::test]
async fn a_day_ends_and_begins_with_nothing() {
    let (_place, store) = furnished().await;
    for n in 0..2 {
        open(&store, &format!("a{n}"), NOW, a_day(2)).await.expect("room");
    }
    assert_eq!(refusing(open(&store, "a2", NOW, a_day(2)).await), ["sessionsPerDay"]);
    open(&store, "b0", NOW + DAY_MS, a_day(2)).await.expect("a new day");
    open(&store, "b1", NOW, a_day(2)).await.expect("a clock behind counts on");
    assert_eq!(refusing(open(&store, "b2", NOW, a_day(2)).await), ["sessionsPerDay"]);
    assert_eq!(told(&store).await, 2, "once for each day");
}

#[tokio::test]
async fn sessions_stop_counting_when_they_end() {
    let (_place, store) = furnished().await;
    for id in ["a", "b"] {
        open(&store, id, NOW, alive(2)).await.expect("room");
    }
    assert_eq!(refusing(open(&store, "c", NOW, alive(2)).await), ["liveSessions"]);
    store.revoke_session("ten_a", "a", NOW, audit("ten_a")).await.expect("revoked");
    open(&store, "d", NOW, alive(2)).await.expect("one was revoked");
    assert_eq!(refusing(open(&store, "e", NOW + 899_999, alive(2)).await), ["liveSessions"]);
    open(&store, "f", NOW + 900_000, alive(2)).await.expect("they have expired");
}

#[tokio::test]
async fn sessions_that_are_over_for_want_of_use_do_not_count() {
    let (_place, store) = furnished().await;
    let idle = Some(60);
    // A minute, a quarter of one and what a use takes to be heard of.
    let over = NOW + 80_000;
    let open = async |id: &str, at: i64| {
        let session =
            Session { issued_at: at, expires_at: at + 900_000, ..iframe_session(id, "u") };
        let act = Act {
            ceiling: act(alive(2))
                .ceiling
                .map(|it| Box::new(Ceiling { idle_timeout_s: idle, ..*it })),
            ..act(alive(2))
        };
        let keep = LimitsChange::Keep;
        store.open_iframe_session(session, id.as_bytes(), 3, keep.of(Mode::Live), act, None).await
    };
    let first = open("a", NOW).await.expect("room");
    open("b", NOW).await.expect("room");
    assert_eq!(refusing(open("c", over - 1).await), ["liveSessions"]);
    store.note_use(&first, NOW + 30_000);
    store.write_uses().await.expect("written");
    open("d", over).await.expect("only one was used");
    assert_eq!(refusing(open("e", over).await), ["liveSessions"]);
}

#[tokio::test]
async fn standings_tell_what_an_opening_would_find_and_change_nothing() {
    let (_place, store) = furnished().await;
    let mut key = (*store.key("ten_a", "key_iframe").await.expect("read").expect("a key")).clone();
    key.ceilings = Ceilings { sessions_per_day: Some(3), ..alive(2) };
    let told = async |at: i64| {
        let standings = store.standings(&key, at).await.expect("read");
        (standings.day.used, standings.live, standings.first_end)
    };
    assert_eq!(told(NOW).await, (0, 0, None));
    open_iframe(&store, "a", "u", LimitsChange::Keep).await;
    let end = Some(NOW + 900_000);
    assert_eq!(told(NOW).await, (0, 1, end), "of before the ceiling");
    open(&store, "b", NOW + 1, key.ceilings).await.expect("room");
    for _ in 0..3 {
        assert_eq!(told(NOW + 1).await, (1, 2, end));
    }
    assert_eq!(told(NOW + 900_000).await, (1, 1, Some(NOW + 900_001)));
    assert_eq!(told(NOW + DAY_MS).await, (0, 0, None), "a new day");
    assert_eq!(told(NOW - DAY_MS).await.0, 1, "a clock behind goes on");
    key.idle_timeout_s = Some(60);
    let standings = store.standings(&key, NOW + 80_000).await.expect("read");
    assert_eq!(standings.live, 1, "the other one is over for want of use");
}

#[tokio::test]
async fn sessions_from_before_the_ceiling_count() {
    let (_place, store) = furnished().await;
    for id in ["a", "b"] {
        open(&store, id, NOW, Ceilings::default()).await.expect("no ceiling");
    }
    assert_eq!(refusing(open(&store, "c", NOW, alive(2)).await), ["liveSessions"]);
    open(&store, "d", NOW, Ceilings::default()).await.expect("it is gone");
    let sql = "UPDATE keys SET ceilings = '{\"live_sessions\":3}' WHERE key_id = 'key_iframe'";
    run(&store, sql, Vec::new()).await.expect("it is there again");
    assert_eq!(refusing(open(&store, "e", NOW, alive(3)).await), ["liveSessions"]);
}

#[tokio::test]
async fn what_lives_is_marked_again_only_when_the_ceilings_change() {
    let (_place, store) = furnished().await;
    open(&store, "a", NOW, alive(2)).await.expect("room");
    let known = "SELECT live_known FROM key_usage";
    for (sql, expected) in [
        ("UPDATE keys SET ceilings = ceilings, idle_timeout_s = 60", 1),
        ("UPDATE keys SET ceilings = '{\"live_sessions\":3}'", 0),
    ] {
        run(&store, sql, Vec::new()).await.expect(sql);
        assert_eq!(count(&store, known).await, expected, "{sql}");
    }
}

#[tokio::test]
async fn a_refused_signature_may_be_sent_again_and_a_replayed_one_takes_no_room() {
    let (_place, store) = furnished().await;
    let open = async |id: &str, mac: &str, ceiling| {
        let (session, until) = (embed_session(id), NOW + 360_000);
        store.open_embed_session(session, mac.as_bytes(), until, act(a_day(ceiling)), None).await
    };
    open("a", "mac_a", 1).await.expect("room");
    assert!(matches!(open("b", "mac_a", 1).await, Err(Error::SignatureReplayed)));
    assert_eq!(refusing(open("c", "mac_c", 1).await), ["sessionsPerDay"]);
    open("d", "mac_c", 2).await.expect("nothing was done with it");
    assert_eq!(count(&store, "SELECT daily_used FROM key_usage").await, 2);
}

#[tokio::test]
async fn an_opening_refused_for_its_conversation_takes_no_room() {
    let (_place, store) = furnished().await;
    let open = async |id: &str, check| {
        let (session, conversation) = (chat_session(id, id), conversation(id, "c-1", true));
        store.open_chat_session(session, conversation, check, act(a_day(2)), None).await
    };
    open("a", |_| vec![]).await.expect("room");
    let broken = open("b", |_| vec![vestibule_runtime::Violation::body("/a", "maxLength")]).await;
    assert!(matches!(broken, Err(Error::Rules(_))));
    open("c", |_| vec![]).await.expect("room");
    assert_eq!(count(&store, "SELECT daily_used FROM key_usage").await, 2);
}

#[tokio::test]
async fn keys_without_ceilings_cost_nothing() {
    let (_place, store) = furnished().await;
    open_embed(&store, "a", "mac").await.expect("opened");
    assert_eq!(count(&store, "SELECT COUNT(*) FROM key_usage").await, 0);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM sessions WHERE capped = 1").await, 0);
}
