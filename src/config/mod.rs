//! What an operator may set, read and checked before anything starts.
//!
//! Flag over environment over TOML over default. Every problem is one line that says where, what
//! and how to mend it. Knows nothing of HTTP, the store or the command line's syntax.

mod key_file;
mod key_list;
mod layers;
mod listener;
mod outgoing;
mod secret;
mod telemetry;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

use secrecy::SecretString;

use crate::domain::database::Database;
use crate::domain::outbound::OutboundPolicy;
use crate::domain::sealing::MasterKeys;
use crate::limiter::{EdgeRates, Mode, Rate};
use crate::net::{Guard, TrustedProxies};
use layers::{Layers, Setting};
use outgoing::networks;

pub use key_file::{directory_of, read_private, write_private};
pub use key_list::{add_last, keep_first, move_first, read_master_keys};
pub use outgoing::Webhooks;
pub use telemetry::{Otlp, RequestLogBounds};

/// Where the service listens when nobody says otherwise.
pub const DEFAULT_BIND: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The whole configuration of a running service.
#[derive(Debug)]
pub struct Config {
    /// `--dev`: demo tenant, keys made on the spot, `/demo` and `/dev/…`.
    pub dev: bool,
    /// Where to listen.
    pub bind: SocketAddr,
    /// Whether somebody chose `bind`; if not, `--dev` may take the next free port.
    pub bind_is_chosen: bool,
    /// Where the embedded database, the request log and keys made on the spot live.
    pub data_dir: PathBuf,
    /// Which database.
    pub database: Database,
    /// They seal secrets at rest; the first seals, all open.
    pub master_keys: MasterKeys,
    /// The file that they stand in, if they do: it may change while the service runs.
    pub master_key_file: Option<PathBuf>,
    /// Opens the admin surface. `None` only in `--dev`, until the demo credentials are known.
    pub admin_token: Option<SecretString>,
    /// See [`Log`].
    pub log: Log,
    /// Where the metrics can be read; `None` when nowhere.
    pub metrics_bind: Option<SocketAddr>,
    /// See [`RequestLogBounds`]; `None` when no request is logged.
    pub request_log: Option<RequestLogBounds>,
    /// See [`Otlp`]; `None` when no traces are sent.
    pub otlp: Option<Otlp>,
    /// See [`Limits`].
    pub limits: Limits,
    /// See [`Guard`]; `None` when the server listens itself, behind a proxy that does as much.
    pub listener: Option<Guard>,
    /// Whose word about who asks is taken.
    pub trusted_proxies: TrustedProxies,
    /// Where requests of the service's own may go.
    pub outbound: OutboundPolicy,
    /// See [`Webhooks`].
    pub webhooks: Webhooks,
    /// How far the service's clock starts from the system's, milliseconds; `--dev` alone.
    pub clock_offset_ms: i64,
    /// Where browsers reach the service, when that is not where it listens. Instances that share a
    /// database share it too: it is the issuer of their tokens.
    pub public_url: Option<String>,
}

/// What the log looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// One line for people, or one JSON object for machines.
    pub format: LogFormat,
    /// The least severe event that is written.
    pub level: tracing::Level,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What one caller, or all together, may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Whether the limits at the edge refuse, or only say what they would refuse.
    pub edge_mode: Mode,
    /// Requests of one address.
    pub address: Rate,
    /// Requests with one key.
    pub key: Rate,
    /// Requests in one session.
    pub session: Rate,
    /// Token exchanges a minute from one address, and at once.
    pub redeem_per_minute: u32,
    /// How long a request's body may take to arrive, milliseconds.
    pub body_deadline_ms: u64,
    /// Bytes of request bodies held in memory at once, all requests together.
    pub in_flight_bytes: usize,
}

