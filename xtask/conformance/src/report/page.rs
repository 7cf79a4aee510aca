//! `report.html`: what a run did, as one page that loads nothing and runs nothing.
//!
//! Failures come before what passed. Says nothing by colour alone; the words are in `page.html`.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use crate::outcome::{Case, Check, Counts, Failure, OperationRow, Outcome, Run, count};

const TEMPLATE: &str = include_str!("page.html");

/// The report as HTML.
///
/// # Errors
/// When the template does not fit what it is given, which a test excludes.
pub fn html(run: &Run) -> Result<String, String> {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    let written = environment
        .add_template("report", TEMPLATE)
        .and_then(|()| environment.get_template("report")?.render(Serde(Page::of(run))));
    written.map_err(|bad| format!("report.html cannot be written: {bad:#}"))
}

/// What the template is given.
#[derive(Serialize)]
struct Page<'r> {
    run: Facts<'r>,
    verdict: Verdict,
    counts: Counts,
    tiles: Tiles,
    checks: Vec<Column>,
    rows: Vec<Row<'r>>,
    failures: Vec<Group<'r>>,
    expected: Vec<Shown<'r>>,
    unexpectedly_passed: Vec<&'r str>,
    skipped: Vec<Skipped<'r>>,
    passed: Vec<Passed<'r>>,
}

#[derive(Serialize)]
struct Facts<'r> {
    tool: &'r str,
    base_url: &'r str,
    documents: String,
    seed: String,
    started: &'r str,
    took: String,
    requests: String,
}

/// The one sentence that matters.
#[derive(Serialize)]
struct Verdict {
    is_fine: bool,
    text: String,
}

#[derive(Serialize)]
struct Column {
    name: &'static str,
    claim: &'static str,
}

/// The counts as they are shown.
#[derive(Serialize)]
struct Tiles {
    passed: String,
    failed: String,
    expected: String,
    unexpectedly_passed: String,
    skipped: String,
    total: String,
}

/// One operation's row of the matrix.
#[derive(Serialize)]
struct Row<'r> {
    operation: &'r OperationRow,
    cells: Vec<Option<Cell>>,
}

/// One cell: how many cases, and the worst that happened to any.
#[derive(Serialize)]
struct Cell {
    class: &'static str,
    symbol: &'static str,
    text: String,
    words: String,
}

/// The failures of one operation.
#[derive(Serialize)]
struct Group<'r> {
    operation: &'r OperationRow,
    cases: Vec<Shown<'r>>,
}

#[derive(Serialize)]
struct Shown<'r> {
    name: &'r str,
    claim: &'static str,
    failure: &'r Failure,
}

/// Cases that were not tried for one and the same reason.
#[derive(Serialize)]
struct Skipped<'r> {
    reason: &'r str,
    names: Vec<&'r str>,
}

/// What passed of one operation, by check.
#[derive(Serialize)]
struct Passed<'r> {
    operation: &'r OperationRow,
    total: usize,
    checks: Vec<(&'static str, usize)>,
}

impl<'r> Page<'r> {
    fn of(run: &'r Run) -> Self {
        let counts = run.counts();
        Self {
            run: Facts::of(run),
            verdict: Verdict::of(run, counts),
            counts,
            tiles: Tiles::of(counts),
            checks: columns(run)
                .map(|check| Column { name: check.name(), claim: check.claim() })
                .collect(),
            rows: rows(run),
            failures: groups(run),
            expected: run.cases.iter().filter(|case| case.expected).filter_map(shown).collect(),
            unexpectedly_passed: run
                .cases
                .iter()
                .filter(|case| case.expected && matches!(case.outcome, Outcome::Passed))
                .map(|case| case.name.as_str())
                .collect(),
            skipped: skipped(run),
            passed: passed(run),
        }
    }
}

impl<'r> Facts<'r> {
    fn of(run: &'r Run) -> Self {
        Self {
            tool: &run.tool,
            base_url: &run.base_url,
            documents: run.documents.join(", "),
            seed: run.seed.to_string(),
            started: &run.started,
            took: duration(run.took_ms),
            requests: grouped(run.requests),
        }
    }
}

