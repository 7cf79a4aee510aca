//! Exporting and erasing what is held of a person or a tenant, in slices that hold nobody up.
//!
//! Rows are looked for by readers and removed by their keys, each slice with its own audit entry in
//! its transaction. What the writer overwrites is zeroed (`secure_delete`), and a checkpoint at the
//! end takes it out of the log.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value as Json, json};
use vestibule_runtime::Violation;

use super::engine::{Cell, Connection, Failure, Row, Value};
use super::holdings::{HOLDINGS, Holding, SLICE, STATEMENTS};
use super::locks::Reach;
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit};
use crate::domain::audit::{AuditEntry, Subject, SubjectKey};
use crate::domain::erasure::Whose;
use crate::error::{Error, Result, Thing};

/// One page of an export.
#[derive(Debug)]
pub struct HeldPage {
    /// Table and row.
    pub rows: Vec<(&'static str, Map<String, Json>)>,
    /// Where the next page begins; `None` when there is nothing beyond.
    pub next: Option<String>,
}

/// What one call of [`Store::erase`] removed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Erasure {
    /// Rows by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Whether nothing is left.
    pub is_complete: bool,
}

/// The most slices of one call: some ten thousand rows, a few seconds.
const MOST_SLICES: usize = 50;

/// How long another instance may go on with keys that it read before they were revoked.
const UNTIL_SEEN: Duration = Duration::from_millis(1200);

impl Store {
    /// One page of what is held: at most `limit` rows of one table, and where to go on.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant; `Rules` when `after` is of no page.
    pub async fn held_page(
        &self,
        tenant: &str,
        whose: &Whose,
        after: Option<&str>,
        limit: u32,
    ) -> Result<HeldPage> {
        let mut place = after.map_or(Ok(Place::first()), Place::read)?;
        let subject_key = self.subject_key(tenant).await?;
        let (holding, mut found) = loop {
            let Place { at, key } = &place;
            let found = self.slice(tenant, whose, *at, key, subject_key.as_ref()).await?;
            // A page without rows in front of others would be taken for the end.
            if !found.is_empty() || at + 1 == HOLDINGS.len() {
                break (&HOLDINGS[*at], found);
            }
            place = Place { at: at + 1, key: Vec::new() };
        };
        let limit = usize::try_from(limit).unwrap_or(SLICE).min(SLICE);
        let has_more = found.len() > limit || found.len() == SLICE;
        found.truncate(limit);
        let mut next = Place { at: place.at + 1, key: Vec::new() };
        let mut rows = Vec::new();
        for row in found {
            let (key, members) = holding.read(row);
            rows.push((holding.table, members));
            if has_more {
                next = Place { at: place.at, key };
            }
        }
        let next = (next.at < HOLDINGS.len()).then(|| next.text());
        Ok(HeldPage { rows, next })
    }

    /// Removes what is held, at most some ten thousand rows; `entry` makes an audit entry, which
    /// gets the counts. A tenant of whom everything is erased is revoked first.
    ///
    /// # Errors
    /// `NotFound` when there is no such tenant.
    pub async fn erase(
        &self,
        tenant: &str,
        whose: &Whose,
        now: i64,
        entry: impl Fn() -> AuditEntry,
    ) -> Result<Erasure> {
        let subject_key = self.subject_key(tenant).await?;
        let mut erasure = Erasure::default();
        if *whose == Whose::Everything && self.is_alive(tenant).await? {
            self.revoke_tenant(tenant, now, entry()).await?;
            tokio::time::sleep(UNTIL_SEEN).await;
        }
        let mut slices = 0;
        for (at, holding) in HOLDINGS.iter().enumerate().filter(|(_, holding)| !holding.is_kept) {
            loop {
                let rows = self.slice(tenant, whose, at, &[], subject_key.as_ref()).await?;
                if rows.is_empty() {
                    break;
                }
                if slices == MOST_SLICES {
                    return Ok(erasure);
                }
                slices += 1;
                let keys = rows.into_iter().map(|row| holding.read(row).0).collect();
                let remove = Remove { tenant: tenant.into(), at, keys, entry: entry() };
                *erasure.rows.entry(holding.table).or_default() += self.writer.run(remove).await?;
            }
        }
        if *whose == Whose::Everything {
            self.writer.run(Bury { tenant: tenant.into(), now, entry: entry() }).await?;
        }
        self.writer.checkpoint().await?;
        erasure.is_complete = true;
        Ok(erasure)
    }

    /// One slice of a table's rows behind a key.
    async fn slice(
        &self,
        tenant: &str,
        whose: &Whose,
        at: usize,
        behind: &[Cell],
        subject_key: Option<&SubjectKey>,
    ) -> Result<Vec<Row>> {
        let subject = match whose {
            Whose::Person(subject) => Some(subject),
            Whose::Everything => None,
        };
        let Some(sql) = STATEMENTS[at].page(subject, behind.is_empty()) else {
            return Ok(Vec::new());
        };
        let Some(id) = identified(&HOLDINGS[at], subject, subject_key) else {
            return Ok(Vec::new());
        };
        let mut values = vec![tenant.into(), id.into()];
        values.extend(behind.iter().map(Cell::value));
        Ok(self.readers.fetch(sql, values).await?)
    }

