//! The generated clients against the service: they prove themselves, call everything, and give
//! typed answers and errors.

use std::collections::BTreeSet;

use reqwest::header::{HeaderMap, HeaderValue};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_client::{Credentials, Error, admin, chat, embed, iframe, lifecycle};

use crate::service::Service;

const EMPLOYEE: &str = "64f000000000000000000001";

fn model<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).expect("a valid model")
}

fn embed_client(service: &Service) -> embed::Client {
    let embed = &service.demo.demo.embed;
    embed::Client::new(&service.base_url, Credentials::signed(&embed.key, &embed.secret))
}

/// A client as a page of the demo origin would be.
fn chat_client(service: &Service, credentials: Credentials) -> chat::Client {
    let origin = HeaderValue::from_str(&service.demo.demo.chat.origin).expect("an origin");
    let headers = HeaderMap::from_iter([(reqwest::header::ORIGIN, origin)]);
    let page = reqwest::Client::builder().default_headers(headers).build().expect("a client");
    chat::Client::new_with_client(&service.base_url, page, credentials)
}

fn iframe_client(service: &Service) -> iframe::Client {
    let key = &service.demo.demo.iframe.api_key;
    iframe::Client::new(&service.base_url, Credentials::bearer(key))
}

fn admin_client(service: &Service) -> admin::Client {
    admin::Client::new(&service.base_url, Credentials::bearer(&service.demo.admin.token))
}

fn inbox() -> embed::types::CreateEmbedSession {
    model(json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] }))
}

/// Opens an inbox and reads it; gives the ids of the operations.
async fn call_the_embed_surface(service: &Service) -> [&'static str; 2] {
    let opened = embed_client(service).embed_session_create().body(inbox()).send().await;
    let opened = opened.expect("a signed request").into_inner().data;
    assert!(opened.iframe_url.ends_with(&format!("#token={}", opened.embed_token)));
    let page = embed::Client::new(&service.base_url, Credentials::bearer(&opened.embed_token));
    let grant = page.embed_session_read().send().await.expect("a token").into_inner().data;
    assert_eq!((grant.employee_id.as_str(), grant.expires_at), (EMPLOYEE, opened.expires_at));
    ["embedSessionCreate", "embedSessionRead"]
}

/// Opens a widget and reads its conversation; gives the ids of the operations.
async fn call_the_chat_surface(service: &Service) -> [&'static str; 4] {
    let key = &service.demo.demo.chat.public_key;
    let body = json!({ "publicKey": key, "variables": { "tags": ["vip"] } });
    let widget = chat_client(service, Credentials::none());
    let body: chat::types::CreateChatSession = model(body);
    let opened = widget.chat_session_create().body(body).send().await;
    let opened = opened.expect("a publishable key").into_inner();
    assert_eq!((opened.intents.len(), opened.quick_questions.len()), (5, 3));
    let holder = chat_client(service, Credentials::bearer(&opened.session_token));
    let read = holder.chat_conversation_read().send().await.expect("a token").into_inner();
    assert_eq!(read.conversation_id, opened.conversation_id);
    assert_eq!(Value::Object(read.variables), json!({ "tags": ["vip"] }));
    let refreshed = holder.chat_session_refresh().send().await.expect("a token").into_inner();
    assert_eq!(refreshed.conversation_id, opened.conversation_id);
    holder.chat_session_end().send().await.expect("a token");
    ["chatSessionCreate", "chatConversationRead", "chatSessionRefresh", "chatSessionEnd"]
}

