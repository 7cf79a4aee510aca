//! Counting messages: exact under concurrency and over instances, refunds, windows and the audit.

use super::*;
use crate::domain::limits::Limits;
use crate::domain::usage::{Usage, Window};
use crate::error::Thing;
use crate::store::{Message, UsageFilter};

const HOUR_MS: i64 = 3_600_000;

/// Sets the limits of a user as the creation of a link does.
async fn limit(store: &Store, uid: &str, limits: LimitsChange) {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    let id = format!("ses_{uid}_{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    open_iframe(store, &id, uid, limits).await;
}

fn of_hour(hourly: i64) -> Limits {
    Limits { hourly: Some(hourly), ..Limits::default() }
}

async fn send(store: &Store, uid: &str, id: &str, at: i64) -> Result<Usage> {
    let message =
        Message { tenant: "ten_a".into(), mode: Mode::Live, uid: uid.into(), id: id.into(), at };
    let entry = || AuditEntry { action: "limit.exceed".into(), ..audit("ten_a") };
    store.accept_message(message, [entry(), entry(), entry(), entry()], None).await
}

async fn used(store: &Store, uid: &str, now: i64) -> [i64; 4] {
    store
        .usage("ten_a", Mode::Live, uid)
        .await
        .expect("read")
        .windows(now)
        .map(|window| window.used)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_senders_over_two_instances_pass_exactly_as_often_as_the_limit_says() {
    let (place, store) = furnished().await;
    let other = place.open().await.expect("opens");
    limit(&store, "u", LimitsChange::Set(of_hour(100))).await;
    let senders: Vec<_> = (0..64)
        .map(|sender| {
            let store = if sender % 2 == 0 { store.clone() } else { other.clone() };
            tokio::spawn(async move {
                let (mut accepted, mut refunded) = (0i64, 0i64);
                for n in 0..4 {
                    let id = format!("msg_{sender}_{n}");
                    match send(&store, "u", &id, NOW).await {
                        Ok(_) => accepted += 1,
                        Err(Error::LimitExceeded { .. }) => continue,
                        Err(other) => panic!("{other}"),
                    }
                    if (sender + n) % 5 == 0 {
                        store
                            .refund_message("ten_a", Mode::Live, "u", &id, NOW)
                            .await
                            .expect("refunded");
                        refunded += 1;
                    }
                }
                (accepted, refunded)
            })
        })
        .collect();
    let (mut accepted, mut refunded) = (0, 0);
    for sender in senders {
        let (a, r) = sender.await.expect("no panic");
        (accepted, refunded) = (accepted + a, refunded + r);
    }
    let mut more = 0;
    while send(&other, "u", &format!("msg_more_{more}"), NOW).await.is_ok() {
        more += 1;
    }
    assert_eq!(accepted - refunded + more, 100, "accepted {accepted}, refunded {refunded}");
    assert_eq!(used(&store, "u", NOW).await[0], 100);
    assert!(refunded > 0 && more < 100, "the senders met the limit");
    assert_eq!(told(&store).await, 1, "once for the window, however many were refused");
}

#[tokio::test]
async fn a_message_counts_in_all_windows_or_in_none() {
    let (_place, store) = furnished().await;
    let limits = Limits { hourly: Some(2), daily: Some(3), weekly: None, monthly: Some(9) };
    limit(&store, "u", LimitsChange::Set(limits)).await;
    for n in 0..2 {
        send(&store, "u", &format!("a{n}"), NOW).await.expect("room");
    }
    assert_eq!(refusing(send(&store, "u", "a2", NOW).await), ["hourly"]);
    assert_eq!(used(&store, "u", NOW).await, [2, 2, 2, 2]);
    let later = NOW + HOUR_MS;
    send(&store, "u", "b0", later).await.expect("a new hour");
    assert_eq!(used(&store, "u", later).await, [1, 3, 3, 3]);
    assert_eq!(refusing(send(&store, "u", "b1", later).await), ["daily"]);
    limit(&store, "u", LimitsChange::Set(Limits { hourly: Some(1), ..limits })).await;
    assert_eq!(refusing(send(&store, "u", "b2", later).await), ["hourly", "daily"]);
    limit(&store, "u", LimitsChange::Keep).await;
    assert_eq!(refusing(send(&store, "u", "b3", later).await), ["hourly", "daily"]);
    limit(&store, "u", LimitsChange::Clear).await;
    send(&store, "u", "b4", later).await.expect("no limits");
    assert_eq!(told(&store).await, 3, "the first hour, the day, the second hour");
}

#[tokio::test]
async fn a_limit_of_nothing_lets_nothing_pass() {
    let (_place, store) = furnished().await;
    limit(&store, "u", LimitsChange::Set(of_hour(0))).await;
    for n in 0..3 {
        assert_eq!(refusing(send(&store, "u", &format!("m{n}"), NOW).await), ["hourly"]);
    }
    assert_eq!(used(&store, "u", NOW).await, [0; 4]);
    assert_eq!(count(&store, "SELECT COUNT(*) FROM uid_messages").await, 0);
    assert_eq!(told(&store).await, 1);
    assert_eq!(refusing(send(&store, "u", "next", NOW + HOUR_MS).await), ["hourly"]);
    assert_eq!(told(&store).await, 2, "once for each window");
}

#[tokio::test]
async fn a_refund_gives_room_back_once_and_only_to_its_user() {
    let (_place, store) = furnished().await;
    limit(&store, "u", LimitsChange::Set(of_hour(1))).await;
    send(&store, "u", "m", NOW).await.expect("room");
    let not_found = |result: Result<()>| matches!(result, Err(Error::NotFound(Thing::Message)));
    assert!(not_found(store.refund_message("ten_a", Mode::Live, "v", "m", NOW).await));
    assert!(not_found(store.refund_message("ten_b", Mode::Live, "u", "m", NOW).await));
    assert!(not_found(store.refund_message("ten_a", Mode::Live, "u", "other", NOW).await));
    assert_eq!(used(&store, "u", NOW).await, [1; 4]);
    for _ in 0..3 {
        store.refund_message("ten_a", Mode::Live, "u", "m", NOW).await.expect("known");
        assert_eq!(used(&store, "u", NOW).await, [0; 4]);
    }
    send(&store, "u", "n", NOW).await.expect("room again");
    assert_eq!(refusing(send(&store, "u", "o", NOW).await), ["hourly"]);
}

#[tokio::test]
async fn a_refund_reaches_only_windows_that_have_not_ended() {
    let (_place, store) = furnished().await;
    let later = NOW + HOUR_MS;
    send(&store, "u", "m", NOW).await.expect("room");
    send(&store, "u", "n", later).await.expect("room");
    store.refund_message("ten_a", Mode::Live, "u", "m", later).await.expect("known");
    assert_eq!(used(&store, "u", later).await, [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_clock_behind_neither_opens_a_window_again_nor_loses_a_refund() {
    let (_place, store) = furnished().await;
    limit(&store, "u", LimitsChange::Set(of_hour(2))).await;
    let (ahead, behind) = (Window::Hourly.bounds(NOW).1, NOW);
    send(&store, "u", "a", ahead).await.expect("room");
    send(&store, "u", "b", behind).await.expect("room");
    assert_eq!(refusing(send(&store, "u", "c", behind).await), ["hourly"]);
    assert_eq!(refusing(send(&store, "u", "d", ahead).await), ["hourly"]);
    store.refund_message("ten_a", Mode::Live, "u", "b", behind).await.expect("known");
    assert_eq!(used(&store, "u", ahead).await[0], 1);
    send(&store, "u", "e", ahead).await.expect("room again");
}

#[tokio::test]
async fn usage_is_listed_by_uid_and_filtered() {
    let (_place, store) = furnished().await;
    let later = NOW + HOUR_MS;
    for uid in ["a", "b", "c"] {
        limit(&store, uid, LimitsChange::Set(of_hour(1))).await;
    }
    send(&store, "b", "m", NOW).await.expect("room");
    send(&store, "c", "n", later).await.expect("room");
    let list = async |filter, after, limit, now| {
        let found =
            store.list_usage("ten_a", Mode::Live, filter, after, limit, now).await.expect("listed");
        found.into_iter().map(|usage| usage.uid).collect::<Vec<_>>().concat()
    };
    let all = UsageFilter::default();
    assert_eq!(list(all, None, 9, later).await, "abc");
    assert_eq!(list(all, None, 2, later).await, "ab");
    assert_eq!(list(all, Some("a"), 9, later).await, "bc");
    let full = UsageFilter { exceeded: true, ..all };
    assert_eq!(list(full, None, 9, NOW).await, "bc", "an hour ahead counts");
    assert_eq!(list(full, None, 9, later).await, "c", "the hour of b has ended");
    let active = UsageFilter { active_since: Some(later), ..all };
    assert_eq!(list(active, None, 9, later).await, "c");
    assert!(
        store
            .list_usage("ten_b", Mode::Live, all, None, 9, later)
            .await
            .expect("listed")
            .is_empty()
    );
}

#[tokio::test]
async fn messages_are_forgotten_when_all_their_windows_have_ended() {
    let (_place, store) = furnished().await;
    send(&store, "u", "m", NOW).await.expect("room");
    let month = Window::Monthly.bounds(NOW).1;
    let ends = month.max(Window::Weekly.bounds(NOW).1);
    for (now, left) in [(ends - 1, 1), (ends, 0)] {
        store.purge(now, NOW).await.expect("purged");
        assert_eq!(count(&store, "SELECT COUNT(*) FROM uid_messages").await, left, "{now}");
    }
    let gone = store.refund_message("ten_a", Mode::Live, "u", "m", ends).await;
    assert!(matches!(gone, Err(Error::NotFound(Thing::Message))));
}
