//! What was acknowledged stays: one winner per signature, and nothing lost by SIGKILL.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::process::Process;
use crate::requests::{Answer, now_ms, send_with, signed};

const COPIES: usize = 200;
const CLIENTS: usize = 12;
const ROUNDS: usize = 3;
/// Acknowledged answers after which a round's SIGKILL is sent.
const ENOUGH: usize = 300;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hundred_copies_of_a_signed_request_one_opens_a_session() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let port = process.port();
    let copy = Signed::new(&process.demo.demo, 0, now_ms());
    let answers = send_copies(&process.base_url, &copy, COPIES).await;
    let opened = answers.iter().filter(|answer| answer.status == 201).count();
    let replayed = answers.iter().filter(|answer| is_replay(answer)).count();
    assert_eq!((opened, replayed), (1, COPIES - 1));
    // Neither the end of the process nor a crash makes it forget.
    assert!(process.terminate().success());
    let process = Process::start(data.path(), port);
    assert!(send_copies(&process.base_url, &copy, 20).await.iter().all(is_replay));
    process.kill();
    let process = Process::start(data.path(), port);
    assert!(send_copies(&process.base_url, &copy, 20).await.iter().all(is_replay));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_acknowledged_before_sigkill_are_there_after_it() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let settings = [("VESTIBULE__LIMITS__REDEEM_PER_MINUTE", "100000")];
    let mut port = 0;
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let process = Process::start_with(data.path(), port, &settings);
        port = process.port();
        acknowledged.extend(load_until_killed(process, round).await);
    }
    let process = Process::start_with(data.path(), port, &settings);
    assert!(acknowledged.len() >= ROUNDS * ENOUGH);
    let all = Arc::new(acknowledged);
    let checks = (0..CLIENTS).map(|client| {
        let (all, process) = (all.clone(), (process.base_url.clone(), process.demo.demo.clone()));
        tokio::spawn(async move {
            let http = Client::new();
            for it in all.iter().skip(client).step_by(CLIENTS) {
                it.require(&http, &process.0, &process.1).await;
            }
        })
    });
    for check in checks.collect::<Vec<_>>() {
        check.await.expect("nothing acknowledged is lost");
    }
}

