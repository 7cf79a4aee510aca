//! Which endpoints listen to which events, and the queueing of what they are told.
//!
//! Who listens is read once a second at most and only when something happens that could be told,
//! so that acts of tenants without endpoints cost nothing. Knows no attempt and no address.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::engine::{Connection, Failure, Row, Rows, Value};
use super::webhooks;
use crate::domain::audit::AuditEntry;
use crate::domain::webhook::{self, EventType, Subject};

/// What one connection knows of who listens.
pub(super) struct Subscribers {
    seen: Option<Seen>,
    queued: Arc<Notify>,
}

/// Something that happened, for one endpoint.
pub(super) struct Message<'a> {
    pub(super) tenant: &'a str,
    pub(super) webhook: String,
    pub(super) event: EventType,
    pub(super) subject: &'a Subject,
    /// Names the event: the same cause is told once.
    pub(super) cause: &'a str,
    /// When it happened, milliseconds.
    pub(super) at: i64,
}

/// How old the knowledge may be: another process may have changed an endpoint.
const FRESH: Duration = Duration::from_secs(1);

impl Subscribers {
    /// Knows nothing yet. `queued` is told whenever something is queued.
    pub(super) fn new(queued: Arc<Notify>) -> Self {
        Self { seen: None, queued }
    }

    /// To be called after a change of endpoints and when a transaction was undone.
    pub(super) fn forget(&mut self) {
        self.seen = None;
    }

    /// Wakes whoever sends: something is due. That is before the commit, but whoever is woken asks
    /// through the same queue of writes.
    pub(super) fn wake(&self) {
        self.queued.notify_one();
    }

    fn of(&self, tenant: &str, event: EventType) -> Vec<String> {
        let all = self.seen.as_ref().and_then(|seen| seen.by_tenant.get(tenant));
        let listening = all.into_iter().flatten().filter(|it| it.events.contains(&event));
        listening.map(|it| it.webhook.clone()).collect()
    }
}

/// Queues what the acts of the running transaction are to the endpoints that listen.
pub(super) async fn tell(conn: &mut Connection, acts: &[AuditEntry]) -> Result<(), Failure> {
    let events = acts.iter().filter_map(|act| Some((act, EventType::of_act(&act.action)?)));
    let events: Vec<_> = events.collect();
    if events.is_empty() {
        return Ok(());
    }
    refresh(conn).await?;
    let heard = events.into_iter().map(|(act, event)| Heard {
        act,
        event,
        listening: conn.subscribers.of(&act.tenant, event),
    });
    let heard: Vec<_> = heard.filter(|heard| !heard.listening.is_empty()).collect();
    let sessions = sessions(conn, &heard).await?;
    let subjects = heard.iter().map(|heard| subject(heard.act, heard.event, &sessions));
    let subjects: Vec<_> = subjects.collect();
    let mut messages = Vec::new();
    for (Heard { act, event, listening }, subject) in heard.into_iter().zip(&subjects) {
        let Some(subject) = subject else { continue };
        let (tenant, cause, at) = (&act.tenant, &act.id, act.at);
        let message = |webhook| Message { tenant, webhook, event, subject, cause, at };
        messages.extend(listening.into_iter().map(message));
    }
    queue(conn, messages).await
}

/// The endpoints of a tenant that listen to an event.
pub(super) async fn listening(
    conn: &mut Connection,
    tenant: &str,
    event: EventType,
) -> Result<Vec<String>, Failure> {
    refresh(conn).await?;
    Ok(conn.subscribers.of(tenant, event))
}

/// Adds messages to the queue, each once.
pub(super) async fn queue<'a>(
    conn: &mut Connection,
    messages: impl IntoIterator<Item = Message<'a>>,
) -> Result<(), Failure> {
    let mut rows: Vec<Value> = Vec::new();
    for Message { tenant, webhook, event, subject, cause, at } in messages {
        let id = webhook::message_id(&webhook, cause, at);
        let body = webhook::body(event, at, tenant, subject).to_string();
        rows.extend([
            tenant.into(),
            id.into(),
            webhook.into(),
            event.name().into(),
            body.into(),
            "pending".into(),
            0.into(),
            0.into(),
            at.into(),
            Value::from(at),
        ]);
    }
    if rows.is_empty() {
        return Ok(());
    }
    conn.insert(&DELIVERIES, rows).await?;
    conn.subscribers.wake();
    Ok(())
}