impl Verdict {
    fn of(run: &Run, counts: Counts) -> Self {
        let Counts { failed, unexpectedly_passed, .. } = counts;
        let total = plural(counts.total(), "case", "cases");
        let cut_short = match run.untried {
            0 => String::new(),
            n => format!(
                " Cut short: {} of {total} were not tried, because the bound on requests was \
                 reached.",
                grouped(n as u64)
            ),
        };
        if counts.is_fine() && run.untried > 0 {
            return Self { is_fine: false, text: format!("Not shown to conform.{cut_short}") };
        }
        if counts.is_fine() {
            let text = format!("Conforms. None of {total} failed unexpectedly.");
            return Self { is_fine: true, text };
        }
        let mut operations: Vec<_> =
            run.failures().map(|(case, _)| case.operation.as_str()).collect();
        operations.dedup();
        let mut text = String::from("Does not conform.");
        if failed > 0 {
            let operations = plural(operations.len(), "operation", "operations");
            let failed = grouped(failed as u64);
            text.push_str(&format!(" {failed} of {total} failed unexpectedly, in {operations}."));
        }
        if unexpectedly_passed > 0 {
            let passed = plural(unexpectedly_passed, "case", "cases");
            text.push_str(&format!(" {passed} passed although a failure is expected."));
        }
        text.push_str(&cut_short);
        Self { is_fine: false, text }
    }
}

impl Tiles {
    fn of(counts: Counts) -> Self {
        let shown = |count: usize| grouped(count as u64);
        Self {
            passed: shown(counts.passed),
            failed: shown(counts.failed),
            expected: shown(counts.expected),
            unexpectedly_passed: shown(counts.unexpectedly_passed),
            skipped: shown(counts.skipped),
            total: shown(counts.total()),
        }
    }
}

impl Cell {
    fn of(counts: Counts) -> Self {
        let Counts { passed, failed, expected, unexpectedly_passed, skipped } = counts;
        let total = counts.total();
        let (class, symbol, text) = if failed > 0 {
            ("failed", "✗", format!("{failed}/{total}"))
        } else if unexpectedly_passed > 0 {
            ("unexpected", "!", format!("{unexpectedly_passed}/{total}"))
        } else if expected > 0 {
            ("expected", "≈", format!("{expected}/{total}"))
        } else if passed > 0 {
            ("passed", "✓", passed.to_string())
        } else {
            ("skipped", "–", skipped.to_string())
        };
        let parts = [
            (failed, "failed"),
            (unexpectedly_passed, "passed unexpectedly"),
            (expected, "failed as expected"),
            (passed, "passed"),
            (skipped, "skipped"),
        ];
        let words = parts.iter().filter(|(n, _)| *n > 0).map(|(n, what)| format!("{n} {what}"));
        Self { class, symbol, text, words: words.collect::<Vec<_>>().join(", ") }
    }
}

/// The checks that have a case.
fn columns(run: &Run) -> impl Iterator<Item = Check> {
    Check::ALL.into_iter().filter(|check| run.cases.iter().any(|case| case.check == *check))
}

/// Operations with failures first, else in the order of the documents.
fn rows(run: &Run) -> Vec<Row<'_>> {
    let matrix = run.matrix();
    let cells = |operation: &OperationRow| {
        columns(run)
            .map(|check| matrix.get(&(operation.id.as_str(), check)).copied().map(Cell::of))
            .collect()
    };
    let mut rows: Vec<_> =
        run.operations.iter().map(|operation| Row { operation, cells: cells(operation) }).collect();
    let has = |row: &Row<'_>, class| row.cells.iter().flatten().any(|cell| cell.class == class);
    rows.sort_by_key(|row| (!has(row, "failed"), !has(row, "unexpected")));
    rows
}

fn groups(run: &Run) -> Vec<Group<'_>> {
    let groups = run.operations.iter().map(|operation| {
        let mine = run.failures().filter(|(case, _)| case.operation == operation.id);
        Group { operation, cases: mine.filter_map(|(case, _)| shown(case)).collect() }
    });
    groups.filter(|group| !group.cases.is_empty()).collect()
}

fn shown(case: &Case) -> Option<Shown<'_>> {
    let Outcome::Failed(failure) = &case.outcome else { return None };
    Some(Shown { name: &case.name, claim: case.check.claim(), failure })
}

