//! Counters and durations, as Prometheus reads them: names of requests by OpenTelemetry's HTTP
//! conventions, our own below `embed_`.
//!
//! Labels take values that the documents or this file list, never one that a caller or a tenant
//! invents. Counting a request of an operation takes atomics alone: its series are found once.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use prometheus::core::Collector;
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};
use vestibule_runtime::{Asked, CLIENT_GONE, OperationInfo, RequestRecord, method_name};

use crate::limiter::EdgeCounts;
use crate::net;
use crate::store::Figures;

/// Upper bounds, seconds, as OpenTelemetry advises for `http.server.request.duration`.
const BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    requests: Requests,
    webhook_deliveries: IntCounterVec,
    pulled: Pulled,
    /// Two readers at once would add what was pulled twice.
    reading: Mutex<()>,
}

/// How the attempt to deliver a webhook ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// The receiver took it.
    Delivered,
    /// It is tried again later.
    Retried,
    /// It is not tried again.
    GivenUp,
}

impl Delivery {
    fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Retried => "retried",
            Self::GivenUp => "given_up",
        }
    }
}

/// What others count, read when somebody asks for the metrics.
pub struct Sources {
    /// Of the store.
    pub store: Figures,
    /// Of the limits at the edge.
    pub edge: EdgeCounts,
    /// Of the public listener.
    pub clients: net::Figures,
    /// Lines that the request log had no room for.
    pub request_log_lost: u64,
    /// Lines that the log had no room for.
    pub log_lost: u64,
}

impl Metrics {
    /// Counters at zero, for the operations of all documents.
    ///
    /// # Panics
    /// When a name below is malformed or given twice.
    pub fn new(operations: &[&'static OperationInfo]) -> Self {
        let registry = Registry::new();
        let new = New { registry: &registry };
        let metrics = Self {
            requests: Requests::new(&new, operations),
            webhook_deliveries: new.counters(
                "embed_webhook_deliveries_total",
                "Attempts to deliver a webhook, by how they ended.",
                &["outcome"],
            ),
            pulled: Pulled::new(&new),
            reading: Mutex::new(()),
            registry: registry.clone(),
        };
        for outcome in [Delivery::Delivered, Delivery::Retried, Delivery::GivenUp] {
            metrics.webhook_deliveries.with_label_values(&[outcome.name()]);
        }
        let build = ["version", "features"];
        let info = new.gauges("embed_build_info", "What runs here; always 1.", &build);
        let features = if cfg!(feature = "otlp") { "otlp" } else { "" };
        info.with_label_values(&[env!("CARGO_PKG_VERSION"), features]).set(1);
        #[cfg(target_os = "linux")]
        let process = prometheus::process_collector::ProcessCollector::for_self();
        #[cfg(target_os = "linux")]
        registry.register(Box::new(process)).expect("its names are its own");
        metrics
    }

    /// A request begins.
    pub(super) fn begin(&self, asked: &Asked<'_>) {
        self.requests.active(asked.method).inc();
    }

    /// A request that began is over.
    pub(super) fn end(&self, record: &RequestRecord<'_>) {
        self.requests.active(record.asked.method).dec();
        self.requests.count(record);
    }

    /// A request was answered that never began here.
    pub(super) fn take(&self, record: &RequestRecord<'_>) {
        self.requests.count(record);
    }

    /// Counts an attempt to deliver a webhook.
    pub fn webhook_delivery(&self, outcome: Delivery) {
        self.webhook_deliveries.with_label_values(&[outcome.name()]).inc();
    }

    /// All of it in Prometheus' text format, version 0.0.4.
    ///
    /// # Errors
    /// When a family cannot be written: a defect.
    pub fn text(&self, sources: &Sources) -> Result<String, prometheus::Error> {
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        self.pulled.update(sources);
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

/// Makes series and registers them at once.
struct New<'a> {
    registry: &'a Registry,
}

impl New<'_> {
    fn add<C: Collector + Clone + 'static>(&self, collector: C) -> C {
        let added = self.registry.register(Box::new(collector.clone()));
        added.expect("names are given once");
        collector
    }

    fn counter(&self, name: &str, help: &str) -> IntCounter {
        self.add(IntCounter::new(name, help).expect("a good name"))
    }

    fn counters(&self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.add(IntCounterVec::new(Opts::new(name, help), labels).expect("good names"))
    }

    fn gauge(&self, name: &str, help: &str) -> IntGauge {
        self.add(IntGauge::new(name, help).expect("a good name"))
    }

    fn gauges(&self, name: &str, help: &str, labels: &[&str]) -> IntGaugeVec {
        self.add(IntGaugeVec::new(Opts::new(name, help), labels).expect("good names"))
    }
}

/// What is counted of requests.
struct Requests {
    duration: HistogramVec,
    /// By method; those that the documents have.
    active: Vec<(&'static str, IntGauge)>,
    active_of_others: IntGaugeVec,
    refusals: IntCounterVec,
    /// By operationId.
    operations: HashMap<&'static str, Operation>,
}

/// The series of one operation. One that never happened is not shown.
struct Operation {
    duration: Vec<(u16, OnceLock<Histogram>)>,
    refusals: Vec<(&'static str, OnceLock<IntCounter>)>,
}

impl Requests {
    fn new(new: &New<'_>, operations: &[&'static OperationInfo]) -> Self {
        let labels = ["http_request_method", "http_route", "http_response_status_code"];
        let options = HistogramOpts::new(
            "http_server_request_duration_seconds",
            "Time from the first look at a request to its answer. Status 499: the client left.",
        );
        let duration = HistogramVec::new(options.buckets(BUCKETS.to_vec()), &labels);
        let active = new.gauges(
            "http_server_active_requests",
            "Requests that are being answered.",
            &["http_request_method"],
        );
        let mut methods: Vec<_> = operations.iter().map(|info| method_name(&info.method)).collect();
        methods.sort_unstable();
        methods.dedup();
        let series = |method| (method, active.with_label_values(&[method]));
        Self {
            operations: operations.iter().map(|info| (info.id, Operation::new(info))).collect(),
            duration: new.add(duration.expect("good names")),
            refusals: new.counters(
                "embed_refusals_total",
                "Requests that were refused, by surface and stable code.",
                &["surface", "reason"],
            ),
            active: methods.into_iter().map(series).collect(),
            active_of_others: active,
        }
    }

