//! Keys on the admin surface: what belongs to which kind, and what their states mean.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{admin, text};
use crate::keyring::{demo_tenant, make_key, make_tenant, members, open_with, revoke_key, set_key};
use crate::requests::{Answer, post};
use crate::service::Service;

async fn create(service: &Service, tenant: &str, over: Value) -> Answer {
    let mut body = json!({ "tenantId": tenant, "label": "Of a test" });
    body.as_object_mut().expect("members").extend(over.as_object().expect("these").clone());
    admin(service, Method::POST, "/keys", Some(body)).await
}

async fn list(service: &Service, query: &str) -> Vec<Value> {
    let listed = admin(service, Method::GET, &format!("/keys?{query}"), None).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    listed.body["items"].as_array().expect("items").clone()
}

fn broken(answer: &Answer) -> Vec<(String, String)> {
    answer.refused(400, "invalid_input");
    let mut found: Vec<_> = answer.violations().into_iter().map(|(_, at, key)| (at, key)).collect();
    found.sort();
    found
}

fn at(pointer: &str, keyword: &str) -> (String, String) {
    (pointer.to_owned(), keyword.to_owned())
}

/// What a key is told to be, beside id, tenant and time.
fn told(mut key: Value) -> Value {
    let told = key.as_object_mut().expect("a key");
    for own in ["keyId", "tenantId", "createdAt", "publicId", "generations", "originsSeen"] {
        told.remove(own);
    }
    key
}

#[tokio::test]
async fn an_embed_key_has_an_id_and_a_secret_and_is_narrow_unless_said() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let made = create(service, &tenant, json!({ "kind": "embed" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    let expected = json!({
        "kind": "embed", "label": "Of a test", "state": "active", "mode": "live", "scope": "read",
        "allowedOrigins": [],
    });
    assert_eq!(told(made.body["key"].clone()), expected);
    let (public, secret) = (text(&made, "/credential/publicId"), text(&made, "/credential/secret"));
    assert!(public.starts_with("yk_") && public.len() == 35, "{public}");
    assert!(secret.starts_with("ysk_") && secret.len() == 68);
    assert_eq!(made.body["key"]["publicId"], public);
    let wide = create(service, &tenant, json!({ "kind": "embed", "scope": "read-write" })).await;
    assert_eq!(wide.body["key"]["scope"], "read-write");
}

#[tokio::test]
async fn a_chat_key_is_public_and_says_its_intents() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let settings = json!({
        "kind": "chat", "allowedIntents": ["track_order"], "identity": "required",
        "allowNoOrigin": true, "allowedOrigins": ["https://www.acme.com", "https://*.acme.com"],
    });
    let made = create(service, &tenant, settings.clone()).await;
    let mut expected = settings;
    expected["label"] = "Of a test".into();
    expected["state"] = "active".into();
    expected["mode"] = "live".into();
    expected["allowsAllIntents"] = false.into();
    assert_eq!(told(made.body["key"].clone()), expected, "{}", made.text);
    assert_eq!(members(&made.body["credential"]), ["publicId"], "nothing is secret");
    let public = text(&made, "/credential/publicId");
    assert!(public.starts_with("pk_live_") && public.len() == 40, "{public}");
    let all = create(service, &tenant, json!({ "kind": "chat", "allowsAllIntents": true })).await;
    let expected = json!({
        "kind": "chat", "label": "Of a test", "state": "active", "mode": "live", "allowsAllIntents": true,
        "allowNoOrigin": false, "identity": "off", "allowedOrigins": [],
    });
    assert_eq!(told(all.body["key"].clone()), expected);
}

#[tokio::test]
async fn an_iframe_key_is_all_secret_and_redeems_ten_times_unless_said() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let made = create(service, &tenant, json!({ "kind": "iframe" })).await;
    let expected = json!({
        "kind": "iframe", "label": "Of a test", "state": "active", "mode": "live", "maxRedemptions": 10,
        "redemptionMode": "multiple", "allowedOrigins": [],
    });
    assert_eq!(told(made.body["key"].clone()), expected, "{}", made.text);
    assert_eq!(members(&made.body["credential"]), ["secret"]);
    let secret = text(&made, "/credential/secret");
    assert!(secret.starts_with("iak_") && secret.len() == 68);
    assert!(made.body["key"].get("publicId").is_none());
}

