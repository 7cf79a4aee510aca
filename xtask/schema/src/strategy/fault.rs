//! The ways to break each constraint of one schema, apart from what surrounds it.
//!
//! A way may fail or break more than it should; whoever uses it checks the whole value.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::check::{below, fits};
use super::fault_text::misses;
use super::number::Span;
use super::schema::{Kind, Rest, SchemaSet, count, flag, kind, list, members, rest};
use super::site::{Fill, Leaf, Site};
use super::sized::{of_members, of_size, with_depth};
use super::text::Text;
use super::valid::{Draw, Room};

/// One way to break one keyword.
#[derive(Clone)]
pub(super) struct Fault {
    pub keyword: &'static str,
    pub label: String,
    pub fill: Arc<Fill>,
}

/// Every way to break what the schema of a place says itself.
pub(super) fn faults(set: &SchemaSet, site: &Site) -> Vec<Fault> {
    let schema = &site.schema;
    let mut faults = Faults { schema: schema.clone(), found: Vec::new() };
    if !site.in_any_of {
        faults.types(set);
    }
    if schema.get("anyOf").is_some() {
        return faults.found;
    }
    if schema.get("enum").is_some() {
        faults.listed();
        return faults.found;
    }
    match kind(schema) {
        Kind::String => faults.text(set),
        Kind::Integer | Kind::Number => faults.number(),
        Kind::Array => faults.array(),
        Kind::Object => faults.object(set),
        Kind::Boolean | Kind::Any => {}
    }
    if let Some(most) = count(schema, "x-max-bytes") {
        faults.add("x-max-bytes", "x-max-bytes + 1", move |draw, schema, room| {
            of_size(draw, schema, room, most + 1)
        });
    }
    faults.found
}

/// From a listed text to one that is not.
type Change = fn(&str) -> String;

struct Faults {
    schema: Arc<Value>,
    found: Vec<Fault>,
}

