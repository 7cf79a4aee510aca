//! Sessions as a backend reads, lists and ends them.

use reqwest::Method;
use serde_json::json;

use crate::callers::text;
use crate::database::query;
use crate::keyring::{demo_tenant, make_key, make_tenant, members, revoke_key, set_key};
use crate::lifecycle::{Backend, EMPLOYEE, at};
use crate::process::Process;
use crate::requests::{get, open_embed};
use crate::service::Service;

/// A backend of a tenant of its own, which has nothing but what the test opens.
async fn alone(service: &Service) -> (Backend<'_>, String) {
    let (id, _) = make_tenant(service, json!({ "name": "Alone" })).await;
    let mut backend = Backend::demo(service);
    let embed = make_key(service, &id, "embed", json!({ "scope": "read-write" })).await;
    let settings =
        json!({ "allowsAllIntents": true, "allowedOrigins": [backend.tenant.chat.origin] });
    let chat = make_key(service, &id, "chat", settings).await;
    let iframe = make_key(service, &id, "iframe", json!({})).await;
    let audit = service.context.audit(&id, "test", "source.put", "1");
    service.context.store.put_source(&id, "1", audit).await.expect("stored");
    let tenant = &mut backend.tenant;
    (tenant.embed.key, tenant.embed.secret) = (embed.public, embed.secret);
    (tenant.chat.public_key, tenant.iframe.api_key) = (chat.public, iframe.secret);
    tenant.iframe.source_ids = serde_json::from_value(json!(["1"])).expect("ids");
    (backend, id)
}

#[tokio::test]
async fn a_session_is_read_with_what_its_surface_knows() {
    let service = Service::shared();
    let backend = Backend::demo(service);
    let tenant = demo_tenant(service).await;
    for (surface, more) in
        [("embed", vec!["employee"]), ("chat", vec!["chat", "customer"]), ("iframe", vec!["uid"])]
    {
        let opened = backend.open(surface).await;
        let read = backend.read(&opened.sid).await;
        assert_eq!(read.status, 200, "{}", read.text);
        assert_eq!(read.header("cache-control"), "no-store");
        let mut expected: Vec<_> = [
            "expires_at",
            "expires_in",
            "issued_at",
            "key_id",
            "mode",
            "sid",
            "state",
            "surface",
            "tenant_id",
        ]
        .into();
        expected.extend(more);
        expected.sort_unstable();
        assert_eq!(members(&read.body), expected);
        assert_eq!(read.body["tenant_id"], tenant);
        assert_eq!((&read.body["surface"], &read.body["state"]), (&surface.into(), &"live".into()));
        let gone = Backend::other(service).read(&opened.sid).await;
        gone.refused(404, "session_not_found");
    }
}

#[tokio::test]
async fn a_state_follows_clock_key_and_revocation() {
    let service = Service::start(|_| {});
    let (backend, ids) = Backend::with_keys(&service, json!({})).await;
    let state = async |sid: &str| text(&Backend::demo(&service).read(sid).await, "/state");
    let (one, two) = (backend.open("embed").await, backend.open("embed").await);
    assert_eq!(backend.end(&one.sid).await.status, 204);
    assert_eq!(backend.end(&one.sid).await.status, 204, "ending twice is answered alike");
    assert_eq!((state(&one.sid).await, state(&two.sid).await), ("revoked".into(), "live".into()));
    set_key(&service, &ids[0], "pause").await;
    assert_eq!(state(&two.sid).await, "live", "paused, not over");
    revoke_key(&service, &ids[0]).await;
    assert_eq!(state(&two.sid).await, "revoked");
    at(&service, 3600);
    assert_eq!(
        (state(&one.sid).await, state(&two.sid).await),
        ("revoked".into(), "expired".into())
    );
    backend.end(&format!("ses_{}", "a".repeat(26))).await.refused(404, "session_not_found");
    Backend::other(&service).end(&two.sid).await.refused(404, "session_not_found");
}

