//! Keys of all kinds, found by what a caller shows, by id, or in pages.

use std::sync::Arc;

use super::engine::{Connection, Failure, to_json};
use super::idempotency::{Once, Receipt};
use super::locks::Reach;
use super::stale::{Stale, What};
use super::writer::Job;
use super::{Store, audit, key_rows, tenants};
use crate::domain::key::{Kept, Key, KeyKind, KeyState};
use crate::domain::key_update::{self, KeyChange};
use crate::domain::session::AuditEntry;
use crate::error::{Error, Result, Thing};

impl Store {
    /// The key that a caller's credential finds; `Revoked` when its tenant is revoked. At most a
    /// second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key_by_lookup(&self, lookup: &str) -> Result<Option<Arc<Key>>> {
        let read = async {
            let rows = self.readers.fetch(key_rows::BY_LOOKUP, vec![lookup.into()]).await?;
            Ok(key_rows::keys(rows)?.pop())
        };
        self.caches.keys_by_lookup.through("", lookup, read).await
    }

    /// A tenant's key, for instance that of a session. At most a second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key(&self, tenant: &str, id: &str) -> Result<Option<Arc<Key>>> {
        let read = async {
            let name = vec![tenant.into(), id.into()];
            Ok(key_rows::keys(self.readers.fetch(key_rows::BY_NAME, name).await?)?.pop())
        };
        self.caches.keys.through(tenant, id, read).await
    }

    /// A key by its id alone, for operators. As of now.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn key_by_id(&self, id: &str) -> Result<Option<Key>> {
        let rows = self.readers.fetch(key_rows::BY_ID, vec![id.into()]).await?;
        Ok(key_rows::keys(rows)?.pop())
    }

    /// At most `limit` keys with ids beyond `after`, by id; of one tenant or kind when given.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn list_keys(
        &self,
        tenant: Option<&str>,
        kind: Option<KeyKind>,
        after: Option<&str>,
        limit: u32,
    ) -> Result<Vec<Key>> {
        let values = vec![
            after.unwrap_or_default().into(),
            tenant.into(),
            kind.map(KeyKind::name).into(),
            i64::from(limit).into(),
        ];
        Ok(key_rows::keys(self.readers.fetch(key_rows::PAGE, values).await?)?)
    }

    /// The origin patterns of all active keys of a kind and of living tenants, each once. At most a
    /// second old.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn enabled_origins(&self, kind: KeyKind) -> Result<Arc<Vec<String>>> {
        let name = kind.name();
        let read = async {
            let mut origins = Vec::new();
            for mut row in self.readers.fetch(key_rows::ENABLED_ORIGINS, vec![name.into()]).await? {
                origins.extend(row.json::<Vec<String>>(0)?);
            }
            origins.sort_unstable();
            origins.dedup();
            Ok(Some(origins))
        };
        Ok(self.caches.origins.through("", name, read).await?.unwrap_or_default())
    }

    /// The origin patterns of the key that opened an assistant's session; none when the key does
    /// not work or there is no such session.
    ///
    /// # Errors
    /// `Unavailable` when the database does not answer.
    pub async fn page_origins(&self, session: &str) -> Result<Vec<String>> {
        let row = self.readers.fetch(key_rows::PAGE_ORIGINS, vec![session.into()]).await?.pop();
        let origins = row.map(|mut row| row.json(0)).transpose()?;
        Ok(origins.unwrap_or_default())
    }

    /// Makes a key with its secrets.
    ///
    /// # Errors
    /// `NotFound` when the tenant is not there or revoked; `Internal` when the id or the lookup is
    /// taken; `Answered` when what the receipt names took effect before.
    pub async fn create_key(
        &self,
        key: Key,
        audit: AuditEntry,
        receipt: Option<Receipt<()>>,
    ) -> Result<()> {
        self.writer.run(Once::new(CreateKey { key, audit }, receipt)).await
    }

    /// Makes a key or replaces everything it is, its secrets too. For the demo keys.
    ///
    /// # Errors
    /// As [`Store::create_key`], but the id may be taken by the same tenant's key.
    pub async fn put_key(&self, key: Key, audit: AuditEntry) -> Result<()> {
        self.writer.run(PutKey { key, audit }).await
    }

    /// Makes `change` of a key; the key as it then is. A change that changes nothing leaves no
    /// audit row. Takes no look at the cache: two changes at once are both made.
    ///
    /// # Errors
    /// `NotFound` when there is no such key or it is revoked; `Rules` as [`key_update::updated`].
    pub async fn update_key(
        &self,
        tenant: &str,
        id: &str,
        change: KeyChange,
        audit: AuditEntry,
    ) -> Result<Key> {
        self.writer.run(UpdateKey { tenant: tenant.into(), id: id.into(), change, audit }).await
    }

    /// Gives a key the lookup and the credentials of `rotated`, when its newest generation is still
    /// `newest`; `None`, and nothing is written, when somebody else was faster.
    ///
    /// # Errors
    /// `Answered` when what the receipt names took effect before.
    pub async fn rotate_key(
        &self,
        rotated: Key,
        newest: i64,
        audit: AuditEntry,
        receipt: Option<Receipt<Key>>,
    ) -> Result<Option<Key>> {
        let job = RotateKey { rotated, newest, audit };
        self.writer.run(Once::if_written(job, receipt)).await
    }

    /// Pauses, resumes or revokes a key; the key as it then is. A revoked key stays revoked:
    /// revoking it again changes nothing.
    ///
    /// # Errors
    /// `NotFound` when there is no such key, or it is revoked and should be anything else.
    pub async fn set_key_state(
        &self,
        tenant: &str,
        id: &str,
        state: KeyState,
        audit: AuditEntry,
    ) -> Result<Key> {
        self.writer.run(SetKeyState { tenant: tenant.into(), id: id.into(), state, audit }).await
    }
}

