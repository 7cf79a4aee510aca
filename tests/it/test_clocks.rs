//! Who moves the clock of a request, how far, and what stays the service's own.

use reqwest::Method;
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::Timestamp;

use crate::callers::{Proof, Sent, Target, Wallet, admin, bearer, send_owned, text};
use crate::constraints::none;
use crate::keyring::tenant_id;
use crate::requests::{get, now_ms, open_embed, open_iframe, post, send, signed};
use crate::service::Service;
use crate::test_keys::{CLOCK, EMPLOYEE, HOUR, MINUTE, TestKeys, ahead, bound_ms, soon};

#[tokio::test]
async fn no_live_credential_moves_the_clock_of_any_operation() {
    let service = Service::start(|config| config.limits.redeem_per_minute = 1 << 20);
    let client = reqwest::Client::new();
    let (mut faults, mut cases) = (Vec::new(), 0);
    for operation in OPERATIONS {
        let proofs = Proof::any_of(operation);
        let Some(clock) = &operation.test_clock else {
            let is_for_tenants = |it: &Proof| ![Proof::AdminKey, Proof::Nobody].contains(it);
            assert!(!proofs.iter().any(is_for_tenants), "{}", operation.id);
            continue;
        };
        assert_eq!(clock.header, CLOCK);
        let wallet = Wallet::open(&service, &service.demo.demo).await;
        let target = Target::create(&service).await;
        let (method, path) = (operation.method.as_str(), target.path(operation));
        let body = wallet.body(operation, &target.tenant_id).map(|it| it.to_string().into_bytes());
        for proof in proofs {
            let sent = Sent { method, target: &path, body: body.as_deref().unwrap_or_default() };
            let mut headers = wallet.headers_of(proof, &sent);
            headers.push((CLOCK, soon()));
            let url = service.url(&path);
            let call =
                || send_owned(&client, operation.method.clone(), &url, &headers, body.clone());
            let refused = call().await;
            cases += 1;
            if refused.code() != clock.refused.name || refused.status != 400 {
                faults.push(format!("{} {proof:?}: {}", operation.id, refused.text));
            }
            // What was refused had no effect: the same request without the clock is taken.
            headers.pop();
            let taken = send_owned(&client, operation.method.clone(), &url, &headers, body.clone());
            let taken = taken.await;
            if !taken.status.is_success() {
                faults.push(format!("{} {proof:?} afterwards: {}", operation.id, taken.text));
            }
        }
    }
    none(faults);
    println!("{cases} live credentials on operations that take a clock");
}

#[tokio::test]
async fn a_clock_moves_ahead_as_far_as_the_document_says_and_never_back() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(1_778_241_600_000);
    let now = service.context.clock.now_ms();
    let keys = TestKeys::of_demo(&service, json!({})).await;
    for at in [now, now + bound_ms()] {
        let opened = keys.open_embed_signed(at, at).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
    }
    for (at, reason) in [(now - 1, "in the past"), (now + bound_ms() + 1, "too far ahead")] {
        let refused = keys.open_embed_signed(at, at).await;
        refused.refused(400, "test_clock_refused");
        let told = json!({
            "reason": reason, "server_time_ms": now, "latest_ms": now + bound_ms(),
        });
        assert_eq!(refused.body["details"], told);
    }
}

#[tokio::test]
async fn a_clock_that_is_no_instant_is_a_violation_of_its_header() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let url = service.url("/v1/sessions");
    for (clocks, keyword) in [
        (vec!["2026-05-08T12:00:00Z".to_owned()], "maxLength pattern"),
        (vec!["1778241600".to_owned()], "pattern"),
        (vec![String::new()], "pattern"),
        (vec![soon(), soon()], "x-once"),
    ] {
        let mut headers = vec![bearer(&keys.iframe.secret)];
        headers.extend(clocks.into_iter().map(|clock| (CLOCK, clock)));
        let client = reqwest::Client::new();
        let refused = send_owned(&client, Method::GET, &url, &headers, None).await;
        refused.refused(400, "invalid_input");
        let found: Vec<_> = refused.violations().into_iter().map(|it| it.2).collect();
        assert_eq!(found.join(" "), keyword, "{}", refused.text);
    }
}