impl Faults {
    /// A way whose violation is at a place inside the value.
    fn add_at<F>(&mut self, keyword: &'static str, label: &str, make: F)
    where
        F: Fn(&mut Draw, &Value, Room) -> Option<Leaf> + Send + Sync + 'static,
    {
        let schema = self.schema.clone();
        let fill = Arc::new(move |draw: &mut Draw, room| make(draw, &schema, room));
        self.found.push(Fault { keyword, label: label.to_owned(), fill });
    }

    /// A way whose violation is at the value itself.
    fn add<F>(&mut self, keyword: &'static str, label: &str, make: F)
    where
        F: Fn(&mut Draw, &Value, Room) -> Option<Value> + Send + Sync + 'static,
    {
        self.add_at(keyword, label, move |draw, schema, room| {
            Some(Leaf { value: make(draw, schema, room)?, pointer: String::new() })
        });
    }

    fn types(&mut self, set: &SchemaSet) {
        let others = [
            ("null", Value::Null),
            ("a boolean", true.into()),
            ("an integer", 900.into()),
            ("a string", "900".into()),
            ("an array", json!([])),
            ("an object", json!({})),
        ];
        for (label, value) in others {
            if !fits(set, &self.schema, &value) {
                self.add("type", label, move |_, _, _| Some(value.clone()));
            }
        }
        for (label, part) in [("a fraction", 0.5), ("an integer with a fraction of zero", 0.0)] {
            if !fits(set, &self.schema, &900.5.into()) {
                self.add("type", label, move |draw, schema, room| {
                    decimal(&draw.value(schema, room), part, schema)
                });
            }
        }
    }

    fn listed(&mut self) {
        let others: [(&str, Change); 4] = [
            ("not listed", |text| format!("{text}x")),
            ("in other case", |text| match text.to_uppercase() {
                upper if upper == text => text.to_lowercase(),
                upper => upper,
            }),
            ("a space after", |text| format!("{text} ")),
            ("empty", |_| String::new()),
        ];
        for (label, change) in others {
            self.add("enum", label, move |draw, schema, _| {
                let listed = list(schema, "enum")?;
                match draw.dice.pick(listed) {
                    Value::String(text) => Some(change(text).into()),
                    Value::Number(number) => Some((number.as_i64()? + 1000).into()),
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
                }
            });
        }
    }

    fn text(&mut self, set: &SchemaSet) {
        for miss in misses(&Text::of(set, &self.schema)) {
            self.add(miss.keyword, &miss.label, move |draw, schema, _| {
                let text = Text::of(draw.set, schema);
                (miss.make)(&text, &mut draw.dice).map(Value::from)
            });
        }
    }

    fn number(&mut self) {
        let schema = self.schema.clone();
        let span = Span::of(&schema);
        for edge in span.edges() {
            let outside = span.outside(&edge);
            let label = format!("{} broken by {outside}", edge.keyword);
            self.add(edge.keyword, &label, move |_, _, _| Some(outside.clone()));
        }
        if let Some(step) = schema["multipleOf"].as_i64().filter(|step| *step > 1) {
            self.add("multipleOf", "between two multiples", move |draw, schema, room| {
                Some((draw.value(schema, room).as_i64()? + draw.dice.between(1, step - 1)).into())
            });
        }
    }

    fn array(&mut self) {
        if let Some(fewer) = count(&self.schema, "minItems").and_then(|min| min.checked_sub(1)) {
            self.add("minItems", "minItems - 1", move |draw, schema, room| {
                Some(draw.array_of(schema, room, fewer).into())
            });
        }
        if let Some(max) = count(&self.schema, "maxItems") {
            self.add("maxItems", "maxItems + 1", move |draw, schema, room| {
                let mut items = draw.array_of(schema, room, max + 1);
                while items.len() <= max {
                    items.push(items.first()?.clone());
                }
                Some(items.into())
            });
        }
        if flag(&self.schema, "uniqueItems") {
            self.add("uniqueItems", "an item twice", |draw, schema, room| {
                let least = count(schema, "minItems").unwrap_or(0).max(2);
                let mut items = draw.array_of(schema, room, least - 1);
                let twice = draw.dice.pick(&items).clone();
                items.insert(draw.dice.below(least), twice);
                Some(items.into())
            });
        }
    }

    fn object(&mut self, set: &SchemaSet) {
        self.required();
        match rest(&self.schema) {
            Rest::Refused => self.unknown(),
            Rest::Free | Rest::Schema(_) => {}
        }
        self.names(set);
        if let Some(fewer) = count(&self.schema, "minProperties").and_then(|min| min.checked_sub(1))
        {
            self.add("minProperties", "minProperties - 1", move |draw, schema, room| {
                of_members(draw, schema, room, fewer).map(Value::Object)
            });
        }
        if let Some(max) = count(&self.schema, "maxProperties") {
            self.add("maxProperties", "maxProperties + 1", move |draw, schema, room| {
                of_members(draw, schema, room, max + 1).map(Value::Object)
            });
        }
        if let Some(most) = count(&self.schema, "x-max-depth") {
            self.add_at("x-max-depth", "x-max-depth + 1", move |draw, schema, room| {
                let (object, name) = with_depth(draw, schema, room, most + 1)?;
                Some(Leaf { value: object.into(), pointer: below("", &name) })
            });
        }
    }

    fn required(&mut self) {
        let schema = self.schema.clone();
        for name in list(&schema, "required").into_iter().flatten().filter_map(Value::as_str) {
            let name = name.to_owned();
            self.add_at("required", &format!("{name} missing"), move |draw, schema, room| {
                let mut object = draw.object(schema, room);
                object.remove(&name)?;
                Some(Leaf { value: object.into(), pointer: below("", &name) })
            });
        }
    }

    fn unknown(&mut self) {
        let schema = self.schema.clone();
        let first = members(&schema).next().map(|(name, _)| name.to_uppercase());
        let names = [
            ("an unknown member", "unexpected".to_owned()),
            ("a known member in other case", first.unwrap_or_default()),
            ("a member whose pointer needs escapes", "a/b~c".to_owned()),
            ("a member without a name", String::new()),
        ];
        for (label, name) in names {
            if schema["properties"].get(&name).is_some() {
                continue;
            }
            self.add_at("additionalProperties", label, move |draw, schema, room| {
                let extra = draw.dice.pick(&[json!(true), json!("x"), json!(1), json!([])]).clone();
                Some(with(draw.object(schema, room), &name, extra))
            });
        }
    }

    fn names(&mut self, set: &SchemaSet) {
        if self.schema.get("x-property-names").is_none() {
            return;
        }
        for miss in misses(&Text::names(set, &self.schema)) {
            let label = format!("a name with {} broken: {}", miss.keyword, miss.label);
            self.add_at("propertyNames", &label, move |draw, schema, room| {
                let Rest::Schema(inner) = rest(schema) else { return None };
                let names = Text::names(draw.set, schema);
                let name = (miss.make)(&names, &mut draw.dice)?;
                let value = draw.value(inner, room.in_object(schema));
                Some(with(draw.object(schema, room), &name, value))
            });
        }
    }
}

/// An integer written as a decimal within the same bounds, which hold for any number.
fn decimal(near: &Value, part: f64, schema: &Value) -> Option<Value> {
    let whole = near.as_i64().unwrap_or(900) as f64;
    let span = Span::of(schema);
    let kept = |decimal: &Value| {
        decimal.as_number().is_some_and(|number| span.edges().all(|edge| edge.admits(number)))
    };
    // Beyond 2^52 the fraction is rounded away.
    let decimals = [whole + part, whole - part].into_iter().filter(|d| d.fract().abs() == part);
    decimals.map(Value::from).find(kept)
}

/// An object with one more member, which is the point of interest.
fn with(mut object: Map<String, Value>, name: &str, value: Value) -> Leaf {
    object.insert(name.to_owned(), value);
    Leaf { value: object.into(), pointer: below("", name) }
}
