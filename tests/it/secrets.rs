//! Canaries: after use of everything that is secret, none of it lies in the database, its
//! write-ahead log, the log, the request log, the metrics or the traces.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::Method;
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::engine::laid_open;
use crate::idempotency::{KEY, fresh_key};
use crate::process::{LOG, Process};
use crate::requests::{
    Answer, get, now_ms, open_chat, open_embed, open_iframe, post, send, signed,
};
use crate::webhook_receiver::Receiver;

/// Written by `--dev` for people on purpose: the banner, and the two files of mode 0600.
const SHOWN: [&str; 3] = ["banner.txt", "dev-credentials.json", "master.key"];

#[tokio::test]
async fn nothing_secret_lies_in_database_logs_metrics_or_traces() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let metrics = free_address();
    // The log says as much as it can.
    let settings = [("VESTIBULE__LOG__LEVEL", "trace"), ("VESTIBULE__METRICS__BIND", &metrics)];
    #[cfg(feature = "otlp")]
    let collector = crate::traces::Collector::start(data.path());
    #[cfg(feature = "otlp")]
    let settings = [settings[0], settings[1], ("VESTIBULE__OTLP__ENDPOINT", &collector.endpoint)];
    let process = Process::start_with(data.path(), 0, &settings);
    let mut canaries = Canaries::default();
    canaries.add_credentials(&process);
    use_every_door(&process, &mut canaries).await;
    renew_sessions(&process, &mut canaries).await;
    use_the_admin_surface(&process, &mut canaries).await;
    use_a_webhook(&process, &mut canaries).await;
    present_secrets_wrongly(&process, &canaries).await;
    let key = std::fs::read_to_string(data.path().join("master.key")).expect("--dev made it");
    canaries.add("master key", key.trim());
    let shown = get(&format!("http://{metrics}/metrics"), "nobody's").await;
    assert!(shown.text.contains("embed_refusals_total"), "{}", shown.text);
    std::fs::write(data.path().join(METRICS), shown.text).expect("the directory is ours");
    // Once with the write-ahead log in place, once with everything in the database.
    let told = [LOG, REQUEST_LOG, METRICS];
    let open = laid_open(data.path(), &["vestibule.db", "vestibule.db-wal"]);
    canaries.require_none(data.path(), &[&open[..], &told].concat());
    assert!(process.terminate().success());
    let closed = laid_open(data.path(), &["vestibule.db"]);
    canaries.require_none(data.path(), &[&closed[..], &told].concat());
    #[cfg(feature = "otlp")]
    canaries.require_none(data.path(), &[crate::traces::RECEIVED]);
    canaries.require_found_where_planted(data.path(), &[&closed[..], &told].concat());
}

/// What the metrics said, for the search.
const METRICS: &str = "metrics.txt";
const REQUEST_LOG: &str = "requests.jsonl";

/// An address of this machine that was free a moment ago.
fn free_address() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it listens").to_string()
}

/// Secrets in use, by what they are.
#[derive(Default)]
struct Canaries {
    secrets: Vec<(String, String)>,
    /// Ids that are no secret and must be found, or the search finds nothing at all.
    found: Vec<String>,
}

