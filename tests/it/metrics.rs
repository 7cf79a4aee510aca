//! The metrics: what is counted, under which bounded labels, and where they can be read.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::keyring::{demo_tenant, make_key};
use crate::requests::{
    fresh_timestamp, get, open_chat, open_embed, open_iframe, post, raw, send, signed,
};
use crate::service::Service;
use crate::usage::usage;
use crate::webhook_receiver::{Receiver, until};
use crate::webhooks::Endpoint;

fn service() -> Service {
    Service::start(|config| config.metrics_bind = Some("127.0.0.1:0".parse().expect("an address")))
}

/// Samples by name with labels, as Prometheus reads them.
pub type Samples = HashMap<String, f64>;

/// Reads the metrics of a service.
pub async fn scrape(service: &Service) -> Samples {
    let url = format!("http://{}/metrics", service.metrics.expect("it shows metrics"));
    let answer = reqwest::get(url).await.expect("it answers");
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4");
    let text = answer.text().await.expect("text");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    };
    lines.map(sample).collect()
}

fn of(samples: &Samples, name: &str) -> f64 {
    samples.get(name).copied().unwrap_or_default()
}

fn count(method: &str, route: &str, status: u16) -> String {
    format!(
        "http_server_request_duration_seconds_count{{http_request_method=\"{method}\",\
         http_response_status_code=\"{status}\",http_route=\"{route}\"}}"
    )
}

#[tokio::test]
async fn requests_sessions_and_refusals_are_counted() {
    let service = service();
    let (base, demo) = (&service.base_url, &service.demo.demo);
    let before = scrape(&service).await;
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let opened = open_embed(base, demo, &body).await;
    let token = opened.body["data"]["embedToken"].as_str().expect("a token");
    for _ in 0..3 {
        get(&format!("{base}/v1/embed/session"), token).await;
    }
    for _ in 0..2 {
        open_chat(base, demo, &json!({ "publicKey": demo.chat.public_key })).await;
    }
    open_iframe(base, demo, &json!({ "uid": "u", "srcs": demo.iframe.source_ids })).await;
    open_iframe(base, demo, &json!({ "uid": "u", "srcs": ["of nobody"] })).await;
    // The same signature twice: the second one opens nothing.
    let text = body.to_string().into_bytes();
    let now_ms = service.context.clock.now_ms() - 60_000;
    let headers = signed(&demo.embed.key, &demo.embed.secret, now_ms, &text);
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let url = format!("{base}/v1/embed/sessions");
    for status in [201, 401] {
        let answer = send(Method::POST, &url, &headers, Some(text.clone())).await;
        assert_eq!(answer.status, status);
    }

    let after = scrape(&service).await;
    for (name, expected) in [
        (count("POST", "/v1/embed/sessions", 201), 2.0),
        (count("POST", "/v1/embed/sessions", 401), 1.0),
        (count("GET", "/v1/embed/session", 200), 3.0),
        (count("POST", "/api/v1/iframe/create", 400), 1.0),
        ("embed_sessions_opened_total{surface=\"embed\"}".to_owned(), 2.0),
        ("embed_sessions_opened_total{surface=\"chat\"}".to_owned(), 2.0),
        ("embed_sessions_opened_total{surface=\"iframe\"}".to_owned(), 1.0),
        (refusal("embed", "signature_replayed"), 1.0),
        (refusal("iframe", "unknown_source"), 1.0),
    ] {
        assert_eq!(of(&after, &name) - of(&before, &name), expected, "{name}");
    }
    for name in ["embed_store_commits_total", "embed_store_writes_total"] {
        assert!(of(&after, name) > of(&before, name), "{name}");
    }
    let sessions = |result| {
        let name =
            format!("embed_store_cache_requests_total{{cache=\"sessions\",result=\"{result}\"}}");
        of(&after, &name)
    };
    assert!(sessions("hit") + sessions("miss") >= 3.0, "each read asked for its session");
    let version = env!("CARGO_PKG_VERSION");
    let build = after.keys().find(|name| name.starts_with("embed_build_info"));
    assert!(build.is_some_and(|name| name.contains(&format!("version=\"{version}\""))));
    assert!(of(&after, "process_resident_memory_bytes") > 1e6);
    assert!(of(&after, "process_open_fds") > 3.0 && of(&after, "process_start_time_seconds") > 1e9);
}

