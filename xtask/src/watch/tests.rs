//! That a save leads to new files, however an editor saves, and what is said about it.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::Loop;
use super::saves::{Wake, is_save};
use crate::diff;
use crate::document::{Documents, Texts, load_texts, read};
use notify::{RecursiveMode, Watcher};

const PROPERTY: &str =
    "        remark: {type: string, description: For the agent., maxLength: 40}\n";

#[test]
fn save_by_rename_leads_to_new_files() {
    let dir = copy();
    let root = dir.path();
    let (wake, wakes) = channel();
    let (saved, seen) = (wake.clone(), channel());
    let tell = move |event| {
        if is_save(&event) {
            saved.send(Wake::Saved).expect("the loop runs");
            seen.0.send(()).expect("the test runs");
        }
    };
    let mut watcher = notify::recommended_watcher(tell).expect("a watcher");
    watcher.watch(&root.join("openapi"), RecursiveMode::NonRecursive).expect("it is there");
    let running = Running::on(root, wake, wakes);
    wait_for(&running, || running.said.text().contains("Watching openapi/"));
    edit(root, |text| text.replace("        chatId:\n", &format!("{PROPERTY}        chatId:\n")));
    seen.1.recv().expect("the save is noticed");
    wait_for(&running, || models(root).contains("pub remark: ::std::option::Option<"));
    let said = running.stop();
    for line in [
        "embed.yaml: schema CreateEmbedSession: ",
        "remark` added (string, ≤ 40)",
        "  wrote generated/server/src/models.rs",
        "  wrote generated/client/src/embed.rs",
        "generated/ is fresh",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
}

#[test]
fn broken_document_is_told_and_the_loop_goes_on() {
    let dir = copy();
    let root = dir.path();
    let running = Running::start(root);
    wait_for(&running, || running.said.text().contains("Watching openapi/"));
    let fresh = served(root);
    edit(root, |text| text.replace("maxItems: 16", "maxItmes: 16"));
    running.saved();
    wait_for(&running, || running.said.text().contains("did you mean `maxItems`?"));
    assert_eq!(served(root), fresh, "nothing is made from a broken document");
    edit(root, |text| text.replace("maxItmes: 16", "maxItems: 17"));
    running.saved();
    wait_for(&running, || served(root).contains("\"maxItems\": 17"));
    let said = running.stop();
    assert!(said.contains("generated/ stays as it is. Mend and save again."), "{said}");
    assert!(said.contains("16 → 17"), "{said}");
}

#[test]
fn new_operation_names_the_handler_that_is_missing() {
    let dir = copy();
    let root = dir.path();
    fs::create_dir_all(root.join("src/api")).expect("the disk");
    let mine = "async fn embed_session_read(&self) {}";
    fs::write(root.join("src/api/embed_sessions.rs"), mine).expect("the disk");
    let said = Running::start(root).stop();
    let missing = "src/api/embed_sessions.rs now misses `embed_session_create`";
    assert!(said.contains(missing) && !said.contains("misses `embed_session_read`"), "{said}");
}

#[test]
fn changes_are_told_in_words() {
    let dir = copy();
    let old = saved(dir.path());
    edit(dir.path(), |text| {
        text.replace("maxLength: 24", "maxLength: 30")
            .replace("embedSessionRead", "embedSessionWho")
    });
    let new = saved(dir.path());
    let lines = diff::in_words((old.0.clone(), &old.1), (new.0, &new.1));
    for part in ["embed.yaml: schema ObjectId: ", "24 → 30", "embedSessionWho"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{part}: {lines:#?}");
    }
    let same = diff::in_words((old.0.clone(), &old.1), (old.0, &old.1));
    assert_eq!(same, Vec::<String>::new());
}

fn saved(root: &Path) -> (Documents, Texts) {
    let texts = read(&root.join("openapi")).expect("the documents");
    (load_texts(&texts).unwrap_or_else(|findings| panic!("{findings:#?}")), texts)
}

/// The real documents in a folder of their own.
fn copy() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let there = dir.path().join("openapi");
    fs::create_dir(&there).expect("the disk");
    for entry in fs::read_dir(crate::root().join("openapi")).expect("the documents") {
        let path = entry.expect("the disk").path();
        fs::copy(&path, there.join(path.file_name().expect("a name"))).expect("the disk");
    }
    dir
}

/// Saves as editors do: another file, renamed.
fn edit(root: &Path, change: impl FnOnce(String) -> String) {
    let path = root.join("openapi/embed.yaml");
    let text = fs::read_to_string(&path).expect("the document");
    let changed = change(text.clone());
    assert_ne!(changed, text, "the edit finds its place");
    let aside = path.with_extension("yaml.swp");
    fs::write(&aside, changed).expect("the disk");
    fs::rename(aside, path).expect("the disk");
}

/// A loop on a thread of its own.
struct Running {
    wake: Sender<Wake>,
    said: Said,
    thread: JoinHandle<()>,
}

impl Running {
    fn start(root: &Path) -> Self {
        let (wake, wakes) = channel();
        Self::on(root, wake, wakes)
    }

    fn on(root: &Path, wake: Sender<Wake>, wakes: Receiver<Wake>) -> Self {
        let (root, said) = (root.to_owned(), Said::default());
        let mut out = said.clone();
        let thread = std::thread::spawn(move || {
            Loop::new(&root).run(&wakes, &mut out).expect("the disk");
        });
        Self { wake, said, thread }
    }

    fn saved(&self) {
        self.wake.send(Wake::Saved).expect("the loop runs");
    }

    /// Everything it said.
    fn stop(self) -> String {
        self.wake.send(Wake::Stop).expect("the loop runs");
        self.thread.join().expect("the loop ends");
        let text = self.said.text();
        assert!(text.ends_with("says whether generated/ is fresh.\n"), "it ends in a sentence");
        text
    }
}

/// What the loop prints, readable while it runs.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Said {
    fn text(&self) -> String {
        let bytes = self.0.lock().expect("nobody panics with it").clone();
        let text = String::from_utf8(bytes).expect("the loop writes text");
        anstream::adapter::strip_str(&text).to_string()
    }
}

impl Write for Said {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn models(root: &Path) -> String {
    fs::read_to_string(root.join("generated/server/src/models.rs")).unwrap_or_default()
}

fn served(root: &Path) -> String {
    fs::read_to_string(root.join("generated/server/documents/embed.json")).unwrap_or_default()
}

/// How long a rebuild may take on a busy machine before the test gives up.
const PATIENCE: Duration = Duration::from_secs(120);

fn wait_for(running: &Running, is_there: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_there() {
        assert!(Instant::now() < end, "the loop does not: {}", running.said.text());
        std::thread::sleep(Duration::from_millis(10));
    }
}
