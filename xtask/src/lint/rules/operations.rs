//! What an operation needs: answers of each kind, and everything that comes with a body.

use super::{is_set, value_span};
use crate::document::{Finding, Node, NodeValue, Object};
use crate::lint::view::{Operation, Place, View};
use crate::rule::{self, Rule};

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let each = view.operations.iter().flat_map(|operation| Judge { view, operation }.all());
    each.chain(of_whole_paths(view)).collect()
}

/// What stands on a path for all of its operations: nothing that is generated would have it.
fn of_whole_paths(view: &View<'_>) -> Vec<Finding> {
    let sites = view.sites(Object::PathItem);
    let keys = sites.flat_map(|(file, site)| {
        let shared = ["parameters", "summary", "description"].map(|name| site.node.entry(name));
        shared.into_iter().flatten().map(move |(key, _)| (file, key))
    });
    keys.map(|(file, key)| {
        let message = format!("`{}` of a whole path is read by no generator", key.text);
        let finding = view.finding(file, key.span, &rule::REFUSED_KEYWORD, message);
        finding.help("say it on each operation of the path")
    })
    .collect()
}

struct Judge<'v, 't> {
    view: &'v View<'t>,
    operation: &'v Operation<'t>,
}

impl Judge<'_, '_> {
    fn all(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let class = |class: char| self.statuses().any(|status| status.starts_with(class));
        if !class('2') {
            findings.push(self.finding(&rule::NO_SUCCESS, "documents no 2xx"));
        }
        findings.extend(if class('4') {
            self.lacking(&["429"], &rule::NO_LIMIT_ANSWER, "can be asked too often")
        } else {
            Some(self.finding(&rule::NO_CLIENT_ERROR, "documents no 4xx"))
        });
        findings.extend(self.lacking(&["500", "503"], &rule::NO_SERVER_ERROR, "can fail"));
        match self.operation.node.entry("requestBody") {
            Some((key, body)) => {
                self.body(body, &mut findings);
                if matches!(self.operation.method.text.as_str(), "get" | "delete") {
                    let message = format!("{} has a body", self.operation.title());
                    let file = self.operation.file;
                    findings.push(self.view.finding(file, key.span, &rule::BODY_ON_READ, message));
                }
                findings.extend(self.validation("body"));
            }
            None => findings.extend(self.stray_limit()),
        }
        findings.extend(self.validation("parameters"));
        findings
    }

    fn statuses(&self) -> impl Iterator<Item = &str> {
        let responses = self.operation.node.get("responses").map_or(&[][..], Node::entries);
        responses.iter().map(|(status, _)| status.text.as_str())
    }

    /// A finding about the operation as a whole, shown at its method.
    fn finding(&self, rule: &'static Rule, problem: &str) -> Finding {
        let message = format!("{} {problem}", self.operation.title());
        self.view.finding(self.operation.file, self.operation.method.span, rule, message)
    }

    fn lacking(&self, wanted: &[&str], rule: &'static Rule, why: &str) -> Option<Finding> {
        let missing = wanted.iter().filter(|wanted| !self.statuses().any(|it| it == **wanted));
        let missing: Vec<_> = missing.map(|status| format!("`{status}`")).collect();
        let problem = format!("{why} and does not document {}", missing.join(", "));
        (!missing.is_empty()).then(|| self.finding(rule, &problem))
    }

    fn body(&self, body: &Node, findings: &mut Vec<Finding>) {
        if self.operation.node.get("x-max-bytes").is_none() {
            findings.push(self.finding(&rule::BODY_LIMIT, "has a body and no `x-max-bytes`"));
        }
        let answers = ["400", "408", "413", "415"];
        findings.extend(self.lacking(&answers, &rule::BODY_ANSWERS, "has a body"));
        if !is_set(body, "required") {
            let (key, _) = self.operation.node.entry("requestBody").expect("it has this body");
            let at = value_span(body, "required", key.span);
            let message = "the request body is not `required: true`";
            let file = self.operation.file;
            findings.push(self.view.finding(file, at, &rule::OPTIONAL_BODY, message));
        }
    }

    fn stray_limit(&self) -> Option<Finding> {
        let (key, _) = self.operation.node.entry("x-max-bytes")?;
        let message = format!("{} has no body", self.operation.title());
        Some(self.view.finding(self.operation.file, key.span, &rule::STRAY_LIMIT, message))
    }

    /// The refusal that the document's `x-validation` promises for one part of a request.
    fn validation(&self, part: &str) -> Option<Finding> {
        let root = self.view.files[self.operation.file].root;
        let answer = root.get("x-validation")?.get(part)?;
        let NodeValue::Int(status) = answer.get("status")?.value else { return None };
        let code = answer.get("code")?.as_str()?;
        let responses = self.operation.node.get("responses")?;
        let place = Place { file: self.operation.file, node: responses };
        let response = self.view.member(place, &status.to_string());
        let codes = response.and_then(|it| it.node.get("x-codes")).map_or(&[][..], Node::items);
        // Without any refusal that is what is said.
        let refuses = self.statuses().any(|status| status.starts_with('4'));
        if !refuses || codes.iter().any(|it| it.as_str() == Some(code)) {
            return None;
        }
        let problem =
            format!("refuses a wrong {part} with {status} `{code}` and documents no such");
        Some(self.finding(&rule::VALIDATION_ANSWER, &problem))
    }
}