    /// The key of a tenant's pseudonyms; `None` once it is destroyed.
    async fn subject_key(&self, tenant: &str) -> Result<Option<SubjectKey>> {
        let sql = "SELECT c.subject_key FROM tenants AS t \
                   JOIN audit_chains AS c ON c.tenant_id = t.tenant_id WHERE t.tenant_id = $1";
        let row = self.readers.fetch(sql, vec![tenant.into()]).await?.pop();
        let mut row = row.ok_or(Error::NotFound(Thing::Tenant))?;
        Ok(SubjectKey::new(&row.bytes(0)?))
    }

    async fn is_alive(&self, tenant: &str) -> Result<bool> {
        let sql = "SELECT 1 FROM tenants WHERE tenant_id = $1 AND revoked_at IS NULL";
        Ok(!self.readers.fetch(sql, vec![tenant.into()]).await?.is_empty())
    }
}

/// By what a person's rows are found: the id, in the audit the pseudonym.
fn identified(
    holding: &Holding,
    subject: Option<&Subject>,
    key: Option<&SubjectKey>,
) -> Option<String> {
    let Some(subject) = subject else { return Some(String::new()) };
    if holding.is_kept {
        return Some(key?.pseudonym(subject));
    }
    let (_, id) = subject.parts();
    Some(id.to_owned())
}

/// Where an export stands: at a table, behind a key.
struct Place {
    at: usize,
    key: Vec<Cell>,
}

impl Place {
    fn first() -> Self {
        Self { at: 0, key: Vec::new() }
    }

    fn text(&self) -> String {
        let key: Vec<Json> = self
            .key
            .iter()
            .map(|cell| match cell {
                Cell::Null => Json::Null,
                Cell::Int(value) => json!(value),
                Cell::Text(text) => json!(text),
                Cell::Bytes(bytes) => json!({ "bytes": bytes }),
            })
            .collect();
        let place = json!([HOLDINGS[self.at].table, key]);
        URL_SAFE_NO_PAD.encode(place.to_string())
    }

    fn read(text: &str) -> Result<Self> {
        let place = URL_SAFE_NO_PAD.decode(text).ok();
        let place: Option<(String, Vec<Json>)> =
            place.and_then(|text| serde_json::from_slice(&text).ok());
        let read = |(table, key): (String, Vec<Json>)| {
            let at = HOLDINGS.iter().position(|holding| holding.table == table)?;
            let fits = key.is_empty() || key.len() == HOLDINGS[at].key.len();
            let key = key.into_iter().map(cell).collect::<Option<_>>()?;
            fits.then_some(Self { at, key })
        };
        place.and_then(read).ok_or_else(|| {
            let unknown = Violation::body("/after", "format");
            Error::Rules(vec![unknown.actual("the next of no page")])
        })
    }
}

fn cell(value: Json) -> Option<Cell> {
    match value {
        Json::Number(number) => number.as_i64().map(Cell::Int),
        Json::String(text) => Some(Cell::Text(text)),
        Json::Object(mut it) => serde_json::from_value(it.remove("bytes")?).ok().map(Cell::Bytes),
        Json::Null | Json::Bool(_) | Json::Array(_) => None,
    }
}

/// Removes rows of one table by their keys; how many there still were.
struct Remove {
    tenant: String,
    at: usize,
    keys: Vec<Vec<Cell>>,
    entry: AuditEntry,
}

impl Job for Remove {
    type Answer = u64;

    async fn run(&self, conn: &mut Connection) -> Result<u64, Failure> {
        let mut removed = 0;
        for key in &self.keys {
            let mut values: Vec<Value> = vec![self.tenant.as_str().into()];
            values.extend(key.iter().map(Cell::value));
            removed += conn.execute(STATEMENTS[self.at].remove, values).await?;
        }
        let table = HOLDINGS[self.at].table;
        let entry = self.entry.clone().with("table", table).with("rows", removed);
        audit::insert(conn, [&entry]).await?;
        Ok(removed)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Everything);
    }
}

/// What stays of an erased tenant: its id and its times.
struct Bury {
    tenant: String,
    now: i64,
    entry: AuditEntry,
}

impl Job for Bury {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let sql = "UPDATE tenants SET name = '(erased)', identity_secret = $3, erased_at = $2 \
                   WHERE tenant_id = $1 AND erased_at IS NULL";
        let nothing: &[u8] = &[];
        let values = vec![self.tenant.as_str().into(), self.now.into(), nothing.into()];
        if conn.execute(sql, values).await? == 0 {
            return Ok(());
        }
        let sql = "UPDATE audit_chains SET subject_key = $2 WHERE tenant_id = $1";
        conn.execute(sql, vec![self.tenant.as_str().into(), nothing.into()]).await?;
        audit::insert(conn, [&self.entry.clone().with("everything", true)]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Everything);
    }
}
