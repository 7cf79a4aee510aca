//! Findings for programs, as one object.

use serde_json::{Value, json};

use super::Report;
use crate::document::Finding;

/// `findings`, `silenced` and `files`.
pub fn json(report: &Report) -> Value {
    let silenced = report.silenced.iter().map(|(finding, reason)| {
        let mut value = one(finding);
        value["silenced"] = json!(reason);
        value
    });
    json!({
        "files": report.files,
        "findings": report.findings.iter().map(one).collect::<Vec<_>>(),
        "silenced": silenced.collect::<Vec<_>>(),
    })
}

/// A finding about a file as a whole has no position.
fn one(finding: &Finding) -> Value {
    let mut value = json!({
        "file": finding.file,
        "rule": finding.rule.name,
        "message": finding.message,
        "help": finding.help,
        "reason": finding.rule.reason,
        "remedy": finding.rule.remedy,
    });
    if finding.line > 0 {
        value["line"] = json!(finding.line);
        value["column"] = json!(finding.column);
        value["endLine"] = json!(finding.end_line);
        value["endColumn"] = json!(finding.end_column);
    }
    value
}
