//! Sessions in SQLite or PostgreSQL. On SQLite an opening is a transaction of its inserts on the one
//! connection that writes; on PostgreSQL it is one statement, so one round trip and one commit.

use std::str::FromStr as _;

use serde_json::Value;
use sqlx::postgres::{PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{Sqlite, Transaction};

/// Connections that read SQLite, and all connections to PostgreSQL.
const READERS: u32 = 4;
const CONNECTIONS: u32 = 16;

/// A database with its tables.
pub enum Store {
    Sqlite { writer: SqlitePool, readers: SqlitePool },
    Postgres(PgPool),
}

/// One session to be opened, with what belongs to its door.
pub struct Opening<'a> {
    pub id: &'a str,
    pub surface: &'static str,
    pub key: &'a str,
    pub subject: Option<String>,
    pub issued_at: i64,
    pub expires_at: i64,
    pub granted: String,
    pub cache_key: Option<&'a str>,
    pub replay: Option<Replay>,
    pub conversation: Option<Conversation>,
    pub limits: Option<Limits>,
}

/// A signature that opens nothing else.
pub struct Replay {
    pub mac: Vec<u8>,
    pub expires_at: i64,
}

pub struct Conversation {
    pub id: String,
    pub customer: Option<String>,
    pub locale: Option<String>,
    pub variables: String,
}

/// How often a user may ask.
pub struct Limits {
    pub uid: String,
    pub limits: Value,
}

/// A session that is in time and not revoked.
#[derive(sqlx::FromRow)]
pub struct Live {
    pub expires_at: i64,
    pub granted: String,
}

impl<'a> Opening<'a> {
    pub fn of(id: &'a str, now_ms: i64, ttl_s: i64, granted: &Value) -> Self {
        Self {
            id,
            surface: "",
            key: "",
            subject: None,
            issued_at: now_ms,
            expires_at: now_ms + 1_000 * ttl_s,
            granted: granted.to_string(),
            cache_key: None,
            replay: None,
            conversation: None,
            limits: None,
        }
    }
}

impl Store {
    pub async fn open(url: &str) -> sqlx::Result<Self> {
        if url.starts_with("postgres:") {
            let pool = PgPoolOptions::new().max_connections(CONNECTIONS).connect(url).await?;
            let tables = TABLES.replace("BLOB", "BYTEA").replace("INTEGER", "BIGSERIAL");
            sqlx::raw_sql(sqlx::AssertSqlSafe(tables)).execute(&pool).await?;
            return Ok(Self::Postgres(pool));
        }
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full);
        // Two that write would only wait for each other.
        let pool = |most| SqlitePoolOptions::new().max_connections(most).test_before_acquire(false);
        let writer = pool(1).connect_with(options.clone()).await?;
        sqlx::raw_sql(TABLES).execute(&writer).await?;
        let readers = pool(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self::Sqlite { writer, readers })
    }

    pub async fn open_session(&self, opening: Opening<'_>) -> sqlx::Result<()> {
        match self {
            Self::Sqlite { writer, .. } => {
                let mut transaction = writer.begin().await?;
                insert_of_door(&mut transaction, &opening).await?;
                insert(&mut transaction, &opening).await?;
                transaction.commit().await
            }
            Self::Postgres(pool) => insert_at_once(pool, &opening).await,
        }
    }

    pub async fn live(&self, id: &str, now_ms: i64) -> sqlx::Result<Option<Live>> {
        const SQL: &str = "SELECT expires_at, granted FROM sessions \
                           WHERE id = $1 AND expires_at > $2 AND revoked_at IS NULL";
        match self {
            Self::Sqlite { readers, .. } => {
                sqlx::query_as(SQL).bind(id).bind(now_ms).fetch_optional(readers).await
            }
            Self::Postgres(pool) => {
                sqlx::query_as(SQL).bind(id).bind(now_ms).fetch_optional(pool).await
            }
        }
    }
}

const TABLES: &str = include_str!("../tables.sql");

