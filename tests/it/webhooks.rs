//! Webhook endpoints on the admin surface: what may be sent to, secrets, the log, and what is
//! refused on the way out.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use vestibule::config::Config;
use vestibule::domain::outbound::OutboundPolicy;

use crate::callers::{admin, text};
use crate::keyring::{demo_tenant, make_tenant};
use crate::requests::Answer;
use crate::service::Service;
use crate::webhook_receiver::{Receiver, until};

/// An endpoint as its creation answered it.
pub struct Endpoint {
    /// `/tenants/{tenantId}/webhooks/{webhookId}`
    pub path: String,
    /// `whsec_…`
    pub secret: String,
}

impl Endpoint {
    /// Makes one of a tenant.
    pub async fn create(service: &Service, tenant: &str, url: &str, events: &[&str]) -> Self {
        let made = create(service, tenant, url, events).await;
        assert_eq!(made.status, 201, "{}", made.text);
        let id = text(&made, "/webhook/webhookId");
        Self { path: format!("/tenants/{tenant}/webhooks/{id}"), secret: text(&made, "/secret") }
    }

    /// Reads it.
    pub async fn read(&self, service: &Service) -> Value {
        admin(service, Method::GET, &self.path, None).await.body
    }

    /// Calls an operation below it.
    pub async fn post(&self, service: &Service, below: &str, body: Option<Value>) -> Answer {
        admin(service, Method::POST, &format!("{}/{below}", self.path), body).await
    }

    /// Changes it.
    pub async fn change(&self, service: &Service, change: Value) -> Value {
        admin(service, Method::PATCH, &self.path, Some(change)).await.body
    }

    /// Its delivery log, newest first.
    pub async fn log(&self, service: &Service, query: &str) -> Vec<Value> {
        let path = format!("{}/deliveries{query}", self.path);
        let listed = admin(service, Method::GET, &path, None).await;
        listed.body["items"].as_array().unwrap_or_else(|| panic!("{}", listed.text)).clone()
    }

    /// Waits until all of so many deliveries are noted as delivered, 200 at most: the service has
    /// nothing under way then.
    pub async fn settled(&self, service: &Service, count: usize) {
        until(
            async || {
                let [delivered, pending] = ["delivered", "pending"].map(|status| {
                    let query = format!("?limit=200&status={status}");
                    async move { self.log(service, &query).await.len() }
                });
                delivered.await == count && pending.await == 0
            },
            || format!("not all of {count} are delivered"),
        )
        .await;
    }

    /// Waits until its newest delivery has this many attempts; that delivery.
    pub async fn attempted(&self, service: &Service, attempts: i64) -> Value {
        until(
            async || self.log(service, "").await[0]["attemptCount"].as_i64() >= Some(attempts),
            || format!("fewer than {attempts} attempts"),
        )
        .await;
        self.log(service, "").await.remove(0)
    }
}

async fn create(service: &Service, tenant: &str, url: &str, events: &[&str]) -> Answer {
    let body = json!({ "url": url, "events": events });
    admin(service, Method::POST, &format!("/tenants/{tenant}/webhooks"), Some(body)).await
}

/// As in production: HTTPS to the Internet, or what else is given.
fn strict(config: &mut Config) {
    config.outbound = OutboundPolicy::default();
}

