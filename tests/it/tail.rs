//! `vestibule tail`: the request log for people and for programs, filtered, and followed across
//! rotation.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::{Ended, run};
use crate::process::Process;
use crate::requests::{Answer, get, open_embed, open_iframe, send};

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn tail(data: &Path, arguments: &[&str]) -> Ended {
    run(data, "", &[], &[&["tail", "--data-dir", "."], arguments].concat())
}

fn items(ended: &Ended) -> Vec<Value> {
    assert_eq!(ended.code, 0, "{}", ended.err);
    let parsed = ended.out.lines().map(serde_json::from_str);
    parsed.collect::<Result<_, _>>().expect("one JSON object a line")
}

fn id(answer: &Answer) -> &str {
    answer.header("x-request-id")
}

#[tokio::test]
async fn requests_are_found_by_key_status_operation_and_tenant() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let (base, demo, other) = (&process.base_url, &process.demo.demo, &process.demo.other);
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let opened = open_embed(base, demo, &body).await;
    let token = opened.body["data"]["embedToken"].as_str().expect("a token").to_owned();
    let read = get(&format!("{base}/v1/embed/session"), &token).await;
    let refused = open_iframe(base, demo, &json!({ "uid": "u", "srcs": ["of nobody"] })).await;
    let foreign = open_iframe(base, other, &json!({ "uid": "u", "srcs": ["of nobody"] })).await;
    let nowhere = send(Method::GET, &format!("{base}/nowhere?secret=1"), &[], None).await;
    assert!(process.terminate().success());

    let all = items(&tail(data.path(), &["--json"]));
    let line = |answer: &Answer| {
        let found = all.iter().find(|line| line["request_id"] == id(answer));
        found.unwrap_or_else(|| panic!("{} in {all:?}", id(answer))).clone()
    };
    let (opened, read) = (line(&opened), line(&read));
    assert_eq!((&opened["status"], &opened["generation"]), (&json!(201), &json!(1)));
    assert_eq!((&opened["surface"], &opened["method"]), (&json!("embed"), &json!("POST")));
    assert_eq!((&read["key"], &read["tenant"]), (&opened["key"], &opened["tenant"]));
    assert!(read["session"].is_string() && read["took_us"].is_u64(), "{read}");
    let hash = vestibule::domain::api_key::KeyHash::of(&token).lookup();
    assert_eq!(read["token"], hash[..8], "the first digits of the token's hash");
    let nowhere = line(&nowhere);
    assert_eq!((&nowhere["status"], &nowhere["route"]), (&json!(404), &Value::Null));

    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let (key, tenant) = (text(&opened["key"]), text(&opened["tenant"]));
    let shown = |arguments: &[&str]| {
        let found = items(&tail(data.path(), &[arguments, &["--json"]].concat()));
        found.iter().map(|line| text(&line["request_id"])).collect::<Vec<_>>()
    };
    let ids = |lines: &[&Value]| lines.iter().map(|it| text(&it["request_id"])).collect::<Vec<_>>();
    let (refused, foreign) = (line(&refused), line(&foreign));
    assert_eq!(shown(&["--key", &key]), ids(&[&opened, &read]));
    assert_eq!(shown(&["--status", "4xx"]), ids(&[&refused, &foreign, &nowhere]));
    assert_eq!(shown(&["--status", "404", "--status", "201"]), ids(&[&opened, &nowhere]));
    assert_eq!(shown(&["--status", "4xx", "--tenant", &tenant]), ids(&[&refused]));
    assert_eq!(shown(&["--operation", "embedSessionRead"]), ids(&[&read]));
    assert_eq!(shown(&["-n", "1"]), ids(&[&nowhere]));
    assert_eq!(shown(&["--key", "key_of_nobody"]), ids(&[]));
}

