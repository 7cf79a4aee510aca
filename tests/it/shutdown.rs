//! The end of a run: SIGTERM cuts nobody off who has begun.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use vestibule::cli::dev::DevCredentials;
use vestibule::config::{Config, Overrides};
use vestibule::context::Ids;
use vestibule::store::Store;

use crate::engine;
use crate::process::{LOG, Process};
use crate::requests::{get, now_ms, signed};

const IN_FLIGHT: usize = 24;

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn requests_already_begun_are_answered_after_sigterm() {
    let data = tempfile::tempdir().expect("a temporary directory");
    // As long as the end may take, so that a busy machine does not miss it.
    let patient = [("VESTIBULE__LIMITS__BODY_DEADLINE_MS", "60000")];
    let process = Process::start_with(data.path(), 0, &patient);
    let (port, base_url) = (process.port(), process.base_url.clone());
    let begun: Vec<_> = (0..IN_FLIGHT).map(|number| Begun::new(&process, number)).collect();
    let ending = std::thread::spawn(move || process.terminate());
    // The bodies leave only after the service has taken note of the signal.
    let log = || std::fs::read_to_string(data.path().join(LOG)).expect("a log");
    while !log().contains("stopping: requests already begun are answered") {
        assert!(!ending.is_finished(), "{}", log());
        std::thread::sleep(Duration::from_millis(5));
    }
    let answers: Vec<_> = begun.into_iter().map(Begun::finish).collect();
    assert_eq!(ending.join().expect("it ends").code(), Some(0));
    // What was answered is not only said but kept.
    let process = Process::start(data.path(), port);
    for (status, body) in answers {
        assert_eq!(status, 201, "{body}");
        let token = body["data"]["embedToken"].as_str().expect("a token");
        let read = get(&format!("{base_url}/v1/embed/session"), token).await;
        assert_eq!(read.status, 200, "{}", read.text);
    }
    assert!(process.terminate().success());
}

#[test]
fn idle_connections_do_not_hold_the_end() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let mut idle: Vec<_> = (0..8).map(|_| connect(process.port())).collect();
    for stream in &mut idle[..4] {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: v\r\n\r\n").expect("it listens");
        assert_eq!(read_answer(stream).0, 200);
    }
    assert_eq!(process.terminate().code(), Some(0));
    let log = std::fs::read_to_string(data.path().join(LOG)).expect("a log");
    assert!(!log.contains("their connections are cut"), "{log}");
}

/// What a program that has the service in it may rely on: no task keeps the store open for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_dropped_lets_go_of_everything() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let demo = DevCredentials::load(data.path(), None, &Ids::default()).expect("credentials");
    let overrides = Overrides {
        bind: Some("127.0.0.1:0".into()),
        data_dir: Some(data.path().to_owned()),
        dev: true,
        ..Overrides::default()
    };
    let mut config = Config::load(&overrides).expect("a valid configuration");
    config.admin_token = Some(demo.admin.token.clone().into());
    config.database = engine::database(data.path());
    let store = Store::open(&config.database).await.expect("the store opens");
    let running = vestibule::serve::start(config, store, Some(demo)).await.expect("it starts");
    let context = Arc::downgrade(&running.context);
    drop(running);
    let deadline = Instant::now() + PATIENCE;
    while context.strong_count() > 0 {
        assert!(Instant::now() < deadline, "{} tasks hold it", context.strong_count());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A signed request whose head was received and whose body is awaited by the service.
struct Begun {
    stream: TcpStream,
    body: Vec<u8>,
}

impl Begun {
    fn new(process: &Process, number: usize) -> Self {
        let embed = &process.demo.demo.embed;
        let employee = format!("{number:024x}");
        let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
        let body = body.to_string().into_bytes();
        let [key, timestamp, signature] = signed(&embed.key, &embed.secret, now_ms(), &body);
        let mut head = format!(
            "POST /v1/embed/sessions HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
             content-length: {}\r\nexpect: 100-continue\r\n",
            body.len()
        );
        for (name, value) in [key, timestamp, signature] {
            head += &format!("{name}: {value}\r\n");
        }
        let mut stream = connect(process.port());
        stream.write_all((head + "\r\n").as_bytes()).expect("it listens");
        // Said only by a handler that waits for the body: proof that the request has begun.
        let mut said = [0; b"HTTP/1.1 100 Continue\r\n\r\n".len()];
        stream.read_exact(&mut said).expect("the service asks for the body");
        assert_eq!(&said, b"HTTP/1.1 100 Continue\r\n\r\n");
        Self { stream, body }
    }

    fn finish(mut self) -> (u16, serde_json::Value) {
        self.stream.write_all(&self.body).expect("the connection is kept");
        read_answer(&mut self.stream)
    }
}

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream
}

/// Status and JSON body of one answer.
fn read_answer(stream: &mut TcpStream) -> (u16, serde_json::Value) {
    let mut reader = BufReader::new(stream);
    let (mut status, mut length) = (0, 0);
    for number in 0.. {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a head");
        let line = line.trim_end();
        if number == 0 {
            status = line.get(9..12).and_then(|text| text.parse().ok()).expect("a status");
        } else if line.is_empty() {
            break;
        } else if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the answer is not cut");
    (status, serde_json::from_slice(&body).expect("JSON"))
}
