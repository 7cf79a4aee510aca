//! Operator commands as processes: what they print with `--json` and without, their exit codes,
//! and that a running service notices what they change.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine::{URL_FILE, known_address_file};
use crate::process::Process;
use crate::requests::{get, open_chat, open_embed, open_iframe, post};
use crate::tools::fed;

/// Pinned in the README and in the domain's tests too.
const SECRET: &str = "ysk_000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const BODY: &str = r#"{"employeeId":"64f000000000000000000001","capabilities":["showChatsList"]}"#;
const SIGNATURE: &str = "aa2914c3cfebed63ca99b10d6be6744c30b4b2b37a5e71aef97e0dcd39b7fbe7";

/// Far more than the second that a change may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a command ended.
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Ended {
    /// The one JSON value that it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|bad| panic!("{bad}: {}", self.out))
    }
}

/// Runs a command in `dir`, with `input` on its standard input.
pub fn run(dir: &Path, input: &str, environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = Process::command();
    command.current_dir(dir).args(arguments).envs(environment.iter().copied());
    let mut after = arguments.iter().skip_while(|it| **it != "--data-dir").skip(1);
    if let Some(file) = after.next().and_then(|it| known_address_file(&dir.join(it))) {
        command.env(URL_FILE, file);
    }
    let output = fed(&mut command, input.as_bytes());
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let code = output.status.code().expect("an exit code");
    Ended { code, out: text(output.stdout), err: text(output.stderr) }
}

fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(dir.path().join("secret"), format!("{SECRET}\n")).expect("it is ours");
    std::fs::write(dir.path().join("body.json"), BODY).expect("it is ours");
    std::fs::write(dir.path().join("empty"), "\n").expect("it is ours");
    dir
}