#[tokio::test]
async fn credentials_of_test_keys_say_so_and_open_what_live_ones_open() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let test = json!({ "mode": "test", "scope": "read-write" });
    let embed = make_key(service, &tenant, "embed", test).await;
    assert!(embed.public.starts_with("yk_test_") && embed.public.len() == 40, "{}", embed.public);
    assert!(embed.secret.starts_with("ysk_test_") && embed.secret.len() == 73);
    let body =
        json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] });
    assert_eq!(open_with(service, &embed.public, &embed.secret, &body).await.status, 201);
    let iframe = make_key(service, &tenant, "iframe", json!({ "mode": "test" })).await;
    assert!(iframe.secret.starts_with("iak_test_") && iframe.secret.len() == 73);
    let bearer = format!("Bearer {}", iframe.secret);
    let body = json!({ "uid": "u", "srcs": service.demo.demo.iframe.source_ids });
    let url = service.url("/api/v1/iframe/create");
    assert_eq!(post(&url, &[("authorization", &bearer)], &body).await.status, 200);
    let chat = json!({ "mode": "test", "allowsAllIntents": true });
    let chat = make_key(service, &tenant, "chat", chat).await;
    assert!(chat.public.starts_with("pk_test_") && chat.public.len() == 40, "{}", chat.public);
}

#[tokio::test]
async fn bounds_of_a_key_are_read_back_and_absent_unless_set() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Bounded" })).await;
    let bounds = json!({
        "idleTimeoutSeconds": 60, "maxLifetimeSeconds": 43200,
        "ceilings": { "sessionsPerDay": 1, "liveSessions": 2, "requestsPerMinute": 3 },
    });
    let mut body = bounds.clone();
    body["kind"] = "iframe".into();
    let made = create(&service, &tenant, body).await;
    let kept = list(&service, &format!("tenantId={tenant}")).await;
    for key in [&made.body["key"], &kept[0]] {
        for (name, value) in bounds.as_object().expect("members") {
            assert_eq!(&key[name], value, "{}", made.text);
        }
    }
    let one = json!({ "kind": "embed", "ceilings": { "liveSessions": 7 } });
    let one = create(&service, &tenant, one).await;
    assert_eq!(one.body["key"]["ceilings"], json!({ "liveSessions": 7 }), "{}", one.text);
    let none = create(&service, &tenant, json!({ "kind": "embed", "ceilings": {} })).await;
    for name in members(&bounds) {
        assert!(none.body["key"].get(name).is_none(), "{}", none.text);
    }
}

#[tokio::test]
async fn a_session_lives_twelve_hours_at_most() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    for (name, least, most) in
        [("idleTimeoutSeconds", 60, 43200), ("maxLifetimeSeconds", 60, 43200)]
    {
        for (value, keyword) in [(least - 1, "minimum"), (most + 1, "maximum")] {
            let refused = create(service, &tenant, json!({ "kind": "embed", name: value })).await;
            assert_eq!(broken(&refused), [at(&format!("/{name}"), keyword)]);
        }
    }
}

#[tokio::test]
async fn a_member_of_another_kind_is_refused_by_its_pointer() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let of_kind = [
        ("embed", json!({ "scope": "read" })),
        ("chat", json!({ "allowsAllIntents": true, "allowNoOrigin": true, "identity": "off" })),
        ("chat", json!({ "allowedIntents": [] })),
        ("iframe", json!({ "maxRedemptions": 1, "redemptionMode": "single" })),
    ];
    for kind in ["embed", "iframe"] {
        for (own, settings) in of_kind.iter().filter(|(own, _)| *own != kind) {
            let mut body = settings.clone();
            body["kind"] = kind.into();
            let names = members(settings);
            let expected: Vec<_> =
                names.iter().map(|name| at(&format!("/{name}"), "additionalProperties")).collect();
            assert_eq!(broken(&create(service, &tenant, body).await), expected, "{own} in {kind}");
        }
    }
    let chat =
        json!({ "kind": "chat", "allowsAllIntents": true, "scope": "read", "maxRedemptions": 5 });
    let expected =
        [at("/maxRedemptions", "additionalProperties"), at("/scope", "additionalProperties")];
    assert_eq!(broken(&create(service, &tenant, chat).await), expected);
}

