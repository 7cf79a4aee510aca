//! Who may call: schemes, requirements, and the 401 that comes with them.

use std::collections::BTreeSet;
use std::iter::repeat;

use crate::document::{Finding, Node, Object};
use crate::lint::view::{Operation, Place, View};
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        findings.extend(requirements(view, operation));
        findings.extend(unauthorized(view, operation));
    }
    for (file, site) in view.sites(Object::SecurityScheme) {
        let [needed, foreign]: [&[&str]; 2] = match site.node.get("type").and_then(Node::as_str) {
            Some("http") => [&["scheme"], &["name", "in"]],
            Some("apiKey") => [&["name", "in"], &["scheme", "bearerFormat"]],
            _ => [&[], &[]],
        };
        for (key, _) in foreign.iter().filter_map(|keyword| site.node.entry(keyword)) {
            let message = format!("`{}` means nothing for a scheme of this type", key.text);
            findings.push(view.finding(file, key.span, &rule::MISPLACED_KEYWORD, message));
        }
        for keyword in needed.iter().filter(|keyword| site.node.get(keyword).is_none()) {
            let message = format!("a scheme of this type needs `{keyword}`");
            findings.push(view.finding(file, site.key, &rule::INCOMPLETE_SCHEME, message));
        }
    }
    findings
}

/// Any one of several requirements, each of schemes that prove one kind of caller, and such that a
/// request shows which one it is meant for.
fn requirements(view: &View<'_>, operation: &Operation<'_>) -> Option<Finding> {
    let (key, security) = operation.node.entry("security")?;
    let all: Vec<_> = security.items().iter().map(|it| Proof::of(view, operation, it)).collect();
    let problem = all.iter().find_map(Proof::problem).or_else(|| {
        let pairs = all.iter().enumerate().flat_map(|(at, it)| all[..at].iter().zip(repeat(it)));
        pairs.into_iter().find_map(|(one, other)| one.confusion(other))
    })?;
    let message = format!("{} {problem}", operation.title());
    Some(view.finding(operation.file, key.span, &rule::SECURITY_ALTERNATIVES, message))
}

/// What one requirement asks for.
struct Proof<'t> {
    is_empty: bool,
    callers: BTreeSet<&'t str>,
    /// In lower case; `authorization` for a bearer token.
    headers: BTreeSet<String>,
}

const BEARER: &str = "authorization";

impl<'t> Proof<'t> {
    fn of(view: &View<'t>, operation: &Operation<'t>, requirement: &'t Node) -> Self {
        let schemes = view.files[operation.file].root.get("components");
        let schemes = schemes.and_then(|it| it.get("securitySchemes"));
        let named = requirement.entries().iter().filter_map(|(name, _)| {
            let node = schemes?.get(&name.text)?;
            Some(view.resolve(Place { file: operation.file, node })?.node)
        });
        let named: Vec<_> = named.collect();
        let word = |node: &'t Node, keyword: &str| node.get(keyword).and_then(Node::as_str);
        Self {
            is_empty: requirement.entries().is_empty(),
            callers: named.iter().filter_map(|node| word(node, "x-caller")).collect(),
            headers: named
                .iter()
                .map(|node| word(node, "name").unwrap_or(BEARER).to_lowercase())
                .collect(),
        }
    }

    fn problem(&self) -> Option<String> {
        let is_mixed = self.headers.len() > 1 && self.headers.contains(BEARER);
        let callers = || self.callers.iter().copied().collect::<Vec<_>>().join(", ");
        match self.callers.len() {
            _ if self.is_empty => {
                Some("has a requirement that requires nothing; write `security: []`".to_owned())
            }
            0 | 1 if is_mixed => {
                Some("asks for a bearer token and other headers at once".to_owned())
            }
            0 | 1 => None,
            _ => Some(format!("asks for callers of several kinds at once: {}", callers())),
        }
    }

    /// Why a request may not show which of two requirements it is meant for.
    fn confusion(&self, other: &Self) -> Option<String> {
        if let Some(caller) = self.callers.intersection(&other.callers).next() {
            return Some(format!("has two requirements for the caller `{caller}`"));
        }
        let mut shared = self.headers.intersection(&other.headers).filter(|it| *it != BEARER);
        let header = shared.next()?;
        Some(format!("has two requirements that are both known by the header `{header}`"))
    }
}

fn unauthorized(view: &View<'_>, operation: &Operation<'_>) -> Option<Finding> {
    let security = operation.node.get("security")?;
    let responses = operation.node.get("responses")?;
    if security.items().is_empty() || responses.get("401").is_some() {
        return None;
    }
    let message = format!("{} asks for credentials and does not document 401", operation.title());
    Some(view.finding(operation.file, operation.method.span, &rule::NO_UNAUTHORIZED, message))
}
