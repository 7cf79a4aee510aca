//! What a person sees of a run: the plan, the progress, the failures, the closing sentence.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use anstream::eprintln;
use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};
use vestibule_conformance::outcome::{
    Case, Check, Counts, Failure, Outcome, RefusedCredentials, Run, count,
};
use vestibule_conformance::{Plan, Watch};

const BAD: Style = AnsiColor::Red.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const NAME: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();

/// Failures told in full; the report has the others.
const TOLD: usize = 20;
/// Characters of a body or an answer that are told.
const SHOWN: usize = 600;
/// Characters of one value that are told: of a word without blanks or quotation marks.
const WORD: usize = 100;
/// The longest curl line that is told, bytes.
const LONGEST: usize = 4000;

/// Progress of a run: a bar on a terminal, otherwise a line for each operation.
pub struct Progress {
    bar: Option<ProgressBar>,
    left: Mutex<BTreeMap<String, (usize, Vec<Case>)>>,
}

impl Progress {
    /// Before the first case.
    pub fn new(plan: &Plan) -> Self {
        let style = "{bar:32} {pos}/{len} cases, {elapsed}  {msg}";
        let style =
            ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar());
        let is_terminal = std::io::stderr().is_terminal();
        let bar = is_terminal.then(|| ProgressBar::new(plan.cases.len() as u64).with_style(style));
        let mut left = BTreeMap::<_, (usize, Vec<Case>)>::new();
        for case in &plan.cases {
            left.entry(case.operation.id.clone()).or_default().0 += 1;
        }
        Self { bar, left: Mutex::new(left) }
    }

    /// After the last case.
    pub fn end(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn line(&self, case: &Case) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((missing, cases)) = left.get_mut(&case.operation) else { return };
        cases.push(case.clone());
        *missing -= 1;
        if *missing == 0 {
            eprintln!("{:<24} {}", case.operation, counted(count(cases.iter())));
        }
    }
}

impl Watch for Progress {
    fn ended(&self, case: &Case) {
        match &self.bar {
            Some(bar) => bar.inc(1),
            None => self.line(case),
        }
    }

    fn waits(&self, why: Option<&str>) {
        match &self.bar {
            Some(bar) => bar.set_message(why.unwrap_or_default().to_owned()),
            None => {
                if let Some(why) = why {
                    eprintln!("{DIM}{why}{DIM:#}");
                }
            }
        }
    }
}

/// One line for a mistake of the user.
pub fn error(problem: &str) -> String {
    format!("{BAD}error{BAD:#}: {problem}")
}

/// The plan as a table of operations and checks.
pub fn planned(plan: &Plan) -> String {
    let matrix = plan.matrix();
    let used: Vec<_> =
        Check::ALL.into_iter().filter(|check| matrix.keys().any(|(_, it)| it == check)).collect();
    let width = plan.operations.iter().map(|it| it.id.len()).max().unwrap_or(0);
    let mut out = format!("{NAME}{:width$}", "operation");
    used.iter().for_each(|check| {
        let _ = write!(out, "  {check}");
    });
    let _ = writeln!(out, "   total{NAME:#}");
    for row in &plan.operations {
        let _ = write!(out, "{:width$}", row.id);
        let mut total = 0;
        for check in &used {
            let cases = matrix.get(&(row.id.as_str(), *check)).copied().unwrap_or(0);
            total += cases;
            let shown = if cases == 0 { "·".to_owned() } else { cases.to_string() };
            let _ = write!(out, "  {shown:>at$}", at = check.name().len());
        }
        let _ = writeln!(out, "  {total:>6}");
    }
    let (cases, operations) = (plan.cases.len(), plan.operations.len());
    let _ = write!(out, "\n{cases} cases of {operations} operations; nothing was sent.");
    out
}

/// The failures and the closing sentence.
pub fn told(run: &Run, report: Option<&Path>) -> String {
    let mut out = String::new();
    let all: Vec<_> = run.failures().collect();
    for (case, failure) in all.iter().take(TOLD) {
        out.push_str(&failed(case, failure));
    }
    if all.len() > TOLD {
        let more = all.len() - TOLD;
        let _ = match report {
            Some(folder) => writeln!(out, "… and {more} more in {}\n", folder.display()),
            None => writeln!(out, "… and {more} more; --report DIR keeps all of them\n"),
        };
    }
    for case in run.cases.iter().filter(|it| it.expected && matches!(it.outcome, Outcome::Passed)) {
        let name = &case.name;
        let _ = writeln!(out, "{BAD}passes{BAD:#} {name}: remove it from the expected failures\n");
    }
    out.push_str(&skips(run));
    run.refused_credentials.iter().for_each(|it| out.push_str(&refused(&run.base_url, it)));
    out.push_str(&closing(run, report));
    out
}

