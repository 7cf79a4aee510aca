//! `vestibule webhooks`: list endpoints, test them, read their delivery log and replay it, in the
//! store of a data directory.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::listing::{columns, time};
use super::workplace::{Desk, Workplace};
use super::{Failure, print_json, print_line};
use crate::domain::webhook::{Attempt, Delivery, DeliveryStatus, Webhook};
use crate::error::{Error, Thing};

const PAGE: u32 = 200;

/// Webhook endpoints of the data directory; what is queued here, a running service sends.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
Examples:
  vestibule webhooks list ten_…
  vestibule webhooks test ten_… whk_…
  vestibule webhooks deliveries ten_… whk_… --status failed
  vestibule webhooks replay ten_… whk_… msg_…
  vestibule webhooks replay ten_… whk_… --failed-since 2026-05-08T12:00:00Z

Exit codes: 0 done, 1 refused or not found, 2 unusable input or configuration")]
pub(super) enum Webhooks {
    /// List the endpoints of a tenant, without their secrets
    List {
        /// ten_…
        tenant: String,
        #[command(flatten)]
        workplace: Workplace,
        /// Print {"items":[…]}
        #[arg(long)]
        json: bool,
    },
    /// Queue a test for an endpoint, whatever it subscribes to
    Test {
        #[command(flatten)]
        endpoint: Endpoint,
        #[command(flatten)]
        workplace: Workplace,
        /// Print the delivery
        #[arg(long)]
        json: bool,
    },
    Deliveries(Deliveries),
    Replay(Replay),
}

/// One endpoint.
#[derive(Debug, Args)]
pub(super) struct Endpoint {
    /// ten_…
    tenant: String,
    /// whk_…
    webhook: String,
}

/// Show what was sent to an endpoint and how it went, newest first
#[derive(Debug, Args)]
pub(super) struct Deliveries {
    #[command(flatten)]
    endpoint: Endpoint,
    /// Only those of one status
    #[arg(long, value_enum)]
    status: Option<StatusChoice>,
    /// How many at most
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=i64::from(PAGE)))]
    limit: u32,
    #[command(flatten)]
    workplace: Workplace,
    /// Print {"items":[…]} with every attempt
    #[arg(long)]
    json: bool,
}

/// Send a delivery again, or all that failed since an instant
#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    endpoint: Endpoint,
    /// msg_…
    #[arg(required_unless_present = "failed_since", conflicts_with = "failed_since")]
    delivery: Option<String>,
    /// All that failed of events at this instant or later, in RFC 3339
    #[arg(long, value_name = "TIME", value_parser = instant)]
    failed_since: Option<i64>,
    #[command(flatten)]
    workplace: Workplace,
    /// Print the delivery, or {"queued"}
    #[arg(long)]
    json: bool,
}

/// [`DeliveryStatus`], as it is written on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum StatusChoice {
    /// Attempts are under way or to come
    Pending,
    /// The endpoint took it
    Delivered,
    /// There will be no more attempts
    Failed,
}

impl Webhooks {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::List { tenant, workplace, json } => list(&tenant, workplace, json),
            Self::Test { endpoint, workplace, json } => test(&endpoint, workplace, json),
            Self::Deliveries(deliveries) => deliveries.run(),
            Self::Replay(replay) => replay.run(),
        }
    }
}

impl Deliveries {
    fn run(self) -> Result<(), Failure> {
        let Self { endpoint: Endpoint { tenant, webhook }, status, limit, workplace, json } = self;
        let status = status.map(|status| match status {
            StatusChoice::Pending => DeliveryStatus::Pending,
            StatusChoice::Delivered => DeliveryStatus::Delivered,
            StatusChoice::Failed => DeliveryStatus::Failed,
        });
        let found = workplace.work(async |desk| {
            desk.store.webhook(&tenant, &webhook).await?;
            Ok(desk.store.list_deliveries((&tenant, &webhook), status, None, limit).await?)
        })?;
        if json {
            let items: Vec<_> = found.iter().map(delivery_json).collect();
            return print_json(&json!({ "items": items }));
        }
        let rows: Vec<_> = found.iter().map(row).collect();
        print_line(&columns(["DELIVERY", "EVENT", "STATUS", "ATTEMPTS", "LAST", "CREATED"], &rows))
    }
}

impl Replay {
    fn run(self) -> Result<(), Failure> {
        let Self { endpoint: Endpoint { tenant, webhook }, workplace, json, .. } = self;
        if let Some(id) = self.delivery {
            let queued = workplace
                .work(async |desk| Ok(desk.provision().replay(&tenant, &webhook, &id).await?))?;
            return told(&queued, json);
        }
        let since = self.failed_since.unwrap_or_default();
        let queued = workplace.work(async |desk| {
            Ok(desk.provision().replay_failed(&tenant, &webhook, since).await?)
        })?;
        if json {
            return print_json(&json!({ "queued": queued }));
        }
        print_line(&format!("{queued} failed deliveries are queued; a running service sends them"))
    }
}

