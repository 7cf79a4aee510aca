//! Requests with an idempotency key: one effect and one answer, for every operation that takes one.
//!
//! What is lost on the way is the business of `lossy`; here every answer arrives.

use std::collections::{BTreeMap, HashSet};

use reqwest::{Client, Method};
use serde_json::json;
use vestibule::domain::catalogue::Flow;
use vestibule::domain::idempotency::{Claim, Request};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::{IdempotencyInfo, OperationInfo};

use crate::callers::{Proof, Wallet, bearer, send_owned, text};
use crate::database::counts;
use crate::errors::{Callers, Produced, operation};
use crate::keyring::{demo_tenant, key_id};
use crate::requests::Answer;
use crate::service::Service;

/// The header with the key.
pub const KEY: &str = "idempotency-key";

/// Every operation that takes a key, and what its document says of it.
pub fn operations() -> impl Iterator<Item = (&'static OperationInfo, &'static IdempotencyInfo)> {
    OPERATIONS.iter().filter_map(|operation| Some((*operation, operation.idempotency.as_ref()?)))
}

/// A key that nobody else has.
pub fn fresh_key() -> String {
    vestibule::context::Ids::default().hex::<16>("")
}

/// The right request under a key.
pub async fn send_under(
    callers: &Callers<'_>,
    operation: &OperationInfo,
    key: &str,
    body: Option<Vec<u8>>,
) -> Answer {
    let mut headers = callers.wallet.headers(operation, body.as_deref().unwrap_or_default());
    headers.push((KEY, key.to_owned()));
    callers.send_as(operation, "", headers, body).await
}

/// Every answer that an operation documents for keys.
pub async fn produce(produced: &mut Produced) {
    let service = Service::shared();
    for (operation, _) in operations() {
        let callers = Callers::new(service).await;
        let (key, body) = (fresh_key(), callers.body(operation));
        send_under(&callers, operation, &key, body.clone()).await;
        let again = send_under(&callers, operation, &key, body.clone()).await;
        produced.note_success(operation, &again);
        let reused = send_other(&callers, operation, &key, body.as_deref()).await;
        produced.note(operation, "idempotency_key_reused", &reused);
        let key = fresh_key();
        let first = service.context.in_flight.begin(claim(&callers, operation, &key).await);
        let early = send_under(&callers, operation, &key, body).await;
        produced.note(operation, "idempotency_in_progress", &early);
        drop(first);
    }
}

/// Another request under a key: the same value in other bytes or, without a body, another user.
async fn send_other(
    callers: &Callers<'_>,
    operation: &OperationInfo,
    key: &str,
    body: Option<&[u8]>,
) -> Answer {
    if let Some(body) = body {
        let other = [b"{ ".as_slice(), &body[1..]].concat();
        return send_under(callers, operation, key, Some(other)).await;
    }
    let path = operation.path.replace("{uid}", "somebody-else");
    let url = callers.service.url(&callers.target.fill(&path));
    let mut headers = callers.wallet.headers(operation, &[]);
    headers.push((KEY, key.to_owned()));
    send_owned(&Client::new(), operation.method.clone(), &url, &headers, None).await
}

/// What the service keeps an answer under.
async fn claim(callers: &Callers<'_>, operation: &OperationInfo, key: &str) -> Claim {
    let service = callers.service;
    let tenant = demo_tenant(service).await;
    let (tenant, credential) = match Proof::of(operation) {
        Proof::AdminKey => (String::new(), "admin".to_owned()),
        Proof::ApiKey => (tenant.clone(), key_id(service, &tenant, "Demo analytics").await),
        Proof::SignedKey => (tenant.clone(), key_id(service, &tenant, "Demo CRM").await),
        Proof::PublishableKey => (tenant.clone(), key_id(service, &tenant, "Demo widget").await),
        Proof::ChatToken
        | Proof::EmbedToken
        | Proof::CacheKey
        | Proof::SignedV2
        | Proof::Nobody => {
            panic!("tell this test who calls {}", operation.id)
        }
    };
    let (tenant, credential, operation) = (tenant.as_str(), credential.as_str(), operation.id);
    let sent = Request { tenant, credential, operation, key, address: "", origin: None, body: b"" };
    sent.claim()
}

