//! Two instances on one database: what ends or renews a session on one holds on the other within a
//! second, and a session in use on one does not end for want of use on the other.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::callers::text;
use crate::durability::{Signed, is_replay};
use crate::keyring::set_key;
use crate::lifecycle::Backend;
use crate::requests::{get, now_ms};
use crate::service::Service;

/// The status of a read with a token of the embed surface.
pub async fn reads(service: &Service, token: &str) -> u16 {
    get(&service.url("/v1/embed/session"), token).await.status.as_u16()
}

/// What the documents promise of every instance but the one that was asked. Every instance caches for
/// so long and counts from before it read, so the bound holds on a machine of any speed for requests
/// that *begin* later: when they are answered is not looked at.
pub const ELSEWHERE: Duration = Duration::from_secs(1);

/// Asks with a token until it is refused. Fails when a request was let in that began more than
/// `bound` after `done`; else how long after it the last one began that was.
pub async fn last_let_in(
    service: &Service,
    token: &str,
    done: Instant,
    bound: Duration,
) -> Duration {
    let mut last = Duration::ZERO;
    loop {
        let began = done.elapsed();
        if reads(service, token).await != 200 {
            return last;
        }
        assert!(began <= bound, "let in {began:?} after the end");
        last = began;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_at_once_here_and_within_a_second_elsewhere() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let backend = Backend::demo(&here);
    let mut latencies = Vec::new();
    for _ in 0..10 {
        let opened = backend.open("embed").await;
        // Both know it from now on, so that there is something to forget.
        let known = tokio::join!(reads(&here, &opened.token), reads(&there, &opened.token));
        assert_eq!(known, (200, 200));
        assert_eq!(backend.end(&opened.sid).await.status, 204);
        let done = Instant::now();
        assert_eq!(reads(&here, &opened.token).await, 401, "the next request is refused");
        latencies.push(last_let_in(&there, &opened.token, done, ELSEWHERE).await);
    }
    latencies.sort_unstable();
    println!("revocation elsewhere, the last let in, median {:?}: {latencies:?}", latencies[5]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_key_stops_its_sessions_at_once_here_and_within_a_second_elsewhere() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let backend = Backend::demo(&here);
    let opened = backend.open("embed").await;
    let known = tokio::join!(reads(&here, &opened.token), reads(&there, &opened.token));
    assert_eq!(known, (200, 200));
    let key = text(&backend.read(&opened.sid).await, "/key_id");
    assert_eq!(set_key(&here, &key, "pause").await.status, 200);
    let done = Instant::now();
    assert_eq!(reads(&here, &opened.token).await, 401, "the next request is refused");
    println!("pause: {:?}", last_let_in(&there, &opened.token, done, ELSEWHERE).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_here_is_known_there_within_a_second() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let backend = Backend::demo(&here);
    let opened = backend.open("embed").await;
    assert_eq!(reads(&there, &opened.token).await, 200);
    let renewed = text(&backend.renew(&opened.sid).await, "/token");
    let done = Instant::now();
    assert_eq!(reads(&here, &renewed).await, 200);
    loop {
        let began = done.elapsed();
        if reads(&there, &renewed).await == 200 {
            break;
        }
        assert!(began <= ELSEWHERE, "not known {began:?} after the renewal");
        assert_eq!(reads(&there, &opened.token).await, 200, "the old one bridges the gap");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_use_on_one_instance_does_not_end_on_the_other() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let (backend, _) = Backend::with_keys(&here, json!({ "idleTimeoutSeconds": 60 })).await;
    let opened = backend.open("embed").await;
    let start = here.context.clock.now_ms();
    let at = |offset_s: i64| {
        for service in [&here, &there] {
            service.context.clock.hold_at_ms(start + offset_s * 1000);
        }
    };
    for offset in [50, 100, 150, 200] {
        at(offset);
        assert_eq!(reads(&here, &opened.token).await, 200);
        here.context.store.write_uses().await.expect("written");
    }
    // Longer than the time-out after the last use that the other instance made itself: never.
    at(240);
    assert_eq!(reads(&there, &opened.token).await, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_copies_at_two_instances_one_opens_a_session_also_after_a_restart() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let copy = Signed::new(&here.demo.demo, 0, now_ms());
    let http = reqwest::Client::new();
    let copies = async |services: &[&Service], count: usize| {
        let one = |at: usize| copy.send(&http, &services[at % services.len()].base_url);
        let answers = futures::future::join_all((0..count).map(one)).await;
        let opened = answers.iter().filter(|it| it.status == 201).count();
        (opened, answers.iter().filter(|it| is_replay(it)).count())
    };
    assert_eq!(copies(&[&here, &there], 200).await, (1, 199));
    // The one that is started anew knows nothing but what is written.
    drop(here);
    let again = Service::beside(&there);
    assert_eq!(copies(&[&there, &again], 20).await, (0, 20));
}
