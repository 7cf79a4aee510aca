//! Where a `$ref` leads: into the document itself or into `common.yaml`, nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::finding::{Finding, nearest};
use super::grammar::{Mentioned, Object};
use super::keywords::{Mention, pointer_to};
use super::{File, SHARED};
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
    for mention in &file.mentions {
        let Mentioned::Component(object) = mention.of else { continue };
        let resolved = target(mention, object).and_then(|(shared, target)| {
            if shared && file.source.stem() == SHARED {
                let help = format!("write `{target}`");
                return Err(("common.yaml refers to itself by name".to_owned(), Some(help)));
            }
            exists(&target, if shared { &foreign } else { &own })?;
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

fn exists(target: &Component, known: &BTreeSet<Component>) -> Result<(), Unresolved> {
    if known.contains(target) {
        return Ok(());
    }
    let names = known.iter().filter(|other| other.section == target.section);
    let help = nearest(&target.name, names.map(|other| other.name.as_str()))
        .map(|near| format!("did you mean `{near}`?"));
    Err((format!("there is no `{}` in {}", target.name, target.section), help))
}

/// Components that are nothing but a `$ref` and lead back to themselves.
fn circles(file: &File<'_>, links: &[Link]) -> Vec<Finding> {
    let aliases: BTreeMap<&str, String> = links
        .iter()
        .filter(|link| !link.shared)
        .map(|link| (link.pointer.as_str(), link.target.pointer()))
        .collect();
    let mut findings = Vec::new();
    for mention in &file.mentions {
        let mut seen = BTreeSet::new();
        let mut at = aliases.get(mention.pointer.as_str());
        while let Some(next) = at.filter(|next| seen.insert(next.as_str())) {
            at = aliases.get(next.as_str());
        }
        if seen.contains(mention.pointer.as_str()) {
            let message = "this component leads back to itself and is never defined";
            findings.push(file.source.finding(mention.span, &rule::CIRCULAR_REF, message));
        }
    }
    findings
}
