//! `vestibule tail`: what the service was asked and how it answered, from the request log.
//!
//! Reads files of the data directory alone; the service may run or not.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use clap::Args;
use vestibule_api::register::OPERATIONS;

use super::listing::time;
use super::workplace::Workplace;
use super::{Failure, print_line};
use crate::config::DataAccess;
use crate::telemetry::request_log::{Line, News, Reader};

/// Show answered requests, oldest first
///
/// They come from the request log in the data directory, which holds the latest ones (settings
/// request_log.max_bytes and request_log.files). It has no address, query, header or secret in it,
/// and of a token only the first 8 hex digits of its SHA-256.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  vestibule tail --status 4xx --key key_abc
  vestibule tail -f --status 5xx
  vestibule tail --operation embedSessionCreate -n 1000 --json

Exit codes: 0 fine, 2 unusable input or no request log")]
pub(super) struct Tail {
    /// Only requests of this key, key_…
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Only requests of this tenant, ten_…
    #[arg(long, value_name = "TENANT")]
    tenant: Option<String>,
    /// Only answers with this status, or of this class: 404, 4xx; may be repeated
    #[arg(long, value_name = "STATUS")]
    status: Vec<Statuses>,
    /// Only requests of this operation, by its operationId
    #[arg(long, value_name = "ID")]
    operation: Option<String>,
    /// At most so many, the latest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20)]
    lines: usize,
    /// Go on with what comes, until interrupted
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    workplace: Workplace,
    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

/// How long nothing new is waited for before the next look.
const LOOK_EVERY: Duration = Duration::from_millis(200);

impl Tail {
    pub(super) fn run(self) -> Result<(), Failure> {
        let Self { key, tenant, status, operation, lines, follow, workplace, json } = self;
        require_operation(operation.as_deref())?;
        let wanted = Wanted { key, tenant, status, operation };
        let DataAccess { data_dir, .. } = workplace.access()?;
        let mut reader = Reader::new(&data_dir);
        if !reader.has_files() && !follow {
            let help = "give --data-dir the directory of a service that ran, or set its \
                        request_log.files to 1 or more";
            let problem = format!("there is no request log in {}", data_dir.display());
            return Err(Failure::unusable(problem, help));
        }
        let print = Printer { json };
        let found = latest(&mut reader, &wanted, lines)?;
        print.head()?;
        found.latest.iter().try_for_each(|line| print.line(line))?;
        if !follow {
            return print.sum(&found);
        }
        loop {
            let news = read(&mut reader)?;
            if news.has_gap {
                anstream::eprintln!("notice: some requests went by faster than they were read");
            }
            tell_unreadable(news.unreadable);
            let is_quiet = news.lines.is_empty();
            let mut ours = news.lines.iter().filter(|line| wanted.has(line));
            ours.try_for_each(|line| print.line(line))?;
            if is_quiet {
                std::thread::sleep(LOOK_EVERY);
            }
        }
    }
}

/// What there is already.
#[derive(Default)]
struct Found {
    /// The latest lines that are wanted.
    latest: VecDeque<Line<'static>>,
    /// Lines of any kind.
    seen: usize,
    /// Lines that another release wrote, or that were cut.
    unreadable: u64,
}

fn latest(reader: &mut Reader, wanted: &Wanted, most: usize) -> Result<Found, Failure> {
    let mut found = Found::default();
    loop {
        let News { lines, unreadable, .. } = read(reader)?;
        found.unreadable += unreadable;
        if lines.is_empty() {
            return Ok(found);
        }
        found.seen += lines.len();
        found.latest.extend(lines.into_iter().filter(|line| wanted.has(line)));
        found.latest.drain(..found.latest.len().saturating_sub(most));
    }
}

fn read(reader: &mut Reader) -> Result<News, Failure> {
    reader.read_on().map_err(|cause| {
        let help = "run it as the user that the service runs as";
        Failure::refused(format!("the request log cannot be read ({cause})"), help)
    })
}

fn require_operation(wanted: Option<&str>) -> Result<(), Failure> {
    let Some(wanted) = wanted else { return Ok(()) };
    if OPERATIONS.iter().any(|operation| operation.id == wanted) {
        return Ok(());
    }
    let near = OPERATIONS
        .iter()
        .map(|it| it.id)
        .max_by(|a, b| strsim::jaro_winkler(a, wanted).total_cmp(&strsim::jaro_winkler(b, wanted)));
    let help = format!("the nearest one is {}", near.unwrap_or_default());
    Err(Failure::unusable(format!("there is no operation {wanted}"), help))
}

/// Which lines are shown.
struct Wanted {
    key: Option<String>,
    tenant: Option<String>,
    status: Vec<Statuses>,
    operation: Option<String>,
}

impl Wanted {
    fn has(&self, line: &Line<'_>) -> bool {
        let is = |wanted: &Option<String>, is: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| is == Some(wanted))
        };
        is(&self.key, line.key.as_deref())
            && is(&self.tenant, line.tenant.as_deref())
            && is(&self.operation, line.operation.as_deref())
            && (self.status.is_empty() || self.status.iter().any(|it| it.has(line.status)))
    }
}