struct CreateKey {
    key: Key,
    audit: AuditEntry,
}

impl Job for CreateKey {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        tenants::require(conn, &self.key.tenant).await?;
        insert(conn, key_rows::INSERT, &self.key).await?;
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.key.tenant)
    }

    /// A new key may bring a new origin.
    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Origins);
    }
}

struct PutKey {
    key: Key,
    audit: AuditEntry,
}

impl Job for PutKey {
    type Answer = ();

    async fn run(&self, conn: &mut Connection) -> Result<(), Failure> {
        let Key { tenant, id, .. } = &self.key;
        tenants::require(conn, tenant).await?;
        conn.execute(key_rows::DELETE_SECRETS, vec![tenant.into(), id.into()]).await?;
        insert(conn, key_rows::UPSERT, &self.key).await?;
        audit::insert(conn, [&self.audit]).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.key.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

async fn insert(conn: &mut Connection, sql: &'static str, key: &Key) -> Result<(), Failure> {
    let values = vec![
        key.tenant.as_str().into(),
        key.id.as_str().into(),
        key.lookup.as_str().into(),
        key.kind().name().into(),
        key.label.as_str().into(),
        key.state.name().into(),
        key_rows::settings_json(&key.settings)?.into(),
        to_json(&key.allowed_origins)?.into(),
        key.created_at.into(),
        key.mode.name().into(),
        key.idle_timeout_s.map(i64::from).into(),
        key.max_lifetime_s.map(i64::from).into(),
        key_rows::ceilings_json(key.ceilings)?.into(),
    ];
    conn.execute(sql, values).await?;
    insert_secrets(conn, key).await
}

async fn insert_secrets(conn: &mut Connection, key: &Key) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for secret in &key.secrets {
        let (sealed, lookup) = match &secret.kept {
            Kept::Sealed(sealed) => (Some(sealed.0.as_slice()), None),
            Kept::Lookup(lookup) => (None, Some(lookup.as_str())),
        };
        rows.extend([
            key.tenant.as_str().into(),
            key.id.as_str().into(),
            secret.generation.into(),
            sealed.into(),
            lookup.into(),
            secret.created_at.into(),
            secret.not_after.into(),
        ]);
    }
    conn.insert(&key_rows::SECRETS, rows).await.map(drop)
}

struct SetKeyState {
    tenant: String,
    id: String,
    state: KeyState,
    audit: AuditEntry,
}

impl Job for SetKeyState {
    type Answer = Key;

