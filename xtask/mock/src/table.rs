//! What the mock says to people: its operations as a table, and a line for each answer.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use http::StatusCode;
use vestibule_runtime::RequestRecord;

use crate::Running;
use crate::answer::has_example;
use crate::request::Sample;

const HEAD: Style = Style::new().bold();
const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Yellow.on_default();

impl Running {
    /// Where it answers.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.server.local_addr())
    }

    /// Every operation with what it asks and answers, and a line to try.
    pub fn table(&self) -> String {
        let mut rows =
            vec![["METHOD", "PATH", "OPERATION", "CREDENTIAL", "ANSWER"].map(str::to_owned)];
        for operation in &self.operations {
            let info = operation.info;
            let callers: Vec<_> = info.credentials.iter().map(|it| it.caller).collect();
            let callers = if callers.is_empty() { "none".to_owned() } else { callers.join(" or ") };
            let success = info.answers.iter().find(|(_, codes)| codes.is_empty());
            let status = success.map(|(status, _)| status.to_string()).unwrap_or_default();
            let has_body = !operation.response(success.map_or(0, |it| it.0))["content"].is_null();
            let kind = match (has_body, has_example(operation)) {
                (false, _) => "no body",
                (true, true) => "example",
                (true, false) => "drawn",
            };
            let cells = [info.method.as_str(), info.path, info.id, &callers];
            let [method, path, id, callers] = cells.map(str::to_owned);
            rows.push([method, path, id, callers, format!("{status} {kind}")]);
        }
        let mut text = aligned(&rows);
        let base_url = self.base_url();
        let open = self.operations.iter().find(|it| it.info.credentials.is_empty());
        if let Some(operation) = open.or(self.operations.first()) {
            let curl = Sample::of(operation).curl(operation, &base_url);
            let _ = writeln!(text, "\n{HEAD}Try{HEAD:#}  {curl}");
        }
        let _ = writeln!(text, "     -H 'Prefer: code=400' asks for another documented status.");
        let _ = write!(text, "\nAnswering at {base_url}; ctrl-c ends it.");
        text
    }
}

fn aligned(rows: &[[String; 5]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let _ = write!(line, "{cell:<width$}  ", width = width(column).unwrap_or(0));
        }
        let style = if i == 0 { HEAD } else { Style::new() };
        let _ = writeln!(text, "{style}{}{style:#}", line.trim_end());
    }
    text
}

/// One answer: status, stable code, operation.
pub fn line_of(record: &RequestRecord<'_>) -> String {
    let RequestRecord { asked, status, code, .. } = record;
    let style = if *status < StatusCode::BAD_REQUEST { GOOD } else { BAD };
    let code = code.map(|code| format!(" {code}")).unwrap_or_default();
    let (method, path) = (asked.method, asked.route.unwrap_or("-"));
    let id = asked.operation.map_or("-", |operation| operation.id);
    format!("{style}{}{style:#}{code}  {method} {path}  {id}", status.as_u16())
}
