//! JSON pointers with `*` for any item or member, and putting known values where they point.
//!
//! Pure; knows neither documents nor transport.

use serde_json::Value;
use vestibule_schema::pointer_push;

/// The places of a value that a pattern means, as plain pointers.
pub fn places(value: &Value, pattern: &str) -> Vec<String> {
    let mut found = vec![(String::new(), value)];
    for segment in pattern.split('/').skip(1) {
        let mut next = Vec::new();
        for (at, node) in found {
            children(node, segment, &at, &mut next);
        }
        found = next;
    }
    found.into_iter().map(|(at, _)| at).collect()
}

fn children<'v>(node: &'v Value, segment: &str, at: &str, out: &mut Vec<(String, &'v Value)>) {
    let mut push = |name: &str, node: &'v Value| {
        let mut pointer = at.to_owned();
        pointer_push(&mut pointer, name);
        out.push((pointer, node));
    };
    match node {
        Value::Object(members) if segment == "*" => {
            members.iter().for_each(|(name, node)| push(name, node));
        }
        Value::Array(items) if segment == "*" => {
            items.iter().enumerate().for_each(|(i, node)| push(&i.to_string(), node));
        }
        Value::Object(members) => {
            let name = segment.replace("~1", "/").replace("~0", "~");
            if let Some(node) = members.get(&name) {
                push(&name, node);
            }
        }
        Value::Array(items) => {
            if let Some(node) = segment.parse::<usize>().ok().and_then(|i| items.get(i)) {
                push(segment, node);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Whether a pattern means exactly this place.
pub fn matches(pattern: &str, pointer: &str) -> bool {
    let (pattern, pointer) = (pattern.split('/'), pointer.split('/'));
    pattern.clone().count() == pointer.clone().count()
        && pattern.zip(pointer).all(|(wanted, is)| wanted == "*" || wanted == is)
}

/// Whether one of two patterns lies in the other, or both are one.
pub fn overlap(a: &str, b: &str) -> bool {
    a.split('/').zip(b.split('/')).all(|(a, b)| a == b || a == "*" || b == "*")
}

/// Puts values to all places that a pattern means. A list that would repeat itself gets shorter.
pub fn put(value: &mut Value, pattern: &str, known: &[Value]) {
    if known.is_empty() {
        return;
    }
    if let Some(parent) = pattern.strip_suffix("/*") {
        for list in places(value, parent) {
            if let Some(Value::Array(items)) = value.pointer_mut(&list) {
                items.truncate(known.len());
            }
        }
    }
    for (i, at) in places(value, pattern).into_iter().enumerate() {
        // What is null on purpose stays so.
        if let Some(place) = value.pointer_mut(&at).filter(|it| !it.is_null()) {
            *place = known[i % known.len()].clone();
        }
    }
}

/// Puts values where a pattern points, making the member when it is not there; a list that the
/// pattern goes through becomes exactly these values.
pub fn set(value: &mut Value, pattern: &str, known: &[Value]) {
    let (held, is_list) = match pattern.strip_suffix("/*") {
        Some(held) => (held, true),
        None => (pattern, false),
    };
    let Some((parent, name)) = held.rsplit_once('/') else { return };
    let put = match (is_list, known.first()) {
        (true, _) => Value::from(known.to_vec()),
        (false, Some(first)) => first.clone(),
        (false, None) => return,
    };
    if let Some(Value::Object(members)) = value.pointer_mut(parent) {
        members.insert(name.replace("~1", "/").replace("~0", "~"), put);
    }
}

/// The pattern of values that a place in a schema is about:
/// `Thing/properties/list/items/maxLength` is about `/list/*`.
pub fn of_constraint(place: &str) -> String {
    let mut steps: Vec<_> = place.split('/').skip(1).collect();
    steps.pop();
    let mut steps = steps.into_iter();
    let mut pattern = String::new();
    while let Some(step) = steps.next() {
        match step {
            "properties" => pointer_push(&mut pattern, steps.next().unwrap_or_default()),
            "items" | "additionalProperties" => pattern.push_str("/*"),
            _ => {
                steps.next();
            }
        }
    }
    pattern
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn stars_mean_every_item_and_member() {
        let value = json!({ "a": [{ "x": 1 }, { "y": 2 }], "b": { "c/d": 1 } });
        assert_eq!(places(&value, "/a/*/x"), ["/a/0/x"]);
        assert_eq!(places(&value, "/b/*"), ["/b/c~1d"]);
        assert_eq!(places(&value, ""), [""]);
        assert!(places(&value, "/z").is_empty());
        assert!(matches("/a/*/x", "/a/0/x") && !matches("/a/*", "/a") && !matches("/a", "/b"));
    }

    #[test]
    fn a_place_overlaps_with_what_holds_it_and_what_it_holds() {
        assert!(overlap("/srcs", "/srcs/*") && overlap("/srcs/1", "/srcs/*") && overlap("", "/a"));
        assert!(!overlap("/srcs/*", "/src") && !overlap("/a/b", "/a/c"));
    }

    #[test]
    fn known_values_are_put_without_repeating_them_in_a_list() {
        let mut value = json!({ "srcs": ["a", "b", "c"], "id": 1, "none": null });
        put(&mut value, "/srcs/*", &[json!(7), json!(8)]);
        put(&mut value, "/id", &[json!(9)]);
        put(&mut value, "/none", &[json!(9)]);
        put(&mut value, "/absent", &[json!(9)]);
        assert_eq!(value, json!({ "srcs": [7, 8], "id": 9, "none": null }));
    }

    #[test]
    fn a_member_is_set_whether_it_was_there_or_not() {
        let mut value = json!({ "a": {} });
        set(&mut value, "/a/b", &[json!(1), json!(2)]);
        set(&mut value, "/srcs/*", &[json!(7), json!(8)]);
        assert_eq!(value, json!({ "a": { "b": 1 }, "srcs": [7, 8] }));
    }

    #[test]
    fn constraints_are_about_values() {
        assert_eq!(of_constraint("T/properties/list/items/maxLength"), "/list/*");
        assert_eq!(of_constraint("T/properties/a/additionalProperties/anyOf/0/type"), "/a/*");
        assert_eq!(of_constraint("T/properties"), "");
    }
}
