//! The shipped binary while something is wrong around it: a disk that is full or read-only, a first
//! start that is killed or one of ninety, an end with clients that are stuck.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::callers::text;
use crate::cli::Desk;
use crate::database::query;
use crate::machine::Machine;
use crate::process::Process;
use crate::requests::{Answer, fresh_timestamp, get, open_embed, signed};

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(120);

async fn open(process: &Process, number: usize) -> Answer {
    let employee = format!("{number:024x}");
    let body = json!({ "employeeId": employee, "capabilities": ["showChatsList"] });
    open_embed(&process.base_url, &process.demo.demo, &body).await
}

/// A file may grow to 2 MiB and no further, which is what a full disk looks like to who writes.
#[tokio::test]
async fn a_full_disk_is_told_as_unavailable_and_costs_nothing_that_was_acknowledged() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let binary = env!("CARGO_BIN_EXE_vestibule");
    let mut command = Command::new("sh");
    // 25 is SIGXFSZ, by which a process ends that does not ignore it; the unit is half a KiB.
    command.args(["-c", "trap '' 25; ulimit -f 4096; exec \"$0\" \"$@\"", binary]);
    command.args(["serve", "--dev", "--bind", "127.0.0.1:0"]).stdin(Stdio::null());
    let process = Process::launch(command, data.path());
    let port = process.port();
    let mut tokens = Vec::new();
    let refused = loop {
        let answer = open(&process, tokens.len()).await;
        if answer.status != 201 {
            break answer;
        }
        tokens.push(text(&answer, "/data/embedToken"));
        assert!(tokens.len() < 10_000, "the disk never gets full");
    };
    refused.refused(503, "unavailable");
    let url = format!("{}/v1/embed/session", process.base_url);
    assert_eq!(get(&url, &tokens[0]).await.status, 200, "reading goes on");
    process.kill();
    let process = Process::start(data.path(), port);
    println!("full after {} sessions", tokens.len());
    for token in &tokens {
        assert_eq!(get(&url, token).await.status, 200, "lost");
    }
    assert_eq!(open(&process, tokens.len()).await.status, 201, "there is room again");
}