    fn active(&self, method: &'static str) -> IntGauge {
        let known = found(&self.active, &method).cloned();
        known.unwrap_or_else(|| self.active_of_others.with_label_values(&[method]))
    }

    fn count(&self, record: &RequestRecord<'_>) {
        let RequestRecord { asked, status, code, took, .. } = record;
        let known = asked.operation.and_then(|info| self.operations.get(info.id));
        let duration = || {
            let (route, status) = (asked.route.unwrap_or_default(), status.as_str());
            self.duration.with_label_values(&[asked.method, route, status])
        };
        let slot = known.and_then(|known| found(&known.duration, &status.as_u16()));
        match slot {
            Some(slot) => slot.get_or_init(duration).observe(took.as_secs_f64()),
            None => duration().observe(took.as_secs_f64()),
        }
        let Some((surface, code)) = asked.surface().zip(*code) else { return };
        let refusals = || self.refusals.with_label_values(&[surface, code]);
        match known.and_then(|known| found(&known.refusals, &code)) {
            Some(slot) => slot.get_or_init(refusals).inc(),
            None => refusals().inc(),
        }
    }
}

impl Operation {
    fn new(info: &OperationInfo) -> Self {
        let statuses = info.answers.iter().map(|(status, _)| *status).chain([CLIENT_GONE]);
        let codes = info.answers.iter().flat_map(|(_, codes)| *codes).map(|code| code.name);
        Self {
            duration: statuses.map(|status| (status, OnceLock::new())).collect(),
            refusals: codes.map(|code| (code, OnceLock::new())).collect(),
        }
    }
}

/// A dozen at most: looking at each is faster than hashing.
fn found<'a, K: PartialEq, V>(slots: &'a [(K, V)], key: &K) -> Option<&'a V> {
    slots.iter().find(|(known, _)| known == key).map(|(_, slot)| slot)
}

/// Series whose truth is somewhere else.
struct Pulled {
    sessions: IntCounterVec,
    connections: IntCounterVec,
    open_connections: IntGauge,
    commits: IntCounter,
    writes: IntCounter,
    queue: IntGauge,
    cache: IntCounterVec,
    limit_hits: IntCounterVec,
    request_log_lost: IntCounter,
    log_lost: IntCounter,
}

impl Pulled {
    fn new(new: &New<'_>) -> Self {
        Self {
            sessions: new.counters(
                "embed_sessions_opened_total",
                "Sessions that were opened and committed, by surface.",
                &["surface"],
            ),
            connections: new.counters(
                "embed_listener_connections_total",
                "Connections to the public listener, by what became of them.",
                &["outcome"],
            ),
            open_connections: new
                .gauge("embed_listener_open_connections", "Connections that are open now."),
            commits: new.counter("embed_store_commits_total", "Committed transactions."),
            writes: new.counter("embed_store_writes_total", "Writes in committed transactions."),
            queue: new.gauge("embed_store_queue_depth", "Writes that wait for the writer."),
            cache: new.counters(
                "embed_store_cache_requests_total",
                "Reads through a cache, by cache and by whether it had the value.",
                &["cache", "result"],
            ),
            limit_hits: new.counters(
                "embed_limit_hits_total",
                "Requests beyond a limit, by limit and by whether it refuses or only watches; \
                 also messages beyond a user's limits and openings beyond a key's ceilings.",
                &["limit", "mode"],
            ),
            request_log_lost: new.counter(
                "embed_request_log_lost_total",
                "Lines that the request log had no room for, or could not write.",
            ),
            log_lost: new.counter("embed_log_lost_total", "Log lines that had no room."),
        }
    }

    fn update(&self, sources: &Sources) {
        let Sources { store, edge, clients, request_log_lost, log_lost } = sources;
        for (surface, opened) in store.sessions_opened {
            raise(&self.sessions.with_label_values(&[surface]), opened);
        }
        for (outcome, connections) in clients.outcomes {
            raise(&self.connections.with_label_values(&[outcome]), connections);
        }
        self.open_connections.set(i64::try_from(clients.open).unwrap_or(i64::MAX));
        raise(&self.commits, store.commits);
        raise(&self.writes, store.writes);
        self.queue.set(i64::try_from(store.queue_depth).unwrap_or(i64::MAX));
        for cache in &store.caches {
            raise(&self.cache.with_label_values(&[cache.name, "hit"]), cache.hits);
            raise(&self.cache.with_label_values(&[cache.name, "miss"]), cache.misses);
        }
        for (limit, refused) in store.limits_exceeded {
            raise(&self.limit_hits.with_label_values(&[limit, "enforced"]), refused);
        }
        for (limit, counts) in edge.by_limit() {
            raise(&self.limit_hits.with_label_values(&[limit, "enforced"]), counts.refused);
            raise(&self.limit_hits.with_label_values(&[limit, "shadow"]), counts.shadowed);
        }
        raise(&self.request_log_lost, *request_log_lost);
        raise(&self.log_lost, *log_lost);
    }
}

/// Lifts a counter to what was counted elsewhere, which never falls.
fn raise(counter: &IntCounter, to: u64) {
    counter.inc_by(to.saturating_sub(counter.get()));
}