/// Follows a session from its opening to its end; gives the ids of the operations.
async fn call_the_life_cycle(service: &Service) -> [&'static str; 10] {
    let key = &service.demo.demo.iframe.api_key;
    let backend = lifecycle::Client::new(&service.base_url, Credentials::bearer(key));
    let opened = embed_client(service).embed_session_create().body(inbox()).send().await;
    let token = opened.expect("a signed request").into_inner().data.embed_token;
    let question = || model::<lifecycle::types::TokenQuestion>(json!({ "token": token }));
    let told = backend.token_introspect().body(question()).send().await.expect("a key");
    let sid = told.into_inner().sid.expect("an active token");
    let read =
        backend.session_read().sid(sid.as_str()).send().await.expect("a session").into_inner();
    assert_eq!((read.sid.as_str(), read.employee.as_deref()), (sid.as_str(), Some(EMPLOYEE)));
    let renewed =
        backend.session_renew().sid(sid.as_str()).send().await.expect("a session").into_inner();
    assert!(renewed.token != token && renewed.expires_at >= read.expires_at);
    backend.token_revoke().body(question()).send().await.expect("a key");
    backend.session_revoke().sid(sid.as_str()).send().await.expect("a session");
    let body = json!({ "targets": [format!("session:{sid}")] });
    let body: lifecycle::types::SessionRevocation = model(body);
    let counts = backend.session_revoke_many().body(body).send().await.expect("a key");
    assert_eq!((counts.revoked, counts.not_revocable), (0, 1));
    let listed = backend.session_list().employee(EMPLOYEE).state("revoked").limit(200_u64);
    let listed = listed.send().await.expect("a key").into_inner();
    assert!(listed.items.iter().any(|it| it.sid == sid));
    let body: lifecycle::types::SessionExplain = model(json!({ "key_id": read.key_id }));
    let explained = backend.session_explain().body(body).send().await.expect("a key");
    assert_eq!(explained.decision, "granted");
    let body: lifecycle::types::SignatureDebug = model(json!({
        "key": service.demo.demo.embed.test_key,
        "timestamp": "1700000000000", "signature": "0", "body": "{}",
    }));
    let told = backend.signature_debug().body(body).send().await.expect("a key");
    assert!(!told.matches);
    let anybody = lifecycle::Client::new(&service.base_url, Credentials::none());
    anybody.jwks_read().send().await.expect("it is public");
    [
        "jwksRead",
        "sessionExplain",
        "signatureDebug",
        "tokenIntrospect",
        "sessionRead",
        "sessionRenew",
        "tokenRevoke",
        "sessionRevoke",
        "sessionRevokeMany",
        "sessionList",
    ]
}

/// Creates a link, redeems its cache key and counts a message of its user; gives the ids of the
/// operations.
async fn call_the_iframe_surface(service: &Service) -> [&'static str; 6] {
    let body = json!({ "uid": "client", "srcs": service.demo.demo.iframe.source_ids });
    let body: iframe::types::CreateIframeSession = model(body);
    let created = iframe_client(service).iframe_session_create().body(body).send().await;
    let created = created.expect("an API key").into_inner();
    let anybody = iframe::Client::new(&service.base_url, Credentials::none());
    let body: iframe::types::RedeemCacheKey = model(json!({ "cache_key": created.cache_key }));
    let redeemed = anybody.iframe_token_redeem().body(body).send().await;
    let redeemed = redeemed.expect("a cache key").into_inner();
    assert_eq!(redeemed.uid.as_str(), "client");
    // What is left of them, on a machine of any speed.
    assert!((1..=900).contains(&redeemed.expires_in), "{}", redeemed.expires_in);
    let host = iframe_client(service);
    let counted = host.usage_message_create().uid("client").send().await.expect("a user");
    let (message, used) = (counted.message_id.as_str(), counted.usage.monthly.used);
    let refund = host.usage_message_refund().uid("client").message_id(message).send().await;
    refund.expect("a message");
    let read = host.usage_read().uid("client").send().await.expect("a user");
    assert_eq!(read.monthly.used, used - 1);
    assert!(!host.usage_list().send().await.expect("a list").items.is_empty());
    [
        "iframeSessionCreate",
        "iframeTokenRedeem",
        "usageMessageCreate",
        "usageMessageRefund",
        "usageRead",
        "usageList",
    ]
}

