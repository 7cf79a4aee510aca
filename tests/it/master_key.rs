//! Rotating the master key of a service that is in use: nobody is refused, and the old key can go.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use vestibule::cli::dev::TenantCredentials;

use crate::callers::text;
use crate::cli::Desk;
use crate::database::{change, tamper};
use crate::keyring::read_jwt;
use crate::process::Process;
use crate::requests::{get, open_embed, open_iframe, post, send};
use crate::webhook_receiver::until;

/// What callers saw while the key was rotated.
#[derive(Default)]
struct Seen {
    stop: AtomicBool,
    answers: AtomicU64,
    refused: AtomicU64,
}

impl Seen {
    fn note(&self, status: u16, expected: u16) {
        self.answers.fetch_add(1, Ordering::Relaxed);
        if status != expected {
            self.refused.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Opens sessions, signed by secrets that are being sealed anew, and reads with every token that it
/// was ever given; all of those.
async fn call(base: String, demo: TenantCredentials, seen: Arc<Seen>) -> Vec<String> {
    let inbox = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showChatsList"] });
    let link = json!({ "uid": "u1", "srcs": demo.iframe.source_ids });
    let mut tokens = Vec::new();
    while !seen.stop.load(Ordering::Relaxed) {
        let opened = open_embed(&base, &demo, &inbox).await;
        seen.note(opened.status.as_u16(), 201);
        if let Some(token) = opened.body["data"]["embedToken"].as_str() {
            tokens.push(token.to_owned());
        }
        let created = open_iframe(&base, &demo, &link).await;
        seen.note(created.status.as_u16(), 200);
        for token in tokens.iter().take(1).chain(tokens.last()) {
            let read = get(&format!("{base}/v1/embed/session"), token).await;
            seen.note(read.status.as_u16(), 200);
        }
    }
    for token in &tokens {
        let read = get(&format!("{base}/v1/embed/session"), token).await;
        seen.note(read.status.as_u16(), 200);
    }
    tokens
}

/// Rotates the master key while four callers are at work, from whom nobody is refused; what the
/// command said, and all tokens that they were given.
async fn rotate_under_load(process: &Process, desk: &Desk<'_>) -> (Value, Vec<String>) {
    let seen = Arc::<Seen>::default();
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let demo = process.demo.demo.clone();
            tokio::spawn(call(process.base_url.clone(), demo, Arc::clone(&seen)))
        })
        .collect();
    let answers = || seen.answers.load(Ordering::Relaxed);
    until(async || answers() > 40, || "nobody is answered".to_owned()).await;
    let rotated = tokio::task::block_in_place(|| desk.json(&["master-key", "rotate"]));
    // It ends when the service has noticed: whoever opens a session from now on does by the new key.
    let before = answers();
    until(async || answers() > before + 40, || "nobody is answered any more".to_owned()).await;
    seen.stop.store(true, Ordering::Relaxed);
    let mut tokens = Vec::new();
    for caller in callers {
        tokens.extend(caller.await.expect("no caller panics"));
    }
    let refused = seen.refused.load(Ordering::Relaxed);
    println!("{} answers during the rotation, {refused} refused", answers());
    assert_eq!(refused, 0, "of {}", answers());
    (rotated, tokens)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_under_load_refuses_nobody_and_the_old_key_can_go() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let before = desk.json(&["master-key", "status"]);
    let old = before["keys"][0]["key"].clone();
    desk.says(1, &["master-key", "rotate", "--retire"], "there is one key");
    let (rotated, _) = rotate_under_load(&process, &desk).await;

    let after = desk.json(&["master-key", "status"]);
    assert_eq!(after["keys"][0]["key"], rotated["key"]);
    assert_eq!((&after["keys"][1]["key"], &after["keys"][1]["seals"]), (&old, &json!(0)));
    assert_eq!(after["resealing"]["done"], true, "{after}");
    desk.says(0, &["master-key", "status"], "`rotate --retire` removes the others");
    desk.says(1, &["master-key", "rotate", "--retire"], "live until");
    tamper(
        data.path(),
        "UPDATE meta SET value = CAST(json_set(CAST(value AS TEXT), '$.since', 0) AS BLOB) \
         WHERE name = 'resealing';",
        "UPDATE meta SET value = convert_to(CAST(jsonb_set(CAST(convert_from(value, 'UTF8') \
         AS jsonb), '{since}', '0') AS text), 'UTF8') WHERE name = 'resealing';",
    );
    let keep = |claimed_at: i64| {
        let with = |bytes: [&str; 2]| {
            format!(
                "INSERT INTO idempotency (tenant_id, claim, claimed_at, expires_at, answer) \
                 VALUES ('', {}, {claimed_at}, 9000000000000, {});",
                bytes[0], bytes[1]
            )
        };
        let sqlite = with([&format!("x'{claimed_at:02}'"), "x'00'"]);
        let postgres = with([&format!("decode('{claimed_at:02}', 'hex')"), "decode('00', 'hex')"]);
        tamper(data.path(), &sqlite, &postgres);
    };
    // Claimed after the rotation, so sealed by the new key; then one from before it.
    keep(990_000);
    keep(10);
    let retires = &["master-key", "rotate", "--retire"];
    desk.says(1, retires, "answers to repeated requests are kept until");
    change(data.path(), "DELETE FROM idempotency WHERE claimed_at = 10", &[]);
    desk.says(0, retires, "1 old keys are gone");
    let alone = desk.json(&["master-key", "status"]);
    assert_eq!(alone["keys"].as_array().map(Vec::len), Some(1), "{alone}");
    drop(process);
    let process = Process::start(data.path(), 0);
    let (base, demo) = (&process.base_url, &process.demo.demo);
    let link = json!({ "uid": "u1", "srcs": demo.iframe.source_ids });
    let created = open_iframe(base, demo, &link).await;
    let key = json!({ "cache_key": created.body["cache_key"] });
    let redeemed = post(&format!("{base}/api/v1/iframe/token"), &[], &key).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text);
}

