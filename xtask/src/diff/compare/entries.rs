//! What one version has and the other lacks: member objects, entries of maps and lists, words,
//! components. What both have is handed back to the walk.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToKebabCase;

use super::rules::{self, Judge};
use super::spot::Spot;
use super::values::{same, verb};
use super::walk::{Difference, Origin, Walk, child, object_of};
use crate::diff::class::{Side, Verdict};
use crate::document::Object;

impl<'v> Walk<'v> {
    /// A member that is an object, in both or in one.
    pub(super) fn member(
        &mut self,
        object: Object,
        name: &str,
        (added, removed): (Judge, Judge),
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        let Some(child) = child(object, name) else {
            return self.unknown(object, name, at, side);
        };
        let is_operation = child == Object::Operation;
        let (old, new) = self.resolved(at);
        if (at.0.is_there() && at.1.is_there()) || child == Object::Components {
            let outer = self.origin.clone();
            if is_operation {
                let id = new.text("operationId").or(old.text("operationId"));
                self.origin = Origin::Operation(id.unwrap_or_default().to_owned());
            }
            self.pair(child, at.0, at.1, side);
            self.origin = outer;
            return;
        }
        let verb = verb(at.0.value, at.1.value);
        let judge = if at.0.is_there() { removed } else { added };
        let there = if at.0.is_there() { &old } else { &new };
        let noun = if is_operation { "operation" } else { name };
        let what = match there.text("operationId").filter(|_| is_operation) {
            Some(id) => format!("operation `{id}` {verb}"),
            None => format!("`{name}` {verb}"),
        };
        let name = format!("{}-{verb}", noun.to_kebab_case());
        self.report(Difference { object, name, verdict: judge("", there), side, what, at });
        self.touches(
            there.text("operationId").filter(|_| is_operation).map(str::to_owned).into_iter(),
        );
    }

    /// Entries of a map by name, or of a list by the member that is its key.
    pub(super) fn entries(
        &mut self,
        object: Object,
        child: Object,
        noun: &str,
        (added, removed): (Judge, Judge),
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        let (old, new) = (keyed(child, at.0), keyed(child, at.1));
        let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for key in keys {
            let absent = |beside: &Spot<'v>| Spot { value: None, pointer: beside.pointer.clone() };
            let (base, head) = match (old.get(key), new.get(key)) {
                (Some(base), Some(head)) => {
                    self.pair(child, base, head, side);
                    continue;
                }
                (Some(base), None) => (base.clone(), absent(base)),
                (None, Some(head)) => (absent(head), head.clone()),
                (None, None) => continue,
            };
            let (before, after) = self.resolved((&base, &head));
            let (judge, there) = if base.is_there() { (removed, before) } else { (added, after) };
            let verb = verb(base.value, head.value);
            let what = format!("{} `{key}` {verb}", noun.replace('-', " "));
            let (name, verdict) = (format!("{noun}-{verb}"), judge(key, &there));
            let at = (&base, &head);
            self.report(Difference { object, name, verdict, side, what, at });
            self.touches(operation_ids(&there));
        }
    }

    pub(super) fn words(
        &mut self,
        object: Object,
        keyword: &str,
        (added, removed): (Verdict, Verdict),
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        let (old, new) = (at.0.items(), at.1.items());
        for (verb, verdict, mine, others) in
            [("removed", removed, &old, &new), ("added", added, &new, &old)]
        {
            for item in mine {
                if others.iter().any(|other| same(other.value, item.value)) {
                    continue;
                }
                let absent = Spot { value: None, pointer: item.pointer.clone() };
                let at = if verb == "added" { (&absent, item) } else { (item, &absent) };
                let name = format!("{}-value-{verb}", keyword.to_kebab_case());
                let shown = item.value.map(ToString::to_string).unwrap_or_default();
                let what = format!("`{keyword}`: value {shown} {verb}");
                self.report(Difference { object, name, verdict, side, what, at });
            }
        }
    }

    /// Components that one version has and the other lacks.
    pub(super) fn components(&mut self, at: (&Spot<'v>, &Spot<'v>)) {
        let Some(section) = at.0.pointer.rsplit('/').next().map(str::to_owned) else { return };
        let object = object_of(&section).unwrap_or(Object::Components);
        let noun = object.noun().split_once(' ').map_or("component", |(_, noun)| noun);
        let names: BTreeSet<&str> = at.0.names().chain(at.1.names()).collect();
        for name in names {
            let (old, new) = (at.0.member(name), at.1.member(name));
            if old.is_there() == new.is_there() || (self.shared)(&new.pointer) {
                continue;
            }
            let verb = verb(old.value, new.value);
            let verdict = rules::component(object, new.is_there());
            let what = format!("{noun} `{name}` {verb}");
            let difference = format!("{}-{verb}", noun.to_kebab_case());
            let object = Object::Components;
            let (side, at) = (Side::Request, (&old, &new));
            self.report(Difference { object, name: difference, verdict, side, what, at });
        }
    }
}

/// The entries of a map by name, those of a list by what tells them apart.
fn keyed<'v>(child: Object, at: &Spot<'v>) -> BTreeMap<String, Spot<'v>> {
    let key = if child == Object::Server { "url" } else { "name" };
    let items = at.items().into_iter().enumerate();
    let nameless = |index: usize| format!("entry {index}");
    let listed = items
        .map(|(index, item)| (item.text(key).map_or_else(|| nameless(index), str::to_owned), item));
    let mapped = at.names().map(|name| (name.to_owned(), at.member(name)));
    listed.chain(mapped).collect()
}

/// The ids of the operations below a path item.
fn operation_ids(at: &Spot<'_>) -> impl Iterator<Item = String> {
    let members = at.names().map(|name| at.member(name)).collect::<Vec<_>>();
    members.into_iter().filter_map(|it| it.text("operationId").map(str::to_owned))
}
