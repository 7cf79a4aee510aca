//! Tenants on the admin surface: made, listed in pages, ended for good.

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::{admin, text};
use crate::keyring::{make_tenant, members, revoke_tenant};
use crate::requests::{Answer, get, send};
use crate::service::Service;

async fn create(service: &Service, body: Value) -> Answer {
    admin(service, Method::POST, "/tenants", Some(body)).await
}

fn ids(listed: &Answer) -> Vec<String> {
    assert_eq!(listed.status, 200, "{}", listed.text);
    let items = listed.body["items"].as_array().expect("items").iter();
    items.map(|tenant| tenant["tenantId"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_tenant_is_made_with_its_secret_shown_once() {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(1_778_241_600_123);
    let made = create(&service, json!({ "name": "Acme \u{fc}" })).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert_eq!(made.header("cache-control"), "no-store");
    assert_eq!(members(&made.body), ["identitySecret", "tenant"]);
    let mut tenant = made.body["tenant"].clone();
    let id = tenant["tenantId"].take();
    let id = id.as_str().expect("an id");
    assert!(id.starts_with("ten_") && id.len() == 30, "{id}");
    let expected = json!({
        "tenantId": null, "name": "Acme \u{fc}", "directory": "open",
        "signing": "hs256", "createdAt": "2026-05-08T12:00:00.123Z",
    });
    assert_eq!(tenant, expected);
    let secret = text(&made, "/identitySecret");
    assert!(secret.starts_with("cis_") && secret.len() == 68);
    let listed = admin(&service, Method::GET, "/tenants", None).await;
    assert!(listed.text.contains(id) && !listed.text.contains(&secret), "{}", listed.text);
    let strict = create(&service, json!({ "name": "S", "directory": "strict" })).await;
    assert_eq!(strict.body["tenant"]["directory"], "strict");
}

#[tokio::test]
async fn names_are_bounded_in_characters() {
    let service = Service::shared();
    let longest = "\u{1f600}".repeat(100);
    assert_eq!(create(service, json!({ "name": longest })).await.status, 201);
    for (name, keyword) in [(format!("{longest}x"), "maxLength"), (String::new(), "minLength")] {
        let refused = create(service, json!({ "name": name })).await;
        refused.refused(400, "invalid_input");
        assert_eq!(refused.violations()[0].2, keyword, "{}", refused.text);
    }
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_repetition() {
    let service = Service::start(|_| {});
    for n in 0..5 {
        make_tenant(&service, json!({ "name": format!("Tenant {n}") })).await;
    }
    let all = admin(&service, Method::GET, "/tenants", None).await;
    let expected = ids(&all);
    assert_eq!(expected.len(), 7, "two are seeded");
    assert!(all.body.get("next").is_none(), "the last page has no next");
    let (mut seen, mut path) = (Vec::new(), "/tenants?limit=2".to_owned());
    loop {
        let page = admin(&service, Method::GET, &path, None).await;
        seen.extend(ids(&page));
        let Some(next) = page.body.get("next").and_then(Value::as_str) else { break };
        assert_eq!(ids(&page).len(), 2, "a page with a next is full");
        path = format!("/tenants?limit=2&after={next}");
    }
    assert_eq!(seen, expected);
    let exact = admin(&service, Method::GET, "/tenants?limit=7", None).await;
    assert!(exact.body.get("next").is_none(), "nothing follows");
    let beyond = admin(&service, Method::GET, "/tenants?after=zzz", None).await;
    assert_eq!(ids(&beyond), Vec::<String>::new());
}

#[tokio::test]
async fn page_sizes_outside_the_bounds_are_refused() {
    let service = Service::shared();
    for (limit, keyword) in [
        ("0", "minimum"),
        ("201", "maximum"),
        ("x", "type"),
        ("1.0", "type"),
        ("", "type"),
        ("+1", "type"),
    ] {
        let refused = admin(service, Method::GET, &format!("/tenants?limit={limit}"), None).await;
        refused.refused(400, "invalid_input");
        let expected = ("query".to_owned(), "/limit".to_owned(), keyword.to_owned());
        assert_eq!(refused.violations(), [expected], "{limit}");
    }
    for limit in ["1", "200"] {
        assert_eq!(
            admin(service, Method::GET, &format!("/tenants?limit={limit}"), None).await.status,
            200
        );
    }
}

#[tokio::test]
async fn a_revoked_tenant_stays_in_the_list_and_may_be_revoked_again() {
    let service = Service::start(|_| {});
    let (id, _) = make_tenant(&service, json!({ "name": "Short-lived" })).await;
    service.context.clock.hold_at_ms(4_000_000_000_000);
    let revoked = revoke_tenant(&service, &id).await;
    assert_eq!((revoked.status.as_u16(), revoked.text.as_str()), (204, ""));
    assert_eq!(revoked.header("x-content-type-options"), "nosniff");
    service.context.clock.hold_at_ms(4_000_000_001_000);
    assert_eq!(revoke_tenant(&service, &id).await.status, 204);
    let listed = admin(&service, Method::GET, "/tenants", None).await;
    let mut items = listed.body["items"].as_array().expect("items").iter();
    let kept = items.find(|tenant| tenant["tenantId"] == id.as_str()).expect("still listed");
    assert_eq!(kept["revokedAt"], "2096-10-02T07:06:40.000Z", "the first time counts");
    let key = json!({ "tenantId": id, "kind": "embed", "label": "late" });
    let late = admin(&service, Method::POST, "/keys", Some(key)).await;
    late.refused(404, "tenant_not_found");
}

#[tokio::test]
async fn a_tenant_that_is_not_there_is_not_found() {
    let service = Service::shared();
    let unknown = format!("ten_{}", "a".repeat(26));
    revoke_tenant(service, &unknown).await.refused(404, "tenant_not_found");
    for malformed in ["ten_A", "x", "ten_aaaaaaaaaaaaaaaaaaaaaaaaa%2f"] {
        let refused = revoke_tenant(service, malformed).await;
        refused.refused(400, "invalid_input");
        assert_eq!(refused.violations()[0].1, "/tenantId", "{}", refused.text);
    }
}

#[tokio::test]
async fn the_admin_surface_asks_for_the_admin_token_alone() {
    let service = Service::shared();
    let url = service.url("/api/admin/v1/tenants");
    send(Method::GET, &url, &[], None).await.refused(401, "missing_credentials");
    let token = &service.demo.admin.token;
    for wrong in [
        &format!("{token}x"),
        &token[1..],
        &token.to_uppercase(),
        &service.demo.demo.iframe.api_key,
    ] {
        get(&url, wrong).await.refused(401, "invalid_api_key");
    }
    let basic = format!("Basic {token}");
    let refused = send(Method::GET, &url, &[("authorization", &basic)], None).await;
    refused.refused(401, "invalid_api_key");
    assert_eq!(get(&url, token).await.status, 200);
}