/// Tokens that hosts verify offline are of the old pair or of the new one, and both are published.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_refuses_no_eddsa_token_and_publishes_the_keys_of_both_master_keys() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let tenants = desk.json(&["tenants", "list"]);
    let mut all = tenants["items"].as_array().expect("a list").iter();
    let demo = all.find(|it| it["name"] == "Demo shop").expect("it is seeded");
    let tenant = demo["tenantId"].as_str().expect("an id");
    // Without overlap, so that nobody waits for the minute of publication.
    let rotate = ["tenants", "rotate-signing-key", tenant, "--overlap", "0"];
    desk.json(&[&rotate[..], &["--algorithm", "eddsa"]].concat());
    let inbox = json!({
        "employeeId": process.demo.demo.embed.employee_id, "capabilities": ["showChatsList"],
    });
    let is_active = async || {
        let opened = open_embed(&process.base_url, &process.demo.demo, &inbox).await;
        read_jwt(&text(&opened, "/data/embedToken")).0["alg"] == "EdDSA"
    };
    until(is_active, || "the key pair does not sign".to_owned()).await;
    let kids = async || {
        let url = format!("{}/.well-known/jwks.json", process.base_url);
        let answer = send(reqwest::Method::GET, &url, &[], None).await;
        let keys = answer.body["keys"].as_array().expect("a list").clone();
        keys.iter().map(|key| key["kid"].to_string()).collect::<BTreeSet<_>>()
    };
    let before = kids().await;
    let (_, tokens) = rotate_under_load(&process, &desk).await;
    let after = kids().await;
    assert_eq!((before.len(), after.len()), (2, 4), "{after:?}");
    assert!(after.is_superset(&before), "{after:?}");
    let used: BTreeSet<_> =
        tokens.iter().map(|token| read_jwt(token).0["kid"].to_string()).collect();
    assert!(used.len() == 2 && used.is_subset(&after), "of both master keys: {used:?}");
}

/// The service of somebody who added a first key by hand and started it again.
#[test]
fn a_start_with_a_new_first_key_seals_everything_anew_in_the_background() {
    let data = tempfile::tempdir().expect("a temporary directory");
    drop(Process::start(data.path(), 0));
    let file = data.path().join("master.key");
    let old = std::fs::read_to_string(&file).expect("it is there");
    let new = "c81e93a05d7f4b26a1f0683ce52d97b44e0f7a1c6b39d285f71e0a94c3d86b27";
    vestibule::config::write_private(&file, &format!("{new}\n{old}")).expect("it is ours");
    let _process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let deadline = std::time::Instant::now() + Duration::from_secs(60);
    loop {
        let status = desk.json(&["master-key", "status"]);
        if status["resealing"]["done"] == true {
            assert_eq!(status["keys"][1]["seals"], 0, "{status}");
            assert!(status["keys"][0]["seals"].as_u64() > Some(2), "{status}");
            return;
        }
        assert!(std::time::Instant::now() < deadline, "{status}");
        std::thread::sleep(Duration::from_millis(50));
    }
}
