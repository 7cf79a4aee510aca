//! Makes every document complete: what it needs from `common.yaml` is copied into its own
//! components, every `$ref` becomes local.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::finding::Finding;
use super::references::{Component, Link, links};
use super::{Document, Documents, File};

/// Bundles all documents; references that lead nowhere become findings.
///
/// The result is complete only if there are no findings. It has no error codes yet.
pub fn bundle(common: &File<'_>, surfaces: &[File<'_>], findings: &mut Vec<Finding>) -> Documents {
    let shared =
        Shared { value: common.root.to_json(), links: links(common, Some(common), findings) };
    let mut documents = Vec::new();
    for file in surfaces {
        let links = links(file, Some(common), findings);
        let copied = shared.needed(&links);
        let value = complete(file.root.to_json(), &links, &copied, &shared.value);
        documents.push(Document { name: file.source.stem().to_owned(), value });
    }
    Documents { documents, error_codes: BTreeMap::new() }
}

/// `common.yaml` as a source of components.
struct Shared {
    value: Value,
    links: Vec<Link>,
}

impl Shared {
    /// The components that a document's links lead to, and those that they need in turn.
    fn needed(&self, links: &[Link]) -> BTreeSet<Component> {
        let mut needed = BTreeSet::new();
        let mut open: Vec<&Component> =
            links.iter().filter(|link| link.shared).map(|link| &link.target).collect();
        while let Some(component) = open.pop() {
            if !needed.insert(component.clone()) {
                continue;
            }
            let own = component.pointer();
            let inside = |link: &&Link| {
                link.pointer.strip_prefix(&own).is_some_and(|rest| {
                    // `/components/schemas/Error` is no part of `…/ErrorList`.
                    rest.is_empty() || rest.starts_with('/')
                })
            };
            open.extend(self.links.iter().filter(inside).map(|link| &link.target));
        }
        needed
    }
}

fn complete(
    mut value: Value,
    links: &[Link],
    copied: &BTreeSet<Component>,
    common: &Value,
) -> Value {
    for link in links.iter().filter(|link| link.shared) {
        if let Some(holder) = value.pointer_mut(&link.pointer) {
            holder["$ref"] = Value::String(link.target.to_string());
        }
    }
    // After the rewriting: a component that only pointed at its shared namesake is replaced here.
    for component in copied {
        let source = common.pointer(&component.pointer()).cloned().unwrap_or_default();
        if let Some(section) = section(&mut value, &component.section) {
            section.insert(component.name.clone(), source);
        }
    }
    value
}

/// A section of the components, created if there is none; `None` in a document that is malformed
/// (and was reported).
fn section<'v>(document: &'v mut Value, name: &str) -> Option<&'v mut Map<String, Value>> {
    let components = document.as_object_mut()?.entry("components").or_insert_with(|| json!({}));
    components.as_object_mut()?.entry(name).or_insert_with(|| json!({})).as_object_mut()
}
