//! The chat surface's door: publishable key, origin, intents, quick questions.

use reqwest::Method;
use serde_json::{Value, json};
use vestibule::domain::catalogue::{Flow, Intent, QuickQuestion};

use crate::callers::{bearer, send_owned, text};
use crate::keyring::{
    Made, demo_tenant, key_id, make_key, make_tenant, members, revoke_key, revoke_tenant, set_key,
};
use crate::requests::{Answer, open_chat, post, send};
use crate::service::Service;

const ACME: &str = "https://www.acme.example";

async fn open_from(service: &Service, key: &str, origin: Option<&str>) -> Answer {
    let url = service.url("/api/public/v1/chat/sessions");
    let headers = origin.map(|origin| ("origin", origin));
    post(&url, headers.as_slice(), &json!({ "publicKey": key })).await
}

async fn widget(service: &Service, tenant: &str, origins: &[&str], settings: Value) -> Made {
    let mut members = json!({ "allowedOrigins": origins });
    members.as_object_mut().expect("members").extend(settings.as_object().expect("these").clone());
    make_key(service, tenant, "chat", members).await
}

fn names(answer: &Answer) -> Vec<&str> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let intents = answer.body["intents"].as_array().expect("intents").iter();
    intents.map(|intent| intent["name"].as_str().expect("a name")).collect()
}

#[tokio::test]
async fn a_session_has_the_documented_shape() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let opened =
        open_chat(&service.base_url, demo, &json!({ "publicKey": demo.chat.public_key })).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    assert_eq!(opened.header("cache-control"), "no-store");
    assert_eq!(opened.header("x-content-type-options"), "nosniff");
    let expected = [
        "conversationId",
        "expiresAt",
        "expiresIn",
        "intents",
        "quickQuestions",
        "sessionToken",
        "widget",
    ];
    assert_eq!(members(&opened.body), expected);
    assert_eq!(opened.body["widget"], json!({ "label": "Demo widget" }));
    assert_eq!(opened.body["expiresIn"], 3600);
    let id = text(&opened, "/conversationId");
    assert_eq!(id.parse::<uuid::Uuid>().expect("a UUID").get_version_num(), 7);
}

#[tokio::test]
async fn a_session_lives_an_hour() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(1_778_241_600_250);
    let key = &service.demo.demo.chat.public_key;
    let opened = open_from(&service, key, Some("https://shop.example")).await;
    assert_eq!(opened.body["expiresAt"], "2026-05-08T13:00:00.000Z", "{}", opened.text);
}

#[tokio::test]
async fn the_body_is_checked_before_the_key() {
    let service = Service::shared();
    let url = service.url("/api/public/v1/chat/sessions");
    for malformed in [
        "pk_live_123",
        "pk_test_1a2b3c4d5e6f7890abcd1234ef567890",
        "pk_live_1A2B3C4D5E6F7890ABCD1234EF567890",
        "yk_1a2b3c4d5e6f7890abcd1234ef567890",
        "",
    ] {
        let refused = open_from(service, malformed, Some("https://shop.example")).await;
        refused.refused(422, "validation_failed");
        assert_eq!(refused.violations()[0].1, "/publicKey", "{}", refused.text);
    }
    let body = json!({ "publicKey": "pk_live_00000000000000000000000000000000", "x": null });
    post(&url, &[("origin", ACME)], &body).await.refused(422, "validation_failed");
    let unknown = "pk_live_00000000000000000000000000000000";
    open_from(service, unknown, Some("https://shop.example")).await.refused(403, "widget_disabled");
    open_from(service, unknown, None).await.refused(403, "widget_disabled");
}

#[tokio::test]
async fn a_paused_or_revoked_key_disables_the_widget() {
    let service = Service::start(|_| {});
    let demo = &service.demo.demo;
    let tenant = demo_tenant(&service).await;
    let id = key_id(&service, &tenant, "Demo widget").await;
    let open = async || open_from(&service, &demo.chat.public_key, Some(&demo.chat.origin)).await;
    set_key(&service, &id, "pause").await;
    open().await.refused(403, "widget_disabled");
    set_key(&service, &id, "resume").await;
    assert_eq!(open().await.status, 200);
    revoke_key(&service, &id).await;
    open().await.refused(403, "widget_disabled");
    let (tenant, _) = make_tenant(&service, json!({ "name": "Short-lived" })).await;
    let key = widget(&service, &tenant, &[ACME], json!({ "allowsAllIntents": true })).await;
    assert_eq!(open_from(&service, &key.public, Some(ACME)).await.status, 200);
    revoke_tenant(&service, &tenant).await;
    open_from(&service, &key.public, Some(ACME)).await.refused(403, "widget_disabled");
}

