//! When keys were used last, and the first origins they were used from. A bounded number of rows.

use std::collections::HashMap;

use super::Store;
use super::engine::{Connection, Failure, Rows, Value};
use super::locks::Reach;
use super::stale::Stale;
use super::writer::Job;
use crate::domain::key::{Key, KeyUse, MOST_ORIGINS, NotedUse};
use crate::error::Result;

impl Store {
    /// Writes what was noted of many keys, as one write. Times only go forward; what is noted of a
    /// key that is gone is dropped. Once a key has [`MOST_ORIGINS`], new ones are not kept.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn note_key_uses(&self, noted: Vec<NotedUse>) -> Result<()> {
        self.writer.run(NoteUses { noted }).await
    }

    /// What was written of the use of `keys`, a page in the order of their ids; those that were never
    /// used are not in it.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key_uses(&self, keys: &[Key]) -> Result<HashMap<String, KeyUse>> {
        let (Some(first), Some(last)) = (keys.first(), keys.last()) else {
            return Ok(HashMap::new());
        };
        // A page of one tenant or kind may span the keys of many others.
        let tenant = keys.iter().all(|key| key.tenant == first.tenant).then_some(&first.tenant);
        let kind = keys.iter().all(|key| key.kind() == first.kind()).then(|| first.kind().name());
        self.uses_between([&first.id, &last.id], tenant.map(String::as_str), kind).await
    }

    /// What was written of the use of one key.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key_use(&self, id: &str) -> Result<KeyUse> {
        Ok(self.uses_between([id, id], None, None).await?.remove(id).unwrap_or_default())
    }

    async fn uses_between(
        &self,
        [first, last]: [&str; 2],
        tenant: Option<&str>,
        kind: Option<&str>,
    ) -> Result<HashMap<String, KeyUse>> {
        let whose = || vec![first.into(), last.into(), tenant.into(), kind.into()];
        let mut uses: HashMap<String, KeyUse> = HashMap::new();
        for mut row in self.readers.fetch(USED, whose()).await? {
            uses.entry(row.text(0)?).or_default().last_used_at = Some(row.int(1)?);
        }
        for mut row in self.readers.fetch(SEEN, whose()).await? {
            uses.entry(row.text(0)?).or_default().origins.push(row.text(1)?);
        }
        Ok(uses)
    }
}

static USES: Rows = Rows {
    head: "INSERT INTO key_uses (tenant_id, key_id, last_used_at) \
           SELECT v.column1, v.column2, v.column3 FROM (VALUES",
    columns: 3,
    tail: ") AS v JOIN keys ON keys.tenant_id = v.column1 AND keys.key_id = v.column2 WHERE TRUE \
           ON CONFLICT (tenant_id, key_id) DO UPDATE SET last_used_at = excluded.last_used_at \
           WHERE excluded.last_used_at > key_uses.last_used_at",
};

/// The rows of one batch are not counted before they are written, and one batch has a few of a key:
/// the bound may be passed by those.
static ORIGINS: Rows = Rows {
    head: "INSERT INTO key_origins (tenant_id, key_id, origin, first_seen_at) \
           SELECT v.column1, v.column2, v.column3, v.column4 FROM (VALUES",
    columns: 5,
    tail: ") AS v JOIN keys ON keys.tenant_id = v.column1 AND keys.key_id = v.column2 \
           WHERE (SELECT COUNT(*) FROM key_origins AS o \
           WHERE o.tenant_id = v.column1 AND o.key_id = v.column2) < v.column5 \
           ON CONFLICT DO NOTHING",
};

const USED: &str = "SELECT u.key_id, u.last_used_at FROM keys JOIN key_uses AS u \
     ON u.tenant_id = keys.tenant_id AND u.key_id = keys.key_id \
     WHERE keys.key_id BETWEEN $1 AND $2 AND ($3 IS NULL OR keys.tenant_id = $3) \
     AND ($4 IS NULL OR keys.kind = $4)";

const SEEN: &str = "SELECT o.key_id, o.origin FROM keys JOIN key_origins AS o \
     ON o.tenant_id = keys.tenant_id AND o.key_id = keys.key_id \
     WHERE keys.key_id BETWEEN $1 AND $2 AND ($3 IS NULL OR keys.tenant_id = $3) \
     AND ($4 IS NULL OR keys.kind = $4) ORDER BY o.key_id, o.first_seen_at, o.origin";

struct NoteUses {
    noted: Vec<NotedUse>,
}

impl Job for NoteUses {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let (mut uses, mut origins): (Vec<Value>, Vec<Value>) = (Vec::new(), Vec::new());
        let most = i64::try_from(MOST_ORIGINS).unwrap_or(i64::MAX);
        // In one order, so that two instances never wait for each other.
        let mut noted: Vec<_> = self.noted.iter().collect();
        noted.sort_unstable_by_key(|it| (&it.tenant, &it.key));
        for NotedUse { tenant, key, at, origins: seen } in noted {
            uses.extend([tenant.into(), key.into(), Value::from(*at)]);
            for (origin, at) in seen {
                let row = [tenant.into(), key.into(), origin.into(), Value::from(*at), most.into()];
                origins.extend(row);
            }
        }
        conn.insert(&USES, uses).await?;
        conn.insert(&ORIGINS, origins).await.map(drop)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::NOBODY
    }

    fn forget(&self, _: &mut Stale) {}
}
