//! The shipped binary as a child process on temporary data: what the faults stand before.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);
/// The file in which `serve --dev` leaves its demo credentials.
const CREDENTIALS: &str = "dev-credentials.json";
const LOG: &str = "serve.log";

/// A running `vestibule serve --dev`. Dropping it ends it and removes its data.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The demo tenants' credentials.
    pub credentials: Value,
    data: TempDir,
    child: Child,
}

impl Server {
    /// Starts the binary behind `public_url`, the address under which callers reach it, and waits
    /// until it answers. `redeem_per_minute` is how many token exchanges an address has.
    ///
    /// # Errors
    /// In words, when it does not start.
    pub fn start(binary: &Path, public_url: &str, redeem_per_minute: u32) -> Result<Self, String> {
        let data = tempfile::tempdir().map_err(|bad| format!("no temporary directory: {bad}"))?;
        let log = File::create(data.path().join(LOG)).map_err(|bad| format!("no log: {bad}"))?;
        let address = free_address()?;
        let child = Command::new(binary)
            .args(["serve", "--dev", "--bind", &address.to_string(), "--data-dir"])
            .arg(data.path())
            .env_remove("VESTIBULE_DEV_CREDENTIALS")
            .env("VESTIBULE__PUBLIC_URL", public_url)
            .env("VESTIBULE__LIMITS__REDEEM_PER_MINUTE", redeem_per_minute.to_string())
            .env("VESTIBULE__LOG__LEVEL", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .map_err(|bad| format!("{} does not start: {bad}", binary.display()))?;
        let mut server = Self { address, credentials: Value::Null, data, child };
        server.credentials = server.await_credentials()?;
        Ok(server)
    }

    /// The file with the demo credentials.
    pub fn credentials_file(&self) -> PathBuf {
        self.data.path().join(CREDENTIALS)
    }

    fn await_credentials(&mut self) -> Result<Value, String> {
        let deadline = Instant::now() + START;
        while Instant::now() < deadline {
            let text = std::fs::read_to_string(self.credentials_file()).unwrap_or_default();
            let answers = TcpStream::connect_timeout(&self.address, Duration::from_millis(200));
            if let (Ok(credentials), Ok(_)) = (serde_json::from_str(&text), answers) {
                return Ok(credentials);
            }
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("the server ended ({status}): {}", self.log()));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("the server does not answer within {START:?}: {}", self.log()))
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.data.path().join(LOG)).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already; either way it is gone afterwards.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_address() -> Result<SocketAddr, String> {
    let free = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    free.map_err(|bad| format!("no free port: {bad}"))
}
