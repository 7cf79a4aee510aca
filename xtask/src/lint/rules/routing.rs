//! What dropshot's router panics on, over all documents together: they are registered in one.

use std::collections::{BTreeMap, BTreeSet};

use super::part;
use crate::document::{Finding, Key, METHODS, Span};
use crate::lint::view::View;
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut router = Router { view, nodes: vec![Branch::default()], findings: Vec::new() };
    for (file, it) in view.files.iter().enumerate() {
        let paths = it.root.get("paths").map_or(&[][..], |paths| paths.entries());
        for (path, item) in paths {
            let Some(node) = router.insert(file, path) else { continue };
            for method in METHODS {
                if let Some((key, _)) = item.entry(method) {
                    router.register(node, method, Stand { file, at: key.span });
                }
            }
        }
    }
    router.findings
}

/// Where something was registered first.
#[derive(Clone, Copy)]
struct Stand {
    file: usize,
    at: Span,
}

#[derive(Default)]
struct Branch<'t> {
    literals: BTreeMap<&'t str, usize>,
    variable: Option<(&'t str, usize)>,
    /// The first path that leads on from here.
    first: Option<Stand>,
    methods: BTreeMap<&'static str, Stand>,
}

struct Router<'v, 't> {
    view: &'v View<'t>,
    nodes: Vec<Branch<'t>>,
    findings: Vec<Finding>,
}

impl<'t> Router<'_, 't> {
    /// The node that a path ends at; `None` when it cannot be routed.
    fn insert(&mut self, file: usize, path: &'t Key) -> Option<usize> {
        let mut node = 0;
        let mut names = BTreeSet::new();
        for (start, segment) in segments(&path.text) {
            let at = part(path, start, segment.chars().count().max(1));
            let is_known = variable(segment).is_some_and(|name| !names.insert(name));
            let objection = objection(segment).or(is_known.then_some("the variable is used twice"));
            if let Some(objection) = objection {
                let message = format!("`{segment}` in `{}`: {objection}", path.text);
                self.findings.push(self.view.finding(file, at, &rule::PATH_SEGMENT, message));
                return None;
            }
            node = self.step(node, segment, Stand { file, at }, &path.text)?;
        }
        Some(node)
    }

    fn step(&mut self, node: usize, segment: &'t str, here: Stand, path: &str) -> Option<usize> {
        let next = self.nodes.len();
        let branch = &mut self.nodes[node];
        let other = match (variable(segment), branch.variable) {
            (None, None) => {
                if let Some(known) = branch.literals.get(segment) {
                    return Some(*known);
                }
                branch.literals.insert(segment, next);
                None
            }
            (Some(name), None) if branch.literals.is_empty() => {
                branch.variable = Some((name, next));
                None
            }
            (Some(name), Some((known, at))) if name == known => return Some(at),
            (Some(_), None) => branch.literals.keys().next().map(|it| format!("literal `{it}`")),
            (_, Some((known, _))) => Some(format!("variable `{{{known}}}`")),
        };
        let first = *branch.first.get_or_insert(here);
        if let Some(other) = other {
            self.conflict(segment, here, path, &other, first);
            return None;
        }
        self.nodes.push(Branch::default());
        Some(next)
    }

    fn conflict(&mut self, segment: &str, here: Stand, path: &str, other: &str, first: Stand) {
        let place = self.view.shown(first.file, first.at);
        let message = format!("`{segment}` in `{path}` stands where {place} has the {other}");
        let help = match variable(segment).is_some() && other.starts_with("variable") {
            true => "give the variable the same name in every path",
            false => "a position of a path is either a variable or one of several literals",
        };
        let finding = self.view.finding(here.file, here.at, &rule::PATH_CONFLICT, message);
        self.findings.push(finding.help(help));
    }

    fn register(&mut self, node: usize, method: &'static str, here: Stand) {
        let Some(first) = self.nodes[node].methods.get(method).copied() else {
            self.nodes[node].methods.insert(method, here);
            return;
        };
        let place = self.view.shown(first.file, first.at);
        let message = format!("`{method}` of this path is already at {place}");
        self.findings.push(self.view.finding(here.file, here.at, &rule::DUPLICATE_ROUTE, message));
    }
}

/// The segments of a path with the character each begins at; a last empty one is none.
pub fn segments(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    let path = path.strip_suffix('/').unwrap_or(path);
    path.split('/')
        .map(move |segment| {
            let at = start;
            start += segment.chars().count() + 1;
            (at, segment)
        })
        .skip(1)
}

/// The name of a segment that is a variable.
pub fn variable(segment: &str) -> Option<&str> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    (!name.is_empty() && !name.contains(['{', '}', ':'])).then_some(name)
}

/// `pchar` of RFC 3986, section 3.3, but for the percent sign: the router compares decoded text.
fn stands_in_a_path(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@".contains(c)
}

fn objection(segment: &str) -> Option<&'static str> {
    match segment {
        "" => Some("a segment may not be empty"),
        "." | ".." => Some("clients resolve this segment before they send it"),
        _ if variable(segment).is_some() => None,
        _ if segment.contains(['{', '}']) => Some("a variable is a whole segment, `{name}`"),
        _ if segment.contains(['?', '#']) => Some("a path ends before its query"),
        _ if !segment.chars().all(stands_in_a_path) => Some("a URL has no such character here"),
        _ => None,
    }
}