fn list(tenant: &str, workplace: Workplace, json: bool) -> Result<(), Failure> {
    let (found, now) =
        workplace.work(async |desk| Ok((all(desk, tenant).await?, desk.clock.now_ms())))?;
    if json {
        let items: Vec<_> = found.iter().map(|it| webhook_json(it, now)).collect();
        return print_json(&json!({ "items": items }));
    }
    let rows: Vec<_> = found
        .iter()
        .map(|webhook| {
            let events = webhook.events.iter().map(|event| event.name()).collect::<Vec<_>>();
            [webhook.id.clone(), state(webhook), webhook.url.clone(), events.join(" ")]
        })
        .collect();
    print_line(&columns(["WEBHOOK", "STATE", "URL", "EVENTS"], &rows))
}

fn test(endpoint: &Endpoint, workplace: Workplace, json: bool) -> Result<(), Failure> {
    let Endpoint { tenant, webhook } = endpoint;
    let queued =
        workplace.work(async |desk| Ok(desk.provision().test_webhook(tenant, webhook).await?))?;
    told(&queued, json)
}

fn told(queued: &Delivery, json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&delivery_json(queued));
    }
    print_line(&format!(
        "{} is queued; a running service sends it, see `vestibule webhooks deliveries`",
        queued.id
    ))
}

async fn all(desk: &Desk, tenant: &str) -> Result<Vec<Webhook>, Failure> {
    if desk.store.tenant(tenant).await?.is_none() {
        return Err(Error::NotFound(Thing::Tenant).into());
    }
    let mut all: Vec<Webhook> = Vec::new();
    loop {
        let after = all.last().map(|webhook| webhook.id.clone());
        let page = desk.store.list_webhooks(tenant, after.as_deref(), PAGE).await?;
        let is_last = page.len() < PAGE as usize;
        all.extend(page);
        if is_last {
            return Ok(all);
        }
    }
}

fn state(webhook: &Webhook) -> String {
    webhook.disabled.map_or("enabled".into(), |why| format!("disabled ({})", why.name()))
}

fn row(delivery: &Delivery) -> [String; 6] {
    let last = delivery.attempts.last();
    let last = last.and_then(|it| it.status_code.map(|code| code.to_string()).or(it.error.clone()));
    [
        delivery.id.clone(),
        delivery.event.name().to_owned(),
        delivery.status.name().to_owned(),
        delivery.attempt_count.to_string(),
        last.or(delivery.note.clone()).unwrap_or_default(),
        time(delivery.created_at),
    ]
}

/// An endpoint at `now_ms` as the admin document shows it.
fn webhook_json(webhook: &Webhook, now_ms: i64) -> Value {
    let mut value = json!({
        "tenantId": webhook.tenant,
        "webhookId": webhook.id,
        "url": webhook.url,
        "events": webhook.events.iter().map(|event| event.name()).collect::<Vec<_>>(),
        "description": webhook.description,
        "state": if webhook.disabled.is_some() { "disabled" } else { "enabled" },
        "createdAt": time(webhook.created_at),
    });
    if let Some(why) = webhook.disabled {
        value["disabledReason"] = why.name().into();
    }
    if let Some(until) = webhook.previous_secret_until(now_ms) {
        value["previousSecretUntil"] = time(until).into();
    }
    value
}

/// A delivery as the admin document shows it.
fn delivery_json(delivery: &Delivery) -> Value {
    let mut value = json!({
        "deliveryId": delivery.id,
        "webhookId": delivery.webhook,
        "event": delivery.event.name(),
        "status": delivery.status.name(),
        "attemptCount": delivery.attempt_count,
        "attempts": delivery.attempts.iter().map(attempt_json).collect::<Vec<_>>(),
        "createdAt": time(delivery.created_at),
    });
    if let Some(note) = &delivery.note {
        value["note"] = note.as_str().into();
    }
    if let Some(at) = delivery.next_attempt_at {
        value["nextAttemptAt"] = time(at).into();
    }
    value
}

fn attempt_json(attempt: &Attempt) -> Value {
    let Attempt { started_at, duration_ms, status_code, error, answer } = attempt;
    let mut value = json!({ "startedAt": time(*started_at), "durationMs": duration_ms });
    if let Some(code) = status_code {
        value["statusCode"] = (*code).into();
    }
    for (name, text) in [("error", error), ("answer", answer)] {
        if let Some(text) = text {
            value[name] = text.as_str().into();
        }
    }
    value
}

fn instant(text: &str) -> Result<i64, String> {
    let at = chrono::DateTime::parse_from_rfc3339(text);
    at.map(|at| at.timestamp_millis()).map_err(|bad| format!("{bad}; write 2026-05-08T12:00:00Z"))
}
