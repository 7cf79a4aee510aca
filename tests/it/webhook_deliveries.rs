//! What is delivered, how often and to whom: every delivery is verified by the libraries of
//! Standard Webhooks, here and in Python.

use std::collections::HashMap;
use std::process::Command;
use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule_runtime::{Part, Schema};

use crate::callers::{Wallet, admin, bearer, send_owned, text};
use crate::constraints::document;
use crate::keyring::{demo_tenant, make_key, make_tenant, set_key, tenant_id};
use crate::process::Process;
use crate::requests::{Answer, fresh_timestamp, open_embed, open_iframe, post, send};
use crate::service::Service;
use crate::tools::python_environment;
use crate::usage::usage;
use crate::webhook_receiver::{Delivered, Receiver, until};
use crate::webhooks::Endpoint;

const ALL: [&str; 6] = [
    "session.created",
    "session.renewed",
    "session.revoked",
    "session.expired",
    "key.rotated",
    "limit.exceeded",
];

/// An operation of the demo tenant's backend, which must succeed.
async fn backend(service: &Service, method: Method, path: &str, body: Option<Value>) -> Answer {
    let headers = [bearer(&service.demo.demo.iframe.api_key)];
    let body = body.map(|body| body.to_string().into_bytes());
    let answer = send_owned(&Client::new(), method, &service.url(path), &headers, body).await;
    assert!(answer.status.is_success(), "{path}: {}", answer.text);
    answer
}

/// Rotates a new key of a tenant; its id.
async fn rotate_a_key(service: &Service, tenant: &str) -> String {
    let key = make_key(service, tenant, "iframe", json!({})).await.id;
    let rotate = format!("/keys/{key}/rotate");
    let rotated = admin(service, Method::POST, &rotate, Some(json!({}))).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    key
}

/// Opens sessions of a user of the demo tenant, which may count one message an hour; their ids.
async fn open_of(service: &Service, uid: &str, count: usize) -> Vec<String> {
    let demo = &service.demo.demo;
    let body = json!({ "uid": uid, "srcs": demo.iframe.source_ids, "limits": { "hourly": 1 } });
    let mut sessions = Vec::new();
    for _ in 0..count {
        let opened = open_iframe(&service.base_url, demo, &body).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
        let url = text(&opened, "/iframe_url");
        let page = url.split('#').next().expect("an address");
        sessions.push(page.rsplit('/').next().expect("its last part").to_owned());
    }
    sessions
}

async fn open_session(service: &Service) -> String {
    let demo = &service.demo.demo;
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let opened = open_embed(&service.base_url, demo, &body).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let token = opened.body["data"]["embedToken"].as_str().expect("a token");
    let read = crate::requests::get(&service.url("/v1/embed/session"), token).await;
    read.body["data"]["sessionId"].as_str().expect("an id").to_owned()
}

/// Fails unless a body is what the document says of its event.
pub fn require_documented(delivered: &Delivered) {
    let names = [
        ("session.created", "SessionCreatedEvent"),
        ("session.renewed", "SessionRenewedEvent"),
        ("session.revoked", "SessionRevokedEvent"),
        ("session.expired", "SessionExpiredEvent"),
        ("key.rotated", "KeyRotatedEvent"),
        ("limit.exceeded", "LimitExceededEvent"),
        ("webhook.test", "WebhookTestedEvent"),
    ];
    let names = HashMap::from(names);
    let schema = Schema::component(&document("admin"), names[delivered.event().as_str()]);
    assert_eq!(schema.check(Part::Body, &delivered.json()), [], "{}", delivered.body);
}

