//! The shipped binary as a child process on a data directory that outlives it.

use std::fs::{File, OpenOptions};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// The file in which `serve --dev` leaves its demo credentials.
const CREDENTIALS: &str = "dev-credentials.json";
const LOG: &str = "serve.log";
/// The setting `database.url`.
const DATABASE: &str = "VESTIBULE__DATABASE__URL";

/// What is started again and again.
pub struct Place {
    /// The binary.
    pub binary: PathBuf,
    /// The data directory.
    pub data: PathBuf,
    /// Where it listens, every time: that is part of its tokens' issuer.
    pub address: SocketAddr,
    /// Another database than the one in the data directory.
    pub database_url: Option<String>,
}

/// A running server. Dropping it kills it.
pub struct Server {
    /// From its start to its first answer.
    pub took: Duration,
    child: Child,
}

impl Place {
    /// On a free port.
    ///
    /// # Errors
    /// In words, when there is none.
    pub fn new(binary: &Path, data: &Path, database_url: Option<String>) -> Result<Self, String> {
        let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
        let address = free.map_err(|bad| format!("no free port: {bad}"))?;
        Ok(Self { binary: binary.to_owned(), data: data.to_owned(), address, database_url })
    }

    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// In words, when it does not.
    pub fn start(&self) -> Result<Server, String> {
        let log = OpenOptions::new().create(true).append(true).open(self.data.join(LOG));
        let log: File = log.map_err(|bad| format!("no log: {bad}"))?;
        let mut command = Command::new(&self.binary);
        command
            .args(["serve", "--dev", "--bind", &self.address.to_string(), "--data-dir"])
            .arg(&self.data)
            .env_remove("VESTIBULE_DEV_CREDENTIALS")
            .env("VESTIBULE__LOG__LEVEL", "warn")
            .envs(self.database_url.iter().map(|url| (DATABASE, url)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let begun = Instant::now();
        let child = command.spawn();
        let child =
            child.map_err(|bad| format!("{} does not start: {bad}", self.binary.display()))?;
        let mut server = Server { took: Duration::ZERO, child };
        while begun.elapsed() < START {
            if TcpStream::connect_timeout(&self.address, Duration::from_millis(200)).is_ok() {
                server.took = begun.elapsed();
                return Ok(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                return Err(format!("the server ended ({status}): {}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(format!("the server does not answer within {START:?}: {}", self.log()))
    }

    /// The demo tenants' credentials, once it has started.
    ///
    /// # Errors
    /// In words, when they are not there.
    pub fn credentials(&self) -> Result<Value, String> {
        let file = self.data.join(CREDENTIALS);
        let text = std::fs::read_to_string(&file);
        let text = text.map_err(|bad| format!("{}: {bad}", file.display()))?;
        serde_json::from_str(&text).map_err(|bad| format!("{}: {bad}", file.display()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data.join(LOG)).unwrap_or_default()
    }
}

impl Server {
    /// SIGKILL, and waits until it is gone.
    ///
    /// # Errors
    /// In words, when it had ended before by itself.
    pub fn kill(mut self) -> Result<(), String> {
        if let Ok(Some(status)) = self.child.try_wait() {
            return Err(format!("the server ended by itself ({status})"));
        }
        self.child.kill().map_err(|bad| format!("the server cannot be killed: {bad}"))?;
        self.child.wait().map(drop).map_err(|bad| format!("the server does not end: {bad}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
