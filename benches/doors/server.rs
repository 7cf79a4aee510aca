//! Servers as processes, so that all of them can have the same one core.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vestibule::cli::dev::DevCredentials;

use crate::{CLIENT_CORE, SERVER_CORE, bare, is_pinned};

/// A running server; dropping it kills it.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The demo credentials of the service; the bare server has none.
    pub demo: Option<DevCredentials>,
    child: Child,
}

/// The shipped binary and how it is to be run.
pub struct Service<'a> {
    data_dir: &'a Path,
    cores: &'a str,
    variables: Vec<(&'a str, &'a str)>,
}

impl<'a> Service<'a> {
    /// On the servers' core.
    pub fn at(data_dir: &'a Path) -> Self {
        Self { data_dir, cores: SERVER_CORE, variables: Vec::new() }
    }

    /// On these cores, as `taskset` writes them.
    pub fn on(mut self, cores: &'a str) -> Self {
        self.cores = cores;
        self
    }

    /// With a variable of its environment.
    pub fn set(mut self, name: &'a str, value: &'a str) -> Self {
        self.variables.push((name, value));
        self
    }

    /// Starts it in `--dev`, and returns when it answers.
    pub fn start(&self) -> Server {
        let (mut command, address) = self.command();
        command.arg("--dev").env_remove("VESTIBULE_DEV_CREDENTIALS");
        let child = command.spawn().expect("the service starts");
        let file = self.data_dir.join("dev-credentials.json");
        let deadline = Instant::now() + Duration::from_secs(30);
        let demo = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            let demo = serde_json::from_str::<DevCredentials>(&text).ok();
            if let Some(demo) = demo.filter(|_| TcpStream::connect(address).is_ok()) {
                break demo;
            }
            assert!(Instant::now() < deadline, "the service does not answer: {}", self.said());
            std::thread::sleep(Duration::from_millis(5));
        };
        Server { address, demo: Some(demo), child }
    }

    /// Starts it as an operator does, on what a [`Service::start`] left, and waits for nothing.
    pub fn launch(&self, demo: &DevCredentials) -> Server {
        let (mut command, address) = self.command();
        command.env("VESTIBULE__MASTER_KEYS_FILE", self.data_dir.join("master.key"));
        command.env("VESTIBULE__ADMIN__TOKEN", &demo.admin.token);
        let child = command.spawn().expect("the service starts");
        Server { address, demo: Some(demo.clone()), child }
    }

    /// The last of its log.
    pub fn said(&self) -> String {
        let log = std::fs::read_to_string(self.data_dir.join("log.txt")).unwrap_or_default();
        let lines = log.lines().rev().take(3).collect::<Vec<_>>();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn command(&self) -> (Command, SocketAddr) {
        let address = free_address();
        let mut command = on_cores(self.cores, Path::new(env!("CARGO_BIN_EXE_vestibule")));
        command.args(["serve", "--bind", &address.to_string(), "--data-dir"]).arg(self.data_dir);
        command.envs(self.variables.iter().copied()).stdout(Stdio::null());
        // A line for each request, as where nobody changed the settings.
        let log = File::options().create(true).append(true).open(self.data_dir.join("log.txt"));
        command.stderr(log.expect("the directory is ours"));
        (command, address)
    }
}

/// Resident memory, MiB.
pub struct Memory {
    /// All of it, with the pages of the program and of files that it shares.
    pub resident: f64,
    /// What it has for itself.
    pub own: f64,
}

impl Server {
    /// This program as the bare server, which answers what `answers` holds.
    pub fn bare(answers: &Path) -> Self {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = on_cores(SERVER_CORE, &own);
        command.env(bare::ANSWERS, answers);
        Self::told(command, None)
    }

    /// A program that tells its address as the one line on standard output.
    pub fn told(mut command: Command, demo: Option<DevCredentials>) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the server tells its address");
        Self { address: line.trim().parse().expect("an address"), demo, child }
    }

    /// The processor time it has used, all its threads together, seconds.
    pub fn cpu_s(&self) -> f64 {
        cpu_s(&self.child.id().to_string())
    }

    /// Ends it as an operator does, and waits for its end.
    pub fn stop(mut self) {
        let id = self.child.id().to_string();
        let told = Command::new("kill").args(["-s", "TERM", &id]).status();
        assert!(told.is_ok_and(|status| status.success()), "it can be told");
        assert!(self.child.wait().is_ok_and(|status| status.success()), "it ends well");
    }

    /// What it holds of the machine's memory.
    pub fn memory(&self) -> Memory {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = text.expect("the server runs");
        let mebibytes = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).expect("Linux");
            let kibibytes = line.trim_start_matches(':').trim().trim_end_matches(" kB");
            kibibytes.parse::<f64>().expect("a number") / 1024.0
        };
        Memory { resident: mebibytes("VmRSS"), own: mebibytes("RssAnon") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The processor time that a process has used, all its threads together, seconds.
pub fn cpu_s(process: &str) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("it runs");
    // proc(5): after the name in parentheses, utime and stime are the 12th and 13th field.
    let fields = text.rsplit_once(')').expect("a name").1.split_ascii_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// A program that will run on these cores alone.
pub fn pinned(cores: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", cores]).arg(program);
    command
}

/// [`pinned`], where that can be done.
pub fn on_cores(cores: &str, program: &Path) -> Command {
    if is_pinned() { pinned(cores, program) } else { Command::new(program) }
}

/// What is started by `start` runs on these cores, with all that it starts itself.
pub fn started_on<T>(cores: &str, start: impl FnOnce() -> T) -> T {
    if !is_pinned() {
        return start();
    }
    let move_to = |cores: &str| {
        let own = std::process::id().to_string();
        let moved = Command::new("taskset").args(["-cp", cores, &own]).output();
        assert!(moved.is_ok_and(|it| it.status.success()), "`taskset` moves this process");
    };
    move_to(cores);
    let started = start();
    move_to(CLIENT_CORE);
    started
}

/// Where nobody listens now.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback is there");
    listener.local_addr().expect("it is bound")
}