#[tokio::test]
async fn what_is_over_stays_over() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let now = service.context.clock.now_ms();
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let bytes = body.to_string().into_bytes();
    let headers = signed(&keys.embed.public, &keys.embed.secret, now, &bytes);
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let url = service.url("/v1/embed/sessions");
    let opened = send(Method::POST, &url, &headers, Some(bytes.clone())).await;
    let token = text(&opened, "/data/embedToken");
    service.context.clock.set_offset_ms(16 * MINUTE);
    // What the service knew of the past is gone, as its sweep would have it.
    let own = service.context.clock.now_ms();
    service.context.store.purge(own, own - 24 * HOUR).await.expect("purges");
    for (at, code) in [(now + MINUTE, "test_clock_refused"), (own + MINUTE, "token_expired")] {
        let refused = keys.read_embed(&token, at).await;
        assert_eq!(refused.code(), code, "{}", refused.text);
    }
    for (at, code) in [(now + 1, "test_clock_refused"), (own + 1, "timestamp_out_of_window")] {
        let refused = keys.open_embed_signed(at, now).await;
        assert_eq!(refused.code(), code, "{}", refused.text);
    }
}

#[tokio::test]
async fn a_used_signature_is_remembered_until_no_clock_takes_it() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let (at, store) = (ahead(&service), &service.context.store);
    assert_eq!(keys.open_embed_signed(at, at).await.status, 201);
    let purged = |own: i64| async move { store.purge(own, 0).await.expect("purges").replays };
    // By the service's own time, the last at which some clock still takes the signature.
    assert_eq!(purged(at + 5 * MINUTE).await, 0);
    keys.open_embed_signed(at + 5 * MINUTE, at).await.refused(401, "signature_replayed");
    assert_eq!(purged(at + 6 * MINUTE + 1).await, 1);
}

#[tokio::test]
async fn a_test_key_sees_and_ends_what_test_keys_opened_and_nothing_else() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let live = &service.demo.demo;
    let body = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let token = text(&open_embed(&service.base_url, live, &body).await, "/data/embedToken");
    let sid = text(&get(&service.url("/v1/embed/session"), &token).await, "/data/sessionId");
    let at = ahead(&service);
    let own = text(&keys.open_embed_signed(at, at).await, "/data/embedToken");
    let own_sid = text(&keys.read_embed(&own, at).await, "/data/sessionId");
    let path = format!("/v1/sessions/{sid}");
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::POST, format!("{path}/renew")),
    ] {
        let refused = keys.manage(method.clone(), &path, at, None).await;
        refused.refused(404, "session_not_found");
        let refused = keys.manage_signed(method, &path, at, None).await;
        refused.refused(404, "session_not_found");
    }
    // Without a clock too.
    get(&service.url(&path), &keys.iframe.secret).await.refused(404, "session_not_found");
    let listed = keys.manage(Method::GET, "/v1/sessions?limit=200", at, None).await;
    let sids: Vec<_> = listed.body["items"].as_array().expect("a list").iter().collect();
    assert_eq!(sids.len(), 1, "{}", listed.text);
    assert_eq!((&sids[0]["sid"], &sids[0]["mode"]), (&json!(own_sid), &json!("test")));
    let question = json!({ "token": token });
    for path in ["/v1/tokens/introspect", "/v1/tokens/revoke"] {
        let told = keys.manage(Method::POST, path, at, Some(question.clone())).await;
        assert_eq!(told.body, json!({ "active": false }), "{path}");
    }
    let targets = json!({ "targets": [format!("employee:{EMPLOYEE}"), "uid:u"] });
    let ended = keys.manage(Method::POST, "/v1/sessions:revoke", at + 1, Some(targets)).await;
    assert_eq!(ended.body, json!({ "revoked": 1, "not_revocable": 0 }), "{}", ended.text);
    let alive = get(&service.url("/v1/embed/session"), &token).await;
    assert_eq!(alive.status, 200, "{}", alive.text);
    keys.read_embed(&own, at + 1).await.refused(401, "token_revoked");
    // A live key sees both, and tells them apart.
    let listed = get(&service.url("/v1/sessions?limit=200"), &live.iframe.api_key).await;
    let modes = listed.body["items"].as_array().expect("a list").iter();
    let modes: Vec<_> = modes.map(|it| (&it["sid"], &it["mode"])).collect();
    assert!(modes.contains(&(&json!(sid), &json!("live"))), "{}", listed.text);
    assert!(modes.contains(&(&json!(own_sid), &json!("test"))), "{}", listed.text);
}

