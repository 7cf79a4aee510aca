//! A made-up run with every kind of outcome, for the tests of the reports.

use crate::outcome::{Case, Check, Failure, OperationRow, Outcome, Response, Run};

/// Two documents, one case of each outcome, and markup where a deployment could send it.
pub fn run() -> Run {
    let operation = |document: &str, id: &str| OperationRow {
        document: document.into(),
        id: id.into(),
        method: "POST".into(),
        path: format!("/v1/{id}/{{id}}"),
    };
    let skipped = Outcome::Skipped { reason: "the credentials have no `other.key`".into() };
    Run {
        tool: "vestibule-conformance 0.1.0".into(),
        base_url: "http://127.0.0.1:8080".into(),
        documents: vec!["embed".into(), "chat".into()],
        seed: 7,
        started: "2026-05-08T12:00:00Z".into(),
        took_ms: 61_500,
        requests: 1_234,
        untried: 0,
        refused_credentials: vec![],
        operations: vec![operation("embed", "thingCreate"), operation("chat", "talkOpen")],
        cases: vec![
            case("thingCreate", Check::Valid, "passes", false, Outcome::Passed),
            case("thingCreate", Check::Foreign, "is skipped", false, skipped),
            case("thingCreate", Check::Cors, "passes anyway", true, Outcome::Passed),
            case("talkOpen", Check::Valid, "talks", false, Outcome::Passed),
            case(
                "talkOpen",
                Check::Broken,
                "/a: \"maxLength\" & more",
                false,
                failed("<b>500</b>"),
            ),
            case("talkOpen", Check::Broken, "known defect", true, failed("late")),
        ],
    }
}

fn case(operation: &str, check: Check, name: &str, expected: bool, outcome: Outcome) -> Case {
    let name = format!("{operation}/{check}/{name}");
    Case { operation: operation.into(), check, name, expected, outcome }
}

fn failed(observed: &str) -> Outcome {
    Outcome::Failed(Box::new(Failure {
        expectation: "a refusal with 422".into(),
        observed: observed.into(),
        curl:
            "curl -X POST 'http://127.0.0.1:8080/v1/talkOpen/1' \\\n  --data-binary '{\"a\":\"x\"}'"
                .into(),
        body: Some(r#"{"a":"<script>alert(1)</script>"}"#.into()),
        response: Some(Response {
            status: 500,
            headers: vec![("x-note".into(), "<img src=x onerror=alert(2)>".into())],
            body: "</pre><script>alert(3)</script>".into(),
        }),
    }))
}