#[test]
fn sign_gives_the_golden_signature_from_every_source() {
    let dir = files();
    let base = ["sign", "--key", "yk_one", "--timestamp", "1700000000000"];
    let with = |more: &[&'static str]| [&base[..], more].concat();
    let environment = [("VESTIBULE_SIGN_SECRET", SECRET)];
    let ways = [
        run(dir.path(), "", &[], &with(&["--secret-file", "secret", "-d", BODY])),
        run(dir.path(), "", &environment, &with(&["-d", "@body.json"])),
        run(dir.path(), SECRET, &[], &with(&["-d", "@body.json"])),
    ];
    for ended in ways {
        let expected = format!(
            "X-YoLead-Key: yk_one\nX-YoLead-Timestamp: 1700000000000\n\
             X-YoLead-Signature: {SIGNATURE}\n"
        );
        assert_eq!((ended.code, ended.out), (0, expected), "{}", ended.err);
    }
    let json = run(dir.path(), SECRET, &[], &with(&["-d", "@body.json", "--json"]));
    let sha256 = "d772131ed8368aacb39bdc9df09e0f2c71e5aae9cbfb2e5e664fceb4d8a639c2";
    let expected = json!({
        "key": "yk_one", "timestamp": "1700000000000", "signature": SIGNATURE,
        "string_to_sign_sha256": sha256,
    });
    assert_eq!((json.code, json.json()), (0, expected));
    let curl = run(dir.path(), SECRET, &[], &with(&["-d", "@body.json", "--curl"]));
    assert_eq!(curl.code, 0);
    assert!(curl.out.starts_with("curl ") && curl.out.contains(SIGNATURE), "{}", curl.out);
}

#[test]
fn sign_refuses_unusable_input_with_exit_code_2() {
    let dir = files();
    let cases: [(&[&str], &str); 8] = [
        (&["--secret-file", "nowhere", "-d", "{}"], "nowhere cannot be read"),
        (&["--secret-file", "empty", "-d", "{}"], "the secret is empty"),
        (&["-d", "{}"], "the secret is empty"),
        (&["--secret-file", "secret", "-d", "@nowhere"], "nowhere cannot be read"),
        (&["--secret-file", "secret"], "--data"),
        (&["--secret-file", "secret", "-d", "{}", "--json", "--curl"], "cannot be used with"),
        (&["--secret-file", "secret", "-d", "{}", "--timestamp", "1700000000"], "1700000000"),
        (&["--secret-file", "secret", "-d", "{}", "--secret", "x"], "--secret"),
    ];
    for (arguments, says) in cases {
        let arguments = [&["sign", "--key", "yk_one"], arguments].concat();
        let ended = run(dir.path(), "", &[], &arguments);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{arguments:?}");
        assert!(ended.err.contains(says), "{arguments:?}: {}", ended.err);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_every_surface_are_shown_and_verified() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let tokens = tokens(&process).await;
    assert!(process.terminate().success());
    let elsewhere = files();
    for (kind, token) in &tokens {
        let own = inspect(data.path(), "", token);
        assert_eq!((own.code, &own.json()["kind"]), (0, &json!(kind)), "{}", own.err);
        assert_eq!(own.json()["verified"], true);
        assert!(own.json()["expires_in"].as_i64().is_some_and(|left| left > 0), "{}", own.out);
        assert_eq!(own.json()["header"].is_null(), *kind == "chat");
        assert!(own.json()["claims"]["tid"].is_string());
        let plain = run(data.path(), "", &[], &["token", "inspect", token, "--data-dir", "."]);
        assert_eq!(plain.code, 0);
        assert!(
            plain.out.starts_with(&format!("kind      {kind}\nverified  yes")),
            "{}",
            plain.out
        );
        let piped = inspect(data.path(), token, "-");
        assert_eq!(piped.json()["verified"], true);
        let unknown = inspect(elsewhere.path(), "", token);
        assert_eq!((unknown.code, &unknown.json()["verified"]), (0, &Value::Null));
        let last = if token.ends_with('A') { "Q" } else { "A" };
        let forged = format!("{}{last}", &token[..token.len() - 1]);
        let forged = inspect(data.path(), "", &forged);
        assert_eq!((forged.code, &forged.json()["verified"]), (1, &json!(false)));
        assert!(forged.err.starts_with("error: the token does not verify\n"), "{}", forged.err);
    }
    for text in ["", "ck_abc", "a.b.c", "eyJ"] {
        let ended = inspect(data.path(), "", text);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{text:?}: {}", ended.err);
    }
}

fn inspect(data_dir: &Path, input: &str, token: &str) -> Ended {
    run(data_dir, input, &[], &["token", "inspect", token, "--json", "--data-dir", "."])
}

/// One token of each surface, the embed token inside its address.
async fn tokens(process: &Process) -> [(&'static str, String); 3] {
    let (base, demo) = (&process.base_url, &process.demo.demo);
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let embed = open_embed(base, demo, &body).await;
    let chat = open_chat(base, demo, &json!({ "publicKey": demo.chat.public_key })).await;
    let body = json!({ "uid": "user-1", "srcs": demo.iframe.source_ids });
    let iframe = open_iframe(base, demo, &body).await;
    let cache_key = json!({ "cache_key": iframe.body["cache_key"] });
    let redeemed = post(&format!("{base}/api/v1/iframe/token"), &[], &cache_key).await;
    let text = |value: &Value| value.as_str().expect("a token").to_owned();
    [
        ("embed", text(&embed.body["data"]["iframeUrl"])),
        ("chat", text(&chat.body["sessionToken"])),
        ("iframe", text(&redeemed.body["access_token"])),
    ]
}

/// The commands on the data directory of a service that runs.
pub struct Desk<'a> {
    /// The data directory.
    pub data_dir: &'a Path,
}

impl Desk<'_> {
    /// Runs one.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        run(self.data_dir, "", &[], &[arguments, &["--data-dir", "."]].concat())
    }

    /// The JSON of one that succeeds.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let ended = self.run(&[arguments, &["--json"]].concat());
        assert_eq!(ended.code, 0, "{arguments:?}: {}", ended.err);
        ended.json()
    }

    /// Holds one to its exit code and a part of what it says.
    pub fn says(&self, code: i32, arguments: &[&str], says: &str) {
        let ended = self.run(arguments);
        let said = if code == 0 { &ended.out } else { &ended.err };
        assert_eq!(ended.code, code, "{arguments:?}: {}", ended.err);
        assert!(said.contains(says), "{arguments:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn running_service_notices_what_commands_change() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let mut demo = process.demo.demo.clone();
    let keys = desk.json(&["keys", "list", "--kind", "iframe"]);
    let tenant = keys["items"][0]["tenantId"].as_str().expect("a tenant").to_owned();
    let create = ["keys", "create", "--tenant", &tenant, "--kind", "iframe", "--label", "New"];
    let made = desk.json(&create);
    let key = made["key"]["keyId"].as_str().expect("an id");
    let secret = made["credential"]["secret"].as_str().expect("a secret");
    demo.iframe.api_key = secret.to_owned();
    let status = async || {
        let body = json!({ "uid": "user-1", "srcs": demo.iframe.source_ids });
        open_iframe(&process.base_url, &demo, &body).await.status.as_u16()
    };
    until(200, &status).await;
    for (command, state, expected) in
        [("pause", "paused", 401), ("resume", "active", 200), ("revoke", "revoked", 401)]
    {
        assert_eq!(desk.json(&["keys", command, key])["state"], state);
        until(expected, &status).await;
    }
    // A tenant takes its sessions with it.
    let [(_, url), ..] = tokens(&process).await;
    let (_, token) = url.split_once("#token=").expect("a fragment");
    let read = format!("{}/v1/embed/session", process.base_url);
    let status = async || get(&read, token).await.status.as_u16();
    until(200, &status).await;
    let revoked = desk.json(&["tenants", "revoke", &tenant]);
    assert!(revoked["revokedAt"].is_string(), "{revoked}");
    until(401, &status).await;
}

async fn until(expected: u16, status: &impl AsyncFn() -> u16) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = status().await;
        if now == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{now} instead of {expected}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_listed_shown_and_ended() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let [(_, url), ..] = tokens(&process).await;
    let (_, token) = url.split_once("#token=").expect("a fragment");
    let listed = desk.json(&["sessions", "list", "--surface", "embed", "--state", "live"]);
    let items = listed["items"].as_array().expect("items");
    assert_eq!(items.len(), 1, "{listed}");
    let text = |name: &str| items[0][name].as_str().expect("text").to_owned();
    let (sid, tenant, employee) = (text("sid"), text("tenant_id"), text("employee"));
    let shown = desk.json(&["sessions", "show", &sid]);
    let key = &process.demo.demo.iframe.api_key;
    let told = get(&format!("{}/v1/sessions/{sid}", process.base_url), key).await;
    assert_eq!(told.body["mode"], "live", "{}", told.text);
    for own in [&shown, &items[0]] {
        assert_eq!(
            but("expires_in", own),
            but("expires_in", &told.body),
            "as the service tells it"
        );
        assert!(own["expires_in"].as_i64().is_some_and(|left| left > 0), "{own}");
    }
    desk.says(0, &["sessions", "show", &sid], "state    live\n");
    desk.says(0, &["sessions", "list", "--target", &format!("session:{sid}")], &employee);
    desk.says(0, &["sessions", "list", "--target", "uid:nobody"], "0 sessions, and no more.");
    let read = format!("{}/v1/embed/session", process.base_url);
    let status = async || get(&read, token).await.status.as_u16();
    until(200, &status).await;
    let target = format!("employee:{employee}");
    let revoke = ["sessions", "revoke", "--tenant", &tenant, &target];
    let counts = desk.json(&[&revoke[..], &["--margin", "300"]].concat());
    assert_eq!(counts, json!({ "revoked": 1, "not_revocable": 0 }));
    assert_eq!(status().await, 200, "its end is set, not come");
    desk.says(0, &revoke, "1 session ends.");
    until(401, &status).await;
    desk.says(0, &revoke, "0 sessions end; 1 more were over or ending already.");
    desk.says(0, &["sessions", "show", &sid], "It is over; a new one must be opened.");
    let nobody = "ses_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    desk.says(1, &["sessions", "show", nobody], "session not found");
    let elsewhere = "ten_aaaaaaaaaaaaaaaaaaaaaaaaaa";
    desk.says(1, &["sessions", "revoke", "--tenant", elsewhere, &target], "tenant not found");
    desk.says(2, &["sessions", "revoke", "--tenant", &tenant, "tenant:a"], "TARGET");
    desk.says(2, &[&revoke[..], &["--margin", "301"]].concat(), "--margin");
    desk.says(2, &["sessions", "list", "--target", "nonsense"], "a target begins with");
}

