//! Filling a database with sessions faster than any service opens them: by statements that copy a
//! real session of each door, with everything that is its own drawn anew.
//!
//! Sessions and conversations, with all their indexes. Not copied: the audit and used signatures,
//! which a create only appends to. Knows the names of the columns that differ between sessions; what
//! else a table has is copied as it is.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, SqliteConnection};
use vestibule::context::Clock;

/// Rows of one statement.
const SLICE: u64 = 100_000;
/// Sessions are spread over this time until now, milliseconds: none is old enough to be removed.
const SPAN_MS: u64 = 20 * 3_600_000;
/// The users that the sessions are of.
const USERS: u64 = 1_000_000;

/// Adds sessions until there are as many. Returns the size of the file, bytes.
///
/// # Panics
/// When the database is in use or has no session of each door.
pub async fn fill(file: &Path, sessions: u64) -> u64 {
    // Nothing of this has to outlive a crash.
    let options = SqliteConnectOptions::new()
        .filename(file)
        .journal_mode(SqliteJournalMode::Off)
        .synchronous(SqliteSynchronous::Off)
        .pragma("cache_size", "-3000000")
        .pragma("locking_mode", "exclusive");
    let mut conn = options.connect().await.expect("the database is free");
    let there: i64 = sqlx::query_scalar("SELECT count(*) FROM sessions")
        .fetch_one(&mut conn)
        .await
        .expect("it is a database of the service");
    let there = u64::try_from(there).expect("a count");
    run(&mut conn, TEMPLATES).await;
    let started = Clock::default().now_ms().unsigned_abs() - SPAN_MS;
    let at = format!("({started} + n * {SPAN_MS} / {sessions})");
    let session = copy(&mut conn, "sessions", |column| of_session(column, &at)).await;
    let conversation = copy(&mut conn, "conversations", of_conversation).await;
    let mut done = there;
    while done < sessions {
        let last = sessions.min(done + SLICE);
        let numbers = format!(
            "WITH RECURSIVE numbers (n) AS (
                 SELECT {done} UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < {last})"
        );
        run(&mut conn, &slice(&numbers, &session, &conversation)).await;
        if last * 10 / sessions > done * 10 / sessions && sessions > SLICE {
            eprintln!("filled {last} of {sessions}");
        }
        done = last;
    }
    run(&mut conn, "PRAGMA journal_mode = WAL").await;
    conn.close().await.expect("it is whole");
    std::fs::metadata(file).expect("it is there").len()
}

/// Adds the sessions with these numbers, and the conversations of those that have one.
fn slice(numbers: &str, session: &str, conversation: &str) -> String {
    format!(
        "BEGIN;
         CREATE TEMP TABLE latest AS SELECT max(rowid) AS session FROM sessions;
         {numbers} {session}
             FROM numbers CROSS JOIN session_templates AS t ON t.door = n % 3;
         {conversation} FROM latest CROSS JOIN sessions AS s ON s.rowid > latest.session
             CROSS JOIN conversation_template AS t WHERE s.surface = 'chat';
         DROP TABLE latest;
         COMMIT"
    )
}

/// One session of each door, and a conversation.
const TEMPLATES: &str = "
CREATE TEMP TABLE session_templates AS
    SELECT row_number() OVER () - 1 AS door, * FROM sessions
    WHERE session_id IN (SELECT max(session_id) FROM sessions GROUP BY surface);
CREATE TEMP TABLE conversation_template AS SELECT * FROM conversations LIMIT 1;
";

/// The beginning of a statement that copies rows `t`, as far as `own` says nothing of a column.
async fn copy(
    conn: &mut SqliteConnection,
    table: &str,
    own: impl Fn(&str) -> Option<String>,
) -> String {
    let columns: Vec<String> = sqlx::query_scalar("SELECT name FROM pragma_table_info(?)")
        .bind(table)
        .fetch_all(conn)
        .await
        .expect("the table is there");
    let copied = columns.iter().map(|it| own(it).unwrap_or_else(|| format!("t.{it}")));
    let values = copied.collect::<Vec<_>>().join(", ");
    format!("INSERT INTO {table} ({}) SELECT {values}", columns.join(", "))
}

/// What of the session number `n`, opened `at`, is its own.
fn of_session(column: &str, at: &str) -> Option<String> {
    // Of 26 digits the first 9 are the time: see `domain::base32`.
    let time = (0..9).rev().map(|place| digit(&format!("({at} >> {})", 5 * place)));
    let noise = |count: usize| vec![digit("random()"); count].join(" || ");
    let time = time.collect::<Vec<_>>().join(" || ");
    Some(match column {
        "session_id" => format!("'ses_' || {time} || {}", noise(17)),
        "token_id" => format!("'tok_' || {}", noise(26)),
        "subject" => format!(
            "substr(t.subject, 1, instr(t.subject, ':')) || 'stored-' || abs(random() % {USERS})"
        ),
        // A version 7 UUID as `Ids::uuid_at` draws them, as far as an index is concerned.
        "chat" => format!(
            "iif(t.chat IS NULL, NULL, printf('%08x-%04x-7', {at} >> 16, {at} & 65535) \
             || substr(lower(hex(randomblob(11))), 1, 21))"
        ),
        "issued_at" => at.to_owned(),
        "expires_at" => format!("{at} + t.expires_at - t.issued_at"),
        "cache_key_hash" => "iif(t.cache_key_hash IS NULL, NULL, randomblob(32))".to_owned(),
        _ => return None,
    })
}

/// What of the conversation of the session `s` is its own.
fn of_conversation(column: &str) -> Option<String> {
    Some(match column {
        "conversation_id" => "s.chat".to_owned(),
        "customer_id" => "substr(s.subject, instr(s.subject, ':') + 1)".to_owned(),
        "opened_at" => "s.issued_at".to_owned(),
        _ => return None,
    })
}

/// The base32 digit of the last five bits of a number.
fn digit(number: &str) -> String {
    format!("substr('234567abcdefghijklmnopqrstuvwxyz', 1 + ({number} & 31), 1)")
}

async fn run(conn: &mut SqliteConnection, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await;
    done.unwrap_or_else(|bad| panic!("{sql}: {bad}"));
}
