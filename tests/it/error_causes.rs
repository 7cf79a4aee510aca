//! Refusals that need a state of the world: a clock, a paused key, a used-up cache key.
//!
//! What they mean is tested beside their operations; here each is only produced for the list.

use serde_json::{Value, json};
use vestibule_api::codes;
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::{Code, OperationInfo};

use crate::callers::{Proof, Sent, bearer, fresh_timestamp, opened_by, signed_v2};
use crate::errors::{Callers, Produced, operation};
use crate::keyring::{demo_tenant, key_id, make_key, make_tenant, own_keys, revoke_key, set_key};
use crate::refused_renewals;
use crate::requests::{now_ms, open_iframe, signed};
use crate::service::Service;

const DAY_MS: i64 = 86_400_000;

/// Produces all of them.
pub async fn produce(produced: &mut Produced) {
    let callers = Callers::new(Service::shared()).await;
    signatures(&callers, produced).await;
    whole_signatures(&callers, produced).await;
    directories(&callers, produced).await;
    test_clocks(&callers, produced).await;
    widgets(&callers, produced).await;
    links(&callers, produced).await;
    cache_keys(&callers, produced).await;
    admin_targets(&callers, produced).await;
    sessions(&callers, produced).await;
    webhook_targets(&callers, produced).await;
    messages(&callers, produced).await;
    ceilings(produced).await;
    expiry_and_rate(produced).await;
    dead_keys(produced).await;
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    Some(value.to_string().into_bytes())
}

async fn signatures(callers: &Callers<'_>, produced: &mut Produced) {
    let create = operation("embedSessionCreate");
    let embed = &callers.service.demo.demo.embed;
    let body = callers.body(create).expect("a body");
    let old = signed(&embed.key, &embed.secret, fresh_timestamp() - DAY_MS, &body).to_vec();
    let refused = callers.send_as(create, "", old, Some(body.clone())).await;
    produced.note(create, "timestamp_out_of_window", &refused);
    let headers = callers.wallet.headers(create, &body);
    let first = callers.send_as(create, "", headers.clone(), Some(body.clone())).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let replay = callers.send_as(create, "", headers, Some(body)).await;
    produced.note(create, "signature_replayed", &replay);
    let body = json!({ "employeeId": embed.employee_id, "capabilities": ["showSendInput"] });
    let body = body.to_string().into_bytes();
    let read = signed(&embed.read_key, &embed.read_secret, fresh_timestamp(), &body).to_vec();
    let refused = callers.send_as(create, "", read, Some(body)).await;
    produced.note(create, "insufficient_scope", &refused);
}

/// Signatures of whole requests, on every operation that takes one.
async fn whole_signatures(callers: &Callers<'_>, produced: &mut Produced) {
    let embed = &callers.service.demo.demo.embed;
    for operation in opened_by(Proof::SignedV2) {
        // Of its own: the operations before may have ended their session.
        let callers = Callers::new(callers.service).await;
        let (path, body) = (callers.target.path(operation), callers.body(operation));
        let method = operation.method.as_str();
        let sent = Sent { method, target: &path, body: body.as_deref().unwrap_or_default() };
        let signed = |ahead: i64, sent: &Sent<'_>| {
            signed_v2(&embed.key, &embed.secret, fresh_timestamp() + ahead, sent).to_vec()
        };
        let old = callers.send_as(operation, "", signed(-DAY_MS, &sent), body.clone()).await;
        produced.note(operation, "timestamp_out_of_window", &old);
        let other = signed(0, &Sent { target: "/", ..sent });
        let other = callers.send_as(operation, "", other, body.clone()).await;
        produced.note(operation, "invalid_signature", &other);
        let right = signed(0, &sent);
        let first = callers.send_as(operation, "", right.clone(), body.clone()).await;
        assert!(first.status.is_success(), "{}", first.text);
        let replay = callers.send_as(operation, "", right, body.clone()).await;
        produced.note(operation, "signature_replayed", &replay);
        let code = codes::INSUFFICIENT_SCOPE;
        if operation.status_of(code).is_some() {
            let stamp = fresh_timestamp();
            let read = signed_v2(&embed.read_key, &embed.read_secret, stamp, &sent).to_vec();
            let refused = callers.send_as(operation, "", read, body.clone()).await;
            produced.note(operation, code.name, &refused);
        }
    }
}