#[tokio::test]
async fn intents_are_either_listed_or_all_and_an_empty_list_is_none() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let chat = async |over: Value| {
        let mut body = json!({ "kind": "chat" });
        body.as_object_mut().expect("members").extend(over.as_object().expect("these").clone());
        create(service, &tenant, body).await
    };
    let neither = [at("/allowedIntents", "required")];
    assert_eq!(broken(&chat(json!({})).await), neither);
    assert_eq!(broken(&chat(json!({ "allowsAllIntents": false })).await), neither);
    let both = chat(json!({ "allowsAllIntents": true, "allowedIntents": ["a"] })).await;
    assert_eq!(broken(&both), [at("/allowsAllIntents", "not")]);
    let none = chat(json!({ "allowedIntents": [] })).await;
    assert_eq!(none.body["key"]["allowedIntents"], json!([]), "{}", none.text);
    assert_eq!(none.body["key"]["allowsAllIntents"], false);
    let twice = chat(json!({ "allowedIntents": ["a", "a"] })).await;
    assert_eq!(broken(&twice), [at("/allowedIntents", "uniqueItems")]);
}

const GOOD_ORIGINS: [&str; 7] = [
    "https://acme.com",
    "http://127.0.0.1:8080",
    "http://localhost:3000",
    "https://*.acme.com",
    "https://*.acme.co.uk",
    "https://*.acme.com:8443",
    "https://*.shop.acme.com",
];

#[tokio::test]
async fn a_star_may_not_reach_over_a_public_suffix() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let made =
        create(service, &tenant, json!({ "kind": "embed", "allowedOrigins": GOOD_ORIGINS })).await;
    assert_eq!(made.body["key"]["allowedOrigins"], json!(GOOD_ORIGINS), "{}", made.text);
    for bad in [
        "https://*.co.uk",
        "https://*.github.io",
        "https://*.com",
        "https://*",
        "*",
        "https://acme.*.com",
        "https://a*.acme.com",
        "https://*.*.acme.com",
        "http://*.acme.com",
        "https://acme.com/",
        "https://acme.com/path",
        "acme.com",
        "ftp://acme.com",
        "null",
        "https://ACME.com",
        "https://acme.com:0",
        "https://acme.com:99999",
        "",
        "https://u@acme.com",
        "https://*.10.0.0.1",
    ] {
        let origins = ["https://fine.example", bad];
        let refused =
            create(service, &tenant, json!({ "kind": "embed", "allowedOrigins": origins })).await;
        assert_eq!(broken(&refused), [at("/allowedOrigins/1", "pattern")], "{bad}");
    }
}

#[tokio::test]
async fn redemptions_are_between_1_and_100() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let iframe = async |n: i64| {
        create(service, &tenant, json!({ "kind": "iframe", "maxRedemptions": n })).await
    };
    for n in [1, 100] {
        assert_eq!(iframe(n).await.body["key"]["maxRedemptions"], n);
    }
    for (mode, n, told) in [("single", 1, 1), ("multiple", 7, 7)] {
        let given = json!({ "kind": "iframe", "redemptionMode": mode, "maxRedemptions": n });
        let made = create(service, &tenant, given).await;
        assert_eq!(made.body["key"]["maxRedemptions"], told, "{}", made.text);
        assert_eq!(made.body["key"]["redemptionMode"], mode);
    }
    for (mode, told) in [("single", 1), ("multiple", 10)] {
        let made = create(service, &tenant, json!({ "kind": "iframe", "redemptionMode": mode }));
        assert_eq!(made.await.body["key"]["maxRedemptions"], told);
    }
    for (mode, n) in [("single", 2), ("multiple", 1)] {
        let given = json!({ "kind": "iframe", "redemptionMode": mode, "maxRedemptions": n });
        let refused = create(service, &tenant, given).await;
        assert_eq!(broken(&refused), [at("/redemptionMode", "not")]);
    }
    assert_eq!(broken(&iframe(0).await), [at("/maxRedemptions", "minimum")]);
    assert_eq!(broken(&iframe(101).await), [at("/maxRedemptions", "maximum")]);
}

#[tokio::test]
async fn a_key_needs_a_tenant() {
    let service = Service::shared();
    let nobody = format!("ten_{}", "a".repeat(26));
    let refused = create(service, &nobody, json!({ "kind": "embed" })).await;
    refused.refused(404, "tenant_not_found");
}

