//! What users have used: counting, refusing, taking back, reading and listing over the wire.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::callers::{bearer, send_owned, text};
use crate::requests::{Answer, open_iframe};
use crate::service::Service;

/// A Wednesday, half past six in the evening, UTC.
const NOW: i64 = 1_795_631_400_000;
const HOUR_MS: i64 = 3_600_000;
/// The first instant of that month.
const NOVEMBER: i64 = 1_793_491_200_000;

/// A host's backend.
struct Host<'a> {
    service: &'a Service,
    tenant: &'a TenantCredentials,
}

/// A request of a host's backend about what its users have used; `path` is what follows `/usage`.
pub async fn usage(
    service: &Service,
    tenant: &TenantCredentials,
    method: Method,
    path: &str,
) -> Answer {
    let url = service.url(&format!("/api/v1/usage{path}"));
    send_owned(&Client::new(), method, &url, &[bearer(&tenant.iframe.api_key)], None).await
}

impl<'a> Host<'a> {
    fn demo(service: &'a Service) -> Self {
        Self { service, tenant: &service.demo.demo }
    }

    async fn ask(&self, method: Method, path: &str) -> Answer {
        usage(self.service, self.tenant, method, path).await
    }

    async fn limit(&self, uid: &str, limits: Value) {
        let srcs = [&self.tenant.iframe.source_ids[0]];
        let body = json!({ "uid": uid, "srcs": srcs, "limits": limits });
        let opened = open_iframe(&self.service.base_url, self.tenant, &body).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
    }

    async fn count(&self, uid: &str) -> Answer {
        self.ask(Method::POST, &format!("/{uid}/messages")).await
    }

    async fn read(&self, uid: &str) -> Value {
        self.ask(Method::GET, &format!("/{uid}")).await.body
    }
}

fn held(now: i64) -> Service {
    let service = Service::start(|_| {});
    service.context.clock.hold_at_ms(now);
    service
}

#[tokio::test]
async fn a_message_counts_in_every_window_and_tells_what_is_left() {
    let service = held(NOW);
    let host = Host::demo(&service);
    host.limit("u1", json!({ "hourly": 2, "monthly": 1000 })).await;
    let counted = host.count("u1").await;
    assert_eq!(counted.status, 201, "{}", counted.text);
    let usage = json!({
        "uid": "u1",
        "hourly": { "limit": 2, "used": 1, "remaining": 1, "resets_at": "2026-11-25T19:00:00.000Z" },
        "daily": { "used": 1, "resets_at": "2026-11-26T00:00:00.000Z" },
        "weekly": { "used": 1, "resets_at": "2026-11-30T00:00:00.000Z" },
        "monthly": {
            "limit": 1000, "used": 1, "remaining": 999, "resets_at": "2026-12-01T00:00:00.000Z",
        },
        "last_message_at": "2026-11-25T18:30:00.000Z",
    });
    assert_eq!(counted.body["usage"], usage);
    assert_eq!(host.read("u1").await, usage);
    let fields = (counted.header("ratelimit-policy"), counted.header("ratelimit"));
    let policies = "\"hourly\";q=2;w=3600, \"monthly\";q=1000;w=2592000";
    assert_eq!(fields, (policies, "\"hourly\";r=1;t=1800, \"monthly\";r=999;t=451800"));
    let free = host.count("free").await;
    assert_eq!((free.status.as_u16(), free.header("ratelimit")), (201, ""), "nothing is limited");
}

#[tokio::test]
async fn a_refused_message_is_told_every_window_without_room() {
    let service = held(NOW);
    let host = Host::demo(&service);
    host.limit("u", json!({ "hourly": 1, "daily": 1, "weekly": 5 })).await;
    assert_eq!(host.count("u").await.status, 201);
    let refused = host.count("u").await;
    refused.refused(429, "limit_exceeded");
    let expected = json!({
        "retry_after_s": 19_800,
        "exceeded": [
            { "name": "hourly", "limit": 1, "used": 1, "resets_at": "2026-11-25T19:00:00.000Z" },
            { "name": "daily", "limit": 1, "used": 1, "resets_at": "2026-11-26T00:00:00.000Z" },
        ],
    });
    assert_eq!(refused.body["details"], expected);
    assert_eq!(refused.header("retry-after"), "19800", "both must have room");
    let fields = (refused.header("ratelimit-policy"), refused.header("ratelimit"));
    let policies = "\"hourly\";q=1;w=3600, \"daily\";q=1;w=86400";
    assert_eq!(fields, (policies, "\"hourly\";r=0;t=1800, \"daily\";r=0;t=19800"));
    service.context.clock.hold_at_ms(NOW + 6 * HOUR_MS);
    assert_eq!(host.count("u").await.status, 201, "a new day");
}

