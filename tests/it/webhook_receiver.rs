//! An endpoint on loopback that takes webhooks, keeps them and answers what it is told to.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// How long a delivery may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Delivered {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, byte for byte.
    pub body: String,
}

/// The endpoint. Dropping it closes its port.
pub struct Receiver {
    /// Where it is.
    pub url: String,
    state: Arc<State>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    delivered: Mutex<Vec<Delivered>>,
    answers: Mutex<VecDeque<String>>,
    usual: Mutex<Option<String>>,
    pause: Mutex<Duration>,
}

impl Delivered {
    /// The header `webhook-id`.
    pub fn id(&self) -> String {
        self.headers["webhook-id"].to_str().expect("an id").to_owned()
    }

    /// The body's `type`.
    pub fn event(&self) -> String {
        self.json()["type"].as_str().expect("a type").to_owned()
    }

    /// The body.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("a body is JSON")
    }

    /// Fails unless Standard Webhooks' own library takes it with this secret.
    pub fn verify(&self, secret: &str) {
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(self.body.as_bytes(), &self.headers).expect("a genuine delivery");
    }

    /// Whether that library takes it with this secret.
    pub fn is_signed_by(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret).expect("a secret");
        verifier.verify(self.body.as_bytes(), &self.headers).is_ok()
    }
}

impl Receiver {
    /// On a free port; it answers 204.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook?a=b", listener.local_addr().expect("an address"));
        let state = Arc::<State>::default();
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(take(socket, Arc::clone(&shared)));
            }
        });
        Self { url, state, task }
    }

    /// Answers these, one after the other, before the usual answer: status and reason, and what
    /// follows the status line.
    pub fn answer(&self, answers: &[&str]) {
        let mut queue = self.state.answers.lock().expect("no test panicked here");
        queue.extend(answers.iter().map(ToString::to_string));
    }

    /// Answers this from now on.
    pub fn always_answer(&self, answer: &str) {
        *self.state.usual.lock().expect("no test panicked here") = Some(answer.to_owned());
    }

    /// Answers so much later.
    pub fn pause(&self, pause: Duration) {
        *self.state.pause.lock().expect("no test panicked here") = pause;
    }

    /// What came, in the order in which it came.
    pub fn all(&self) -> Vec<Delivered> {
        self.state.delivered.lock().expect("no test panicked here").clone()
    }

    /// Of how many messages something came.
    pub fn messages(&self) -> usize {
        self.all().iter().map(Delivered::id).collect::<HashSet<_>>().len()
    }

    /// How often each message came.
    pub fn copies(&self) -> HashMap<String, usize> {
        let mut copies = HashMap::new();
        for delivered in self.all() {
            *copies.entry(delivered.id()).or_default() += 1;
        }
        copies
    }

    /// Waits until so many requests came; what came.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivered> {
        until(async || self.all().len() >= count, || format!("{} came", self.all().len())).await;
        self.all()
    }

    /// Waits until something came of so many messages.
    pub async fn wait_for_messages(&self, count: usize) {
        until(async || self.messages() >= count, || format!("{} came", self.messages())).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until it is so, or fails and says how it is.
pub async fn until(is_so: impl AsyncFn() -> bool, told: impl Fn() -> String) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < deadline, "{}", told());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn take(mut socket: TcpStream, state: Arc<State>) {
    let Some(delivered) = read(&mut socket).await else { return };
    state.delivered.lock().expect("no test panicked here").push(delivered);
    let pause = *state.pause.lock().expect("no test panicked here");
    tokio::time::sleep(pause).await;
    let next = state.answers.lock().expect("no test panicked here").pop_front();
    let usual = state.usual.lock().expect("no test panicked here").clone();
    let answer = next.or(usual).unwrap_or_else(|| "204 No Content\r\n".to_owned());
    let answer = format!("HTTP/1.1 {answer}connection: close\r\n\r\n");
    // The service may be gone.
    let _ = socket.write_all(answer.as_bytes()).await;
}

async fn read(socket: &mut TcpStream) -> Option<Delivered> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let headers = headers(head);
            let length: usize = headers.get("content-length")?.to_str().ok()?.parse().ok()?;
            if body.len() == length {
                return Some(Delivered { headers, body: body.to_owned() });
            }
        }
        if socket.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

fn headers(head: &str) -> HeaderMap {
    let fields = head.lines().skip(1).filter_map(|line| line.split_once(": "));
    let header = |(name, value): (&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    };
    fields.map(header).collect()
}
