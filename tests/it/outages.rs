//! PostgreSQL that is stopped, frozen, locked, restarted, replaced by its standby or deaf, under a
//! service that goes on: what it answers meanwhile, and that nothing acknowledged is lost.
//!
//! On clusters of its own. How long things took is printed, and judged only where it is a matter of
//! deadlines and not of the machine.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Method;
use vestibule::domain::database::Database;
use vestibule_cluster::{Cluster, Ending};

use crate::engine::at_address;
use crate::instances::{ELSEWHERE, last_let_in, reads};
use crate::lifecycle::{Backend, Opened};
use crate::requests::{Answer, open_iframe, send_with};
use crate::service::Service;
use crate::tools::initdb;

/// Far more than anything here should take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A cluster of a test's own.
pub fn cluster() -> Cluster {
    Cluster::start(&initdb()).expect("a cluster starts")
}

/// A service on the database at an address.
fn service_at(address: &str) -> Service {
    let database = Database::at(address).expect("an address");
    Service::start(|config| config.database = database)
}

/// Opens iframe sessions until the service does so again; how long it took, and what was answered
/// before.
pub async fn recovery(backend: &Backend<'_>) -> (Duration, Vec<Answer>) {
    let (start, mut refused) = (Instant::now(), Vec::new());
    loop {
        let answer = try_open(backend).await;
        if answer.status == 200 {
            return (start.elapsed(), refused);
        }
        answer.refused(503, "unavailable");
        refused.push(answer);
        assert!(start.elapsed() < PATIENCE, "it does not recover");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// What an iframe link is answered with, whatever it is.
async fn try_open(backend: &Backend<'_>) -> Answer {
    let tenant = &backend.tenant;
    let body = serde_json::json!({ "uid": "user-1", "srcs": tenant.iframe.source_ids });
    open_iframe(&backend.service.base_url, tenant, &body).await
}

/// What was acknowledged is all there.
async fn all_are_there(backend: &Backend<'_>, opened: &[Opened]) {
    for it in opened {
        assert_eq!(backend.read(&it.sid).await.status, 200, "{}", it.sid);
    }
}

async fn open_some(backend: &Backend<'_>) -> Vec<Opened> {
    let mut opened = Vec::new();
    for surface in ["embed", "chat", "iframe"] {
        for _ in 0..3 {
            opened.push(backend.open(surface).await);
        }
    }
    opened
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_stopped_and_comes_back_costs_503s_and_nothing_acknowledged() {
    let mut cluster = cluster();
    let service = service_at(&cluster.url("postgres"));
    let backend = Backend::demo(&service);
    for ending in [Ending::Fast, Ending::Immediate] {
        let opened = open_some(&backend).await;
        cluster.stop(ending).expect("it is ours");
        let asked = Instant::now();
        try_open(&backend).await.refused(503, "unavailable");
        println!("{ending:?}: 503 after {:.0?}", asked.elapsed());
        cluster.resume().expect("it starts again");
        let (took, refused) = recovery(&backend).await;
        println!("{ending:?}: answered {took:.0?} after it was back, {} refused", refused.len());
        all_are_there(&backend, &opened).await;
    }
}

/// What a silent database may cost, where about a second is meant; one that waited for each thing
/// on its own took three to four.
const SILENT: Duration = Duration::from_millis(2_000);

/// Writes of many clients, each refused, and reads, unless kept for a second; how long the slowest
/// of them waited.
async fn all_are_refused(backend: &Backend<'_>, opened: &[Opened]) -> Duration {
    // Making one takes longer than an answer may.
    let client = reqwest::Client::new();
    let bearer = format!("Bearer {}", backend.tenant.iframe.api_key);
    let send = async |method, path: &str, body: Option<&str>| {
        let body = body.map(|body| body.as_bytes().to_vec());
        let headers = [("authorization", &*bearer)];
        send_with(&client, method, &backend.service.url(path), &headers, body).await
    };
    let body = serde_json::json!({ "uid": "user-1", "srcs": backend.tenant.iframe.source_ids });
    let (body, latest) = (body.to_string(), opened.iter().rev().take(30));
    let asked = Instant::now();
    let writes = (0..12).map(|_| send(Method::POST, "/api/v1/iframe/create", Some(&body)));
    let reads =
        latest.map(async |it| send(Method::GET, &format!("/v1/sessions/{}", it.sid), None).await);
    let (writes, reads) = (futures::future::join_all(writes), futures::future::join_all(reads));
    let (writes, reads) = futures::join!(writes, reads);
    for answer in writes.iter().chain(reads.iter().filter(|read| read.status != 200)) {
        answer.refused(503, "unavailable");
    }
    asked.elapsed()
}

/// Within some rounds, as a machine may be too slow for any one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_does_not_move_costs_503s_of_a_second_and_nothing_acknowledged() {
    const ROUNDS: usize = 5;
    let cluster = cluster();
    let service = service_at(&cluster.url("postgres"));
    let backend = Backend::demo(&service);
    for round in 0..ROUNDS {
        let opened = open_some(&backend).await;
        let frozen = cluster.freeze().expect("it is ours");
        let (first, then) =
            (all_are_refused(&backend, &opened).await, all_are_refused(&backend, &opened).await);
        println!("frozen: the slowest 503 of 21 after {first:.2?}, of the next 21 {then:.2?}");
        drop(frozen);
        let (took, _) = recovery(&backend).await;
        println!("frozen: answered {took:.0?} after it went on");
        all_are_there(&backend, &opened).await;
        if first.max(then) < SILENT {
            return;
        }
        assert!(round + 1 < ROUNDS, "a silent database costs more than {SILENT:?} each time");
    }
}

/// A host that is gone says nothing, and its connections are not heard of again: those to the one in
/// its place must not wait for them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_that_swallows_all_costs_503s_until_the_address_leads_elsewhere() {
    let cluster = cluster();
    let address = Address::leading_to(cluster.port());
    let service = service_at(&address.of(&cluster));
    let backend = Backend::demo(&service);
    let mut opened = Vec::new();
    // More often than connections read at a time. What was opened in the round before is kept for a
    // second, and what was opened earlier is read.
    for _ in 0..10 {
        opened.extend(open_some(&backend).await);
        address.swallow();
        let took = all_are_refused(&backend, &opened).await;
        println!("swallowed: the slowest 503 after {took:.2?}");
        address.lead_to(cluster.port());
        let (took, _) = recovery(&backend).await;
        println!("swallowed: answered {took:.0?} after the address led elsewhere");
    }
    all_are_there(&backend, &opened).await;
}

/// Slow is not silent: what takes less than a statement may is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_is_slow_is_waited_for() {
    let cluster = cluster();
    let address = cluster.url("postgres");
    let service = service_at(&address);
    let backend = Backend::demo(&service);
    open_some(&backend).await;
    let slowly = "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS \
                  'BEGIN PERFORM pg_sleep(1.3); RETURN NEW; END'; \
                  CREATE TRIGGER slowly BEFORE INSERT ON sessions FOR EACH STATEMENT \
                  EXECUTE FUNCTION slowly()";
    at_address(&address, slowly);
    let (took, refused) = recovery(&backend).await;
    println!("slow: answered after {took:.2?}, {} refused before", refused.len());
    assert!(took > Duration::from_millis(1_300), "the trigger was not there");
}

