//! The way of PostgreSQL: a dump by `pg_dump`, put back by `pg_restore`, is not served before its
//! fence, and nothing lost comes back to life behind it.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::Client;

use crate::cli::{self, Ended};
use crate::durability::Signed;
use crate::process::Process;
use crate::requests::{fresh_timestamp, get, now_ms};
use crate::tools;

const ADDRESS: &str = "VESTIBULE__DATABASE__URL";

/// Two databases of this test's own: the one that is lost, and the one that a dump is put into.
struct Databases {
    server: String,
    names: [String; 2],
}

impl Databases {
    fn new() -> Self {
        let server = std::env::var("VESTIBULE_TEST_POSTGRES").expect("run `cargo xtask test`");
        let id = vestibule::context::Ids::default().hex::<8>("dump_");
        let made = Self { server, names: [format!("{id}_lost"), format!("{id}_put_back")] };
        for name in &made.names {
            tool("createdb", &["--maintenance-db", &made.server, name]);
        }
        made
    }

    fn address(&self, at: usize) -> String {
        let (server, _) = self.server.rsplit_once('/').expect("an address of a database");
        format!("{server}/{}", self.names[at])
    }
}

impl Drop for Databases {
    fn drop(&mut self) {
        for name in &self.names {
            tool("dropdb", &["--force", "--if-exists", "--maintenance-db", &self.server, name]);
        }
    }
}

/// A program of PostgreSQL's, which lies beside the one that makes clusters.
fn tool(name: &str, arguments: &[&str]) {
    let made = tools::initdb().canonicalize().expect("it is there");
    let output = Command::new(made.with_file_name(name)).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

fn run(data: &Path, address: &str, arguments: &[&str]) -> Ended {
    let arguments = [arguments, &["--data-dir", "."]].concat();
    cli::run(data, "", &[(ADDRESS, address)], &arguments)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dump_that_was_put_back_is_served_behind_a_fence_alone() {
    let outer = tempfile::tempdir().expect("a temporary directory");
    let (data, dump): (PathBuf, _) = (outer.path().join("data"), outer.path().join("dump"));
    std::fs::create_dir(&data).expect("it is ours");
    let databases = Databases::new();
    let [lost, put_back] = [0, 1].map(|at| databases.address(at));
    let process = Process::start_with(&data, 0, &[(ADDRESS, &lost)]);
    let (port, tenant) = (process.port(), process.demo.demo.clone());
    let first = Signed::new(&tenant, 0, fresh_timestamp());
    let opened = first.send(&Client::new(), &process.base_url).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    let token = opened.body["data"]["embedToken"].as_str().expect("a token").to_owned();
    let file = dump.to_str().expect("UTF-8");
    tool("pg_dump", &["--format=custom", "--file", file, "--dbname", &lost]);
    assert!(process.terminate().success());
    let process = Process::start_with(&data, port, &[(ADDRESS, &lost)]);
    let second = Signed::new(&tenant, 0, fresh_timestamp());
    assert_eq!(second.send(&Client::new(), &process.base_url).await.status, 201);
    assert!(process.terminate().success());

    tool("pg_restore", &["--exit-on-error", "--dbname", &put_back, file]);
    let refused = run(&data, &put_back, &["serve", "--dev", "--bind", "127.0.0.1:0"]);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("vestibule restore --fence-only"), "{}", refused.err);
    for impossible in [&["backup", "../backup.db"][..], &["restore", "../dump"]] {
        assert_eq!(run(&data, &put_back, impossible).code, 2, "{impossible:?}");
    }
    let fenced = run(&data, &put_back, &["restore", "--fence-only", "--json"]);
    assert_eq!(fenced.code, 0, "{}", fenced.err);
    assert_eq!(fenced.json()["sessionsEnded"], 1, "{}", fenced.out);
    assert!(!fenced.json()["activeKeys"].as_array().expect("keys").is_empty());

    let process = Process::start_with(&data, port, &[(ADDRESS, &put_back)]);
    for signed in [&second, &first] {
        signed.send(&Client::new(), &process.base_url).await.refused(503, "unavailable");
    }
    let read = get(&format!("{}/v1/embed/session", process.base_url), &token).await;
    read.refused(401, "token_revoked");
    // As by a clock that is ahead: beyond anything that may have been signed before the fence.
    let ahead = Signed::new(&tenant, 0, now_ms() + 300_000);
    let opened = ahead.send(&Client::new(), &process.base_url).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
    assert_eq!(run(&data, &put_back, &["audit", "verify"]).code, 0);
    assert!(process.terminate().success());
}