/// Calls of the operator; gives the ids of the operations.
async fn call_the_admin_surface(service: &Service) -> Vec<&'static str> {
    let operator = admin_client(service);
    let body: admin::types::TenantCreate = model(json!({ "name": "Client" }));
    let tenant = operator.tenant_create().body(body).send().await.expect("an admin").into_inner();
    let id = tenant.tenant.tenant_id.as_str();
    let listed = operator.tenant_list().limit(200_u64).send().await;
    let listed = listed.expect("a list").into_inner();
    assert!(listed.items.iter().any(|it| it.tenant_id == id));
    let body = json!({ "tenantId": id, "kind": "embed", "label": "k", "scope": "read" });
    let body: admin::types::KeyCreate = model(body);
    let made = operator.key_create().body(body).send().await.expect("a tenant").into_inner();
    let (public, secret) = (made.credential.public_id, made.credential.secret);
    let (public, secret) = (public.expect("a public id"), secret.expect("a secret"));
    let key = made.key.key_id.as_str();
    let paused = operator.key_pause().key_id(key).send().await.expect("a key").into_inner();
    assert_eq!(paused.state.0, "paused");
    let resumed = operator.key_resume().key_id(key).send().await.expect("a key").into_inner();
    assert_eq!(resumed.state.0, "active");
    let own = embed::Client::new(&service.base_url, Credentials::signed(public, secret));
    own.embed_session_create().body(inbox()).send().await.expect("the new key signs");
    call_the_webhooks(&operator, id).await;
    let read = operator.key_read().key_id(key).send().await.expect("a key");
    assert_eq!(read.key_id.as_str(), key);
    let body: admin::types::KeyUpdate = model(json!({ "label": "renamed" }));
    let changed = operator.key_update().key_id(key).body(body).send().await.expect("a key");
    assert_eq!(changed.label, "renamed");
    let body: admin::types::KeyRotate = model(json!({ "overlapSeconds": 0 }));
    operator.key_rotate().key_id(key).body(body).send().await.expect("a key");
    let body: admin::types::SigningKeyRotate = model(json!({}));
    operator.signing_key_rotate().tenant_id(id).body(body).send().await.expect("a tenant");
    let all = operator.signing_key_list().tenant_id(id).send().await.expect("a tenant");
    assert_eq!(all.items.len(), 2);
    let keys = operator.key_list().tenant_id(id).kind("embed").send().await.expect("a list");
    assert_eq!(keys.items.len(), 1);
    operator.key_revoke().key_id(key).send().await.expect("a key");
    let acts = operator.audit_list().tenant_id(id).action("key.pause").send().await;
    assert_eq!(acts.expect("a list").items.len(), 1);
    let all: admin::types::TenantExport = model(json!({ "everything": true, "limit": 1 }));
    let page = operator.tenant_export().tenant_id(id).body(all).send().await.expect("a tenant");
    assert_eq!(page.items.len(), 1);
    let person: admin::types::TenantErase = model(json!({ "employeeId": EMPLOYEE }));
    let erased = operator.tenant_erase().tenant_id(id).body(person).send().await;
    assert!(erased.expect("a tenant").complete);
    operator.tenant_revoke().tenant_id(id).send().await.expect("a tenant");
    vec![
        "tenantCreate",
        "tenantList",
        "keyCreate",
        "keyPause",
        "keyResume",
        "keyList",
        "keyRead",
        "keyUpdate",
        "keyRotate",
        "signingKeyList",
        "signingKeyRotate",
        "keyRevoke",
        "tenantRevoke",
        "webhookCreate",
        "webhookList",
        "webhookRead",
        "webhookUpdate",
        "webhookDelete",
        "webhookSecretRotate",
        "webhookExampleRead",
        "webhookTest",
        "webhookDeliveryList",
        "webhookDeliveryReplay",
        "webhookReplayFailed",
        "tenantExport",
        "tenantErase",
        "auditList",
    ]
}

/// Everything that can be done with an endpoint of a tenant.
async fn call_the_webhooks(operator: &admin::Client, tenant: &str) {
    let body = json!({ "url": "http://127.0.0.1:1024/", "events": ["session.created"] });
    let body: admin::types::WebhookCreate = model(body);
    let made = operator.webhook_create().tenant_id(tenant).body(body).send().await;
    let made = made.expect("a tenant").into_inner();
    let id = made.webhook.webhook_id.as_str();
    let listed = operator.webhook_list().tenant_id(tenant).send().await.expect("a list");
    assert_eq!(listed.items.len(), 1);
    let read = operator.webhook_read().tenant_id(tenant).webhook_id(id).send().await;
    assert_eq!(read.expect("an endpoint").url, made.webhook.url);
    let body: admin::types::WebhookUpdate = model(json!({ "description": "d" }));
    let changed = operator.webhook_update().tenant_id(tenant).webhook_id(id).body(body);
    assert_eq!(changed.send().await.expect("an endpoint").description, "d");
    let body: admin::types::WebhookSecretRotate = model(json!({ "overlapSeconds": 60 }));
    let rotated = operator.webhook_secret_rotate().tenant_id(tenant).webhook_id(id).body(body);
    assert_ne!(rotated.send().await.expect("an endpoint").secret, made.secret);
    let examples = operator.webhook_example_read().tenant_id(tenant).webhook_id(id);
    assert_eq!(examples.send().await.expect("examples").key_rotated.type_, "key.rotated");
    let test = operator.webhook_test().tenant_id(tenant).webhook_id(id).send().await;
    let test = test.expect("an endpoint").into_inner().delivery;
    let log = operator.webhook_delivery_list().tenant_id(tenant).webhook_id(id).send().await;
    assert_eq!(log.expect("a log").items.len(), 1);
    let replay = operator.webhook_delivery_replay().tenant_id(tenant).webhook_id(id);
    replay.delivery_id(test.delivery_id.as_str()).send().await.expect("a delivery");
    let body: admin::types::ReplayFailed = model(json!({ "since": "2026-01-01T00:00:00.000Z" }));
    let failed = operator.webhook_replay_failed().tenant_id(tenant).webhook_id(id).body(body);
    assert_eq!(failed.send().await.expect("an endpoint").queued, 0);
    let deleted = operator.webhook_delete().tenant_id(tenant).webhook_id(id).send().await;
    deleted.expect("an endpoint");
}

