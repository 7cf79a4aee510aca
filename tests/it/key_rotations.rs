//! Rotating a key's credential: both work for a while, which one did is known, and nobody who
//! follows the rules is ever refused.

use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{admin, text};
use crate::keyring::{
    Made, demo_tenant, make_key, make_tenant, open_with, read_jwt, revoke_key, set_key,
};
use crate::requests::{Answer, get, post};
use crate::service::Service;
use crate::webhook_receiver::until;

async fn rotate(service: &Service, id: &str, body: Value) -> Answer {
    admin(service, Method::POST, &format!("/keys/{id}/rotate"), Some(body)).await
}

/// The key with its new credential.
async fn rotated(service: &Service, key: &Made, overlap_s: u32) -> Made {
    let rotated = rotate(service, &key.id, json!({ "overlapSeconds": overlap_s })).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    assert_eq!(rotated.header("cache-control"), "no-store");
    let of = |name: &str| rotated.body["credential"][name].as_str().unwrap_or_default().to_owned();
    Made { id: key.id.clone(), public: of("publicId"), secret: of("secret") }
}

fn embed_body() -> Value {
    json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] })
}

async fn open(service: &Service, key: &Made) -> Answer {
    open_with(service, &key.public, &key.secret, &embed_body()).await
}

fn generations(key: &Value) -> Vec<i64> {
    let all = key["generations"].as_array().expect("a list").iter();
    all.map(|it| it["generation"].as_i64().expect("a number")).collect()
}

#[tokio::test]
async fn both_secrets_sign_until_the_overlap_is_over() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let old = make_key(&service, &tenant, "embed", json!({})).await;
    let token = text(&open(&service, &old).await, "/data/embedToken");
    let new = rotated(&service, &old, 60).await;
    assert_eq!(new.public, old.public, "the public id stays");
    assert_ne!(new.secret, old.secret);
    for (key, generation) in [(&old, 1), (&new, 2)] {
        let opened = open(&service, key).await;
        let (_, claims) = read_jwt(&text(&opened, "/data/embedToken"));
        assert_eq!(claims["kg"], generation, "the token says which secret signed");
    }
    let now = service.context.clock.now_ms();
    let shown = admin(&service, Method::GET, &format!("/keys/{}", old.id), None).await;
    assert_eq!(generations(&shown.body), [2, 1], "{}", shown.text);
    assert!(shown.body["generations"][1]["endsAt"].is_string(), "{}", shown.text);
    service.context.clock.set_offset_ms(now + 61_000 - crate::requests::now_ms());
    open(&service, &old).await.refused(401, "invalid_signature");
    assert_eq!(open(&service, &new).await.status, 201);
    let read = get(&service.url("/v1/embed/session"), &token).await;
    assert_eq!(read.status, 200, "what the old secret opened lives on: {}", read.text);
    let shown = admin(&service, Method::GET, &format!("/keys/{}", old.id), None).await;
    assert_eq!(generations(&shown.body), [2], "{}", shown.text);
}

#[tokio::test]
async fn without_overlap_the_old_credential_of_every_kind_ends_at_once() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let embed = make_key(&service, &tenant, "embed", json!({})).await;
    let new = rotated(&service, &embed, 0).await;
    open(&service, &embed).await.refused(401, "invalid_signature");
    assert_eq!(open(&service, &new).await.status, 201);

    let iframe = make_key(&service, &tenant, "iframe", json!({})).await;
    let body = json!({ "uid": "u", "srcs": service.demo.demo.iframe.source_ids });
    let url = service.url("/api/v1/iframe/create");
    let create = async |key: &Made| {
        post(&url, &[("authorization", &format!("Bearer {}", key.secret))], &body).await
    };
    assert_eq!(create(&iframe).await.status, 200);
    let new = rotated(&service, &iframe, 60).await;
    assert!(new.secret.starts_with("iak_") && new.public.is_empty());
    for key in [&iframe, &new] {
        assert_eq!(create(key).await.status, 200);
    }
    let newest = rotated(&service, &new, 0).await;
    for dead in [&iframe, &new] {
        create(dead).await.refused(401, "invalid_api_key");
    }
    assert_eq!(create(&newest).await.status, 200);

    let origin = "https://rotating.example";
    let chat = json!({ "allowsAllIntents": true, "allowedOrigins": [origin] });
    let chat = make_key(&service, &tenant, "chat", chat).await;
    let url = service.url("/api/public/v1/chat/sessions");
    let open_chat = async |key: &Made| {
        post(&url, &[("origin", origin)], &json!({ "publicKey": key.public })).await
    };
    let new = rotated(&service, &chat, 60).await;
    assert!(new.public.starts_with("pk_live_") && new.public != chat.public);
    assert!(new.secret.is_empty(), "nothing is secret");
    for key in [&chat, &new] {
        assert_eq!(open_chat(key).await.status, 200);
    }
    let newest = rotated(&service, &new, 0).await;
    for dead in [&chat, &new] {
        open_chat(dead).await.refused(403, "widget_disabled");
    }
    assert_eq!(open_chat(&newest).await.status, 200);
}

#[tokio::test]
async fn a_third_credential_is_refused_while_two_are_accepted() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let key = make_key(service, &tenant, "iframe", json!({})).await;
    let first = rotate(service, &key.id, json!({})).await;
    let end = first.body["key"]["generations"][1]["endsAt"].as_str().expect("a day later");
    let refused = rotate(service, &key.id, json!({ "overlapSeconds": 1 })).await;
    refused.refused(409, "rotation_in_progress");
    let ends_at = refused.body["details"]["ends_at_ms"].as_i64().expect("milliseconds");
    let made = service.context.clock.now_ms();
    assert!((ends_at - made - 86_400_000).abs() < 60_000, "a day unless given: {end}");
    assert_eq!(rotate(service, &key.id, json!({ "overlapSeconds": 0 })).await.status, 200);
    assert_eq!(rotate(service, &key.id, json!({ "overlapSeconds": 604_800 })).await.status, 200);
}