/// A clock that is moved with a live key, on every operation that takes one.
async fn test_clocks(callers: &Callers<'_>, produced: &mut Produced) {
    for operation in OPERATIONS {
        let Some(clock) = &operation.test_clock else { continue };
        let body = callers.body(operation);
        let mut headers = callers.wallet.headers(operation, body.as_deref().unwrap_or_default());
        headers.push((clock.header, (now_ms() + 60_000).to_string()));
        let refused = callers.send_as(operation, "", headers, body).await;
        produced.note(operation, clock.refused.name, &refused);
    }
}

async fn directories(callers: &Callers<'_>, produced: &mut Produced) {
    let (service, create) = (callers.service, operation("embedSessionCreate"));
    let (tenant, _) =
        make_tenant(service, json!({ "name": "Strict", "directory": "strict" })).await;
    let key = make_key(service, &tenant, "embed", json!({})).await;
    let id = "64f000000000000000000001";
    for code in ["employee_not_found", "chat_not_found"] {
        let body = json!({ "employeeId": id, "capabilities": ["showChatPage"], "chatId": id });
        let body = body.to_string().into_bytes();
        let headers = signed(&key.public, &key.secret, fresh_timestamp(), &body).to_vec();
        let refused = callers.send_as(create, "", headers, Some(body)).await;
        produced.note(create, code, &refused);
        let audit = service.context.audit(&tenant, "test", "directory.put", id);
        let employee = vestibule::store::DirectoryKind::Employee;
        let put = service.context.store.put_directory(&tenant, employee, id, audit);
        put.await.expect("stored");
    }
}

async fn widgets(callers: &Callers<'_>, produced: &mut Produced) {
    let demo = &callers.service.demo.demo.chat;
    let create = operation("chatSessionCreate");
    let unknown = json!({ "publicKey": "pk_live_00000000000000000000000000000000" });
    produced.note(create, "widget_disabled", &callers.send(create, bytes(&unknown)).await);
    let forged = json!({
        "publicKey": demo.public_key, "customerId": "c", "customerToken": "nonsense",
    });
    produced.note(create, "invalid_customer_token", &callers.send(create, bytes(&forged)).await);
    let page = || ("origin", "https://evil.example".to_owned());
    let refused = callers.send_as(create, "", vec![page()], callers.body(create)).await;
    produced.note(create, "origin_not_allowed", &refused);
    for operation in opened_by(Proof::ChatToken) {
        let headers = vec![bearer(&callers.wallet.chat_token), page()];
        let refused = callers.send_as(operation, "", headers, callers.body(operation)).await;
        produced.note(operation, "origin_not_allowed", &refused);
    }
}

async fn links(callers: &Callers<'_>, produced: &mut Produced) {
    let create = operation("iframeSessionCreate");
    let srcs = json!(callers.service.demo.demo.iframe.source_ids);
    let theme = callers.service.demo.demo.iframe.theme_ids[0];
    for (code, body) in [
        ("unknown_source", json!({ "uid": "u", "srcs": ["nope"] })),
        ("theme_conflict", json!({ "uid": "u", "srcs": srcs, "theme": {}, "theme_id": theme })),
        ("theme_not_found", json!({ "uid": "u", "srcs": srcs, "theme_id": 999_999 })),
    ] {
        produced.note(create, code, &callers.send(create, bytes(&body)).await);
    }
    let deprecated = json!({ "uid": "u", "srcs": srcs, "show_sidebar": true });
    produced.note_success(create, &callers.send(create, bytes(&deprecated)).await);
}

