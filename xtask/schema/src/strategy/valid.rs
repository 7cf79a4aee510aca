//! Valid values of a schema, drawn within a budget of bytes and values.
//!
//! Knows nothing of breaking; the other modules build on its parts (`array_of`, `add_members`).

use std::sync::Arc;

use proptest::strategy::BoxedStrategy;
use serde_json::{Map, Value};

use super::check::check;
use super::number::Span;
use super::schema::{
    Kind, Rest, SchemaSet, count, flag, is_required, kind, list, members, rest, size,
};
use super::seeded::{Appetite, Dice, Seeded};
use super::text::Text;

/// Elements drawn at most where a schema sets no bound.
const OPEN_COUNT: usize = 4;
/// How often a name or item is drawn again because it was there already.
const PATIENCE: usize = 200;
/// The schema of a member about which nothing is said.
static ANYTHING: Value = Value::Null;
/// The reader's deepest nesting; the outermost value counts as 1.
pub(super) const MOST_LEVELS: usize = 16;

/// Any valid value: optional members sometimes present, bounds often.
///
/// # Panics
/// A draw panics when no value satisfies the schema.
pub fn valid(set: &Arc<SchemaSet>, schema: &Value) -> BoxedStrategy<Value> {
    let (set, schema) = (set.clone(), schema.clone());
    let appetites = &[Appetite::Wild, Appetite::Small, Appetite::Lean];
    Seeded::boxed(appetites, move |mut dice, appetite| {
        let mood = match (appetite, dice.below(8)) {
            (Appetite::Wild, 0) => Appetite::Lean,
            (Appetite::Wild, 1) => Appetite::Full,
            (asked, _) => asked,
        };
        fitting(&set, &schema, dice, mood)
    })
}

/// A valid value with every optional member, no array and no map empty.
///
/// # Panics
/// A draw panics when no value satisfies the schema.
pub fn full(set: &Arc<SchemaSet>, schema: &Value) -> BoxedStrategy<Value> {
    let (set, schema) = (set.clone(), schema.clone());
    let appetites = &[Appetite::Full];
    Seeded::boxed(appetites, move |dice, appetite| fitting(&set, &schema, dice, appetite))
}

/// Draws until a value is valid and within the caps: nearly always the first one.
fn fitting(set: &SchemaSet, schema: &Value, mut dice: Dice, appetite: Appetite) -> Value {
    let mut last = Vec::new();
    for attempt in 0..16 {
        let seed = Dice::new(dice.roll());
        let calmer = attempt > 8 && appetite != Appetite::Full;
        let appetite = if calmer { Appetite::Lean } else { appetite };
        let value = Draw::new(set, seed, appetite).value(schema, Room::ROOT);
        last = check(set, schema, &value);
        if last.is_empty() && excess(set, &value).is_none() {
            return value;
        }
    }
    panic!("no valid value within the caps was found for {schema}; the last one broke {last:?}")
}

/// Why the reader would refuse a value before any schema is asked.
pub(super) fn excess(set: &SchemaSet, value: &Value) -> Option<String> {
    let caps = set.caps();
    let (bytes, (values, levels)) = (size(value), extent(value));
    if bytes > caps.body_bytes {
        return Some(format!("takes {bytes} bytes, a body holds {}", caps.body_bytes));
    }
    if values > caps.values {
        return Some(format!("takes {values} values, a body holds {}", caps.values));
    }
    (levels > MOST_LEVELS).then(|| format!("nests {levels} deep, a body {MOST_LEVELS}"))
}

/// The number of values, and the depth of nesting.
fn extent(value: &Value) -> (usize, usize) {
    let add =
        |(n, deep): (usize, usize), (m, deeper): (usize, usize)| (n + m, deep.max(deeper + 1));
    match value {
        Value::Array(items) => items.iter().map(extent).fold((1, 1), add),
        Value::Object(members) => members.values().map(extent).fold((1, 1), add),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => (1, 1),
    }
}

/// How much deeper a value may nest.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// Arrays inside each other.
    arrays: usize,
    levels: usize,
}

impl Room {
    pub const ROOT: Self = Self { arrays: 3, levels: MOST_LEVELS - 2 };