/// Writes what belongs to the session's door.
async fn insert_of_door(
    transaction: &mut Transaction<'_, Sqlite>,
    opening: &Opening<'_>,
) -> sqlx::Result<()> {
    if let Some(Replay { mac, expires_at }) = &opening.replay {
        sqlx::query("INSERT INTO replays (mac, expires_at) VALUES ($1, $2)")
            .bind(mac)
            .bind(expires_at)
            .execute(&mut **transaction)
            .await?;
    }
    if let Some(Conversation { id, customer, locale, variables }) = &opening.conversation {
        sqlx::query(
            "INSERT INTO conversations (id, customer, locale, variables, opened_at) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(id)
        .bind(customer)
        .bind(locale)
        .bind(variables)
        .bind(opening.issued_at)
        .execute(&mut **transaction)
        .await?;
    }
    if let Some(Limits { uid, limits }) = &opening.limits {
        sqlx::query(
            "INSERT INTO limits (uid, limits) VALUES ($1, $2) \
             ON CONFLICT (uid) DO UPDATE SET limits = excluded.limits",
        )
        .bind(uid)
        .bind(limits.to_string())
        .execute(&mut **transaction)
        .await?;
    }
    Ok(())
}

/// Writes what every session has.
async fn insert(
    transaction: &mut Transaction<'_, Sqlite>,
    opening: &Opening<'_>,
) -> sqlx::Result<()> {
    sqlx::query(
        "INSERT INTO sessions (id, surface, key, subject, issued_at, expires_at, cache_key, granted) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
    )
    .bind(opening.id)
    .bind(opening.surface)
    .bind(opening.key)
    .bind(&opening.subject)
    .bind(opening.issued_at)
    .bind(opening.expires_at)
    .bind(opening.cache_key)
    .bind(&opening.granted)
    .execute(&mut **transaction)
    .await?;
    sqlx::query(
        "INSERT INTO audit (happened_at, actor, action, target, subject) \
         VALUES ($1, $2, 'session.open', $3, $4)",
    )
    .bind(opening.issued_at)
    .bind(opening.key)
    .bind(opening.id)
    .bind(&opening.subject)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// What [`insert_of_door`] and [`insert`] do, as one statement: the part of the door, then what every door writes.
async fn insert_at_once(pool: &PgPool, opening: &Opening<'_>) -> sqlx::Result<()> {
    const COMMON: &str = "session AS (INSERT INTO sessions \
        (id, surface, key, subject, issued_at, expires_at, cache_key, granted) \
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)) \
        INSERT INTO audit (happened_at, actor, action, target, subject) \
        VALUES ($5, $3, 'session.open', $1, $4)";
    let own = match (&opening.replay, &opening.conversation, &opening.limits) {
        (Some(_), _, _) => {
            "WITH replay AS (INSERT INTO replays (mac, expires_at) VALUES ($9, $10)), "
        }
        (None, Some(_), _) => {
            "WITH conversation AS (INSERT INTO conversations \
             (id, customer, locale, variables, opened_at) VALUES ($9, $10, $11, $12, $5)), "
        }
        (None, None, Some(_)) => {
            "WITH limited AS (INSERT INTO limits (uid, limits) VALUES ($9, $10) \
             ON CONFLICT (uid) DO UPDATE SET limits = excluded.limits), "
        }
        (None, None, None) => "WITH ",
    };
    let mut query = sqlx::query(sqlx::AssertSqlSafe(format!("{own}{COMMON}")))
        .bind(opening.id)
        .bind(opening.surface)
        .bind(opening.key)
        .bind(&opening.subject)
        .bind(opening.issued_at)
        .bind(opening.expires_at)
        .bind(opening.cache_key)
        .bind(&opening.granted);
    if let Some(Replay { mac, expires_at }) = &opening.replay {
        query = query.bind(mac).bind(expires_at);
    }
    if let Some(Conversation { id, customer, locale, variables }) = &opening.conversation {
        query = query.bind(id).bind(customer).bind(locale).bind(variables);
    }
    if let Some(Limits { uid, limits }) = &opening.limits {
        query = query.bind(uid).bind(limits.to_string());
    }
    query.execute(pool).await.map(drop)
}
