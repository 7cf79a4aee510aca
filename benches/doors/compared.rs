//! The service beside what an ordinary team would write for the same doors (`benches/compared`): with
//! axum and sqlx, with Fastify and better-sqlite3.
//!
//! Builds both where that is not done yet; nothing else in the repository needs them.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use vestibule_cluster::Cluster;

use crate::door::{Door, Holder};
use crate::load::Connection;
use crate::server::{self, Server, Service};
use crate::turns::{ROUNDS, Turn, take_turns};
use crate::{CONNECTIONS, SERVER_CORE, cores, data_dir};

/// Throughput of each door beside hand-written services with axum and with Fastify
#[derive(Args)]
pub struct Compared {
    /// Only on this engine
    #[arg(value_enum)]
    engine: Option<Engine>,
}

/// What the services keep their sessions in.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// With synchronous=FULL
    Sqlite,
    /// With synchronous_commit=on, sharing its core with the services
    Postgres,
}

/// The least ratios of creates that are aimed at, embed's to Fastify and all three to axum's.
const EMBED_TO_FASTIFY: f64 = 3.0;
const POSTGRES_TO_AXUM: f64 = 2.5;

impl Compared {
    pub async fn measure(&self) {
        let programs = Programs::build();
        println!("{CONNECTIONS} connections, median of {ROUNDS} rounds, {}", cores());
        if self.engine != Some(Engine::Postgres) {
            on_sqlite(&programs).await;
        }
        if self.engine != Some(Engine::Sqlite) {
            on_postgres(&programs).await;
        }
    }
}

async fn on_sqlite(programs: &Programs) {
    let data = data_dir();
    let service = Service::at(data.path()).start();
    let holder = Holder::open(&service, CONNECTIONS).await;
    let database = |name: &str| format!("sqlite://{}", data.path().join(name).display());
    let axum = programs.axum(data.path(), &holder, &database("axum.db"));
    let fastify = programs.fastify(data.path(), &holder, &database("fastify.db"));
    let holder_of_axum = Holder::open(&axum, CONNECTIONS).await;
    let holder_of_fastify = Holder::open(&fastify, CONNECTIONS).await;
    let servers = [(&service, &holder), (&axum, &holder_of_axum), (&fastify, &holder_of_fastify)];
    for (server, holder) in servers {
        require_checks(server, holder).await;
    }
    println!("\nSQLite, synchronous=FULL");
    println!(
        "{:<24}{:>12}{:>7}{:>9}{:>7}{:>12}{:>7}{:>10}{:>13}{:>7}",
        "door",
        "service/s",
        "us",
        "axum/s",
        "us",
        "fastify/s",
        "us",
        "to axum",
        "to fastify",
        "aim"
    );
    for turn in take_turns(&Door::ALL, servers).await {
        let aim = match turn.door {
            Door::Embed => EMBED_TO_FASTIFY.to_string(),
            Door::Chat | Door::Iframe | Door::Read => String::new(),
        };
        println!(
            "{:<24}{:>12.0}{:>7.0}{:>9.0}{:>7.0}{:>12.0}{:>7.0}{:>10.2}{:>13.2}{aim:>7}",
            turn.door.name(),
            turn.median(|[service, ..]| service.rps),
            turn.median(|[service, ..]| service.cost_us),
            turn.median(|[_, axum, _]| axum.rps),
            turn.median(|[_, axum, _]| axum.cost_us),
            turn.median(|[.., fastify]| fastify.rps),
            turn.median(|[.., fastify]| fastify.cost_us),
            turn.median(|[service, axum, _]| service.rps / axum.rps),
            turn.median(|[service, _, fastify]| service.rps / fastify.rps),
        );
    }
}

async fn on_postgres(programs: &Programs) {
    let initdb = std::env::var_os("VESTIBULE_TEST_INITDB");
    let initdb = initdb.expect("VESTIBULE_TEST_INITDB is not set: eval \"$(cargo xtask tools)\"");
    let cluster = server::started_on(SERVER_CORE, || Cluster::start(Path::new(&initdb)));
    let cluster = cluster.expect("a cluster starts");
    for name in ["service", "axum"] {
        let mut admin = PgConnection::connect(&cluster.url("postgres")).await.expect("it answers");
        let sql = sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"));
        sqlx::raw_sql(sql).execute(&mut admin).await.expect("it is ours");
    }
    let data = data_dir();
    let url = cluster.url("service");
    let service = Service::at(data.path()).set("VESTIBULE__DATABASE__URL", &url).start();
    let holder = Holder::open(&service, CONNECTIONS).await;
    let axum = programs.axum(data.path(), &holder, &cluster.url("axum"));
    let holder_of_axum = Holder::open(&axum, CONNECTIONS).await;
    let servers = [(&service, &holder), (&axum, &holder_of_axum)];
    for (server, holder) in servers {
        require_checks(server, holder).await;
    }
    println!("\nPostgreSQL on the servers' core, synchronous_commit=on");
    println!(
        "{:<24}{:>12}{:>7}{:>9}{:>7}{:>10}{:>7}",
        "door", "service/s", "us", "axum/s", "us", "to axum", "aim"
    );
    for turn in take_turns(&Door::ALL, servers).await {
        print_postgres(&turn);
    }
    println!("us: of the services alone, without what PostgreSQL does for them");
}

