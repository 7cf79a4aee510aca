//! How time grows with the number of operations: one document cut to a part of its paths.

use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::subjects::Subject;
use super::verdict::{self, Command};
use super::{BOLD, fetch};

/// The parts, in eighths.
const EIGHTHS: [usize; 4] = [1, 2, 4, 8];
const METHODS: [&str; 8] = ["get", "put", "post", "delete", "options", "head", "patch", "trace"];

/// The table of one document's parts.
///
/// # Errors
/// When the document cannot be read or written.
pub fn table(folder: &Path, subject: &Subject) -> Result<String, String> {
    let bad = |bad: &dyn std::fmt::Display| format!("error: {}: {bad}", subject.name);
    let text = fs::read_to_string(fetch::document(folder, subject)?).map_err(|it| bad(&it))?;
    let whole: Value = serde_json::from_str(&text).map_err(|it| bad(&it))?;
    let mut lines = vec![format!(
        "{BOLD}{:<22} {:>11} {:>7} {:>9} {:>10} {:>7}{BOLD:#}",
        format!("{}, a part of", subject.name),
        "operations",
        "MB",
        "findings",
        "lint",
        "ms/op"
    )];
    for eighths in EIGHTHS {
        let text = part(&whole, eighths).to_string();
        let file = folder.join("part.json");
        fs::write(&file, &text).map_err(|it| bad(&it))?;
        let verdict = verdict::of(folder, &Command::Lint { file: &file })?;
        let (operations, took) = (operations(&text), verdict.took.as_secs_f64());
        lines.push(format!(
            "{:<22} {operations:>11} {:>7.2} {:>9} {took:>8.2} s {:>7.2}",
            format!("{eighths}/8 of its paths"),
            text.len() as f64 / 1e6,
            verdict.findings,
            took * 1000.0 / operations.max(1) as f64,
        ));
    }
    Ok(lines.join("\n") + "\n")
}

/// The first so many eighths of the paths; components stay whole, and count for each part alike.
fn part(whole: &Value, eighths: usize) -> Value {
    let mut part = whole.clone();
    if let Some(paths) = part["paths"].as_object_mut() {
        let kept = (paths.len() * eighths).div_ceil(8);
        *paths = std::mem::take(paths).into_iter().take(kept).collect::<Map<_, _>>();
    }
    part
}

/// How many operations a document in JSON or YAML has; 0 when it cannot be read.
pub fn operations(text: &str) -> usize {
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        let items = document["paths"].as_object().into_iter().flat_map(Map::values);
        let methods = items.filter_map(Value::as_object).flat_map(Map::keys);
        return methods.filter(|name| METHODS.contains(&name.as_str())).count();
    }
    // In YAML as people write it, a method stands alone on a line, two levels below `paths`.
    let below = text.lines().skip_while(|line| !line.starts_with("paths:")).skip(1);
    let paths = below.take_while(|line| line.is_empty() || line.starts_with([' ', '#']));
    let methods = paths.filter_map(|line| line.strip_prefix("    ")?.strip_suffix(':'));
    methods.filter(|name| METHODS.contains(name)).count()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn operations_are_counted_in_json_and_in_yaml() {
        let json =
            json!({ "paths": { "/a": { "get": {}, "parameters": [] }, "/b": { "put": {} } } });
        assert_eq!(operations(&json.to_string()), 2);
        let yaml = "paths:\n  /a:\n    get:\n      get:\n    post:\ncomponents:\n    get:\n";
        assert_eq!(operations(yaml), 2);
    }

    #[test]
    fn a_part_has_a_part_of_the_paths_and_all_components() {
        let paths: Map<_, _> =
            (0..16).map(|i| (format!("/{i:02}"), json!({ "get": {} }))).collect();
        let whole = json!({ "paths": paths, "components": { "schemas": { "A": {} } } });
        let quarter = part(&whole, 2);
        assert_eq!(operations(&quarter.to_string()), 4);
        assert_eq!(quarter["components"], whole["components"]);
    }
}