#[tokio::test]
async fn lists_are_narrowed_by_tenant_and_kind_and_show_no_secret() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Listed" })).await;
    let embed = make_key(&service, &tenant, "embed", json!({})).await;
    let chat = make_key(&service, &tenant, "chat", json!({ "allowsAllIntents": true })).await;
    let iframe = make_key(&service, &tenant, "iframe", json!({})).await;
    let ids = |keys: &[Value]| -> Vec<String> {
        keys.iter().map(|key| key["keyId"].as_str().expect("an id").to_owned()).collect()
    };
    let own = list(&service, &format!("tenantId={tenant}")).await;
    let mut expected = vec![embed.id.clone(), chat.id.clone(), iframe.id.clone()];
    expected.sort();
    assert_eq!(ids(&own), expected);
    let text = Value::from(own).to_string();
    assert!(!text.contains(&embed.secret) && !text.contains(&iframe.secret));
    assert!(text.contains(&chat.public) && text.contains(&embed.public));
    let narrowed = list(&service, &format!("tenantId={tenant}&kind=iframe")).await;
    assert_eq!(ids(&narrowed), std::slice::from_ref(&iframe.id));
    let all = list(&service, "limit=200").await;
    assert_eq!(all.len(), 15, "two tenants of six and these three");
    let kinds = list(&service, "limit=200&kind=embed").await;
    assert_eq!(kinds.len(), 7);
    assert_eq!(
        list(&service, &format!("tenantId=ten_{}", "a".repeat(26))).await,
        Vec::<Value>::new()
    );
    let mut pages = Vec::new();
    let mut path = "/keys?limit=4".to_owned();
    loop {
        let page = admin(&service, Method::GET, &path, None).await;
        pages.extend(ids(page.body["items"].as_array().expect("items")));
        let Some(next) = page.body.get("next").and_then(Value::as_str) else { break };
        path = format!("/keys?limit=4&after={next}");
    }
    assert_eq!(pages, ids(&all));
}

#[tokio::test]
async fn unknown_filters_are_refused() {
    let service = Service::shared();
    for (query, pointer) in [
        ("kind=all", "/kind"),
        ("tenantId=x", "/tenantId"),
        ("state=active", "/state"),
        ("after=", "/after"),
    ] {
        let refused = admin(service, Method::GET, &format!("/keys?{query}"), None).await;
        refused.refused(400, "invalid_input");
        assert!(
            refused.violations().iter().all(|(_, found, _)| found == pointer),
            "{}",
            refused.text
        );
    }
}

#[tokio::test]
async fn a_key_is_paused_resumed_and_revoked_for_good() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let key = make_key(&service, &tenant, "embed", json!({})).await;
    let body =
        json!({ "employeeId": "64f000000000000000000001", "capabilities": ["showChatsList"] });
    let open = async || open_with(&service, &key.public, &key.secret, &body).await;
    let state = async |action| set_key(&service, &key.id, action).await.body["state"].clone();
    assert_eq!(open().await.status, 201);
    for (action, expected) in
        [("pause", "paused"), ("pause", "paused"), ("resume", "active"), ("resume", "active")]
    {
        assert_eq!(state(action).await, expected);
        let opened = open().await;
        assert_eq!(opened.status, if expected == "active" { 201 } else { 401 }, "{}", opened.text);
    }
    assert_eq!(revoke_key(&service, &key.id).await.status, 204);
    assert_eq!(revoke_key(&service, &key.id).await.status, 204, "again changes nothing");
    for action in ["pause", "resume"] {
        set_key(&service, &key.id, action).await.refused(404, "key_not_found");
    }
    open().await.refused(401, "invalid_signature");
    let listed = list(&service, &format!("tenantId={tenant}&kind=embed")).await;
    let kept = listed.iter().find(|it| it["keyId"] == key.id.as_str()).expect("still listed");
    assert_eq!(kept["state"], "revoked");
}

#[tokio::test]
async fn a_key_that_is_not_there_is_not_found() {
    let service = Service::shared();
    let unknown = format!("key_{}", "a".repeat(26));
    revoke_key(service, &unknown).await.refused(404, "key_not_found");
    for action in ["pause", "resume"] {
        set_key(service, &unknown, action).await.refused(404, "key_not_found");
        set_key(service, "key_A", action).await.refused(400, "invalid_input");
    }
}

#[tokio::test]
async fn fresh_keys_open_their_doors() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let origin = "https://fresh.example";
    let chat = json!({ "allowsAllIntents": true, "allowedOrigins": [origin] });
    let chat = make_key(service, &tenant, "chat", chat).await;
    let url = service.url("/api/public/v1/chat/sessions");
    let opened = post(&url, &[("origin", origin)], &json!({ "publicKey": chat.public })).await;
    assert_eq!(
        (opened.status.as_u16(), &opened.body["widget"]["label"]),
        (200, &json!("of a test"))
    );
    let iframe = make_key(service, &tenant, "iframe", json!({})).await;
    let bearer = format!("Bearer {}", iframe.secret);
    let body = json!({ "uid": "u", "srcs": service.demo.demo.iframe.source_ids });
    let url = service.url("/api/v1/iframe/create");
    assert_eq!(post(&url, &[("authorization", &bearer)], &body).await.status, 200);
}