async fn cache_keys(callers: &Callers<'_>, produced: &mut Produced) {
    let redeem = operation("iframeTokenRedeem");
    let page = vec![("origin", "https://evil.example".to_owned())];
    let refused = callers.send_as(redeem, "", page, callers.body(redeem)).await;
    produced.note(redeem, "origin_not_allowed", &refused);
    let unknown = json!({ "cache_key": "ck_unknown" });
    produced.note(redeem, "cache_key_not_found", &callers.send(redeem, bytes(&unknown)).await);
    let (service, demo) = (callers.service, &callers.service.demo.demo);
    let body = json!({ "uid": "u", "srcs": demo.iframe.source_ids });
    let created = open_iframe(&service.base_url, demo, &body).await;
    let key = json!({ "cache_key": created.body["cache_key"] });
    for _ in 0..10 {
        assert_eq!(callers.send(redeem, bytes(&key)).await.status, 200);
    }
    produced.note(redeem, "cache_key_used", &callers.send(redeem, bytes(&key)).await);
}

async fn messages(callers: &Callers<'_>, produced: &mut Produced) {
    let mut lost = Callers::new(callers.service).await;
    lost.target.message_id = format!("msg_{}", "a".repeat(26));
    let refund = operation("usageMessageRefund");
    produced.note(refund, "message_not_found", &lost.send(refund, None).await);
    let demo = &callers.service.demo.demo;
    lost.target.uid = "spent".to_owned();
    let body = json!({
        "uid": "spent", "srcs": demo.iframe.source_ids, "limits": { "weekly": 0 },
    });
    assert_eq!(open_iframe(&callers.service.base_url, demo, &body).await.status, 200);
    let create = operation("usageMessageCreate");
    produced.note(create, "limit_exceeded", &lost.send(create, None).await);
}

/// Each kind of key, one session a day.
async fn ceilings(produced: &mut Produced) {
    let service = Service::start(|_| {});
    // The day does not end here.
    service.context.clock.hold_at_ms(fresh_timestamp());
    let (mut callers, tenant) = (Callers::new(&service).await, demo_tenant(&service).await);
    let members = json!({ "ceilings": { "sessionsPerDay": 1 } });
    own_keys(&service, &mut callers.wallet.tenant, &tenant, &members).await;
    for id in ["embedSessionCreate", "chatSessionCreate", "iframeSessionCreate"] {
        let create = operation(id);
        let opened = callers.send(create, callers.body(create)).await;
        assert!(opened.status.is_success(), "{}", opened.text);
        produced.note(create, "limit_exceeded", &callers.send(create, callers.body(create)).await);
    }
}

async fn admin_targets(callers: &Callers<'_>, produced: &mut Produced) {
    let mut lost = Callers::new(callers.service).await;
    lost.target.tenant_id = format!("ten_{}", "a".repeat(26));
    lost.target.key_id = format!("key_{}", "a".repeat(26));
    lost.target.webhook_id = format!("whk_{}", "a".repeat(26));
    lost.target.delivery_id = format!("msg_{}", "a".repeat(26));
    for admin in documenting(codes::TENANT_NOT_FOUND) {
        produced.note(admin, "tenant_not_found", &lost.send(admin, lost.body(admin)).await);
    }
    for admin in documenting(codes::KEY_NOT_FOUND).filter(|it| it.path.contains("{keyId}")) {
        produced.note(admin, "key_not_found", &lost.send(admin, lost.body(admin)).await);
    }
    let (rotating, body) = (Callers::new(callers.service).await, json!({}));
    for rotate in documenting(codes::ROTATION_IN_PROGRESS) {
        produced.note_success(rotate, &rotating.send(rotate, bytes(&body)).await);
        let third = rotating.send(rotate, bytes(&body)).await;
        produced.note(rotate, "rotation_in_progress", &third);
    }
}

