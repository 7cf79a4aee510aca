//! `openapi/approved-breaks.toml`: breaks that somebody answers for, each until the base has it.
//!
//! Text in, approvals or one line of complaint out; it reads no file.

use serde::{Deserialize, Deserializer, Serialize};
use toml::Spanned;
use toml::value::Datetime;

use super::compare::Change;

/// The file's name below `openapi/`.
pub const FILE: &str = "approved-breaks.toml";

/// One approved break.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    pub document: String,
    pub pointer: String,
    /// The change's stable name.
    pub change: String,
    pub reason: String,
    /// `2026-11-25`.
    #[serde(deserialize_with = "day")]
    pub date: String,
    /// Where its entry begins in the file.
    #[serde(skip_deserializing)]
    pub line: usize,
}

/// An approval that must go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Leftover {
    #[serde(flatten)]
    pub approval: Approval,
    /// It was used once: the base has the change. Otherwise it matches no break at all.
    pub is_in_base: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    approved: Vec<Spanned<Approval>>,
}

/// Reads the file's text; the error is one line that names the place.
pub fn parse(text: &str) -> Result<Vec<Approval>, String> {
    let complaint = |line: usize, what: &str| format!("openapi/{FILE}:{line}: {what}");
    let line = |at: usize| text.get(..at).unwrap_or(text).matches('\n').count() + 1;
    let file: File = toml::from_str(text).map_err(|bad| {
        let at = bad.span().map_or(1, |span| line(span.start));
        complaint(at, &bad.message().replace('\n', " "))
    })?;
    let mut approvals = Vec::new();
    for entry in file.approved {
        let at = line(entry.span().start);
        let approval = Approval { line: at, ..entry.into_inner() };
        let Approval { document, change, reason, .. } = &approval;
        let texts = [("document", document), ("change", change), ("reason", reason)];
        if let Some((name, _)) = texts.iter().find(|(_, text)| text.trim().is_empty()) {
            return Err(complaint(at, &format!("`{name}` is empty")));
        }
        approvals.push(approval);
    }
    Ok(approvals)
}

impl Approval {
    /// Whether it is about this break.
    pub fn covers(&self, change: &Change) -> bool {
        change.class.is_breaking()
            && (&self.document, &self.pointer, &self.change)
                == (&change.document, &change.pointer, &change.name)
    }

    /// Whether both are about the same thing, whatever they say about it.
    fn is_same(&self, other: &Approval) -> bool {
        (&self.document, &self.pointer, &self.change)
            == (&other.document, &other.pointer, &other.change)
    }
}

/// Approvals that cover no break, told apart by whether the base had them too.
pub fn leftovers(
    approvals: &[Approval],
    of_base: &[Approval],
    changes: &[Change],
) -> Vec<Leftover> {
    let covers_none = |approval: &&Approval| !changes.iter().any(|change| approval.covers(change));
    let unused = approvals.iter().filter(covers_none);
    unused
        .map(|approval| Leftover {
            approval: approval.clone(),
            is_in_base: of_base.iter().any(|other| other.is_same(approval)),
        })
        .collect()
}

/// The entry that approves a break, to paste.
pub fn snippet(change: &Change, today: &str) -> String {
    let text = |text: &str| toml::Value::String(text.to_owned());
    format!(
        "[[approved]]\ndocument = {}\npointer = {}\nchange = {}\nreason = \"\"\ndate = {today}\n",
        text(&change.document),
        text(&change.pointer),
        text(&change.name),
    )
}

/// A day, as TOML writes it or quoted.
fn day<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    use serde::de::Error;
    let value = toml::Value::deserialize(from)?;
    let parsed = match &value {
        toml::Value::Datetime(date) => Some(*date),
        toml::Value::String(text) => text.parse::<Datetime>().ok(),
        _ => None,
    };
    let is_day = |date: &Datetime| date.date.is_some() && date.time.is_none();
    let day = parsed.filter(is_day).map(|date| date.to_string());
    day.ok_or_else(|| D::Error::custom("`date` must be a day such as 2026-11-25"))
}
