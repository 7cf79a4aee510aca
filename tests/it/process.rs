//! The shipped binary as a child process, for tests that signal or kill it.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use vestibule::cli::dev::DevCredentials;

use crate::engine::{URL_FILE, address_file};

/// How long a start may take on a busy machine.
pub const START: Duration = Duration::from_secs(60);

/// What the service printed, inside its data directory.
pub const BANNER: &str = "banner.txt";
/// What the service logged, inside its data directory.
pub const LOG: &str = "serve.log";

/// A running `vestibule serve --dev`. Dropping it kills it; the data directory is the caller's.
pub struct Process {
    /// Where it answers, without a slash at the end.
    pub base_url: String,
    /// The demo tenants' credentials.
    pub demo: DevCredentials,
    child: Child,
}

impl Process {
    /// The binary, ready for arguments.
    pub fn command() -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        command.env_remove("VESTIBULE_DEV_CREDENTIALS").stdin(Stdio::null());
        command
    }

    /// Starts it on a data directory and waits until it answers. A restart on the same directory
    /// should be given the port of the first start, since that is part of its tokens' issuer.
    pub fn start(data_dir: &Path, port: u16) -> Self {
        Self::start_with(data_dir, port, &[])
    }

    /// [`Process::start`] with settings from the environment, e.g. `VESTIBULE__LOG__LEVEL`.
    pub fn start_with(data_dir: &Path, port: u16, settings: &[(&str, &str)]) -> Self {
        let mut command = Self::command();
        command.args(["serve", "--dev", "--bind", &format!("127.0.0.1:{port}")]);
        command.envs(settings.iter().copied());
        Self::launch(command, data_dir)
    }

    /// Runs a `serve --dev` on a data directory and waits until it answers. What it prints is in
    /// the directory's `banner.txt`, its log in `serve.log`.
    pub fn launch(mut command: Command, data_dir: &Path) -> Self {
        let file =
            |name| std::fs::File::create(data_dir.join(name)).expect("the directory is ours");
        if let Some(file) = address_file(data_dir) {
            command.env(URL_FILE, file);
        }
        command.arg("--data-dir").arg(data_dir).stdout(file(BANNER)).stderr(file(LOG));
        let child = command.spawn().expect("the binary starts");
        let mut process = Self { base_url: String::new(), demo: placeholder(), child };
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            if let Ok(text) = std::fs::read_to_string(data_dir.join("dev-credentials.json"))
                && let Ok(demo) = serde_json::from_str::<DevCredentials>(&text)
                && !demo.base_url.is_empty()
                && answers(&demo.base_url)
            {
                process.base_url.clone_from(&demo.base_url);
                process.demo = demo;
                return process;
            }
            let ended = process.child.try_wait().expect("a child");
            assert!(ended.is_none(), "the service ended: {}", read(data_dir, LOG));
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service does not answer: {}", read(data_dir, LOG));
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        let port = self.base_url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("a base URL ends in its port")
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and wait until it is gone.
    pub fn kill(mut self) {
        self.child.kill().expect("the child is ours");
        self.child.wait().expect("the child ends");
    }

    /// SIGTERM, and its exit status.
    pub fn terminate(mut self) -> ExitStatus {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().expect("kill runs");
        assert!(sent.success(), "the child is ours");
        self.child.wait().expect("the child ends")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read(data_dir: &Path, name: &str) -> String {
    std::fs::read_to_string(data_dir.join(name)).unwrap_or_default()
}

fn answers(base_url: &str) -> bool {
    let address = base_url.trim_start_matches("http://").trim_start_matches("https://");
    address.parse().is_ok_and(|address| {
        std::net::TcpStream::connect_timeout(&address, Duration::from_millis(200)).is_ok()
    })
}

fn placeholder() -> DevCredentials {
    let data = tempfile::tempdir().expect("a temporary directory");
    let ids = vestibule::context::Ids::default();
    DevCredentials::load(data.path(), None, &ids).expect("random credentials")
}
