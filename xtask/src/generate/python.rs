//! Copies of documents for openapi-python-client, `generated/python`, of those that it cannot read
//! as they are served.
//!
//! It drops whatever uses a schema that contains itself, operations too. In the copy such a schema
//! is any value; the service still holds it to every constraint.

use serde_json::{Value, json};

use super::api::{component_name, members};
use super::{Files, Ungenerable};
use crate::document::Documents;

const FOLDER: &str = "generated/python";

/// Every copy that is needed.
pub fn files(documents: &Documents) -> Result<Files, Ungenerable> {
    let mut files = Files::new();
    for document in &documents.documents {
        let Some(copy) = without_recursion(&document.value) else { continue };
        let text = serde_json::to_string_pretty(&copy)
            .map_err(|bad| Ungenerable(format!("{}: {bad}", document.name)))?;
        files.insert(format!("{FOLDER}/{}.json", document.name), text + "\n");
    }
    Ok(files)
}

/// The document with recursive schemas opened up; nothing when it has none.
fn without_recursion(document: &Value) -> Option<Value> {
    let schemas = &document["components"]["schemas"];
    let recursive: Vec<_> = members(schemas).filter(|(name, it)| refers(it, name)).collect();
    let mut copy = (!recursive.is_empty()).then(|| document.clone())?;
    for (name, schema) in recursive {
        copy["components"]["schemas"][name] = json!({ "description": schema["description"] });
    }
    Some(copy)
}

fn refers(node: &Value, name: &str) -> bool {
    if component_name(node) == Some(name) {
        return true;
    }
    match node {
        Value::Object(all) => all.values().any(|it| refers(it, name)),
        Value::Array(all) => all.iter().any(|it| refers(it, name)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_contains_itself_is_opened_up() {
        let leaf = json!({ "type": "string" });
        let list = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Tree" } });
        let tree = json!({ "description": "A tree.", "anyOf": [leaf, list] });
        let user = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Tree" } });
        let document =
            |tree: &Value| json!({ "components": { "schemas": { "Tree": tree, "User": user } } });
        let opened = json!({ "description": "A tree." });
        assert_eq!(without_recursion(&document(&tree)), Some(document(&opened)));
        assert_eq!(without_recursion(&document(&leaf)), None);
    }
}
