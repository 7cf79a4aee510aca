//! A tenant's session-signing key: a new generation beside the old one, without a spurious 401.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{admin, text};
use crate::keyring::{demo_tenant, make_tenant, open_demo, revoke_tenant};
use crate::requests::{Answer, get, open_chat, open_iframe, post, send};
use crate::service::Service;
use crate::webhook_receiver::until;

async fn rotate(service: &Service, tenant: &str, overlap_s: u32) -> Answer {
    let path = format!("/tenants/{tenant}/signing-keys/rotate");
    let body = json!({ "overlapSeconds": overlap_s });
    admin(service, Method::POST, &path, Some(body)).await
}

async fn states(service: &Service, tenant: &str) -> Vec<(i64, String)> {
    let path = format!("/tenants/{tenant}/signing-keys");
    let listed = admin(service, Method::GET, &path, None).await;
    let all = listed.body["items"].as_array().expect("a list").iter();
    let state = |it: &Value| it["state"].as_str().expect("a state").to_owned();
    all.map(|it| (it["generation"].as_i64().expect("a number"), state(it))).collect()
}

fn embed_body() -> Value {
    json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] })
}

/// Tokens of the three surfaces, each with the read that proves it; the iframe's cache key too.
struct Held {
    embed: String,
    chat: String,
    cache_key: String,
}

impl Held {
    async fn open(service: &Service) -> Self {
        let (base, demo) = (&service.base_url, &service.demo.demo);
        let embed = open_demo(service, &embed_body()).await;
        let chat = open_chat(base, demo, &json!({ "publicKey": demo.chat.public_key })).await;
        let body = json!({ "uid": "u", "srcs": demo.iframe.source_ids });
        let iframe = open_iframe(base, demo, &body).await;
        Self {
            embed: text(&embed, "/data/embedToken"),
            chat: text(&chat, "/sessionToken"),
            cache_key: text(&iframe, "/cache_key"),
        }
    }

    async fn reads(&self, service: &Service) -> [u16; 2] {
        let embed = get(&service.url("/v1/embed/session"), &self.embed).await;
        let bearer = format!("Bearer {}", self.chat);
        let headers =
            [("authorization", bearer.as_str()), ("origin", &service.demo.demo.chat.origin)];
        let url = service.url("/api/public/v1/chat/conversation");
        let chat = send(Method::GET, &url, &headers, None).await;
        [embed.status.as_u16(), chat.status.as_u16()]
    }

    async fn redeemed(&self, service: &Service) -> String {
        let body = json!({ "cache_key": self.cache_key });
        text(&post(&service.url("/api/v1/iframe/token"), &[], &body).await, "/access_token")
    }
}

fn state(generation: i64, name: &str) -> (i64, String) {
    (generation, name.to_owned())
}

#[tokio::test]
async fn a_link_gives_no_token_that_its_retired_signing_key_would_have_to_prove() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let old = Held::open(&service).await;
    let first = json!({ "cache_key": old.cache_key });
    let url = service.url("/api/v1/iframe/token");
    assert_eq!(rotate(&service, &tenant, 0).await.status, 200);
    // The new generation is active after its pending time, and the old one is retired with it.
    service.context.clock.set_offset_ms(10_000);
    post(&url, &[], &first).await.refused(410, "cache_key_expired");
    let fresh = Held::open(&service).await;
    assert!(!fresh.redeemed(&service).await.is_empty());
}

#[tokio::test]
async fn old_tokens_of_every_surface_stay_valid_for_the_overlap_and_no_longer() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    assert_eq!(states(&service, &tenant).await, [state(1, "active")]);
    let old = Held::open(&service).await;
    let redeemed = old.redeemed(&service).await;
    let start = service.context.clock.now_ms();
    let at = |after_ms: i64| service.context.clock.hold_at_ms(start + after_ms);
    let rotated = rotate(&service, &tenant, 60).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(states(&service, &tenant).await, [state(2, "pending"), state(1, "active")]);
    at(5_000);
    assert_eq!(states(&service, &tenant).await, [state(2, "active"), state(1, "verify-only")]);
    let new = Held::open(&service).await;
    assert_eq!((old.reads(&service).await, new.reads(&service).await), ([200; 2], [200; 2]));
    assert_eq!(old.redeemed(&service).await, redeemed, "a cache key gives the identical token");
    at(70_000);
    assert_eq!(states(&service, &tenant).await, [state(2, "active"), state(1, "retired")]);
    assert_eq!((old.reads(&service).await, new.reads(&service).await), ([401; 2], [200; 2]));
    // The service hears again and again, and of accepted generations alone.
    service.context.hear_of_signing_keys().await.expect("the store answers");
    assert_eq!((old.reads(&service).await, new.reads(&service).await), ([401; 2], [200; 2]));
}

#[tokio::test]
async fn without_overlap_older_tokens_end_when_the_new_generation_begins() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let (old, start) = (Held::open(&service).await, service.context.clock.now_ms());
    assert_eq!(old.reads(&service).await, [200; 2], "remembered as genuine from now on");
    assert_eq!(rotate(&service, &tenant, 0).await.status, 200);
    service.context.clock.hold_at_ms(start + 5_000);
    assert_eq!(old.reads(&service).await, [401; 2]);
    assert_eq!(Held::open(&service).await.reads(&service).await, [200; 2]);
}

#[tokio::test]
async fn rotations_of_signing_keys_that_do_not_fit_are_refused() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Rotating" })).await;
    assert_eq!(rotate(service, &tenant, 60).await.status, 200);
    rotate(service, &tenant, 60).await.refused(409, "rotation_in_progress");
    rotate(service, &tenant, 43_201).await.refused(400, "invalid_input");
    assert_eq!(rotate(service, &tenant, 0).await.status, 200);
    revoke_tenant(service, &tenant).await;
    rotate(service, &tenant, 0).await.refused(404, "tenant_not_found");
}

/// Everybody opens and reads on all three surfaces while the key is rotated and its successor
/// becomes active.
#[tokio::test(flavor = "multi_thread")]
async fn signing_key_rotation_under_load_refuses_nobody() {
    let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let tenant = demo_tenant(&service).await;
    let (over, reads) = (AtomicBool::new(false), AtomicUsize::new(0));
    let service = &service;
    let client = async || {
        let mut held: Vec<Held> = Vec::new();
        while !over.load(Ordering::Relaxed) {
            held.push(Held::open(service).await);
            let last = held.len() - 1;
            for one in [0, last / 2, last] {
                assert_eq!(held[one].reads(service).await, [200; 2], "a spurious refusal");
                reads.fetch_add(2, Ordering::Relaxed);
            }
        }
        held
    };
    let rotation = async {
        let more = async |count: usize| {
            let enough = reads.load(Ordering::Relaxed) + count;
            let is_so = async || reads.load(Ordering::Relaxed) >= enough;
            until(is_so, || "nobody reads".to_owned()).await;
        };
        more(100).await;
        assert_eq!(rotate(service, &tenant, 600).await.status, 200);
        let is_active = async || states(service, &tenant).await[0].1 == "active";
        until(is_active, || "the new generation stays pending".to_owned()).await;
        more(100).await;
        over.store(true, Ordering::Relaxed);
    };
    let (all, ()) = tokio::join!(futures::future::join_all((0..8).map(|_| client())), rotation);
    let mut opened = 0;
    for held in all.iter().flatten() {
        opened += 1;
        assert_eq!(held.reads(service).await, [200; 2], "valid until its end");
    }
    let reads = reads.into_inner() + 2 * opened;
    println!("signing key rotation under load: {opened} × 3 sessions, {reads} reads, 0 refusals");
}