impl Canaries {
    fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 16, "{what} is no secret: {secret:?}");
        self.secrets.push((what.to_owned(), secret.to_owned()));
    }

    fn add_from(&mut self, what: &str, answer: &Answer, pointer: &str) -> String {
        assert!(answer.status.is_success(), "{what}: {}", answer.text);
        let secret = answer.body.pointer(pointer).and_then(Value::as_str).expect(pointer);
        self.add(what, secret);
        secret.to_owned()
    }

    /// A request under an idempotency key, and its repetition: what was kept of the answer is
    /// opened again. The key is nobody else's business either.
    async fn add_kept(
        &mut self,
        what: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
        pointer: &str,
    ) -> Answer {
        let key = fresh_key();
        let headers = [headers, &[(KEY, key.as_str())]].concat();
        let first = post(url, &headers, body).await;
        let secret = self.add_from(what, &first, pointer);
        let again = post(url, &headers, body).await;
        assert_eq!(again.header("idempotent-replayed"), "true", "{what}: {}", again.text);
        assert_eq!(again.body.pointer(pointer), Some(&secret.into()), "{what}");
        self.add("idempotency key", &key);
        first
    }

    fn add_credentials(&mut self, process: &Process) {
        let demo = &process.demo;
        for TenantCredentials { embed, chat, iframe } in [&demo.demo, &demo.other] {
            self.add("embed secret", &embed.secret);
            self.add("embed read secret", &embed.read_secret);
            self.add("embed test secret", &embed.test_secret);
            self.add("identity secret", &chat.identity_secret);
            self.add("API key", &iframe.api_key);
            self.found.push(embed.key.clone());
            // Publishable: it stands in pages, and finds its key as it is.
            self.found.push(chat.public_key.clone());
        }
        self.add("admin token", &demo.admin.token);
    }

    /// Nothing is found, although every one of `places` was looked through.
    fn require_none(&self, data_dir: &Path, places: &[&str]) {
        let Search { found, searched, unseen } = self.search(data_dir);
        assert_eq!(found, Vec::<String>::new());
        assert_eq!(unseen, 0, "what is no secret was not found");
        for place in places {
            assert!(searched.iter().any(|name| name == place), "{place} was not searched");
        }
    }

    /// The search would have found each secret, at the end of any of the files.
    fn require_found_where_planted(&self, data_dir: &Path, places: &[&str]) {
        for (number, (what, secret)) in self.secrets.iter().enumerate() {
            let place = places[number % places.len()];
            let path = data_dir.join(place);
            let before = std::fs::read(&path).expect("our file");
            let part = &secret.as_bytes()[secret.len() - RUN..];
            std::fs::write(&path, [&before, part].concat()).expect("our file");
            let found = self.search(data_dir).found;
            assert!(found.iter().any(|it| it.contains(place)), "{what} in {place}: {found:?}");
            std::fs::write(&path, before).expect("our file");
        }
    }

    /// Looks for any run of bytes of any secret in every file that is not meant to show them.
    fn search(&self, data_dir: &Path) -> Search {
        let secret: HashMap<_, _> = self
            .secrets
            .iter()
            .flat_map(|(what, it)| runs(it).map(move |run| (run, what)))
            .collect();
        let mut public: HashSet<Run> =
            self.found.iter().map(|id| first_run(id.as_bytes())).collect();
        let (mut found, mut searched) = (Vec::new(), Vec::new());
        for entry in std::fs::read_dir(data_dir).expect("the data directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("our names");
            if SHOWN.contains(&name) {
                continue;
            }
            searched.push(name.to_owned());
            for run in std::fs::read(&path).expect("our file").windows(RUN).map(first_run) {
                if let Some(what) = secret.get(&run) {
                    found.push(format!("{what} in {name}: {}", String::from_utf8_lossy(&run)));
                }
                public.remove(&run);
            }
        }
        Search { found, searched, unseen: public.len() }
    }
}

/// What a search came to.
struct Search {
    /// Secrets and where.
    found: Vec<String>,
    /// Files that were looked through.
    searched: Vec<String>,
    /// Ids that should have been seen and were not.
    unseen: usize,
}

/// As many bytes of a secret as may lie nowhere.
const RUN: usize = 16;

type Run = [u8; RUN];

fn first_run(bytes: &[u8]) -> Run {
    *bytes.first_chunk().expect("long enough")
}

/// Every run of a secret's text, and of the bytes that its hex digits or its base64 stand for.
fn runs(secret: &str) -> impl Iterator<Item = Run> {
    let digits = secret.split_once('_').map_or(secret, |(_, digits)| digits);
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = pairs.map(byte).collect::<Option<Vec<u8>>>().unwrap_or_default();
    let decoded = STANDARD.decode(digits).unwrap_or_default();
    let texts = [secret.as_bytes().to_vec(), bytes, decoded];
    texts.into_iter().flat_map(|text| text.windows(RUN).map(first_run).collect::<Vec<_>>())
}

