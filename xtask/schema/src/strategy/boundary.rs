//! Plain cases that must be accepted: a value exactly on each bound of a schema.
//!
//! What lies just outside is in `breakages`.

use std::sync::Arc;

use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::check::check;
use super::number::Span;
use super::schema::{Kind, Rest, SchemaSet, count, flag, kind, list, members, rest};
use super::seeded::{Appetite, Dice, sample};
use super::site::{Fill, Leaf, Site, sites, surround};
use super::sized::{of_members, of_size, with_depth};
use super::text::Text;
use super::valid::{Draw, Room, excess, full};

/// Candidates looked at before a bound counts as impossible.
const TRIALS: u64 = 16;

/// A value on a bound.
#[derive(Clone, Debug, PartialEq)]
pub struct Boundary {
    /// The whole value.
    pub value: Value,
    /// What is on the bound: `maxLength, in several bytes each`.
    pub label: String,
    /// The place in the schema: `CreateChatSession/properties/customerId/maxLength`.
    pub constraint: String,
}

/// Every bound that can be reached from the schema, and the root with and without its optional
/// members. A bound that no valid body within the caps can stand on is left out.
pub fn boundaries(set: &Arc<SchemaSet>, schema: &Value) -> Vec<Boundary> {
    let mut found = Vec::new();
    for site in sites(set, schema) {
        for (keyword, label, fill) in edges(set, &site) {
            let value = accepted(set, schema, &site, fill.as_ref());
            let constraint = format!("{}/{keyword}", site.place);
            found.extend(value.map(|value| Boundary { value, label, constraint }));
        }
    }
    found.extend(whole(set, schema));
    found
}

fn whole(set: &Arc<SchemaSet>, schema: &Value) -> Vec<Boundary> {
    let Some(root) = sites(set, schema).into_iter().next() else { return Vec::new() };
    let every: BoxedStrategy<Value> = full(set, schema);
    let lean = Draw::new(set, Dice::new(0), Appetite::Lean).value(schema, Room::ROOT);
    let cases = [("nothing optional", lean), ("everything optional", sample(&every, 0))];
    let constraint = format!("{}/properties", root.place);
    let cases = cases.into_iter().filter(|_| members(&root.schema).next().is_some());
    cases
        .map(|(label, value)| Boundary {
            value,
            label: label.to_owned(),
            constraint: constraint.clone(),
        })
        .collect()
}

/// The first candidate that is valid as a whole.
fn accepted(set: &SchemaSet, schema: &Value, site: &Site, fill: &Fill) -> Option<Value> {
    (0..TRIALS).find_map(|seed| {
        let mut draw = Draw::new(set, Dice::new(seed), Appetite::Lean);
        let value = surround(&mut draw, schema, &site.steps, Room::ROOT, fill)?.value;
        let good = check(set, schema, &value).is_empty() && excess(set, &value).is_none();
        good.then_some(value)
    })
}

type Edge = (&'static str, String, Arc<Fill>);

/// The bounds that the schema of one place sets itself.
fn edges(set: &SchemaSet, site: &Site) -> Vec<Edge> {
    let schema = &site.schema;
    let mut edges = Edges { schema: schema.clone(), found: Vec::new() };
    if flag(schema, "nullable") {
        edges.add("nullable", "null", |_, _, _| Some(Value::Null));
        edges.add("nullable", "not null", |draw, schema, room| Some(draw.value(schema, room)));
    }
    for listed in list(schema, "enum").into_iter().flatten() {
        let (label, listed) = (listed.to_string(), listed.clone());
        edges.add("enum", &label, move |_, _, _| Some(listed.clone()));
    }
    if schema.get("enum").is_some() || schema.get("anyOf").is_some() {
        return edges.found;
    }
    match kind(schema) {
        Kind::String => edges.text(&Text::of(set, schema)),
        Kind::Integer | Kind::Number => edges.number(),
        Kind::Array => edges.array(),
        Kind::Object => edges.object(),
        Kind::Boolean | Kind::Any => {}
    }
    if let Some(most) = count(schema, "x-max-bytes") {
        edges.add("x-max-bytes", "exactly x-max-bytes", move |draw, schema, room| {
            of_size(draw, schema, room, most)
        });
    }
    edges.found
}

struct Edges {
    schema: Arc<Value>,
    found: Vec<Edge>,
}

impl Edges {
    fn add<F>(&mut self, keyword: &'static str, label: &str, make: F)
    where
        F: Fn(&mut Draw, &Value, Room) -> Option<Value> + Send + Sync + 'static,
    {
        let schema = self.schema.clone();
        let fill: Arc<Fill> = Arc::new(move |draw, room| {
            Some(Leaf { value: make(draw, &schema, room)?, pointer: String::new() })
        });
        self.found.push((keyword, label.to_owned(), fill));
    }

    fn text(&mut self, text: &Text) {
        for (keyword, length) in [("minLength", text.min), ("maxLength", text.max)] {
            if self.schema.get(keyword).is_none() {
                continue;
            }
            self.add(keyword, keyword, move |draw, schema, _| {
                let text = Text::of(draw.set, schema);
                text.of_length(&mut draw.dice, length, false).map(Value::from)
            });
            let wide = format!("{keyword}, in several bytes each");
            self.add(keyword, &wide, move |draw, schema, _| {
                Text::of(draw.set, schema).wide(&mut draw.dice, length).map(Value::from)
            });
        }
    }

    fn number(&mut self) {
        let schema = self.schema.clone();
        let span = Span::of(&schema);
        for edge in span.edges() {
            if let Some(inside) = span.inside(&edge) {
                self.add(edge.keyword, edge.keyword, move |_, _, _| Some(inside.clone()));
            }
        }
    }

    fn array(&mut self) {
        for keyword in ["minItems", "maxItems"] {
            let Some(wanted) = count(&self.schema, keyword) else { continue };
            self.add(keyword, keyword, move |draw, schema, room| {
                let items = draw.array_of(schema, room, wanted);
                (items.len() == wanted).then(|| items.into())
            });
        }
    }

    fn object(&mut self) {
        for keyword in ["minProperties", "maxProperties"] {
            let Some(wanted) = count(&self.schema, keyword) else { continue };
            self.add(keyword, keyword, move |draw, schema, room| {
                of_members(draw, schema, room, wanted).map(Value::Object)
            });
        }
        self.names();
        if let Some(most) = count(&self.schema, "x-max-depth") {
            self.add("x-max-depth", "exactly x-max-depth", move |draw, schema, room| {
                with_depth(draw, schema, room, most).map(|(object, _)| object.into())
            });
        }
    }

    fn names(&mut self) {
        if count(&self.schema["x-property-names"], "maxLength").is_none() {
            return;
        }
        self.add("x-property-names", "a name of maxLength", |draw, schema, room| {
            let Rest::Schema(inner) = rest(schema) else { return None };
            let names = Text::names(draw.set, schema);
            let name = names.of_length(&mut draw.dice, names.max, true)?;
            let mut object = draw.object(schema, room);
            object.insert(name, draw.value(inner, room.in_object(schema)));
            Some(object.into())
        });
    }
}