fn failed(case: &Case, failure: &Failure) -> String {
    let Failure { expectation, observed, curl, body, response } = failure;
    let mut out = format!("{BAD}failed{BAD:#} {NAME}{}{NAME:#}\n", case.name);
    let (expected, came) = (beside(expectation), beside(observed));
    let _ = writeln!(out, "  expected  {expected}\n  came      {came}");
    if let Some(body) = body {
        let _ = writeln!(out, "  sent      {}", beside(body));
    }
    if let Some(response) = response {
        let _ = writeln!(out, "  answer    {} {}", response.status, beside(&response.body));
    }
    let curl = match curl.len() {
        0..=LONGEST => curl.replace('\n', "\n  "),
        long => format!("# the curl line has {long} bytes; --report DIR keeps it"),
    };
    let _ = writeln!(out, "  {DIM}{curl}{DIM:#}\n");
    out
}

/// That failures most likely come from the credentials file.
fn refused(base_url: &str, credentials: &RefusedCredentials) -> String {
    let RefusedCredentials { places, status, code, operation } = credentials;
    let code = code.as_ref().map(|code| format!(" {code}")).unwrap_or_default();
    let places: Vec<_> = places.iter().map(|place| format!("`{place}`")).collect();
    format!(
        "{BAD}{base_url} refuses {} of the credentials file{BAD:#}: it answers valid requests of \
         {operation} with {status}{code}. Mend that first; other failures may come from it.\n",
        places.join(" with ")
    )
}

/// A text beside its label; further lines stand below the first.
fn beside(text: &str) -> String {
    let lines: Vec<_> = cut(text).lines().map(str::to_owned).collect();
    lines.join("\n            ")
}

/// Why cases were skipped that a better file of credentials would allow.
fn skips(run: &Run) -> String {
    let mut reasons = BTreeMap::<_, usize>::new();
    for case in &run.cases {
        if let Outcome::Skipped { reason } = &case.outcome {
            *reasons.entry(reason).or_default() += 1;
        }
    }
    reasons.into_iter().fold(String::new(), |mut out, (reason, cases)| {
        let _ = writeln!(out, "{DIM}skipped {cases:>4}  {reason}{DIM:#}");
        out
    })
}

fn closing(run: &Run, report: Option<&Path>) -> String {
    let counts = run.counts();
    let (operations, requests) = (run.operations.len(), run.requests);
    let seconds = run.took_ms as f64 / 1000.0;
    let mut out = format!(
        "{} of {operations} operations, {requests} requests in {seconds:.1} s, seed {}.\n",
        counted(counts),
        run.seed
    );
    if let Some(folder) = report {
        let _ = writeln!(out, "The reports are in {}.", folder.display());
    }
    let Run { base_url, untried, .. } = run;
    if *untried > 0 {
        let _ = writeln!(
            out,
            "{BAD}The run was cut short: {} not tried, because the bound on \
             requests was reached.{BAD:#} Raise --max-requests.",
            plural(*untried, "case was", "cases were")
        );
    }
    out.push_str(&match (counts.failed, counts.unexpectedly_passed) {
        (0, 0) if run.untried > 0 => {
            format!("Nothing shows that {base_url} answers as its documents say.")
        }
        (0, 0) if counts.passed + counts.expected == 0 => {
            format!("{BAD}Nothing was tried{BAD:#}, so nothing is known of {base_url}.")
        }
        (0, 0) if missing(run) > 0 => format!(
            "{GOOD}{base_url} answers as its documents say{GOOD:#} where it could be tried; {} \
             what the credentials do not give.",
            plural(missing(run), "case needs", "cases need")
        ),
        (0, 0) => format!("{GOOD}{base_url} answers as its documents say.{GOOD:#}"),
        (0, n) => format!(
            "{BAD}{} now: remove what passes from the file.{BAD:#}",
            plural(n, "expected failure passes", "expected failures pass")
        ),
        (n, _) => format!(
            "{BAD}{} failed.{BAD:#} Send one again with its curl line; mend the service or the \
             document.",
            plural(n, "case", "cases")
        ),
    });
    out
}

/// Why a run tried nothing at all, in one line.
pub fn untried(run: &Run) -> String {
    let lacks_credentials = |case: &Case| match &case.outcome {
        Outcome::Skipped { reason } => reason.contains("credentials"),
        Outcome::Passed | Outcome::Failed(_) => false,
    };
    match run.cases.iter().any(lacks_credentials) {
        true => "no case could be tried; the credentials miss what the documents ask for".into(),
        false => "no case could be tried; the lines on what was skipped tell why".into(),
    }
}

