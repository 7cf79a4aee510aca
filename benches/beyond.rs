//! What lies beyond one database, tried as far as one machine allows: tables by time of which parts are
//! dropped instead of rows deleted, tables by tenant, and what a commit of many openings costs.
//!
//! `eval "$(cargo xtask tools)"`, then `cargo bench --bench beyond`. Clusters of its own, durable as
//! shipped. `docs/beyond-one-database.md` reads the figures.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vestibule::domain::base32;
use vestibule::domain::database::Database;
use vestibule::store::Store;
use vestibule_cluster::Cluster;

const NOW: i64 = 1_700_000_000_000;
const HOUR: i64 = 3_600_000;
/// Parts of the tables by time, an hour each, and rows in each.
const HOURS: i64 = 8;
const ROWS: i64 = 50_000;
/// The most rows that the service deletes in one statement.
const SLICE: i64 = 1_000;
/// How long each load runs, seconds.
const SECONDS: &str = "5";

fn main() {
    let cluster = Cluster::start(&initdb()).expect("a cluster starts");
    let desk = Desk { programs: programs(), url: cluster.url("postgres") };
    by_tenant(&desk);
    by_time(&desk);
    openings(&desk);
    two_databases(&desk);
}

/// Which tables of the service can be spread by tenant as they are, and what stands in the way of the
/// others: a distributed engine and PostgreSQL's own partitions ask for the same.
fn by_tenant(desk: &Desk) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let database = Database::at(&desk.url).expect("an address");
        Store::open(&database).await.expect("the tables are made").close().await;
    });
    println!("tables by tenant: LIKE … INCLUDING ALL, PARTITION BY HASH (tenant_id)");
    let tables = "SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' \
                  AND column_name = 'tenant_id' ORDER BY 1";
    let (mut fit, mut stuck) = (Vec::new(), Vec::new());
    for table in desk.sql(tables).lines() {
        let lacking = format!(
            "SELECT string_agg(c.relname, ', ') FROM pg_index AS i \
             JOIN pg_class AS c ON c.oid = i.indexrelid WHERE i.indrelid = '{table}'::regclass \
             AND i.indisunique AND NOT EXISTS (SELECT 1 FROM pg_attribute AS a \
             WHERE a.attrelid = i.indrelid AND a.attname = 'tenant_id' \
             AND a.attnum = ANY (i.indkey::int2[]))"
        );
        let spread = format!(
            "BEGIN; CREATE TABLE spread (LIKE {table} INCLUDING ALL) PARTITION BY HASH (tenant_id); \
             CREATE TABLE spread_0 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
             CREATE TABLE spread_1 PARTITION OF spread FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
             ROLLBACK"
        );
        match desk.ask(&spread) {
            Ok(_) => fit.push(table.to_owned()),
            Err(_) => {
                stuck.push(format!("{table} (unique without it: {})", desk.sql(&lacking).trim()))
            }
        }
    }
    println!("  as they are: {}", fit.join(", "));
    println!("  not as they are: {}\n", stuck.join(", "));
}

