//! Idempotency keys: what comes with one, and which operations take one.

use crate::document::{Finding, Node};
use crate::lint::view::{Operation, Place, View};
use crate::rule::{self, Rule};

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        let parameters = view.parameters(operation);
        let key = parameters.iter().find_map(|place| place.node.get("x-idempotency"));
        let judge = Judge { view, operation };
        match key {
            Some(key) => judge.answers(key, &mut findings),
            None => findings.extend(judge.creates()),
        }
    }
    findings
}

struct Judge<'v, 't> {
    view: &'v View<'t>,
    operation: &'v Operation<'t>,
}

/// What the ids of operations end in that make something, whatever their status.
const MAKING: [&str; 2] = ["Create", "Rotate"];

impl Judge<'_, '_> {
    /// An operation that makes something takes a key: by its answer of 201, or by its name.
    fn creates(&self) -> Option<Finding> {
        let Operation { method, node, .. } = self.operation;
        if method.text != "post" {
            return None;
        }
        let answers = self.view.answers(self.operation);
        if answers.iter().any(|(status, _)| status.text == "201") {
            return Some(self.finding(&rule::NO_IDEMPOTENCY_KEY, "answers 201 and takes no key"));
        }
        let id = node.get("operationId").and_then(Node::as_str).unwrap_or_default();
        let verb = MAKING.into_iter().find(|verb| id.ends_with(verb))?;
        let problem = format!("is a `…{verb}` and takes no key");
        Some(self.finding(&rule::NO_IDEMPOTENCY_KEY, &problem))
    }

    /// Whoever takes a key refuses another request under it, and one that comes too early, and
    /// tells what was given before.
    fn answers(&self, key: &Node, findings: &mut Vec<Finding>) {
        let answers = self.view.answers(self.operation);
        let text = |name: &str| key.get(name).and_then(Node::as_str);
        for code in ["reused", "in-progress"].into_iter().filter_map(text) {
            let mut all = answers.iter().flat_map(|(_, place)| codes(*place));
            if !all.any(|it| it.as_str() == Some(code)) {
                let problem = format!("takes a key and documents no `{code}`");
                findings.push(self.finding(&rule::IDEMPOTENCY_ANSWERS, &problem));
            }
        }
        let Some(replayed) = text("replayed") else { return };
        for (status, place) in answers.iter().filter(|(status, _)| status.text.starts_with('2')) {
            let headers = place.node.get("headers").map_or(&[][..], Node::entries);
            if !headers.iter().any(|(name, _)| name.text.eq_ignore_ascii_case(replayed)) {
                let problem = format!("takes a key and {} has no `{replayed}`", status.text);
                findings.push(self.finding(&rule::IDEMPOTENCY_ANSWERS, &problem));
            }
        }
    }

    /// A finding about the operation as a whole, shown at its method.
    fn finding(&self, rule: &'static Rule, problem: &str) -> Finding {
        let message = format!("{} {problem}", self.operation.title());
        self.view.finding(self.operation.file, self.operation.method.span, rule, message)
    }
}

fn codes<'t>(place: Place<'t>) -> &'t [Node] {
    place.node.get("x-codes").map_or(&[][..], Node::items)
}