/// What the command line says; everything else comes from the environment and the file.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--bind`
    pub bind: Option<String>,
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--public-url`
    pub public_url: Option<String>,
    /// `--dev`
    pub dev: bool,
}

/// What a command needs that works on a store.
#[derive(Debug)]
pub struct DataAccess {
    /// As [`Config::data_dir`].
    pub data_dir: PathBuf,
    /// Which database.
    pub database: Database,
    /// The configured master keys, or those that `--dev` left in the data directory.
    pub master_keys: Option<MasterKeys>,
    /// As [`Config::master_key_file`].
    pub master_key_file: Option<PathBuf>,
    /// As [`Config::public_url`], of the configured address.
    pub public_url: String,
}

/// One thing that is wrong with the configuration, as one line: `place: problem; remedy`.
#[derive(Debug, thiserror::Error)]
#[error("{place}: {problem}; {remedy}")]
pub struct ConfigError {
    place: String,
    problem: String,
    remedy: String,
}

impl ConfigError {
    pub(crate) fn new(place: &str, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl Config {
    /// Reads and checks the configuration of this process. In `--dev` a missing master key is
    /// created in the data directory, readable by its owner alone.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        Self::from_environment(overrides, std::env::vars_os())
    }

    fn from_environment(
        overrides: &Overrides,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let layers = read_layers(overrides, environment)?;
        let dev = overrides.dev;
        let (bind, bind_is_chosen) = match layers.get("bind") {
            Some(setting) => (read_bind(setting)?, true),
            None => (DEFAULT_BIND, false),
        };
        let data_dir = read_data_dir(&layers);
        let config = Self {
            dev,
            bind,
            bind_is_chosen,
            public_url: layers.get("public_url").map(read_public_url).transpose()?,
            log: read_log(&layers)?,
            metrics_bind: layers.get("metrics.bind").map(read_bind).transpose()?,
            request_log: telemetry::request_log(&layers)?,
            otlp: telemetry::otlp(&layers)?,
            limits: read_limits(&layers)?,
            listener: listener::guard(&layers)?,
            trusted_proxies: listener::trusted_proxies(&layers)?,
            outbound: outgoing::policy(&layers, dev)?,
            webhooks: outgoing::webhooks(&layers)?,
            clock_offset_ms: read_clock_offset(&layers, dev)?,
            admin_token: secret::admin_token(&layers, dev)?,
            master_keys: secret::master_keys(&layers, &data_dir, dev)?,
            master_key_file: secret::master_key_file(&layers, &data_dir),
            database: secret::database(&layers, &data_dir)?,
            data_dir,
        };
        Ok(config)
    }

    /// Under which address people reach the service that listens at `bound`, without a slash at
    /// the end: `public_url`, or the bound address itself.
    pub fn public_url(&self, bound: SocketAddr) -> String {
        let is_tls = self.listener.as_ref().is_some_and(|guard| guard.tls.is_some());
        self.public_url.clone().unwrap_or_else(|| url_of(bound, is_tls))
    }
}

impl DataAccess {
    /// Reads what commands on a data directory need; an absent master key is no error here.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let layers = read_layers(overrides, std::env::vars_os())?;
        let data_dir = read_data_dir(&layers);
        let database = secret::database(&layers, &data_dir)?;
        let master_keys = secret::known_master_keys(&layers, &data_dir)?;
        let master_key_file = secret::master_key_file(&layers, &data_dir);
        let bind = layers.get("bind").map_or(Ok(DEFAULT_BIND), read_bind)?;
        let public_url = layers.get("public_url").map(read_public_url).transpose()?;
        let is_tls = listener::tls(&layers)?.is_some();
        let public_url = public_url.unwrap_or_else(|| url_of(bind, is_tls));
        Ok(Self { data_dir, database, master_keys, master_key_file, public_url })
    }
}

/// Where this machine reaches a service that listens there.
fn url_of(bound: SocketAddr, is_tls: bool) -> String {
    let host = match bound.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V4(_) | IpAddr::V6(_) => bound.ip(),
    };
    let scheme = if is_tls { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(host, bound.port()))
}

fn read_layers(
    overrides: &Overrides,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Layers, ConfigError> {
    let mut layers = Layers::default();
    if let Some(path) = &overrides.config {
        layers.add_file(path)?;
    }
    layers.add_environment(environment)?;
    layers.add_flag("bind", "--bind", overrides.bind.clone());
    layers.add_flag("public_url", "--public-url", overrides.public_url.clone());
    let data_dir = overrides.data_dir.as_ref().map(|path| path.display().to_string());
    layers.add_flag("data_dir", "--data-dir", data_dir);
    Ok(layers)
}

fn read_bind(setting: &Setting) -> Result<SocketAddr, ConfigError> {
    let text = setting.text();
    text.parse().map_err(|_| {
        let remedy = "write address and port, like 127.0.0.1:8080 or [::1]:8080";
        ConfigError::new(&setting.place, format!("`{text}` is no socket address"), remedy)
    })
}

fn read_data_dir(layers: &Layers) -> PathBuf {
    PathBuf::from(layers.get("data_dir").map_or("./data", Setting::text))
}

fn read_public_url(setting: &Setting) -> Result<String, ConfigError> {
    let text = setting.text();
    let parsed = url::Url::parse(text).ok().filter(|url| {
        matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.path() == "/"
            && url.query().is_none()
            && url.fragment().is_none()
    });
    parsed.map(|url| url.origin().ascii_serialization()).ok_or_else(|| {
        let remedy = "write scheme, host and perhaps a port, like https://chat.example.com";
        ConfigError::new(&setting.place, format!("`{text}` is not the origin of a site"), remedy)
    })
}

fn read_log(layers: &Layers) -> Result<Log, ConfigError> {
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    let levels = ["error", "warn", "info", "debug", "trace"]
        .map(|name| (name, tracing::Level::from_str(name).expect("these are level names")));
    Ok(Log {
        format: choose(layers, "log.format", &formats, LogFormat::Text)?,
        level: choose(layers, "log.level", &levels, tracing::Level::INFO)?,
    })
}

fn choose<T: Copy>(
    layers: &Layers,
    key: &str,
    choices: &[(&str, T)],
    default: T,
) -> Result<T, ConfigError> {
    let Some(setting) = layers.get(key) else { return Ok(default) };
    let text = setting.text();
    if let Some((_, choice)) = choices.iter().find(|(name, _)| *name == text) {
        return Ok(*choice);
    }
    let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
    let problem = format!("`{text}` is none of its values");
    Err(ConfigError::new(&setting.place, problem, format!("write one of {}", names.join(", "))))
}

impl Limits {
    /// The rates of all limits at the edge.
    pub fn edge_rates(&self) -> EdgeRates {
        let burst = self.redeem_per_minute;
        let redemption = Rate { per_minute: burst, burst };
        EdgeRates { address: self.address, key: self.key, session: self.session, redemption }
    }
}

fn read_limits(layers: &Layers) -> Result<Limits, ConfigError> {
    let mebibyte = 1024 * 1024;
    let modes = [("shadow", Mode::Shadow), ("enforce", Mode::Enforce)];
    let usual = EdgeRates::DEFAULT;
    Ok(Limits {
        edge_mode: choose(layers, "limits.edge.mode", &modes, Mode::Shadow)?,
        address: read_rate(layers, "address", usual.address)?,
        key: read_rate(layers, "key", usual.key)?,
        session: read_rate(layers, "session", usual.session)?,
        redeem_per_minute: integer(
            layers,
            "limits.redeem_per_minute",
            1..=100_000,
            usual.redemption.per_minute.into(),
        )?,
        body_deadline_ms: integer(layers, "limits.body_deadline_ms", 10..=600_000, 10_000)?,
        in_flight_bytes: integer(
            layers,
            "limits.in_flight_bytes",
            mebibyte..=16 * 1024 * mebibyte,
            64 * mebibyte,
        )?,
    })
}

/// The most requests a minute that a limit can be set to.
const MOST_PER_MINUTE: i64 = 6_000_000;

fn read_rate(layers: &Layers, subject: &str, default: Rate) -> Result<Rate, ConfigError> {
    let key = |what: &str| format!("limits.edge.{subject}_{what}");
    let (steady, most) = (i64::from(default.per_minute), 1..=MOST_PER_MINUTE);
    let per_minute: u32 = integer(layers, &key("per_minute"), most, steady)?;
    // A burst of more than a minute's worth would be a rate of its own.
    let default = i64::from(default.burst.min(per_minute));
    let burst = integer(layers, &key("burst"), 1..=i64::from(per_minute), default)?;
    Ok(Rate { per_minute, burst })
}

fn read_clock_offset(layers: &Layers, dev: bool) -> Result<i64, ConfigError> {
    const KEY: &str = "dev.clock_offset_ms";
    const YEAR_MS: i64 = 366 * 24 * 3_600_000;
    match layers.get(KEY) {
        Some(setting) if !dev => {
            let problem = "the clock may only be moved in --dev";
            Err(ConfigError::new(&setting.place, problem, "take the setting out or add --dev"))
        }
        Some(_) | None => integer(layers, KEY, -YEAR_MS..=YEAR_MS, 0),
    }
}

fn integer<T: TryFrom<i64>>(
    layers: &Layers,
    key: &str,
    range: RangeInclusive<i64>,
    default: i64,
) -> Result<T, ConfigError> {
    let setting = layers.get(key);
    let value = setting.map_or(Some(default), |setting| setting.text().parse().ok());
    let value = value.filter(|value| range.contains(value)).and_then(|value| value.try_into().ok());
    value.ok_or_else(|| {
        let (place, text) = setting.map_or((key, ""), |s| (s.place.as_str(), s.text()));
        let problem = format!("`{text}` is not an integer of the allowed range");
        let remedy = format!("write an integer from {} to {}", range.start(), range.end());
        ConfigError::new(place, problem, remedy)
    })
}
