//! Two instances on one database: what ends or renews a session on one holds on the other within a
//! second, and a session in use on one does not end for want of use on the other.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::keyring::set_key;
use crate::lifecycle::{Backend, at};
use crate::requests::get;
use crate::service::Service;

async fn reads(service: &Service, token: &str) -> u16 {
    get(&service.url("/v1/embed/session"), token).await.status.as_u16()
}

/// How long a token is still accepted from now on.
async fn until_refused(service: &Service, token: &str) -> Duration {
    let start = Instant::now();
    while reads(service, token).await == 200 {
        assert!(start.elapsed() < Duration::from_secs(30), "the token stays valid");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revocation_holds_at_once_here_and_within_a_second_elsewhere() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let backend = Backend::demo(&here);
    let mut latencies = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let opened = backend.open("embed").await;
        assert_eq!(
            (reads(&here, &opened.token).await, reads(&there, &opened.token).await),
            (200, 200)
        );
        assert_eq!(backend.end(&opened.sid).await.status, 204);
        // Both at once: neither waits for the other's answer.
        let both =
            tokio::join!(until_refused(&here, &opened.token), until_refused(&there, &opened.token));
        assert_eq!(reads(&here, &opened.token).await, 401);
        latencies.0.push(both.0);
        latencies.1.push(both.1);
    }
    println!("revocation, refused after: here {:?}, there {:?}", latencies.0, latencies.1);
    let paused = backend.open("embed").await;
    assert_eq!(reads(&there, &paused.token).await, 200);
    let key = backend.read(&paused.sid).await.body["key_id"].as_str().expect("an id").to_owned();
    assert_eq!(set_key(&here, &key, "pause").await.status, 200);
    assert_eq!(reads(&here, &paused.token).await, 401);
    println!("pause, refused there after {:?}", until_refused(&there, &paused.token).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_here_is_known_there_within_a_second() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let backend = Backend::demo(&here);
    let opened = backend.open("embed").await;
    assert_eq!(reads(&there, &opened.token).await, 200);
    let renewed =
        backend.renew(&opened.sid).await.body["token"].as_str().expect("a token").to_owned();
    assert_eq!(reads(&here, &renewed).await, 200);
    let start = Instant::now();
    while reads(&there, &renewed).await != 200 {
        assert!(start.elapsed() < Duration::from_secs(30), "the new token is not known there");
        assert_eq!(reads(&there, &opened.token).await, 200, "the old one bridges the gap");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    println!("renewal, known there after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_in_use_on_one_instance_does_not_end_on_the_other() {
    let here = Service::start(|_| {});
    let there = Service::beside(&here);
    let (backend, _) = Backend::with_keys(&here, json!({ "idleTimeoutSeconds": 60 })).await;
    let opened = backend.open("embed").await;
    for offset in [50, 100, 150, 200] {
        for service in [&here, &there] {
            at(service, offset);
        }
        assert_eq!(reads(&here, &opened.token).await, 200);
        here.context.store.write_uses().await.expect("written");
    }
    // Longer than the time-out after the last use that the other instance made itself: never.
    for service in [&here, &there] {
        at(service, 240);
    }
    assert_eq!(reads(&there, &opened.token).await, 200);
}
