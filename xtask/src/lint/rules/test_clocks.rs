//! Test clocks: who is offered one, and what comes with it.

use crate::document::Finding;
use crate::lint::view::{Operation, View};
use crate::rule;

pub fn check(view: &View<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for operation in &view.operations {
        let finding = |rule, problem: &str| {
            let message = format!("{} {problem}", operation.title());
            view.finding(operation.file, operation.method.span, rule, message)
        };
        if let Some(refused) = refused(view, operation) {
            let answers = view.answers(operation);
            let mut codes = answers.iter().filter_map(|(_, place)| place.node.get("x-codes"));
            if !codes.any(|it| it.items().iter().any(|code| code.as_str() == Some(refused))) {
                let problem = format!("takes a test clock and documents no `{refused}`");
                findings.push(finding(&rule::TEST_CLOCK_ANSWERS, &problem));
            }
            continue;
        }
        if !operation.node.knows_caller() {
            continue;
        }
        let neighbours = view.operations.iter().filter(|it| it.file == operation.file);
        if let Some(other) = neighbours.into_iter().find(|it| refused(view, it).is_some()) {
            let problem = format!("takes no test clock, and {} does", other.title());
            findings.push(finding(&rule::TEST_CLOCK_MISSING, &problem));
        }
    }
    findings
}

/// The code that an operation with a test clock refuses it with.
fn refused<'t>(view: &View<'t>, operation: &Operation<'t>) -> Option<&'t str> {
    let parameters = view.parameters(operation);
    let clock = parameters.iter().find_map(|place| place.node.get("x-test-clock"))?;
    clock.get("refused")?.as_str()
}
