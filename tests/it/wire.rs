//! Bodies as sockets really deliver them: announced too long, unannounced too long, too slow, cut.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::{BodyInfo, OperationInfo};

use crate::errors::operation;
use crate::requests::{open_chat, send};
use crate::service::Service;

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn body_announced_too_large_is_refused_before_it_is_sent() {
    let service = Service::shared();
    for (operation, body) in with_bodies() {
        let mut wire = Wire::open(service);
        wire.send(&head(operation, &format!("content-length: {}", body.max_bytes + 1)));
        let (status, answer) = wire.read_to_end();
        assert_eq!((status, error(&answer)), (413, "payload_too_large"), "{}", operation.id);
        assert_eq!(answer["details"]["max_bytes"], body.max_bytes, "{}", operation.id);
    }
}

#[test]
fn body_that_grows_too_large_is_refused_while_it_is_read() {
    let service = Service::shared();
    for (operation, body) in with_bodies() {
        let mut wire = Wire::open(service);
        wire.send(&head(operation, "transfer-encoding: chunked"));
        for part in [body.max_bytes, 1] {
            wire.send(&format!("{part:x}\r\n{}\r\n", " ".repeat(part)));
        }
        let (status, answer) = wire.read_to_end();
        assert_eq!((status, error(&answer)), (413, "payload_too_large"), "{}", operation.id);
    }
}

#[test]
fn body_of_exactly_the_allowed_size_is_read() {
    let service = Service::shared();
    for (operation, body) in with_bodies() {
        let mut wire = Wire::open(service);
        let length = format!("content-length: {}\r\nconnection: close", body.max_bytes);
        wire.send(&head(operation, &length));
        wire.send(&" ".repeat(body.max_bytes));
        let (status, _) = wire.read_to_end();
        assert!([400, 401].contains(&status), "{}: {status}", operation.id);
    }
}

#[test]
fn body_that_does_not_arrive_in_time_is_given_up() {
    let service = Service::start(|config| config.limits.body_deadline_ms = 300);
    for (operation, _) in with_bodies() {
        for sent in ["", "{\"a\":"] {
            let mut wire = Wire::open(&service);
            wire.send(&head(operation, "content-length: 100"));
            wire.send(sent);
            let (status, answer) = wire.read_to_end();
            assert_eq!((status, error(&answer)), (408, "request_timeout"), "{}", operation.id);
        }
    }
}

/// The first bytes of a body every now and then do not buy more time.
#[test]
fn body_that_trickles_is_given_up() {
    let service = Service::start(|config| config.limits.body_deadline_ms = 300);
    let operation = operation("iframeTokenRedeem");
    let mut wire = Wire::open(&service);
    wire.send(&head(operation, "content-length: 4000"));
    let mut trickle = wire.stream.try_clone().expect("a socket");
    let trickling = std::thread::spawn(move || {
        while trickle.write_all(b" ").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let mut start = [0; 12];
    wire.stream.read_exact(&mut start).expect("an answer");
    assert_eq!(&start, b"HTTP/1.1 408");
    drop(wire);
    trickling.join().expect("it stops when the service has gone");
}

/// Bodies that never come to an end would use up the budget of 16 KiB three times over.
#[tokio::test(flavor = "multi_thread")]
async fn clients_that_leave_in_mid_body_cost_nothing() {
    let service = Service::start(|config| config.limits.in_flight_bytes = 16 * 1024);
    for _ in 0..12 {
        let mut wire = Wire::open(&service);
        wire.send(&head(operation("iframeTokenRedeem"), "content-length: 4096"));
        wire.send("{\"cache_key\":");
    }
    let demo = &service.demo.demo;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let answer = open_chat(&service.base_url, demo, &chat_body(&service)).await;
        if answer.status == 200 {
            break;
        }
        assert_eq!(answer.code(), "unavailable", "{}", answer.text);
        assert!(Instant::now() < deadline, "the budget was not given back");
    }
    let health = send(Method::GET, &service.url("/healthz"), &[], None).await;
    assert_eq!(health.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_common_budget_are_told_to_come_back() {
    let service = Service::start(|config| config.limits.in_flight_bytes = 4096 + 16);
    let mut holder = Wire::open(&service);
    let waits = "content-length: 4096\r\nexpect: 100-continue";
    holder.send(&head(operation("iframeTokenRedeem"), waits));
    // Said by a handler that waits for the body, so its share is taken.
    let mut said = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
    holder.stream.read_exact(&mut said).expect("the service asks for the body");
    let refused = open_chat(&service.base_url, &service.demo.demo, &chat_body(&service)).await;
    assert_eq!((refused.status.as_u16(), refused.code()), (503, "unavailable"));
    assert_eq!((refused.header("retry-after"), refused.header("connection")), ("1", "close"));
}

#[tokio::test]
async fn every_answer_forbids_sniffing() {
    let service = Service::shared();
    let documented = OPERATIONS.iter().map(|it| (it.method.clone(), path(it)));
    let cors = OPERATIONS.iter().filter(|it| it.cors).map(|it| (Method::OPTIONS, path(it)));
    let other = ["/healthz", "/readyz", "/version", "/demo", "/iframe/ses_x", "/widget/frame"];
    let other = other.iter().chain(&["/embed/chats", "/embed/chats/c", "/docs/api"]);
    let other = other.map(|path| (Method::GET, (*path).to_owned()));
    let documents = vestibule_api::documents::ALL.iter();
    let documents = documents.map(|(name, _)| (Method::GET, format!("/openapi/{name}.json")));
    for (method, path) in documented.chain(cors).chain(other).chain(documents) {
        let origin = [("origin", "https://stranger.example")];
        let answer = send(method.clone(), &service.url(&path), &origin, None).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{method} {path}");
        assert!(answer.status.as_u16() < 500, "{method} {path}: {}", answer.text);
    }
}

/// A socket to a service, read to its end.
struct Wire {
    stream: TcpStream,
}

impl Wire {
    fn open(service: &Service) -> Self {
        let address = service.base_url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        Self { stream }
    }

    fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).expect("the service reads");
    }

    /// Status and JSON body of the answer after which the service closes the connection.
    fn read_to_end(mut self) -> (u16, Value) {
        let mut text = String::new();
        self.stream.read_to_string(&mut text).expect("an answer, then the end");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let head = head.to_ascii_lowercase();
        assert!(head.contains("\r\nconnection: close"), "{head}");
        assert!(head.contains("\r\nx-content-type-options: nosniff"), "{head}");
        let status = head.get(9..12).and_then(|digits| digits.parse().ok()).expect("a status");
        (status, serde_json::from_str(body).expect("JSON"))
    }
}

fn with_bodies() -> impl Iterator<Item = (&'static OperationInfo, &'static BodyInfo)> {
    OPERATIONS.iter().filter_map(|operation| Some((*operation, operation.body.as_ref()?)))
}

fn path(operation: &OperationInfo) -> String {
    operation.path.replace(['{', '}'], "")
}

fn head(operation: &OperationInfo, framing: &str) -> String {
    let (method, path) = (&operation.method, path(operation));
    format!(
        "{method} {path} HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    )
}

fn error(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_default()
}

fn chat_body(service: &Service) -> Value {
    json!({ "publicKey": service.demo.demo.chat.public_key })
}
