//! Failures of the service itself, made as they would happen: a database that is gone, and rows
//! that hold what no document allows.

use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::context::Context;
use vestibule::domain::api_key::KeyHash;
use vestibule::domain::catalogue::Flow;
use vestibule::domain::key::{
    Ceilings, Identity, Kept, Key, KeySecret, KeySettings, KeyState, Mode, Scope,
};
use vestibule::domain::sealing::Sealed;
use vestibule::domain::session::{AuditEntry, Conversation, Grant, Session};
use vestibule::domain::signing_key::SigningAlgorithm;
use vestibule::domain::tenant::{Directory, Tenant};
use vestibule::domain::theme::ThemeSettings;
use vestibule::domain::{chat_session, chat_token, embed_session};
use vestibule_api::register::OPERATIONS;

use crate::callers::{Proof, fresh_timestamp, opened_by, text};
use crate::database::tamper;
use crate::errors::{Callers, Produced, operation};
use crate::keyring::{demo_tenant, key_id};
use crate::requests::{post, signed};
use crate::service::Service;

/// Produces all of them.
pub async fn produce(produced: &mut Produced) {
    a_lost_database(produced).await;
    a_lost_database_behind_a_known_origin(produced).await;
    a_lost_table(produced).await;
    lost_sessions(produced).await;
    broken_sessions(produced).await;
    broken_offers(produced).await;
    broken_keys_and_tenants(produced).await;
    broken_diagnostics(produced).await;
    lost_usage(produced).await;
}

async fn a_lost_database(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    service.context.store.close().await;
    for operation in OPERATIONS {
        // What was read a moment ago may still be answered, for a second at most.
        let deadline = Instant::now() + Duration::from_secs(30);
        let mut answer = callers.send(operation, callers.body(operation)).await;
        while answer.status == 200 && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(50)).await;
            answer = callers.send(operation, callers.body(operation)).await;
        }
        produced.note(operation, "unavailable", &answer);
    }
}

/// Which origins may read answers is known for a second after the database is gone; a busy machine
/// may need that second for other things.
async fn a_lost_database_behind_a_known_origin(produced: &mut Produced) {
    let read = operation("chatConversationRead");
    let deadline = Instant::now() + Duration::from_secs(60);
    for asked in opened_by(Proof::ChatToken) {
        loop {
            let service = Service::start(|_| {});
            let callers = Callers::new(&service).await;
            assert_eq!(callers.send(read, None).await.status, 200);
            service.context.store.close().await;
            let answer = callers.send(asked, callers.body(asked)).await;
            produced.note(asked, "unavailable", &answer);
            if !answer.header("access-control-allow-origin").is_empty() {
                break;
            }
            assert!(Instant::now() < deadline, "no answer came within the second");
        }
    }
}

/// Every operation that writes says who did what; without that table none of them can. Without that
/// of endpoints, nothing is told of them. What does without these tables is no failure here: the
/// ledger says which operation failed in no way at all.
async fn a_lost_table(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    drop_table(&service, "audit");
    drop_table(&service, "webhooks");
    drop_table(&service, "signing_keys");
    drop_table(&service, "audit_chains");
    failures(&callers, produced).await;
}

/// Takes note of every operation that fails as things are.
async fn failures(callers: &Callers<'_>, produced: &mut Produced) {
    for operation in OPERATIONS {
        let answer = callers.send(operation, callers.body(operation)).await;
        if answer.code() == "internal" {
            produced.note(operation, "internal", &answer);
        }
    }
}

/// What nothing can be counted in.
async fn lost_usage(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let callers = Callers::new(&service).await;
    drop_table(&service, "uid_usage");
    drop_table(&service, "uid_messages");
    failures(&callers, produced).await;
}

/// Sessions are asked for by their id without anything being written.
async fn lost_sessions(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let mut callers = Callers::new(&service).await;
    // One that nobody has read yet, so that it is in no cache.
    callers.target.sid = format!("ses_{}", "a".repeat(26));
    drop_table(&service, "sessions");
    // What was read before is stale then.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    failures(&callers, produced).await;
    // Naming another tenant, this one is answered without looking.
    let (many, own) = (operation("sessionRevokeMany"), json!({ "targets": ["uid:nobody"] }));
    let answer = callers.send(many, Some(own.to_string().into_bytes())).await;
    produced.note(many, "internal", &answer);
}

fn drop_table(service: &Service, table: &str) {
    let sql = format!("DROP TABLE {table}");
    tamper(service.data(), &sql, &format!("{sql} CASCADE"));
}

fn audit(context: &Context, tenant: &str) -> AuditEntry {
    context.audit(tenant, "test", "break", tenant)
}