/// `psql` with a lock in its hand. Dropping it lets go.
struct Locker(Child);

impl Locker {
    fn holding(address: &str, table: &str) -> Self {
        let lock = format!("BEGIN; LOCK TABLE {table}; SELECT pg_sleep(600)");
        let psql = initdb().canonicalize().expect("it is there").with_file_name("psql");
        let mut command = Command::new(psql);
        command.args(["--no-psqlrc", "--quiet", "--dbname", address, "--command", &lock]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let locker = Self(child.spawn().expect("psql runs"));
        let held = format!(
            "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND granted \
             AND mode = 'AccessExclusiveLock'"
        );
        let deadline = Instant::now() + PATIENCE;
        while at_address(address, &held).trim() != "1" {
            assert!(Instant::now() < deadline, "nobody holds the lock");
            std::thread::sleep(Duration::from_millis(20));
        }
        locker
    }
}

impl Drop for Locker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_somebody_has_locked_costs_503s_and_nothing_acknowledged() {
    let cluster = cluster();
    let address = cluster.url("postgres");
    let service = service_at(&address);
    let backend = Backend::demo(&service);
    let opened = open_some(&backend).await;
    let locker = Locker::holding(&address, "sessions");
    let asked = Instant::now();
    try_open(&backend).await.refused(503, "unavailable");
    println!("locked: 503 after {:.0?}", asked.elapsed());
    drop(locker);
    // psql is gone; its session ends when the server next looks.
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' \
               AND pid <> pg_backend_pid()";
    at_address(&address, end);
    let (took, _) = recovery(&backend).await;
    println!("locked: answered {took:.0?} after the lock was gone");
    all_are_there(&backend, &opened).await;
}

/// A revocation is refused elsewhere before what is kept there is too old to be used: only a word of
/// the other instance does that. Within some rounds, as a machine may be too slow for any one.
async fn is_heard_at_once(here: &Service, there: &Service) -> bool {
    let backend = Backend::demo(here);
    let opened = backend.open("embed").await;
    let asked = Instant::now();
    assert_eq!(reads(there, &opened.token).await, 200, "it is kept from now on");
    assert_eq!(backend.end(&opened.sid).await.status, 204);
    let done = Instant::now();
    let last = last_let_in(there, &opened.token, done, ELSEWHERE).await;
    let is_early = asked.elapsed() < ELSEWHERE;
    println!("revocation elsewhere: the last let in began {last:.0?} after it; heard: {is_early}");
    is_early
}

/// Until one instance hears at once what the other one ends.
pub async fn wait_until_heard(here: &Service, there: &Service) {
    let deadline = Instant::now() + PATIENCE;
    while !is_heard_at_once(here, there).await {
        assert!(Instant::now() < deadline, "no instance hears the other");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_instance_ends_the_other_hears_at_once_and_within_a_second_when_it_is_deaf() {
    let cluster = cluster();
    let address = cluster.url("postgres");
    let here = service_at(&address);
    let there = Service::beside_at(&here, Database::at(&address).expect("an address"));
    wait_until_heard(&here, &there).await;
    let deafen = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                  WHERE query LIKE 'LISTEN%'";
    assert_eq!(at_address(&address, deafen).trim(), "2", "each instance listens");
    // Whatever is heard now or not: `last_let_in` holds it to its second.
    for _ in 0..3 {
        is_heard_at_once(&here, &there).await;
    }
    wait_until_heard(&here, &there).await;
}

/// An address that leads to one server or another or nowhere, as that of a load balancer does.
struct Address {
    port: u16,
    leads_to: Arc<Mutex<Way>>,
}

/// Where connections lead that are made now, and whether what they carry is lost from now on.
#[derive(Clone)]
struct Way {
    port: u16,
    is_lost: Arc<AtomicBool>,
}

impl Way {
    fn to(port: u16) -> Self {
        Self { port, is_lost: Arc::default() }
    }
}

impl Address {
    fn leading_to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let leads_to = Arc::new(Mutex::new(Way::to(port)));
        let (own, target) = (listener.local_addr().expect("bound").port(), leads_to.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let way = target.lock().expect("no panic").clone();
                // A server that is down refuses, and so does this.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", way.port)) {
                    pass_on(client, server, &way.is_lost);
                }
            }
        });
        Self { port: own, leads_to }
    }

    /// For whom a cluster is at this address.
    fn of(&self, cluster: &Cluster) -> String {
        let (theirs, ours) = (format!(":{}/", cluster.port()), format!(":{}/", self.port));
        cluster.url("postgres").replace(&theirs, &ours)
    }

    /// Connections that are made from now on; the others stay as they are.
    fn lead_to(&self, port: u16) {
        *self.leads_to.lock().expect("no panic") = Way::to(port);
    }

    /// Nothing comes through any more, and nobody is told.
    fn swallow(&self) {
        self.leads_to.lock().expect("no panic").is_lost.store(true, Ordering::SeqCst);
    }
}

