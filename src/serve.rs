//! One run of the service: store, master-key check, routes, listener, and a graceful end.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dropshot::{ConfigDropshot, HandlerTaskMode, HttpServer, ServerBuilder};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use secrecy::ExposeSecret as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use vestibule_runtime::Timestamp;

use crate::cli::dev::{self, DevCredentials};
use crate::config::{Config, RequestLogBounds, read_master_keys};
use crate::context::{Clock, Context, Parts};
use crate::deliveries::Deliveries;
use crate::domain::api_key::KeyHash;
use crate::error::Error;
use crate::net::{self, BadTlsFiles, Bound, Clients, Guard, Public};
use crate::store::{Displaced, Store};
use crate::telemetry::request_log::RequestLog;
use crate::telemetry::{DropshotLog, Telemetry, Writing, listener};

/// Why the service did not start, or stopped on its own.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The database belongs to another master key.
    #[error("none of the configured master keys made this database")]
    WrongMasterKey,
    /// The database was put back, and not by `vestibule restore`.
    #[error(transparent)]
    Displaced(#[from] Displaced),
    /// The clock says less than something expired by.
    #[error(
        "the clock says {now}, but what had expired by {seen} was removed from this database: what \
         was used until then could be used again"
    )]
    ClockBehind {
        /// What the database has seen.
        seen: Timestamp,
        /// What the system's clock says.
        now: Timestamp,
    },
    /// Outside `--dev` there must be an admin token.
    #[error("no admin token is configured")]
    NoAdminToken,
    /// The address cannot be listened on.
    #[error("cannot listen on {bind}: {cause}")]
    Bind {
        /// The address.
        bind: SocketAddr,
        /// What the system says.
        cause: String,
    },
    /// The address for the metrics cannot be listened on.
    #[error("cannot show metrics at {bind}: {cause}")]
    MetricsBind {
        /// The address.
        bind: SocketAddr,
        /// What the system says.
        cause: String,
    },
    /// The listener cannot speak TLS.
    #[error(transparent)]
    Tls(#[from] BadTlsFiles),
    /// The request log cannot be opened.
    #[error("the request log cannot be opened: {0}")]
    RequestLog(String),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] Error),
    /// The server failed.
    #[error("the server stopped: {0}")]
    Server(String),
}

/// How often what has expired is removed.
const PURGE_EVERY: Duration = Duration::from_secs(30);
/// How often an instance asks what became of tenants' signing keys: a new one is pending for longer.
const HEAR_EVERY: Duration = Duration::from_millis(500);
/// How often it is written which keys were used.
const FLUSH_EVERY: Duration = Duration::from_secs(5);
/// How often the database is moved forward: one put back by hand that is older than this is noticed.
const MARK_EVERY: Duration = Duration::from_secs(15);
/// How often the file of master keys is looked at.
const LOOK_AT_KEYS_EVERY: Duration = Duration::from_millis(500);
/// How often uses of sessions are written. Other instances hear of a use this much later, which
/// `domain::session` allows for.
const WRITE_USES_EVERY: Duration = Duration::from_secs(1);
/// How long sessions are kept after their end, milliseconds.
const KEEP_ENDED_MS: i64 = 24 * 60 * 60 * 1000;

/// How far behind what the database has seen a clock may be at a start, milliseconds: until it has
/// caught up, time stands still. For more than that nobody waits.
const MOST_BEHIND_MS: i64 = 10 * 60 * 1000;

/// How long requests already begun may take at the end.
const DRAIN: Duration = Duration::from_secs(20);

/// Runs the service until SIGTERM or SIGINT; `ready` is called with the base URL once it answers.
///
/// # Errors
/// When it cannot start, or stops on its own.
pub async fn serve(
    config: Config,
    dev: Option<DevCredentials>,
    ready: impl FnOnce(&str),
) -> Result<(), ServeError> {
    let (mut terminate, mut interrupt) =
        (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let store = Store::open(&config.database).await?;
    let key_file = config.master_key_file.clone();
    let running = start(config, store.clone(), dev).await?;
    ready(&running.base_url);
    let resealing = tokio::spawn(keep_sealed(Arc::clone(&running.context), key_file));
    let context = running.context;
    let rounds = [
        every(PURGE_EVERY, &context, PURGING, |it| purge_all(it).boxed()),
        every(FLUSH_EVERY, &context, FLUSHING, |it| it.key_uses.flush(&it.store).boxed()),
        every(HEAR_EVERY, &context, HEARING, |it| it.hear().boxed()),
        every(MARK_EVERY, &context, MARKING, |it| it.move_mark().boxed()),
    ];
    let mut server = running.server;
    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        ended = &mut server => Some(ended.err().unwrap_or_default()),
    };
    rounds.iter().chain([&resealing]).for_each(JoinHandle::abort);
    context.is_stopping.store(true, Ordering::Relaxed);
    let ended = match failed {
        Some(cause) => Err(ServeError::Server(cause)),
        None => finish(server, running.public, running.deliveries).await,
    };
    for (last, what) in [
        (context.key_uses.flush(&store).await, FLUSHING),
        (store.write_uses().await, WRITING),
        (store.remember_time(context.clock.latest_ms()).await, "remembering how late it was"),
    ] {
        last.unwrap_or_else(|error| tracing::warn!(%error, "{what} failed at the end"));
    }
    store.close().await;
    drop(running.request_log);
    ended
}

