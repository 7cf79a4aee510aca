//! Waiting for a document to be saved, or for ctrl-c.
//!
//! Editors save by writing another file and renaming it, so the folder is watched rather than its
//! files.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};

use crate::document::is_document;

/// One save is several events; it is over when there were none for this long.
const QUIET: Duration = Duration::from_millis(50);

/// Why a wait ends.
pub enum Wake {
    Saved,
    Stop,
}

/// Saves below `openapi/`, for as long as this lives.
pub struct Saves {
    wakes: Receiver<Wake>,
    _watcher: RecommendedWatcher,
}

impl Saves {
    /// Begins to watch and to listen for ctrl-c.
    ///
    /// # Errors
    /// When the system lets nobody do so.
    pub fn of(root: &Path) -> Result<Self, String> {
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
        Ok(Self { wakes, _watcher: watcher })
    }

    /// Where the wakes come in.
    pub fn wakes(&self) -> &Receiver<Wake> {
        &self.wakes
    }
}

/// Waits for a save to be whole; false when the loop should end.
pub fn next(wakes: &Receiver<Wake>) -> bool {
    let Ok(Wake::Saved) = wakes.recv() else { return false };
    loop {
        match wakes.recv_timeout(QUIET) {
            Ok(Wake::Saved) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// A lost event may have been a save.
pub fn is_save(event: &notify::Result<notify::Event>) -> bool {
    let Ok(event) = event else { return true };
    // A new silence in lint.toml lets documents through as well.
    let is_read =
        |path: &PathBuf| is_document(path) || path.extension().is_some_and(|it| it == "toml");
    !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(is_read))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, EventKind};

    use super::is_save;

    #[test]
    fn documents_and_silences_are_saves_and_an_editors_own_files_are_not() {
        let saved = |file: &str| {
            let event = notify::Event::new(EventKind::Create(CreateKind::File));
            is_save(&Ok(event.add_path(file.into())))
        };
        for file in ["embed.yaml", "embed.yml", "embed.json", "lint.toml"] {
            assert!(saved(&format!("openapi/{file}")), "{file}");
        }
        assert!(!saved("openapi/embed.yaml.swp"));
    }
}
