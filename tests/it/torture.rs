//! A short run of `cargo xtask torture`, and proof that it would notice: faults planted in the
//! database while the server is down.

use std::mem::discriminant;
use std::path::Path;
use std::time::Duration;

use vestibule_torture::history::Fault;
use vestibule_torture::{Database, Plan, Summary, Watch, torture};

use crate::database::tamper;
use crate::tools::initdb;

fn plan(kills: usize) -> Plan {
    Plan {
        binary: env!("CARGO_BIN_EXE_vestibule").into(),
        database: Database::Embedded,
        clients: 8,
        seed: 5,
        answers: 100..=200,
        kills,
        lasting: Duration::ZERO,
    }
}

/// Runs SQL on the data while the server is down for the first time.
struct Planted(&'static str);

impl Watch for Planted {
    fn killed(&self, so_far: &Summary) {
        println!("{so_far:?}");
    }

    fn is_down(&self, data: &Path, kill: usize) {
        if kill == 1 && !self.0.is_empty() {
            tamper(data, self.0, self.0);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_kills_under_load_and_nothing_is_done_twice() {
    let summary = torture(&plan(4), &Planted("")).await.expect("it starts and answers");
    assert_eq!(summary.faults, []);
    assert_eq!((summary.kills, summary.starts.len()), (4, 5));
    assert!(summary.acknowledged > 4 * 50, "{summary:?}");
}

/// Its server dies as well, and the service lives through that or dies with it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_postgresql_is_killed_too() {
    let plan = Plan { database: Database::Cluster(initdb()), ..plan(6) };
    let summary = torture(&plan, &Planted("")).await.expect("it starts and answers");
    assert_eq!(summary.faults, []);
    assert!(summary.database_kills > 0 && summary.database_kills < summary.kills, "{summary:?}");
    assert!(!summary.recoveries.is_empty(), "the service lived through one: {summary:?}");
    assert!(summary.acknowledged > 6 * 50, "{summary:?}");
}

/// What was done to the data, and which kind of fault tells of it.
const FAULTS: [(&str, Fault); 4] = [
    ("DELETE FROM sessions WHERE surface = 'iframe'", Fault::LostSession(String::new())),
    ("UPDATE sessions SET revoked_at = 1 WHERE surface = 'chat'", Fault::Ended(String::new())),
    ("DELETE FROM replays", Fault::Duplicate(String::new())),
    ("DELETE FROM uid_usage", Fault::LostCount(String::new())),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn torture_finds_what_is_lost_or_done_twice() {
    for (sql, kind) in FAULTS {
        let summary = torture(&plan(1), &Planted(sql)).await.expect("it starts and answers");
        let mut faults = summary.faults.iter();
        let is_told = faults.any(|(_, fault)| discriminant(fault) == discriminant(&kind));
        assert!(is_told, "{sql}: {summary:?}");
    }
}
