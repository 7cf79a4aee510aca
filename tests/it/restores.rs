//! The restore drill: a backup under load, a loss, a restore, and nothing of what was ended or used
//! comes back to life.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::cli::Desk;
use crate::durability::Signed;
use crate::process::Process;
use crate::requests::{Answer, fresh_timestamp, now_ms, open_chat, open_iframe, send_with};

const CLIENTS: usize = 8;
/// Sessions that are open before the backup, and that are opened after it.
const ENOUGH: usize = 120;
/// Far more than a command takes to be refused.
const PATIENCE: Duration = Duration::from_secs(30);
const BACKUP: &str = "../backup.db";
const SERVE: [&str; 4] = ["serve", "--dev", "--bind", "127.0.0.1:0"];

/// A directory of its own inside another, so that the backup lies outside.
fn place() -> (tempfile::TempDir, std::path::PathBuf) {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let data = outer.path().join("data");
    std::fs::create_dir(&data).expect("it is ours");
    (outer, data)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_lost_comes_back_to_life_and_nothing_backed_up_is_missing() {
    let (_outer, data) = place();
    let desk = Desk { data_dir: &data };
    let process = Process::start(&data, 0);
    let (port, tenant) = (process.port(), process.demo.demo.clone());
    let tenant_id = tenant_of(&desk, &tenant);
    let stolen = key(&desk, &tenant_id);
    let rotated = key(&desk, &tenant_id);
    let (load, before) = Load::start(&process, ENOUGH).await;
    let before = before.load(Ordering::Relaxed);
    let told = desk.json(&["backup", BACKUP]);
    load.reach(before + ENOUGH).await;
    let opened = load.stop().await;
    let taken_at = told["takenAt"].as_str().expect("a time").to_owned();
    assert!(told["sessions"].as_u64().is_some_and(|held| held >= ENOUGH as u64), "{told}");
    desk.json(&["keys", "revoke", &stolen.id]);
    let newer = desk.json(&["keys", "rotate", &rotated.id, "--overlap", "0"]);
    let newer = text(&newer["credential"]["secret"]);
    let known: BTreeSet<String> = ids(&desk);
    assert!(process.terminate().success());

    let kept = data.join("../kept.db");
    std::fs::copy(data.join("vestibule.db"), &kept).expect("it is ours");
    put_by_hand(&data, &data.join(BACKUP));
    refused(&data, "vestibule restore", &SERVE);
    put_by_hand(&data, &kept);
    let restored = desk.json(&["restore", BACKUP, "--overwrite", "--revoke-key", &stolen.id]);
    assert_eq!(restored["takenAt"], taken_at.as_str());
    let active: Vec<_> = restored["activeKeys"].as_array().expect("keys").iter().collect();
    assert!(active.iter().any(|key| key["keyId"] == rotated.id.as_str()), "{restored}");
    assert!(!active.iter().any(|key| key["keyId"] == stolen.id.as_str()), "{restored}");
    let replaced = data.join(text(&restored["replaced"]));
    assert!(replaced.is_file(), "{}", replaced.display());

    let process = Process::start(&data, port);
    let after = ids(&desk);
    let (http, base) = (Client::new(), process.base_url.clone());
    let mut kept = 0;
    // The latest first: of those the database knows nothing.
    for session in opened.iter().rev() {
        let is_kept = session.opened_at_ms < ms(&taken_at);
        kept += usize::from(is_kept);
        session.require_dead(&http, &base).await;
    }
    assert!(kept >= ENOUGH && kept < opened.len(), "{kept} of {}", opened.len());
    assert!(after.len() >= kept, "{} rows of {kept} acknowledged before the backup", after.len());
    assert!(after.is_subset(&known), "a restore makes no sessions");
    let ended = restored["sessionsEnded"].as_u64().expect("a number");
    let told = "session.revoke";
    let lines = desk.run(&["audit", "tail", "--action", told, "--lines", "100000", "--json"]);
    let because = lines.out.lines().filter(|line| line.contains("\"restore\"")).count();
    assert_eq!(because as u64, ended, "a line of the audit for each");
    desk.says(0, &["audit", "verify"], "");

    for (key, works) in [(&stolen.secret, 401), (&rotated.secret, 200), (&newer, 401)] {
        let opened = with_key(&base, &tenant, key).await;
        assert_eq!(opened.status, works, "{}", opened.text);
    }
    goes_on(&process, &tenant).await;
    let fresh: BTreeSet<_> = ids(&desk).difference(&after).cloned().collect();
    assert!(fresh.len() >= 3 && fresh.is_disjoint(&known), "no id is used twice: {fresh:?}");
    assert!(process.terminate().success());
    let process = Process::start(&data, port);
    let signed = opened.iter().find_map(|it| it.signed.as_ref()).expect("an embed session");
    require_unusable(signed, &base).await;
    assert!(process.terminate().success());
}

/// It writes on, and refuses signatures for no longer than it must.
async fn goes_on(process: &Process, tenant: &TenantCredentials) {
    let base = &process.base_url;
    let chat = open_chat(base, tenant, &json!({ "publicKey": tenant.chat.public_key })).await;
    assert_eq!(chat.status, 200, "{}", chat.text);
    // As by a clock that is ahead: beyond anything that may have been signed before the restore.
    let ahead = Signed::new(tenant, 7, now_ms() + 300_000);
    let embed = ahead.send(&Client::new(), base).await;
    assert_eq!(embed.status, 201, "{}", embed.text);
    let again = ahead.send(&Client::new(), base).await;
    again.refused(401, "signature_replayed");
    let now = Signed::new(tenant, 8, now_ms());
    let refused = now.send(&Client::new(), base).await;
    refused.refused(503, "unavailable");
    let wait: i64 = refused.header("retry-after").parse().expect("seconds");
    assert!((200..=300).contains(&wait), "{wait}");
}

#[test]
fn a_database_put_back_by_hand_is_noticed_and_fenced() {
    let (outer, data) = place();
    let desk = Desk { data_dir: &data };
    let process = Process::start(&data, 0);
    assert!(process.terminate().success());
    let (file, older) = (data.join("vestibule.db"), outer.path().join("older.db"));
    std::fs::copy(&file, &older).expect("a copy by hand");
    let process = Process::start(&data, 0);
    desk.json(&["backup", BACKUP]);
    assert!(process.terminate().success());
    let newer = outer.path().join("newer.db");
    std::fs::copy(&file, &newer).expect("a copy by hand");
    for copy in [older, outer.path().join("backup.db")] {
        put_by_hand(&data, &copy);
        refused(&data, "--fence-only", &SERVE);
        refused(&data, "--fence-only", &["sessions", "list"]);
        desk.says(0, &["restore", "--fence-only"], "is fenced");
        desk.says(0, &["sessions", "list"], "0 sessions");
    }
    drop(Process::start(&data, 0));
    put_by_hand(&data, &newer);
    refused(&data, "--fence-only", &SERVE);
}

#[test]
fn what_cannot_be_restored_replaces_nothing() {
    let (outer, data) = place();
    let desk = Desk { data_dir: &data };
    desk.says(2, &["backup", BACKUP], "there is no database");
    let process = Process::start(&data, 0);
    desk.json(&["backup", BACKUP]);
    let backup = outer.path().join("backup.db");
    let bytes = std::fs::read(&backup).expect("it is there");
    desk.says(2, &["backup", BACKUP], "is there already");
    assert_eq!(std::fs::read(&backup).expect("it is there"), bytes, "nothing is overwritten");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(&backup).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    desk.says(2, &["backup", "../nowhere/backup.db"], "cannot be written");
    desk.says(1, &["restore", BACKUP, "--overwrite"], "stop it first");
    desk.says(1, &["restore", "--fence-only"], "stop it first");
    assert!(process.terminate().success());
    desk.says(2, &["restore", BACKUP], "add --overwrite");
    let mut damaged = bytes.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 4096].fill(0x5a);
    for (name, content) in [("damaged.db", damaged), ("empty.db", Vec::new())] {
        std::fs::write(outer.path().join(name), content).expect("it is ours");
        let file = format!("../{name}");
        desk.says(2, &["restore", &file, "--overwrite"], name);
    }
    desk.says(2, &["restore", "../nowhere.db", "--overwrite"], "nowhere.db");
    let unknown = "key_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    desk.says(1, &["restore", BACKUP, "--overwrite", "--revoke-key", unknown], "key not found");
    assert!(!data.join(".restoring").exists(), "nothing is left lying about");
    drop(Process::start(&data, 0));
}

