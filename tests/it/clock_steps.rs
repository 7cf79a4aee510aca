//! The shipped binary under a system clock that is stepped forward and back, while it runs and between
//! two runs: what was used or ended stays so, and a clock that cannot be right is told of.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::callers::{bearer, text};
use crate::database::counts;
use crate::durability::Signed;
use crate::engine::is_postgres;
use crate::machine::Machine;
use crate::process::Process;
use crate::requests::{Answer, fresh_timestamp, get};

/// Far more than any of these waits takes.
const PATIENCE: Duration = Duration::from_secs(180);

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

/// A signed request that opened a session, which was ended.
struct Used {
    signed: Signed,
    ended: String,
}

impl Used {
    async fn at(process: &Process) -> Self {
        let (tenant, http) = (&process.demo.demo, reqwest::Client::new());
        let signed = Signed::new(tenant, 1, fresh_timestamp());
        let opened = signed.send(&http, &process.base_url).await;
        assert_eq!(opened.status, 201, "{}", opened.text);
        let ended = text(&opened, "/data/embedToken");
        let session = format!("{}/v1/embed/session", process.base_url);
        let sid = text(&get(&session, &ended).await, "/data/sessionId");
        let key = bearer(&tenant.iframe.api_key);
        let url = format!("{}/v1/sessions/{sid}", process.base_url);
        let answer = http.request(Method::DELETE, url).header(key.0, key.1).send().await;
        assert_eq!(answer.expect("it answers").status(), 204);
        Self { signed, ended }
    }

    async fn again(&self, process: &Process) -> Answer {
        // None of a killed process's connections.
        self.signed.send(&reqwest::Client::new(), &process.base_url).await
    }

    /// Neither opens anything any more.
    async fn stays_used(&self, process: &Process) {
        let again = self.again(process).await;
        assert_ne!(again.status, 201, "a signature was taken twice");
        let session = format!("{}/v1/embed/session", process.base_url);
        let read = get(&session, &self.ended).await;
        assert_eq!(read.status, 401, "a session that was ended is back: {}", read.text);
    }
}

async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn readiness(process: &Process) -> Value {
    let url = format!("{}/readyz", process.base_url);
    let answer = reqwest::get(url).await.expect("it answers");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn a_clock_that_was_hours_ahead_brings_no_signature_and_no_session_back() {
    let machine = Machine::new();
    let process = machine.start(0);
    let (port, used) = (process.port(), Used::at(&process).await);
    used.again(&process).await.refused(401, "signature_replayed");
    let replays = async || counts(machine.data.path(), &["replays"])["replays"];
    let before = replays().await;
    machine.step_to(3 * HOUR);
    if is_postgres() {
        // Its server's clock knows better, and others may ask for what would be removed.
        until("nothing is removed", async || machine.log().contains("ahead of the database")).await;
        machine.step_to(0);
        assert_eq!(readiness(&process).await["checks"]["clock"], "went back");
        used.stays_used(&process).await;
        process.kill();
        let process = machine.start(port);
        assert_eq!(replays().await, before);
        used.again(&process).await.refused(401, "signature_replayed");
        return used.stays_used(&process).await;
    }
    until("what was used is removed", async || replays().await == 0).await;
    machine.step_to(0);
    assert_eq!(readiness(&process).await["checks"]["clock"], "went back");
    used.stays_used(&process).await;
    process.kill();

    let refused = machine.run(&["serve", "--dev", "--bind", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let starts: Vec<_> = said.lines().filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(starts, ["error:", "help:"], "{said}");
    for part in ["timedatectl set-ntp true", "vestibule restore --fence-only --clock-is-right"] {
        assert!(said.contains(part), "{said}");
    }
    let doctor = machine.run(&["doctor"]);
    let said = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(said.contains("--clock-is-right"), "{said}");

    let accepted = machine.run(&["restore", "--fence-only", "--clock-is-right"]);
    let said = String::from_utf8_lossy(&accepted.stderr).into_owned();
    assert!(accepted.status.success(), "{said}");
    let process = machine.start(port);
    used.stays_used(&process).await;
    used.again(&process).await.refused(503, "unavailable");
    assert_eq!(readiness(&process).await["status"], "ready");
    // As soon as nothing from before the fence can be in time, others are let in again.
    machine.step_to(11 * MINUTE);
    until("signatures are taken again", async || {
        let later = fresh_timestamp() + 11 * MINUTE * 1000;
        let signed = Signed::new(&process.demo.demo, 2, later);
        signed.send(&reqwest::Client::new(), &process.base_url).await.status == 201
    })
    .await;
}

#[tokio::test]
async fn a_clock_that_was_minutes_ahead_stands_still_until_time_has_caught_up() {
    let machine = Machine::new();
    let process = machine.start(0);
    let (port, used) = (process.port(), Used::at(&process).await);
    machine.step_to(8 * MINUTE);
    until("it is known", async || {
        let log = machine.log();
        log.contains("jumped ahead") || log.contains("ahead of the database")
    })
    .await;
    process.kill();
    machine.step_to(0);
    let process = machine.start(port);
    let checks = &readiness(&process).await["checks"];
    if is_postgres() {
        // Which its server did not believe.
        assert_eq!(checks["clock"], "ok");
        return used.stays_used(&process).await;
    }
    assert_eq!(checks["clock"], "went back");
    used.stays_used(&process).await;
    machine.step_to(8 * MINUTE + 30);
    until("time goes on", async || readiness(&process).await["status"] == "ready").await;
    used.stays_used(&process).await;
}