/// What is there can be read, and nothing else is answered as if it had been done.
#[tokio::test]
async fn a_disk_that_becomes_read_only_is_told_as_unavailable_and_costs_nothing_acknowledged() {
    let machine = Machine::new();
    let process = machine.start(0);
    let (port, url) = (process.port(), format!("{}/v1/embed/session", process.base_url));
    let mut tokens = Vec::new();
    for number in 0..5 {
        tokens.push(text(&open(&process, number).await, "/data/embedToken"));
    }
    machine.let_write(false);
    for number in 5..8 {
        open(&process, number).await.refused(503, "unavailable");
    }
    assert_eq!(get(&url, &tokens[0]).await.status, 200, "reading goes on");
    let ready = get(&format!("{}/readyz", process.base_url), "").await;
    assert_eq!(
        (ready.status.as_u16(), &ready.body["checks"]["store.write"]),
        (503, &json!("failed"))
    );
    process.kill();
    let refused = machine.run(&["serve", "--dev", "--bind", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_ne!(refused.status.code(), Some(0), "{said}");
    require_one_word(&said);
    assert!(said.contains("Read-only file system"), "{said}");
    machine.let_write(true);
    let process = machine.start(port);
    for token in &tokens {
        assert_eq!(get(&url, token).await.status, 200, "lost");
    }
    assert_eq!(open(&process, 5).await.status, 201, "its request is not used up");
}

/// What is wrong and what helps, and no more.
#[track_caller]
fn require_one_word(said: &str) {
    let starts: Vec<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(starts == ["error:", "help:"] || starts == ["error:"], "{said}");
}

/// Processes that start at once; they end with this.
struct Starts(Vec<(Child, PathBuf)>);

impl Drop for Starts {
    fn drop(&mut self) {
        for (child, _) in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Starts {
    fn at_once(count: usize, data: &Path, told: &Path) -> Self {
        let mut starts = Self(Vec::new());
        for number in 0..count {
            let said = told.join(number.to_string());
            let file = std::fs::File::create(&said).expect("it is ours");
            let mut command = Process::command();
            command.args(["serve", "--dev", "--bind", "127.0.0.1:0", "--data-dir"]).arg(data);
            command.env("VESTIBULE__LOG__LEVEL", "error").stdout(file.try_clone().expect("a file"));
            starts.0.push((command.stderr(file).spawn().expect("the binary starts"), said));
        }
        starts
    }

    /// Where each of them answers, or what it said when it did not start.
    fn outcomes(&mut self) -> Vec<Result<String, String>> {
        let begun = Instant::now();
        let outcome = |(child, said): &mut (Child, PathBuf)| {
            loop {
                let ended = child.try_wait().expect("a child").is_some();
                let said = std::fs::read_to_string(&*said).expect("it is there");
                let url =
                    said.split_whitespace().find(|word| word.starts_with("http://127.0.0.1:"));
                match url {
                    Some(url) => return Ok(url.trim_end_matches('/').to_owned()),
                    None if ended => return Err(said),
                    None => assert!(begun.elapsed() < PATIENCE, "neither up nor refused: {said}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        self.0.iter_mut().map(outcome).collect()
    }
}

/// Each makes the database unless it is there, and keys unless they are.
#[tokio::test]
async fn ninety_first_starts_at_once_come_up_on_one_database_with_one_set_of_keys() {
    const STARTS: usize = 90;
    let data = tempfile::tempdir().expect("a temporary directory");
    let told = tempfile::tempdir().expect("a temporary directory");
    let mut starts = Starts::at_once(STARTS, data.path(), told.path());
    let outcomes = starts.outcomes();
    let up: Vec<_> = outcomes.iter().filter_map(|it| it.as_ref().ok()).collect();
    for refused in outcomes.iter().filter_map(|it| it.as_ref().err()) {
        require_one_word(refused);
    }
    println!("{} of {STARTS} came up", up.len());
    assert!(up.len() > STARTS / 2, "{outcomes:?}");
    let file = std::fs::read_to_string(data.path().join(CREDENTIALS)).expect("written");
    let demo: TenantCredentials = serde_json::from_str(&file).expect("the demo tenant's");
    for (number, base_url) in up.iter().enumerate() {
        let body =
            json!({ "employeeId": format!("{number:024x}"), "capabilities": ["showChatsList"] });
        let opened = open_embed(base_url, &demo, &body).await;
        assert_eq!(opened.status, 201, "{base_url} knows other keys: {}", opened.text);
    }
    drop(starts);
    // Which checks every page and index of it.
    Desk { data_dir: data.path() }.says(0, &["backup", "copy.db"], "copy.db");
    let applied =
        query(data.path(), "SELECT version, success FROM _sqlx_migrations ORDER BY 1", &[]);
    let expected: Vec<_> =
        (1..=migrations()).map(|version| vec![json!(version), json!(1)]).collect();
    assert_eq!(applied, expected, "each migration once");
    let sessions = query(data.path(), "SELECT COUNT(*) FROM sessions", &[]);
    assert_eq!(sessions, [[json!(up.len())]]);
}

/// How many there are for SQLite.
fn migrations() -> usize {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migrations");
    let files = std::fs::read_dir(place).expect("the repository is whole");
    let names = files.map(|file| file.expect("a file").file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".sqlite.sql")).count()
}

/// Killed when the database has grown to one size after the other, so that the tables are being made.
#[tokio::test]
async fn a_first_start_that_is_killed_anywhere_is_made_good_by_the_next() {
    const STEP: u64 = 48 << 10;
    for round in 0..10 {
        let data = tempfile::tempdir().expect("a temporary directory");
        let mut command = Process::command();
        command.args(["serve", "--dev", "--bind", "127.0.0.1:0", "--data-dir"]).arg(data.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let begun = Instant::now();
        while written(data.path()) <= round * STEP && !data.path().join(CREDENTIALS).exists() {
            assert!(begun.elapsed() < PATIENCE, "nothing is written");
            std::thread::yield_now();
        }
        let size = written(data.path());
        child.kill().expect("the child is ours");
        child.wait().expect("the child ends");
        let process = Process::start(data.path(), 0);
        assert_eq!(open(&process, 0).await.status, 201, "killed at {size} bytes");
    }
}

/// Written at the end of a start.
const CREDENTIALS: &str = "dev-credentials.json";

/// Bytes of the database and its log.
fn written(data: &Path) -> u64 {
    let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |file| file.len());
    size("vestibule.db") + size("vestibule.db-wal")
}

/// Clients that never finish hold up the end until its deadline, and no answer is cut meanwhile.
#[test]
fn an_end_under_load_with_stuck_clients_cuts_no_answer_and_comes() {
    const STUCK: usize = 8;
    const CLIENTS: usize = 4;
    let data = tempfile::tempdir().expect("a temporary directory");
    // They are stuck for longer than the end waits.
    let settings = [("VESTIBULE__LIMITS__BODY_DEADLINE_MS", "600000")];
    let process = Process::start_with(data.path(), 0, &settings);
    let (port, demo) = (process.port(), process.demo.demo.clone());
    let stuck: Vec<_> = (0..STUCK).map(|number| half_sent(port, &demo, number)).collect();
    let answered = Arc::new(AtomicUsize::new(0));
    let clients = (0..CLIENTS).map(|client| {
        let (demo, answered) = (demo.clone(), Arc::clone(&answered));
        std::thread::spawn(move || {
            for number in 0.. {
                let Some(said) = exchange(port, &demo, client * 1_000_000 + number) else { return };
                require_whole(&said);
                answered.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let begun = Instant::now();
    while answered.load(Ordering::Relaxed) < 50 {
        assert!(begun.elapsed() < PATIENCE, "nobody is answered");
        std::thread::sleep(Duration::from_millis(5));
    }
    let ending = Instant::now();
    assert_eq!(process.terminate().code(), Some(0));
    println!("ended after {:?}, {answered:?} answers", ending.elapsed());
    for client in clients {
        client.join().expect("no answer is cut");
    }
    drop(stuck);
}

fn request(demo: &TenantCredentials, number: usize) -> (String, String) {
    let body = json!({ "employeeId": format!("{number:024x}"), "capabilities": ["showChatsList"] });
    let body = body.to_string();
    let fields = signed(&demo.embed.key, &demo.embed.secret, fresh_timestamp(), body.as_bytes());
    let fields: String =
        fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let head = format!(
        "POST /v1/embed/sessions HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
         content-length: {}\r\nconnection: close\r\n{fields}\r\n",
        body.len()
    );
    (head, body)
}

/// A request whose body stays half said.
fn half_sent(port: u16, demo: &TenantCredentials, number: usize) -> TcpStream {
    let (head, body) = request(demo, 900_000_000 + number);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    stream.write_all((head + &body[..body.len() / 2]).as_bytes()).expect("it reads");
    stream
}

/// What came back, if anything did: who is not let in any more hears nothing.
fn exchange(port: u16, demo: &TenantCredentials, number: usize) -> Option<Vec<u8>> {
    let (head, body) = request(demo, number);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut said = Vec::new();
    // A reset after the answer is no part of it.
    let _ = stream.read_to_end(&mut said);
    (!said.is_empty()).then_some(said)
}

fn require_whole(said: &[u8]) {
    let said = String::from_utf8_lossy(said);
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or_else(|| panic!("cut: {said}"));
    let is_json = serde_json::from_str::<Value>(body).is_ok();
    assert!(head.starts_with("HTTP/1.1 ") && is_json, "cut: {said}");
}
