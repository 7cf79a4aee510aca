//! The JSON reader of bodies: what it takes means the same to everybody else.

use serde_json::Value;
use vestibule_runtime::json::{self, MAX_DEPTH, MAX_VALUES};

/// Reads bytes as a body.
pub fn strict_reader(data: &[u8]) {
    let Ok(document) = json::read(data) else { return };
    let plain: Value = serde_json::from_slice(data).expect("what it takes, every reader takes");
    assert_eq!(document.value, plain, "it reads what is written");
    let (values, depth) = size(&plain);
    assert!(values <= MAX_VALUES && depth <= MAX_DEPTH, "{values} values, {depth} deep");
    json::read(plain.to_string().as_bytes()).expect("what it took, it takes when written again");
}

/// How many values there are and how deep they lie; the string with U+0000 that is found is told.
fn size(value: &Value) -> (usize, usize) {
    let whole = |text: &str| assert!(!text.contains('\0'), "U+0000 came through");
    let items: Vec<&Value> = match value {
        Value::Array(items) => items.iter().collect(),
        Value::Object(members) => {
            members.keys().for_each(|name| whole(name));
            members.values().collect()
        }
        Value::String(text) => {
            whole(text);
            return (1, 0);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => return (1, 0),
    };
    let sizes = items.into_iter().map(size);
    let inside = sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1.max(one.1)));
    (inside.0 + 1, inside.1 + 1)
}