#[tokio::test]
async fn people_get_aligned_lines_without_colours_in_a_pipe() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let (base, demo) = (&process.base_url, &process.demo.demo);
    open_iframe(base, demo, &json!({ "uid": "u", "srcs": demo.iframe.source_ids })).await;
    open_iframe(base, demo, &json!({ "uid": "u", "srcs": ["of nobody"] })).await;
    send(Method::GET, &format!("{base}/nowhere"), &[], None).await;
    assert!(process.terminate().success());
    let ended = tail(data.path(), &[]);
    assert_eq!((ended.code, ended.err.as_str()), (0, ""));
    assert!(!ended.out.contains('\u{1b}'), "{}", ended.out);
    let lines: Vec<_> = ended.out.lines().collect();
    let [head, good, bad, nowhere, sum] = lines[..] else { panic!("{}", ended.out) };
    // In characters: a microsecond has one that is two bytes.
    let cell = |line: &str, title: &str| {
        let column = head.find(title).expect(title);
        let rest: String = line.chars().skip(column).collect();
        rest.split_whitespace().next().expect("a cell").to_owned()
    };
    assert_eq!((cell(good, "STATUS"), cell(good, "CODE")), ("200".to_owned(), "-".to_owned()));
    for (title, text) in
        [("STATUS", "400"), ("OPERATION", "iframeSessionCreate"), ("CODE", "unknown_source")]
    {
        assert_eq!(cell(bad, title), text, "{}", ended.out);
    }
    assert!(nowhere.contains("GET (no such path)"), "{}", ended.out);
    assert_eq!(sum, "3 of 3 logged requests; -n shows more of them, -f what comes.");
    let none = tail(data.path(), &["--status", "5xx"]);
    assert!(none.out.ends_with("is one of these; leave a filter out.\n"), "{}", none.out);
}

#[test]
fn unusable_input_is_refused_with_a_remedy() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (arguments, says) in [
        (&["--status", "6xx"][..], "write a status like 404 or a class like 4xx"),
        (&["--operation", "embedSessionCraete"], "the nearest one is embedSessionCreate"),
        (&["-n", "few"], "invalid value 'few' for '--lines <N>'"),
        (&[], "there is no request log in ."),
    ] {
        let ended = tail(dir.path(), arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
}

/// Requests sent before the follower must have caught up: two files are all there is.
const AT_ONCE: usize = 8;

#[tokio::test]
async fn following_shows_every_request_once_across_rotation() {
    let data = tempfile::tempdir().expect("a temporary directory");
    // About a dozen lines a file.
    let bounds =
        [("VESTIBULE__REQUEST_LOG__MAX_BYTES", "4096"), ("VESTIBULE__REQUEST_LOG__FILES", "2")];
    let process = Process::start_with(data.path(), 0, &bounds);
    let url = format!("{}/v1/embed/session", process.base_url);
    let follower = Follower::start(data.path());
    let mut sent = Vec::new();
    for _ in 0..6 {
        for _ in 0..AT_ONCE {
            sent.push(id(&send(Method::GET, &url, &[], None).await).to_owned());
        }
        follower.catch_up(sent.len()).await;
    }
    assert_eq!(follower.ids(), sent);
    for name in ["requests.jsonl", "requests.1.jsonl"] {
        let meta = std::fs::metadata(data.path().join(name)).expect(name);
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
        assert!(meta.len() < 3 * 4096, "{name}");
    }
    assert!(!data.path().join("requests.2.jsonl").exists());
    let kept = items(&tail(data.path(), &["--json", "-n", "1000"])).len();
    assert!(kept < sent.len(), "the files were rotated more than once");
}

/// `tail -f` as a process; dropping it kills it.
struct Follower {
    child: Child,
    file: PathBuf,
}

impl Follower {
    fn start(data: &Path) -> Self {
        let file = data.join("followed");
        let out = std::fs::File::create(&file).expect("ours");
        let mut command = Process::command();
        command.args(["tail", "-f", "--json", "--operation", "embedSessionRead", "--data-dir"]);
        let child = command.arg(data).stdout(out).stderr(Stdio::null()).spawn();
        Self { child: child.expect("the binary starts"), file }
    }

    /// The requests it has shown, in its order.
    fn ids(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.file).expect("ours");
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let lines = whole.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.map(|line| line["request_id"].as_str().expect("an id").to_owned()).collect()
    }

    async fn catch_up(&self, count: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.ids().len() < count {
            assert!(Instant::now() < deadline, "{} of {count}", self.ids().len());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn no_request_log_is_kept_when_nobody_wants_one() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start_with(data.path(), 0, &[("VESTIBULE__REQUEST_LOG__FILES", "0")]);
    assert!(process.terminate().success());
    assert!(!data.path().join("requests.jsonl").exists());
}
