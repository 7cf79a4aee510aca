//! A network that loses three answers in ten, and a service that is killed: whoever repeats a
//! request under its key until it is answered gets every effect once.
//!
//! The network is a proxy that cuts connections: before a request reaches the service, after its
//! answer has begun, and in the middle of that. What it cuts is the same on every run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use vestibule::cli::dev::DevCredentials;

use crate::callers::{bearer, text};
use crate::database::{counts, query};
use crate::idempotency::{KEY, fresh_key};
use crate::process::Process;
use crate::requests::{fresh_timestamp, get, post, signed};

const CREATES: usize = 301;
const CLIENTS: usize = 8;
/// After how many answers the service is killed.
const KILLS: [usize; 2] = [CREATES / 3, 2 * CREATES / 3];
/// Lost answers in a hundred.
const LOST: u64 = 30;
const SEED: u64 = 0x5eed;
/// Far more than a start takes.
const PATIENCE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_create_takes_effect_once_though_answers_are_lost_and_the_service_is_killed() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let mut process = Process::start(data.path(), 0);
    let (port, demo) = (process.port(), Arc::new(process.demo.clone()));
    let shared = Arc::new(Shared::new(&process).await);
    let before = rows(data.path());
    let network = Network::start(port).await;
    let heard = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|client| {
        let (demo, heard, url) = (demo.clone(), heard.clone(), network.url.clone());
        let shared = shared.clone();
        tokio::spawn(async move {
            let mut told = Vec::new();
            for number in (client..CREATES).step_by(CLIENTS) {
                let create = Create::new(number, &demo, &shared);
                told.push((create.until_heard(&url).await, create));
                heard.fetch_add(1, Ordering::Relaxed);
            }
            told
        })
    });
    let clients: Vec<_> = clients.collect();
    for enough in KILLS {
        while heard.load(Ordering::Relaxed) < enough {
            assert!(clients.iter().any(|client| !client.is_finished()), "the clients are at work");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
        process = Process::start(data.path(), port);
    }
    let mut told = Vec::new();
    for client in clients {
        told.extend(client.await.expect("a client hears of everything"));
    }
    network.calm();
    let (mut repeated, mut attempts) = (0, 0);
    for (heard, create) in &told {
        let again = create.once(&network.url).await.expect("nothing is lost any more");
        assert!(again.is_repetition, "{create:?}");
        assert_eq!(again.bytes, heard.last.bytes, "{create:?}");
        repeated += usize::from(heard.last.is_repetition);
        attempts += heard.attempts;
    }
    let lost = attempts - CREATES;
    let after = rows(data.path());
    let made: BTreeMap<_, _> =
        after.iter().map(|(table, rows)| (table.as_str(), rows - before[table])).collect();
    println!(
        "{CREATES} creates, {attempts} attempts, {} connections cut, {} kills; {repeated} first heard \
         as a repetition; new rows: {made:?}",
        network.cut.load(Ordering::Relaxed),
        KILLS.len(),
    );
    let each = (CREATES / KINDS) as i64;
    let doors = [("sessions", 3 * each), ("tenants", each), ("keys", each)];
    let others = [("webhooks", each), ("rotations", each), ("idempotency", CREATES as i64)];
    for (table, count) in doors.into_iter().chain(others) {
        assert_eq!(made[table], count, "{table}: {made:?}");
    }
    assert!(lost * 100 >= CREATES * 20, "too few were lost to show anything: {lost}");
    assert!(repeated > 0, "no answer was lost after its effect");
}

/// Kinds of creates: the three doors, a tenant, a key, an endpoint, and the credential that a
/// rotation makes.
const KINDS: usize = 7;

/// One request that a client must get done.
#[derive(Debug)]
struct Create {
    key: String,
    path: String,
    body: Vec<u8>,
    headers: Vec<(&'static str, String)>,
    /// Key and secret, when it is signed.
    signer: Option<(String, String)>,
}

/// What came back.
struct Heard {
    bytes: (u16, String),
    is_repetition: bool,
}

/// The answer in the end, and how often it was asked for.
struct Told {
    last: Heard,
    attempts: usize,
}

impl Create {
    fn new(number: usize, demo: &DevCredentials, of: &Shared) -> Self {
        let tenant = &demo.demo;
        let (admin, Shared { tenant_id, key_id }) = (|| vec![bearer(&demo.admin.token)], of);
        let (endpoints, rotate): (String, String);
        let (path, body, headers) = match number % KINDS {
            0 => {
                let employee = format!("{number:024x}");
                let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
                ("/v1/embed/sessions", body, vec![])
            }
            1 => {
                let body = json!({ "publicKey": tenant.chat.public_key, "locale": "en" });
                let origin = ("origin", tenant.chat.origin.clone());
                ("/api/public/v1/chat/sessions", body, vec![origin])
            }
            2 => {
                let uid = format!("user-{number}");
                let body = json!({ "uid": uid, "srcs": tenant.iframe.source_ids });
                ("/api/v1/iframe/create", body, vec![bearer(&tenant.iframe.api_key)])
            }
            3 => ("/api/admin/v1/tenants", json!({ "name": format!("t{number}") }), admin()),
            4 => {
                let body = json!({ "tenantId": tenant_id, "kind": "iframe", "label": "k" });
                ("/api/admin/v1/keys", body, admin())
            }
            5 => {
                endpoints = format!("/api/admin/v1/tenants/{tenant_id}/webhooks");
                let url = "https://hooks.acme.example/";
                let body = json!({ "url": url, "events": ["limit.exceeded"] });
                (endpoints.as_str(), body, admin())
            }
            _ => {
                rotate = format!("/api/admin/v1/keys/{key_id}/rotate");
                (rotate.as_str(), json!({ "overlapSeconds": 0 }), admin())
            }
        };
        let signer = number
            .is_multiple_of(KINDS)
            .then(|| (tenant.embed.key.clone(), tenant.embed.secret.clone()));
        let path = path.to_owned();
        Self { key: fresh_key(), path, body: body.to_string().into_bytes(), headers, signer }
    }

