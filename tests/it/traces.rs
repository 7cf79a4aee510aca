//! Traces, in the build that sends them: one span per request reaches a collector, by the HTTP
//! conventions, in the caller's trace.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

use reqwest::Method;

use crate::process::Process;
use crate::requests::send;

/// What a collector received, inside the data directory.
pub const RECEIVED: &str = "traces.bin";

/// A collector on a loopback port that keeps what it is sent.
pub struct Collector {
    /// Its base URL.
    pub endpoint: String,
    file: PathBuf,
}

impl Collector {
    /// Listens until the process ends.
    pub fn start(data_dir: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it listens"));
        let file = data_dir.join(RECEIVED);
        let kept = file.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || take_all(stream.expect("a connection"), &kept));
            }
        });
        Self { endpoint, file }
    }

    fn received(&self) -> Vec<u8> {
        std::fs::read(&self.file).unwrap_or_default()
    }
}

/// Keeps the bodies of a connection's requests; each is answered with an empty success.
fn take_all(stream: TcpStream, file: &Path) {
    let mut writer = stream.try_clone().expect("a socket");
    let mut reader = BufReader::new(stream);
    loop {
        let mut length = 0;
        let mut first = String::new();
        if reader.read_line(&mut first).unwrap_or(0) == 0 {
            return;
        }
        assert!(first.starts_with("POST /v1/traces HTTP/1.1"), "{first}");
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).expect("a head");
            let line = line.trim_end().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse().expect("a length");
            } else if let Some(kind) = line.strip_prefix("content-type:") {
                assert_eq!(kind.trim(), "application/x-protobuf");
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let kept = std::fs::OpenOptions::new().append(true).create(true).open(file);
        kept.and_then(|mut file| file.write_all(&body)).expect("the directory is ours");
        let answer = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\n\
                      content-length: 0\r\n\r\n";
        writer.write_all(answer.as_bytes()).expect("the service listens");
    }
}

fn has(received: &[u8], part: impl AsRef<[u8]>) -> bool {
    let part = part.as_ref();
    received.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn a_span_reaches_the_collector_in_the_callers_trace() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let collector = Collector::start(data.path());
    let endpoint = ("VESTIBULE__OTLP__ENDPOINT", collector.endpoint.as_str());
    let process =
        Process::start_with(data.path(), 0, &[endpoint, ("VESTIBULE__LOG__LEVEL", "error")]);
    let url = format!("{}/v1/embed/session?unsaid=1", process.base_url);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let headers = [("traceparent", parent), ("authorization", "Bearer nobodys-token")];
    let answer = send(Method::GET, &url, &headers, None).await;
    assert!(process.terminate().success());
    let received = collector.received();
    let trace = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes();
    assert!(has(&received, trace) && has(&received, 0xb7ad_6b71_6920_3331_u64.to_be_bytes()));
    for part in [
        "vestibule",
        "GET /v1/embed/session",
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "error.type",
        "embedSessionRead",
        answer.header("x-request-id"),
    ] {
        assert!(has(&received, part), "{part}");
    }
    for part in ["unsaid", "nobodys-token"] {
        assert!(!has(&received, part), "{part}");
    }
}

#[tokio::test]
async fn no_trace_is_sent_when_none_of_a_hundred_is_wanted() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let collector = Collector::start(data.path());
    let settings = [
        ("VESTIBULE__OTLP__ENDPOINT", collector.endpoint.as_str()),
        ("VESTIBULE__OTLP__SAMPLE_PERCENT", "0"),
    ];
    let process = Process::start_with(data.path(), 0, &settings);
    let url = format!("{}/v1/embed/session", process.base_url);
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    send(Method::GET, &url, &[("traceparent", parent)], None).await;
    assert!(process.terminate().success());
    assert_eq!(collector.received(), b"", "the caller's word does not decide");
}

/// The service is not held up by one that never answers.
#[tokio::test]
async fn a_collector_that_is_gone_stops_nothing() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let gone = TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr();
    let endpoint = format!("http://{}", gone.expect("it listened"));
    let process =
        Process::start_with(data.path(), 0, &[("VESTIBULE__OTLP__ENDPOINT", endpoint.as_str())]);
    let url = format!("{}/v1/embed/session", process.base_url);
    assert_eq!(send(Method::GET, &url, &[], None).await.status, 401);
    assert!(process.terminate().success());
}
