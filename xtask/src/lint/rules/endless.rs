//! Objects that require themselves, directly or through others: no finite value is valid.

use std::collections::{BTreeMap, BTreeSet};

use super::is_set;
use crate::document::{Finding, Node, NodeValue};
use crate::lint::view::{Place, View};
use crate::rule;

/// For each component, those without which it has no value.
type Needs = BTreeMap<usize, BTreeSet<usize>>;

/// A component is in a circle if it needs something that needs it.
pub fn check(view: &View<'_>) -> Vec<Finding> {
    let needs: Needs = (view.components.iter().enumerate())
        .filter(|(_, it)| it.section == "schemas")
        .map(|(id, it)| (id, needed(view, Place { file: it.file, node: it.node })))
        .collect();
    let found = circles(&needs).into_iter().map(|id| {
        let it = &view.components[id];
        let message = format!("`{}` requires itself: no finite value is valid", it.key.text);
        view.finding(it.file, it.key.span, &rule::ENDLESS_SCHEMA, message)
    });
    found.collect()
}

/// The components without which a schema has no value.
fn needed(view: &View<'_>, place: Place<'_>) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let mut open = vec![place.node];
    while let Some(node) = open.pop() {
        if let Some(target) = node.get("$ref").and_then(Node::as_str) {
            // An alias stands for another schema; a circle of those has its own rule.
            if !std::ptr::eq(node, place.node) {
                found.extend(view.target(place.file, target).filter(|id| !is_nullable(view, *id)));
            }
            continue;
        }
        if is_set(node, "nullable") {
            continue;
        }
        let required = node.get("required").map_or(&[][..], Node::items);
        let named: BTreeSet<&str> = required.iter().filter_map(Node::as_str).collect();
        let properties = node.get("properties").map_or(&[][..], Node::entries).iter();
        open.extend(properties.filter(|(key, _)| named.contains(&*key.text)).map(|(_, it)| it));
        let is_filled = node.get("minItems").is_some_and(|it| it.value != NodeValue::Int(0));
        open.extend(node.get("items").filter(|_| is_filled));
    }
    found
}

fn is_nullable(view: &View<'_>, id: usize) -> bool {
    is_set(view.components[id].node, "nullable")
}

/// Everything in a circle (Kosaraju): in the reverse order of completion, what leads to a component
/// and was not yet taken is its circle.
fn circles(needs: &Needs) -> Vec<usize> {
    let mut back = Needs::new();
    for (id, needs) in needs {
        for need in needs {
            back.entry(*need).or_default().insert(*id);
        }
    }
    let mut seen = BTreeSet::new();
    let order: Vec<usize> = needs.keys().flat_map(|id| completed(*id, needs, &mut seen)).collect();
    let mut taken = BTreeSet::new();
    let circles = order.iter().rev().map(|id| completed(*id, &back, &mut taken));
    let is_circle = |circle: &Vec<usize>| {
        circle.len() > 1 || circle.iter().any(|id| needs.get(id).is_some_and(|it| it.contains(id)))
    };
    circles.filter(is_circle).flatten().collect()
}

/// What can be reached and was not seen before, in the order in which it is done with. Its own
/// stack: a chain of components may be long.
fn completed(start: usize, edges: &Needs, seen: &mut BTreeSet<usize>) -> Vec<usize> {
    let mut done = Vec::new();
    let mut open = vec![(start, false)];
    while let Some((id, is_done)) = open.pop() {
        if is_done {
            done.push(id);
        } else if seen.insert(id) {
            open.push((id, true));
            open.extend(edges.get(&id).into_iter().flatten().map(|next| (*next, false)));
        }
    }
    done
}