    /// Sends it until there is an answer, signed anew each time.
    async fn until_heard(&self, url: &str) -> Told {
        let begun = Instant::now();
        for attempts in 1.. {
            if let Some(last) = self.once(url).await {
                return Told { last, attempts };
            }
            assert!(begun.elapsed() < PATIENCE, "never answered: {self:?}");
            // The service may be starting.
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        unreachable!("there are numbers enough")
    }

    /// One attempt; `None` when the answer is lost, or the first one is still being made.
    async fn once(&self, url: &str) -> Option<Heard> {
        // Each attempt on a connection of its own, so that each meets its fate.
        let client = Client::builder().pool_max_idle_per_host(0).build().expect("a client");
        let mut request = client.request(Method::POST, format!("{url}{}", self.path));
        request = request.header("content-type", "application/json").header(KEY, &self.key);
        let signature = self
            .signer
            .as_ref()
            .map(|(key, secret)| signed(key, secret, fresh_timestamp(), &self.body).to_vec());
        for (name, value) in self.headers.iter().chain(signature.iter().flatten()) {
            request = request.header(*name, value);
        }
        let answer = request.body(self.body.clone()).send().await.ok()?;
        let status = answer.status().as_u16();
        let is_repetition = answer.headers().contains_key("idempotent-replayed");
        let text = answer.text().await.ok()?;
        // 503: the service is going down or coming up.
        if matches!(status, 409 | 503) {
            return None;
        }
        assert!((200..300).contains(&status), "{}: {status} {text}", self.path);
        Some(Heard { bytes: (status, text), is_repetition })
    }
}

/// What several creates have in common.
struct Shared {
    tenant_id: String,
    /// Of a key that only rotations use, all clients the same one.
    key_id: String,
}

impl Shared {
    async fn new(process: &Process) -> Self {
        let (base, admin) = (&process.base_url, &process.demo.admin.token);
        let listed = get(&format!("{base}/api/admin/v1/tenants"), admin).await;
        let tenant_id = text(&listed, "/items/0/tenantId");
        let body = json!({ "tenantId": tenant_id, "kind": "iframe", "label": "rotated" });
        let bearer = format!("Bearer {admin}");
        let headers = [("authorization", bearer.as_str())];
        let made = post(&format!("{base}/api/admin/v1/keys"), &headers, &body).await;
        Self { key_id: text(&made, "/key/keyId"), tenant_id }
    }
}

/// A network on the way to the service.
struct Network {
    url: String,
    calm: Arc<AtomicBool>,
    cut: Arc<AtomicUsize>,
}

/// What becomes of a connection.
#[derive(Clone, Copy)]
enum Fate {
    Passes,
    LosesTheRequest,
    LosesTheAnswer,
    BreaksTheAnswer,
}

impl Network {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (calm, cut) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let service = SocketAddr::from(([127, 0, 0, 1], port));
        let network = Self { url, calm: calm.clone(), cut: cut.clone() };
        tokio::spawn(async move {
            for number in 0.. {
                let (client, _) = listener.accept().await.expect("a connection");
                let fate = if calm.load(Ordering::Relaxed) { Fate::Passes } else { fate(number) };
                if !matches!(fate, Fate::Passes) {
                    cut.fetch_add(1, Ordering::Relaxed);
                }
                tokio::spawn(carry(client, service, fate));
            }
        });
        network
    }

    /// From now on nothing is lost.
    fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }
}

/// The fate of a connection by its number (SplitMix64).
fn fate(number: u64) -> Fate {
    let mut z = SEED.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    match (z ^ (z >> 31)) % 100 {
        at if at >= LOST => Fate::Passes,
        at if at < LOST / 3 => Fate::LosesTheRequest,
        at if at < LOST * 2 / 3 => Fate::LosesTheAnswer,
        _ => Fate::BreaksTheAnswer,
    }
}

/// Carries one connection; dropping its ends cuts it.
async fn carry(mut client: TcpStream, service: SocketAddr, fate: Fate) {
    let mut buffer = vec![0; 64 << 10];
    if matches!(fate, Fate::LosesTheRequest) {
        let _ = client.read(&mut buffer).await;
        return;
    }
    let Ok(mut server) = TcpStream::connect(service).await else { return };
    if matches!(fate, Fate::Passes) {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    }
    let (mut from_client, mut to_client) = client.split();
    let (mut from_server, mut to_server) = server.split();
    let sending = tokio::io::copy(&mut from_client, &mut to_server);
    // The service answers after its commit: with the first byte of the answer, it took effect.
    let answered = tokio::select! {
        read = from_server.read(&mut buffer) => read.unwrap_or(0),
        // The client gave up before there was an answer.
        _ = sending => 0,
    };
    if matches!(fate, Fate::BreaksTheAnswer) {
        let _ = to_client.write_all(&buffer[..answered / 2]).await;
    }
}

/// How many rows each table has that creates write to.
fn rows(data_dir: &Path) -> BTreeMap<String, i64> {
    let mut rows = counts(data_dir, &["idempotency", "keys", "sessions", "tenants", "webhooks"]);
    let rotated = "SELECT COUNT(*) FROM audit WHERE action = 'key.rotate'";
    let rotated = query(data_dir, rotated, &[])[0][0].as_i64().expect("a number");
    rows.insert("rotations".to_owned(), rotated);
    rows
}
