//! What a run did and found: the one model that the terminal, `report.json` and the other reports
//! are written from.
//!
//! Everything in it is plain data; no secret of the credentials file and no token is. Knows no
//! transport and no document.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// One run against one deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Run {
    /// Name and version of this program: `vestibule-conformance 0.1.0`.
    pub tool: String,
    /// The deployment, without a slash at the end.
    pub base_url: String,
    /// The names of the documents, in the order they were asked for.
    pub documents: Vec<String>,
    /// The seed that all random cases come from; the same seed makes the same cases.
    pub seed: u64,
    /// When the run began, RFC 3339 in UTC.
    pub started: String,
    /// How long it took, milliseconds.
    pub took_ms: u64,
    /// Requests sent, those that only obtained a value among them.
    pub requests: u64,
    /// Cases that were skipped because as many requests were sent as may be: the run was cut short
    /// and has not shown that the deployment conforms.
    pub untried: usize,
    /// Credentials that every valid request made with them was refused for.
    pub refused_credentials: Vec<RefusedCredentials>,
    /// Every operation of the run, in the order of the documents.
    pub operations: Vec<OperationRow>,
    /// Every case, in the order of the plan.
    pub cases: Vec<Case>,
}

/// Credentials that the deployment refuses: most likely the file is wrong and the service is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCredentials {
    /// Where they stand in the credentials file.
    pub places: Vec<String>,
    /// The status of the first refusal.
    pub status: u16,
    /// Its code, where it had one.
    pub code: Option<String>,
    /// The operation that was refused first.
    pub operation: String,
}

/// One operation: a row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationRow {
    /// The document that describes it.
    pub document: String,
    /// Its `operationId`.
    pub id: String,
    /// Its method, upper case.
    pub method: String,
    /// Its path with variables: `/api/admin/v1/keys/{keyId}`.
    pub path: String,
}

/// What a case is about: a column of the matrix. Names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// A valid request is answered as documented.
    Valid,
    /// A value on a bound is accepted.
    Boundary,
    /// A body with one broken constraint is refused at its place.
    Broken,
    /// A member that no schema knows is refused.
    UnknownMember,
    /// A broken, unknown or doubled parameter is refused.
    Parameter,
    /// A body of another media type, or encoded, is refused.
    MediaType,
    /// A body that is not exactly one JSON value is refused.
    Malformed,
    /// A body over the limit is refused; one on it is accepted.
    Oversize,
    /// Missing, malformed and foreign credentials are refused.
    Credential,
    /// Signatures: altered bodies, replays, and the edges of the window.
    Signature,
    /// Objects of another tenant are not there.
    Foreign,
    /// A backend's operation is refused to a browser.
    Browser,
    /// Undocumented methods are refused.
    Method,
    /// Origins, preflights and `Vary`.
    Cors,
    /// A request takes effect once under its key.
    Idempotency,
}

impl Check {
    /// All checks, in the order of the matrix's columns.
    pub const ALL: [Self; 15] = [
        Self::Valid,
        Self::Boundary,
        Self::Broken,
        Self::UnknownMember,
        Self::Parameter,
        Self::MediaType,
        Self::Malformed,
        Self::Oversize,
        Self::Credential,
        Self::Signature,
        Self::Foreign,
        Self::Browser,
        Self::Method,
        Self::Cors,
        Self::Idempotency,
    ];

    /// Its stable name, as in case names and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Boundary => "boundary",
            Self::Broken => "broken",
            Self::UnknownMember => "unknown-member",
            Self::Parameter => "parameter",
            Self::MediaType => "media-type",
            Self::Malformed => "malformed",
            Self::Oversize => "oversize",
            Self::Credential => "credential",
            Self::Signature => "signature",
            Self::Foreign => "foreign",
            Self::Browser => "browser",
            Self::Method => "method",
            Self::Cors => "cors",
            Self::Idempotency => "idempotency",
        }
    }

    /// What it claims, in one sentence for people.
    pub fn claim(self) -> &'static str {
        match self {
            Self::Valid => "A valid request is answered as documented.",
            Self::Boundary => "A value on a bound is accepted.",
            Self::Broken => "A body with one broken constraint is refused at its place.",
            Self::UnknownMember => "A member that no schema knows is refused.",
            Self::Parameter => "A broken, unknown or doubled parameter is refused.",
            Self::MediaType => "A body of another media type is refused.",
            Self::Malformed => "A body that is not exactly one JSON value is refused.",
            Self::Oversize => "A body over the limit is refused, one on it is accepted.",
            Self::Credential => "Missing, malformed and foreign credentials are refused.",
            Self::Signature => "A signature covers the body, counts once and ends with its window.",
            Self::Foreign => "Objects of another tenant are not there.",
            Self::Browser => "An operation for backends is refused to a browser.",
            Self::Method => "Undocumented methods are refused.",
            Self::Cors => "Allowed origins may read every answer, others none.",
            Self::Idempotency => "A request under its key is answered once and for all.",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(self.name())
    }
}