#[tokio::test]
async fn an_endpoint_is_made_read_changed_listed_and_deleted() {
    let service = Service::shared();
    let (tenant, _) = make_tenant(service, json!({ "name": "Hooked" })).await;
    let url = "https://hooks.acme.example/a?b=c";
    let events = ["session.created", "key.rotated", "session.created"];
    let made = create(service, &tenant, url, &events).await;
    assert_eq!(made.header("cache-control"), "no-store");
    let secret = text(&made, "/secret");
    assert!(secret.starts_with("whsec_") && secret.len() == 50, "{secret}");
    let webhook = &made.body["webhook"];
    assert_eq!(webhook["events"], json!(["session.created", "key.rotated"]), "folded");
    assert_eq!((&webhook["state"], &webhook["description"]), (&json!("enabled"), &json!("")));
    let id = text(&made, "/webhook/webhookId");
    let endpoint = Endpoint { path: format!("/tenants/{tenant}/webhooks/{id}"), secret };
    assert_eq!(endpoint.read(service).await, *webhook);
    let changed = endpoint.change(service, json!({ "state": "disabled", "description": "d" }));
    let changed = changed.await;
    assert_eq!(changed["disabledReason"], "operator");
    assert_eq!((&changed["url"], &changed["description"]), (&json!(url), &json!("d")));
    let enabled = endpoint.change(service, json!({ "state": "enabled" })).await;
    assert!(enabled.get("disabledReason").is_none());
    let listed = admin(service, Method::GET, &format!("/tenants/{tenant}/webhooks"), None).await;
    assert_eq!(listed.body["items"], json!([enabled]));
    assert!(!listed.text.contains(&endpoint.secret));
    let (other, _) = make_tenant(service, json!({ "name": "Other" })).await;
    let foreign = endpoint.path.replace(&tenant, &other);
    admin(service, Method::GET, &foreign, None).await.refused(404, "webhook_not_found");
    assert_eq!(admin(service, Method::DELETE, &endpoint.path, None).await.status, 204);
    for method in [Method::GET, Method::DELETE] {
        admin(service, method, &endpoint.path, None).await.refused(404, "webhook_not_found");
    }
}

#[tokio::test]
async fn what_is_not_the_public_internet_is_refused_in_every_notation() {
    let service = Service::start(strict);
    let tenant = demo_tenant(&service).await;
    for url in [
        "https://127.0.0.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://0/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://100.64.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[64:ff9b::7f00:1]/",
        "https://[2002:7f00:1::]/",
        "https://[fd00::1]/",
        "http://hooks.acme.example/",
        "https://user:word@hooks.acme.example/",
        "https://hooks.acme.example:22/",
        "https://hooks.acme.example/#fragment",
    ] {
        let refused = create(&service, &tenant, url, &["session.created"]).await;
        refused.refused(400, "invalid_input");
        let expected = ("body".to_owned(), "/url".to_owned(), "pattern".to_owned());
        assert_eq!(refused.violations(), [expected], "{url}");
    }
    for url in ["https://hooks.acme.example/", "https://93.184.215.14:8443/hook"] {
        let made = create(&service, &tenant, url, &["session.created"]).await;
        assert_eq!(made.status, 201, "{url}: {}", made.text);
        assert_eq!(admin(&service, Method::DELETE, &path_of(&made), None).await.status, 204);
    }
}

fn path_of(made: &Answer) -> String {
    let (tenant, id) = (text(made, "/webhook/tenantId"), text(made, "/webhook/webhookId"));
    format!("/tenants/{tenant}/webhooks/{id}")
}

/// The name is fine as text; what it resolves to is checked when it is sent to.
#[tokio::test]
async fn a_name_that_resolves_to_this_machine_is_not_connected_to() {
    let service = Service::start(|config| {
        config.outbound = OutboundPolicy { allow: vec![], plain_http: true };
    });
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let url = receiver.url.replace("127.0.0.1", "localhost");
    let endpoint = Endpoint::create(&service, &tenant, &url, &["session.created"]).await;
    assert_eq!(endpoint.post(&service, "test", None).await.status, 202);
    let tried = endpoint.attempted(&service, 1).await;
    let error = tried["attempts"][0]["error"].as_str().expect("an error");
    assert!(error.starts_with("The address is refused"), "{tried}");
    assert!(tried["attempts"][0].get("statusCode").is_none());
    assert_eq!(receiver.all().len(), 0);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let service = Service::start(|_| {});
    let tenant = demo_tenant(&service).await;
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    first.always_answer(&format!("307 Temporary Redirect\r\nlocation: {}\r\n", second.url));
    let endpoint = Endpoint::create(&service, &tenant, &first.url, &["session.created"]).await;
    endpoint.post(&service, "test", None).await;
    let tried = endpoint.attempted(&service, 1).await;
    assert_eq!(
        (&tried["attempts"][0]["statusCode"], &tried["status"]),
        (&json!(307), &json!("pending"))
    );
    assert_eq!((first.all().len(), second.all().len()), (1, 0));
}

