//! What the documents promise minus what tests produced over the wire must be exactly the list in
//! `uncovered.txt`, which may only shrink.
//!
//! Tests run in any order and may be picked, so each part of the ledger is settled by the one test
//! that produces all of it. Knows no operation.

use std::collections::{BTreeMap, BTreeSet};

use vestibule_runtime::OperationInfo;

use crate::constraints::none;
use crate::documented_answers::{conforms, lines_of};
use crate::requests::Answer;

const FILE: &str = "tests/it/uncovered.txt";
const UNCOVERED: &str = include_str!("uncovered.txt");

/// How long the list is. Lower it with the list; never raise it.
const LENGTH: usize = 2;

/// The first words of lines.
const KINDS: &[&str] = &["answer", "body", "header", "parameter"];

/// A part of what is documented, and what of it was seen.
pub struct Ledger {
    documented: BTreeSet<String>,
    produced: BTreeSet<String>,
}

impl Ledger {
    /// A ledger of these lines.
    pub fn new(documented: BTreeSet<String>) -> Self {
        Self { documented, produced: BTreeSet::new() }
    }

    /// Takes note of a line.
    pub fn note(&mut self, line: String) {
        self.produced.insert(line);
    }

    /// Takes note of an answer, which must be as its operation documents it.
    #[track_caller]
    pub fn note_answer(&mut self, operation: &OperationInfo, answer: &Answer) {
        assert_eq!(conforms(operation, answer), None, "{}: {}", operation.id, answer.text);
        self.produced.extend(lines_of(operation, answer));
    }

    /// Whether a line was noted.
    pub fn has(&self, line: &str) -> bool {
        self.produced.contains(line)
    }

    /// Fails unless what is left is what the list says.
    #[track_caller]
    pub fn settle(&self) {
        none(self.faults(&listed()));
    }

    fn faults(&self, listed: &BTreeMap<&str, &str>) -> Vec<String> {
        let kinds: BTreeSet<_> = self.documented.iter().map(|line| kind(line)).collect();
        let mine: BTreeSet<_> = listed.keys().filter(|line| kinds.contains(kind(line))).collect();
        let mut faults = Vec::new();
        for line in self.documented.difference(&self.produced) {
            if !listed.contains_key(line.as_str()) {
                faults.push(format!(
                    "nothing produced `{line}`: write a test case that does. Only if nothing can, \
                     add to {FILE}:\n{line}: REASON"
                ));
            }
        }
        for line in mine {
            if self.produced.contains(*line) {
                faults.push(format!("`{line}` is produced: remove it from {FILE}"));
            }
            if !self.documented.contains(*line) {
                faults.push(format!("`{line}` is not documented: remove it from {FILE}"));
            }
        }
        let unknown = self.produced.difference(&self.documented);
        faults.extend(unknown.map(|line| format!("`{line}` was produced and is not documented")));
        faults
    }
}

/// The lines of the list and their reasons.
fn listed() -> BTreeMap<&'static str, &'static str> {
    let lines = UNCOVERED.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split_once(": ").unwrap_or((line, ""))).collect()
}

fn kind(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[test]
fn the_list_is_sorted_and_says_why() {
    let lines: Vec<_> = UNCOVERED.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(lines.is_sorted(), "sort {FILE}");
    assert_eq!(lines.len(), LENGTH, "{FILE} may only shrink, and LENGTH with it");
    assert_eq!(lines.len(), listed().len(), "{FILE} names a line twice");
    for (line, reason) in listed() {
        assert!(KINDS.contains(&kind(line)), "{FILE}: `{line}` is of no kind");
        assert!(reason.len() > 20, "{FILE}: `{line}` has no reason");
    }
}

#[test]
fn the_ledger_knows_less_from_more() {
    let set = |lines: &[&str]| lines.iter().map(ToString::to_string).collect();
    let mut ledger = Ledger::new(set(&["answer a 200", "answer a 400", "answer a 500"]));
    ledger.note("answer a 200".to_owned());
    let reason = "a reason";
    let list = BTreeMap::from([("answer a 400", reason), ("answer a 500", reason)]);
    assert_eq!(ledger.faults(&list), [""; 0]);
    let starts = |list: &BTreeMap<&str, &str>, ledger: &Ledger| {
        ledger.faults(list).iter().map(|it| it.chars().take(32).collect()).collect::<Vec<String>>()
    };
    let other = BTreeMap::from([("answer a 500", reason), ("body b c", reason)]);
    assert_eq!(starts(&other, &ledger), ["nothing produced `answer a 400`:"]);
    let mut stale = list.clone();
    stale.insert("answer a 600", reason);
    assert_eq!(starts(&stale, &ledger), ["`answer a 600` is not documented"]);
    ledger.note("answer a 500".to_owned());
    assert_eq!(starts(&list, &ledger), ["`answer a 500` is produced: remo"]);
    ledger.note("answer a 777".to_owned());
    assert_eq!(starts(&list, &ledger).len(), 2);
}