#[tokio::test]
async fn every_event_arrives_once_signed_and_as_documented() {
    let service = Service::start(|_| {});
    // Time stands still, so that no hour ends between two messages, and no lease.
    let clock = &service.context.clock;
    clock.hold_at_ms(fresh_timestamp());
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &ALL).await;
    Wallet::open(&service, &service.demo.demo).await;
    let session = open_session(&service).await;
    backend(&service, Method::POST, &format!("/v1/sessions/{session}/renew"), None).await;
    let rotated = rotate_a_key(&service, &tenant).await;
    let mut ended = open_of(&service, "many", 3).await;
    let count = async || usage(&service, &service.demo.demo, Method::POST, "/many/messages").await;
    assert_eq!(count().await.status, 201);
    for _ in 0..2 {
        count().await.refused(429, "limit_exceeded");
    }
    backend(&service, Method::DELETE, &format!("/v1/sessions/{session}"), None).await;
    // What ends is what was opened before.
    clock.hold_at_ms(clock.own_now_ms() + 1);
    let targets = json!({ "targets": ["uid:many", "uid:nobody"] });
    let revoked = backend(&service, Method::POST, "/v1/sessions:revoke", Some(targets)).await;
    assert_eq!(revoked.body, json!({ "revoked": 3, "not_revocable": 0 }));
    endpoint.post(&service, "test", None).await;
    let delivered = receiver.wait_for(15).await;
    for it in &delivered {
        it.verify(&endpoint.secret);
        assert_eq!(it.headers["content-type"], "application/json");
    }
    // A moved clock ends the leases of what is under way, which is sent again then.
    endpoint.settled(&service, 15).await;
    clock.hold_at_ms(clock.own_now_ms() + 2 * 3_600_000);
    // The three sessions of the wallet ended by themselves, the revoked one did not.
    let delivered = receiver.wait_for(18).await;
    let mut counted: HashMap<String, usize> = HashMap::new();
    for it in &delivered {
        require_documented(it);
        *counted.entry(it.event()).or_default() += 1;
    }
    let expected = [
        ("session.created", 7),
        ("session.renewed", 1),
        ("session.revoked", 4),
        ("session.expired", 3),
        ("key.rotated", 1),
        ("limit.exceeded", 1),
        ("webhook.test", 1),
    ];
    let expected = expected.map(|(event, count)| (event.to_owned(), count));
    assert_eq!(counted, HashMap::from(expected));
    let told = |event: &str, member: &str| -> Vec<String> {
        let all = delivered.iter().filter(|it| it.event() == event);
        let ids = all.map(|it| it.json()["data"][member].as_str().expect("an id").to_owned());
        let mut ids: Vec<_> = ids.collect();
        ids.sort_unstable();
        ids
    };
    assert_eq!(told("session.renewed", "sessionId"), [session.as_str()]);
    assert_eq!(told("key.rotated", "keyId"), [rotated]);
    ended.push(session);
    ended.sort_unstable();
    assert_eq!(told("session.revoked", "sessionId"), ended);
    assert!(told("session.expired", "sessionId").iter().all(|id| !ended.contains(id)));
    assert!(receiver.copies().values().all(|count| *count == 1), "{:?}", receiver.copies());
}

#[tokio::test]
async fn the_examples_are_what_is_sent() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Examples" })).await;
    let url = "https://hooks.acme.example/";
    let endpoint = Endpoint::create(service, &tenant, url, &["key.rotated"]).await;
    let path = format!("{}/examples", endpoint.path);
    let shown = admin(service, Method::GET, &path, None).await;
    let examples = shown.body.as_object().expect("examples");
    assert_eq!(examples.len(), ALL.len() + 1);
    for example in examples.values() {
        let body = example.to_string();
        require_documented(&Delivered { headers: Default::default(), body });
    }
}

#[tokio::test]
async fn only_what_was_subscribed_to_is_sent_and_only_to_its_tenant() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let other = tenant_id(&service, "Other shop").await;
    let (mine, rotations, foreign) =
        (Receiver::start().await, Receiver::start().await, Receiver::start().await);
    let endpoints = [
        Endpoint::create(&service, &tenant, &mine.url, &["session.created"]).await,
        Endpoint::create(&service, &tenant, &rotations.url, &["key.rotated"]).await,
        Endpoint::create(&service, &other, &foreign.url, &ALL).await,
    ];
    open_session(&service).await;
    rotate_a_key(&service, &tenant).await;
    let paused = make_key(&service, &tenant, "iframe", json!({})).await.id;
    assert_eq!(set_key(&service, &paused, "pause").await.status, 200);
    assert_eq!(mine.wait_for(1).await[0].event(), "session.created");
    assert_eq!(rotations.wait_for(1).await[0].event(), "key.rotated");
    // What is queued is queued with the act, so nothing can follow.
    for (endpoint, count) in endpoints.iter().zip([1, 1, 0]) {
        assert_eq!(endpoint.log(&service, "").await.len(), count, "{}", endpoint.path);
    }
}

#[tokio::test]
async fn both_live_secrets_sign_until_the_overlap_is_over() {
    let service = Service::start(|_| {});
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    let rotate = async |overlap: i64| {
        let body = json!({ "overlapSeconds": overlap });
        let rotated = endpoint.post(&service, "rotate-secret", Some(body)).await;
        assert_eq!(rotated.status, 200, "{}", rotated.text);
        (rotated.body["secret"].as_str().expect("a secret").to_owned(), rotated.body)
    };
    let (second, told) = rotate(100).await;
    assert!(told["webhook"]["previousSecretUntil"].is_string());
    endpoint.post(&service, "test", None).await;
    let both = receiver.wait_for(1).await.remove(0);
    both.verify(&endpoint.secret);
    both.verify(&second);
    assert_eq!(both.headers["webhook-signature"].to_str().expect("text").split(' ').count(), 2);
    let (third, _) = rotate(100).await;
    endpoint.post(&service, "test", None).await;
    let latest = receiver.wait_for(2).await.remove(1);
    assert!(!latest.is_signed_by(&endpoint.secret), "two secrets live at most");
    latest.verify(&second);
    latest.verify(&third);
    // What is still under way would be sent again. Not more than the five minutes that the library
    // tolerates.
    endpoint.settled(&service, 2).await;
    service.context.clock.set_offset_ms(101_000);
    assert!(endpoint.read(&service).await.get("previousSecretUntil").is_none());
    endpoint.post(&service, "test", None).await;
    let after = receiver.wait_for(3).await.remove(2);
    assert!(!after.is_signed_by(&second));
    after.verify(&third);
}

