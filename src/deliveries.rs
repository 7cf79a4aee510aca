//! The task that sends: it claims deliveries that are due, posts them, and notes how it went.
//!
//! It also tells of expired sessions and keeps the queue bounded. What it holds when it ends is
//! finished or given back; what it holds when it is killed is sent again once its lease is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::context::Context;
use crate::domain::session::seconds;
use crate::domain::webhook::{
    self, Attempt, ID_HEADER, Outgoing, SIGNATURE_HEADER, TIMESTAMP_HEADER, Verdict,
};
use crate::error::Result;
use crate::outbound::Reply;
use crate::provision::open_webhook_secrets;
use crate::store::{Bounds, ClaimRequest, Settled};
use crate::telemetry::metrics::Delivery;

/// Who acts in the audit when an endpoint is disabled by its own answers.
const SERVICE: &str = "service";

/// The most deliveries under way at once, all endpoints together.
const AT_ONCE: usize = 64;
/// The most of them to one endpoint, all instances together.
const AT_ONCE_PER_ENDPOINT: i64 = 8;

/// How much longer than an attempt a lease is: enough to note how it went.
const LEASE_BEYOND: Duration = Duration::from_secs(15);

/// How often it is asked whether another process queued something, or time did.
const POLL: Duration = Duration::from_secs(1);
/// How often too many and too old deliveries are looked for.
const PURGE_EVERY: Duration = Duration::from_secs(15);

/// A session's end is told this much later, since its renewal may still wait to be written.
const EXPIRY_MARGIN_MS: i64 = 2_000;

/// The running tasks.
pub struct Deliveries {
    stop: watch::Sender<bool>,
    sending: JoinHandle<()>,
    /// One task, which ends when this is dropped: it would hold the context for ever.
    keeping: JoinSet<()>,
}

impl Deliveries {
    /// Starts to send what is and will be queued.
    pub fn start(context: Arc<Context>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let sender = Sender {
            lease: context.ids.id("lea_"),
            after: Default::default(),
            under_way: JoinSet::new(),
            context: Arc::clone(&context),
        };
        let (sending, mut keeping) = (tokio::spawn(sender.run(stopping)), JoinSet::new());
        keeping.spawn(keep(context));
        Self { stop, sending, keeping }
    }

    /// Claims nothing more, waits for what is under way, and gives back the rest.
    pub async fn stop(mut self) {
        self.keeping.shutdown().await;
        // The task may have ended by itself; then there is nothing to wait for.
        let _ = self.stop.send(true);
        if let Err(error) = self.sending.await {
            tracing::error!(%error, "the sender of webhooks failed");
        }
    }
}

struct Sender {
    context: Arc<Context>,
    /// What this process claims under.
    lease: String,
    /// The endpoint behind which the next claim begins.
    after: (String, String),
    under_way: JoinSet<()>,
}

impl Sender {
    async fn run(mut self, mut stopping: watch::Receiver<bool>) {
        let mut is_due = true;
        while !*stopping.borrow() {
            let pause = match self.claim_all(is_due).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::error!(%error, "webhook deliveries cannot be claimed");
                    POLL
                }
            };
            is_due = tokio::select! {
                // Nobody is left who could ask it to stop: that is a stop as well.
                changed = stopping.changed() => match changed {
                    Ok(()) => false,
                    Err(_) => break,
                },
                () = self.context.store.delivery_queued() => true,
                Some(_) = self.under_way.join_next() => true,
                () = tokio::time::sleep(pause) => false,
            };
        }
        self.finish().await;
    }

    /// Claims until nothing is due or there is no room; how long nothing new can be due. Unless
    /// something is known to be due, the readers are asked first.
    async fn claim_all(&mut self, mut is_due: bool) -> Result<Duration> {
        let store = self.context.store.clone();
        while let Some(room) = self.room() {
            let now = self.context.clock.now_ms();
            if !is_due {
                let next = store.next_delivery_at().await?;
                let wait = next.map_or(i64::MAX, |next| next.saturating_sub(now));
                if wait > 0 {
                    let wait = Duration::from_millis(wait.unsigned_abs());
                    return Ok(wait.min(POLL));
                }
            }
            let claim = store.claim_deliveries(self.request(now, room)).await?;
            self.after = claim.last;
            if claim.is_round && claim.deliveries.is_empty() {
                return Ok(POLL);
            }
            is_due = !claim.is_round;
            for delivery in claim.deliveries {
                self.under_way.spawn(send(self.context.clone(), delivery, self.lease.clone()));
            }
        }
        Ok(POLL)
    }

    fn room(&self) -> Option<i64> {
        let room = AT_ONCE.saturating_sub(self.under_way.len());
        i64::try_from(room).ok().filter(|room| *room > 0)
    }

    fn request(&self, now: i64, room: i64) -> ClaimRequest {
        let lease = self.context.webhooks.deadline + LEASE_BEYOND;
        ClaimRequest {
            now,
            until: now.saturating_add(i64::try_from(lease.as_millis()).unwrap_or(i64::MAX)),
            lease: self.lease.clone(),
            per_endpoint: AT_ONCE_PER_ENDPOINT,
            room,
            after: self.after.clone(),
        }
    }

    async fn finish(mut self) {
        let ending = self.context.webhooks.deadline;
        let done = async { while self.under_way.join_next().await.is_some() {} };
        if tokio::time::timeout(ending, done).await.is_err() {
            self.under_way.shutdown().await;
        }
        let now = self.context.clock.now_ms();
        match self.context.store.release_deliveries(&self.lease, now).await {
            Ok(released) => tracing::debug!(released, "webhook deliveries given back"),
            Err(error) => tracing::error!(%error, "webhook deliveries cannot be given back"),
        }
    }
}