/// The tables of sessions and of used signatures by time, beside plain ones with the same rows.
fn by_time(desk: &Desk) {
    desk.sql(&(tables("plain") + TIMED));
    for hour in 0..HOURS {
        let [from, to] = [hour, hour + 1].map(|hour| NOW + hour * HOUR);
        let [first, last] = [from, to].map(id_at);
        desk.sql(&format!(
            "CREATE TABLE timed_sessions_{hour} PARTITION OF timed_sessions \
             FOR VALUES FROM ('{first}') TO ('{last}'); \
             CREATE TABLE timed_replays_{hour} PARTITION OF timed_replays \
             FOR VALUES FROM ({from}) TO ({to})"
        ));
    }
    println!("tables by time: {HOURS} parts of {ROWS} sessions and as many used signatures");
    for kind in ["plain", "timed"] {
        let took = time(|| (0..HOURS).for_each(|hour| fill(desk, kind, hour)));
        let rate = 2 * HOURS * ROWS * 1_000 / i64::try_from(took.as_millis()).expect("short");
        println!("  {kind}: copied in {took:.2?}, {rate} rows a second");
    }
    desk.sql("VACUUM ANALYZE");
    let known = id_at(NOW + 3 * HOUR + 7);
    for (kind, what, wanted) in [
        ("plain", "sessions", format!("tenant_id = 'ten_0' AND session_id = '{known}'")),
        ("timed", "sessions", format!("tenant_id = 'ten_0' AND session_id = '{known}'")),
        (
            "timed",
            "replays",
            format!(
                "tenant_id = 'ten_1' AND key_id = 'key_1' \
             AND expires_at = {} AND mac = 'x'",
                NOW + 3 * HOUR + 7
            ),
        ),
    ] {
        let sql = format!("SELECT * FROM {kind}_{what} WHERE {wanted}");
        let plan = desk.sql(&format!("EXPLAIN {sql}"));
        let read = plan.lines().filter(|line| line.contains(&format!(" on {kind}_{what}"))).count();
        let rate = desk.load(&format!("{sql};\n"), 1);
        println!("  {kind}: one of the {what} by its name, {read} table read, {rate:.0} a second");
    }
    removal(desk);
}

/// What it costs that an hour goes.
fn removal(desk: &Desk) {
    let (until, last) = (NOW + HOUR, id_at(NOW + HOUR));
    for (kind, statements) in [
        ("plain, slices of a thousand", slices(until)),
        (
            "timed, two parts dropped",
            vec!["DROP TABLE timed_sessions_0; DROP TABLE timed_replays_0".to_owned()],
        ),
    ] {
        let before = desk.sql("SELECT pg_current_wal_insert_lsn()");
        let took = time(|| statements.iter().for_each(|sql| drop(desk.sql(sql))));
        let written =
            format!("SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{}')", before.trim());
        let kib = desk.sql(&written).trim().parse::<u64>().expect("a number") / 1024;
        println!("  {kind}: {took:.2?} for {} statements, {kib} KiB of log", statements.len());
    }
    let counts = desk.sql(&format!(
        "SELECT (SELECT count(*) FROM plain_sessions), (SELECT count(*) FROM timed_sessions), \
         (SELECT count(*) FROM timed_sessions WHERE session_id < '{last}')"
    ));
    let left = (HOURS - 1) * ROWS;
    assert_eq!(counts.trim(), format!("{left}|{left}|0"), "both lost the same hour");
    println!();
}

fn slices(until: i64) -> Vec<String> {
    let one = format!(
        "DELETE FROM plain_replays WHERE (tenant_id, key_id, expires_at, mac) IN (SELECT tenant_id, \
         key_id, expires_at, mac FROM plain_replays WHERE expires_at < {until} LIMIT {SLICE}); \
         DELETE FROM plain_sessions WHERE (tenant_id, session_id) IN (SELECT tenant_id, session_id \
         FROM plain_sessions WHERE expires_at < {until} ORDER BY expires_at, session_id LIMIT {SLICE})"
    );
    vec![one; usize::try_from(ROWS / SLICE).expect("a count")]
}

/// Commits of many openings at once, as the writer makes them: locks, used signatures, sessions, the
/// end of the tenant's chain and its entries.
fn openings(desk: &Desk) {
    desk.sql(&(tables("new") + OF_OPENINGS));
    println!(
        "openings: {SECONDS} s each, synchronous_commit = {}",
        desk.sql("SHOW synchronous_commit").trim()
    );
    println!("  instances  openings a commit  commits/s  openings/s  log B/opening");
    for instances in [1, 2, 4] {
        for size in [1, 32, 256] {
            let before = desk.sql("SELECT pg_current_wal_insert_lsn()");
            let commits = desk.load(&transaction(size), instances);
            let rate = commits * f64::from(size);
            let log = desk.sql(&format!(
                "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '{}')",
                before.trim()
            ));
            let log = log.trim().parse::<f64>().expect("a number");
            let each = log / (rate * SECONDS.parse::<f64>().expect("a number"));
            println!("  {instances:9}  {size:17}  {commits:9.0}  {rate:10.0}  {each:13.0}");
        }
    }
    println!();
}

