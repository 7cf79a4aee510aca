//! Examples: the documented ones, and what stands in for those that a schema does not give.

use serde_json::{Value, json};

use super::super::api::{members, resolve};

/// A value as a block of JSON.
pub fn json(value: &Value) -> String {
    format!("```json\n{}\n```\n", pretty(value))
}

/// A value with two spaces of indentation.
pub fn pretty(value: &Value) -> String {
    format!("{value:#}")
}

/// The example of a media type, a parameter or a header: its own, else the one of its schema.
pub fn of(root: &Value, holder: &Value) -> Value {
    let named = members(&holder["examples"]).next().map(|(_, example)| &example["value"]);
    let own = holder.get("example").or(named);
    own.cloned().unwrap_or_else(|| made_up(root, &holder["schema"], &mut MOST.clone()))
}

/// Values that are made up for one example at most.
const MOST: usize = 64;

fn made_up(root: &Value, schema: &Value, left: &mut usize) -> Value {
    let schema = resolve(root, schema);
    let given = schema.get("example").or_else(|| schema.get("default"));
    if let Some(value) = given.or_else(|| schema["enum"].get(0)) {
        return value.clone();
    }
    *left = left.saturating_sub(1);
    if *left == 0 {
        return Value::Null;
    }
    if let Some(first) = schema["anyOf"].get(0) {
        return made_up(root, first, left);
    }
    match schema["type"].as_str() {
        Some("object") => members(&schema["properties"])
            .map(|(name, member)| (name.clone(), made_up(root, member, left)))
            .collect::<serde_json::Map<_, _>>()
            .into(),
        Some("array") => json!([made_up(root, &schema["items"], left)]),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or_else(|| json!(1)),
        Some("boolean") => json!(true),
        _ => json!("string"),
    }
}