/// An act that some endpoints of its tenant listen to.
struct Heard<'a> {
    act: &'a AuditEntry,
    event: EventType,
    listening: Vec<String>,
}

struct Seen {
    at: Instant,
    by_tenant: HashMap<String, Vec<Listener>>,
}

struct Listener {
    webhook: String,
    events: Vec<EventType>,
}

macro_rules! session_columns {
    () => {
        "tenant_id, session_id, key_id, surface, expires_at"
    };
}
pub(super) use session_columns;

pub(super) static SESSIONS: Rows = Rows {
    head: concat!(
        "SELECT ",
        session_columns!(),
        " FROM sessions WHERE (tenant_id, session_id) IN (VALUES"
    ),
    columns: 2,
    tail: ")",
};

static DELIVERIES: Rows = Rows {
    head: "INSERT INTO webhook_deliveries (tenant_id, delivery_id, webhook_id, event, body, \
           status, tries, attempts, next_at, created_at) VALUES",
    columns: 10,
    tail: "ON CONFLICT DO NOTHING",
};

async fn refresh(conn: &mut Connection) -> Result<(), Failure> {
    let at = Instant::now();
    if conn.subscribers.seen.as_ref().is_some_and(|seen| at.duration_since(seen.at) < FRESH) {
        return Ok(());
    }
    let sql = "SELECT tenant_id, webhook_id, events FROM webhooks WHERE state = 'enabled'";
    let mut by_tenant: HashMap<String, Vec<Listener>> = HashMap::new();
    for mut row in conn.fetch(sql, Vec::new()).await? {
        let listener = Listener { webhook: row.text(1)?, events: webhooks::events(&mut row, 2)? };
        by_tenant.entry(row.text(0)?).or_default().push(listener);
    }
    conn.subscribers.seen = Some(Seen { at, by_tenant });
    Ok(())
}

/// By tenant and id.
type Sessions = HashMap<(String, String), Subject>;

/// What an act was about; `None` for a session that is gone.
fn subject(act: &AuditEntry, event: EventType, sessions: &Sessions) -> Option<Subject> {
    match event {
        EventType::SessionCreated
        | EventType::SessionRenewed
        | EventType::SessionRevoked
        | EventType::SessionExpired => {
            sessions.get(&(act.tenant.clone(), act.target.clone())).cloned()
        }
        EventType::KeyRotated => Some(Subject::Key(act.target.clone())),
        EventType::LimitExceeded => {
            // Of a user, the audit has a pseudonym alone; the tenant is told whom it knows.
            let subject =
                act.subject.as_ref().map_or_else(|| act.target.clone(), ToString::to_string);
            let limit = act.detail.get("name").and_then(|name| name.as_str()).map(str::to_owned);
            Some(Subject::Limit { subject, limit })
        }
        EventType::Test => Some(Subject::Webhook(act.target.clone())),
    }
}

/// What the rows of all sessions among the targets of `heard` say after the acts. Other targets
/// name no session, and there are few of them.
async fn sessions(conn: &mut Connection, heard: &[Heard<'_>]) -> Result<Sessions, Failure> {
    let names =
        heard.iter().flat_map(|Heard { act, .. }| [(&act.tenant).into(), (&act.target).into()]);
    let mut rows = conn.insert(&SESSIONS, names.collect()).await?;
    rows.iter_mut().map(session).collect()
}

/// The name of a session, and it as a subject, of [`session_columns`].
pub(super) fn session(row: &mut Row) -> Result<((String, String), Subject), Failure> {
    let name = (row.text(0)?, row.text(1)?);
    let (session, key, surface) = (name.1.clone(), row.text(2)?, row.text(3)?);
    Ok((name, Subject::Session { session, key, surface, expires_at: row.int(4)? }))
}
