//! All documents as the rules see them: files, components, operations, and what leads where.
//!
//! It answers questions and judges nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::document::{Checked, Component, File, Finding, Key, Link, Node, Object, SHARED, Site};
use crate::document::{METHODS, Span, links};
use crate::rule::Rule;

/// The longest chain of references that is followed; a circle has its own rule.
const LONGEST: usize = 16;

/// Checked documents with their components and operations.
pub struct View<'t> {
    pub files: Vec<&'t File<'t>>,
    pub components: Vec<Named<'t>>,
    pub operations: Vec<Operation<'t>>,
    /// Whether every document that may use the shared parts is here.
    pub is_whole: bool,
    ids: BTreeMap<(usize, &'t str, &'t str), usize>,
    common: Option<usize>,
    /// For each file, where its references lead.
    pub links: Vec<Vec<Lead>>,
}

/// A component.
#[derive(Clone, Copy)]
pub struct Named<'t> {
    pub file: usize,
    pub section: &'t str,
    pub key: &'t Key,
    pub node: &'t Node,
}

/// One operation and where it stands.
#[derive(Clone, Copy)]
pub struct Operation<'t> {
    pub file: usize,
    pub path: &'t Key,
    pub method: &'t Key,
    pub node: &'t Node,
}

/// A reference from one place to a component.
pub struct Lead {
    /// The component that the reference stands in; `None` within `paths`.
    pub from: Option<usize>,
    pub pointer: String,
    pub to: usize,
}

/// A node with the file it stands in: references lead into others.
#[derive(Clone, Copy)]
pub struct Place<'t> {
    pub file: usize,
    pub node: &'t Node,
}

impl<'t> View<'t> {
    /// Reads what the files name; references that lead nowhere become findings.
    pub fn new(checked: &'t Checked<'t>, is_whole: bool, findings: &mut Vec<Finding>) -> Self {
        let common = checked.common.as_ref();
        let files: Vec<&File<'_>> = common.into_iter().chain(&checked.surfaces).collect();
        let mut view = View {
            components: files.iter().enumerate().flat_map(components).collect(),
            operations: files.iter().enumerate().flat_map(operations).collect(),
            links: Vec::new(),
            common: common.map(|_| 0),
            ids: BTreeMap::new(),
            is_whole,
            files,
        };
        let each = view.components.iter().enumerate();
        view.ids = each.map(|(id, it)| ((it.file, it.section, it.key.text.as_str()), id)).collect();
        let links: Vec<_> = view.files.iter().map(|file| links(file, common, findings)).collect();
        let leads = links.iter().enumerate();
        view.links = leads.map(|(file, links)| view.leads(file, links)).collect();
        view
    }