/// An object but for one member, which changes by the second.
fn but(name: &str, object: &Value) -> Value {
    let mut members = object.as_object().expect("an object").clone();
    members.remove(name);
    Value::Object(members)
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_are_listed_as_the_service_tells_of_them() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let tenants = desk.json(&["tenants", "list"]);
    let tenant = tenants["items"][0]["tenantId"].as_str().expect("an id").to_owned();
    let base = format!("{}/api/admin/v1/tenants/{tenant}/webhooks", process.base_url);
    let token = format!("Bearer {}", process.demo.admin.token);
    let headers = [("authorization", &*token)];
    let body = json!({ "url": "http://127.0.0.1:4000/hook", "events": ["session.created"], "description": "d" });
    let made = post(&base, &headers, &body).await;
    assert_eq!(made.status, 201, "{}", made.text);
    let url = format!("{base}/{}", made.body["webhook"]["webhookId"].as_str().expect("an id"));
    let rotated = post(&format!("{url}/rotate-secret"), &headers, &json!({})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text);
    let told = get(&url, &process.demo.admin.token).await;
    assert!(told.body["previousSecretUntil"].is_string(), "{}", told.text);
    assert_eq!(desk.json(&["webhooks", "list", &tenant])["items"], json!([told.body]));
}

#[test]
fn tenants_and_keys_are_made_listed_and_ended() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let _process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let made = desk.json(&["tenants", "create", "Acme", "--directory", "strict"]);
    let tenant = made["tenant"]["tenantId"].as_str().expect("an id").to_owned();
    assert_eq!(
        (&made["tenant"]["name"], &made["tenant"]["directory"]),
        (&json!("Acme"), &json!("strict"))
    );
    assert!(made["identitySecret"].is_string());
    assert_eq!(made["tenant"]["signing"], "hs256");
    desk.says(0, &["tenants", "create", "Plain", "--signing", "eddsa"], "identity secret  cis_");
    desk.says(2, &["tenants", "create", "Plain", "--signing", "none"], "possible values: hs256");
    desk.says(0, &["tenants", "list"], &tenant);
    desk.says(0, &["tenants", "list"], "eddsa");
    assert_eq!(desk.json(&["tenants", "list"])["items"].as_array().map(Vec::len), Some(4));
    let kinds: [(&str, &[&str], &str); 3] = [
        ("embed", &["--scope", "read-write"], "ysk_"),
        ("chat", &["--all-intents", "--origin", "https://*.acme.com"], "pk_live_"),
        ("iframe", &["--redemption-mode", "single", "--mode", "test"], "iak_test_"),
    ];
    for (kind, flags, credential) in kinds {
        let base = ["keys", "create", "--tenant", &tenant, "--label", "L", "--kind", kind];
        let create = [&base[..], flags].concat();
        desk.says(0, &create, credential);
        let made = desk.json(&create);
        let key = made["key"]["keyId"].as_str().expect("an id");
        assert_eq!(made["key"]["kind"], kind);
        let listed = desk.json(&["keys", "list", "--tenant", &tenant, "--kind", kind]);
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(2), "{listed}");
        assert!(!listed.to_string().contains("secret"), "{listed}");
        desk.says(0, &["keys", "list", "--kind", kind], key);
        desk.says(0, &["keys", "show", key], key);
        let renamed = ["keys", "update", key, "--label", "M", "--idle-timeout", "90"];
        desk.says(0, &renamed, "has changed: idleTimeoutSeconds, label");
        desk.says(0, &renamed, "is as it was");
        let changed = ["keys", "update", key, "--idle-timeout", "none", "--live-sessions", "5"];
        let changed = desk.json(&changed);
        assert_eq!(
            (&changed["label"], &changed["ceilings"]),
            (&json!("M"), &json!({"liveSessions": 5}))
        );
        assert!(changed.get("idleTimeoutSeconds").is_none(), "{changed}");
        assert_eq!(desk.json(&["keys", "show", key]), changed);
        let rotated = desk.json(&["keys", "rotate", key, "--overlap", "60"]);
        assert_eq!(rotated["key"]["generations"].as_array().map(Vec::len), Some(2), "{rotated}");
        assert_ne!(rotated["credential"], made["credential"]);
        desk.says(1, &["keys", "rotate", key], "an earlier rotation is not over");
        desk.says(0, &["keys", "rotate", key, "--overlap", "0"], "is not accepted any more");
        desk.says(0, &["keys", "pause", key], "is paused");
        desk.says(0, &["keys", "resume", key], "is active");
        desk.says(0, &["keys", "revoke", key], "is revoked");
        desk.says(1, &["keys", "resume", key], "is revoked for good");
        desk.says(1, &["keys", "update", key, "--label", "X"], "is revoked for good");
        desk.says(1, &["keys", "rotate", key], "is revoked for good");
    }
    let rotated = desk.json(&["tenants", "rotate-signing-key", &tenant, "--overlap", "60"]);
    let states = rotated["items"].as_array().expect("generations").iter();
    let states: Vec<_> = states.map(|it| it["state"].as_str().expect("a state")).collect();
    assert_eq!(states, ["pending", "active"], "{rotated}");
    let rotate = ["tenants", "rotate-signing-key", &tenant];
    desk.says(1, &rotate, "an earlier rotation is not over");
    let to_eddsa = ["--overlap", "0", "--algorithm", "eddsa"];
    desk.says(0, &[&rotate[..], &to_eddsa].concat(), "has a new signing key, which signs from 2");
    let listed = desk.json(&["tenants", "list"]);
    let acme =
        listed["items"].as_array().and_then(|all| all.iter().find(|it| it["name"] == "Acme"));
    assert_eq!(acme.expect("it is listed")["signing"], "eddsa");
    desk.says(
        2,
        &[&rotate[..], &["--overlap", "43201"]].concat(),
        "--overlap breaks maximum 43200",
    );
    desk.says(0, &["tenants", "revoke", &tenant], "is revoked since");
    let listed = desk.json(&["tenants", "list"]);
    let acme = listed["items"]
        .as_array()
        .and_then(|all| all.iter().find(|it| it["tenantId"] == tenant.as_str()));
    assert!(acme.is_some_and(|it| it["revokedAt"].is_string()), "{listed}");
}

