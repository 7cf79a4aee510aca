//! What the crate `drift` thinks of the same documents, and where it disagrees with us.
//!
//! It compares by operation path and by component, not by keyword: `drift` words and places its
//! findings differently. Some documents make it panic; that is an opinion too and never an end.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

use drift::ChangeClass;
use serde::Serialize;

use super::class::Class;
use super::compare::{Change, Version};
use crate::document::SHARED;

/// One place where two opinions differ.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Disagreement {
    pub document: String,
    /// Pointer of a path or of a component; empty for the whole document.
    pub pointer: String,
    pub ours: String,
    pub drift: String,
}

/// What was said about one place.
#[derive(Default)]
struct Opinions {
    ours: BTreeMap<Class, BTreeSet<String>>,
    theirs: BTreeMap<Theirs, BTreeSet<String>>,
}

/// `drift`'s classes in our words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Theirs {
    BreaksCaller,
    BreaksServer,
    CannotTell,
    Compatible,
}

/// Every disagreement about the documents that both versions have.
pub fn disagreements(base: &Version, head: &Version, changes: &[Change]) -> Vec<Disagreement> {
    let mut all = Vec::new();
    for (name, old) in &base.documents {
        let Some(new) = head.documents.get(name) else { continue };
        match guarded(|| drift::compare(old, new)) {
            Ok(Ok(theirs)) => all.extend(compared(name, changes, &theirs)),
            Ok(Err(bad)) => all.push(silent(name, format!("gives up: {bad:#}"))),
            Err(panic) => all.push(silent(name, format!("panics: {panic}"))),
        }
    }
    all.sort();
    all
}

fn silent(document: &str, drift: String) -> Disagreement {
    let ours = "compares the document".to_owned();
    Disagreement { document: document.to_owned(), pointer: String::new(), ours, drift }
}

fn compared(document: &str, changes: &[Change], theirs: &[drift::Change]) -> Vec<Disagreement> {
    let mut places: BTreeMap<String, Opinions> = BTreeMap::new();
    for change in changes {
        let is_here = change.document == document
            || (change.document == SHARED && change.pointer.starts_with("/components/"));
        if is_here {
            let opinions = places.entry(place(&change.pointer)).or_default();
            opinions.ours.entry(change.class).or_default().insert(change.name.clone());
        }
    }
    for change in theirs {
        for path in &change.paths {
            // What is gone has no place of its own in the head.
            let (new, old) = (path.new.base_and_subpath().0, path.old.base_and_subpath().0);
            let pointer = if new == "#/paths" { old } else { new }.trim_start_matches('#');
            let opinions = places.entry(place(pointer)).or_default();
            for info in &change.changes {
                let said = opinions.theirs.entry(class(info.class)).or_default();
                said.insert(info.message.clone());
            }
        }
    }
    let dispute = |(pointer, opinions): (String, Opinions)| {
        let (ours, drift) = opinions.dispute()?;
        Some(Disagreement { document: document.to_owned(), pointer, ours, drift })
    };
    places.into_iter().filter_map(dispute).collect()
}

impl Opinions {
    /// Both opinions in words, if they differ.
    ///
    /// A request that may carry more is "forward incompatible" to `drift` and additive to us; that
    /// is a choice of words and no dispute, as long as we saw the change.
    fn dispute(&self) -> Option<(String, String)> {
        let we = |class| self.ours.contains_key(&class);
        let they = |class| self.theirs.contains_key(&class);
        let they_break = they(Theirs::BreaksCaller) || they(Theirs::BreaksServer);
        let unsure = they(Theirs::CannotTell);
        let differ = (they(Theirs::BreaksCaller) && !we(Class::BreaksCaller))
            || (they(Theirs::BreaksServer) && self.ours.keys().all(|it| *it == Class::Wording))
            || (we(Class::BreaksCaller) && !they(Theirs::BreaksCaller) && !unsure)
            || (we(Class::BreaksServer) && !they_break && !unsure);
        differ.then(|| (self.in_our_words(), self.in_their_words()))
    }

    fn in_our_words(&self) -> String {
        let said = self.ours.iter().map(|(class, names)| format!("{class} ({})", listed(names)));
        let said: Vec<String> = said.collect();
        if said.is_empty() { "unchanged".to_owned() } else { said.join("; ") }
    }

    fn in_their_words(&self) -> String {
        let said = self.theirs.iter().map(|(class, messages)| {
            let class = match class {
                Theirs::BreaksCaller => "backward incompatible",
                Theirs::BreaksServer => "forward incompatible",
                Theirs::CannotTell => "cannot tell",
                Theirs::Compatible => "trivial",
            };
            format!("{class} ({})", listed(messages))
        });
        let said: Vec<String> = said.collect();
        if said.is_empty() { "sees no change".to_owned() } else { said.join("; ") }
    }
}

fn listed(words: &BTreeSet<String>) -> String {
    words.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

fn class(class: ChangeClass) -> Theirs {
    match class {
        ChangeClass::BackwardIncompatible | ChangeClass::Incompatible => Theirs::BreaksCaller,
        ChangeClass::ForwardIncompatible => Theirs::BreaksServer,
        ChangeClass::Unhandled => Theirs::CannotTell,
        ChangeClass::Trivial => Theirs::Compatible,
    }
}

/// The path or the component that a pointer is in.
fn place(pointer: &str) -> String {
    let parts = if pointer.starts_with("/components/") { 4 } else { 3 };
    pointer.splitn(parts + 1, '/').take(parts).collect::<Vec<_>>().join("/")
}

/// Runs something that may panic: the panic's message instead of a trace on the terminal.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    let me = thread::current().id();
    let outer: Arc<dyn Fn(&panic::PanicHookInfo<'_>) + Send + Sync> = Arc::from(panic::take_hook());
    let other_threads = Arc::clone(&outer);
    panic::set_hook(Box::new(move |info| {
        if thread::current().id() != me {
            other_threads(info);
        }
    }));
    let outcome = panic::catch_unwind(AssertUnwindSafe(run));
    panic::set_hook(Box::new(move |info| outer(info)));
    outcome.map_err(|payload| {
        let text = payload.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
        text.unwrap_or("without a message").to_owned()
    })
}
