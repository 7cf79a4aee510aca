//! What each documented answer must carry: codes, bodies and headers.

use std::collections::BTreeMap;

use super::is_set;
use crate::document::{Finding, Key, Node, Object, SHARED};
use crate::lint::view::{Operation, Place, View};
use crate::rule::{self, Rule};

/// The schema of every refusal.
const ERROR: &str = "common.yaml#/components/schemas/Error";
/// Answers that have no body by definition.
const BODILESS: [&str; 3] = ["204", "205", "304"];

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = inline(view);
    for operation in &view.operations {
        let answers = view.answers(operation);
        for (status, answer) in &answers {
            let judge = Answer { view, operation, status, place: *answer };
            judge.codes(&mut findings);
            judge.content(&mut findings);
            judge.headers(&mut findings);
        }
        repeated(view, &answers, &mut findings);
    }
    findings
}

/// Bodies, of requests too, whose schema has no name.
fn inline(view: &View<'_>) -> Vec<Finding> {
    let bodies = view.sites(Object::MediaType).filter_map(|(file, site)| {
        let (key, schema) = site.node.entry("schema")?;
        let message = "the schema of a body has no name";
        let is_named = schema.get("$ref").is_some();
        (!is_named).then(|| view.finding(file, key.span, &rule::INLINE_BODY, message))
    });
    bodies.collect()
}

/// One answer of one operation.
struct Answer<'v, 't> {
    view: &'v View<'t>,
    operation: &'v Operation<'t>,
    status: &'t Key,
    place: Place<'t>,
}

impl Answer<'_, '_> {
    /// A finding shown at the status.
    fn finding(&self, rule: &'static Rule, problem: &str) -> Finding {
        let message = format!("{} of {} {problem}", self.status.text, self.operation.title());
        self.view.finding(self.operation.file, self.status.span, rule, message)
    }

    fn is_refusal(&self) -> bool {
        self.status.text.starts_with(['4', '5'])
    }

    fn codes(&self, findings: &mut Vec<Finding>) {
        match self.place.node.entry("x-codes") {
            None if self.is_refusal() => {
                findings.push(self.finding(&rule::MISSING_CODES, "has no `x-codes`"));
            }
            Some((key, _)) if !self.is_refusal() => {
                let message = format!("`{}` is no refusal and has no codes", self.status.text);
                let file = self.place.file;
                findings.push(self.view.finding(file, key.span, &rule::STRAY_CODES, message));
            }
            _ => {}
        }
    }

    fn content(&self, findings: &mut Vec<Finding>) {
        let content = self.place.node.entry("content");
        if let Some((key, _)) = content.filter(|_| BODILESS.contains(&self.status.text.as_str())) {
            let message = format!("an answer {} has no body", self.status.text);
            let file = self.place.file;
            findings.push(self.view.finding(file, key.span, &rule::STRAY_CONTENT, message));
        }
        if !self.is_refusal() {
            return;
        }
        let schema = content.and_then(|(_, it)| it.entries().first()?.1.get("schema"));
        let target = schema.and_then(|schema| schema.get("$ref"));
        let shared = || {
            let text = target?.as_str()?;
            let named = &self.view.components[self.view.target(self.place.file, text)?];
            let is_shared = self.view.files[named.file].source.stem() == SHARED;
            Some(is_shared && named.key.text == "Error" && named.section == "schemas")
        };
        let alias = target.and_then(Node::as_str) == Some("#/components/schemas/Error");
        if shared() == Some(true) || (alias && self.is_alias()) {
            return;
        }
        let help = format!("refer to `{ERROR}`");
        let finding = match target {
            Some(target) => {
                let message = "a refusal is not of the shared schema `Error`";
                let file = self.place.file;
                self.view.finding(file, target.span, &rule::ERROR_SCHEMA, message)
            }
            None => self.finding(&rule::ERROR_SCHEMA, "is not of the shared schema `Error`"),
        };
        findings.push(finding.help(help));
    }

    /// Whether the document's own `Error` is the shared one under its name.
    fn is_alias(&self) -> bool {
        let id = self.view.target(self.place.file, "#/components/schemas/Error");
        let node = id.and_then(|id| self.view.components[id].node.get("$ref"));
        node.and_then(Node::as_str) == Some(ERROR)
    }

    fn headers(&self, findings: &mut Vec<Finding>) {
        let status = self.status.text.as_str();
        let mut need = |rule: &'static Rule, name: &str, required: bool| {
            if !self.has(name, required) {
                let why = if required { "has no required header" } else { "has no header" };
                findings.push(self.finding(rule, &format!("{why} `{name}`")));
            }
        };
        if status == "401" {
            need(&rule::NO_CHALLENGE, "WWW-Authenticate", true);
        }
        if status == "429" || status == "503" {
            need(&rule::NO_RETRY_AFTER, "Retry-After", true);
        }
        if status == "429" {
            need(&rule::NO_RATE_LIMIT, "RateLimit", true);
            need(&rule::NO_RATE_LIMIT, "RateLimit-Policy", true);
        }
        if is_set(self.operation.node, "x-cors") {
            need(&rule::CORS_HEADERS, "Access-Control-Allow-Origin", false);
            need(&rule::CORS_HEADERS, "Vary", true);
        }
    }

    fn has(&self, name: &str, required: bool) -> bool {
        let headers = self.place.node.get("headers").map_or(&[][..], Node::entries);
        let header = headers.iter().find(|(key, _)| key.text.eq_ignore_ascii_case(name));
        let header =
            header.and_then(|(_, node)| self.view.resolve(Place { file: self.place.file, node }));
        header.is_some_and(|header| !required || is_set(header.node, "required"))
    }
}

/// A code under two statuses of one operation, or twice under one.
fn repeated(view: &View<'_>, answers: &[(&Key, Place<'_>)], findings: &mut Vec<Finding>) {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for (status, answer) in answers {
        if !status.text.starts_with(['4', '5']) {
            continue;
        }
        for code in answer.node.get("x-codes").map_or(&[][..], Node::items) {
            let Some(text) = code.as_str() else { continue };
            let Some(other) = known.insert(text, &status.text) else { continue };
            let message = format!("`{text}` is already a code of {other}");
            findings.push(view.finding(answer.file, code.span, &rule::REPEATED_CODE, message));
        }
    }
}
