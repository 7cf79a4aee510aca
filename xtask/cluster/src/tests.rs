//! What a cluster promises, asked through `psql` beside its programs.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::*;

/// Long enough for a machine that does other things as well.
const LONG: Duration = Duration::from_secs(60);

fn initdb() -> PathBuf {
    let told = std::env::var_os("VESTIBULE_TEST_INITDB");
    told.expect("VESTIBULE_TEST_INITDB is not set: run `cargo xtask test`").into()
}

fn psql(cluster: &Cluster, sql: &str) -> Output {
    psql_at(cluster, &cluster.url("postgres"), sql)
}

fn psql_at(cluster: &Cluster, url: &str, sql: &str) -> Output {
    let mut command = Command::new(cluster.programs.join("psql"));
    command.args(["--no-psqlrc", "--tuples-only", "--no-align", "--command", sql]);
    command.env("PGCONNECT_TIMEOUT", "2").arg(url).output().expect("it runs")
}

fn ask(cluster: &Cluster, sql: &str) -> String {
    let output = psql(cluster, sql);
    assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

fn is_up(cluster: &Cluster) -> bool {
    psql(cluster, "SELECT 1").status.success()
}

fn wait_for(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + LONG;
    while !holds() {
        assert!(Instant::now() < deadline, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_is_durable_as_shipped_and_listens_on_loopback_alone() {
    let cluster = Cluster::start_with(&initdb(), &[("work_mem", "5MB")]).expect("it starts");
    let shown = ["fsync", "synchronous_commit", "full_page_writes", "work_mem", "listen_addresses"]
        .map(|name| ask(&cluster, &format!("SHOW {name}")));
    assert_eq!(shown, ["on", "on", "on", "5MB", "127.0.0.1"]);
    assert_eq!(ask(&cluster, "SHOW unix_socket_directories"), "");
    assert_eq!(ask(&cluster, "SELECT 'b' < 'C'"), "t", "the order of a language, not of bytes");
    let wrong = cluster.url("postgres").replace(&cluster.password, "guessed");
    let mut refused = Command::new(cluster.programs.join("psql"));
    let refused = refused.args(["--command", "SELECT 1"]).arg(wrong).output().expect("it runs");
    assert!(!refused.status.success(), "the password is asked for");
}

#[test]
fn nothing_is_left_of_a_dropped_cluster_even_when_it_is_frozen() {
    let cluster = Cluster::start(&initdb()).expect("it starts");
    let (home, port) = (cluster.home.path().to_owned(), cluster.port());
    std::mem::forget(cluster.freeze().expect("it is ours"));
    assert!(at_work_in(&home).len() > 3, "the server and what it runs in the background");
    drop(cluster);
    assert!(!home.exists());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    wait_for("all its processes end", || at_work_in(&home).is_empty());
}

/// The processes of the server whose home this is.
fn at_work_in(home: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir("/proc").expect("it is there").flatten().map(|entry| entry.path());
    let is_there =
        |it: &PathBuf| fs::read_link(it.join("cwd")).is_ok_and(|it| it.starts_with(home));
    all.filter(is_there).collect()
}

/// What a killed test leaves is a closed pipe, and nothing else is needed.
#[test]
fn a_closed_pipe_ends_a_cluster() {
    let mut cluster = Cluster::start(&initdb()).expect("it starts");
    let home = cluster.home.path().to_owned();
    drop(cluster.keeper.take());
    assert!(!home.exists(), "the keeper removed it");
    wait_for("the server ends", || !is_up(&cluster));
}

#[test]
fn a_stopped_cluster_comes_back_where_it_was_with_what_was_committed() {
    let mut cluster = Cluster::start(&initdb()).expect("it starts");
    ask(&cluster, "CREATE TABLE kept (x int)");
    for ending in [Ending::Fast, Ending::Immediate, Ending::Killed] {
        ask(&cluster, "INSERT INTO kept VALUES (1)");
        let port = cluster.port();
        cluster.stop(ending).expect("it stops");
        assert!(!is_up(&cluster));
        cluster.resume().expect("it starts again");
        assert_eq!(cluster.port(), port);
    }
    assert_eq!(ask(&cluster, "SELECT count(*) FROM kept"), "3");
}

#[test]
fn a_frozen_cluster_answers_when_it_is_let_go() {
    let cluster = Cluster::start(&initdb()).expect("it starts");
    let frozen = cluster.freeze().expect("it is ours");
    assert!(!is_up(&cluster), "nothing answers within two seconds");
    drop(frozen);
    wait_for("it answers", || is_up(&cluster));
}

#[test]
fn a_synchronous_standby_has_what_was_committed_when_it_takes_over() {
    let mut primary = Cluster::start(&initdb()).expect("it starts");
    let standby = primary.standby("second").expect("it follows");
    primary.set(&[("synchronous_standby_names", "second")]).expect("it is told");
    wait_for("the standby counts", || {
        ask(&primary, "SELECT sync_state FROM pg_stat_replication") == "sync"
    });
    ask(&primary, "CREATE TABLE kept (x int)");
    ask(&primary, "INSERT INTO kept VALUES (1)");
    assert!(!psql(&standby, "INSERT INTO kept VALUES (2)").status.success(), "it only follows");
    primary.stop(Ending::Immediate).expect("it stops");
    standby.promote().expect("it takes over");
    ask(&standby, "INSERT INTO kept VALUES (3)");
    assert_eq!(ask(&standby, "SELECT sum(x) FROM kept"), "4");
}

#[test]
fn a_pooler_hands_out_connections_by_transaction_and_goes_with_its_owner() {
    let told = std::env::var_os("VESTIBULE_TEST_PGBOUNCER");
    let pgbouncer = PathBuf::from(told.expect("run `cargo xtask test`"));
    let cluster = Cluster::start(&initdb()).expect("it starts");
    let pooler = Pooler::start(&pgbouncer, &cluster, 1).expect("it starts");
    let through = |sql: &str| psql_at(&cluster, &pooler.url("postgres"), sql);
    // One connection of the server for both, where the other one waits its turn.
    let ids = [(); 2].map(|()| through("SELECT pg_backend_pid()").stdout);
    assert_eq!(ids[0], ids[1]);
    let mode = psql_at(&cluster, &pooler.url("pgbouncer"), "SHOW CONFIG").stdout;
    let mode = String::from_utf8(mode).expect("text");
    assert!(mode.contains("pool_mode|transaction"), "{mode}");
    let wrong = pooler.url("postgres").replace(&cluster.password, "guessed");
    assert!(!psql_at(&cluster, &wrong, "SELECT 1").status.success(), "it asks for the password");
    let home = pooler.home.path().to_owned();
    assert_eq!(at_work_in(&home).len(), 1);
    drop(pooler);
    wait_for("it ends", || at_work_in(&home).is_empty());
    assert!(!home.exists());
}