async fn use_every_door(process: &Process, canaries: &mut Canaries) {
    let (base, demo) = (&process.base_url, &process.demo.demo);
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let embed = open_embed(base, demo, &body).await;
    let token = canaries.add_from("embed token", &embed, "/data/embedToken");
    let read = get(&format!("{base}/v1/embed/session"), &token).await;
    canaries.found.push(read.body["data"]["sessionId"].as_str().expect("an id").to_owned());
    let proof = customer_token(&demo.chat.identity_secret);
    canaries.add("customer token", &proof);
    let body = json!({
        "publicKey": demo.chat.public_key, "customerId": "customer-1", "customerToken": proof,
    });
    let chat = open_chat(base, demo, &body).await;
    let token = canaries.add_from("chat token", &chat, "/sessionToken");
    let headers =
        [("origin", demo.chat.origin.as_str()), ("authorization", &format!("Bearer {token}"))];
    let url = format!("{base}/api/public/v1/chat/conversation");
    assert_eq!(send(Method::GET, &url, &headers, None).await.status, 200);
    let body = json!({ "uid": "user-1", "srcs": demo.iframe.source_ids });
    let iframe = open_iframe(base, demo, &body).await;
    let cache_key = canaries.add_from("cache key", &iframe, "/cache_key");
    let body = json!({ "cache_key": cache_key });
    let redeemed = post(&format!("{base}/api/v1/iframe/token"), &[], &body).await;
    canaries.add_from("access token", &redeemed, "/access_token");
}

fn customer_token(identity_secret: &str) -> String {
    let claims = json!({ "sub": "customer-1", "exp": now_ms() / 1000 + 600 });
    let key = EncodingKey::from_secret(identity_secret.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).expect("claims are JSON")
}

async fn use_the_admin_surface(process: &Process, canaries: &mut Canaries) {
    let base = &process.base_url;
    let admin = format!("Bearer {}", process.demo.admin.token);
    let headers = [("authorization", admin.as_str())];
    let (url, body) = (format!("{base}/api/admin/v1/tenants"), json!({ "name": "Canary" }));
    let pointer = "/identitySecret";
    let made = canaries.add_kept("new identity secret", &url, &headers, &body, pointer).await;
    let tenant = &made.body["tenant"]["tenantId"];
    let (url, pointer) = (format!("{base}/api/admin/v1/keys"), "/credential/secret");
    for kind in ["embed", "iframe"] {
        let body = json!({ "tenantId": tenant, "kind": kind, "label": "a", "allowedOrigins": [] });
        let what = format!("new {kind} key's secret");
        let made = canaries.add_kept(&what, &url, &headers, &body, pointer).await;
        let id = made.body["key"]["keyId"].as_str().expect("an id").to_owned();
        let (rotate, body) = (format!("{url}/{id}/rotate"), json!({ "overlapSeconds": 600 }));
        let what = format!("rotated {kind} key's secret");
        canaries.add_kept(&what, &rotate, &headers, &body, pointer).await;
        canaries.found.push(id);
    }
}