fn refusal(surface: &str, reason: &str) -> String {
    format!("embed_refusals_total{{reason=\"{reason}\",surface=\"{surface}\"}}")
}

#[tokio::test]
async fn no_request_is_counted_twice_or_stays_active() {
    let service = service();
    let requests = (0..64).map(|_| async {
        let url = format!("{}/v1/embed/session", service.base_url);
        send(Method::GET, &url, &[], None).await.status
    });
    let statuses = futures::future::join_all(requests).await;
    assert!(statuses.iter().all(|status| *status == 401), "{statuses:?}");
    let samples = scrape(&service).await;
    assert_eq!(of(&samples, &count("GET", "/v1/embed/session", 401)), 64.0);
    assert_eq!(of(&samples, &refusal("embed", "missing_credentials")), 64.0);
    assert_eq!(of(&samples, "http_server_active_requests{http_request_method=\"GET\"}"), 0.0);
}

/// What a client leaves half done is over, too.
#[tokio::test]
async fn a_client_that_leaves_is_counted_as_gone() {
    let service = service();
    let address = service.base_url.trim_start_matches("http://").to_owned();
    let begun = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut socket = std::net::TcpStream::connect(address).expect("it listens");
        let head = "POST /api/v1/iframe/token HTTP/1.1\r\nhost: v\r\ncontent-length: 99\r\n\
                    content-type: application/json\r\nexpect: 100-continue\r\n\r\n";
        socket.write_all(head.as_bytes()).expect("it is sent");
        // Said by a handler that waits for the body.
        socket.read_exact(&mut [0; 25]).expect("it asks for the body");
    });
    begun.await.expect("it was begun");
    let name = "http_server_active_requests{http_request_method=\"POST\"}";
    let statuses = [499, 408].map(|status| count("POST", "/api/v1/iframe/token", status));
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let samples = scrape(&service).await;
        let over: f64 = statuses.iter().map(|name| of(&samples, name)).sum();
        if over > 0.0 {
            assert_eq!((over, of(&samples, name)), (1.0, 0.0));
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the request is never over");
}

/// Whatever a caller makes up becomes no series of its own.
#[tokio::test]
async fn labels_take_no_value_that_a_caller_or_a_tenant_invents() {
    let service = service();
    let (base, demo) = (&service.base_url, &service.demo.demo);
    let invented = Method::from_bytes(b"INVENTED").expect("a method");
    send(invented, &format!("{base}/invented-path"), &[], None).await;
    send(Method::GET, &format!("{base}/embed/chats/invented-chat"), &[], None).await;
    open_chat(base, demo, &json!({ "publicKey": "pk_live_inventedinventedinventedinvented" }))
        .await;
    open_iframe(base, demo, &json!({ "uid": "invented-uid", "srcs": demo.iframe.source_ids }))
        .await;
    let admin = format!("Bearer {}", service.demo.admin.token);
    let headers = [("authorization", admin.as_str())];
    send(Method::DELETE, &format!("{base}/api/admin/v1/keys/key_invented"), &headers, None).await;
    let samples = scrape(&service).await;
    for name in samples.keys() {
        let lower = name.to_ascii_lowercase();
        assert!(!lower.contains("invented"), "{name}");
        for id in ["ten_", "key_", "ses_", "tok_", "pk_"] {
            assert!(!name.contains(&format!("\"{id}")), "{name}");
        }
    }
    assert_eq!(of(&samples, &count("_OTHER", "", 404)), 1.0);
    assert_eq!(of(&samples, &count("GET", "/embed/chats/{chat_id}", 200)), 1.0);
}

