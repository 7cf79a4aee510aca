//! What the command says: the judged changes, what is to be done, one closing sentence.
//!
//! The three formats stand in files of their own and say the same.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Format;
use super::approvals::{self, Approval, Leftover};
use super::base::Base;
use super::class::Class;
use super::compare::Change;
use super::second_opinion::Disagreement;
use crate::document::{Files, METHODS, Place, unescaped};

mod json;
mod markdown;
mod table;

/// Everything that is to be told.
#[derive(Debug)]
pub struct Report {
    pub base: Base,
    pub changes: Vec<Judged>,
    pub leftovers: Vec<Leftover>,
    pub second_opinion: Vec<Disagreement>,
    /// `2026-11-25`.
    pub today: String,
}

/// A change with its place and its approval.
#[derive(Debug)]
pub struct Judged {
    pub change: Change,
    /// In the head, or in the base for what is gone.
    pub place: Option<Place>,
    pub approval: Option<Approval>,
}

/// Finds each change's place and approval.
pub fn judged(
    changes: Vec<Change>,
    approvals: &[Approval],
    base: &Files,
    head: &Files,
) -> Vec<Judged> {
    let judge = |change: Change| {
        let files = if change.new.is_none() && change.old.is_some() { base } else { head };
        let place = files.place(&change.document, &change.pointer);
        let approval = approvals.iter().find(|approval| approval.covers(&change)).cloned();
        Judged { change, place, approval }
    };
    changes.into_iter().map(judge).collect()
}

/// The report where there is nothing to compare with.
pub fn without_base(reason: &str, format: Format) -> String {
    let summary = format!("There is nothing to compare the documents with: {reason}.");
    match format {
        Format::Table | Format::Markdown => summary + "\n",
        Format::Json => json::without_base(&summary),
    }
}

impl Report {
    /// Whether somebody has to do something.
    ///
    /// An approval that fits no break fails. So does one whose change the base has already, except
    /// where the base itself is checked out, unchanged: otherwise the main branch would fail as
    /// soon as it took in an approved break. It must go with the next branch.
    pub fn fails(&self) -> bool {
        let is_idle = self.base.is_head && self.changes.is_empty();
        self.unapproved().next().is_some()
            || self.leftovers.iter().any(|leftover| !(leftover.is_in_base && is_idle))
    }

    /// The breaks that nobody answers for.
    fn unapproved(&self) -> impl Iterator<Item = &Change> {
        let open = |it: &&Judged| it.change.class.is_breaking() && it.approval.is_none();
        self.changes.iter().filter(open).map(|it| &it.change)
    }

    /// The entries that approve all of them, each once.
    fn snippets(&self) -> Vec<String> {
        let mut snippets: Vec<String> = Vec::new();
        for change in self.unapproved() {
            let snippet = approvals::snippet(change, &self.today);
            if !snippets.contains(&snippet) {
                snippets.push(snippet);
            }
        }
        snippets
    }

    /// The changes by document and then by operation or component, in the documents' order.
    fn groups(&self) -> BTreeMap<(&str, String), Vec<&Judged>> {
        let mut groups: BTreeMap<_, Vec<&Judged>> = BTreeMap::new();
        for judged in &self.changes {
            let Change { document, pointer, .. } = &judged.change;
            groups.entry((document.as_str(), subject(pointer))).or_default().push(judged);
        }
        groups
    }

    fn count(&self, class: Class) -> usize {
        self.changes.iter().filter(|it| it.change.class == class).count()
    }

    /// What was compared, for a heading.
    fn title(&self) -> String {
        format!("{} ({})", self.base.title, self.base.short())
    }

    /// The last sentence: how many of each, and what to do.
    fn closing(&self) -> String {
        if self.changes.is_empty() {
            return format!("{}{}", self.unchanged(), self.leftovers_in_words());
        }
        let counts = self.counts_in_words();
        let breaks = self.count(Class::BreaksCaller) + self.count(Class::BreaksServer);
        let open = self.unapproved().count();
        let verdict = match (breaks, open) {
            (0, _) => "nothing to approve.".to_owned(),
            (_, 0) => "every break is approved.".to_owned(),
            _ => format!(
                "{open} of {} {} with a reason in openapi/{}.",
                many(breaks, "break", "breaks"),
                if open == 1 {
                    "is not approved: take it back, or approve it"
                } else {
                    "are not approved: take them back, or approve each"
                },
                approvals::FILE
            ),
        };
        format!("{counts}; {verdict}{}", self.leftovers_in_words())
    }