#[tokio::test]
async fn rotations_that_do_not_fit_are_refused() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let key = make_key(service, &tenant, "embed", json!({})).await;
    for (value, keyword) in [(-1, "minimum"), (604_801, "maximum")] {
        let refused = rotate(service, &key.id, json!({ "overlapSeconds": value })).await;
        refused.refused(400, "invalid_input");
        assert_eq!(refused.violations()[0].2, keyword);
    }
    set_key(service, &key.id, "pause").await;
    assert_eq!(rotate(service, &key.id, json!({})).await.body["key"]["state"], "paused");
    revoke_key(service, &key.id).await;
    rotate(service, &key.id, json!({})).await.refused(404, "key_not_found");
}

#[tokio::test]
async fn rotations_at_once_leave_two_credentials_at_most() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "iframe", json!({})).await;
    let all = (0..8).map(|_| rotate(&service, &key.id, json!({})));
    let answers = futures::future::join_all(all).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| answer.code() == "rotation_in_progress").count();
    assert_eq!((won, refused), (1, 7));
    let shown = admin(&service, Method::GET, &format!("/keys/{}", key.id), None).await;
    assert_eq!(generations(&shown.body), [2, 1], "{}", shown.text);
}

/// Signers change to the new secret one after the other while everybody opens and reads.
#[tokio::test(flavor = "multi_thread")]
async fn rotation_under_load_refuses_nobody() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let old = make_key(&service, &tenant, "embed", json!({})).await;
    let clients = 16;
    let (sender, receiver) = tokio::sync::watch::channel(old.clone());
    let (service, url) = (&service, service.url("/v1/embed/session"));
    let rounds = AtomicUsize::new(0);
    let client = async |number: usize| {
        let (mut tokens, mut refused) = (Vec::new(), 0);
        let mut rounds_after = 0;
        // Half of them learn of the new secret late, as callers do; then everybody goes on with it.
        while rounds_after < 8 {
            let is_rotated = receiver.borrow().secret != old.secret;
            rounds_after += usize::from(is_rotated);
            let is_late = number % 2 == 1 && rounds_after < 5;
            let key = if is_late { old.clone() } else { receiver.borrow().clone() };
            rounds.fetch_add(1, Ordering::Relaxed);
            let opened = open(service, &key).await;
            refused += usize::from(opened.status != 201);
            if opened.status == 201 {
                tokens.push(text(&opened, "/data/embedToken"));
            }
            for token in tokens.iter().rev().take(3).chain(tokens.first()) {
                refused += usize::from(get(&url, token).await.status != 200);
            }
        }
        (tokens, refused)
    };
    let rotation = async {
        let is_loaded = async || rounds.load(Ordering::Relaxed) > 4 * clients;
        until(is_loaded, || "nobody opens anything".to_owned()).await;
        let new = rotated(service, &old, 600).await;
        sender.send(new).expect("clients listen");
    };
    let work = futures::future::join_all((0..clients).map(client));
    let (all, ()) = tokio::join!(work, rotation);
    let (mut opened, mut by_new) = (0, 0);
    for (tokens, refused) in &all {
        assert_eq!(*refused, 0, "a spurious refusal");
        for token in tokens {
            opened += 1;
            by_new += usize::from(read_jwt(token).1["kg"] == 2);
            assert_eq!(get(&url, token).await.status, 200, "until its end");
        }
    }
    assert!(by_new > 0 && by_new < opened, "{by_new} of {opened}");
    println!("rotation under load: {opened} sessions, {by_new} by the new secret, 0 refusals");
}

/// Who did what to the key stands in the audit with the generation, what changed, and no secret.
#[tokio::test]
async fn the_audit_says_which_generation_opened_and_what_changed() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Audited" })).await;
    let old = make_key(&service, &tenant, "embed", json!({})).await;
    let new = rotated(&service, &old, 60).await;
    for key in [&old, &new] {
        assert_eq!(open(&service, key).await.status, 201);
    }
    let path = format!("/keys/{}", old.id);
    let change = json!({ "label": "Renamed", "idleTimeoutSeconds": 90 });
    for _ in 0..2 {
        admin(&service, Method::PATCH, &path, Some(change.clone())).await;
    }
    let chain = service.context.store.audit_chain(&tenant, 0, 100).await.expect("reads");
    let acts: Vec<(String, Value)> = chain
        .into_iter()
        .map(|found| {
            let record = found.record.expect("readable");
            (record.action, serde_json::from_str(&record.detail).expect("JSON"))
        })
        .collect();
    let of = |action: &str| -> Vec<&Value> {
        acts.iter().filter(|(name, _)| name == action).map(|(_, detail)| detail).collect()
    };
    assert_eq!(of("key.rotate"), [&json!({ "generation": 2, "overlap_s": 60 })]);
    assert_eq!(of("session.open"), [&json!({ "generation": 1 }), &json!({ "generation": 2 })]);
    let changed = json!({ "changed": {
        "label": { "from": "of a test", "to": "Renamed" },
        "idleTimeoutSeconds": { "from": null, "to": 90 },
    } });
    assert_eq!(of("key.update"), [&changed], "changing nothing says nothing");
    let all = format!("{acts:?}");
    assert!(!all.contains(&old.secret) && !all.contains(&new.secret), "{all}");
}
