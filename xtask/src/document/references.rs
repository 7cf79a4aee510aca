//! Where a `$ref` leads: into the document itself or into `common.yaml`, nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::finding::{Finding, nearest};
use super::grammar::{Mentioned, Object};
use super::keywords::{Mention, pointer_to};
use super::{File, SHARED, SUGGESTED};
use crate::rule;

/// A component by its place in a document: section (`schemas`) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    pub section: String,
    pub name: String,
}

/// A `$ref` that leads somewhere.
#[derive(Clone, Debug)]
pub struct Link {
    /// JSON pointer of the object that has the `$ref`.
    pub pointer: String,
    pub target: Component,
    /// Whether it leads from a surface's document into `common.yaml`.
    pub shared: bool,
}

impl Component {
    /// Its JSON pointer within a document.
    pub fn pointer(&self) -> String {
        pointer_to(&pointer_to("/components", &self.section), &self.name)
    }

    /// All components of a file, sorted.
    pub fn all(file: &File<'_>) -> BTreeSet<Component> {
        let sections = file.root.get("components").map_or(&[][..], |node| node.entries());
        sections
            .iter()
            .flat_map(|(section, node)| {
                node.entries().iter().map(|(name, _)| Component {
                    section: section.text.clone(),
                    name: name.text.clone(),
                })
            })
            .collect()
    }
}

/// `#/components/schemas/Error`, as in a `$ref`.
impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.pointer())
    }
}

/// All links of a file; a `$ref` that leads nowhere, to the wrong kind of component or back to
/// itself is a finding.
pub fn links(file: &File<'_>, common: Option<&File<'_>>, findings: &mut Vec<Finding>) -> Vec<Link> {
    let own = Component::all(file);
    let foreign = common.map(Component::all).unwrap_or_default();
    let mut links = Vec::new();
    let mut missing = 0;
    for mention in &file.mentions {
        let Mentioned::Component(object) = mention.of else { continue };
        let resolved = target(mention, object).and_then(|(shared, target)| {
            if shared && file.source.stem() == SHARED {
                let help = format!("write `{target}`");
                return Err(("common.yaml refers to itself by name".to_owned(), Some(help)));
            }
            let known = if shared { &foreign } else { &own };
            if !known.contains(&target) {
                missing += 1;
                return Err(absent(&target, known, missing <= SUGGESTED));
            }
            Ok(Link { pointer: mention.pointer.clone(), target, shared })
        });
        match resolved {
            Ok(link) => links.push(link),
            Err((message, help)) => findings.push(
                file.source.finding(mention.span, &rule::UNRESOLVED_REF, message).maybe_help(help),
            ),
        }
    }
    findings.extend(circles(file, &links));
    links
}

type Unresolved = (String, Option<String>);

/// Takes a `$ref` apart: whether it names `common.yaml`, and the component.
fn target(mention: &Mention, object: Object) -> Result<(bool, Component), Unresolved> {
    let section = object.section().unwrap_or_default();
    let form = || {
        let local = format!("#/components/{section}/<name>");
        let help = format!("write `{local}` or `{SHARED}.yaml{local}`");
        (format!("`{}` does not name a component", mention.text), Some(help))
    };
    let (file, path) = mention.text.split_once('#').ok_or_else(form)?;
    let shared = file == format!("{SHARED}.yaml");
    if !shared && !file.is_empty() {
        let message = format!("`{file}` cannot be referred to, only {SHARED}.yaml can");
        let help = format!("move what both documents need into {SHARED}.yaml");
        return Err((message, Some(help)));
    }
    let (found, name) = path
        .strip_prefix("/components/")
        .and_then(|rest| rest.split_once('/'))
        .filter(|(_, name)| !name.is_empty() && !name.contains(['/', '~', '%']))
        .ok_or_else(form)?;
    if found != section {
        let message = format!("{} is needed here, this leads to `{found}`", object.noun());
        return Err((message, form().1));
    }
    Ok((shared, Component { section: found.to_owned(), name: name.to_owned() }))
}

fn absent(target: &Component, known: &BTreeSet<Component>, is_suggested: bool) -> Unresolved {
    let message = format!("there is no `{}` in {}", target.name, target.section);
    if !is_suggested {
        return (message, None);
    }
    let names = known.iter().filter(|other| other.section == target.section);
    let help = nearest(&target.name, names.map(|other| other.name.as_str()))
        .map(|near| format!("did you mean `{near}`?"));
    (message, help)
}

/// Components that are nothing but a `$ref` and lead back to themselves.
fn circles(file: &File<'_>, links: &[Link]) -> Vec<Finding> {
    let aliases: BTreeMap<&str, String> = links
        .iter()
        .filter(|link| !link.shared)
        .map(|link| (link.pointer.as_str(), link.target.pointer()))
        .collect();
    // Each alias is walked over once: by the walk that comes to it first.
    let mut walks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut circular = BTreeSet::new();
    for (walk, start) in aliases.keys().copied().enumerate() {
        let mut at = start;
        while let Some((pointer, next)) = aliases.get_key_value(at) {
            if let Some(known) = walks.get(pointer) {
                if *known == walk {
                    circular.extend(circle(&aliases, pointer));
                }
                break;
            }
            walks.insert(pointer, walk);
            at = next;
        }
    }
    let mentions =
        file.mentions.iter().filter(|mention| circular.contains(mention.pointer.as_str()));
    let message = "this component leads back to itself and is never defined";
    mentions
        .map(|mention| file.source.finding(mention.span, &rule::CIRCULAR_REF, message))
        .collect()
}

/// Every alias of the circle that one of them is in.
fn circle<'l>(aliases: &'l BTreeMap<&str, String>, start: &str) -> BTreeSet<&'l str> {
    let mut found = BTreeSet::new();
    let mut at = start;
    while let Some((pointer, next)) = aliases.get_key_value(at) {
        if !found.insert(*pointer) {
            break;
        }
        at = next;
    }
    found
}