#[tokio::test]
async fn what_failed_is_tried_again_under_the_same_id() {
    let service = Service::start(|config| config.webhooks.schedule.0 = vec![10; 5]);
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    receiver.answer(&["500 Oops\r\n", "302 Found\r\n", "429 Slow\r\n"]);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    open_session(&service).await;
    let tries = receiver.wait_for(4).await;
    let ids: Vec<_> = tries.iter().map(Delivered::id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert!(tries.iter().all(|it| it.body == tries[0].body));
    tries.iter().for_each(|it| it.verify(&endpoint.secret));
    let log = endpoint.attempted(&service, 4).await;
    assert_eq!((&log["status"], &log["deliveryId"]), (&json!("delivered"), &json!(ids[0])));
}

#[tokio::test]
async fn an_answer_of_410_disables_the_endpoint_and_a_replay_brings_back_what_waited() {
    let service = Service::start(|config| config.webhooks.schedule.0 = vec![3_600_000]);
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    receiver.answer(&["503 Busy\r\n", "503 Busy\r\n", "410 Gone\r\n"]);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    for tried in 1..=3 {
        open_session(&service).await;
        receiver.wait_for(tried).await;
    }
    let is_disabled = async || endpoint.read(&service).await["disabledReason"] == "gone";
    until(is_disabled, || "it is still enabled".to_owned()).await;
    let failed = async || endpoint.log(&service, "?status=failed").await;
    until(async || failed().await.len() == 3, || "not all have failed".to_owned()).await;
    let notes = failed().await.iter().filter(|it| it["note"].is_string()).count();
    assert_eq!(notes, 2, "the two that waited say why they failed");
    open_session(&service).await;
    assert_eq!(endpoint.log(&service, "").await.len(), 3, "nothing is queued while it is disabled");
    let since = json!({ "since": "2020-01-01T00:00:00.000Z" });
    let refused = endpoint.post(&service, "replay-failed", Some(since.clone())).await;
    refused.refused(409, "webhook_disabled");
    endpoint.change(&service, json!({ "state": "enabled" })).await;
    let one = failed().await[0]["deliveryId"].as_str().expect("an id").to_owned();
    let replayed = endpoint.post(&service, &format!("deliveries/{one}/replay"), None).await;
    assert_eq!(replayed.status, 202, "{}", replayed.text);
    receiver.wait_for(4).await;
    until(async || failed().await.len() == 2, || "the replay is not done".to_owned()).await;
    let queued = endpoint.post(&service, "replay-failed", Some(since)).await;
    assert_eq!(queued.body["queued"], 2, "{}", queued.text);
    let all = receiver.wait_for(6).await;
    assert_eq!(receiver.messages(), 3);
    all.iter().for_each(|it| it.verify(&endpoint.secret));
    let delivered = async || endpoint.log(&service, "?status=delivered").await.len() == 3;
    until(delivered, || "not all are delivered".to_owned()).await;
}

#[tokio::test]
async fn an_event_that_nobody_takes_disables_its_endpoint_after_the_last_attempt() {
    let service = Service::start(|config| config.webhooks.schedule.0 = vec![5; 9]);
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    receiver.always_answer("500 Oops\r\n");
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    open_session(&service).await;
    let is_disabled = async || endpoint.read(&service).await["disabledReason"] == "exhausted";
    until(is_disabled, || "it is still enabled".to_owned()).await;
    assert_eq!(receiver.all().len(), 10);
    let log = endpoint.log(&service, "").await;
    assert_eq!((&log[0]["status"], &log[0]["attemptCount"]), (&json!("failed"), &json!(10)));
}

#[tokio::test]
async fn a_slow_endpoint_is_sent_eight_at_once_and_holds_nobody_up() {
    let service = Service::start(|_| {});
    let (tenant, slow, quick) =
        (demo_tenant(&service).await, Receiver::start().await, Receiver::start().await);
    slow.pause(Duration::from_secs(3600));
    let held = Endpoint::create(&service, &tenant, &slow.url, &["session.created"]).await;
    let free = Endpoint::create(&service, &tenant, &quick.url, &["session.created"]).await;
    for _ in 0..100 {
        held.post(&service, "test", None).await;
    }
    slow.wait_for(8).await;
    free.post(&service, "test", None).await;
    quick.wait_for(1).await;
    assert_eq!(slow.all().len(), 8);
}

/// Two instances on one database, both sending, both looking for expired sessions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_send_each_message_once() {
    const SESSIONS: usize = 100;
    let service = Service::start(|_| {});
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let events = ["session.created", "session.expired"];
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &events).await;
    let second = Service::beside(&service);
    for _ in 0..SESSIONS {
        open_session(&service).await;
    }
    endpoint.settled(&service, SESSIONS).await;
    for context in [&service.context, &second.context] {
        context.clock.set_offset_ms(3_600_000);
    }
    endpoint.settled(&service, 2 * SESSIONS).await;
    let all = receiver.all();
    let expired = all.iter().filter(|it| it.event() == "session.expired").count();
    println!("two instances: {} messages in {} requests", receiver.messages(), all.len());
    assert_eq!((all.len(), receiver.messages(), expired), (2 * SESSIONS, 2 * SESSIONS, SESSIONS));
}

