//! `vestibule serve`: configuration, log, demo credentials, then the service itself.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use secrecy::SecretString;
use tokio::runtime::Handle;

use super::banner::Banner;
use super::dev::DevCredentials;
use super::{Failure, print_line};
use crate::config::{Config, ConfigError, Overrides};
use crate::context::{Clock, Ids};
use crate::net;
use crate::serve::ServeError;
#[cfg(feature = "otlp")]
use crate::telemetry::traces::Traces;
use crate::telemetry::{Writing, log};

/// Ports tried after the default one.
const NEXT_PORTS: u16 = 100;

/// Run the service.
///
/// Every setting of the file can be given as a variable: limits.redeem_per_minute is
/// VESTIBULE__LIMITS__REDEEM_PER_MINUTE. A flag wins over the environment, the environment over
/// the file. Secrets can stand in files of mode 0600: master_keys_file, admin.token_file,
/// database.url_file, database.listen_url_file; as variables VESTIBULE__MASTER_KEYS_FILE,
/// VESTIBULE__ADMIN__TOKEN_FILE, VESTIBULE__DATABASE__URL_FILE.
#[derive(Debug, Args)]
#[command(after_help = "\
Settings and defaults:
  bind = \"127.0.0.1:8080\"          public_url = (the bound address)
  data_dir = \"./data\"              master_keys = (required)
  database.url = (none: SQLite in data_dir; postgres://user:password@host:5432/database)
  database.pooler = \"none\" | \"transaction\" (PgBouncer's mode)
  database.listen_url = (database.url; past a pooler, to hear of other instances at once)
  admin.token = (required)         log.format = \"text\" | \"json\"
  log.level = \"info\"               metrics.bind = (none: no metrics)
  request_log.max_bytes = 16777216 request_log.files = 4 (0: no request log)
  otlp.endpoint = (none)           otlp.sample_percent = 100
  limits.redeem_per_minute = 30
  limits.body_deadline_ms = 10000  limits.in_flight_bytes = 67108864
  listener.guard = \"on\" | \"off\"    listener.trusted_proxies = [] (networks)
  listener.connections = 8192      listener.connections_per_address = 512
  listener.first_byte_ms = 5000    listener.head_ms = 10000
  listener.head_bytes = 16384      listener.stall_ms = 20000
  listener.idle_ms = 100000        listener.lifetime_ms = 3600000
  listener.tls_certificate, listener.tls_key = (none: plain HTTP)
  outbound.allow = [] (networks)   outbound.http = \"refuse\" | \"allow\"
  webhooks.deadline_ms = 15000     webhooks.keep_s = 604800
  webhooks.most = 100000           webhooks.retry_ms = [\"5000\", \"300000\", …]
  dev.clock_offset_ms = 0 (--dev alone)

The listener cuts clients that are silent, slow or too many, and speaks TLS if it is given PEM files,
which it reads again when they change. X-Forwarded-For counts only from listener.trusted_proxies.
Behind a proxy that does as much, listener.guard = \"off\" saves its cost.

Requests of the service's own, such as webhooks, go over HTTPS to public addresses. outbound.allow
adds networks, outbound.http plain HTTP; with --dev both are open towards this machine.

How often one address, key and session may ask; a burst is at most a minute's worth:
  limits.edge.mode = \"shadow\" | \"enforce\"
  limits.edge.address_per_minute = 6000   limits.edge.address_burst = 1000
  limits.edge.key_per_minute = 6000       limits.edge.key_burst = 1000
  limits.edge.session_per_minute = 600    limits.edge.session_burst = 120
Shadow refuses nothing: it counts, and the log says what would be refused. Set the rates by it,
then enforce. The address is the connection's own: behind a proxy, that is the proxy. Token
exchanges (limits.redeem_per_minute) and rates that a key has of its own hold in both modes.

Examples:
  vestibule serve --dev
  vestibule serve --config /etc/vestibule.toml
  VESTIBULE__MASTER_KEYS_FILE=master.key VESTIBULE__ADMIN__TOKEN_FILE=admin.token vestibule serve

With --dev, VESTIBULE_DEV_CREDENTIALS=F takes the demo credentials from F, a file like the
dev-credentials.json in the data directory.

Exit codes: 0 stopped by a signal, 1 the service failed, 2 unusable configuration")]
pub(super) struct Serve {
    /// A TOML file with settings
    #[arg(long, value_name = "F")]
    config: Option<PathBuf>,
    /// Where to listen [default: 127.0.0.1:8080; with --dev the next free port when it is taken]
    #[arg(long, value_name = "A")]
    bind: Option<String>,
    /// Where the embedded database, the request log and keys made on the spot live [default: ./data]
    #[arg(long, value_name = "D")]
    data_dir: Option<PathBuf>,
    /// Development mode: keys made on the spot, a demo tenant, the page /demo, and demo credentials
    /// in the reference at /docs/api. Not for production
    #[arg(long)]
    dev: bool,
}

impl Serve {
    /// `serve --dev`: what the program does when it is given no command.
    pub(super) fn for_a_first_look() -> Self {
        Self { config: None, bind: None, data_dir: None, dev: true }
    }

    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { config, bind, data_dir, dev } = self;
        if cfg!(feature = "unfinished") && !dev {
            let problem = "it answers 501 where a handler is missing";
            let remedy = "add --dev, or build without the feature `unfinished`";
            return Err(ConfigError::new("this build", problem, remedy).into());
        }
        let mut config =
            Config::load(&Overrides { config, bind, data_dir, dev, ..Overrides::default() })?;
        // Before anything is written.
        if let Some(tls) = config.listener.as_ref().and_then(|guard| guard.tls.as_ref()) {
            tls.check().map_err(ServeError::from)?;
        }
        let runtime = tokio::runtime::Runtime::new().map_err(no_threads)?;
        let told = Told::start(&config, runtime.handle())?;
        if config.dev
            && !config.bind_is_chosen
            && let Some(free) = next_free(config.bind)
        {
            print_line(&format!(
                "notice: {} is taken, so this one listens at {free}",
                config.bind
            ))?;
            config.bind = free;
        }
        if let Some(guard) = &config.listener {
            net::allow_connections(guard.most);
        }
        let demo = if config.dev { Some(Demo::prepare(&mut config)?) } else { None };
        let credentials = demo.as_ref().map(|demo| demo.credentials.clone());
        let ready = move |base_url: &str| {
            // A file that cannot be written, or a closed standard output, stops no service.
            if let Some(Err(failure)) = demo.map(|demo| demo.announce(base_url)) {
                failure.report();
            }
        };
        let served = runtime.block_on(crate::serve(config, credentials, ready));
        told.close();
        served.map_err(Failure::from)
    }
}

fn no_threads(cause: std::io::Error) -> Failure {
    Failure::refused(format!("no threads can be started ({cause})"), "raise the limits")
}

/// The log, and in a build with them the traces.
struct Told {
    #[cfg(feature = "otlp")]
    traces: Option<Traces>,
    log: Writing,
}

impl Told {
    #[cfg(not(feature = "otlp"))]
    fn start(config: &Config, _: &Handle) -> Result<Self, Failure> {
        Ok(Self { log: log::start(config.log, None).map_err(no_threads)? })
    }

    #[cfg(feature = "otlp")]
    fn start(config: &Config, runtime: &Handle) -> Result<Self, Failure> {
        let started = config.otlp.as_ref().map(|otlp| Traces::start(otlp, runtime)).transpose();
        let traces = started.map_err(|cause| {
            let help = "check otlp.endpoint and the variables OTEL_EXPORTER_OTLP_…";
            Failure::unusable(format!("traces cannot be sent ({cause})"), help)
        })?;
        let log = log::start(config.log, traces.as_ref().map(Traces::layer)).map_err(no_threads)?;
        Ok(Self { traces, log })
    }

    /// Sends and writes what waits.
    fn close(self) {
        #[cfg(feature = "otlp")]
        if let Some(traces) = self.traces {
            traces.close();
        }
        drop(self.log);
    }
}

/// The demo tenant's credentials and where they are kept.
struct Demo {
    credentials: DevCredentials,
    data_dir: PathBuf,
    clock_offset_ms: i64,
    /// Held until the service answers: of many first starts on one data directory, one draws the
    /// credentials and all others find them.
    _turn: File,
}

/// How long a start waits while others on the same data directory start.
const TURN: Duration = Duration::from_secs(120);

/// How often it looks whether they have.
const LOOK_EVERY: Duration = Duration::from_millis(10);

impl Demo {
    /// Draws or reads the credentials. The file is written now already where the address is
    /// known, so that whoever finds the service answering finds the file complete.
    fn prepare(config: &mut Config) -> Result<Self, Failure> {
        let data_dir = config.data_dir.clone();
        std::fs::create_dir_all(&data_dir).map_err(|cause| {
            let problem = format!("{} cannot be created ({cause})", data_dir.display());
            Failure::unusable(problem, "give --data-dir a directory this user can write")
        })?;
        let turn = await_turn(&data_dir)?;
        let ids = Ids::default();
        let mut credentials = DevCredentials::load(&data_dir, config.admin_token.as_ref(), &ids)?;
        config.admin_token = Some(SecretString::from(credentials.admin.token.as_str()));
        if config.bind.port() != 0 {
            credentials.save(&data_dir, config.public_url(config.bind))?;
        }
        let clock_offset_ms = config.clock_offset_ms;
        Ok(Self { credentials, data_dir, clock_offset_ms, _turn: turn })
    }

    /// Completes the file with the address and prints the banner.
    fn announce(mut self, base_url: &str) -> Result<(), Failure> {
        let file = self.credentials.save(&self.data_dir, base_url.to_owned())?;
        let program = std::env::args().next();
        let clock = Clock::default();
        clock.set_offset_ms(self.clock_offset_ms);
        let banner = Banner {
            credentials: &self.credentials,
            file: Path::new(&file),
            program: program.as_deref().unwrap_or("vestibule"),
            now_ms: clock.now_ms(),
        };
        print_line(&banner.text())
    }
}

fn await_turn(data_dir: &Path) -> Result<File, Failure> {
    let (place, begun) = (data_dir.join("dev-start.lock"), Instant::now());
    let unusable = |cause: std::io::Error| {
        let problem = format!("{} cannot be used ({cause})", place.display());
        Failure::unusable(problem, "give --data-dir a directory this user can write")
    };
    let file = File::options().create(true).append(true).open(&place).map_err(unusable)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(unusable(cause)),
            Err(TryLockError::WouldBlock) if begun.elapsed() < TURN => {
                std::thread::sleep(LOOK_EVERY);
            }
            Err(TryLockError::WouldBlock) => {
                let problem = format!("another start in {} does not end", data_dir.display());
                return Err(Failure::refused(problem, "end it, or give another --data-dir"));
            }
        }
    }
}

/// The first free port after `wanted`, or `None` when `wanted` itself is free.
fn next_free(wanted: SocketAddr) -> Option<SocketAddr> {
    let is_taken = |address: &SocketAddr| {
        TcpListener::bind(address).is_err_and(|cause| cause.kind() == ErrorKind::AddrInUse)
    };
    if !is_taken(&wanted) {
        return None;
    }
    let ports = (wanted.port()..wanted.port().saturating_add(NEXT_PORTS)).skip(1);
    ports.map(|port| SocketAddr::new(wanted.ip(), port)).find(|address| !is_taken(address))
}