#[tokio::test]
async fn the_log_tells_status_error_and_the_beginning_of_the_answer() {
    let service = Service::start(|config| config.webhooks.schedule.0 = vec![20; 4]);
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let long = "x".repeat(20_000);
    receiver.answer(&[
        &format!("500 Oops\r\ncontent-length: 20000\r\nconnection: close\r\n\r\n{long}"),
        "404 Not Found\r\n",
    ]);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    let queued = endpoint.post(&service, "test", None).await;
    let log = endpoint.attempted(&service, 3).await;
    assert_eq!(log["deliveryId"], queued.body["delivery"]["deliveryId"]);
    assert_eq!((&log["status"], &log["event"]), (&json!("delivered"), &json!("webhook.test")));
    let attempts = log["attempts"].as_array().expect("attempts");
    let statuses: Vec<_> = attempts.iter().map(|it| it["statusCode"].as_i64()).collect();
    assert_eq!(statuses, [Some(500), Some(404), Some(204)]);
    let shown = attempts[0]["answer"].as_str().expect("a beginning");
    assert!(shown.len() == 512 && shown.chars().all(|c| c == 'x'), "{shown}");
    for (status, least) in [("delivered", 1), ("failed", 0)] {
        let listed = endpoint.log(&service, &format!("?status={status}")).await;
        assert!(listed.len() >= least && listed.iter().all(|it| it["status"] == status));
    }
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_told_in_the_log() {
    let service = Service::start(|config| config.webhooks.deadline = Duration::from_millis(500));
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    receiver.pause(Duration::from_secs(3600));
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    endpoint.post(&service, "test", None).await;
    let late = endpoint.attempted(&service, 1).await;
    assert_eq!(late["attempts"][0]["error"], "No answer came within 0.5 s.");
}

#[tokio::test]
async fn the_log_is_in_pages_newest_first() {
    let service = Service::start(|_| {});
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    for _ in 0..5 {
        endpoint.post(&service, "test", None).await;
    }
    receiver.wait_for_messages(5).await;
    let id = |it: &Value| it["deliveryId"].as_str().expect("an id").to_owned();
    let all: Vec<_> = endpoint.log(&service, "").await.iter().map(id).collect();
    assert!(all.len() == 5 && all.is_sorted_by(|a, b| a > b), "{all:?}");
    let (mut paged, mut query) = (Vec::new(), "?limit=2".to_owned());
    loop {
        let path = format!("{}/deliveries{query}", endpoint.path);
        let page = admin(&service, Method::GET, &path, None).await;
        paged.extend(page.body["items"].as_array().expect("items").iter().map(id));
        let Some(next) = page.body.get("next").and_then(Value::as_str) else { break };
        query = format!("?limit=2&after={next}");
    }
    assert_eq!(paged, all);
}

#[tokio::test]
async fn a_deleted_endpoint_is_sent_nothing_and_leaves_nothing() {
    let service = Service::start(|config| config.webhooks.schedule.0 = vec![60_000]);
    let (tenant, receiver) = (demo_tenant(&service).await, Receiver::start().await);
    receiver.always_answer("503 Busy\r\n");
    let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &["session.created"]).await;
    endpoint.post(&service, "test", None).await;
    receiver.wait_for(1).await;
    assert_eq!(admin(&service, Method::DELETE, &endpoint.path, None).await.status, 204);
    until(
        async || service.context.store.next_delivery_at().await.expect("a store").is_none(),
        || "the queue still holds something".to_owned(),
    )
    .await;
    assert_eq!(receiver.all().len(), 1);
}