    async fn run(&self, conn: &mut Connection) -> Result<Key, Failure> {
        let Self { tenant, id, state, .. } = self;
        let not_found = || Failure::Refused(Error::NotFound(Thing::Key));
        let sql = "UPDATE keys SET state = $3 \
                   WHERE tenant_id = $1 AND key_id = $2 AND state <> 'revoked'";
        let values = vec![tenant.into(), id.into(), state.name().into()];
        let changed = conn.execute(sql, values).await? > 0;
        let key = by_name(conn, tenant, id).await?.ok_or_else(not_found)?;
        if !changed {
            return if *state == KeyState::Revoked { Ok(key) } else { Err(not_found()) };
        }
        audit::insert(conn, [&self.audit]).await?;
        Ok(key)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

struct UpdateKey {
    tenant: String,
    id: String,
    change: KeyChange,
    audit: AuditEntry,
}

impl Job for UpdateKey {
    type Answer = Key;

    async fn run(&self, conn: &mut Connection) -> Result<Key, Failure> {
        let before = by_name(conn, &self.tenant, &self.id).await?;
        let before = before.filter(|key| key.state != KeyState::Revoked);
        let before = before.ok_or(Failure::Refused(Error::NotFound(Thing::Key)))?;
        let after = key_update::updated(&before, &self.change).map_err(Failure::Refused)?;
        let changed = key_update::difference(&before, &after);
        if changed.is_empty() {
            return Ok(after);
        }
        let values = vec![
            after.tenant.as_str().into(),
            after.id.as_str().into(),
            after.label.as_str().into(),
            key_rows::settings_json(&after.settings)?.into(),
            to_json(&after.allowed_origins)?.into(),
            after.idle_timeout_s.map(i64::from).into(),
            after.max_lifetime_s.map(i64::from).into(),
            key_rows::ceilings_json(after.ceilings)?.into(),
        ];
        conn.execute(key_rows::UPDATE, values).await?;
        audit::insert(conn, [&self.audit.clone().with("changed", changed)]).await?;
        Ok(after)
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

struct RotateKey {
    rotated: Key,
    newest: i64,
    audit: AuditEntry,
}

impl Job for RotateKey {
    type Answer = Option<Key>;

    async fn run(&self, conn: &mut Connection) -> Result<Option<Key>, Failure> {
        let Key { tenant, id, lookup, .. } = &self.rotated;
        let values = vec![tenant.into(), id.into(), lookup.into(), self.newest.into()];
        if conn.execute(key_rows::ROTATE, values).await? == 0 {
            return Ok(None);
        }
        conn.execute(key_rows::DELETE_SECRETS, vec![tenant.into(), id.into()]).await?;
        insert_secrets(conn, &self.rotated).await?;
        audit::insert(conn, [&self.audit]).await?;
        by_name(conn, tenant, id).await
    }

    fn reach(&self) -> Reach<'_> {
        Reach::tenant(&self.rotated.tenant)
    }

    fn forget(&self, stale: &mut Stale) {
        stale.add(What::Keys);
    }
}

async fn by_name(conn: &mut Connection, tenant: &str, id: &str) -> Result<Option<Key>, Failure> {
    let rows = conn.fetch(key_rows::BY_NAME, vec![tenant.into(), id.into()]).await?;
    Ok(key_rows::keys(rows)?.pop())
}
