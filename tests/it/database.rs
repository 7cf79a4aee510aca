//! The database beside a service, for tests that read what no operation tells or break what no
//! operation breaks.
//!
//! Through Python or `psql`, so that neither the store's code nor its SQLite vouches for itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::engine::{is_postgres, psql};
use crate::tools::python;

/// The rows that one query gives, with `values` bound to its `?`.
pub fn query(data_dir: &Path, sql: &str, values: &[&str]) -> Vec<Vec<Value>> {
    if is_postgres() {
        let rows = format!(
            "SELECT coalesce(json_agg((SELECT json_agg(cell.value) \
             FROM json_each(row_to_json(answer)) AS cell)), '[]') FROM ({}) AS answer",
            numbered(sql)
        );
        return serde_json::from_str(&psql(data_dir, &rows, values)).expect("JSON");
    }
    let program = "rows = db.execute(sys.argv[2], sys.argv[3:]).fetchall(); \
                   print(json.dumps(rows))";
    let told = run_python(program, data_dir, &[&[sql], values].concat());
    serde_json::from_slice(&told).expect("JSON")
}

/// Runs one statement with `values` bound to its `?`; what it changes is committed.
pub fn change(data_dir: &Path, sql: &str, values: &[&str]) {
    if is_postgres() {
        psql(data_dir, &numbered(sql), values);
        return;
    }
    let program = "db.execute(sys.argv[2], sys.argv[3:]); db.commit()";
    run_python(program, data_dir, &[&[sql], values].concat());
}

/// Runs statements as somebody who has the database and no scruples: those of SQLite or those of
/// PostgreSQL.
pub fn tamper(data_dir: &Path, sqlite: &str, postgres: &str) {
    if is_postgres() {
        psql(data_dir, postgres, &[]);
        return;
    }
    run_python("db.executescript(sys.argv[2]); db.commit()", data_dir, &[sqlite]);
}

/// How many rows each of these tables has, all at one instant.
pub fn counts(data_dir: &Path, tables: &[&str]) -> BTreeMap<String, i64> {
    let one = |table: &&str| format!("SELECT '{table}', COUNT(*) FROM {table}");
    let sql = tables.iter().map(one).collect::<Vec<_>>().join(" UNION ALL ");
    let counted = query(data_dir, &sql, &[]).into_iter().map(|row| {
        let name = row[0].as_str().expect("a name").to_owned();
        (name, row[1].as_i64().expect("a number"))
    });
    counted.collect()
}

/// A statement with `:'v1'`, `:'v2'`… in the places of its `?`, as `psql` has it.
fn numbered(sql: &str) -> String {
    let mut parts = sql.split('?');
    let first = parts.next().unwrap_or_default().to_owned();
    let rest = parts.enumerate().map(|(at, part)| format!(":'v{}'{part}", at + 1));
    first + &rest.collect::<String>()
}

fn run_python(program: &str, data_dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let program =
        format!("import json, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); {program}");
    let mut command = Command::new(python());
    command.args(["-c", &program]).arg(data_dir.join("vestibule.db")).args(arguments);
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
