//! Findings as SARIF 2.1.0, the format of code hosts and editors.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::Report;
use crate::document::Finding;
use crate::rule::{self, Rule};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";
/// What file names are relative to.
const BASE: &str = "SRCROOT";

/// The whole log: one run with every rule, every finding, and what is silenced.
pub fn sarif(report: &Report) -> Value {
    let found = report.findings.iter().map(|finding| result(finding, None));
    let silenced = report.silenced.iter().map(|(finding, reason)| result(finding, Some(reason)));
    let all = report.findings.iter().chain(report.silenced.iter().map(|(finding, _)| finding));
    let files: BTreeSet<&str> = all.map(|finding| finding.file.as_str()).collect();
    let artifacts = files.iter().map(|file| json!({ "location": artifact(file) }));
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo xtask lint",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rule::ALL.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
            }},
            "columnKind": "unicodeCodePoints",
            "originalUriBaseIds": { BASE: {
                "description": { "text": "The folder the command ran in." },
            }},
            "artifacts": artifacts.collect::<Vec<_>>(),
            "results": found.chain(silenced).collect::<Vec<_>>(),
        }],
    })
}

fn descriptor(rule: &Rule) -> Value {
    let examples = rule.examples.trim_end();
    json!({
        "id": rule.name,
        "shortDescription": { "text": rule.reason },
        "fullDescription": { "text": format!("{} {}", rule.reason, rule.remedy) },
        "help": {
            "text": rule.remedy,
            "markdown": format!("{}\n\n```yaml\n{examples}\n```\n", rule.remedy),
        },
        "defaultConfiguration": { "level": "error" },
        "properties": { "tags": [rule.subject] },
    })
}

fn result(finding: &Finding, silenced: Option<&String>) -> Value {
    let index = rule::ALL.iter().position(|rule| *rule == finding.rule);
    let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
    let mut location = json!({ "artifactLocation": artifact(&finding.file) });
    if finding.line > 0 {
        location["region"] = json!({
            "startLine": finding.line,
            "startColumn": finding.column,
            "endLine": finding.end_line,
            "endColumn": finding.end_column.max(1),
        });
    }
    let mut result = json!({
        "ruleId": finding.rule.name,
        "ruleIndex": index,
        "level": "error",
        "message": { "text": format!("{}{help}", finding.message) },
        "locations": [{ "physicalLocation": location }],
    });
    if let Some(reason) = silenced {
        result["suppressions"] = json!([{ "kind": "external", "justification": reason }]);
    }
    result
}

/// A relative URI reference; what a URI may not have is percent-encoded.
fn artifact(file: &str) -> Value {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let encode = |byte: u8| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    let uri: String = file.bytes().map(encode).collect();
    match file.starts_with('/') {
        true => json!({ "uri": format!("file://{uri}") }),
        false => json!({ "uri": uri, "uriBaseId": BASE }),
    }
}