/// Answers what has begun and gives back the deliveries that have.
async fn finish(
    server: HttpServer<Arc<Context>>,
    public: Option<Public>,
    deliveries: Deliveries,
) -> Result<(), ServeError> {
    tracing::info!("stopping: requests already begun are answered");
    // A client that stays must not keep deliveries from being given back, nor the other way round.
    let closing = tokio::time::timeout(DRAIN, drain(server, public));
    let (closed, ()) = tokio::join!(closing, deliveries.stop());
    match closed {
        Ok(closed) => closed.map_err(ServeError::Server),
        Err(_) => {
            tracing::warn!("some clients did not finish; their connections are cut");
            Ok(())
        }
    }
}

/// Lets nobody in any more and waits for those who are in.
async fn drain(server: HttpServer<Arc<Context>>, public: Option<Public>) -> Result<(), String> {
    let Some(mut public) = public else { return server.close().await };
    public.close();
    // The server ends each connection after its last answer, and the listener what it passed on.
    let (closed, ()) = tokio::join!(server.close(), public.drained());
    closed
}

/// A service that answers.
pub struct Running {
    /// The server; dropping it stops it.
    pub server: HttpServer<Arc<Context>>,
    /// What stands before it; `None` when it listens itself. Dropping it cuts its connections.
    pub public: Option<Public>,
    /// What its handlers share.
    pub context: Arc<Context>,
    /// What sends webhooks. Dropping it ends it as [`Deliveries::stop`] does, but nobody waits.
    pub deliveries: Deliveries,
    /// Where it lets clients in.
    pub address: SocketAddr,
    /// Where it answers, as clients know it.
    pub base_url: String,
    /// Where its metrics can be read.
    pub metrics: Option<SocketAddr>,
    /// Writes the request log, to its end when it is dropped.
    pub request_log: Option<Writing>,
}

/// Starts a service on an open store.
///
/// # Errors
/// As [`serve`].
pub async fn start(
    config: Config,
    store: Store,
    dev: Option<DevCredentials>,
) -> Result<Running, ServeError> {
    if let Some(displaced) = store.displaced(&config.data_dir).await? {
        return Err(displaced.into());
    }
    let seen = seen_time(&store).await?;
    let is_dev = config.dev;
    let token = config.admin_token.as_ref().ok_or(ServeError::NoAdminToken)?;
    let admin_token = KeyHash::of(token.expose_secret());
    // Patterns compile while nobody waits for them.
    vestibule_api::register::compile_schemas();
    let door = Door::take(config.bind, config.listener.clone()).await?;
    let address = door.address();
    let public_url = config.public_url(address);
    let offset_ms = config.clock_offset_ms;
    let (telemetry, request_log) = telemetry(&config.data_dir, config.request_log)?;
    let parts = Parts {
        store,
        master_keys: config.master_keys,
        public_url: public_url.clone(),
        admin_token,
        limits: config.limits,
        telemetry,
        outbound: config.outbound,
        webhooks: config.webhooks,
        clients: Arc::new(Clients::new(config.listener.as_ref(), config.trusted_proxies)),
        data_dir: config.data_dir,
        dev,
    };
    let context = Arc::new(Context::new(parts));
    context.clock.continue_from(seen);
    context.clock.set_offset_ms(offset_ms);
    let provision = context.provision("dev");
    if !provision.master_keys_fit().await? {
        return Err(ServeError::WrongMasterKey);
    }
    if let Some(demo) = &context.dev {
        dev::seed(provision, demo, &public_url).await?;
    }
    context.move_mark().await?;
    context.hear().await?;
    let metrics = match config.metrics_bind {
        Some(bind) => Some(show_metrics(bind, &context).await?),
        None => None,
    };
    let (server, public) = door.open(Arc::clone(&context), is_dev)?;
    every(WRITE_USES_EVERY, &context, WRITING, |it| it.store.write_uses().boxed());
    let deliveries = Deliveries::start(Arc::clone(&context));
    let base_url = public_url;
    Ok(Running { server, public, context, deliveries, address, base_url, metrics, request_log })
}