async fn sessions(callers: &Callers<'_>, produced: &mut Produced) {
    let mut lost = Callers::new(callers.service).await;
    lost.target.sid = format!("ses_{}", "a".repeat(26));
    for operation in documenting(codes::SESSION_NOT_FOUND) {
        produced.note(operation, "session_not_found", &lost.send(operation, None).await);
    }
    let service = Service::start(|_| {});
    let renew = operation("sessionRenew");
    for (code, _, _, answer) in refused_renewals::all(&service).await {
        produced.note(renew, code, &answer);
    }
    let refresh = operation("chatSessionRefresh");
    let answer = refused_renewals::of_a_widget(&service).await;
    produced.note(refresh, "intent_not_allowed", &answer);
    let answer = refused_renewals::of_an_old_widget(&service).await;
    produced.note(refresh, "lifetime_exhausted", &answer);
    let debug = operation("signatureDebug");
    let demo = &callers.service.demo.demo;
    for key in [&demo.embed.key, &callers.service.demo.other.embed.test_key] {
        let body = json!({ "key": key, "timestamp": "1", "signature": "0", "body": "" });
        produced.note(debug, "key_not_found", &lost.send(debug, bytes(&body)).await);
    }
}

async fn webhook_targets(callers: &Callers<'_>, produced: &mut Produced) {
    let mut lost = Callers::new(callers.service).await;
    lost.target.webhook_id = format!("whk_{}", "a".repeat(26));
    for admin in documenting(codes::WEBHOOK_NOT_FOUND) {
        produced.note(admin, "webhook_not_found", &lost.send(admin, lost.body(admin)).await);
    }
    let replay = operation("webhookDeliveryReplay");
    produced.note(replay, "delivery_not_found", &lost.send(replay, None).await);
    let disabled = Callers::new(callers.service).await;
    let off = json!({ "state": "disabled" });
    let off = disabled.send(operation("webhookUpdate"), bytes(&off)).await;
    assert_eq!(off.body["state"], "disabled", "{}", off.text);
    for admin in documenting(codes::WEBHOOK_DISABLED) {
        let refused = disabled.send(admin, disabled.body(admin)).await;
        produced.note(admin, "webhook_disabled", &refused);
    }
}

/// What a clock two hours ahead ends, and what calling too often does.
async fn expiry_and_rate(produced: &mut Produced) {
    let service = Service::start(|config| config.limits.redeem_per_minute = 1);
    let callers = Callers::new(&service).await;
    // And stands still: the minute of exchanges does not end here.
    service.context.clock.hold_at_ms(fresh_timestamp() + 2 * 3_600_000);
    for operation in documenting(codes::TOKEN_EXPIRED) {
        let refused = callers.send(operation, callers.body(operation)).await;
        produced.note(operation, "token_expired", &refused);
    }
    let redeem = operation("iframeTokenRedeem");
    for code in ["cache_key_expired", "rate_limited"] {
        produced.note(redeem, code, &callers.send(redeem, callers.body(redeem)).await);
    }
}

async fn dead_keys(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    let tenant = demo_tenant(&service).await;
    set_key(&service, &key_id(&service, &tenant, "Demo CRM").await, "pause").await;
    for embed in opened_by(Proof::EmbedToken) {
        let refused = callers.send(embed, callers.body(embed)).await;
        produced.note(embed, "token_revoked", &refused);
    }
    let widget = key_id(&service, &tenant, "Demo widget").await;
    set_key(&service, &widget, "pause").await;
    for chat in opened_by(Proof::ChatToken) {
        let refused = callers.send(chat, callers.body(chat)).await;
        produced.note(chat, "widget_disabled", &refused);
    }
    revoke_key(&service, &widget).await;
    for chat in opened_by(Proof::ChatToken) {
        let refused = callers.send(chat, callers.body(chat)).await;
        produced.note(chat, "token_revoked", &refused);
    }
}

/// The operations that document a refusal.
fn documenting(code: Code) -> impl Iterator<Item = &'static OperationInfo> {
    OPERATIONS.iter().copied().filter(move |it| it.status_of(code).is_some())
}