#[tokio::test]
async fn lists_are_the_latest_first_and_stable_while_sessions_are_opened() {
    let service = Service::shared();
    let (backend, _) = alone(service).await;
    let mut opened = Vec::new();
    for n in 0..7 {
        opened.push(backend.open_iframe(&format!("user-{}", n % 2), 900).await.sid);
    }
    opened.reverse();
    assert_eq!(backend.list("", 200).await, opened);
    for limit in 1..8 {
        assert_eq!(backend.list("", limit).await, opened, "pages of {limit}");
    }
    let first = backend.call(Method::GET, "/sessions?limit=3", None).await;
    backend.open_iframe("late", 900).await;
    let next = text(&first, "/next");
    let second = backend.call(Method::GET, &format!("/sessions?limit=9&after={next}"), None).await;
    let ids: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page.body["items"].as_array().expect("items").iter())
        .map(|it| it["sid"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, opened, "what was opened between two pages is in neither");
    assert_eq!(second.body.get("next"), None);
}

#[tokio::test]
async fn filters_narrow_a_list_all_together() {
    let service = Service::shared();
    let (backend, tenant) = alone(service).await;
    let embed = backend.open("embed").await.sid;
    let chat = backend.open("chat").await.sid;
    let iframe = backend.open("iframe").await.sid;
    let all = [iframe.clone(), chat.clone(), embed.clone()];
    let read = backend.read(&chat).await.body;
    let of = |name: &str| read[name].as_str().expect("text").to_owned();
    backend.end(&iframe).await;
    let cases = [
        (String::new(), &all[..]),
        ("surface=chat".into(), &all[1..2]),
        ("state=live".into(), &all[1..]),
        ("state=revoked".into(), &all[..1]),
        ("state=expired".into(), &[]),
        ("uid=user-1".into(), &all[..1]),
        ("uid=user-1&state=live".into(), &[]),
        ("customer=customer-1".into(), &all[1..2]),
        ("customer=customer-2".into(), &[]),
        (format!("employee={EMPLOYEE}"), &all[2..]),
        (format!("chat={}", of("chat")), &all[1..2]),
        (format!("key={}", of("key_id")), &all[1..2]),
        (format!("key={}&surface=embed", of("key_id")), &[]),
        (format!("tenant_id={tenant}"), &all[..]),
        (format!("tenant_id={}", demo_tenant(service).await), &[]),
        (format!("issued_after={}", of("issued_at")), &all[..2]),
        (format!("issued_before={}", of("issued_at")), &all[2..]),
    ];
    for (query, expected) in cases {
        for limit in [1, 200] {
            assert_eq!(backend.list(&query, limit).await, expected, "{query} {limit}");
        }
    }
}

