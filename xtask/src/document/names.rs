//! What must agree between documents: names that become Rust items, codes, schemes and tags.

use std::collections::{BTreeMap, BTreeSet};

use super::finding::{Finding, nearest};
use super::grammar::Mentioned;
use super::keywords::Mention;
use super::references::Component;
use super::yaml::{Key, Node, Span};
use super::{File, METHODS, SHARED, SUGGESTED};
use crate::rule::{self, Rule};

/// Checks names over all documents.
pub fn check(common: Option<&File<'_>>, surfaces: &[File<'_>]) -> Vec<Finding> {
    let mut findings = common.map(|common| collisions(common, surfaces)).unwrap_or_default();
    findings.extend(unique(surfaces, "schema", schema_names));
    findings.extend(unique(surfaces, "operationId", operation_ids));
    findings.extend(unique(surfaces, "tag", tags));
    let codes: BTreeSet<&str> =
        common.map_or(&[][..], catalogue).iter().map(|(key, _)| key.text.as_str()).collect();
    let operations: BTreeSet<&str> =
        surfaces.iter().flat_map(operation_ids).map(|(name, _)| name).collect();
    for file in surfaces.iter().chain(common) {
        let (of, place) = (Mentioned::Operation, "the operations of the documents");
        findings.extend(known(file, of, &operations, &rule::UNKNOWN_OPERATION, place));
        let catalogue = format!("the catalogue `x-error-codes` of {SHARED}.yaml");
        findings.extend(known(file, Mentioned::ErrorCode, &codes, &rule::UNKNOWN_CODE, &catalogue));
        let schemes: BTreeSet<&str> =
            members(file.root, &["components", "securitySchemes"]).map(|(name, _)| name).collect();
        let place = "`components.securitySchemes`";
        findings.extend(known(
            file,
            Mentioned::SecurityScheme,
            &schemes,
            &rule::UNKNOWN_SCHEME,
            place,
        ));
        let tags: BTreeSet<&str> = tags(file).into_iter().map(|(name, _)| name).collect();
        let place = "the document's `tags`";
        findings.extend(known(file, Mentioned::Tag, &tags, &rule::UNKNOWN_TAG, place));
    }
    findings
}

/// The catalogue of error codes with the default messages.
pub fn error_codes(common: &File<'_>) -> BTreeMap<String, String> {
    catalogue(common)
        .iter()
        .filter_map(|(key, entry)| {
            let message = entry.get("message")?.as_str()?;
            Some((key.text.clone(), message.to_owned()))
        })
        .collect()
}

/// Whether a document's component is just the one of the same name from `common.yaml`.
pub fn is_shared(component: &Component, node: &Node) -> bool {
    node.get("$ref").and_then(Node::as_str) == Some(&format!("{SHARED}.yaml{component}"))
}

fn catalogue<'f>(common: &'f File<'_>) -> &'f [(Key, Node)] {
    common.root.get("x-error-codes").map_or(&[], Node::entries)
}

/// A component that is defined in a document and in `common.yaml`: the copy would replace it.
fn collisions(common: &File<'_>, surfaces: &[File<'_>]) -> Vec<Finding> {
    let shared = Component::all(common);
    let mut findings = Vec::new();
    for file in surfaces {
        let sections = file.root.get("components").map_or(&[][..], |node| node.entries());
        for (section, components) in sections {
            for (key, node) in components.entries() {
                let own = Component { section: section.text.clone(), name: key.text.clone() };
                let other = shared.iter().find(|other| {
                    other.section == own.section && fold(&other.name) == fold(&own.name)
                });
                let Some(other) = other.filter(|_| !is_shared(&own, node)) else { continue };
                let message = format!("`{}` collides with {SHARED}.yaml{other}", own.name);
                let help = format!("refer to `{SHARED}.yaml{other}`, or choose another name");
                findings
                    .push(file.source.finding(key.span, &rule::NAME_COLLISION, message).help(help));
            }
        }
    }
    findings
}

type Named<'f> = Vec<(&'f str, Span)>;

/// Names that become one Rust item each, over all documents, without regard to case.
fn unique(
    surfaces: &[File<'_>],
    what: &str,
    names: for<'f> fn(&'f File<'_>) -> Named<'f>,
) -> Vec<Finding> {
    let mut first = BTreeMap::new();
    let mut findings = Vec::new();
    for file in surfaces {
        for (name, span) in names(file) {
            let Some((other, place)) = first.get(&fold(name)) else {
                let place = format!("{}:{}:{}", file.source.file, span.line, span.column);
                first.insert(fold(name), (name.to_owned(), place));
                continue;
            };
            let message = format!("the {what} `{name}` is taken by `{other}` at {place}");
            let help = if what == "schema" {
                format!("rename it, or move it into {SHARED}.yaml if both mean the same")
            } else {
                "rename it; case does not tell names apart".to_owned()
            };
            findings.push(file.source.finding(span, &rule::NAME_COLLISION, message).help(help));
        }
    }
    findings
}

fn schema_names<'f>(file: &'f File<'_>) -> Named<'f> {
    let Some(schemas) = file.root.get("components").and_then(|node| node.get("schemas")) else {
        return Vec::new();
    };
    let own = |name: &str, node: &Node| {
        !is_shared(&Component { section: "schemas".to_owned(), name: name.to_owned() }, node)
    };
    let entries = schemas.entries().iter().filter(|(key, node)| own(&key.text, node));
    entries.map(|(key, _)| (key.text.as_str(), key.span)).collect()
}

fn operation_ids<'f>(file: &'f File<'_>) -> Named<'f> {
    let items = file.root.get("paths").map_or(&[][..], |node| node.entries());
    items
        .iter()
        .flat_map(|(_, item)| METHODS.iter().filter_map(|method| item.get(method)))
        .filter_map(|operation| operation.get("operationId"))
        .filter_map(|id| Some((id.as_str()?, id.span)))
        .collect()
}

fn tags<'f>(file: &'f File<'_>) -> Named<'f> {
    let Some(tags) = file.root.get("tags") else { return Vec::new() };
    tags.items()
        .iter()
        .filter_map(|tag| tag.get("name"))
        .filter_map(|name| Some((name.as_str()?, name.span)))
        .collect()
}

/// Mentions of one kind that name nothing.
fn known(
    file: &File<'_>,
    of: Mentioned,
    names: &BTreeSet<&str>,
    rule: &'static Rule,
    place: &str,
) -> Vec<Finding> {
    let unknown = |mention: &&Mention| mention.of == of && !names.contains(mention.text.as_str());
    file.mentions
        .iter()
        .filter(unknown)
        .enumerate()
        .map(|(count, mention)| {
            let near = (count < SUGGESTED)
                .then(|| nearest(&mention.text, names.iter().copied()))
                .flatten();
            let help = near.map_or_else(
                || format!("add it to {place}"),
                |near| format!("did you mean `{near}`?"),
            );
            let message = format!("`{}` is not in {place}", mention.text);
            file.source.finding(mention.span, rule, message).help(help)
        })
        .collect()
}

fn members<'f>(root: &'f Node, path: &[&str]) -> impl Iterator<Item = (&'f str, &'f Node)> {
    let node = path.iter().try_fold(root, |node, name| node.get(name));
    let entries = node.map_or(&[][..], Node::entries);
    entries.iter().map(|(key, node)| (key.text.as_str(), node))
}

/// A name as every language and file system may spell it.
fn fold(name: &str) -> String {
    name.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_lowercase()
}