fn skipped(run: &Run) -> Vec<Skipped<'_>> {
    let mut groups: Vec<Skipped<'_>> = Vec::new();
    for case in &run.cases {
        let Outcome::Skipped { reason } = &case.outcome else { continue };
        match groups.iter_mut().find(|group| group.reason == reason) {
            Some(group) => group.names.push(&case.name),
            None => groups.push(Skipped { reason, names: vec![&case.name] }),
        }
    }
    groups
}

fn passed(run: &Run) -> Vec<Passed<'_>> {
    let summaries = run.operations.iter().map(|operation| {
        let of = |check: Check| {
            let mine = run
                .cases
                .iter()
                .filter(move |case| case.operation == operation.id && case.check == check);
            (check.name(), count(mine).passed)
        };
        let checks: Vec<_> = columns(run).map(of).filter(|(_, passed)| *passed > 0).collect();
        let total = checks.iter().map(|(_, passed)| passed).sum();
        Passed { operation, total, checks }
    });
    summaries.filter(|summary| summary.total > 0).collect()
}

fn plural(count: usize, one: &str, many: &str) -> String {
    let noun = if count == 1 { one } else { many };
    format!("{}\u{a0}{noun}", grouped(count as u64))
}

/// 12345 as `12 345`, the space being a narrow one that does not break.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

fn duration(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn failures_stand_before_what_passed() {
        let text = html(&sample::run()).unwrap();
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("no {needle}: {text}"));
        let order = [
            "Does not conform. 1 of 6\u{a0}cases failed unexpectedly, in 1\u{a0}operation.",
            "id=\"matrix\"",
            "id=\"failures\"",
            "id=\"unexpectedly-passed\"",
            "id=\"expected\"",
            "id=\"skipped\"",
            "id=\"passed\"",
        ];
        let places: Vec<_> = order.iter().map(|needle| at(needle)).collect();
        assert!(places.is_sorted(), "{places:?}");
        assert!(at(">talkOpen<") < at(">thingCreate<"), "the operation with a failure comes first");
    }

    #[test]
    fn nothing_of_a_deployment_becomes_markup() {
        let text = html(&sample::run()).unwrap();
        for markup in ["<script", "<img", "<b>500", "</pre><s"] {
            assert!(!text.contains(markup), "{markup}");
        }
        assert!(text.contains("&lt;script&gt;alert(1)&lt;&#x2f;script&gt;"), "{text}");
        assert!(text.contains("&lt;img src=x onerror=alert(2)&gt;"));
        assert!(text.contains("&quot;maxLength&quot; &amp; more"));
    }

    #[test]
    fn the_page_asks_for_nothing_and_runs_nothing() {
        let text = html(&sample::run()).unwrap();
        assert!(text.contains("default-src 'none'"));
        for asking in ["src=\"", "@import", "url(", "href=\"http"] {
            assert!(!text.contains(asking), "{asking}");
        }
    }

    #[test]
    fn every_outcome_is_counted_in_words() {
        let run = sample::run();
        let text = html(&run).unwrap();
        for words in ["1 failed, 1 failed as expected", "1 passed unexpectedly", "1 skipped"] {
            assert!(text.contains(words), "{words}");
        }
        let mut fine = run;
        fine.untried = 1_200;
        let text = html(&fine).unwrap();
        assert!(text.contains("Does not conform.") && text.contains("1\u{202f}200 of 6"), "{text}");
        fine.cases.retain(|case| matches!(case.outcome, Outcome::Passed) && !case.expected);
        let text = html(&fine).unwrap();
        assert!(text.contains("Not shown to conform. Cut short:"), "{text}");
        fine.untried = 0;
        let text = html(&fine).unwrap();
        assert!(text.contains("Conforms. None of 2\u{a0}cases failed unexpectedly."), "{text}");
        assert!(!text.contains("id=\"failures\""));
    }

    #[test]
    fn large_numbers_are_grouped() {
        let of = |number| grouped(number).replace('\u{202f}', "_");
        assert_eq!([of(7), of(999), of(1_000), of(1_234_567)], ["7", "999", "1_000", "1_234_567"]);
        assert_eq!(
            [duration(5), duration(1_250), duration(61_500)],
            ["5 ms", "1.2 s", "1 min 1 s"]
        );
    }
}
