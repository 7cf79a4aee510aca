//! What a call leads to: JSON on standard output, refusals in words on standard error, and the
//! exit code.

use std::cell::RefCell;
use std::fmt::{Debug, Write as _};

use serde::Serialize;
use serde_json::Value;
use vestibule_client::Error;

/// The exit code of a call that was answered.
pub const FINE: u8 = 0;
/// The exit code of a call that was refused or did not reach the service.
pub const REFUSED: u8 = 1;
/// The exit code of input that cannot be sent.
pub const UNUSABLE: u8 = 2;

/// How a command line ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// The exit code.
    pub code: u8,
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub err: String,
}

impl Ended {
    /// Input that cannot be sent, and what to do.
    pub(crate) fn unusable(problem: &str) -> Self {
        Self { code: UNUSABLE, err: format!("error: {problem}\n"), ..Self::default() }
    }

    /// Help, the version, or a complaint about arguments.
    pub(crate) fn from_clap(said: &clap::Error) -> Self {
        let text = said.render().ansi().to_string();
        match said.use_stderr() {
            true => Self { code: UNUSABLE, err: text, ..Self::default() },
            false => Self { code: FINE, out: text, ..Self::default() },
        }
    }
}

/// Takes what the generated commands report.
#[derive(Default)]
pub struct Printer(RefCell<Ended>);

impl Printer {
    /// An answer with a body.
    pub fn answer<T: Serialize>(&self, body: &T) {
        let text = serde_json::to_string_pretty(body).expect("an answer came from JSON");
        let _ = writeln!(self.0.borrow_mut().out, "{text}");
    }

    /// An answer without one.
    pub fn done(&self) {
        self.0.borrow_mut().err.push_str("done\n");
    }

    /// Whatever is no answer.
    pub fn refusal<T: Serialize + Debug>(&self, error: &Error<T>) {
        let mut ended = self.0.borrow_mut();
        ended.code = match error {
            Error::InvalidRequest(_) => UNUSABLE,
            _ => REFUSED,
        };
        let text = match error {
            Error::ErrorResponse(refused) => {
                let body = serde_json::to_value(&**refused).unwrap_or_default();
                refusal_text(refused.status().as_u16(), &body)
            }
            Error::InvalidRequest(problem) => format!("error: {problem}\n"),
            Error::CommunicationError(cause) => {
                format!("error: the service cannot be reached: {}\n", with_causes(cause))
            }
            other => format!("error: {other}\n"),
        };
        ended.err.push_str(&text);
    }

    /// How the command line ended; an error that was not reported yet is about the input.
    pub fn end(self, called: anyhow::Result<()>) -> Ended {
        let ended = self.0.into_inner();
        match called {
            Err(problem) if ended.code == FINE => Ended::unusable(&format!("{problem:#}")),
            _ => ended,
        }
    }
}

/// The documented error object in words, every violation on a line.
fn refusal_text(status: u16, body: &Value) -> String {
    let text = |node: &Value| node.as_str().map_or_else(|| node.to_string(), str::to_owned);
    let mut out =
        format!("error: {} ({status}): {}\n", text(&body["error"]), text(&body["message"]));
    let details = body["details"].as_object();
    for violation in body["details"]["violations"].as_array().into_iter().flatten() {
        let [place, pointer, keyword] =
            ["in", "pointer", "keyword"].map(|name| text(&violation[name]));
        let _ = write!(out, "  {place} {pointer}: {keyword}");
        if let Some(limit) = violation.get("limit").filter(|limit| !limit.is_null()) {
            let _ = write!(out, " {}", text(limit));
        }
        if let Some(actual) = violation.get("actual").filter(|actual| !actual.is_null()) {
            let _ = write!(out, ", was {}", text(actual));
        }
        out.push('\n');
    }
    for (name, fact) in details.into_iter().flatten().filter(|(name, _)| *name != "violations") {
        let _ = writeln!(out, "  {name}: {}", text(fact));
    }
    let _ = writeln!(out, "  request id: {}", text(&body["request_id"]));
    out
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |it| it.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