/// Two databases with tenants of their own on two clusters, at the same time.
fn two_databases(desk: &Desk) {
    let second = Cluster::start(&initdb()).expect("a cluster starts");
    let other = Desk { programs: programs(), url: second.url("postgres") };
    other.sql(&(tables("new") + OF_OPENINGS));
    let script = transaction(32);
    let alone = desk.load(&script, 2) * 32.0;
    let rates = std::thread::scope(|scope| {
        let both = [desk, &other].map(|desk| scope.spawn(|| desk.load(&script, 1)));
        both.map(|it| it.join().expect("it ends"))
    });
    let both = rates.iter().sum::<f64>() * 32.0;
    println!("one database, two instances: {alone:.0} openings/s");
    println!("two databases, one instance each, on the same disk: {both:.0} openings/s");
}

/// The programs of PostgreSQL on one database.
struct Desk {
    programs: PathBuf,
    url: String,
}

impl Desk {
    /// What statements answer, a row per line.
    fn sql(&self, sql: &str) -> String {
        self.ask(sql).unwrap_or_else(|bad| panic!("{sql}: {bad}"))
    }

    fn ask(&self, sql: &str) -> Result<String, String> {
        self.feed(&["--command", sql], &[])
    }

    fn feed(&self, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let mut command = Command::new(self.programs.join("psql"));
        command.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"]);
        command.args(["--set", "ON_ERROR_STOP=1", "--dbname", &self.url]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("psql runs");
        child.stdin.take().expect("it is piped").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
    }

    /// Runs one transaction again and again from so many clients; how often it committed in a second.
    fn load(&self, script: &str, clients: u32) -> f64 {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(script.as_bytes()).expect("ours");
        let clients = clients.to_string();
        let mut command = Command::new(self.programs.join("pgbench"));
        command.args(["--no-vacuum", "--protocol=prepared", "--time", SECONDS]);
        command.args(["--client", &clients, "--jobs", &clients, "--file"]).arg(file.path());
        let output = command.arg(&self.url).output().expect("pgbench runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains("failed transactions: 0 "), "{errors}");
        let rate = said.lines().find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
        rate.and_then(|rate| rate.parse().ok()).expect("pgbench tells a rate")
    }
}

fn initdb() -> PathBuf {
    let told = std::env::var_os("VESTIBULE_TEST_INITDB");
    told.expect("VESTIBULE_TEST_INITDB is not set: eval \"$(cargo xtask tools)\"").into()
}

fn programs() -> PathBuf {
    let initdb = initdb().canonicalize().expect("it is there");
    initdb.parent().unwrap_or(Path::new("/")).to_owned()
}

fn time(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The id that a session of an instant begins with: its first 43 bits are the time.
fn id_at(at: i64) -> String {
    base32::with_prefix("ses_", base32::number_at(at, 0))
}

/// Copies an hour's rows into the tables of a kind.
fn fill(desk: &Desk, kind: &str, hour: i64) {
    let (mut sessions, mut replays) = (String::new(), String::new());
    for row in 0..ROWS {
        let at = NOW + hour * HOUR + row * HOUR / ROWS;
        let (id, tenant) = (id_at(at + i64::from(row == 0) * 7), row % 97);
        let granted = r#"{"capabilities":["showChatsList","showSendInput"],"chat":null}"#;
        sessions +=
            &format!("ten_{tenant}\t{id}\tkey_{tenant}\t1\t{row:026}\tembed\temployee:{row:024}");
        sessions += &format!("\t{at}\t900\t{at}\t{granted}\n");
        replays += &format!("ten_{tenant}\tkey_{tenant}\t\\\\x{hour:016x}{row:048x}\t{id}\t{at}\n");
    }
    for (table, rows) in [("sessions", sessions), ("replays", replays)] {
        let copy = format!("\\copy {kind}_{table} FROM STDIN");
        desk.feed(&["--command", &copy], rows.as_bytes()).unwrap_or_else(|bad| panic!("{bad}"));
    }
}

/// One commit of `size` openings of one tenant. Rows are made on the server; the service sends them.
fn transaction(size: u32) -> String {
    format!(
        "\\set tenant random(1, 1000000)\n\
         BEGIN;\n\
         SET LOCAL statement_timeout = 2000;\n\
         SELECT pg_advisory_xact_lock_shared(-2), pg_advisory_xact_lock(:tenant);\n\
         INSERT INTO new_replays SELECT 'ten_' || :tenant, 'key_1', sha256(uuid_send(gen_random_uuid())), \
         'ses_' || gen_random_uuid(), 1700000000000 + n FROM generate_series(1, {size}) AS n;\n\
         INSERT INTO new_sessions SELECT 'ten_' || :tenant, 'ses_' || extract(epoch FROM now()) || \
         gen_random_uuid(), 'key_1', 1, gen_random_uuid(), 'embed', 'employee:' || n, 1700000000000, \
         900, 1700000900000 + n, repeat('x', 80) FROM generate_series(1, {size}) AS n;\n\
         INSERT INTO new_chains VALUES ('ten_' || :tenant, {size}, sha256('x')) ON CONFLICT (tenant_id) \
         DO UPDATE SET sequence = new_chains.sequence + {size}, hash = excluded.hash;\n\
         INSERT INTO new_audit (tenant_id, audit_id, happened_at, words, previous, hash) \
         SELECT 'ten_' || :tenant, gen_random_uuid(), 1700000000000, repeat('x', 120), sha256('x'), \
         sha256('y') FROM generate_series(1, {size}) AS n;\n\
         COMMIT;\n"
    )
}

/// Sessions and used signatures of a kind, with the indexes that all kinds have.
fn tables(kind: &str) -> String {
    format!(
        r#"
CREATE TABLE {kind}_sessions (
    tenant_id TEXT COLLATE "C" NOT NULL, session_id TEXT COLLATE "C" NOT NULL,
    key_id TEXT COLLATE "C" NOT NULL, key_generation BIGINT NOT NULL,
    token_id TEXT COLLATE "C" NOT NULL, surface TEXT COLLATE "C" NOT NULL,
    subject TEXT COLLATE "C", issued_at BIGINT NOT NULL, ttl_s BIGINT NOT NULL,
    expires_at BIGINT NOT NULL, granted TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (tenant_id, session_id)
);
CREATE INDEX ON {kind}_sessions (tenant_id, subject, session_id) WHERE subject IS NOT NULL;
CREATE TABLE {kind}_replays (
    tenant_id TEXT COLLATE "C" NOT NULL, key_id TEXT COLLATE "C" NOT NULL, mac BYTEA NOT NULL,
    session_id TEXT COLLATE "C" NOT NULL, expires_at BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, key_id, expires_at, mac)
);
CREATE INDEX ON {kind}_replays (expires_at);
"#
    )
}

/// The same columns and indexes by time: a session's id leads to its part, no other part is looked
/// at, and none of them needs an index that spans all.
const TIMED: &str = "
CREATE INDEX ON plain_sessions (expires_at, session_id);
CREATE TABLE timed_sessions (LIKE plain_sessions INCLUDING ALL) PARTITION BY RANGE (session_id);
CREATE TABLE timed_replays (LIKE plain_replays INCLUDING ALL) PARTITION BY RANGE (expires_at);
";

/// What an opening writes besides, and the indexes that the service has today.
const OF_OPENINGS: &str = r#"
CREATE UNIQUE INDEX ON new_sessions (session_id);
CREATE INDEX ON new_sessions (expires_at);
CREATE INDEX ON new_sessions (key_id, session_id);
CREATE TABLE new_chains (
    tenant_id TEXT COLLATE "C" NOT NULL PRIMARY KEY, sequence BIGINT NOT NULL, hash BYTEA NOT NULL
);
CREATE TABLE new_audit (
    position BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    tenant_id TEXT COLLATE "C" NOT NULL, audit_id TEXT COLLATE "C" NOT NULL,
    happened_at BIGINT NOT NULL, words TEXT COLLATE "C" NOT NULL,
    previous BYTEA NOT NULL, hash BYTEA NOT NULL
);
"#;