/// A signed request for an embed session, as it can be sent again and again.
pub struct Signed {
    headers: [(&'static str, String); 3],
    body: Vec<u8>,
}

impl Signed {
    /// For the employee of this number, signed `at` milliseconds since 1970.
    pub fn new(tenant: &TenantCredentials, number: usize, at: i64) -> Self {
        let employee = format!("{number:024x}");
        let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
        let body = body.to_string().into_bytes();
        let headers = signed(&tenant.embed.key, &tenant.embed.secret, at, &body);
        Self { headers, body }
    }

    pub async fn send(&self, http: &Client, base_url: &str) -> Answer {
        let headers = self.headers.each_ref().map(|(name, value)| (*name, value.as_str()));
        let url = format!("{base_url}/v1/embed/sessions");
        send_with(http, Method::POST, &url, &headers, Some(self.body.clone())).await
    }
}

/// Sends one request so many times at once.
async fn send_copies(base_url: &str, copy: &Signed, count: usize) -> Vec<Answer> {
    let http = Client::new();
    futures::future::join_all((0..count).map(|_| copy.send(&http, base_url))).await
}

/// Whether a request was refused because its signature had been used.
pub fn is_replay(answer: &Answer) -> bool {
    answer.status == 401 && answer.code() == "signature_replayed"
}

/// What a client was told, and must find again.
enum Acknowledged {
    /// An embed session; its signature must stay used up, too.
    Embed {
        signed: Signed,
        employee: String,
        token: String,
    },
    Chat {
        conversation: String,
        token: String,
    },
    Iframe {
        uid: String,
        cache_key: String,
    },
}

/// Opens sessions from many clients at once and kills the service among them. What each client
/// was told before its connection broke.
async fn load_until_killed(process: Process, round: usize) -> Vec<Acknowledged> {
    let told = Arc::new(Mutex::new(Vec::new()));
    let count = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|client| {
        let (told, count) = (told.clone(), count.clone());
        let (base_url, tenant) = (process.base_url.clone(), process.demo.demo.clone());
        tokio::spawn(async move {
            let http = Client::new();
            for at in 0.. {
                let number = (round * CLIENTS + client) * 1_000_000 + at;
                let Some(it) = open(&http, &base_url, &tenant, number).await else { return };
                told.lock().expect("no client panics").push(it);
                count.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    while count.load(Ordering::Relaxed) < ENOUGH {
        assert!(clients.iter().all(|client| !client.is_finished()), "a client was not answered");
        tokio::task::yield_now().await;
    }
    process.kill();
    for client in clients {
        client.await.expect("a client ends when its connection breaks");
    }
    Arc::into_inner(told).expect("no client is left").into_inner().expect("no client panicked")
}

/// One session through one of the doors; `None` once the service is gone.
async fn open(
    http: &Client,
    base_url: &str,
    tenant: &TenantCredentials,
    number: usize,
) -> Option<Acknowledged> {
    let text = |value: &Value| value.as_str().expect("the answer is whole").to_owned();
    Some(match number % 3 {
        0 => {
            let signed = Signed::new(tenant, number, now_ms());
            let headers = signed.headers.each_ref().map(|(name, value)| (*name, value.clone()));
            let body = signed.body.clone();
            let answer = post(http, base_url, "/v1/embed/sessions", &headers, body).await?;
            let employee = format!("{number:024x}");
            Acknowledged::Embed { signed, employee, token: text(&answer["data"]["embedToken"]) }
        }
        1 => {
            let body = json!({ "publicKey": tenant.chat.public_key, "locale": "en" }).to_string();
            let headers = [("origin", tenant.chat.origin.clone())];
            let path = "/api/public/v1/chat/sessions";
            let answer = post(http, base_url, path, &headers, body.into_bytes()).await?;
            let conversation = text(&answer["conversationId"]);
            Acknowledged::Chat { conversation, token: text(&answer["sessionToken"]) }
        }
        _ => {
            let uid = format!("user-{number}");
            let body = json!({ "uid": uid, "srcs": tenant.iframe.source_ids }).to_string();
            let headers = [("authorization", format!("Bearer {}", tenant.iframe.api_key))];
            let path = "/api/v1/iframe/create";
            let answer = post(http, base_url, path, &headers, body.into_bytes()).await?;
            Acknowledged::Iframe { uid, cache_key: text(&answer["cache_key"]) }
        }
    })
}

/// The answer to a request that cannot be refused; `None` when the connection broke.
async fn post(
    http: &Client,
    base_url: &str,
    path: &str,
    headers: &[(&str, String)],
    body: Vec<u8>,
) -> Option<Value> {
    let mut request = http.post(format!("{base_url}{path}")).body(body);
    request = request.header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.send().await.ok()?;
    let status = response.status();
    let text = response.text().await.ok()?;
    assert!(status.is_success(), "{path}: {status} {text}");
    serde_json::from_str(&text).ok()
}

impl Acknowledged {
    /// Fails the test unless the session is there.
    async fn require(&self, http: &Client, base_url: &str, tenant: &TenantCredentials) {
        match self {
            Self::Embed { signed, employee, token } => {
                let read = read(http, base_url, "/v1/embed/session", token, None).await;
                assert_eq!(read.body["data"]["employeeId"], employee.as_str(), "{}", read.text);
                assert!(is_replay(&signed.send(http, base_url).await));
            }
            Self::Chat { conversation, token } => {
                let path = "/api/public/v1/chat/conversation";
                let read = read(http, base_url, path, token, Some(&tenant.chat.origin)).await;
                assert_eq!(read.body["conversationId"], conversation.as_str(), "{}", read.text);
            }
            Self::Iframe { uid, cache_key } => {
                let url = format!("{base_url}/api/v1/iframe/token");
                let body = json!({ "cache_key": cache_key }).to_string().into_bytes();
                let redeemed = send_with(http, Method::POST, &url, &[], Some(body)).await;
                assert_eq!(redeemed.body["uid"], uid.as_str(), "{}", redeemed.text);
            }
        }
    }
}

async fn read(
    http: &Client,
    base_url: &str,
    path: &str,
    token: &str,
    origin: Option<&str>,
) -> Answer {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", bearer.as_str())];
    headers.extend(origin.map(|origin| ("origin", origin)));
    send_with(http, Method::GET, &format!("{base_url}{path}"), &headers, None).await
}
