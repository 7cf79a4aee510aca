//! The public listener: whoever is silent, slow or too many is cut, and nobody else notices.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::net::Patience;

use crate::errors::operation;
use crate::requests::{fresh_timestamp, open_embed, open_iframe, post};
use crate::service::Service;

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(300);
const REQUEST: &str = "GET /healthz HTTP/1.1\r\nhost: v\r\n\r\n";

fn with(change: impl FnOnce(&mut Patience)) -> Service {
    Service::start(|config| {
        change(&mut config.listener.as_mut().expect("it is on by default").patience);
    })
}

fn address(service: &Service) -> SocketAddr {
    service.base_url.trim_start_matches("http://").parse().expect("an address")
}

fn connect(service: &Service) -> TcpStream {
    let stream = TcpStream::connect(address(service)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// What still comes until the other side ends the connection.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    match stream.read_to_end(&mut text) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it is not ended"),
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// One answer of a connection that stays open.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = stream.read(&mut chunk).expect("an answer");
        assert_ne!(read, 0, "cut: {}", String::from_utf8_lossy(&text));
        text.extend_from_slice(&chunk[..read]);
        if text.ends_with(b"}") {
            return String::from_utf8_lossy(&text).into_owned();
        }
    }
}

#[test]
fn a_silent_client_is_cut_without_a_word() {
    let service = with(|patience| patience.first_byte = SOON);
    assert_eq!(rest(&mut connect(&service)), "");
}

#[test]
fn a_head_that_does_not_end_is_408_and_one_too_long_431() {
    let hurried = with(|patience| patience.head = SOON);
    let mut slow = connect(&hurried);
    slow.write_all(b"GET /healthz HTTP/1.1\r\nhost: v\r\n").expect("it listens");
    assert!(rest(&mut slow).starts_with("HTTP/1.1 408 "), "not told");
    let service = with(|patience| patience.head_bytes = 2048);
    let mut long = connect(&service);
    let text = format!("GET /healthz HTTP/1.1\r\nhost: v\r\nx: {}", "a".repeat(2048));
    long.write_all(text.as_bytes()).expect("it listens");
    assert!(rest(&mut long).starts_with("HTTP/1.1 431 "), "not told");
    let mut foreign = connect(&service);
    foreign.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it listens");
    assert!(rest(&mut foreign).starts_with("HTTP/1.1 505 "), "not told");
}

/// Drops of a head, each well before anybody is cut for silence, do not keep a connection.
#[test]
fn a_head_in_drops_is_cut_after_the_time_of_a_head() {
    let service = with(|patience| patience.head = SOON);
    let mut stream = connect(&service);
    for request in 0..2 {
        if request == 1 {
            stream.write_all(REQUEST.as_bytes()).expect("it listens");
            assert!(answer(&mut stream).starts_with("HTTP/1.1 200 "), "a whole head is answered");
        }
        let (mut dropping, begun) = (stream.try_clone().expect("a socket"), Instant::now());
        let drops = std::thread::spawn(move || {
            let text = REQUEST.bytes().cycle().filter(|byte| *byte != b'\n');
            for drop in text {
                let is_late = begun.elapsed() > PATIENCE;
                if is_late || dropping.write_all(&[drop]).is_err() {
                    return is_late;
                }
                std::thread::sleep(SOON / 10);
            }
            true
        });
        assert!(rest(&mut stream).starts_with("HTTP/1.1 408 "), "request {request}");
        assert!(!drops.join().expect("it drops"), "still open");
        stream = connect(&service);
    }
}

#[test]
fn requests_follow_each_other_on_one_connection_and_may_be_sent_at_once() {
    let service = Service::start(|_| {});
    let mut stream = connect(&service);
    for _ in 0..3 {
        stream.write_all(REQUEST.as_bytes()).expect("it listens");
        assert!(answer(&mut stream).starts_with("HTTP/1.1 200 "), "not answered");
    }
    let last = "GET /healthz HTTP/1.1\r\nhost: v\r\nconnection: close\r\n\r\n";
    stream.write_all((REQUEST.repeat(3) + last).as_bytes()).expect("it listens");
    assert_eq!(rest(&mut stream).matches("HTTP/1.1 200 ").count(), 4);
}