/// One case and how it ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    /// The operation's id.
    pub operation: String,
    /// What the case is about.
    pub check: Check,
    /// Unique in the run and the same in every run with the same documents, options and seed:
    /// `embedSessionCreate/broken/employeeId: pattern`. An expected failure is named by it.
    pub name: String,
    /// Whether the file of expected failures names it.
    pub expected: bool,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a case ended.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// The answer is what the document says.
    Passed,
    /// It is not.
    Failed(Box<Failure>),
    /// The case could not be tried.
    Skipped {
        /// Why, in words: what is missing.
        reason: String,
    },
}

/// What was wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// What the document asks for, in words.
    pub expectation: String,
    /// What came instead, in words.
    pub observed: String,
    /// A line for a shell that sends the request again; secrets are shell variables.
    pub curl: String,
    /// The request's body, shrunk as far as it still failed; `None` when it had none.
    pub body: Option<String>,
    /// The answer; `None` when there was none.
    pub response: Option<Response>,
}

/// An answer as it came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// Its headers in the order they came; a secret is its variable's name.
    pub headers: Vec<(String, String)>,
    /// Its body as text, cut where it is very long.
    pub body: String,
}

/// How many cases ended in each way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Passed, and no failure was expected.
    pub passed: usize,
    /// Failed unexpectedly.
    pub failed: usize,
    /// Failed as expected.
    pub expected: usize,
    /// Passed although a failure was expected.
    pub unexpectedly_passed: usize,
    /// Not tried.
    pub skipped: usize,
}

impl Counts {
    /// All cases.
    pub fn total(self) -> usize {
        self.passed + self.failed + self.expected + self.unexpectedly_passed + self.skipped
    }

    /// Whether nothing happened that nobody expected.
    pub fn is_fine(self) -> bool {
        self.failed + self.unexpectedly_passed == 0
    }

    fn add(&mut self, case: &Case) {
        match (&case.outcome, case.expected) {
            (Outcome::Skipped { .. }, _) => self.skipped += 1,
            (Outcome::Passed, false) => self.passed += 1,
            (Outcome::Passed, true) => self.unexpectedly_passed += 1,
            (Outcome::Failed(_), false) => self.failed += 1,
            (Outcome::Failed(_), true) => self.expected += 1,
        }
    }
}

impl Run {
    /// The counts of all cases.
    pub fn counts(&self) -> Counts {
        count(self.cases.iter())
    }

    /// Whether it was carried out to its end and nothing happened that nobody expected.
    pub fn is_fine(&self) -> bool {
        self.untried == 0 && self.counts().is_fine()
    }

    /// The counts of each operation and check that has cases.
    pub fn matrix(&self) -> BTreeMap<(&str, Check), Counts> {
        let mut matrix = BTreeMap::<_, Counts>::new();
        for case in &self.cases {
            matrix.entry((case.operation.as_str(), case.check)).or_default().add(case);
        }
        matrix
    }

    /// The cases that failed unexpectedly.
    pub fn failures(&self) -> impl Iterator<Item = (&Case, &Failure)> {
        self.cases.iter().filter_map(|case| match &case.outcome {
            Outcome::Failed(failure) if !case.expected => Some((case, &**failure)),
            Outcome::Failed(_) | Outcome::Passed | Outcome::Skipped { .. } => None,
        })
    }
}

/// The counts of some cases.
pub fn count<'c>(cases: impl Iterator<Item = &'c Case>) -> Counts {
    let mut counts = Counts::default();
    cases.for_each(|case| counts.add(case));
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(check: Check, expected: bool, outcome: Outcome) -> Case {
        let operation = "thingRead".to_owned();
        Case { name: format!("{operation}/{check}/x"), operation, check, expected, outcome }
    }

    fn failure() -> Outcome {
        Outcome::Failed(Box::new(Failure {
            expectation: "200".into(),
            observed: "500".into(),
            curl: "curl".into(),
            body: None,
            response: None,
        }))
    }

    #[test]
    fn only_what_nobody_expected_is_not_fine() {
        let fine = [
            case(Check::Valid, false, Outcome::Passed),
            case(Check::Valid, true, failure()),
            case(Check::Cors, false, Outcome::Skipped { reason: "no CORS".into() }),
        ];
        assert!(count(fine.iter()).is_fine());
        for bad in [case(Check::Valid, false, failure()), case(Check::Valid, true, Outcome::Passed)]
        {
            assert!(!count(fine.iter().chain([&bad])).is_fine(), "{bad:?}");
        }
    }

    #[test]
    fn a_check_is_told_by_its_serialised_name() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_value(check).unwrap(), check.name());
        }
    }

    #[test]
    fn a_case_reads_back_from_its_report() {
        let text = serde_json::to_string(&case(Check::Broken, false, failure())).unwrap();
        let read: Case = serde_json::from_str(&text).unwrap();
        assert!(matches!(read.outcome, Outcome::Failed(failure) if failure.observed == "500"));
        assert!(text.contains(r#""check":"broken""#) && text.contains(r#""outcome":"failed""#));
    }
}