#[tokio::test]
async fn an_exact_origin_is_that_origin_alone() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let origins = [ACME, "http://localhost:3000"];
    let key = widget(service, &tenant, &origins, json!({ "allowsAllIntents": true })).await;
    for origin in origins {
        let opened = open_from(service, &key.public, Some(origin)).await;
        assert_eq!(opened.status, 200, "{origin}: {}", opened.text);
        assert_eq!(opened.header("access-control-allow-origin"), origin);
    }
    for origin in [
        "http://www.acme.example",
        "https://www.acme.example:8443",
        "https://acme.example",
        "https://a.www.acme.example",
        "https://www.acme.example.evil.example",
        "https://www.acme.example/",
        "https://user@www.acme.example",
        "http://localhost",
        "http://localhost:30000",
        "http://127.0.0.1:3000",
        "www.acme.example",
        "null",
        "*",
        "",
    ] {
        let refused = open_from(service, &key.public, Some(origin)).await;
        refused.refused(403, "origin_not_allowed");
        assert_eq!(refused.body["details"], json!({ "origin": origin }));
    }
}

#[tokio::test]
async fn a_star_is_one_or_more_labels_with_scheme_and_port_equal() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let origins = ["https://*.starred.example", "https://*.ported.example:8443"];
    let key = widget(service, &tenant, &origins, json!({ "allowsAllIntents": true })).await;
    for origin in [
        "https://a.starred.example",
        "https://a.b.c.starred.example",
        "https://a.ported.example:8443",
    ] {
        let opened = open_from(service, &key.public, Some(origin)).await;
        assert_eq!(opened.status, 200, "{origin}: {}", opened.text);
    }
    for origin in [
        "https://starred.example",
        "http://a.starred.example",
        "https://a.starred.example:444",
        "https://astarred.example",
        "https://a.starred.example.evil.example",
        "https://*.starred.example",
        "https://.starred.example",
        "https://a.ported.example",
        "https://a.ported.example:443",
    ] {
        open_from(service, &key.public, Some(origin)).await.refused(403, "origin_not_allowed");
    }
}

#[tokio::test]
async fn a_request_without_an_origin_needs_a_key_for_native_apps() {
    let service = Service::shared();
    let tenant = demo_tenant(service).await;
    let all = json!({ "allowsAllIntents": true });
    let strict = widget(service, &tenant, &[ACME], all).await;
    let refused = open_from(service, &strict.public, None).await;
    refused.refused(403, "origin_not_allowed");
    let native = json!({ "allowsAllIntents": true, "allowNoOrigin": true });
    let native = widget(service, &tenant, &[ACME], native).await;
    assert_eq!(open_from(service, &native.public, None).await.status, 200);
    assert_eq!(open_from(service, &native.public, Some(ACME)).await.status, 200);
    let page = open_from(service, &native.public, Some("https://native.example")).await;
    page.refused(403, "origin_not_allowed");
    let none = widget(service, &tenant, &[], json!({ "allowsAllIntents": true })).await;
    open_from(service, &none.public, Some(ACME)).await.refused(403, "origin_not_allowed");
}

#[tokio::test]
async fn two_origins_or_an_overlong_one_match_nothing() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let url = service.url("/api/public/v1/chat/sessions");
    let body = json!({ "publicKey": demo.public_key });
    let twice = [("origin", demo.origin.as_str()), ("origin", demo.origin.as_str())];
    let refused = post(&url, &twice, &body).await;
    refused.refused(400, "invalid_input");
    assert_eq!(refused.violations()[0], ("header".into(), "/Origin".into(), "x-once".into()));
    let long = format!("https://{}.example", "a".repeat(512));
    let refused = post(&url, &[("origin", &long)], &body).await;
    refused.refused(400, "invalid_input");
    assert_eq!(refused.violations()[0].2, "maxLength", "{}", refused.text);
}

#[tokio::test]
async fn the_five_published_intents_come_pinned_first_then_by_priority() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let opened = open_from(service, &demo.public_key, Some(&demo.origin)).await;
    let expected =
        ["track_order", "return_item", "product_advice", "talk_to_person", "opening_hours"];
    assert_eq!(names(&opened), expected);
    let first = &opened.body["intents"][0];
    assert_eq!(first["displayLabel"], "Track my order");
    assert_eq!(first["required_entities"], json!(["order_number"]));
    assert_eq!(first["icon"], json!({ "kind": "name", "value": "truck" }));
    assert_eq!((&first["isPinned"], &first["priority"]), (&json!(true), &json!(90)));
    assert_eq!(
        (&first["accentColor"], &first["styleVariant"]),
        (&json!("#0F62FE"), &json!("solid"))
    );
}