#[tokio::test]
async fn bodies_as_large_as_allowed_pass() {
    let service = Service::start(|_| {});
    let most = operation("iframeSessionCreate").body.as_ref().expect("it has one").max_bytes;
    let body = |more: usize| json!({ "uid": "u", "srcs": ["s"], "x": "y".repeat(more) });
    let frame = body(0).to_string().len();
    for short in [1, 0] {
        let body = body(most - frame - short);
        assert_eq!(body.to_string().len(), most - short);
        let answer = open_iframe(&service.base_url, &service.demo.demo, &body).await;
        // Read whole and judged, not cut: there is a member that nobody knows.
        answer.refused(400, "invalid_input");
        assert_eq!(answer.violations()[0].1, "/x", "{}", answer.text);
    }
}

#[test]
fn one_address_may_not_take_every_connection() {
    let service = Service::start(|config| {
        config.listener.as_mut().expect("it is on by default").most_of_one = 4;
    });
    let mut held: Vec<_> = (0..4).map(|_| connect(&service)).collect();
    // Taken in the order of their arrival: the fifth comes when the four have their places.
    assert!(rest(&mut connect(&service)).starts_with("HTTP/1.1 503 "), "a fifth is let in");
    held.clear();
    let begun = Instant::now();
    loop {
        let mut stream = connect(&service);
        let asked = stream.write_all(REQUEST.as_bytes());
        let mut said = [0; 12];
        if asked.is_ok() && stream.read_exact(&mut said).is_ok() && &said == b"HTTP/1.1 200" {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "places are not given back");
    }
}

/// Exchanges of a token from `client`, as a proxy on this machine tells it, that are let through.
async fn exchanges(service: &Service, clients: &[&str]) -> Vec<u16> {
    let mut seen = Vec::new();
    for client in clients {
        let body = json!({ "cache_key": "ck_unknown" });
        let headers = [("x-forwarded-for", *client)];
        let url = service.url("/api/v1/iframe/token");
        seen.push(post(&url, &headers, &body).await.status.as_u16());
    }
    seen
}

#[tokio::test]
async fn a_proxy_is_believed_when_it_is_trusted_and_not_otherwise() {
    let once = |trusted: bool| {
        Service::start(move |config| {
            config.limits.redeem_per_minute = 1;
            if trusted {
                let here = vec!["127.0.0.0/8".parse().expect("a network")];
                config.trusted_proxies = vestibule::net::TrustedProxies::new(here);
            }
        })
    };
    let once = |trusted| {
        let service = once(trusted);
        // The minute does not end here.
        service.context.clock.hold_at_ms(fresh_timestamp());
        service
    };
    let clients = ["203.0.113.1", "203.0.113.2", "203.0.113.1"];
    let seen = exchanges(&once(true), &clients).await;
    assert_eq!(seen.iter().map(|status| *status == 429).collect::<Vec<_>>(), [false, false, true]);
    let seen = exchanges(&once(false), &clients).await;
    assert_eq!(seen.iter().map(|status| *status == 429).collect::<Vec<_>>(), [false, true, true]);
}

#[tokio::test]
async fn without_the_guard_the_server_listens_itself() {
    let service = Service::start(|config| config.listener = None);
    let body =
        json!({ "employeeId": "0123456789abcdef01234567", "capabilities": ["showChatsList"] });
    let opened = open_embed(&service.base_url, &service.demo.demo, &body).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
}

#[test]
fn a_connection_between_requests_has_an_end_of_its_own() {
    let service = with(|patience| patience.idle = SOON);
    let mut stream = connect(&service);
    stream.write_all(REQUEST.as_bytes()).expect("it listens");
    let said = rest(&mut stream);
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with('}'), "{said}");
}

#[test]
fn a_connection_that_is_old_goes_after_its_answer() {
    let service = with(|patience| patience.lifetime = SOON);
    let mut stream = connect(&service);
    std::thread::sleep(2 * SOON);
    stream.write_all(REQUEST.as_bytes()).expect("it listens");
    let said = rest(&mut stream);
    assert!(said.starts_with("HTTP/1.1 200 ") && said.ends_with('}'), "{said}");
}

/// The service answers upon the head and closes; whoever is still sending hears the answer.
#[test]
fn an_answer_reaches_a_client_that_is_still_sending() {
    let service = Service::start(|_| {});
    for _ in 0..20 {
        let mut stream = connect(&service);
        let body = 1_000_000;
        let head = format!(
            "POST /v1/embed/sessions HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
             content-length: {body}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("it listens");
        let sent = stream.write_all(&vec![b' '; body]);
        sent.expect("what nobody reads is taken until the answer is read");
        let said = rest(&mut stream);
        assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    }
}
