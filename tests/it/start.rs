//! The start of a run: what refuses to start and how it says so, and what `--dev` sets up.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::cli::{Ended, run};
use crate::process::{BANNER, Process, START};
use crate::requests::{open_chat, open_embed, open_iframe};

const KEY: &str = "5f0c2b7e91d34a68b7c1e20f94d85a3366d1fe07a95b4c82903e7d6f18c4ab52";
const TOKEN: &str = "adm_9f31c07be2645a8d1f0b7c39e8a2d6541c";

#[test]
fn bad_configuration_is_one_line_and_exit_code_2() {
    let token = ("VESTIBULE__ADMIN__TOKEN", TOKEN);
    let variables: [(&[(&str, &str)], &str); 9] = [
        (&[token], "master_keys: no master key is given"),
        (&[token, ("VESTIBULE__MASTER_KEYS", "abc")], "is not 32 bytes"),
        (&[token, ("VESTIBULE__MASTER_KEYS", ZERO)], "it is all zero"),
        (&[("VESTIBULE__MASTER_KEYS", KEY)], "admin.token: no admin token is given"),
        (&[("VESTIBULE__ADMIN__TOKEN", "short")], "at least 32 are needed"),
        (&[("VESTIBULE__ADMIN__TOKEN", EXAMPLE)], "is an example or easily guessed"),
        (&[("VESTIBULE__BIND", "localhost")], "`localhost` is no socket address"),
        (&[("VESTIBULE__LOG__LEVEL", "loud")], "write one of error, warn, info, debug, trace"),
        (&[("VESTIBULE__LIMITS__BODY_DEADLINE", "1")], "VESTIBULE__LIMITS__BODY_DEADLINE_MS"),
    ];
    for (variables, says) in variables {
        require_one_line(&serve(variables, ""), says);
    }
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);
    let files: [Case<'_>; 6] = [
        (&[token], "[limits]\nredeem_per_minut = 3", NEAREST),
        (&[token], "bind = 8080", "vestibule.toml:1: bind: the value is not a string"),
        (&[token], "bind = ", "vestibule.toml:1: not TOML"),
        (&[token], "master_keys_file = \"public.key\"", "run: chmod 600 public.key"),
        (&[], "[admin]\ntoken_file = \"nowhere\"", "nowhere cannot be read"),
        (&[token], "[dev]\nclock_offset_ms = 1", "the clock may only be moved in --dev"),
    ];
    for (variables, toml, says) in files {
        require_one_line(&serve(variables, toml), says);
    }
}

const NEAREST: &str = "vestibule.toml:2: there is no setting `limits.redeem_per_minut`; the \
                       nearest known one is `limits.redeem_per_minute`";
const ZERO: &str = "0000000000000000000000000000000000000000000000000000000000000000";
const EXAMPLE: &str = "adm_example_example_example_example_0123";

/// `serve` outside `--dev` with a configuration that it must refuse.
fn serve(variables: &[(&str, &str)], toml: &str) -> Ended {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).expect("it is ours");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644))
            .expect("it is ours");
    };
    file("vestibule.toml", toml);
    file("public.key", KEY);
    let arguments = ["serve", "--config", "vestibule.toml", "--data-dir", "d"];
    let ended = run(dir.path(), "", variables, &arguments);
    assert!(!dir.path().join("d").exists(), "a refused configuration leaves nothing behind");
    ended
}

fn require_one_line(ended: &Ended, says: &str) {
    assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{says}: {}", ended.err);
    assert!(ended.err.starts_with("error: ") && ended.err.contains(says), "{says}: {}", ended.err);
    assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
}

#[test]
fn another_master_key_or_a_taken_address_refuses_to_start() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let taken = process.base_url.trim_start_matches("http://");
    let good = [("VESTIBULE__MASTER_KEYS", KEY), ("VESTIBULE__ADMIN__TOKEN", TOKEN)];
    let other = ["serve", "--data-dir", ".", "--bind", "127.0.0.1:0"];
    let ended = run(data.path(), "", &good, &other);
    assert_eq!(ended.code, 2, "{}", ended.err);
    let says = "error: none of the configured master keys made this database\nhelp: ";
    assert!(ended.err.starts_with(says), "{}", ended.err);
    let second = ["serve", "--data-dir", "second", "--bind", taken];
    let ended = run(data.path(), "", &good, &second);
    assert_eq!(ended.code, 2, "{}", ended.err);
    assert!(ended.err.contains(&format!("error: cannot listen on {taken}")), "{}", ended.err);
}

/// The default port is taken by this test or by whoever was here before.
#[tokio::test]
async fn dev_takes_the_next_free_port_with_a_notice() {
    let _taken = TcpListener::bind("127.0.0.1:8080");
    let dirs = [(); 2].map(|()| tempfile::tempdir().expect("a temporary directory"));
    let services = dirs.each_ref().map(|dir| {
        let mut command = Process::command();
        command.args(["serve", "--dev"]);
        Process::launch(command, dir.path())
    });
    assert_ne!(services[0].port(), services[1].port());
    for (dir, service) in dirs.iter().zip(&services) {
        let notice = format!(
            "notice: 127.0.0.1:8080 is taken, so this one listens at 127.0.0.1:{}\n",
            service.port()
        );
        assert!(banner(dir.path()).starts_with(&notice), "{}", banner(dir.path()));
        let body = json!({ "publicKey": service.demo.demo.chat.public_key });
        let opened = open_chat(&service.base_url, &service.demo.demo, &body).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
    }
}

