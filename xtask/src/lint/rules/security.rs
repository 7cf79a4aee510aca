//! Who may call: schemes, requirements, and the 401 that comes with them.

use crate::document::{Finding, Node, Object};
use crate::lint::view::{Operation, View};
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        findings.extend(requirement(view, operation));
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

/// One requirement, of schemes that prove the same kind of caller.
fn requirement(view: &View<'_>, operation: &Operation<'_>) -> Option<Finding> {
    let (key, security) = operation.node.entry("security")?;
    let schemes = view.files[operation.file].root.get("components")?.get("securitySchemes");
    let caller = |name: &str| schemes?.get(name)?.get("x-caller")?.as_str();
    let named = security.items().first().map_or(&[][..], Node::entries);
    let mut callers: Vec<_> =
        named.iter().filter_map(|(name, _)| caller(name.text.as_str())).collect();
    callers.sort_unstable();
    callers.dedup();
    let problem = match (security.items().len(), named.len(), callers.len()) {
        (0, ..) => return None,
        (2.., ..) => "has more than one requirement".to_owned(),
        (_, 0, _) => "has a requirement that requires nothing; write `security: []`".to_owned(),
        (_, _, 2..) => format!("asks for callers of several kinds: {}", callers.join(", ")),
        _ => return None,
    };
    let message = format!("{} {problem}", operation.title());
    Some(view.finding(operation.file, key.span, &rule::SECURITY_ALTERNATIVES, message))
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
