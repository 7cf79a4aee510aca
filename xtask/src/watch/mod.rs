//! `generate --watch`: rebuilds `generated/` after every save and says what changed.
//!
//! Editors save by writing another file and renaming it, so the folder is watched rather than its
//! files. It knows neither what a document holds nor what is made from it.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use notify::{RecursiveMode, Watcher};

use crate::document::Documents;
use crate::generate::{self, Files, Handler};
use crate::lint;
use crate::lint::command::Refused;
use crate::node::Tools;

#[cfg(test)]
mod tests;
mod words;

/// One save is several events; it is over when there were none for this long.
const QUIET: Duration = Duration::from_millis(50);

const DONE: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const MISSING: Style = AnsiColor::Yellow.on_default();

/// Why the loop goes on, or ends.
enum Wake {
    Saved,
    Stop,
}

/// Rebuilds after every save until it is interrupted.
pub fn watch(root: &Path) -> Result<ExitCode, String> {
    let (saved, wakes) = channel();
    let stop = saved.clone();
    // A receiver that is gone means that the loop has ended already.
    ctrlc::set_handler(move || drop(stop.send(Wake::Stop)))
        .map_err(|bad| format!("error: ctrl-c cannot be heard: {bad}"))?;
    let unwatchable = |bad: notify::Error| format!("error: openapi/ cannot be watched: {bad}");
    let tell = move |event| {
        if is_save(&event) {
            drop(saved.send(Wake::Saved));
        }
    };
    let mut watcher = notify::recommended_watcher(tell).map_err(unwatchable)?;
    let folder = root.join("openapi");
    watcher.watch(&folder, RecursiveMode::NonRecursive).map_err(unwatchable)?;
    let mut out = anstream::stdout();
    Loop::new(root).run(&wakes, &mut out).map_err(|bad| format!("error: {bad}"))?;
    Ok(ExitCode::SUCCESS)
}

/// A lost event may have been a save.
fn is_save(event: &notify::Result<notify::Event>) -> bool {
    let Ok(event) = event else { return true };
    let is_document = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "yaml");
    !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(is_document))
}

struct Loop<'r> {
    root: &'r Path,
    /// The documents that `generated/` was last made from.
    known: Option<Documents>,
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
        while let Ok(Wake::Saved) = wakes.recv() {
            if !settled(wakes) {
                break;
            }
            self.rebuild(out)?;
        }
        writeln!(out, "\nStopped. `cargo xtask generate --check` says whether generated/ is fresh.")
    }

    /// A document that is broken is told and changes nothing.
    fn rebuild(&mut self, out: &mut impl Write) -> io::Result<()> {
        let started = Instant::now();
        let documents = match lint::command::documents(self.root) {
            Ok(documents) => documents,
            Err(Refused::Findings(shown) | Refused::Unusable(shown)) => {
                return writeln!(out, "{shown}\ngenerated/ stays as it is. Mend and save again.");
            }
        };
        if self.known.as_ref() == Some(&documents) {
            return writeln!(out, "Saved; nothing changed that generated/ is made from.");
        }
        let (files, handlers) = match generate::all(&documents)
            .and_then(|f| Ok((f, generate::handlers(&documents)?)))
        {
            Ok(generated) => generated,
            Err(bad) => return writeln!(out, "{BAD}error{BAD:#}: {bad}"),
        };
        if let Some(known) = &self.known {
            for line in words::changes(known, &documents) {
                writeln!(out, "{line}")?;
            }
        }
        let written = generate::write(self.root, &files)?;
        written.iter().try_for_each(|path| writeln!(out, "  wrote {path}"))?;
        self.tell_handlers(&handlers, out)?;
        let (count, took) = (written.len(), started.elapsed().as_secs_f32());
        writeln!(
            out,
            "{DONE}generated/ is fresh{DONE:#}: {count} file(s) written in {took:.2} s."
        )?;
        self.write_typescript(files, &documents, out)?;
        self.known = Some(documents);
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
    fn tell_handlers(&mut self, wanted: &[Handler], out: &mut impl Write) -> io::Result<()> {
        let missing: BTreeSet<_> =
            wanted.iter().filter(|it| !generate::has_handler(self.root, it)).cloned().collect();
        for Handler { id, file, method } in missing.difference(&self.missing) {
            writeln!(out, "{MISSING}{file} now misses `{method}`{MISSING:#} for {id}")?;
        }
        self.missing = missing;
        Ok(())
    }
}

/// Waits until the save is whole; false when the loop should end.
fn settled(wakes: &Receiver<Wake>) -> bool {
    loop {
        match wakes.recv_timeout(QUIET) {
            Ok(Wake::Saved) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}