#[tokio::test]
async fn nobody_elses_time_moves() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let at = ahead(&service) + 30 * 24 * HOUR;
    let other = &service.demo.other;
    let body = |tenant: &vestibule::cli::dev::TenantCredentials| json!({ "uid": "tester", "srcs": [tenant.iframe.source_ids[0]] });
    for tenant in [&service.demo.demo, other] {
        let opened = open_iframe(&service.base_url, tenant, &body(tenant)).await;
        let key = text(&opened, "/cache_key");
        let moved = keys.open_iframe(at, json!({ "limits": { "daily": 1 } })).await;
        assert_eq!(moved.status, 200, "{}", moved.text);
        keys.redeem(&key, at).await.refused(400, "test_clock_refused");
        let url = service.url("/api/v1/iframe/token");
        let redeemed = post(&url, &[], &json!({ "cache_key": key })).await;
        assert_eq!(redeemed.status, 200, "{}", redeemed.text);
        let left = redeemed.body["expires_in"].as_i64().expect("seconds");
        assert!((800..=900).contains(&left), "{}", redeemed.text);
    }
    // Each tenant has an embed key; a token of the other one is nothing to this one's tester.
    let embed = json!({ "employeeId": EMPLOYEE, "capabilities": ["showChatsList"] });
    let token = text(&open_embed(&service.base_url, other, &embed).await, "/data/embedToken");
    let told =
        keys.manage(Method::POST, "/v1/tokens/introspect", at, Some(json!({"token": token})));
    assert_eq!(told.await.body, json!({ "active": false }));
}

#[tokio::test]
async fn the_audit_and_the_list_of_keys_tell_the_services_own_time() {
    let service = Service::start(|_| {});
    let keys = TestKeys::of_demo(&service, json!({})).await;
    let (before, at) = (now_ms(), ahead(&service));
    let opened = keys.open_iframe(at, json!({})).await;
    assert_eq!(keys.redeem(&text(&opened, "/cache_key"), at + 1).await.status, 200);
    assert_eq!(keys.open_embed_signed(at, at).await.status, 201);
    let entries = keys.audit().await;
    let times: Vec<_> = entries.iter().map(|it| it["at"].to_string()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "the latest first: {times:?}");
    let acts = entries
        .iter()
        .take(3)
        .map(|it| (it["action"].as_str().expect("a text"), it["detail"]["test_clock_ms"].clone()));
    let acts: Vec<_> = acts.collect();
    let expected: [(&str, Value); 3] = [
        ("session.open", json!(at)),
        ("session.redeem", json!(at + 1)),
        ("session.open", json!(at)),
    ];
    assert_eq!(acts, expected);
    service.context.key_uses.flush(&service.context.store).await.expect("written");
    let tenant = tenant_id(&service, "Demo shop").await;
    let path = format!("/keys?tenantId={tenant}&limit=200");
    let listed = admin(&service, Method::GET, &path, None).await;
    let mut all = listed.body["items"].as_array().expect("a list").iter();
    let used = all.find(|key| key["keyId"] == keys.iframe.id).expect("it is there");
    let used: Timestamp = serde_json::from_value(used["lastUsedAt"].clone()).expect("an instant");
    let used = used.0;
    assert!((before..=now_ms()).contains(&used), "{used} is not the service's time");
}