#[tokio::test]
async fn metrics_are_on_their_own_address_alone() {
    let service = service();
    let public = send(Method::GET, &service.url("/metrics"), &[], None).await;
    assert_eq!(public.status, 404);
    let own = format!("http://{}", service.metrics.expect("it shows metrics"));
    for (method, path, status) in [
        (Method::GET, "/", 404),
        (Method::GET, "/metrics/", 404),
        (Method::GET, "/v1/embed/session", 404),
        (Method::POST, "/metrics", 405),
        (Method::HEAD, "/metrics", 200),
    ] {
        let answer = reqwest::Client::new().request(method.clone(), format!("{own}{path}"));
        assert_eq!(answer.send().await.expect("it answers").status(), status, "{method} {path}");
    }
    assert_eq!(raw(&own, "NOT HTTP\r\n\r\n").status, 400);
    let other = Service::start(|_| ());
    assert_eq!(other.metrics, None, "nobody asked for them");
}

/// Each attempt once, by what became of it.
#[tokio::test]
async fn attempts_to_deliver_a_webhook_are_counted_by_how_they_ended() {
    let service = Service::start(|config| {
        config.metrics_bind = Some("127.0.0.1:0".parse().expect("an address"));
        config.webhooks.schedule.0 = vec![5; 2];
    });
    let tenant = demo_tenant(&service).await;
    let [taken, full] = [Receiver::start().await, Receiver::start().await];
    taken.answer(&["500 Oops\r\n"]);
    full.always_answer("503 Busy\r\n");
    for receiver in [&taken, &full] {
        let events = ["session.created"];
        let endpoint = Endpoint::create(&service, &tenant, &receiver.url, &events).await;
        endpoint.post(&service, "test", None).await;
    }
    let expected = [("delivered", 1.0), ("retried", 3.0), ("given_up", 1.0)];
    let counted = async || {
        let samples = scrape(&service).await;
        let name = |outcome| format!("embed_webhook_deliveries_total{{outcome=\"{outcome}\"}}");
        expected.map(|(outcome, _)| (outcome, of(&samples, &name(outcome))))
    };
    until(async || counted().await[2].1 + counted().await[0].1 >= 2.0, || "not over".into()).await;
    assert_eq!(counted().await, expected);
}

#[tokio::test]
async fn a_limit_that_refuses_is_counted() {
    let service = Service::start(|config| {
        config.metrics_bind = Some("127.0.0.1:0".parse().expect("an address"));
        config.limits.redeem_per_minute = 1;
    });
    // Neither the minute nor the day ends here.
    service.context.clock.hold_at_ms(fresh_timestamp());
    let url = service.url("/api/v1/iframe/token");
    let body = json!({ "cache_key": format!("ck_{}", "0".repeat(43)) });
    let statuses = [post(&url, &[], &body).await.status, post(&url, &[], &body).await.status];
    assert_eq!(statuses, [404, 429]);
    let demo = &service.demo.demo;
    let none = json!({ "uid": "u", "srcs": demo.iframe.source_ids, "limits": { "daily": 0 } });
    assert_eq!(open_iframe(&service.base_url, demo, &none).await.status, 200);
    for _ in 0..2 {
        let full = usage(&service, demo, Method::POST, "/u/messages").await;
        full.refused(429, "limit_exceeded");
    }
    let tenant = demo_tenant(&service).await;
    let ceilings = json!({ "ceilings": { "sessionsPerDay": 1 } });
    let key = make_key(&service, &tenant, "iframe", ceilings).await;
    let mut of_key = demo.clone();
    of_key.iframe.api_key = key.secret;
    let body = json!({ "uid": "v", "srcs": demo.iframe.source_ids });
    for status in [200, 429, 429, 429] {
        assert_eq!(open_iframe(&service.base_url, &of_key, &body).await.status, status);
    }
    let samples = scrape(&service).await;
    for (limit, hits) in [("redemption", 1.0), ("daily", 2.0), ("sessionsPerDay", 3.0)] {
        let name = format!("embed_limit_hits_total{{limit=\"{limit}\",mode=\"enforced\"}}");
        assert_eq!(of(&samples, &name), hits, "{limit}");
    }
    assert_eq!(of(&samples, "embed_limit_hits_total{limit=\"hourly\",mode=\"enforced\"}"), 0.0);
}