    /// Every object of one kind, with its file; those that break the dialect are left out, because
    /// whatever else is said of them may be a consequence.
    pub fn sites(&self, object: Object) -> impl Iterator<Item = (usize, &'t Site<'t>)> {
        self.files.iter().enumerate().flat_map(move |(index, file)| {
            let sound = move |site: &&Site<'_>| {
                site.object == object && !file.broken.contains(&site.pointer)
            };
            file.sites.iter().filter(sound).map(move |site| (index, site))
        })
    }

    /// What a node stands for, through its references.
    pub fn resolve(&self, place: Place<'t>) -> Option<Place<'t>> {
        let mut place = place;
        for _ in 0..LONGEST {
            let Some(target) = place.node.get("$ref") else { return Some(place) };
            let id = self.target(place.file, target.as_str()?)?;
            let named = &self.components[id];
            place = Place { file: named.file, node: named.node };
        }
        None
    }

    /// A member of a node, through the member's references.
    pub fn member(&self, place: Place<'t>, name: &str) -> Option<Place<'t>> {
        self.resolve(Place { file: place.file, node: place.node.get(name)? })
    }

    /// The component that a `$ref` names.
    pub fn target(&self, file: usize, text: &str) -> Option<usize> {
        let (document, pointer) = text.split_once('#')?;
        let (section, name) = pointer.strip_prefix("/components/")?.split_once('/')?;
        let file = if document.is_empty() {
            file
        } else {
            self.common.filter(|_| document == format!("{SHARED}.yaml"))?
        };
        self.component(file, section, name)
    }

    /// A component by its place.
    pub fn component(&self, file: usize, section: &str, name: &str) -> Option<usize> {
        self.ids.get(&(file, section, name)).copied()
    }

    /// The parameters of an operation, through their references.
    pub fn parameters(&self, operation: &Operation<'t>) -> Vec<Place<'t>> {
        let listed = operation.node.get("parameters").map_or(&[][..], Node::items);
        let places = listed.iter().map(|node| Place { file: operation.file, node });
        places.filter_map(|place| self.resolve(place)).collect()
    }

    /// The answers of an operation, each with its status and through its reference.
    pub fn answers(&self, operation: &Operation<'t>) -> Vec<(&'t Key, Place<'t>)> {
        let listed = operation.node.get("responses").map_or(&[][..], Node::entries);
        let places = listed.iter().map(|(status, node)| {
            let place = self.resolve(Place { file: operation.file, node })?;
            Some((status, place))
        });
        places.flatten().collect()
    }

    /// Every component that some operation reaches.
    pub fn reached(&self, starts: impl Fn(&Lead) -> bool) -> BTreeSet<usize> {
        let mut onward: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut open = Vec::new();
        for lead in self.links.iter().flatten() {
            match lead.from {
                Some(from) => onward.entry(from).or_default().push(lead.to),
                None if starts(lead) => open.push(lead.to),
                None => {}
            }
        }
        let mut reached = BTreeSet::new();
        while let Some(next) = open.pop() {
            if reached.insert(next) {
                open.extend(onward.get(&next).into_iter().flatten());
            }
        }
        reached
    }

    /// Everything that leads to one of these components, and these.
    pub fn leading_to(&self, mut open: Vec<usize>) -> BTreeSet<usize> {
        let mut back: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for lead in self.links.iter().flatten() {
            if let Some(from) = lead.from {
                back.entry(lead.to).or_default().push(from);
            }
        }
        let mut found = BTreeSet::new();
        while let Some(next) = open.pop() {
            if found.insert(next) {
                open.extend(back.get(&next).into_iter().flatten());
            }
        }
        found
    }

    /// A finding at a place of a file.
    pub fn finding(
        &self,
        file: usize,
        at: Span,
        rule: &'static Rule,
        message: impl Into<String>,
    ) -> Finding {
        self.files[file].source.finding(at, rule, message)
    }

    /// `openapi/chat.yaml:15:5`, to name a second place in a message.
    pub fn shown(&self, file: usize, at: Span) -> String {
        format!("{}:{}:{}", self.files[file].source.file, at.line, at.column)
    }

    fn leads(&self, file: usize, links: &[Link]) -> Vec<Lead> {
        let owner = |pointer: &str| {
            let (section, rest) = pointer.strip_prefix("/components/")?.split_once('/')?;
            let name = rest.split('/').next().unwrap_or(rest);
            self.component(file, section, name)
        };
        let lead = |link: &Link| {
            let Component { section, name } = &link.target;
            let target = if link.shared { self.common? } else { file };
            let to = self.component(target, section, name)?;
            Some(Lead { from: owner(&link.pointer), pointer: link.pointer.clone(), to })
        };
        links.iter().filter_map(lead).collect()
    }
}

impl Operation<'_> {
    /// `POST /v1/things`.
    pub fn title(&self) -> String {
        format!("{} {}", self.method.text.to_uppercase(), self.path.text)
    }
}

fn components<'t>((file, it): (usize, &&'t File<'t>)) -> Vec<Named<'t>> {
    let sections = it.root.get("components").map_or(&[][..], Node::entries).iter();
    let each = sections.flat_map(|(section, node)| {
        let section = section.text.as_str();
        node.entries().iter().map(move |(key, node)| Named { file, section, key, node })
    });
    each.collect()
}

fn operations<'t>((file, it): (usize, &&'t File<'t>)) -> Vec<Operation<'t>> {
    let items = it.root.get("paths").map_or(&[][..], Node::entries).iter();
    let each = items.flat_map(|(path, item)| {
        let methods = METHODS.iter().filter_map(|method| item.entry(method));
        methods.map(move |(method, node)| Operation { file, path, method, node })
    });
    each.collect()
}