#[test]
fn commands_say_what_is_wrong_with_their_exit_code() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let keys = desk.json(&["keys", "list", "--kind", "embed"]);
    let tenant = keys["items"][0]["tenantId"].as_str().expect("a tenant");
    let nobody = "ten_bbbbbbbbbbbbbbbbbbbbbbbbbb";
    let create = ["keys", "create", "--label", "L", "--kind"];
    desk.says(1, &[&create[..], &["iframe", "--tenant", nobody]].concat(), "tenant not found");
    desk.says(1, &["keys", "pause", "key_bbbbbbbbbbbbbbbbbbbbbbbbbb"], "key not found");
    desk.says(1, &["tenants", "revoke", nobody], "tenant not found");
    let wrong = [&create[..], &["iframe", "--tenant", tenant, "--scope", "read"]].concat();
    desk.says(2, &wrong, "--scope does not belong to this kind");
    let wrong = [&create[..], &["iframe", "--tenant", tenant, "--max-redemptions", "101"]].concat();
    desk.says(2, &wrong, "--max-redemptions breaks maximum 100");
    let key = keys["items"][0]["keyId"].as_str().expect("a key");
    for (flags, says) in [
        (["--identity", "off"], "--identity does not belong to this kind"),
        (["--idle-timeout", "59"], "--idle-timeout breaks minimum 60"),
        (["--idle-timeout", "soon"], "give a whole number or none"),
        (["--origin", "https://*.co.uk"], "--origin breaks pattern"),
    ] {
        desk.says(2, &[&["keys", "update", key][..], &flags].concat(), says);
    }
    desk.says(
        2,
        &["keys", "rotate", key, "--overlap", "604801"],
        "--overlap breaks maximum 604800",
    );
    desk.says(1, &["keys", "show", "key_bbbbbbbbbbbbbbbbbbbbbbbbbb"], "key not found");
    desk.says(2, &["tenants", "create", ""], "the name breaks minLength");
    desk.says(2, &["tenants", "create"], "<NAME>");
    desk.says(2, &["keys", "frobnicate"], "frobnicate");
    drop(process);
    let list = ["tenants", "list", "--data-dir", "nowhere"];
    let ended = run(data.path(), "", &[], &list);
    assert_eq!(ended.code, 2);
    assert!(
        ended.err.starts_with("error: there is no data directory nowhere\nhelp: "),
        "{}",
        ended.err
    );
    assert!(!data.path().join("nowhere").exists(), "a mistyped path makes nothing");
    let other = [(
        "VESTIBULE__MASTER_KEYS",
        "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52",
    )];
    let ended = run(data.path(), "", &other, &["keys", "list", "--data-dir", "."]);
    assert_eq!(ended.code, 2);
    assert!(ended.err.contains("the master keys do not open this database"), "{}", ended.err);
}