#[tokio::test]
async fn many_are_ended_by_target_with_exact_counts() {
    let service = Service::shared();
    let (backend, tenant) = alone(service).await;
    let mut opened = Vec::new();
    for uid in ["a", "a", "b"] {
        opened.push(backend.open_iframe(uid, 900).await);
    }
    for surface in ["embed", "chat"] {
        opened.push(backend.open(surface).await);
    }
    backend.end(&opened[1].sid).await;
    let conversation = text(&backend.read(&opened[4].sid).await, "/chat");
    let other = Backend::other(service).end_all(json!({ "targets": ["uid:a"] })).await;
    assert_eq!(other, (0, 0), "another tenant's sessions are not there");
    let foreign = json!({ "targets": ["uid:a"], "tenant_id": demo_tenant(service).await });
    assert_eq!(backend.end_all(foreign).await, (0, 0));
    let early = json!({ "targets": ["uid:a"], "issued_before": "2020-01-01T00:00:00Z" });
    assert_eq!(backend.end_all(early).await, (0, 0), "opened later");
    let body = json!({
        "tenant_id": tenant,
        "targets": ["uid:a", format!("session:{}", opened[0].sid), "uid:nobody", format!("employee:{EMPLOYEE}")],
    });
    assert_eq!(backend.end_all(body.clone()).await, (2, 1));
    assert_eq!(backend.end_all(body).await, (0, 3), "sent again, nothing changes");
    let rest =
        json!({ "targets": [format!("chat:{conversation}"), "customer:customer-1", "uid:b"] });
    assert_eq!(backend.end_all(rest).await, (2, 0));
    for opened in &opened {
        assert_eq!(backend.introspect(&opened.token).await.body, json!({ "active": false }));
    }
    backend.use_token(&opened[3].token).await.refused(401, "token_revoked");
    assert_eq!(backend.list("state=live", 200).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_margin_leaves_pages_time_to_open_new_sessions() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    let start = service.context.clock.now_ms();
    let hold = |later_ms: i64| service.context.clock.hold_at_ms(start + later_ms);
    hold(0);
    let opened = backend.open("embed").await;
    let target = format!("employee:{EMPLOYEE}");
    let body = json!({ "targets": [target], "reauth_margin_s": 30 });
    hold(1);
    assert_eq!(backend.end_all(body.clone()).await, (1, 0));
    assert_eq!(backend.use_token(&opened.token).await.status, 200, "it works as before");
    let read = backend.read(&opened.sid).await;
    assert_eq!(read.body["state"], "live");
    assert!(read.body["revoked_at"].is_string(), "its end is told: {}", read.text);
    backend.renew(&opened.sid).await.refused(409, "session_ended");
    let again = backend.open("embed").await;
    assert_eq!(backend.end_all(json!({ "targets": [target], "reauth_margin_s": 300, "issued_before": read.body["issued_at"] })).await, (0, 0));
    hold(30_000);
    assert_eq!(backend.use_token(&opened.token).await.status, 200);
    hold(30_001);
    backend.use_token(&opened.token).await.refused(401, "token_revoked");
    assert_eq!(backend.use_token(&again.token).await.status, 200, "opened after the request");
}

#[test]
fn what_is_revoked_stays_revoked_across_a_restart() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let process = Process::start(data.path(), 0);
    let port = process.port();
    let open = async |process: &Process| {
        let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
        let opened = open_embed(&process.base_url, &process.demo.demo, &body).await;
        text(&opened, "/data/embedToken")
    };
    let read = async |process: &Process, token: &str| {
        get(&format!("{}/v1/embed/session", process.base_url), token).await
    };
    let (ended, kept) = runtime.block_on(async {
        let (ended, kept) = (open(&process).await, open(&process).await);
        let url = format!("{}/v1/tokens/revoke", process.base_url);
        let key = format!("Bearer {}", process.demo.demo.iframe.api_key);
        let headers = [("authorization", key.as_str())];
        let revoked = crate::requests::post(&url, &headers, &json!({ "token": ended })).await;
        assert_eq!(revoked.status, 200, "{}", revoked.text);
        (ended, kept)
    });
    process.kill();
    let process = Process::start(data.path(), port);
    runtime.block_on(async {
        read(&process, &ended).await.refused(401, "token_revoked");
        assert_eq!(read(&process, &kept).await.status, 200);
    });
    assert!(process.terminate().success());
}

#[tokio::test]
async fn ends_and_renewals_are_in_the_audit() {
    let service = Service::start(|_| {});
    let backend = Backend::demo(&service);
    let opened = backend.open("embed").await;
    assert_eq!(backend.renew(&opened.sid).await.status, 200);
    assert_eq!(backend.end(&opened.sid).await.status, 204);
    let sql = "SELECT action FROM audit WHERE target = ? ORDER BY sequence";
    let actions = query(service.data(), sql, &[&opened.sid]).concat();
    assert_eq!(actions, ["session.open", "session.renew", "session.revoke"]);
}