    pub fn in_array(self) -> Self {
        Self { arrays: self.arrays.saturating_sub(1), levels: self.levels.saturating_sub(1) }
    }

    /// Room for no array at all, where a schema leaves the choice.
    pub fn flat(self) -> Self {
        Self { arrays: 0, ..self }
    }

    pub fn in_object(self, schema: &Value) -> Self {
        let arrays = count(schema, "x-max-depth").unwrap_or(self.arrays);
        Self { arrays, levels: self.levels.saturating_sub(1) }
    }
}

/// One draw under way.
pub(super) struct Draw<'s> {
    pub set: &'s SchemaSet,
    pub dice: Dice,
    pub appetite: Appetite,
    bytes: usize,
    values: usize,
}

impl<'s> Draw<'s> {
    pub fn new(set: &'s SchemaSet, dice: Dice, appetite: Appetite) -> Self {
        let caps = set.caps();
        Self { set, dice, appetite, bytes: caps.body_bytes / 2, values: caps.values / 2 }
    }

    pub fn value(&mut self, schema: &Value, room: Room) -> Value {
        let set = self.set;
        let schema = set.resolve(schema);
        self.values = self.values.saturating_sub(1);
        if flag(schema, "nullable") && self.hunger() == Appetite::Wild && self.dice.one_in(5) {
            return Value::Null;
        }
        if let Some(listed) = list(schema, "enum") {
            return self.dice.pick(listed).clone();
        }
        if let Some(branches) = list(schema, "anyOf") {
            let branch = self.branch(branches, room);
            return self.value(branch, room);
        }
        match kind(schema) {
            Kind::String | Kind::Any => self.text(&Text::of(set, schema)).into(),
            Kind::Integer | Kind::Number => {
                let hunger = self.hunger();
                Span::of(schema).draw(&mut self.dice, hunger)
            }
            Kind::Boolean => self.dice.one_in(2).into(),
            Kind::Array => self.array(schema, room).into(),
            Kind::Object => Value::Object(self.object(schema, room)),
        }
    }

    pub fn array(&mut self, schema: &Value, room: Room) -> Vec<Value> {
        let min = count(schema, "minItems").unwrap_or(0);
        let max = count(schema, "maxItems").unwrap_or(min + OPEN_COUNT);
        let wanted = self.amount(min, max);
        let mut items = self.array_of(schema, room, wanted);
        let most = count(schema, "x-max-bytes").unwrap_or(usize::MAX);
        while most < usize::MAX && items.len() > min && size(&items.clone().into()) > most {
            items.pop();
        }
        items
    }

    /// An array of that many items; fewer when that many different ones do not exist.
    pub fn array_of(&mut self, schema: &Value, room: Room, wanted: usize) -> Vec<Value> {
        let unique = flag(schema, "uniqueItems");
        let mut items = Vec::new();
        let mut misses = 0;
        while items.len() < wanted && misses < PATIENCE {
            let item = self.varied(misses, |draw| draw.value(&schema["items"], room.in_array()));
            if unique && items.contains(&item) {
                misses += 1;
                continue;
            }
            items.push(item);
        }
        items
    }

    pub fn object(&mut self, schema: &Value, room: Room) -> Map<String, Value> {
        let most = count(schema, "x-max-bytes");
        let outside = self.bytes;
        self.bytes = outside.min(most.map_or(outside, |most| most / 2));
        let inside = room.in_object(schema);
        let mut object = self.listed(schema, inside);
        let min = count(schema, "minProperties").unwrap_or(0).saturating_sub(object.len());
        let max = count(schema, "maxProperties").unwrap_or(object.len() + min + OPEN_COUNT);
        if let Rest::Schema(_) = rest(schema) {
            let wanted = self.amount(min, max.saturating_sub(object.len()));
            self.add_members(schema, room, wanted, &mut object);
        }
        if let Some(most) = most {
            while size(&object.clone().into()) > most && drop_optional(schema, &mut object) {}
            self.bytes = outside.saturating_sub(size(&object.clone().into()));
        }
        object
    }