#[tokio::test]
async fn the_header_says_no_more_than_it_may_when_a_month_is_spent() {
    let service = held(NOVEMBER);
    let host = Host::demo(&service);
    host.limit("u", json!({ "monthly": 0 })).await;
    let refused = host.count("u").await;
    refused.refused(429, "limit_exceeded");
    assert_eq!(refused.header("retry-after"), "999999", "six digits are documented");
    assert_eq!(refused.header("ratelimit"), "\"monthly\";r=0;t=2592000");
}

#[tokio::test]
async fn a_message_is_taken_back_once_and_by_its_tenant_alone() {
    let service = held(NOW);
    let host = Host::demo(&service);
    let other = Host { tenant: &service.demo.other, ..Host::demo(&service) };
    host.limit("u", json!({ "hourly": 1 })).await;
    let id = text(&host.count("u").await, "/message_id");
    let path = format!("/u/messages/{id}");
    other.ask(Method::DELETE, &path).await.refused(404, "message_not_found");
    let stranger = host.ask(Method::DELETE, &format!("/v/messages/{id}")).await;
    stranger.refused(404, "message_not_found");
    host.count("u").await.refused(429, "limit_exceeded");
    for _ in 0..2 {
        assert_eq!(host.ask(Method::DELETE, &path).await.status, 204);
        assert_eq!(host.read("u").await["hourly"]["used"], 0);
    }
    assert_eq!(host.count("u").await.status, 201);
}

#[tokio::test]
async fn tenants_have_users_of_their_own() {
    let service = held(NOW);
    let host = Host::demo(&service);
    let other = Host { tenant: &service.demo.other, ..Host::demo(&service) };
    host.limit("u", json!({ "hourly": 1 })).await;
    assert_eq!(host.count("u").await.status, 201);
    let foreign = other.read("u").await;
    assert_eq!((&foreign["hourly"]["used"], foreign["hourly"].get("limit")), (&json!(0), None));
    assert_eq!(other.ask(Method::GET, "").await.body, json!({ "items": [] }));
    assert_eq!(other.count("u").await.status, 201);
    assert_eq!(host.read("u").await["hourly"]["used"], 1);
}

#[tokio::test]
async fn users_are_listed_in_pages_and_filtered() {
    let service = held(NOW);
    let host = Host::demo(&service);
    for uid in ["anna", "ben", "åsa@example.com"] {
        host.limit(uid, json!({ "daily": 1 })).await;
    }
    assert_eq!(host.count("ben").await.status, 201);
    service.context.clock.hold_at_ms(NOW + HOUR_MS);
    assert_eq!(host.count("%C3%A5sa@example.com").await.status, 201);
    let list = async |query: &str| {
        let page = host.ask(Method::GET, query).await.body;
        let uids = page["items"].as_array().expect("a list").iter().map(|it| it["uid"].clone());
        (uids.collect::<Vec<_>>(), page["next"].clone())
    };
    let all = [json!("anna"), json!("ben"), json!("åsa@example.com")];
    assert_eq!(list("").await, (all.to_vec(), Value::Null));
    assert_eq!(list("?limit=2").await, (all[..2].to_vec(), json!("ben")));
    assert_eq!(list("?limit=2&after=ben").await, (all[2..].to_vec(), Value::Null));
    assert_eq!(list("?exceeded=true").await.0, all[1..]);
    let since = format!("?active_since={}", NOW + 1);
    assert_eq!(list(&since).await.0, all[2..]);
}