fn print_postgres(turn: &Turn<2>) {
    let aim = match turn.door {
        Door::Embed | Door::Chat | Door::Iframe => POSTGRES_TO_AXUM.to_string(),
        Door::Read => String::new(),
    };
    println!(
        "{:<24}{:>12.0}{:>7.0}{:>9.0}{:>7.0}{:>10.2}{aim:>7}",
        turn.door.name(),
        turn.median(|[service, _]| service.rps),
        turn.median(|[service, _]| service.cost_us),
        turn.median(|[_, axum]| axum.rps),
        turn.median(|[_, axum]| axum.cost_us),
        turn.median(|[service, axum]| service.rps / axum.rps),
    );
}

/// Whoever refuses less does less than is compared: credentials of somebody else, and a signature
/// that has opened a session before.
async fn require_checks(server: &Server, holder: &Holder) {
    let is_refused = |status: u16| (400..500).contains(&status);
    for door in Door::ALL {
        let status = status_of(server, &door.forged(holder, 0)).await;
        assert!(is_refused(status), "{}: {status} for forged credentials", door.name());
    }
    let signed = Door::Embed.request(holder, 0);
    assert_eq!(status_of(server, &signed).await, Door::Embed.status());
    let status = status_of(server, &signed).await;
    assert!(is_refused(status), "{status} for a used signature");
}

async fn status_of(server: &Server, request: &[u8]) -> u16 {
    Connection::open(server.address).await.exchange(request).await.status
}

/// The other services, ready to run.
struct Programs {
    axum: PathBuf,
    script: PathBuf,
}

impl Programs {
    fn build() -> Self {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/compared");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("compared");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--release", "--locked", "--manifest-path"]);
        cargo.arg(sources.join("Cargo.toml")).arg("--target-dir").arg(&target);
        run(&mut cargo);
        let node = target.join("node");
        std::fs::create_dir_all(&node).expect("the directory is ours");
        let is_new = ["package.json", "package-lock.json", "server.mjs"].map(|name| {
            let text = std::fs::read(sources.join("node").join(name)).expect("it is there");
            let is_new = std::fs::read(node.join(name)).is_ok_and(|kept| kept != text);
            std::fs::write(node.join(name), text).expect("the directory is ours");
            is_new && name != "server.mjs"
        });
        std::fs::copy(sources.join("tables.sql"), target.join("tables.sql")).expect("it is there");
        // better-sqlite3 compiles itself where its author has built nothing for the machine.
        if is_new.contains(&true) || !node.join("node_modules").exists() {
            run(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&node));
        }
        Self { axum: target.join("release/compared"), script: node.join("server.mjs") }
    }

    fn axum(&self, data_dir: &Path, holder: &Holder, database: &str) -> Server {
        let mut command = server::on_cores(SERVER_CORE, &self.axum);
        command.arg(settings(data_dir.join("axum.json"), holder, database));
        Server::told(command, Some(holder.demo.clone()))
    }

    fn fastify(&self, data_dir: &Path, holder: &Holder, database: &str) -> Server {
        let mut command = server::on_cores(SERVER_CORE, Path::new("node"));
        command.arg(&self.script).arg(settings(data_dir.join("fastify.json"), holder, database));
        command.env("NODE_ENV", "production");
        Server::told(command, Some(holder.demo.clone()))
    }
}

/// Writes what the other services are told: the credentials of our own one, and its answers' rest.
fn settings(file: PathBuf, holder: &Holder, database: &str) -> PathBuf {
    let (demo, welcome) = (&holder.demo.demo, &holder.answers["chat"]);
    let settings = json!({
        "database": database,
        "token_secret": demo.embed.read_secret,
        "embed": { "key": demo.embed.key, "secret": demo.embed.secret },
        "chat": {
            "public_key": demo.chat.public_key,
            "origin": demo.chat.origin,
            "welcome": {
                "intents": welcome["intents"],
                "quickQuestions": welcome["quickQuestions"],
                "widget": welcome["widget"],
            },
        },
        "iframe": { "api_key": demo.iframe.api_key, "sources": demo.iframe.source_ids },
    });
    std::fs::write(&file, settings.to_string()).expect("the directory is ours");
    file
}

fn run(command: &mut Command) {
    let status = command.status().unwrap_or_else(|bad| panic!("{command:?}: {bad}"));
    assert!(status.success(), "{command:?}: {status}");
}