#[tokio::test]
async fn every_repetition_is_given_the_same_bytes_and_has_no_effect() {
    let service = Service::start(|_| {});
    let mut taken = 0;
    for (operation, info) in operations() {
        let callers = Callers::new(&service).await;
        let (key, body) = (fresh_key(), callers.body(operation));
        let first = send_under(&callers, operation, &key, body.clone()).await;
        assert!(first.status.is_success(), "{}: {}", operation.id, first.text);
        assert_eq!(first.header(info.replayed), "", "{}", operation.id);
        let before = rows(&service);
        for _ in 0..3 {
            let again = send_under(&callers, operation, &key, body.clone()).await;
            assert_same(&first, &again, info);
        }
        assert_eq!(rows(&service), before, "{}", operation.id);
        let plain = callers.send(operation, body).await;
        assert_ne!(plain.text, first.text, "{}: without a key it takes effect", operation.id);
        assert_ne!(rows(&service), before, "{}: and that is seen", operation.id);
        taken += 1;
    }
    assert!(taken >= 9, "{taken} operations take a key");
}

/// Asserts that `again` is `first` said once more.
#[track_caller]
pub fn assert_same(first: &Answer, again: &Answer, info: &IdempotencyInfo) {
    assert_eq!((again.status, &again.text), (first.status, &first.text));
    assert_eq!(again.header(info.replayed), "true");
    let (mut first, mut again) = (first.headers.clone(), again.headers.clone());
    for own in [info.replayed, "x-request-id", "date"] {
        first.remove(own);
        again.remove(own);
    }
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_key_belongs_to_one_request_of_one_credential() {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    let neighbour = Wallet::open(&service, &service.demo.other).await;
    for (operation, info) in operations() {
        let (key, body) = (fresh_key(), callers.body(operation));
        let first = send_under(&callers, operation, &key, body.clone()).await;
        let before = rows(&service);
        let changed = send_other(&callers, operation, &key, body.as_deref()).await;
        changed.refused(422, "idempotency_key_reused");
        assert_eq!(rows(&service), before, "{}", operation.id);
        let again = send_under(&callers, operation, &key, body).await;
        assert_same(&first, &again, info);
        if Proof::of(operation) == Proof::AdminKey {
            continue;
        }
        let body = neighbour.body(operation, "").map(|body| body.to_string().into_bytes());
        let mut headers = neighbour.headers(operation, body.as_deref().unwrap_or_default());
        headers.push((KEY, key));
        let theirs = callers.send_as(operation, "", headers, body).await;
        assert!(theirs.status.is_success(), "{}: {}", operation.id, theirs.text);
        assert_eq!(theirs.header(info.replayed), "", "{}", operation.id);
        assert_ne!(theirs.text, first.text, "{}", operation.id);
    }
}

#[tokio::test]
async fn one_key_serves_several_operations() {
    let callers = Callers::new(Service::shared()).await;
    let key = fresh_key();
    for (operation, info) in operations() {
        let answer = send_under(&callers, operation, &key, callers.body(operation)).await;
        assert!(answer.status.is_success(), "{}: {}", operation.id, answer.text);
        assert_eq!(answer.header(info.replayed), "", "{}", operation.id);
    }
}

#[tokio::test]
async fn a_refusal_leaves_its_key_free() {
    let callers = Callers::new(Service::shared()).await;
    for (operation, info) in operations() {
        let key = fresh_key();
        // No body is a list, and what takes none takes no query either.
        let mut headers = callers.wallet.headers(operation, b"[]");
        headers.push((KEY, key.clone()));
        let list = operation.body.as_ref().map(|_| b"[]".to_vec());
        let query = if list.is_some() { "" } else { "?unknown" };
        let wrong = callers.send_as(operation, query, headers, list).await;
        assert!(wrong.status.is_client_error(), "{}: {}", operation.id, wrong.text);
        let mended = send_under(&callers, operation, &key, callers.body(operation)).await;
        assert!(mended.status.is_success(), "{}: {}", operation.id, mended.text);
        assert_eq!(mended.header(info.replayed), "", "{}", operation.id);
    }
    // Refused in the transaction itself: there is no such tenant.
    let (create, key) = (operation("keyCreate"), fresh_key());
    let body = callers.wallet.body(create, "ten_22222222222222222222222222").expect("a body");
    for _ in 0..2 {
        let refused = send_under(&callers, create, &key, Some(body.to_string().into_bytes())).await;
        refused.refused(404, "tenant_not_found");
    }
    let mended = send_under(&callers, create, &key, callers.body(create)).await;
    assert_eq!(mended.status, 201, "{}", mended.text);
    // And where there is nothing to rotate.
    let (rotate, key) = (operation("keyRotate"), fresh_key());
    let nowhere = callers.target.fill(rotate.path).replace(&callers.target.key_id, NO_KEY);
    let (url, body) = (callers.service.url(&nowhere), callers.body(rotate));
    let headers = [bearer(&callers.wallet.admin), (KEY, key.clone())];
    for _ in 0..2 {
        let refused = send_owned(&Client::new(), Method::POST, &url, &headers, body.clone()).await;
        refused.refused(404, "key_not_found");
    }
    let mended = send_under(&callers, rotate, &key, body).await;
    assert_eq!(mended.status, 200, "{}", mended.text);
}

/// A key that nobody has.
const NO_KEY: &str = "key_22222222222222222222222222";

/// Two rotations under two keys, at once: whoever comes second finds another generation than it
/// was drawn for, gives its claim back and draws again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotations_at_once_under_keys_of_their_own_all_take_effect() {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    for (id, generations, more) in
        [("keyRotate", "key_secrets", 0), ("webhookSecretRotate", "webhook_secrets", 1)]
    {
        let (operation, body) = (operation(id), callers.body(operation(id)));
        let keys: Vec<_> = (0..12).map(|_| fresh_key()).collect();
        let before = rows(&service);
        let all = keys.iter().map(|key| send_under(&callers, operation, key, body.clone()));
        let first = futures::future::join_all(all).await;
        for answer in &first {
            assert!(answer.status.is_success(), "{id}: {}", answer.text);
        }
        let after = rows(&service);
        let made = |table: &str| after[table] - before[table];
        assert_eq!((made("audit"), made("idempotency"), made(generations)), (12, 12, more), "{id}");
        let info = operation.idempotency.as_ref().expect("it takes a key");
        for (key, answer) in keys.iter().zip(&first) {
            assert_same(answer, &send_under(&callers, operation, key, body.clone()).await, info);
        }
        let different: HashSet<_> = first.iter().map(|answer| &answer.text).collect();
        assert_eq!(different.len(), 12, "{id}: a credential each");
    }
}