/// One status, or a class of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Statuses {
    One(u16),
    Class(u16),
}

impl Statuses {
    fn has(self, status: u16) -> bool {
        match self {
            Self::One(one) => status == one,
            Self::Class(class) => status / 100 == class,
        }
    }
}

impl FromStr for Statuses {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let class = text.strip_suffix("xx").and_then(|class| class.parse().ok());
        let class = class.filter(|class| (1..=5).contains(class)).map(Self::Class);
        let one = text.parse().ok().filter(|one| (100..600).contains(one)).map(Self::One);
        one.or(class).ok_or_else(|| "write a status like 404 or a class like 4xx".to_owned())
    }
}

/// Lines for people, aligned without knowing those to come; or JSON as it was logged.
struct Printer {
    json: bool,
}

const HEAD: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const REFUSED: Style = AnsiColor::Yellow.on_default();
const FAILED: Style = AnsiColor::Red.on_default();

impl Printer {
    fn head(&self) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        let width = operation_width();
        print_line(&format!(
            "{HEAD}{:<24}  {:<6}  {:>10}  {:<width$}  {:<24}  {:<30}  {:<8}  REQUEST{HEAD:#}",
            "TIME", "STATUS", "TOOK", "OPERATION", "CODE", "KEY", "TOKEN"
        ))
    }

    fn line(&self, line: &Line<'_>) -> Result<(), Failure> {
        if self.json {
            let text = serde_json::to_string(line);
            let defect = |bad: serde_json::Error| Failure::refused(bad.to_string(), "report it");
            return print_line(&text.map_err(defect)?);
        }
        print_line(&self.row(line))
    }

    fn row(&self, line: &Line<'_>) -> String {
        let style = match line.status {
            ..400 => GOOD,
            400..500 => REFUSED,
            500.. => FAILED,
        };
        let route = || {
            let path = line.route.as_deref().unwrap_or("(no such path)");
            format!("{} {path}", line.method)
        };
        let operation = line.operation.as_deref().map_or_else(route, str::to_owned);
        let or =
            |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or("-").to_owned();
        let (code, key, token) = (or(&line.code), or(&line.key), or(&line.token));
        let (width, status) = (operation_width(), line.status);
        let mut row = format!("{FAINT}{}{FAINT:#}", time(line.at_ms));
        let took = took(line.took_us);
        let done = write!(
            row,
            "  {style}{status:<6}{style:#}  {took:>10}  {operation:<width$}  {code:<24}  {key:<30}  \
             {token:<8}  {FAINT}{}{FAINT:#}",
            line.request_id
        );
        done.expect("writing to a string cannot fail");
        row
    }

    fn sum(&self, found: &Found) -> Result<(), Failure> {
        let Found { latest, seen, unreadable } = found;
        tell_unreadable(*unreadable);
        if self.json {
            return Ok(());
        }
        let shown = latest.len();
        if shown == 0 {
            return print_line(&format!(
                "None of the {seen} logged requests is one of these; leave a filter out."
            ));
        }
        print_line(&format!(
            "{shown} of {seen} logged requests; -n shows more of them, -f what comes."
        ))
    }
}

fn tell_unreadable(lines: u64) {
    if lines > 0 {
        anstream::eprintln!("notice: {lines} lines cannot be read and are left out");
    }
}

fn operation_width() -> usize {
    OPERATIONS.iter().map(|operation| operation.id.len()).max().unwrap_or(0)
}

/// Three digits or so, whatever the magnitude.
fn took(took_us: u64) -> String {
    match took_us {
        ..1_000 => format!("{took_us} µs"),
        1_000..1_000_000 => format!("{}.{:02} ms", took_us / 1_000, took_us % 1_000 / 10),
        1_000_000.. => format!("{}.{:02} s", took_us / 1_000_000, took_us % 1_000_000 / 10_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_or_a_class_is_read() {
        assert_eq!("404".parse(), Ok(Statuses::One(404)));
        assert_eq!("4xx".parse(), Ok(Statuses::Class(4)));
        for bad in ["", "4x", "xx", "6xx", "0xx", "99", "600", "-1", "4xxx"] {
            assert!(bad.parse::<Statuses>().is_err(), "{bad}");
        }
        assert!(Statuses::Class(4).has(499) && !Statuses::Class(4).has(500));
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let shown = [999, 1_000, 1_239, 999_999, 1_000_000, 10_009_999].map(took);
        assert_eq!(shown, ["999 µs", "1.00 ms", "1.23 ms", "999.99 ms", "1.00 s", "10.00 s"]);
    }
}
