//! No keyword is silent: each of the dialect's tables is walked, each keyword changed, added and
//! removed, and the walk must say so under the keyword's own rule.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::Change;
use super::rules;
use super::spot::Spot;
use super::walk::Walk;
use crate::diff::class::Side;
use crate::document::{Object, Shape};

#[test]
fn changing_adding_or_removing_any_keyword_is_reported() {
    let mut silent = Vec::new();
    let mut count = 0;
    for object in objects() {
        for keyword in object.keywords() {
            let [one, other] = [1, 2].map(|n| json!({ keyword.name: value(keyword.shape, n) }));
            let none = json!({});
            for (how, base, head) in
                [("changed", &one, &other), ("added", &none, &one), ("removed", &one, &none)]
            {
                count += 1;
                if !is_told(object, keyword.name, base, head) {
                    silent.push(format!("{object:?}.{} {how}", keyword.name));
                }
            }
        }
    }
    assert_eq!(silent, Vec::<String>::new());
    assert!(count > 300, "{count} cases: the tables were not walked");
}

#[test]
fn every_keyword_of_the_dialect_has_a_rule() {
    for object in objects() {
        for keyword in object.keywords() {
            assert!(rules::rule(object, keyword.name).is_some(), "{object:?}.{}", keyword.name);
        }
    }
}

#[test]
fn a_keyword_that_the_dialect_never_had_is_a_break() {
    let changes = walked(Object::Schema, &json!({ "const": 1 }), &json!({ "const": 2 }));
    let names: Vec<_> = changes.iter().map(|it| (it.name.as_str(), it.class)).collect();
    assert_eq!(
        names,
        [("request-unknown-keyword-changed", crate::diff::class::Class::BreaksCaller)]
    );
}

/// Whether something was found below the keyword, and not for want of a rule.
fn is_told(object: Object, keyword: &str, base: &Value, head: &Value) -> bool {
    let below =
        |pointer: &str| object == Object::Components || pointer.starts_with(&format!("/{keyword}"));
    let changes = walked(object, base, head);
    !changes.is_empty()
        && changes.iter().all(|it| !it.name.contains("unknown-keyword"))
        && changes.iter().any(|it| below(&it.pointer))
}

fn walked(object: Object, base: &Value, head: &Value) -> Vec<Change> {
    let documents = match object {
        Object::Components => (json!({ "components": base }), json!({ "components": head })),
        _ => (base.clone(), head.clone()),
    };
    let mut walk = Walk::new("embed", &documents.0, &documents.1, &|_| false);
    let root = |document| match object {
        Object::Components => Spot::root(document).member("components"),
        _ => Spot::root(document),
    };
    walk.object(object, &root(&documents.0), &root(&documents.1), Side::Request);
    walk.components_in_use();
    walk.components_not_in_use(&|_| true);
    walk.changes()
}

/// Every object that the tables lead to.
fn objects() -> BTreeSet<Object> {
    let mut found = BTreeSet::new();
    let mut open = vec![Object::Document, Object::Common];
    while let Some(object) = open.pop() {
        if found.insert(object) {
            open.extend(object.keywords().iter().filter_map(|it| inner(it.shape)));
        }
    }
    found
}

fn inner(shape: Shape) -> Option<Object> {
    match shape {
        Shape::Is(object) | Shape::FlagOr(object) => Some(object),
        Shape::List(_, shape) | Shape::Map(_, shape) => inner(*shape),
        _ => None,
    }
}

/// One of two different values of a shape. Neither is the default that absence stands for.
fn value(shape: Shape, n: usize) -> Value {
    match shape {
        Shape::Anything | Shape::Integer(..) | Shape::Number(_) => json!(n),
        // The second value is the default: `changed` is what `removed` is.
        Shape::Flag => json!(n == 1),
        Shape::FlagOr(object) if n == 2 => filled(object, 1),
        Shape::FlagOr(_) => json!(false),
        Shape::Text | Shape::CamelCase | Shape::Mention(_) | Shape::Word(_) => {
            json!(format!("text{n}"))
        }
        Shape::List(_, item) => json!([value(*item, n)]),
        Shape::Map(_, item) => json!({ "key": value(*item, n) }),
        Shape::Is(object) => filled(object, n),
    }
}

/// An object with one plain keyword, and with what tells it apart in a list.
fn filled(object: Object, n: usize) -> Value {
    let plain = |shape| matches!(shape, Shape::Text | Shape::Anything | Shape::Integer(..));
    let keyword = object.keywords().iter().find(|it| plain(it.shape));
    // What has no plain keyword holds objects that have.
    let keyword = keyword.or(object.keywords().first());
    let mut members = Map::new();
    members.extend(keyword.map(|it| (it.name.to_owned(), value(it.shape, n))));
    if object == Object::Components {
        let schemas = json!({ format!("Schema{n}"): {} });
        return json!({ "schemas": schemas });
    }
    Value::Object(members)
}
