//! The database file beside a service, for tests that read what no operation tells or break what
//! no operation breaks.
//!
//! Through Python, so that neither the store's code nor its SQLite vouches for itself.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::tools::python;

/// The rows that one statement gives, if any, with `values` bound to its `?`; what it changes is
/// committed.
pub fn query(data_dir: &Path, sql: &str, values: &[&str]) -> Vec<Vec<Value>> {
    let program = "rows = db.execute(sys.argv[2], sys.argv[3:]).fetchall(); \
                   db.commit(); print(json.dumps(rows))";
    let told = run_python(program, data_dir, &[&[sql], values].concat());
    serde_json::from_slice(&told).expect("JSON")
}

/// Runs statements as somebody who has the file and no scruples.
pub fn tamper(data_dir: &Path, sql: &str) {
    run_python("db.executescript(sys.argv[2]); db.commit()", data_dir, &[sql]);
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

fn run_python(program: &str, data_dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let program =
        format!("import json, sqlite3, sys; db = sqlite3.connect(sys.argv[1]); {program}");
    let mut command = Command::new(python());
    command.args(["-c", &program]).arg(data_dir.join("vestibule.db")).args(arguments);
    let output = command.output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
