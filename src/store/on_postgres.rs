//! The store's tests on PostgreSQL, each in a database of its own, and what only PostgreSQL has.
//!
//! They need a server that they may make databases on; without one they fail, because an engine
//! that is not tried is not shown to work.

mod doubt;
mod lossy_link;
mod outage;
mod plans;
mod schema;
mod sharing;
#[allow(clippy::duplicate_mod, reason = "one suite, run on each engine")]
#[path = "tests/mod.rs"]
mod tests;
mod texts;

use std::str::FromStr as _;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use url::Url;

use super::Store;
use crate::domain::database::Database;
use crate::error::Result;
use tests::Tampering;

/// A database of one test's own. It goes with this.
pub(super) struct Place {
    name: String,
}

impl Place {
    async fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("vestibule_store_{}_{number}", std::process::id());
        // The order of a language, as most databases have it: who needs that of bytes must say so.
        let made = format!(
            "CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en' \
             LOCALE 'C.UTF-8'"
        );
        administer(&[made]).await;
        Self { name }
    }

    fn url(&self) -> Url {
        let mut url = server();
        url.set_path(&self.name);
        url
    }

    fn database(&self) -> Database {
        Database::at(self.url().as_str()).expect("an address")
    }

    /// An instance on it; another one each time.
    async fn open(&self) -> Result<Store> {
        Store::open(&self.database()).await
    }

    /// Whether the text is in any row of any table.
    async fn holds(&self, text: &str) -> bool {
        let mut conn = connect(&self.url()).await;
        let tables = "SELECT table_name::text FROM information_schema.tables \
                      WHERE table_schema = 'public'";
        let tables: Vec<String> =
            sqlx::query_scalar(tables).fetch_all(&mut conn).await.expect("tables");
        for table in tables {
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM {table} AS t WHERE strpos(t::text, $1) > 0 \
                 OR strpos(t::text, encode(convert_to($1, 'UTF8'), 'hex')) > 0)"
            );
            let found = sqlx::query_scalar(AssertSqlSafe(sql)).bind(text).fetch_one(&mut conn);
            if found.await.expect("looks") {
                return true;
            }
        }
        false
    }
}

impl Drop for Place {
    /// From a thread of its own: a runtime cannot wait for another.
    fn drop(&mut self) {
        let drop = [format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)];
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(administer(&drop));
        });
        // A test that fails already must not fail twice.
        if dropped.join().is_err() && !std::thread::panicking() {
            panic!("the database {} cannot be dropped", self.name);
        }
    }
}

/// Where databases can be made.
fn server() -> Url {
    Url::parse(&told("VESTIBULE_TEST_POSTGRES")).expect("an address")
}

/// What the test run says of the machine.
fn told(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!("{variable} is not set: run `cargo xtask test`, or set it as `cargo xtask tools` prints it")
    })
}

async fn connect(url: &Url) -> sqlx::PgConnection {
    let options = PgConnectOptions::from_str(url.as_str()).expect("an address");
    options.disable_statement_logging().connect().await.expect("the server answers")
}

async fn administer(statements: &[String]) {
    let mut conn = connect(&server()).await;
    for statement in statements {
        let statement = AssertSqlSafe(statement.as_str());
        sqlx::raw_sql(statement).execute(&mut conn).await.expect("a statement of ours");
    }
    conn.close().await.expect("closes");
}

/// Table, column, type and whether it may be null, of all tables that are the store's.
const COLUMNS: &str = "SELECT table_name::text, column_name::text, upper(data_type::text), \
     CASE WHEN is_nullable = 'NO' THEN 1 ELSE 0 END FROM information_schema.columns \
     WHERE table_schema = 'public' AND table_name NOT LIKE '\\_sqlx%'";

/// Table and columns of each index, whether it is unique, and whether it holds some rows alone.
const INDEXES: &str = "SELECT t.relname::text, \
     (SELECT string_agg(a.attname::text, ',' ORDER BY k.n) \
     FROM unnest(i.indkey::int2[]) WITH ORDINALITY AS k (attnum, n) \
     JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum), \
     CASE WHEN i.indisunique THEN 'unique' ELSE '' END, CASE WHEN i.indpred IS NULL THEN 0 ELSE 1 END \
     FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid \
     JOIN pg_namespace AS n ON n.oid = t.relnamespace \
     WHERE n.nspname = 'public' AND t.relname NOT LIKE '\\_sqlx%'";

/// As many processes as may begin on one database at once in a test; each takes connections.
const FIRST_STARTS: u8 = 40;

/// What somebody may do to the audit who has the whole database.
const TAMPERING: Tampering = Tampering {
    unlock: &[
        "DROP TRIGGER audit_keeps_its_rows ON audit",
        "DROP TRIGGER audit_keeps_its_words ON audit",
        "DROP TRIGGER audit_chains_stay ON audit_chains",
        "DROP TRIGGER audit_chains_grow ON audit_chains",
    ],
    of_an_entry: &[
        "UPDATE audit SET previous = decode(repeat('00', 31) || '01', 'hex') WHERE position = $1",
        "UPDATE audit SET hash = sha256(hash) WHERE position = $1",
        "UPDATE audit SET hash = decode('00', 'hex') WHERE position = $1",
    ],
    of_an_end: &["UPDATE audit_chains SET hash = sha256(hash) WHERE tenant_id = 'ten_b'"],
};