/// The latest time that the database has seen, which this run must not begin before.
async fn seen_time(store: &Store) -> Result<i64, ServeError> {
    let (seen, now) = (store.latest_time().await?, Clock::system_now_ms());
    let behind_ms = seen.saturating_sub(now);
    if behind_ms > MOST_BEHIND_MS {
        return Err(ServeError::ClockBehind { seen: Timestamp(seen), now: Timestamp(now) });
    }
    if behind_ms > 0 {
        tracing::warn!(
            behind_ms,
            "the clock is behind what was seen; until then time stands still"
        );
    }
    Ok(seen)
}

/// Where clients come in.
enum Door {
    /// Through the public listener, which is bound already.
    Guarded(Box<(Bound, Guard)>),
    /// Straight to the server, which is to listen there.
    Plain(SocketAddr),
}

impl Door {
    async fn take(bind: SocketAddr, guard: Option<Guard>) -> Result<Self, ServeError> {
        let Some(guard) = guard else { return with_port(bind).map(Self::Plain) };
        let bound = net::bind(bind).await;
        let bound = bound.map_err(|cause| ServeError::Bind { bind, cause: cause.to_string() })?;
        Ok(Self::Guarded(Box::new((bound, guard))))
    }

    /// The address, its port settled.
    fn address(&self) -> SocketAddr {
        match self {
            Self::Guarded(guarded) => guarded.0.address(),
            Self::Plain(bind) => *bind,
        }
    }

    fn open(
        self,
        context: Arc<Context>,
        is_dev: bool,
    ) -> Result<(HttpServer<Arc<Context>>, Option<Public>), ServeError> {
        match self {
            Self::Plain(bind) => Ok((answer_at(bind, context, is_dev)?, None)),
            Self::Guarded(guarded) => {
                let (bound, guard) = *guarded;
                let clients = Arc::clone(&context.clients);
                let server = answer_at((Ipv4Addr::LOCALHOST, 0).into(), context, is_dev)?;
                let public = bound.open(guard, server.local_addr(), clients)?;
                Ok((server, Some(public)))
            }
        }
    }
}

/// Where the records of requests go, and the thread that writes some of them down.
fn telemetry(
    data_dir: &Path,
    bounds: Option<RequestLogBounds>,
) -> Result<(Arc<Telemetry>, Option<Writing>), ServeError> {
    let started = bounds.map(|bounds| RequestLog::start(data_dir, bounds)).transpose();
    let (log, writer) = started.map_err(|cause| ServeError::RequestLog(cause.to_string()))?.unzip();
    let operations = vestibule_api::register::OPERATIONS;
    Ok((Arc::new(Telemetry::new(operations, log, Clock::system_now_ms)), writer))
}

async fn show_metrics(bind: SocketAddr, context: &Arc<Context>) -> Result<SocketAddr, ServeError> {
    // The service ends when nobody holds its context any more; a listener must not hold it.
    let context = Arc::downgrade(context);
    let text = move || {
        let context = context.upgrade()?;
        let (store, clients) = (context.store.figures(), context.clients.figures());
        context.telemetry.exposition(store, context.edge.counts(), clients)
    };
    let shown = listener::show(bind, Arc::new(text)).await;
    shown.map_err(|cause| ServeError::MetricsBind { bind, cause: cause.to_string() })
}

/// The address with a port: the public URL must be known before the first request, and dropshot
/// takes no listener that is bound already, so port 0 is settled here.
fn with_port(bind: SocketAddr) -> Result<SocketAddr, ServeError> {
    if bind.port() != 0 {
        return Ok(bind);
    }
    let free = TcpListener::bind(bind).and_then(|listener| listener.local_addr());
    free.map_err(|cause| ServeError::Bind { bind, cause: cause.to_string() })
}

fn answer_at(
    bind: SocketAddr,
    context: Arc<Context>,
    is_dev: bool,
) -> Result<HttpServer<Arc<Context>>, ServeError> {
    let api = crate::api::describe(is_dev).map_err(|bad| ServeError::Server(bad.to_string()))?;
    let settings = ConfigDropshot {
        bind_address: bind,
        // Handlers leave no half-done work when their client goes: each write is queued whole, and
        // what takes several goes on by itself.
        default_handler_task_mode: HandlerTaskMode::CancelOnDisconnect,
        ..ConfigDropshot::default()
    };
    let drain = DropshotLog::new(Arc::clone(&context.telemetry));
    let log = slog::Logger::root(drain, slog::o!());
    let started = ServerBuilder::new(api, context, log).config(settings).start();
    started.map_err(|bad| ServeError::Bind { bind, cause: with_causes(&bad) })
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.last().map_or_else(|| error.to_string(), ToString::to_string)
}