/// A command that must not work on what lies in the data directory, and the remedy it names.
fn refused(data: &Path, remedy: &str, arguments: &[&str]) {
    let mut command = Process::command();
    command.current_dir(data).args(arguments).args(["--data-dir", "."]);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary starts");
    let deadline = Instant::now() + PATIENCE;
    // A service that is not refused runs until somebody ends it.
    while child.try_wait().expect("a child").is_none() {
        if Instant::now() > deadline {
            child.kill().expect("the child is ours");
            panic!("{arguments:?} was not refused");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("it ended");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(said.contains(remedy), "{said}");
}

/// What somebody does who does not know `vestibule restore`.
fn put_by_hand(data: &Path, copy: &Path) {
    for name in ["vestibule.db-wal", "vestibule.db-shm"] {
        let _ = std::fs::remove_file(data.join(name));
    }
    std::fs::copy(copy, data.join("vestibule.db")).expect("it is ours");
}

struct MadeKey {
    id: String,
    secret: String,
}

fn tenant_of(desk: &Desk<'_>, tenant: &TenantCredentials) -> String {
    let keys = desk.json(&["keys", "list", "--kind", "embed"]);
    let keys = keys["items"].as_array().expect("items");
    let own = keys.iter().find(|key| key["publicId"] == tenant.embed.key.as_str());
    text(&own.expect("the demo key")["tenantId"])
}

fn key(desk: &Desk<'_>, tenant: &str) -> MadeKey {
    let made =
        desk.json(&["keys", "create", "--tenant", tenant, "--kind", "iframe", "--label", "A"]);
    MadeKey { id: text(&made["key"]["keyId"]), secret: text(&made["credential"]["secret"]) }
}

async fn with_key(base: &str, tenant: &TenantCredentials, secret: &str) -> Answer {
    let mut tenant = tenant.clone();
    tenant.iframe.api_key = secret.to_owned();
    open_iframe(base, &tenant, &json!({ "uid": "u", "srcs": tenant.iframe.source_ids })).await
}

fn ids(desk: &Desk<'_>) -> BTreeSet<String> {
    let listed = desk.json(&["sessions", "list", "--limit", "100000"]);
    listed["items"].as_array().expect("items").iter().map(|it| text(&it["sid"])).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}

fn ms(time: &str) -> i64 {
    chrono::DateTime::parse_from_rfc3339(time).expect("a time").timestamp_millis()
}

/// Refused, whether its use is remembered or not.
async fn require_unusable(signed: &Signed, base_url: &str) {
    signed.send(&Client::new(), base_url).await.refused(503, "unavailable");
}

/// A session that was acknowledged.
struct Opened {
    opened_at_ms: i64,
    path: &'static str,
    token: String,
    origin: Option<String>,
    signed: Option<Signed>,
}

impl Opened {
    async fn require_dead(&self, http: &Client, base: &str) {
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        headers.extend(self.origin.as_deref().map(|origin| ("origin", origin)));
        let url = format!("{base}{}", self.path);
        let read = send_with(http, Method::GET, &url, &headers, None).await;
        read.refused(401, "token_revoked");
        if let Some(signed) = &self.signed {
            require_unusable(signed, base).await;
        }
    }
}

/// Clients that open sessions until they are told to stop.
struct Load {
    count: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    clients: Vec<tokio::task::JoinHandle<Vec<Opened>>>,
}

impl Load {
    /// Starts them and waits until so many sessions are open.
    async fn start(process: &Process, enough: usize) -> (Self, Arc<AtomicUsize>) {
        let (count, stop) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let clients = (0..CLIENTS).map(|client| {
            let (count, stop) = (count.clone(), stop.clone());
            let (base, tenant) = (process.base_url.clone(), process.demo.demo.clone());
            tokio::spawn(async move {
                let (http, mut all) = (Client::new(), Vec::new());
                while !stop.load(Ordering::Relaxed) {
                    all.push(open(&http, &base, &tenant, client * 1_000_000 + all.len()).await);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                all
            })
        });
        let load = Self { clients: clients.collect(), count: count.clone(), stop };
        load.reach(enough).await;
        (load, count)
    }

    async fn reach(&self, enough: usize) {
        while self.count.load(Ordering::Relaxed) < enough {
            assert!(self.clients.iter().all(|it| !it.is_finished()), "a client was not answered");
            tokio::task::yield_now().await;
        }
    }

    async fn stop(self) -> Vec<Opened> {
        self.stop.store(true, Ordering::Relaxed);
        let all = futures::future::join_all(self.clients).await;
        all.into_iter().flat_map(|it| it.expect("every client is answered")).collect()
    }
}

async fn open(http: &Client, base: &str, tenant: &TenantCredentials, number: usize) -> Opened {
    if number.is_multiple_of(2) {
        let signed = Signed::new(tenant, number, fresh_timestamp());
        let answer = signed.send(http, base).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        return Opened {
            opened_at_ms: now_ms(),
            path: "/v1/embed/session",
            token: text(&answer.body["data"]["embedToken"]),
            origin: None,
            signed: Some(signed),
        };
    }
    let answer = open_chat(base, tenant, &json!({ "publicKey": tenant.chat.public_key })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    Opened {
        opened_at_ms: now_ms(),
        path: "/api/public/v1/chat/conversation",
        token: text(&answer.body["sessionToken"]),
        origin: Some(tenant.chat.origin.clone()),
        signed: None,
    }
}
