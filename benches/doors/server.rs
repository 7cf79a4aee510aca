//! The two servers as processes, so that each can have the same one core.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use vestibule::cli::dev::DevCredentials;

use crate::{PINNED, SERVER_CORE, bare};

/// A running server; dropping it kills it.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    /// The demo credentials of the service; the bare server has none.
    pub demo: Option<DevCredentials>,
    child: Child,
}

impl Server {
    /// The shipped binary in `--dev`.
    pub fn service(data_dir: &Path) -> Self {
        let mut command = on_server_core(Path::new(env!("CARGO_BIN_EXE_vestibule")));
        command.args(["serve", "--dev", "--bind", "127.0.0.1:0", "--data-dir"]).arg(data_dir);
        command.env_remove("VESTIBULE_DEV_CREDENTIALS");
        let child = command.stdout(Stdio::null()).spawn().expect("the service starts");
        // With port 0 the file is written once the service answers.
        let file = data_dir.join("dev-credentials.json");
        let deadline = Instant::now() + Duration::from_secs(30);
        let demo = loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Ok(demo) = serde_json::from_str::<DevCredentials>(&text) {
                break demo;
            }
            assert!(Instant::now() < deadline, "the service does not answer");
            std::thread::sleep(Duration::from_millis(5));
        };
        let address = demo.base_url.trim_start_matches("http://").parse().expect("an address");
        Self { address, demo: Some(demo), child }
    }

    /// This program as the bare server, which answers what `answers` holds.
    pub fn bare(answers: &Path) -> Self {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = on_server_core(&own);
        command.env(bare::ANSWERS, answers).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the bare server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the bare server tells its address");
        Self { address: line.trim().parse().expect("an address"), demo: None, child }
    }

    /// The processor time it has used, all its threads together, seconds.
    pub fn cpu_s(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let text = text.expect("the server runs");
        // proc(5): after the name in parentheses, utime and stime are the 12th and 13th field.
        let fields = text.rsplit_once(')').expect("a name").1.split_ascii_whitespace();
        let ticks: f64 = fields.skip(11).take(2).filter_map(|it| it.parse::<f64>().ok()).sum();
        ticks / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that will run on one core alone.
pub fn pinned(core: &str, program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", core]).arg(program);
    command
}

fn on_server_core(program: &Path) -> Command {
    match std::env::var(PINNED) {
        Ok(is_pinned) if is_pinned == "yes" => pinned(SERVER_CORE, program),
        Ok(_) | Err(_) => Command::new(program),
    }
}
