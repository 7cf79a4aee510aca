//! What changed between two versions of the documents, each change classed for those it touches.
//!
//! Components are compared once for each side from which both versions reach them by the same
//! reference; the operations that lead there are noted. It must not know where the versions come
//! from, nor how a change is shown.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::class::{Class, Side};
use crate::document::{Documents, Files, Object, SHARED};

mod entries;
mod operation;
mod rules;
mod schema;
mod spot;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_of_references;
#[cfg(test)]
mod tests_of_the_dialect;
mod values;
mod walk;

use spot::Spot;
use walk::Walk;

/// One state of `openapi/`.
#[derive(Debug, Default)]
pub struct Version {
    /// The bundled documents by name.
    pub documents: BTreeMap<String, Value>,
    /// `common.yaml` as it is written.
    pub common: Value,
    pub files: Files,
}

/// One difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The document's name; `common` for what `common.yaml` defines.
    pub document: String,
    /// JSON pointer into the head's document, or into the base's for what is gone.
    pub pointer: String,
    /// The stable name: what approvals say.
    pub name: String,
    pub class: Class,
    /// The direction, for what has one.
    pub side: Option<Side>,
    /// What changed, for people.
    pub what: String,
    pub old: Option<Value>,
    pub new: Option<Value>,
    /// The ids of the operations that are touched.
    pub operations: BTreeSet<String>,
}

impl Version {
    pub fn new(documents: Documents, texts: &BTreeMap<String, String>) -> Self {
        let files = Files::new(texts);
        let documents = documents.documents.into_iter().map(|it| (it.name, it.value)).collect();
        Version { documents, common: files.shared(), files }
    }
}

/// All changes from one version to another, sorted by document and pointer.
pub fn compare(base: &Version, head: &Version) -> Vec<Change> {
    let shared = |pointer: &str| base.files.is_shared(pointer) || head.files.is_shared(pointer);
    let mut changes = Vec::new();
    let mut paired = BTreeSet::new();
    let names: BTreeSet<_> = base.documents.keys().chain(head.documents.keys()).collect();
    for name in names {
        let (Some(old), Some(new)) = (base.documents.get(name), head.documents.get(name)) else {
            changes.push(whole_document(name, base.documents.get(name), head.documents.get(name)));
            continue;
        };
        let mut walk = Walk::new(name, old, new, &shared);
        walk.object(Object::Document, &Spot::root(old), &Spot::root(new), Side::Request);
        walk.components_in_use();
        walk.components_not_in_use(&|pointer| !shared(pointer));
        paired.extend(walk.visited());
        changes.extend(walk.changes());
    }
    changes.extend(common(base, head, &paired));
    merged(changes)
}

/// `common.yaml` itself: its catalogue, and the components that no document uses.
fn common(base: &Version, head: &Version, paired: &BTreeSet<String>) -> Vec<Change> {
    let mut walk = Walk::new(SHARED, &base.common, &head.common, &|_| false);
    let roots = (Spot::root(&base.common), Spot::root(&head.common));
    walk.object(Object::Common, &roots.0, &roots.1, Side::Unused);
    walk.components_not_in_use(&|pointer| !paired.contains(pointer));
    walk.changes()
}

fn whole_document(name: &str, old: Option<&Value>, new: Option<&Value>) -> Change {
    let operations = old.or(new).into_iter().flat_map(operations_of).collect();
    let (class, verb) = match old {
        Some(_) => (Class::BreaksCaller, "removed"),
        None => (Class::Additive, "added"),
    };
    Change {
        document: name.to_owned(),
        pointer: String::new(),
        name: format!("document-{verb}"),
        class,
        side: None,
        what: format!("document `{name}` {verb}"),
        old: None,
        new: None,
        operations,
    }
}

/// The ids of all operations of a document.
fn operations_of(document: &Value) -> impl Iterator<Item = String> {
    let items = document["paths"].as_object().into_iter().flat_map(|paths| paths.values());
    let members = items.filter_map(Value::as_object).flat_map(|item| item.values());
    members.filter_map(|operation| Some(operation.get("operationId")?.as_str()?.to_owned()))
}

/// What several documents or operations found together counts once.
fn merged(changes: Vec<Change>) -> Vec<Change> {
    let mut merged: BTreeMap<_, Change> = BTreeMap::new();
    for change in changes {
        let text = |value: &Option<Value>| value.as_ref().map(Value::to_string);
        let Change { document, pointer, class, name, side, what, .. } = change.clone();
        let key =
            (document, pointer, class, name, side, what, text(&change.old), text(&change.new));
        match merged.get_mut(&key) {
            Some(other) => other.operations.extend(change.operations),
            None => {
                merged.insert(key, change);
            }
        }
    }
    merged.into_values().collect()
}
