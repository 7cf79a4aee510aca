//! The audit, and what is erased beside it: lists and erasures over the wire, `vestibule audit` and
//! `vestibule tenants export|erase` as processes.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::callers::admin;
use crate::cli::Desk;
use crate::database::tamper;
use crate::engine::laid_open;
use crate::keyring::{demo_tenant, make_key, make_tenant};
use crate::process::Process;
use crate::requests::{open_iframe, post};
use crate::service::Service;

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
    let other = ["audit", "verify", "--tenant", "ten_other", "--expect-head", head];
    desk.says(2, &other, "is another tenant's head");

    // The tail and the record of the end together: only the head kept elsewhere tells.
    let entries = chain["entries"].as_i64().expect("a number");
    let cut = format!(
        "DELETE FROM audit WHERE tenant_id = '{tenant}' AND sequence = {entries};
         UPDATE audit_chains SET sequence = sequence - 1, hash = (SELECT hash FROM audit
         WHERE tenant_id = '{tenant}' AND sequence = {entries} - 1) WHERE tenant_id = '{tenant}';"
    );
    unlocked(data.path(), &["audit_keeps_its_rows", "audit_chains_grow"], &cut);
    desk.says(0, &["audit", "verify"], "hold");
    let expecting = desk.run(&["audit", "verify", "--expect-heads", "heads"]);
    assert_eq!(expecting.code, 1, "{}", expecting.out);
    let says = format!("BROKEN  {tenant} at entry {entries}: truncated: the chain had {entries}");
    assert!(expecting.out.contains(&says), "{}", expecting.out);

    let altered =
        format!("UPDATE audit SET actor = 'nobody' WHERE tenant_id = '{tenant}' AND sequence = 2;");
    unlocked(data.path(), &["audit_keeps_its_words"], &altered);
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

#[tokio::test]
async fn the_list_is_filtered_and_paged_latest_first() {
    let service = Service::start(|_| {});
    let (tenant, _) = make_tenant(&service, json!({ "name": "Audited" })).await;
    for label in ["a", "b", "c"] {
        make_key(&service, &tenant, "iframe", json!({ "label": label })).await;
    }
    let list = async |query: &str| {
        let path = format!("/audit?tenantId={tenant}{query}");
        let listed = admin(&service, Method::GET, &path, None).await;
        assert_eq!(listed.status, 200, "{}", listed.text);
        listed.body
    };
    let all = list("").await;
    let sequences = |body: &Value| -> Vec<i64> {
        let items = body["items"].as_array().expect("items").iter();
        items.map(|it| it["sequence"].as_i64().expect("a number")).collect()
    };
    assert_eq!(sequences(&all), [4, 3, 2, 1]);
    assert_eq!(all["items"][0]["previous"], all["items"][1]["hash"]);
    assert_eq!(sequences(&list("&action=key.create&actor=admin").await), [4, 3, 2]);
    assert_eq!(sequences(&list("&since=9007199254740991").await), Vec::<i64>::new());
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = list(&format!("&limit=3{after}")).await;
        seen.extend(sequences(&page));
        let Some(next) = page["next"].as_str() else { break };
        after = format!("&after={next}");
    }
    assert_eq!(seen, [4, 3, 2, 1]);
}