fn listen(kind: SignalKind) -> Result<tokio::signal::unix::Signal, ServeError> {
    signal(kind).map_err(|cause| ServeError::Server(format!("signals cannot be heard: {cause}")))
}

/// What is done in rounds, as the log says it.
const PURGING: &str = "removing what has expired";
const FLUSHING: &str = "writing which keys were used";
const HEARING: &str = "reading signing keys and fence";
const MARKING: &str = "moving the mark beside the database";
const WRITING: &str = "writing uses of sessions";

/// Does `work` round after round for as long as anybody holds the context.
fn every(
    interval: Duration,
    context: &Arc<Context>,
    what: &'static str,
    work: for<'c> fn(&'c Context) -> BoxFuture<'c, crate::error::Result<()>>,
) -> JoinHandle<()> {
    let context = Arc::downgrade(context);
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(interval).await;
            let Some(context) = context.upgrade() else { return };
            if let Err(error) = work(&context).await {
                tracing::warn!(%error, "{what} failed; the next round tries again");
            }
        }
    })
}

/// Looks at the file of keys, and seals anew what older master keys sealed, now and whenever that
/// file changes. What does not open stops the sealing, never the looking.
async fn keep_sealed(context: Arc<Context>, key_file: Option<PathBuf>) {
    let changed = Notify::new();
    let watch = async {
        match &key_file {
            Some(file) => watch_keys(&context, file, &changed).await,
            None => std::future::pending().await,
        }
    };
    tokio::join!(watch, keep_resealing(&context, &changed));
}

/// Seals anew until nothing is left, and again whenever the keys have `changed`.
async fn keep_resealing(context: &Context, changed: &Notify) {
    loop {
        let sealing = async {
            while let Err(error) = context.resealer().run().await {
                tracing::warn!(%error, "sealing anew stopped; it goes on in a while");
                tokio::time::sleep(PURGE_EVERY).await;
            }
            std::future::pending().await
        };
        tokio::select! {
            () = changed.notified() => {}
            () = sealing => {}
        }
    }
}

/// Takes over what the file of keys says, and tells of every change.
async fn watch_keys(context: &Context, file: &Path, changed: &Notify) {
    let mut told = None;
    loop {
        tokio::time::sleep(LOOK_AT_KEYS_EVERY).await;
        match take_changed_keys(context, file).await {
            // Others may still seal by the old key, until they have looked at the file too.
            Ok(true) => {
                tokio::time::sleep(2 * LOOK_AT_KEYS_EVERY).await;
                changed.notify_one();
            }
            Ok(false) => told = None,
            Err(problem) if told.as_ref() == Some(&problem) => {}
            Err(problem) => {
                tracing::warn!(problem, "the master keys stay what they were");
                told = Some(problem);
            }
        }
    }
}

/// Takes over what the file of keys says; whether that is something new. Keys that do not open
/// this database are refused.
async fn take_changed_keys(context: &Context, file: &Path) -> Result<bool, String> {
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || read_master_keys(&path)).await;
    let keys = read.map_err(|cut| cut.to_string())?.map_err(|bad| bad.to_string())?;
    let fingerprints = keys.fingerprints();
    if fingerprints == context.master_keys.fingerprints() {
        return Ok(false);
    }
    let check = context.store.key_check().await.map_err(|gone| gone.to_string())?;
    if !check.is_some_and(|check| keys.opens_key_check(&check)) {
        return Err(format!("none of {fingerprints:?} opens this database"));
    }
    context.master_keys.replace(&keys);
    context.verified_tokens.forget();
    tracing::info!(?fingerprints, "the list of master keys changed");
    Ok(true)
}

/// A slice that was full leaves more to remove, and each slice is a write of its own. A clock that is
/// set back afterwards must not make anything of that good again, so it is remembered first.
async fn purge_all(context: &Context) -> crate::error::Result<()> {
    let now = context.clock.now_ms();
    context.store.remember_time(context.clock.latest_ms()).await?;
    loop {
        let purged = context.store.purge(now, now.saturating_sub(KEEP_ENDED_MS)).await?;
        tracing::debug!(?purged, "purged");
        if !purged.is_partial() {
            return Ok(());
        }
    }
}
