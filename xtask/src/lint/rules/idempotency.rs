//! Idempotency keys: what comes with one.

use crate::document::{Finding, Node};
use crate::lint::view::{Operation, Place, View};
use crate::rule::{self, Rule};

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        let parameters = view.parameters(operation);
        let key = parameters.iter().find_map(|place| place.node.get("x-idempotency"));
        let judge = Judge { view, operation };
        if let Some(key) = key {
            judge.answers(key, &mut findings);
        }
    }
    findings
}

struct Judge<'v, 't> {
    view: &'v View<'t>,
    operation: &'v Operation<'t>,
}

impl Judge<'_, '_> {
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