fn session(context: &Context, tenant: &str, key: &str, grant: Grant) -> Session {
    let now = context.clock.now_ms();
    let ids = context.fresh_ids(now);
    Session {
        tenant: tenant.to_owned(),
        id: ids.session,
        key_id: key.to_owned(),
        key_generation: 1,
        token_id: ids.token,
        issued_at: now,
        ttl_s: 900,
        renewed_at: None,
        earlier: vec![],
        expires_at: (now / 1000 + 900) * 1000,
        revoked_at: None,
        last_used_at: None,
        grant,
    }
}

/// Sessions whose genuine tokens lead to rows that cannot be shown.
async fn broken_sessions(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let (context, tenant) = (&service.context, demo_tenant(&service).await);
    let mut callers = Callers::new(&service).await;
    let employee = "64f000000000000000000001".to_owned();
    let grant = Grant::Embed { employee, capabilities: vec!["fly".to_owned()], chat: None };
    let key = key_id(&service, &tenant, "Demo CRM").await;
    let embed = session(context, &tenant, &key, grant);
    let claims = embed_session::claims(&embed, context.tokens.issuer()).expect("an embed session");
    callers.wallet.embed_token = context.tokens.mint(&claims).expect("a token");
    let opened =
        context.store.open_embed_session(embed, &[7; 32], 0, audit(context, &tenant), None);
    opened.await.expect("stored");
    let read = operation("embedSessionRead");
    produced.note(read, "internal", &callers.send(read, None).await);

    let conversation = Conversation {
        tenant: tenant.clone(),
        id: "no uuid".to_owned(),
        customer_id: None,
        verified: false,
        locale: None,
        variables: serde_json::Map::new(),
        opened_at: context.clock.now_ms(),
    };
    let grant = Grant::Chat {
        conversation: conversation.id.clone(),
        origin: None,
        customer: None,
        intents: vec![],
    };
    let key = key_id(&service, &tenant, "Demo widget").await;
    let chat = session(context, &tenant, &key, grant);
    let claims = chat_session::claims(&chat).expect("a chat session");
    callers.wallet.chat_token = chat_token::mint(&context.master_keys, &claims);
    let audit = audit(context, &tenant);
    let opened = context.store.open_chat_session(chat, conversation, |_| vec![], audit, None).await;
    opened.expect("stored");
    let read = operation("chatConversationRead");
    produced.note(read, "internal", &callers.send(read, None).await);
}

/// A flow and a theme that say what their schemas do not allow.
async fn broken_offers(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let (context, tenant) = (&service.context, demo_tenant(&service).await);
    let callers = Callers::new(&service).await;
    let flow: Flow = serde_json::from_value(json!({
        "id": "f", "name": "f", "published": true,
        "intent": { "name": "f", "displayLabel": "f", "styleVariant": "baroque" },
    }))
    .expect("a flow");
    context.store.put_flow(&tenant, &flow, audit(context, &tenant)).await.expect("stored");
    let create = operation("chatSessionCreate");
    produced.note(create, "internal", &callers.send(create, callers.body(create)).await);
    let theme = ThemeSettings { theme_mode: Some("plaid".to_owned()), ..ThemeSettings::default() };
    let put = context.store.put_theme(&tenant, 999, true, &theme, audit(context, &tenant));
    put.await.expect("stored");
    let redeem = operation("iframeTokenRedeem");
    produced.note(redeem, "internal", &callers.send(redeem, callers.body(redeem)).await);
}

fn key(context: &Context, tenant: &str, settings: KeySettings) -> Key {
    Key {
        tenant: tenant.to_owned(),
        id: context.ids.id("key_"),
        lookup: context.ids.hex::<16>("yk_"),
        mode: Mode::Live,
        label: "broken".to_owned(),
        state: KeyState::Active,
        allowed_origins: vec!["no origin".to_owned()],
        idle_timeout_s: None,
        max_lifetime_s: None,
        ceilings: Ceilings::default(),
        settings,
        secrets: vec![],
        created_at: context.clock.now_ms(),
    }
}

/// A key whose secret does not open, one that cannot be shown, and a tenant of a strange name.
async fn broken_keys_and_tenants(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let (context, tenant) = (&service.context, demo_tenant(&service).await);
    let mut callers = Callers::new(&service).await;
    let mut damaged = key(context, &tenant, KeySettings::Embed { scope: Scope::Read });
    let secret = Sealed(vec![0; 64]);
    let kept = Kept::Sealed(secret);
    damaged.secrets = vec![KeySecret { generation: 1, kept, created_at: 0, not_after: None }];
    let lookup = damaged.lookup.clone();
    context.store.create_key(damaged, audit(context, &tenant), None).await.expect("stored");
    let create = operation("embedSessionCreate");
    let body = callers.body(create).expect("a body");
    let headers = signed(&lookup, "any", fresh_timestamp(), &body).to_vec();
    let answer = callers.send_as(create, "", headers, Some(body)).await;
    produced.note(create, "internal", &answer);

    let identity = Identity::Off;
    let chat = KeySettings::Chat { allowed_intents: None, allow_no_origin: false, identity };
    let strange = key(context, &tenant, chat);
    callers.target.key_id.clone_from(&strange.id);
    context.store.create_key(strange, audit(context, &tenant), None).await.expect("stored");
    for id in ["keyList", "keyRead", "keyUpdate", "keyRotate", "keyPause", "keyResume"] {
        let operation = operation(id);
        let answer = callers.send(operation, callers.body(operation)).await;
        produced.note(operation, "internal", &answer);
    }
    let nameless = Tenant {
        id: "ten_1".to_owned(),
        name: "Strange".to_owned(),
        directory: Directory::Open,
        signing: SigningAlgorithm::Hs256,
        identity_secret: Sealed(vec![0; 64]),
        created_at: context.clock.now_ms(),
        revoked_at: None,
        erased_at: None,
    };
    context.store.create_tenant(nameless, audit(context, "ten_1"), None).await.expect("stored");
    let list = operation("tenantList");
    produced.note(list, "internal", &callers.send(list, None).await);
}