    /// `2 changes break callers, 1 is wording`.
    fn counts_in_words(&self) -> String {
        let mut words = Vec::new();
        for (class, one, more) in [
            (Class::BreaksCaller, "breaks callers", "break callers"),
            (Class::BreaksServer, "breaks servers", "break servers"),
            (Class::Additive, "is additive", "are additive"),
            (Class::Wording, "is wording", "are wording"),
        ] {
            let noun = if words.is_empty() { ["change ", "changes "] } else { ["", ""] };
            let [one, more] = [noun[0].to_owned() + one, noun[1].to_owned() + more];
            let count = self.count(class);
            words.extend((count > 0).then(|| many(count, &one, &more)));
        }
        words.join(", ")
    }

    fn unchanged(&self) -> String {
        if self.base.is_head {
            return format!(
                "HEAD is {} and no document differs from it: there is nothing to compare; \
                 `--base REV` compares with an older state.",
                self.title()
            );
        }
        format!("No document differs from {}.", self.title())
    }

    fn leftovers_in_words(&self) -> String {
        let count = self.leftovers.len();
        if count == 0 {
            return String::new();
        }
        let what = many(count, "approval is left over", "approvals are left over");
        let them = if count == 1 { "it" } else { "them" };
        format!(" {what}: remove {them} from openapi/{}.", approvals::FILE)
    }
}

/// Why an approval must go.
fn objection(leftover: &Leftover) -> &'static str {
    if leftover.is_in_base {
        return "the base has this change already";
    }
    "no break in these documents is this one"
}

/// A change on one line: `embed.yaml: schema ObjectId: …: 24 → 30 (breaks callers)`.
pub fn sentence(change: &Change) -> String {
    let Change { document, pointer, what, class, .. } = change;
    let brief = change.new.as_ref().map(brief).unwrap_or_default();
    format!("{document}.yaml: {}: {what}{brief} ({class})", subject(pointer))
}

/// A schema that came in, in a few words: ` (string, ≤ 40)`.
fn brief(schema: &Value) -> String {
    let Some(kind) = schema["type"].as_str() else { return String::new() };
    let bounds = [("minLength", "≥"), ("maxLength", "≤"), ("minimum", "≥"), ("maximum", "≤")];
    let bounds =
        bounds.iter().filter_map(|(key, sign)| Some(format!(", {sign} {}", schema.get(*key)?)));
    format!(" ({kind}{})", bounds.collect::<String>())
}

/// The operation or the component that a pointer is in, for people.
fn subject(pointer: &str) -> String {
    let parts: Vec<String> = pointer.split('/').skip(1).map(unescaped).collect();
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["paths", path, method, ..] if METHODS.contains(method) => {
            format!("{} {path}", method.to_uppercase())
        }
        ["paths", path, ..] => (*path).to_owned(),
        ["components", "schemas", name, ..] => format!("schema {name}"),
        ["components", "securitySchemes", name, ..] => format!("security scheme {name}"),
        ["components", "requestBodies", name, ..] => format!("request body {name}"),
        ["components", section, name, ..] => format!("{} {name}", section.trim_end_matches('s')),
        _ => "the document".to_owned(),
    }
}

/// The operations that a change reaches, for people.
fn reach(change: &Change) -> String {
    const LISTED: usize = 3;
    let names: Vec<&str> = change.operations.iter().map(String::as_str).collect();
    let listed = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
    if names.len() > LISTED {
        return format!("{listed} and {} more", names.len() - LISTED);
    }
    listed
}

fn place(judged: &Judged) -> String {
    let Some(Place { file, line, .. }) = &judged.place else { return String::new() };
    let is_gone = judged.change.new.is_none() && judged.change.old.is_some();
    format!("{file}:{line}{}", if is_gone { " in the base" } else { "" })
}

fn many(count: usize, one: &str, more: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { more })
}