#[tokio::test]
async fn the_clients_prove_themselves_and_call_every_operation() {
    let service = Service::shared();
    let mut called = BTreeSet::from_iter(call_the_admin_surface(service).await);
    called.extend(call_the_embed_surface(service).await);
    called.extend(call_the_chat_surface(service).await);
    called.extend(call_the_iframe_surface(service).await);
    called.extend(call_the_life_cycle(service).await);
    let documented: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.id).collect();
    assert_eq!(called, documented);
}

#[tokio::test]
async fn typed_errors_carry_the_code_and_every_violation() {
    let service = Service::shared();
    let lone: embed::types::CreateEmbedSession =
        model(json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatPage"] }));
    let refused = embed_client(service).embed_session_create().body(lone).send().await;
    let Err(Error::ErrorResponse(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.error, "invalid_request");
    assert_eq!(refused.headers()["x-request-id"], refused.request_id.as_str());
    let violations = &refused.details.0["violations"];
    assert_eq!(violations, &json!([{ "in": "body", "pointer": "/chatId", "keyword": "required" }]));

    let short = json!({ "uid": "u", "srcs": [], "ttl": 59 });
    let short: iframe::types::CreateIframeSession = model(short);
    let refused = iframe_client(service).iframe_session_create().body(short).send().await;
    let Err(Error::ErrorResponse(refused)) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error, "invalid_input");
    let violations = refused.details.0["violations"].as_array().expect("violations").iter();
    let typed = violations.map(|one| model::<iframe::types::Violation>(one.clone()));
    let mut found: Vec<_> =
        typed.map(|it| (it.pointer, it.keyword, it.limit.map(|l| l.0))).collect();
    found.sort_by(|a, b| a.0.cmp(&b.0));
    let expected = [
        ("/srcs".to_owned(), "minItems".to_owned(), Some(json!(1))),
        ("/ttl".to_owned(), "minimum".to_owned(), Some(json!(60))),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn every_surface_gives_its_errors_typed() {
    let service = Service::shared();
    let stranger = embed::Client::new(&service.base_url, Credentials::bearer("nonsense"));
    let refused = stranger.embed_session_read().send().await.expect_err("no token");
    assert!(matches!(&refused, Error::ErrorResponse(it) if it.error == "invalid_session_token"));
    let unknown = json!({ "publicKey": "pk_live_00000000000000000000000000000000" });
    let unknown: chat::types::CreateChatSession = model(unknown);
    let widget = chat_client(service, Credentials::none());
    let refused = widget.chat_session_create().body(unknown).send().await.expect_err("no key");
    assert!(matches!(&refused, Error::ErrorResponse(it) if it.error == "widget_disabled"));
    let anybody = iframe::Client::new(&service.base_url, Credentials::none());
    let body: iframe::types::RedeemCacheKey = model(json!({ "cache_key": "ck_unknown" }));
    let refused = anybody.iframe_token_redeem().body(body).send().await.expect_err("no key");
    assert!(matches!(&refused, Error::ErrorResponse(it) if it.error == "cache_key_not_found"));
    let nobody = admin::Client::new(&service.base_url, Credentials::none());
    let refused = nobody.tenant_list().send().await.expect_err("no token");
    let Error::ErrorResponse(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error, "missing_credentials");
    assert!(refused.headers().contains_key("www-authenticate"));
}

#[tokio::test]
async fn a_retry_is_signed_afresh() {
    let service = Service::start(|_| {});
    let client = embed_client(&service);
    let attempt = client.embed_session_create().body(inbox());
    service.context.clock.set_offset_ms(3_600_000);
    let refused = attempt.clone().send().await.expect_err("a clock that is an hour ahead");
    let Error::ErrorResponse(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.error, "timestamp_out_of_window");
    service.context.clock.set_offset_ms(0);
    attempt.clone().send().await.expect("the same call, signed again");
    // The same bytes in the same millisecond would be the same signature.
    let sent = crate::requests::now_ms();
    while crate::requests::now_ms() == sent {
        std::hint::spin_loop();
    }
    attempt.send().await.expect("no replay of the attempt before");
}

#[tokio::test]
async fn a_credential_that_headers_cannot_hold_is_an_error_before_anything_is_sent() {
    let client = admin::Client::new("http://127.0.0.1:9", Credentials::bearer("a\nb"));
    let refused = client.tenant_list().send().await.expect_err("no such header");
    assert!(matches!(refused, Error::InvalidRequest(_)), "{refused:?}");
}