/// One attempt, and the note of it.
async fn send(context: Arc<Context>, delivery: Outgoing, lease: String) {
    let (id, webhook, event) = (delivery.id.clone(), delivery.webhook.clone(), delivery.event);
    let attempt = attempt(&context, &delivery).await;
    let ended = attempt.started_at.saturating_add(attempt.duration_ms);
    let made = delivery.tries.saturating_add(1);
    let jitter = u16::from_be_bytes(context.ids.bytes());
    let verdict = context.webhooks.schedule.judge(attempt.status_code, made, ended, jitter);
    let (status, error) = (attempt.status_code, attempt.error.clone());
    let event = event.name();
    tracing::info!(id, webhook, event, status, error, ?verdict, "webhook attempt");
    let audit = context.audit(&delivery.tenant, SERVICE, "webhook.disable", &webhook);
    let outcome = match &verdict {
        Verdict::Delivered => Delivery::Delivered,
        Verdict::Retry(_) => Delivery::Retried,
        Verdict::Exhausted | Verdict::Gone => Delivery::GivenUp,
    };
    let settled = Settled { delivery, lease, attempt, verdict, audit };
    match context.store.settle_delivery(settled).await {
        Ok(true) => context.telemetry.metrics.webhook_delivery(outcome),
        Ok(false) => tracing::warn!(id, "a webhook delivery outlived its lease"),
        Err(error) => tracing::error!(%error, id, "a webhook attempt cannot be noted"),
    }
}

async fn attempt(context: &Context, delivery: &Outgoing) -> Attempt {
    let started_at = context.clock.now_ms();
    let posted = post(context, delivery, started_at).await;
    let (status_code, error, answer) = match posted {
        Ok(Reply { status, beginning }) => (Some(status), None, shown(&beginning)),
        Err(why) => (None, Some(why), None),
    };
    let duration_ms = context.clock.now_ms().saturating_sub(started_at).max(0);
    Attempt { started_at, duration_ms, status_code, error, answer }
}

async fn post(context: &Context, delivery: &Outgoing, now: i64) -> Result<Reply, String> {
    let Outgoing { id, url, body, .. } = delivery;
    let at_s = seconds(now);
    let signed = open_webhook_secrets(&context.master_keys, delivery, now)
        .and_then(|secrets| webhook::signatures(id, at_s, body, &secrets));
    let signed = signed.map_err(|error| {
        tracing::error!(%error, id, "a webhook delivery cannot be signed");
        "The service could not sign it.".to_owned()
    })?;
    let headers =
        [(ID_HEADER, id.clone()), (TIMESTAMP_HEADER, at_s.to_string()), (SIGNATURE_HEADER, signed)];
    let posted = context.outbound.post(url, &headers, body.clone()).await;
    posted.map_err(|error| cut(&error.to_string(), MOST_ERROR))
}

/// The longest error and the longest beginning of an answer that are kept, characters.
const MOST_ERROR: usize = 300;
const MOST_ANSWER: usize = 512;

/// The beginning of an answer as it is kept; none for an empty one.
fn shown(beginning: &str) -> Option<String> {
    let text = cut(&beginning.replace('\0', "\u{fffd}"), MOST_ANSWER);
    (!text.is_empty()).then_some(text)
}

fn cut(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

/// What is done beside sending, in slices, for as long as the service runs.
async fn keep(context: Arc<Context>) {
    let mut purged = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(POLL).await;
        let is_time = purged.elapsed() >= PURGE_EVERY;
        if is_time {
            purged = tokio::time::Instant::now();
        }
        if let Err(error) = keep_once(&context, is_time).await {
            tracing::error!(%error, "the queue of webhooks cannot be kept");
        }
    }
}

async fn keep_once(context: &Context, with_purge: bool) -> Result<()> {
    let Context { store, clock, webhooks, .. } = context;
    while store.tell_expired_sessions(clock.now_ms() - EXPIRY_MARGIN_MS).await? {}
    while store.settle_webhooks(clock.now_ms()).await? {}
    let bounds = Bounds { keep_ms: webhooks.keep_ms, most: webhooks.most };
    while with_purge && store.purge_deliveries(clock.now_ms(), bounds).await? {}
    Ok(())
}
