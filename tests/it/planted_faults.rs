//! The conformance suite finds faults that are planted before the shipped binary: one of each
//! kind here, all of them by `cargo xtask planted-faults`.

use std::path::Path;

use vestibule_planted_faults::{Finding, Suite, catalogue, found};

/// One fault of each part of a server.
const HANDFUL: [&str; 9] = [
    "max-length-plus-one",
    "maximum-refused",
    "query-unknown",
    "json-duplicate-keys",
    "replay-accepted",
    "date-without-zone",
    "violation-keyword-wrong",
    "cors-lost-on-errors",
    "method-undocumented",
];

/// The suite may send nothing but what the constraints ask for: no random cases on top.
const NO_MORE_CASES: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn suite_finds_a_fault_of_each_kind_and_none_where_there_is_none() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let binary = Path::new(env!("CARGO_BIN_EXE_vestibule"));
    let suite = Suite::start(root, binary, NO_MORE_CASES, 0).await.expect("the service starts");
    let (mut planted, mut missed) = (0, Vec::new());
    for fault in catalogue::all().into_iter().filter(|it| HANDFUL.contains(&it.name)) {
        let without = suite.without(fault.operation).await.expect("a run");
        assert!(without.counts().passed > 0 && without.counts().is_fine(), "{:?}", found(&without));
        let finding: Finding = suite.against(fault).await.expect("a run");
        planted += 1;
        if finding.found.is_empty() {
            missed.push(finding.fault);
        }
    }
    assert_eq!(planted, HANDFUL.len(), "every name of the handful is one of a fault");
    assert!(missed.is_empty(), "the suite misses {missed:?}");
}