fn pass_on(client: TcpStream, server: TcpStream, is_lost: &Arc<AtomicBool>) {
    let copies = [(&client, &server), (&server, &client)]
        .map(|(from, to)| (from.try_clone().expect("a socket"), to.try_clone().expect("a socket")));
    for (mut from, mut to) in copies {
        let is_lost = Arc::clone(is_lost);
        std::thread::spawn(move || {
            let mut bytes = [0; 16 << 10];
            while let Ok(count @ 1..) = from.read(&mut bytes) {
                let is_lost = is_lost.load(Ordering::SeqCst);
                if !is_lost && to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            // Either end may go at any time; then so does the other.
            let _ = to.shutdown(std::net::Shutdown::Both);
        });
    }
}

/// In CI the standby takes over once; `VESTIBULE_TORTURE=long` sends it back and forth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_synchronous_standby_takes_over_with_everything_acknowledged() {
    let rounds =
        if std::env::var("VESTIBULE_TORTURE").is_ok_and(|it| it == "long") { 5 } else { 1 };
    let mut primary = cluster();
    let address = Address::leading_to(primary.port());
    let service = service_at(&address.of(&primary));
    let backend = Backend::demo(&service);
    let mut opened = Vec::new();
    for round in 0..rounds {
        let standby = primary.standby("second").expect("it follows");
        primary.set(&[("synchronous_standby_names", "second")]).expect("it is told");
        let synced = "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'";
        let deadline = Instant::now() + PATIENCE;
        while at_address(&primary.url("postgres"), synced).trim() != "1" {
            assert!(Instant::now() < deadline, "nobody follows");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        opened.extend(open_some(&backend).await);
        primary.stop(Ending::Immediate).expect("it is ours");
        try_open(&backend).await.refused(503, "unavailable");
        standby.promote().expect("it takes over");
        standby.set(&[("synchronous_standby_names", "")]).expect("it is told");
        address.lead_to(standby.port());
        let (took, _) = recovery(&backend).await;
        println!("round {round}: answered {took:.0?} after the standby took over");
        all_are_there(&backend, &opened).await;
        primary = standby;
    }
}
