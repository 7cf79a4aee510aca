//! Valid values of an exact size in bytes or an exact depth of arrays, for `x-max-bytes` and
//! `x-max-depth`.
//!
//! A value is started small and its strings are stretched until nothing is missing.

use serde_json::{Map, Value};

use super::check::fits;
use super::schema::{Kind, Rest, SchemaSet, count, flag, kind, list, member, members, rest, size};
use super::seeded::Appetite;
use super::text::Text;
use super::valid::{Draw, Room, drop_optional};

/// A value of exactly `target` bytes as compact JSON, its own `x-max-bytes` aside.
pub(super) fn of_size(draw: &mut Draw, schema: &Value, room: Room, target: usize) -> Option<Value> {
    let set = draw.set;
    let schema = set.resolve(schema);
    if let Some(branches) = list(schema, "anyOf") {
        return branches.iter().find_map(|branch| of_size(draw, branch, room, target));
    }
    let usual = draw.appetite;
    let found = [Appetite::Lean, Appetite::Full].into_iter().find_map(|start| {
        draw.appetite = start;
        let mut value = draw.value(schema, room);
        draw.appetite = Appetite::Lean;
        let missing = target.checked_sub(size(&value))?;
        (lengthen(draw, schema, &mut value, room, missing) == 0).then_some(value)
    });
    draw.appetite = usual;
    found
}

/// An object with one member whose arrays nest exactly `depth` deep, and that member's name.
pub(super) fn with_depth(
    draw: &mut Draw,
    schema: &Value,
    room: Room,
    depth: usize,
) -> Option<(Map<String, Value>, String)> {
    let inside = room.in_object(schema);
    let mut object = draw.object(schema, room);
    let listed = members(schema)
        .find_map(|(name, inner)| Some((name.clone(), of_depth(draw, inner, inside, depth)?)));
    let (name, value) = match (listed, rest(schema)) {
        (Some(listed), _) => listed,
        (None, Rest::Schema(inner)) => {
            (draw.fresh_name(schema, &object)?, of_depth(draw, inner, inside, depth)?)
        }
        (None, Rest::Refused | Rest::Free) => return None,
    };
    object.insert(name.clone(), value);
    Some((object, name))
}

/// A value whose arrays nest exactly `depth` deep.
fn of_depth(draw: &mut Draw, schema: &Value, room: Room, depth: usize) -> Option<Value> {
    let set = draw.set;
    let schema = set.resolve(schema);
    if let Some(branches) = list(schema, "anyOf") {
        return branches.iter().find_map(|branch| of_depth(draw, branch, room, depth));
    }
    let is_array = kind(schema) == Kind::Array;
    if depth == 0 {
        return (!is_array).then(|| draw.value(schema, room));
    }
    if !is_array {
        return None;
    }
    let flat = room.flat();
    let least = count(schema, "minItems").unwrap_or(0).max(1);
    let mut items = draw.array_of(schema, flat, least);
    *items.last_mut()? = of_depth(draw, &schema["items"], flat, depth - 1)?;
    Some(items.into())
}

/// An object of exactly that many members, if the schema's lists leave the choice.
pub(super) fn of_members(
    draw: &mut Draw,
    schema: &Value,
    room: Room,
    wanted: usize,
) -> Option<Map<String, Value>> {
    let mut object = draw.object(schema, room);
    while object.len() > wanted && drop_optional(schema, &mut object) {}
    for (name, inner) in members(schema) {
        if object.len() < wanted && !object.contains_key(name) {
            object.insert(name.clone(), draw.value(inner, room.in_object(schema)));
        }
    }
    draw.add_members(schema, room, wanted.saturating_sub(object.len()), &mut object);
    (object.len() == wanted).then_some(object)
}

/// Makes a part of a value longer by up to `missing` bytes, within its own `x-max-bytes`; gives
/// what is still missing.
fn stretch(
    draw: &mut Draw,
    schema: &Value,
    value: &mut Value,
    room: Room,
    missing: usize,
) -> usize {
    let Some(schema) = fitting(draw.set, schema, value).filter(|_| missing > 0) else {
        return missing;
    };
    let own = count(schema, "x-max-bytes").map(|most| most.saturating_sub(size(value)));
    let here = own.unwrap_or(missing).min(missing);
    missing - here + lengthen(draw, schema, value, room, here)
}

/// Lengthens the strings of a value and adds elements to its arrays and maps.
fn lengthen(
    draw: &mut Draw,
    schema: &Value,
    value: &mut Value,
    room: Room,
    missing: usize,
) -> usize {
    match value {
        Value::String(text) => stretch_text(draw, schema, text, missing),
        Value::Array(items) => stretch_items(draw, schema, items, room, missing),
        Value::Object(object) => stretch_members(draw, schema, object, room, missing),
        Value::Null | Value::Bool(_) | Value::Number(_) => missing,
    }
}

fn stretch_text(draw: &mut Draw, schema: &Value, text: &mut String, missing: usize) -> usize {
    let before = size(&text.as_str().into());
    match Text::of(draw.set, schema).stretched(&mut draw.dice, text, missing) {
        Some(longer) if size(&longer.as_str().into()) > before => *text = longer,
        Some(_) | None => {}
    }
    missing + before - size(&text.as_str().into())
}

fn stretch_items(
    draw: &mut Draw,
    schema: &Value,
    items: &mut Vec<Value>,
    room: Room,
    mut missing: usize,
) -> usize {
    let (inner, inside) = (&schema["items"], room.in_array());
    for item in items.iter_mut() {
        missing = stretch(draw, inner, item, inside, missing);
    }
    let max = count(schema, "maxItems").unwrap_or(items.len());
    for _ in items.len()..max {
        let mut item = draw.value(inner, inside);
        let cost = size(&item) + usize::from(!items.is_empty());
        if cost > missing {
            break;
        }
        let left = stretch(draw, inner, &mut item, inside, missing - cost);
        if !items.contains(&item) || !flag(schema, "uniqueItems") {
            items.push(item);
            missing = left;
        }
    }
    missing
}

fn stretch_members(
    draw: &mut Draw,
    schema: &Value,
    object: &mut Map<String, Value>,
    room: Room,
    mut missing: usize,
) -> usize {
    let inside = room.in_object(schema);
    for (name, value) in object.iter_mut() {
        if let Some(inner) = member(schema, name) {
            missing = stretch(draw, inner, value, inside, missing);
        }
    }
    let Rest::Schema(inner) = rest(schema) else { return missing };
    let max = count(schema, "maxProperties").unwrap_or(object.len());
    for _ in object.len()..max {
        let Some(name) = draw.fresh_name(schema, object) else { break };
        let mut value = draw.value(inner, inside);
        let colon_and_comma = 1 + usize::from(!object.is_empty());
        let cost = size(&name.as_str().into()) + size(&value) + colon_and_comma;
        if cost > missing {
            break;
        }
        missing = stretch(draw, inner, &mut value, inside, missing - cost);
        object.insert(name, value);
    }
    missing
}

/// The schema, or the branch of it, that decides about a value; none for a listed value.
fn fitting<'a>(set: &'a SchemaSet, schema: &'a Value, value: &Value) -> Option<&'a Value> {
    let schema = set.resolve(schema);
    match list(schema, "anyOf") {
        Some(branches) => {
            let branch = branches.iter().find(|branch| fits(set, branch, value))?;
            fitting(set, branch, value)
        }
        None => schema.get("enum").is_none().then_some(schema),
    }
}