#[tokio::test]
async fn a_key_offers_what_it_allows_and_what_is_published() {
    let service = Service::shared();
    let (demo, tenant) = (&service.demo.demo.chat, demo_tenant(service).await);
    let restricted = open_from(service, &demo.restricted_public_key, Some(&demo.origin)).await;
    assert_eq!(names(&restricted), ["track_order", "opening_hours"]);
    let cases = [
        (json!([]), vec![]),
        (json!(["gift_card", "no_such_intent"]), vec![]),
        (
            json!(["opening_hours", "gift_card", "return_item"]),
            vec!["return_item", "opening_hours"],
        ),
    ];
    for (allowed, expected) in cases {
        let key = widget(service, &tenant, &[ACME], json!({ "allowedIntents": allowed })).await;
        let opened = open_from(service, &key.public, Some(ACME)).await;
        assert_eq!(names(&opened), expected, "{allowed}");
    }
}

#[tokio::test]
async fn a_prompt_whose_flow_may_not_start_comes_with_a_null_intent() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let all = open_from(service, &demo.public_key, Some(&demo.origin)).await;
    let question = |text: &str, page: &str, flow: &str, intent: Option<&str>| json!({ "question": text, "pageType": page, "flowId": flow, "intentName": intent });
    let advice =
        |intent| question("Which size do I need?", "product", "flow_product_advice", intent);
    let order = question("Where is my order?", "general", "flow_track_order", Some("track_order"));
    let card = question("Can I pay with a gift card?", "cart", "flow_gift_card", None);
    let expected = json!([order, advice(Some("product_advice")), card]);
    assert_eq!(all.body["quickQuestions"], expected, "unpublished is null");
    let restricted = open_from(service, &demo.restricted_public_key, Some(&demo.origin)).await;
    let expected = json!([order, advice(None), card]);
    assert_eq!(restricted.body["quickQuestions"], expected, "not permitted is null too");
}

fn flow(id: &str, pinned: bool, priority: i64, published: bool) -> Flow {
    let intent = json!({
        "name": id, "displayLabel": id, "isPinned": pinned, "priority": priority,
    });
    let intent: Intent = serde_json::from_value(intent).expect("an intent");
    Flow { id: format!("flow_{id}"), name: id.to_owned(), published, intent }
}

#[tokio::test]
async fn equal_priorities_are_ordered_by_name_and_six_prompts_are_the_most() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Ordered" })).await;
    let key = widget(service, &tenant, &[ACME], json!({ "allowsAllIntents": true })).await;
    let (store, audit) =
        (&service.context.store, || service.context.audit(&tenant, "test", "put", ""));
    for flow in [
        flow("b", false, 5, true),
        flow("a", false, 5, true),
        flow("low_but_pinned", true, -9, true),
        flow("high", false, 6, true),
        flow("hidden", true, 99, false),
    ] {
        store.put_flow(&tenant, &flow, audit()).await.expect("stored");
    }
    for rank in 1..=7 {
        let question = QuickQuestion {
            question: format!("Question {rank}?"),
            page_type: "category".to_owned(),
            flow_id: (rank > 1).then(|| "flow_a".to_owned()),
        };
        let id = format!("qq_{rank}");
        store.put_quick_question(&tenant, &id, rank, &question, audit()).await.expect("stored");
    }
    let opened = open_from(service, &key.public, Some(ACME)).await;
    assert_eq!(names(&opened), ["low_but_pinned", "high", "a", "b"]);
    let questions = opened.body["quickQuestions"].as_array().expect("questions");
    assert_eq!(questions.len(), 6, "{}", opened.text);
    let unset = json!({
        "question": "Question 1?", "pageType": "category", "flowId": null, "intentName": null,
    });
    assert_eq!(questions[0], unset, "an unset flow is null");
}

#[tokio::test]
async fn a_credential_that_is_not_asked_for_changes_nothing() {
    let service = Service::shared();
    let demo = &service.demo.demo.chat;
    let url = service.url("/api/public/v1/chat/sessions");
    let headers = [bearer("nonsense"), ("origin", demo.origin.clone())];
    let body = json!({ "publicKey": demo.public_key }).to_string();
    let client = reqwest::Client::new();
    let opened = send_owned(&client, Method::POST, &url, &headers, Some(body.into())).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let unknown = send(Method::POST, &format!("{url}?locale=en"), &[], Some(b"{}".to_vec())).await;
    unknown.refused(422, "validation_failed");
    let found = unknown.violations();
    assert_eq!(found.len(), 2, "those of query and body together: {}", unknown.text);
}