#[tokio::test]
async fn a_signature_counts_once_whatever_the_key() {
    let service = Service::start(|_| {});
    let (callers, create) = (Callers::new(&service).await, operation("embedSessionCreate"));
    let info = create.idempotency.as_ref().expect("it takes a key");
    let (key, body) = (fresh_key(), callers.body(create).expect("a body"));
    let under = |headers: &[(&'static str, String)], key: &str| {
        [headers, &[(KEY, key.to_owned())]].concat()
    };
    let signed = callers.wallet.headers(create, &body);
    let send = |headers| callers.send_as(create, "", headers, Some(body.clone()));
    let first = send(under(&signed, &key)).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let before = rows(&service);
    // The very same bytes again, with the key, with another and without one.
    for headers in [under(&signed, &key), under(&signed, &fresh_key()), signed] {
        send(headers).await.refused(401, "signature_replayed");
    }
    assert_eq!(rows(&service), before, "nothing is used up but the signature");
    let signed = callers.wallet.headers(create, &body);
    assert_same(&first, &send(under(&signed, &key)).await, info);
    // Whoever overheard the repetition has no use of it either.
    for headers in [under(&signed, &key), signed] {
        send(headers).await.refused(401, "signature_replayed");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_takes_effect() {
    let service = Service::start(|_| {});
    for (operation, _) in operations() {
        let callers = Callers::new(&service).await;
        let (key, body) = (fresh_key(), callers.body(operation));
        let plain = callers.send(operation, body.clone()).await;
        assert!(plain.status.is_success(), "{}: {}", operation.id, plain.text);
        // A message that is counted is no act of the audit.
        let effects = |rows: &BTreeMap<String, i64>| rows["audit"] + rows["uid_messages"];
        let before = rows(&service);
        let all = (0..48).map(|_| send_under(&callers, operation, &key, body.clone()));
        let answers = futures::future::join_all(all).await;
        let (told, early): (Vec<_>, Vec<_>) =
            answers.iter().partition(|answer| answer.status.is_success());
        assert!(!told.is_empty() && told.iter().all(|it| it.text == told[0].text));
        early.iter().for_each(|answer| answer.refused(409, "idempotency_in_progress"));
        assert_eq!(effects(&rows(&service)), effects(&before) + 1, "{}", operation.id);
    }
}

#[tokio::test]
async fn an_answer_is_kept_for_its_time_and_does_not_change_meanwhile() {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    let (context, create) = (&service.context, operation("chatSessionCreate"));
    let info = create.idempotency.as_ref().expect("it takes a key");
    let (key, body) = (fresh_key(), callers.body(create));
    let now = context.clock.now_ms();
    context.clock.hold_at_ms(now);
    let first = send_under(&callers, create, &key, body.clone()).await;
    assert!(first.status.is_success(), "{}", first.text);
    // What the answer was made of changes.
    let flow = json!({
        "id": "f", "name": "f", "published": true,
        "intent": { "name": "f", "displayLabel": "f", "styleVariant": "solid" },
    });
    let flow: Flow = serde_json::from_value(flow).expect("a flow");
    let tenant = demo_tenant(&service).await;
    let audit = context.audit(&tenant, "test", "flow.put", "f");
    context.store.put_flow(&tenant, &flow, audit).await.expect("stored");
    context.clock.hold_at_ms(now + info.kept_ms - 1);
    assert_same(&first, &send_under(&callers, create, &key, body.clone()).await, info);
    let plain = callers.send(create, body.clone()).await;
    assert_ne!(plain.body["intents"], first.body["intents"], "and that is seen");
    // Purged or not, an answer past its time is as good as none.
    context.clock.hold_at_ms(now + info.kept_ms);
    let anew = send_under(&callers, create, &key, body.clone()).await;
    assert_eq!((anew.status, anew.header(info.replayed)), (first.status, ""), "{}", anew.text);
    assert_ne!(text(&anew, "/sessionToken"), text(&first, "/sessionToken"));
    assert_same(&anew, &send_under(&callers, create, &key, body).await, info);
    let purged = context.store.purge(now + 2 * info.kept_ms + 1, now).await.expect("purges");
    assert_eq!(purged.answers, 1, "one row, however often the key was used");
}

#[tokio::test]
async fn a_dead_credential_is_told_nothing_again() {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    let tenant = demo_tenant(&service).await;
    for (id, label, status) in [
        ("embedSessionCreate", "Demo CRM", 401),
        ("chatSessionCreate", "Demo widget", 403),
        ("iframeSessionCreate", "Demo analytics", 401),
    ] {
        let (operation, key) = (operation(id), fresh_key());
        let body = callers.body(operation);
        let first = send_under(&callers, operation, &key, body.clone()).await;
        assert!(first.status.is_success(), "{id}: {}", first.text);
        crate::keyring::set_key(&service, &key_id(&service, &tenant, label).await, "pause").await;
        let refused = send_under(&callers, operation, &key, body).await;
        assert_eq!(refused.status, status, "{id}: {}", refused.text);
    }
}

#[tokio::test]
async fn a_page_of_another_origin_has_no_use_of_a_key() {
    let service = Service::shared();
    let callers = Callers::new(service).await;
    let (create, key) = (operation("chatSessionCreate"), fresh_key());
    let body = callers.body(create);
    let first = send_under(&callers, create, &key, body.clone()).await;
    assert!(first.status.is_success(), "{}", first.text);
    let headers = [(KEY, key), ("origin", service.demo.other.chat.origin.clone())];
    let url = service.url(create.path);
    let foreign = send_owned(&Client::new(), Method::POST, &url, &headers, body).await;
    foreign.refused(403, "origin_not_allowed");
}

/// How many rows each table of effects has.
fn rows(service: &Service) -> BTreeMap<String, i64> {
    let made = ["keys", "sessions", "tenants", "uid_messages", "webhooks"];
    let beside = ["audit", "conversations", "idempotency", "key_secrets", "signing_keys"];
    counts(service.data(), &[&made[..], &beside, &["webhook_secrets"]].concat())
}