#[tokio::test]
async fn an_erased_user_is_gone_with_every_session_and_named_in_no_file() {
    let service = Service::start(|_| {});
    let (demo, tenant) = (&service.demo.demo, demo_tenant(&service).await);
    let body =
        json!({ "uid": "canary-uid", "srcs": demo.iframe.source_ids, "limits": {"daily": 3} });
    let created = open_iframe(&service.base_url, demo, &body).await;
    assert_eq!(created.status, 200, "{}", created.text);
    let person = json!({ "uid": "canary-uid" });
    let call = async |act: &str| {
        let path = format!("/tenants/{tenant}/{act}");
        admin(&service, Method::POST, &path, Some(person.clone())).await
    };
    let exported = call("export").await;
    assert_eq!(exported.status, 200, "{}", exported.text);
    assert!(exported.text.contains("canary-uid"), "{}", exported.text);
    let erased = call("erase").await;
    let expected = json!({
        "erased": [{"table": "sessions", "rows": 1}, {"table": "uid_usage", "rows": 1}],
        "complete": true,
    });
    assert_eq!(erased.body, expected, "{}", erased.text);
    let key = json!({ "cache_key": created.body["cache_key"] });
    let redeem = format!("{}/api/v1/iframe/token", service.base_url);
    post(&redeem, &[], &key).await.refused(404, "cache_key_not_found");
    assert_eq!(call("erase").await.body, json!({ "erased": [], "complete": true }));
    for name in laid_open(service.data(), &["vestibule.db", "vestibule.db-wal"]) {
        let bytes = std::fs::read(service.data().join(name)).unwrap_or_default();
        let canary = b"canary-uid";
        assert!(!bytes.windows(canary.len()).any(|it| it == canary), "{name}");
    }
    let both = json!({ "uid": "a", "customerId": "b" });
    for (body, pointer, keyword) in [(json!({}), "/uid", "required"), (both, "/customerId", "not")]
    {
        let path = format!("/tenants/{tenant}/erase");
        let refused = admin(&service, Method::POST, &path, Some(body)).await;
        refused.refused(400, "invalid_input");
        assert_eq!(refused.violations()[0].1, pointer, "{}", refused.text);
        assert_eq!(refused.violations()[0].2, keyword, "{}", refused.text);
    }
}

#[test]
fn commands_export_and_erase_a_tenant_that_others_outlive() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let _process = Process::start(data.path(), 0);
    let desk = Desk { data_dir: data.path() };
    let made = desk.json(&["tenants", "create", "Canary and Sons"]);
    let tenant = made["tenant"]["tenantId"].as_str().expect("an id").to_owned();
    let create = ["keys", "create", "--tenant", &tenant, "--kind", "iframe", "--label", "L"];
    desk.json(&create);
    let exported = desk.run(&["tenants", "export", &tenant, "--everything"]);
    assert_eq!(exported.code, 0, "{}", exported.err);
    let tables: Vec<Value> = exported
        .out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["table"].take())
        .collect();
    assert_eq!(tables, ["key_secrets", "keys", "audit", "audit"]);
    assert!(exported.err.contains("4 rows"), "{}", exported.err);
    desk.says(2, &["tenants", "erase", &tenant], "--uid");
    desk.says(2, &["tenants", "erase", &tenant, "--everything"], "add --yes");
    desk.says(0, &["tenants", "erase", &tenant, "--uid", "nobody"], "nothing of it was held");
    desk.says(0, &["tenants", "erase", &tenant, "--everything", "--yes"], "keys         1");
    let listed = desk.json(&["tenants", "list"]).to_string();
    assert!(listed.contains("erasedAt") && !listed.contains("Canary and Sons"), "{listed}");
    desk.says(0, &["audit", "verify"], "hold");
    let unknown = "ten_bbbbbbbbbbbbbbbbbbbbbbbbbb";
    desk.says(1, &["tenants", "erase", unknown, "--uid", "a"], "tenant not found");
}

/// Changes what triggers keep, after taking those away.
fn unlocked(data_dir: &Path, triggers: &[&str], change: &str) {
    let [sqlite, postgres] = [false, true].map(|is_postgres| {
        let drop = |trigger: &&str| {
            let table = if trigger.starts_with("audit_chains_") { "audit_chains" } else { "audit" };
            let on = if is_postgres { format!(" ON {table}") } else { String::new() };
            format!("DROP TRIGGER {trigger}{on}; ")
        };
        triggers.iter().map(drop).collect::<String>() + change
    });
    tamper(data_dir, &sqlite, &postgres);
}
