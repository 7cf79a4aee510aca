//! The audit: `vestibule audit verify|tail` as processes, on the data directory of a service.

use std::process::Command;

use serde_json::{Value, json};

use crate::cli::Desk;
use crate::process::Process;
use crate::requests::open_iframe;
use crate::tools::python;

/// Runs statements on the database as somebody who has the file and no scruples.
fn tamper(data: &std::path::Path, sql: &str) {
    let script = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); \
                  c.executescript(sys.argv[2]); c.commit()";
    let file = data.join("vestibule.db");
    let done = Command::new(python()).args(["-c", script]).arg(file).arg(sql).status();
    assert!(done.expect("Python runs").success());
}

#[tokio::test(flavor = "multi_thread")]
async fn verify_finds_what_somebody_changed_in_the_file() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let demo = &process.demo.demo;
    let body = json!({ "uid": "canary-uid", "srcs": demo.iframe.source_ids });
    let opened = open_iframe(&process.base_url, demo, &body).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let desk = Desk { data_dir: data.path() };
    desk.says(0, &["audit", "verify"], "hold; keep these heads elsewhere for --expect-head");
    let whole = desk.json(&["audit", "verify"]);
    assert_eq!(whole["holds"], true, "{whole}");
    let keys = desk.json(&["keys", "list", "--kind", "iframe"]);
    let tenant = keys["items"][0]["tenantId"].as_str().expect("a tenant");
    let chains = whole["chains"].as_array().expect("chains");
    let chain = chains.iter().find(|it| it["tenantId"] == tenant).expect("its chain");
    let head = chain["head"].as_str().expect("a head");
    desk.says(0, &["audit", "verify", "--tenant", tenant, "--expect-head", head], head);
    std::fs::write(data.path().join("heads"), format!("{head}\n")).expect("it is ours");
    desk.says(0, &["audit", "verify", "--expect-heads", "heads"], head);
    desk.says(2, &["audit", "verify", "--expect-head", "nonsense"], "tenant:sequence:hash");
    desk.says(2, &["audit", "verify", "--expect-heads", "nowhere"], "cannot be read");

    // The tail and the record of the end together: only the head kept elsewhere tells.
    let entries = chain["entries"].as_i64().expect("a number");
    let cut = format!(
        "DROP TRIGGER audit_keeps_its_rows; DROP TRIGGER audit_chains_grow;
         DELETE FROM audit WHERE tenant_id = '{tenant}' AND sequence = {entries};
         UPDATE audit_chains SET sequence = sequence - 1, hash = (SELECT hash FROM audit
         WHERE tenant_id = '{tenant}' AND sequence = {entries} - 1) WHERE tenant_id = '{tenant}';"
    );
    tamper(data.path(), &cut);
    desk.says(0, &["audit", "verify"], "hold");
    let expecting = desk.run(&["audit", "verify", "--expect-heads", "heads"]);
    assert_eq!(expecting.code, 1, "{}", expecting.out);
    let says = format!("BROKEN  {tenant} at entry {entries}: truncated: the chain had {entries}");
    assert!(expecting.out.contains(&says), "{}", expecting.out);

    let altered = format!(
        "DROP TRIGGER audit_keeps_its_words; UPDATE audit SET actor = 'nobody' \
         WHERE tenant_id = '{tenant}' AND sequence = 2;"
    );
    tamper(data.path(), &altered);
    desk.says(1, &["audit", "verify", "--tenant", tenant], "1 of 1 chains do not hold");
    let ended = desk.run(&["audit", "verify", "--json"]);
    assert_eq!(ended.code, 1);
    let broken = ended.json();
    let chains = broken["chains"].as_array().expect("chains");
    let chain = chains.iter().find(|it| it["tenantId"] == tenant).expect("its chain");
    assert_eq!(chain["broken"]["sequence"], 2, "{broken}");
    assert!(chain["broken"]["problem"].as_str().is_some_and(|it| it.starts_with("altered")));
}

#[tokio::test(flavor = "multi_thread")]
async fn tail_shows_the_latest_that_fit_without_anybody_in_clear() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let process = Process::start(data.path(), 0);
    let demo = &process.demo.demo;
    for _ in 0..3 {
        let body = json!({ "uid": "canary-uid", "srcs": demo.iframe.source_ids });
        assert_eq!(open_iframe(&process.base_url, demo, &body).await.status, 200);
    }
    let desk = Desk { data_dir: data.path() };
    desk.says(0, &["audit", "tail", "--action", "session.open"], "ACTION");
    desk.says(0, &["audit", "tail", "--actor", "nobody"], "no entry fits");
    let ended = desk.run(&["audit", "tail", "--action", "session.open", "-n", "2", "--json"]);
    let lines: Vec<Value> =
        ended.out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 2, "{}", ended.out);
    assert_eq!(lines[1]["sequence"].as_i64(), lines[0]["sequence"].as_i64().map(|n| n + 1));
    assert_eq!(lines[0]["subject"], lines[1]["subject"]);
    assert!(lines[0]["subject"].as_str().is_some_and(|it| it.starts_with("sub_")), "{}", ended.out);
    assert_eq!(lines[1]["previous"], lines[0]["hash"]);
    assert!(!ended.out.contains("canary"), "{}", ended.out);
}
