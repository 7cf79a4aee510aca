//! `junit.xml`: what a run did, for CI servers.
//!
//! One suite for each document, one test case for each case. An expected failure counts as
//! skipped, so that a CI server shows it without failing the build.

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::outcome::{Case, Failure, Outcome, Run};

/// The report as XML.
///
/// # Errors
/// When it cannot be written, which text in memory always can.
pub fn xml(run: &Run) -> Result<String, String> {
    let mut report = Report::new(format!("{} against {}", run.tool, run.base_url));
    report.set_time(std::time::Duration::from_millis(run.took_ms));
    report.add_test_suites(run.documents.iter().map(|document| suite(run, document)));
    report.to_string().map_err(|bad| format!("junit.xml cannot be written: {bad}"))
}

fn suite(run: &Run, document: &str) -> TestSuite {
    let mut suite = TestSuite::new(document);
    suite.add_property(("seed", &*run.seed.to_string()));
    suite.add_property(("base_url", run.base_url.as_str()));
    let rows = run.operations.iter().filter(|row| row.document == document);
    for row in rows {
        let cases = run.cases.iter().filter(|case| case.operation == row.id);
        suite.add_test_cases(cases.map(test_case));
    }
    suite
}

fn test_case(case: &Case) -> TestCase {
    let mut test = TestCase::new(case.name.as_str(), status(case));
    test.set_classname(case.operation.as_str());
    test
}

fn status(case: &Case) -> TestCaseStatus {
    let check = case.check.name();
    match (&case.outcome, case.expected) {
        (Outcome::Passed, false) => TestCaseStatus::success(),
        (Outcome::Passed, true) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(check).set_message("passed although a failure is expected");
            status.set_description("Take the case out of the file of expected failures.");
            status
        }
        (Outcome::Failed(failure), false) => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(check).set_message(told(failure)).set_description(details(failure));
            status
        }
        (Outcome::Failed(failure), true) => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(check).set_message(format!("failed as expected: {}", told(failure)));
            status
        }
        (Outcome::Skipped { reason }, _) => {
            let mut status = TestCaseStatus::skipped();
            status.set_type(check).set_message(reason.as_str());
            status
        }
    }
}

fn told(failure: &Failure) -> String {
    format!("expected {}, got {}", failure.expectation, failure.observed)
}

/// Everything that is needed to see it again.
fn details(failure: &Failure) -> String {
    let Failure { expectation, observed, curl, body, response } = failure;
    let mut text = format!("expected: {expectation}\nobserved: {observed}\n\n{curl}\n");
    if let Some(body) = body {
        text.push_str(&format!("\nbody, shrunk:\n{body}\n"));
    }
    if let Some(response) = response {
        text.push_str(&format!("\nanswer: {}\n", response.status));
        for (name, value) in &response.headers {
            text.push_str(&format!("{name}: {value}\n"));
        }
        text.push_str(&format!("\n{}\n", response.body));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn counts_and_names_are_those_of_the_run() {
        let run = sample::run();
        let report = Report::deserialize_from_str(&xml(&run).unwrap()).unwrap();
        let counts = run.counts();
        assert_eq!(report.tests, counts.total());
        assert_eq!(report.failures, counts.failed + counts.unexpectedly_passed);
        let suites: Vec<_> = report.test_suites.iter().map(|suite| suite.name.as_str()).collect();
        assert_eq!(suites, run.documents);
        let all = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        let skipped = all.filter(|it| matches!(it.status, TestCaseStatus::Skipped { .. })).count();
        assert_eq!(skipped, counts.skipped + counts.expected);
        let names = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        let mut names: Vec<_> = names.map(|case| case.name.to_string()).collect();
        let mut cases: Vec<_> = run.cases.iter().map(|case| case.name.clone()).collect();
        names.sort();
        cases.sort();
        assert_eq!(names, cases);
    }

    #[test]
    fn a_failure_says_all_that_is_needed_to_see_it_again() {
        let run = sample::run();
        let text = xml(&run).unwrap();
        let report = Report::deserialize_from_str(&text).unwrap();
        let mut all = report.test_suites.iter().flat_map(|suite| &suite.test_cases);
        let (case, failure) = run.failures().next().unwrap();
        let found = all.find(|it| it.name.as_str() == case.name).unwrap();
        let TestCaseStatus::NonSuccess { message, ty, description, .. } = &found.status else {
            panic!("{found:?}");
        };
        assert_eq!(ty.as_deref(), Some(case.check.name()));
        assert!(message.as_deref().unwrap().contains(&failure.expectation));
        let description = description.as_deref().unwrap();
        assert!(description.contains(&failure.curl), "{description}");
        assert!(description.contains(failure.body.as_deref().unwrap()), "{description}");
        // Markup of an answer stays text.
        assert!(!text.contains("<script>"), "{text}");
    }
}
