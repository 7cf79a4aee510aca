//! The running server: started until it says that it is ready, ended and signalled by its number.

use std::fs::{self, File};
use std::io;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::account::Account;
use crate::random;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(120);

/// Below the range that systems give to clients, or a client could sit on the port of a server that
/// is started again.
const PORTS: std::ops::Range<u16> = 15_000..32_000;

/// Where the server writes its number and its state.
pub(crate) const PID_FILE: &str = "postmaster.pid";

/// How a server is told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Transactions are rolled back, a checkpoint is written.
    Fast,
    /// At once, as after a loss of power: recovery follows at the next start.
    Immediate,
    /// By SIGKILL, with all its processes, none of which can do anything about it.
    Killed,
}

pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    /// Starts it at `port`, or for 0 at a free one.
    pub(crate) fn start(
        account: &Account,
        programs: &Path,
        data: &Path,
        log: &Path,
        port: u16,
    ) -> io::Result<Self> {
        let mut tries = if port == 0 { 5 } else { 1 };
        loop {
            let port = if port == 0 { free_port()? } else { port };
            let mut command = account.command(&programs.join("postgres"));
            command.args(["-p", &port.to_string(), "-D"]).arg(data).stdin(Stdio::null());
            command.stdout(Stdio::null()).stderr(File::create(log)?);
            let mut child = command.spawn()?;
            match ready(&mut child, data) {
                Ok(()) => return Ok(Self { child, port }),
                Err(bad) => {
                    tries -= 1;
                    let said = fs::read_to_string(log).unwrap_or_default();
                    if tries == 0 || !said.contains("could not bind") {
                        return Err(io::Error::other(format!("postgres: {bad}: {}", said.trim())));
                    }
                }
            }
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn end(mut self, ending: Ending) -> io::Result<()> {
        let id = [self.child.id()];
        match ending {
            Ending::Fast => kill("INT", &id)?,
            Ending::Immediate => kill("QUIT", &id)?,
            Ending::Killed => {
                // Stopped first, so that it makes no more of them meanwhile.
                kill("STOP", &id)?;
                self.signal_all("KILL")?;
            }
        }
        self.child.wait().map(drop)
    }

    /// Waits for one that is ending.
    pub(crate) fn reap(mut self) {
        let _ = self.child.wait();
    }

    /// Signals the server and all its children.
    pub(crate) fn signal_all(&self, signal: &str) -> io::Result<()> {
        let id = self.child.id();
        let mut all = vec![id];
        all.extend(children(id)?);
        kill(signal, &all)
    }
}

/// Waits until the last line of `postmaster.pid` says so, which is what `pg_ctl` waits for.
fn ready(child: &mut Child, data: &Path) -> io::Result<()> {
    let (place, deadline) = (data.join(PID_FILE), Instant::now() + START);
    let id = child.id().to_string();
    while Instant::now() < deadline {
        let text = fs::read_to_string(&place).unwrap_or_default();
        let mut lines = text.lines();
        if lines.next() == Some(&id)
            && matches!(lines.nth(6).map(str::trim), Some("ready" | "standby"))
        {
            return Ok(());
        }
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(status.to_string()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill()?;
    child.wait()?;
    Err(io::Error::new(io::ErrorKind::TimedOut, "not ready in time"))
}

fn children(of: u32) -> io::Result<Vec<u32>> {
    let parent = format!("PPid:\t{of}");
    let ids = fs::read_dir("/proc")?.filter_map(|entry| {
        let path: PathBuf = entry.ok()?.path();
        let id = path.file_name()?.to_str()?.parse().ok()?;
        let status = fs::read_to_string(path.join("status")).ok()?;
        status.lines().any(|line| line == parent).then_some(id)
    });
    Ok(ids.collect())
}

fn kill(signal: &str, ids: &[u32]) -> io::Result<()> {
    let ids = ids.iter().map(u32::to_string);
    let status = Command::new("kill").args(["-s", signal]).args(ids).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("kill: {status}"))) }
}

/// One that nobody listens at now; different processes begin to look at different places.
pub(crate) fn free_port() -> io::Result<u16> {
    let span = PORTS.end - PORTS.start;
    let first = u16::from_ne_bytes(random()?) % span;
    let mut ports = (0..span).map(|step| PORTS.start + (first + step) % span);
    ports
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .ok_or_else(|| io::Error::other("no port is free"))
}
