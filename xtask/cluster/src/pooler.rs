//! PgBouncer before a cluster, in transaction mode: a client has a connection of the server for one
//! transaction at a time, and nothing of a session survives it.

use std::fs::{self, File};
use std::io;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::account::Account;
use crate::keeper::{DATA, Keeper};
use crate::server::free_port;
use crate::{Cluster, SUPERUSER};

/// How long a start may take on a busy machine.
const START: Duration = Duration::from_secs(60);

const PID_FILE: &str = "pgbouncer.pid";

/// A running PgBouncer. Dropping it ends it, and so does the end of this process.
pub struct Pooler {
    pub(crate) home: TempDir,
    password: String,
    port: u16,
    child: Child,
    keeper: Option<Keeper>,
}

impl Pooler {
    /// Starts one before all databases of a cluster, with this many connections to each. What it does
    /// not say is as PgBouncer ships.
    ///
    /// # Errors
    /// What it said when it did not start.
    pub fn start(pgbouncer: &Path, cluster: &Cluster, connections: u32) -> io::Result<Self> {
        let account = Account::to_run_as()?;
        let home = tempfile::Builder::new().prefix("vestibule-pgbouncer-").tempdir()?;
        let (data, port, password) = (home.path().join(DATA), free_port()?, &cluster.password);
        fs::create_dir(&data)?;
        let users = data.join("users.txt");
        fs::write(&users, format!("\"{SUPERUSER}\" \"{password}\"\n"))?;
        let settings = data.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = plain\nauth_file = {}\n\
             admin_users = {SUPERUSER}\npool_mode = transaction\n\
             default_pool_size = {connections}\npidfile = {}\n",
            cluster.port(),
            users.display(),
            data.join(PID_FILE).display()
        );
        fs::write(&settings, text)?;
        [home.path(), &data, &users, &settings].into_iter().try_for_each(|it| account.own(it))?;
        let keeper = Some(Keeper::start(&account, home.path(), PID_FILE)?);
        let log = home.path().join("log");
        let mut command = account.command(pgbouncer);
        command.arg(&settings).current_dir(&data).stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(File::create(&log)?).spawn()?;
        ready(&mut child, port).map_err(|bad| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            io::Error::other(format!("pgbouncer: {bad}: {}", said.trim()))
        })?;
        Ok(Self { home, password: password.clone(), port, child, keeper })
    }

    /// The address of a database through it.
    pub fn url(&self, database: &str) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// What it has logged.
    ///
    /// # Errors
    /// When its log cannot be read.
    pub fn log(&self) -> io::Result<String> {
        fs::read_to_string(self.home.path().join("log"))
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.keeper.take());
        let _ = self.child.wait();
    }
}

fn ready(child: &mut Child, port: u16) -> io::Result<()> {
    let deadline = Instant::now() + START;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        if let Some(status) = child.try_wait()? {
            return Err(io::Error::other(status.to_string()));
        }
        if Instant::now() > deadline {
            child.kill()?;
            child.wait()?;
            return Err(io::Error::new(io::ErrorKind::TimedOut, "not ready in time"));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
