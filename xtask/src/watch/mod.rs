//! `generate --watch`: rebuilds `generated/` after every save and says what changed.
//!
//! A document with findings is told and changes nothing. It knows neither what a document holds
//! nor what is made from it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::Receiver;
use std::time::Instant;

use anstyle::{AnsiColor, Style};

use crate::diff;
use crate::document::{Documents, Texts};
use crate::generate::{self, Files, Handler};
use crate::lint;
use crate::lint::command::Refused;
use crate::node::Tools;

pub mod saves;
#[cfg(test)]
mod tests;

use saves::{Saves, Wake};

const DONE: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const MISSING: Style = AnsiColor::Yellow.on_default();

/// Rebuilds after every save until it is interrupted.
pub fn watch(root: &Path) -> Result<ExitCode, String> {
    let saves = Saves::of(root)?;
    let mut out = anstream::stdout();
    Loop::new(root).run(saves.wakes(), &mut out).map_err(|bad| format!("error: {bad}"))?;
    Ok(ExitCode::SUCCESS)
}

struct Loop<'r> {
    root: &'r Path,
    /// The documents that `generated/` was last made from, and their texts.
    known: Option<(Documents, Texts)>,
    /// Handlers that were missing at that time.
    missing: BTreeSet<Handler>,
    /// What makes the TypeScript client, or why there is nothing.
    tools: Result<Tools, String>,
}

impl<'r> Loop<'r> {
    fn new(root: &'r Path) -> Self {
        Self { root, known: None, missing: BTreeSet::new(), tools: Tools::find(root) }
    }

    fn run(mut self, wakes: &Receiver<Wake>, out: &mut impl Write) -> io::Result<()> {
        self.rebuild(out)?;
        if let Err(why) = &self.tools {
            writeln!(out, "generated/typescript stays as it is: {why}")?;
        }
        writeln!(out, "Watching openapi/; ctrl-c ends it.")?;
        while saves::next(wakes) {
            self.rebuild(out)?;
        }
        writeln!(out, "\nStopped. `cargo xtask generate --check` says whether generated/ is fresh.")
    }

    /// A document that is broken is told and changes nothing.
    fn rebuild(&mut self, out: &mut impl Write) -> io::Result<()> {
        let started = Instant::now();
        let (documents, texts) = match lint::command::documents(self.root) {
            Ok(read) => read,
            Err(Refused::Findings(shown) | Refused::Unusable(shown)) => {
                return writeln!(out, "{shown}\ngenerated/ stays as it is. Mend and save again.");
            }
        };
        if self.known.as_ref().is_some_and(|(known, _)| *known == documents) {
            return writeln!(out, "Saved; nothing changed that generated/ is made from.");
        }
        let (files, handlers) = match generate::all(&documents)
            .and_then(|f| Ok((f, generate::handlers(&documents)?)))
        {
            Ok(generated) => generated,
            Err(bad) => return writeln!(out, "{BAD}error{BAD:#}: {bad}"),
        };
        if let Some((known, before)) = self.known.take() {
            let lines = diff::in_words((known, &before), (documents.clone(), &texts));
            lines.iter().try_for_each(|line| writeln!(out, "{line}"))?;
        }
        let written = generate::write(self.root, &files)?;
        written.iter().try_for_each(|path| writeln!(out, "  wrote {path}"))?;
        self.tell_handlers(handlers, out)?;
        let (count, took) = (written.len(), started.elapsed().as_secs_f32());
        writeln!(
            out,
            "{DONE}generated/ is fresh{DONE:#}: {count} file(s) written in {took:.2} s."
        )?;
        self.write_typescript(files, &documents, out)?;
        self.known = Some((documents, texts));
        Ok(())
    }

    /// Node.js takes longer than everything else, so nobody waits for it.
    fn write_typescript(
        &self,
        mut files: Files,
        documents: &Documents,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let Ok(tools) = &self.tools else { return Ok(()) };
        match generate::typescript::files(documents, tools) {
            Ok(made) => files.extend(made),
            Err(bad) => return writeln!(out, "{BAD}error{BAD:#}: {bad}"),
        }
        let written = generate::write(self.root, &files)?;
        written.iter().try_for_each(|path| writeln!(out, "  wrote {path}"))
    }

    /// Says which handlers the compiler will ask for, those alone that it did not ask for before.
    fn tell_handlers(&mut self, wanted: Vec<Handler>, out: &mut impl Write) -> io::Result<()> {
        let missing = generate::missing(self.root, wanted);
        for Handler { id, file, method } in missing.difference(&self.missing) {
            writeln!(out, "{MISSING}{file} now misses `{method}`{MISSING:#} for {id}")?;
        }
        self.missing = missing;
        Ok(())
    }
}