#[test]
fn curl_lines_of_the_banner_open_a_session_each() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let _process = Process::start(data.path(), 0);
    let banner = banner(data.path());
    let lines: Vec<_> = banner.lines().filter(|line| line.starts_with("curl ")).collect();
    let statuses = lines.iter().map(|line| {
        let line = format!("{line} -o /dev/null -w '%{{http_code}}'");
        let output = Command::new("sh").args(["-c", &line]).output().expect("a shell");
        String::from_utf8(output.stdout).expect("digits")
    });
    assert_eq!(statuses.collect::<Vec<_>>(), ["201", "200", "200"], "{banner}");
}

#[test]
fn what_dev_keeps_is_readable_by_its_owner_alone_and_kept() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let (port, secret) = (process.port(), process.demo.demo.embed.secret.clone());
    for name in ["master.key", "dev-credentials.json", "vestibule.db", "vestibule.db-wal"] {
        let meta = std::fs::metadata(data.path().join(name)).expect(name);
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
    assert!(process.terminate().success());
    let again = Process::start(data.path(), port);
    assert_eq!(again.demo.demo.embed.secret, secret);
}

/// Values of any format; the publishable keys alone have the pattern of their document.
#[tokio::test]
async fn given_demo_credentials_are_taken() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let given = data.path().join("given.json");
    std::fs::write(&given, given_credentials().to_string()).expect("it is ours");
    let given = given.to_str().expect("a path");
    let process = Process::start_with(data.path(), 0, &[("VESTIBULE_DEV_CREDENTIALS", given)]);
    let (base, demo) = (&process.base_url, &process.demo.demo);
    assert_eq!(
        (demo.embed.key.as_str(), demo.iframe.theme_ids.as_slice()),
        ("INTEGRATOR/key+01=", &[7_i64][..])
    );
    let body = json!({ "employeeId": demo.embed.employee_id, "capabilities": ["showSendInput"] });
    assert_eq!(open_embed(base, demo, &body).await.status, 201);
    let body = json!({ "publicKey": demo.chat.public_key });
    assert_eq!(open_chat(base, demo, &body).await.status, 200);
    for body in [
        json!({ "uid": "u", "srcs": ["warehouse", 7], "theme_id": 7 }),
        json!({ "uid": "u", "srcs": ["7"] }),
    ] {
        let opened = open_iframe(base, demo, &body).await;
        assert_eq!(opened.status, 200, "{}", opened.text);
    }
}

fn given_credentials() -> Value {
    json!({
        "base_url": "http://127.0.0.1:1",
        "embed": {
            "key": "INTEGRATOR/key+01=", "secret": "any secret of sixteen",
            "read_key": "INTEGRATOR/key+02=", "read_secret": "another secret, longer",
            "employee_id": "64f0000000000000000000aa", "chat_id": "64f0000000000000000000bb",
        },
        "chat": {
            "public_key": "pk_live_00000000000000000000000000000001",
            "origin": "https://widgets.example:8443",
            "restricted_public_key": "pk_live_00000000000000000000000000000002",
        },
        "iframe": { "api_key": "0123456789abcdef", "source_ids": ["warehouse", 7], "theme_ids": [7] },
        "admin": { "token": "an-admin-token-of-any-form" },
    })
}

#[test]
fn unusable_demo_credentials_are_refused() {
    let mut short = given_credentials();
    short["embed"]["secret"] = "fifteen letters".into();
    let mut doubled = given_credentials();
    doubled["embed"]["read_key"] = doubled["embed"]["key"].clone();
    let cases = [
        (short.to_string(), "embed.secret has 15 characters; give it at least 16"),
        (doubled.to_string(), "is the same as another key"),
        ("[1]".to_owned(), "not the expected shape"),
        ("{".to_owned(), "not JSON"),
    ];
    for (text, says) in cases {
        let dir = tempfile::tempdir().expect("a temporary directory");
        std::fs::write(dir.path().join("given.json"), text).expect("it is ours");
        let given = [("VESTIBULE_DEV_CREDENTIALS", "given.json")];
        let arguments = ["serve", "--dev", "--bind", "127.0.0.1:0", "--data-dir", "d"];
        require_one_line(&run(dir.path(), "", &given, &arguments), says);
    }
}

/// What a service has printed, whole: it answers before it prints, and the last lines are for curl.
fn banner(data_dir: &Path) -> String {
    let deadline = Instant::now() + START;
    loop {
        let text = std::fs::read_to_string(data_dir.join(BANNER)).expect("its output is kept");
        if text.contains("\ncurl ") && text.ends_with('\n') {
            return text;
        }
        assert!(Instant::now() < deadline, "no banner: {text}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
