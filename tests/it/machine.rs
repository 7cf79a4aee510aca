//! A machine of a test's own for the shipped binary: a system clock that can be stepped, and a disk
//! that can become read-only, for root as well as for anybody else.
//!
//! By `machine.c`, which the system's linker puts before the process. What it intercepts are the calls
//! of the C library; the kernel is asked for everything else.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::engine::{URL_FILE, known_address_file};
use crate::process::{LOG, Process};

/// Far more than a command takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A data directory, a clock and a disk.
pub struct Machine {
    /// The data directory, on the disk.
    pub data: tempfile::TempDir,
    state: tempfile::NamedTempFile,
    shim: PathBuf,
}

impl Machine {
    /// One that is as it should be.
    pub fn new() -> Self {
        let data = tempfile::tempdir().expect("a temporary directory");
        let state = tempfile::NamedTempFile::new().expect("a temporary file");
        state.as_file().set_len(16).expect("it is ours");
        let shim = state.path().with_extension("so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/machine.c");
        let mut cc = Command::new("cc");
        let built = cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim).arg(source).status();
        assert!(built.expect("cc, by which the service was built too").success());
        Self { data, state, shim }
    }

    /// Sets the clock so many seconds ahead of the real one.
    pub fn step_to(&self, seconds: i64) {
        self.set(0, seconds);
    }

    /// Whether the disk takes writes.
    pub fn let_write(&self, is_writable: bool) {
        self.set(8, i64::from(!is_writable));
    }

    fn set(&self, at: u64, value: i64) {
        self.state.as_file().write_all_at(&value.to_ne_bytes(), at).expect("it is ours");
    }

    fn command(&self) -> Command {
        let mut command = Process::command();
        command.env("LD_PRELOAD", &self.shim).env("VESTIBULE_TEST_MACHINE", self.state.path());
        command.env("VESTIBULE_TEST_DISK", self.data.path());
        if let Some(file) = known_address_file(self.data.path()) {
            command.env(URL_FILE, file);
        }
        command
    }

    /// Starts the service, at this port unless it is 0.
    pub fn start(&self, port: u16) -> Process {
        let mut command = self.command();
        command.args(["serve", "--dev", "--bind", &format!("127.0.0.1:{port}")]);
        Process::launch(command, self.data.path())
    }

    /// Runs a command on the data directory to its end, which must come: a service that should not
    /// have started is killed.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--data-dir").arg(self.data.path()).stdin(Stdio::null());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let (mut child, begun) = (child.expect("it runs"), Instant::now());
        while child.try_wait().expect("a child").is_none() {
            if begun.elapsed() > PATIENCE {
                child.kill().expect("the child is ours");
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        child.wait_with_output().expect("it ends")
    }

    /// What the service logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join(LOG)).expect("it logs")
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.shim);
    }
}
