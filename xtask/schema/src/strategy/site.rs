//! The places of a schema where constraints sit, and how a value for one place is set into a
//! whole valid value around it.
//!
//! Knows no constraint: what goes into the place is the caller's `Fill`.

use std::sync::Arc;

use serde_json::Value;

use super::check::below;
use super::schema::{Rest, SchemaSet, count, list, member, members, reference, rest, size};
use super::valid::{Draw, Room, drop_optional};

/// A recursive component is entered this often on one way, then cut.
const TURNS: usize = 2;

/// One place of a schema.
#[derive(Clone, Debug)]
pub(super) struct Site {
    /// Readable, from the root schema: `CreateChatSession/properties/customerId`.
    pub place: String,
    /// The way of a value there.
    pub steps: Vec<Step>,
    /// The schema there, behind its references.
    pub schema: Arc<Value>,
    /// Whether it is a branch of an `anyOf`, which decides about types itself.
    pub in_any_of: bool,
}

/// One step from a value to a part of it.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Property(String),
    Item,
    /// Any member of a map.
    Member,
    /// A branch of an `anyOf`: the same value.
    Branch(usize),
}

/// A value and where in it the point of interest is.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub value: Value,
    pub pointer: String,
}

/// Makes the value for a place; none when this draw found none.
pub(super) type Fill = dyn Fn(&mut Draw, Room) -> Option<Leaf> + Send + Sync;

/// Every place that can be reached from a schema.
pub(super) fn sites(set: &SchemaSet, schema: &Value) -> Vec<Site> {
    let mut walk = Walk { set, turns: Vec::new(), steps: Vec::new(), found: Vec::new() };
    walk.enter(schema, reference(schema).unwrap_or("inline"), false);
    walk.found
}

/// A value of the schema that is valid around what `fill` puts at the end of the steps.
pub(super) fn surround(
    draw: &mut Draw,
    schema: &Value,
    steps: &[Step],
    room: Room,
    fill: &Fill,
) -> Option<Leaf> {
    let set = draw.set;
    let schema = set.resolve(schema);
    let Some((step, ahead)) = steps.split_first() else { return fill(draw, room) };
    match step {
        Step::Branch(i) => surround(draw, &schema["anyOf"][i], ahead, room, fill),
        Step::Item => {
            let inner = surround(draw, &schema["items"], ahead, room.in_array(), fill)?;
            Some(among_items(draw, schema, room, inner))
        }
        Step::Property(name) => {
            let inside = room.in_object(schema);
            let inner = surround(draw, member(schema, name)?, ahead, inside, fill)?;
            Some(among_members(draw, schema, room, Some(name), inner))
        }
        Step::Member => {
            let Rest::Schema(each) = rest(schema) else { return None };
            let inner = surround(draw, each, ahead, room.in_object(schema), fill)?;
            Some(among_members(draw, schema, room, None, inner))
        }
    }
}

fn among_items(draw: &mut Draw, schema: &Value, room: Room, inner: Leaf) -> Leaf {
    draw.spend(size(&inner.value));
    let mut items = draw.array(schema, room);
    let at = draw.dice.below(items.len());
    match items.get_mut(at) {
        Some(item) => *item = inner.value,
        None => items.push(inner.value),
    }
    Leaf { value: items.into(), pointer: below("", &at.to_string()) + &inner.pointer }
}

/// Without a name: under one that the map has, or a new one.
fn among_members(
    draw: &mut Draw,
    schema: &Value,
    room: Room,
    name: Option<&str>,
    inner: Leaf,
) -> Leaf {
    draw.spend(size(&inner.value));
    let mut object = draw.object(schema, room);
    let at = draw.dice.below(object.len());
    let free = |name: &&String| schema["properties"].get(name).is_none();
    let known = || object.keys().filter(free).nth(at).cloned();
    let name = name
        .map(str::to_owned)
        .or_else(known)
        .or_else(|| draw.fresh_name(schema, &object))
        .unwrap_or_default();
    if count(schema, "maxProperties") == Some(object.len()) && !object.contains_key(&name) {
        drop_optional(schema, &mut object);
    }
    let pointer = below("", &name) + &inner.pointer;
    object.insert(name, inner.value);
    Leaf { value: object.into(), pointer }
}

struct Walk<'a> {
    set: &'a SchemaSet,
    /// The components on the way.
    turns: Vec<&'a str>,
    steps: Vec<Step>,
    found: Vec<Site>,
}

impl<'a> Walk<'a> {
    fn enter(&mut self, schema: &'a Value, place: &str, in_any_of: bool) {
        let component = reference(schema);
        if component.is_some_and(|name| self.turns.iter().filter(|n| **n == name).count() >= TURNS)
        {
            return;
        }
        self.turns.extend(component);
        let resolved = self.set.resolve(schema);
        let steps = self.steps.clone();
        let schema = Arc::new(resolved.clone());
        self.found.push(Site { place: place.to_owned(), steps, schema, in_any_of });
        self.inside(resolved, place);
        if component.is_some() {
            self.turns.pop();
        }
    }

    fn inside(&mut self, schema: &'a Value, place: &str) {
        for (i, branch) in list(schema, "anyOf").into_iter().flatten().enumerate() {
            self.step(Step::Branch(i), branch, &format!("{place}/anyOf/{i}"));
        }
        for (name, inner) in members(schema) {
            let step = Step::Property(name.clone());
            self.step(step, inner, &format!("{place}/properties/{name}"));
        }
        if let Some(items) = schema.get("items") {
            self.step(Step::Item, items, &format!("{place}/items"));
        }
        if let Rest::Schema(each) = rest(schema) {
            self.step(Step::Member, each, &format!("{place}/additionalProperties"));
        }
    }

    fn step(&mut self, step: Step, schema: &'a Value, place: &str) {
        let in_any_of = matches!(step, Step::Branch(_));
        self.steps.push(step);
        self.enter(schema, place, in_any_of);
        self.steps.pop();
    }
}