/// SIGKILL while deliveries are under way: what was acknowledged is told, at least once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_between_commit_and_delivery_loses_no_event() {
    const ROUNDS: usize = 3;
    const SESSIONS: usize = 40;
    let data = tempfile::tempdir().expect("a temporary directory");
    let receiver = Receiver::start().await;
    // Short leases, so that what the dead held comes back soon.
    let settings = [("VESTIBULE__WEBHOOKS__DEADLINE_MS", "1000")];
    let (mut port, mut secret) = (0, String::new());
    for round in 0..ROUNDS {
        let process = Process::start_with(data.path(), port, &settings);
        port = process.port();
        if round == 0 {
            secret = subscribe(&process, &receiver.url).await;
        }
        receiver.pause(Duration::from_millis(200));
        for _ in 0..SESSIONS {
            let demo = &process.demo.demo;
            let body =
                json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
            assert_eq!(open_embed(&process.base_url, demo, &body).await.status, 201);
        }
        process.kill();
    }
    let before = receiver.messages();
    receiver.pause(Duration::ZERO);
    let process = Process::start_with(data.path(), port, &settings);
    receiver.wait_for_messages(ROUNDS * SESSIONS).await;
    assert!(process.terminate().success());
    let (all, messages) = (receiver.all(), receiver.messages());
    println!(
        "killed {ROUNDS} times: {messages} of {} events delivered ({before} before the last \
         start), {} duplicates",
        ROUNDS * SESSIONS,
        all.len() - messages,
    );
    assert_eq!(messages, ROUNDS * SESSIONS);
    all.iter().for_each(|it| it.verify(&secret));
    verify_in_python(&secret, &all);
}

/// An endpoint of the demo tenant; its secret.
async fn subscribe(process: &Process, url: &str) -> String {
    let bearer = format!("Bearer {}", process.demo.admin.token);
    let headers = [("authorization", bearer.as_str())];
    let tenants = format!("{}/api/admin/v1/tenants", process.base_url);
    let listed = send(Method::GET, &tenants, &headers, None).await;
    let mut all = listed.body["items"].as_array().expect("a list").iter();
    let demo = all.find(|it| it["name"] == "Demo shop").expect("the demo tenant");
    let webhooks = format!("{tenants}/{}/webhooks", demo["tenantId"].as_str().expect("an id"));
    let body = json!({ "url": url, "events": ["session.created"] });
    let made = post(&webhooks, &headers, &body).await;
    made.body["secret"].as_str().expect("a secret").to_owned()
}

/// The Python library of Standard Webhooks takes every one of these, and none with another body.
fn verify_in_python(secret: &str, all: &[Delivered]) {
    let environment =
        python_environment("python-webhooks", "tests/python/webhooks-requirements.txt");
    let each = all.iter().map(|it| {
        let header = |name: &str| it.headers[name].to_str().expect("text").to_owned();
        let headers = ["webhook-id", "webhook-timestamp", "webhook-signature"];
        let headers: HashMap<_, _> = headers.into_iter().map(|it| (it, header(it))).collect();
        json!({ "headers": headers, "body": it.body })
    });
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    let text = json!({ "secret": secret, "delivered": each.collect::<Vec<_>>() }).to_string();
    std::fs::write(file.path(), text).expect("it is ours");
    let mut python = Command::new(environment.join("bin/python"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/webhooks.py");
    let said = python.arg("-B").arg(script).arg(file.path()).output().expect("Python runs");
    let out = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.status.success(), "{out}{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(out.trim(), format!("{} verified", all.len()));
}