    /// Adds that many members under names of the map's own kind.
    pub fn add_members(
        &mut self,
        schema: &Value,
        room: Room,
        wanted: usize,
        object: &mut Map<String, Value>,
    ) {
        let inner = match rest(schema) {
            Rest::Schema(inner) => inner,
            Rest::Free => &ANYTHING,
            Rest::Refused => return,
        };
        for _ in 0..wanted {
            let Some(name) = self.fresh_name(schema, object) else { return };
            let value = self.value(inner, room.in_object(schema));
            object.insert(name, value);
        }
    }

    /// A name that is neither listed nor taken.
    pub fn fresh_name(&mut self, schema: &Value, object: &Map<String, Value>) -> Option<String> {
        let names = Text::names(self.set, schema);
        (0..PATIENCE).find_map(|misses| {
            let name = self.varied(misses, |draw| draw.text(&names));
            let taken = object.contains_key(&name) || schema["properties"].get(&name).is_some();
            (!taken).then_some(name)
        })
    }

    pub fn text(&mut self, text: &Text) -> String {
        let (hunger, room) = (self.hunger(), self.bytes / 8);
        let drawn = text.draw(&mut self.dice, hunger, room);
        self.spend(drawn.len());
        drawn
    }

    /// Takes what a caller puts into the value from the budget.
    pub fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Draws with more appetite when the leanest values are used up.
    fn varied<T>(&mut self, misses: usize, draw: impl FnOnce(&mut Self) -> T) -> T {
        let usual = self.appetite;
        if misses > 4 && usual == Appetite::Lean {
            self.appetite = Appetite::Small;
        }
        let drawn = draw(self);
        self.appetite = usual;
        drawn
    }

    /// The appetite, tempered by what the budget still holds.
    fn hunger(&self) -> Appetite {
        let spent = self.values < 64 || self.bytes < 64;
        if spent && self.appetite == Appetite::Wild { Appetite::Lean } else { self.appetite }
    }

    /// How many elements to draw.
    fn amount(&mut self, min: usize, max: usize) -> usize {
        let near = |dice: &mut Dice, least: usize, spread| (least + dice.below(spread)).min(max);
        match (self.hunger(), self.dice.below(8)) {
            (Appetite::Lean, _) | (Appetite::Wild, 0) => min,
            (Appetite::Wild, 1) if max <= self.values / 4 => max,
            (Appetite::Wild, _) => near(&mut self.dice, min, 5),
            (Appetite::Small, _) => near(&mut self.dice, min, 3),
            (Appetite::Full, _) => near(&mut self.dice, min.max(1), 2),
        }
    }

    /// The listed members: the required ones and as many others as the appetite takes.
    fn listed(&mut self, schema: &Value, inside: Room) -> Map<String, Value> {
        let mut object = Map::new();
        let min = count(schema, "minProperties").unwrap_or(0);
        let max = count(schema, "maxProperties").unwrap_or(usize::MAX);
        for (i, (name, inner)) in members(schema).enumerate() {
            let short = object.len() + members(schema).count() - i <= min;
            if is_required(schema, name) || short || self.takes_optional() {
                object.insert(name.clone(), self.value(inner, inside));
            }
        }
        while object.len() > max && drop_optional(schema, &mut object) {}
        object
    }

    fn takes_optional(&mut self) -> bool {
        match self.hunger() {
            Appetite::Lean => false,
            Appetite::Small => self.dice.one_in(3),
            Appetite::Full => true,
            Appetite::Wild => self.dice.one_in(2),
        }
    }

    /// One branch of an `anyOf`; a string when lean, which is the one that can be stretched.
    fn branch<'b>(&mut self, branches: &'b [Value], room: Room) -> &'b Value {
        let kind = |branch: &&Value| kind(self.set.resolve(branch));
        let arrays = room.arrays > 0 && room.levels > 1;
        let open: Vec<&Value> =
            branches.iter().filter(|b| arrays || kind(b) != Kind::Array).collect();
        if self.hunger() == Appetite::Lean
            && let Some(text) = open.iter().find(|b| kind(b) == Kind::String)
        {
            return text;
        }
        open.get(self.dice.below(open.len())).copied().unwrap_or(&branches[0])
    }
}

/// Takes out the last member that need not be there.
pub(super) fn drop_optional(schema: &Value, object: &mut Map<String, Value>) -> bool {
    let name = object.keys().rfind(|name| !is_required(schema, name)).cloned();
    name.is_some_and(|name| object.remove(&name).is_some())
}