/// Cases that were meant to be tried and could not be.
fn missing(run: &Run) -> usize {
    let is_missing = |case: &&Case| match &case.outcome {
        Outcome::Skipped { reason } => {
            !case.name.ends_with("/none") || reason.contains("credentials")
        }
        Outcome::Passed | Outcome::Failed(_) => false,
    };
    run.cases.iter().filter(is_missing).count()
}

fn counted(counts: Counts) -> String {
    let Counts { passed, failed, expected, unexpectedly_passed, skipped } = counts;
    let mut out = format!("{passed} passed");
    let more = [
        (failed, "failed"),
        (expected, "failed as expected"),
        (unexpectedly_passed, "passed unexpectedly"),
        (skipped, "skipped"),
    ];
    for (n, what) in more.into_iter().filter(|(n, _)| *n > 0) {
        let _ = write!(out, ", {n} {what}");
    }
    out
}

fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A text as a person reads it: very long values, and then the whole, end early.
fn cut(text: &str) -> String {
    let is_edge = |c: char| c.is_whitespace() || matches!(c, '"' | '\'');
    let parts: Vec<_> = text.split_inclusive(is_edge).map(value).collect();
    let text = parts.concat();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// One value, its middle left out where it is very long.
fn value(text: &str) -> Cow<'_, str> {
    let length = text.chars().count();
    if length <= WORD {
        return text.into();
    }
    let (head, tail) = (WORD / 2, WORD / 5);
    let start: String = text.chars().take(head).collect();
    let end: String = text.chars().skip(length - tail).collect();
    format!("{start}…({} more)…{end}", length - head - tail).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(untried: usize) -> Run {
        Run {
            tool: "conformance".into(),
            base_url: "http://a".into(),
            documents: vec![],
            seed: 0,
            started: String::new(),
            took_ms: 0,
            requests: 5,
            untried,
            refused_credentials: vec![],
            operations: vec![],
            cases: vec![],
        }
    }

    #[test]
    fn a_run_that_was_cut_short_is_told_and_is_not_fine() {
        let told = closing(&run(3), None);
        assert!(told.contains("cut short: 3 cases were not tried"), "{told}");
        assert!(told.contains("Nothing shows"), "{told}");
        assert!(!run(3).is_fine() && run(0).is_fine());
        assert!(!closing(&run(0), None).contains("cut short"));
    }

    #[test]
    fn one_is_told_as_one_and_two_as_two() {
        let of = |untried| closing(&run(untried), None);
        assert!(of(1).contains("1 case was not tried") && of(2).contains("2 cases were not"));
    }

    #[test]
    fn an_answer_of_many_lines_stays_beside_its_label() {
        let told = beside("{\r\n  \"a\": 1\n}\n");
        assert_eq!(told, "{\n              \"a\": 1\n            }");
    }

    #[test]
    fn a_run_that_tried_nothing_praises_nobody_and_tells_the_cause() {
        let case = |reason: &str| Case {
            operation: "a".into(),
            check: Check::Valid,
            name: "a/valid/plain".into(),
            expected: false,
            outcome: Outcome::Skipped { reason: reason.into() },
        };
        let with = |cases| Run { cases, ..run(0) };
        let told = closing(&with(vec![case("the credentials have no `key`")]), None);
        assert!(told.contains("Nothing was tried") && !told.contains("answers as"), "{told}");
        let line = untried(&with(vec![case("x"), case("the credentials have no `key`")]));
        assert!(line.contains("the credentials miss"), "{line}");
        assert!(untried(&with(vec![case("nothing can be drawn")])).contains("what was skipped"));
    }

    #[test]
    fn long_values_are_cut_and_the_curl_line_is_whole() {
        let origin = format!("https://{}.example", "é".repeat(497));
        let failure = Failure {
            expectation: format!("Access-Control-Allow-Origin: {origin}"),
            observed: format!("\"{origin}\" and more"),
            curl: format!("curl -H 'Origin: {origin}'"),
            body: None,
            response: None,
        };
        let (operation, outcome) = ("a".to_owned(), Outcome::Passed);
        let case =
            Case { operation, check: Check::Cors, name: "a".into(), expected: false, outcome };
        let told = failed(&case, &failure);
        let lines: Vec<_> = told.lines().collect();
        for line in &lines[1..3] {
            assert!(line.chars().count() < 160 && line.contains("https://éé"), "{line}");
        }
        assert!(lines[1].ends_with("éé.example") && lines[2].ends_with("\" and more"), "{told}");
        assert!(lines[3].contains(&failure.curl), "{told}");
    }
}