fn found_by(lookup: &str) -> KeySecret {
    let kept = Kept::Lookup(lookup.to_owned());
    KeySecret { generation: 1, kept, created_at: 0, not_after: None }
}

/// A key for trying out and an identity secret that do not open.
async fn broken_diagnostics(produced: &mut Produced) {
    let service = Service::start(|_| {});
    let (context, tenant) = (&service.context, demo_tenant(&service).await);
    let callers = Callers::new(&service).await;
    let mut damaged = key(context, &tenant, KeySettings::Embed { scope: Scope::Read });
    damaged.mode = Mode::Test;
    let kept = Kept::Sealed(Sealed(vec![0; 64]));
    damaged.secrets = vec![KeySecret { generation: 1, kept, created_at: 0, not_after: None }];
    let body = json!({ "key": damaged.lookup, "timestamp": "1", "signature": "0", "body": "" });
    context.store.create_key(damaged, audit(context, &tenant), None).await.expect("stored");
    let debug = operation("signatureDebug");
    let answer = callers.send(debug, Some(body.to_string().into_bytes())).await;
    produced.note(debug, "internal", &answer);

    let owner = context.ids.id("ten_");
    let nobody = Tenant {
        id: owner.clone(),
        name: "Locked out".to_owned(),
        directory: Directory::Open,
        signing: SigningAlgorithm::Hs256,
        identity_secret: Sealed(vec![0; 64]),
        created_at: context.clock.now_ms(),
        revoked_at: None,
        erased_at: None,
    };
    context.store.create_tenant(nobody, audit(context, &owner), None).await.expect("stored");
    let identity = Identity::Optional;
    let settings = KeySettings::Chat { allowed_intents: None, allow_no_origin: true, identity };
    let mut widget = key(context, &owner, settings);
    widget.lookup = context.ids.hex::<16>("pk_live_");
    widget.secrets = vec![found_by(&widget.lookup)];
    let request =
        json!({ "publicKey": widget.lookup, "customerId": "c", "customerToken": "a.b.c" });
    let body = json!({ "key_id": widget.id, "request": request.to_string() });
    context.store.create_key(widget, audit(context, &owner), None).await.expect("stored");
    let mut backend = key(context, &owner, KeySettings::Iframe { max_redemptions: 1 });
    let secret = context.ids.hex::<32>("iak_");
    backend.lookup = KeyHash::of(&secret).lookup();
    backend.secrets = vec![found_by(&backend.lookup)];
    context.store.create_key(backend, audit(context, &owner), None).await.expect("stored");
    let explain = operation("sessionExplain");
    let headers = vec![("authorization", format!("Bearer {secret}"))];
    let answer = callers.send_as(explain, "", headers, Some(body.to_string().into_bytes())).await;
    produced.note(explain, "internal", &answer);
}

/// The service goes on after a failure, and its cause is told to nobody.
#[tokio::test]
async fn a_failure_is_told_without_its_cause() {
    let service = Service::start(|_| {});
    let demo = &service.demo.demo.chat;
    let (context, tenant) = (&service.context, demo_tenant(&service).await);
    let flow = json!({
        "id": "f", "name": "f", "published": true,
        "intent": { "name": "f", "displayLabel": "f", "styleVariant": "baroque" },
    });
    let mut flow: Flow = serde_json::from_value(flow).expect("a flow");
    context.store.put_flow(&tenant, &flow, audit(context, &tenant)).await.expect("stored");
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": demo.public_key });
    let failed = post(&url, &[("origin", &demo.origin)], &body).await;
    failed.refused(500, "internal");
    assert!(!failed.text.contains("baroque"), "{}", failed.text);
    assert_eq!(failed.body["details"], json!({}));
    assert_eq!(failed.header("access-control-allow-origin"), demo.origin);
    flow.published = false;
    context.store.put_flow(&tenant, &flow, audit(context, &tenant)).await.expect("stored");
    let opened = post(&url, &[("origin", &demo.origin)], &body).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    assert!(!text(&opened, "/sessionToken").is_empty());
}