/// A token for each surface's session that was renewed.
async fn renew_sessions(process: &Process, canaries: &mut Canaries) {
    let (base, demo) = (&process.base_url, &process.demo.demo);
    let bearer = format!("Bearer {}", demo.iframe.api_key);
    let headers = [("authorization", bearer.as_str())];
    let listed = send(Method::GET, &format!("{base}/v1/sessions"), &headers, None).await;
    let sessions = listed.body["items"].as_array().expect("a list");
    for surface in ["embed", "chat", "iframe"] {
        let session = sessions.iter().find(|it| it["surface"] == surface).expect("one is open");
        let sid = session["sid"].as_str().expect("an id");
        let url = format!("{base}/v1/sessions/{sid}/renew");
        let renewed = send(Method::POST, &url, &headers, None).await;
        canaries.add_from(&format!("renewed {surface} token"), &renewed, "/token");
    }
    let body = json!({ "publicKey": demo.chat.public_key });
    let chat = open_chat(base, demo, &body).await;
    let token = canaries.add_from("chat token", &chat, "/sessionToken");
    let origin = ("origin", demo.chat.origin.as_str());
    let bearer = format!("Bearer {token}");
    let headers = [origin, ("authorization", bearer.as_str())];
    let url = format!("{base}/api/public/v1/chat/sessions/refresh");
    let refreshed = send(Method::POST, &url, &headers, None).await;
    canaries.add_from("refreshed chat token", &refreshed, "/sessionToken");
}

/// An endpoint of the demo tenant, whose sessions it is told of; its secret is used and rotated.
async fn use_a_webhook(process: &Process, canaries: &mut Canaries) {
    let admin = format!("Bearer {}", process.demo.admin.token);
    let headers = [("authorization", admin.as_str())];
    let tenants = format!("{}/api/admin/v1/tenants", process.base_url);
    let listed = send(Method::GET, &tenants, &headers, None).await;
    let mut all = listed.body["items"].as_array().expect("a list").iter();
    let demo = all.find(|it| it["name"] == "Demo shop").expect("the demo tenant");
    let webhooks = format!("{tenants}/{}/webhooks", demo["tenantId"].as_str().expect("an id"));
    let receiver = Receiver::start().await;
    let body = json!({ "url": receiver.url, "events": ["session.created"] });
    let made = canaries.add_kept("webhook secret", &webhooks, &headers, &body, "/secret").await;
    let id = made.body["webhook"]["webhookId"].as_str().expect("an id").to_owned();
    let body = json!({ "overlapSeconds": 600 });
    let rotate = format!("{webhooks}/{id}/rotate-secret");
    canaries.add_kept("new webhook secret", &rotate, &headers, &body, "/secret").await;
    canaries.found.push(id);
    use_every_door(process, canaries).await;
    receiver.wait_for(3).await;
    for delivered in receiver.all() {
        assert_eq!(delivered.headers["webhook-signature"].as_bytes().len(), 2 * 47 + 1);
        for (what, secret) in &canaries.secrets {
            assert!(!delivered.body.contains(secret.as_str()), "{what} was delivered");
        }
    }
}

/// Errors are what logs are made of: every secret where it does not belong, so that it is refused.
async fn present_secrets_wrongly(process: &Process, canaries: &Canaries) {
    let (base, demo) = (&process.base_url, &process.demo.demo);
    for (_, secret) in &canaries.secrets {
        let bearer = format!("Bearer {secret}");
        let headers = [("authorization", bearer.as_str()), ("origin", "https://stranger.example")];
        for path in ["/v1/embed/session", "/api/public/v1/chat/conversation"] {
            send(Method::GET, &format!("{base}{path}"), &headers, None).await;
        }
        let url = format!("{base}/api/v1/iframe/create");
        post(&url, &[("authorization", bearer.as_str())], &json!({ "srcs": secret })).await;
        let url = format!("{base}/api/v1/iframe/token");
        post(&url, &[], &json!({ "cache_key": secret })).await;
        let url = format!("{base}/api/public/v1/chat/sessions");
        let body = json!({ "publicKey": secret, "customerToken": secret });
        post(&url, &[("origin", demo.chat.origin.as_str())], &body).await;
        let signed = signed(secret, secret, now_ms(), b"{}");
        let headers = signed.each_ref().map(|(name, value)| (*name, value.as_str()));
        let url = format!("{base}/v1/embed/sessions?{secret}");
        send(Method::POST, &url, &headers, Some(b"{}".to_vec())).await;
    }
}
