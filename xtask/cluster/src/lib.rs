//! Throw-away PostgreSQL clusters on loopback, for tests: made in a temporary directory, stopped,
//! frozen, followed by a standby, promoted, and gone with whoever made them, however that ends.
//!
//! Durable as PostgreSQL ships (`fsync` and `synchronous_commit` stay on). Knows no table and speaks
//! no protocol: what is asked of a cluster is asked through its programs. Touches nothing that it
//! did not make.

mod account;
mod keeper;
mod pooler;
mod server;
#[cfg(test)]
mod tests;

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use account::Account;
pub use keeper::stop_at;
use keeper::{DATA, Keeper};
pub use pooler::Pooler;
pub use server::Ending;
use server::Server;

/// The account that may do everything.
const SUPERUSER: &str = "vestibule";

/// The file that tells the address of a cluster that was left.
const ADDRESS: &str = "address";

/// More than all tests of a run hold at a time.
const MOST_CONNECTIONS: u32 = 400;

/// A running cluster, or one that was stopped. Dropping it ends the server and removes the data;
/// so does the end of this process, even by SIGKILL.
pub struct Cluster {
    programs: PathBuf,
    account: Account,
    home: TempDir,
    password: String,
    port: u16,
    server: Option<Server>,
    keeper: Option<Keeper>,
}

impl Cluster {
    /// Makes and starts one. `initdb` is that program of a PostgreSQL 15 or newer; its neighbours
    /// are used too.
    ///
    /// # Errors
    /// What a program said when it failed, or why there is no account to run as.
    pub fn start(initdb: &Path) -> io::Result<Self> {
        Self::start_with(initdb, &[])
    }

    /// [`Cluster::start`] with settings of `postgresql.conf` on top of the shipped ones.
    ///
    /// # Errors
    /// As [`Cluster::start`].
    pub fn start_with(initdb: &Path, settings: &[(&str, &str)]) -> io::Result<Self> {
        let mut cluster = Self::empty(initdb, password()?)?;
        let file = cluster.home.path().join("password");
        fs::write(&file, &cluster.password)?;
        cluster.account.own(&file)?;
        let mut make = cluster.command("initdb");
        make.args(["--no-sync", "--encoding=UTF8", "--auth=password", "--username", SUPERUSER]);
        // The order of a language, as most clusters have it: who needs that of bytes must say so.
        make.args(["--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en"]);
        run(make.arg("--pgdata").arg(cluster.data()).arg("--pwfile").arg(&file))?;
        cluster.configure(settings)?;
        cluster.resume()?;
        Ok(cluster)
    }

    /// A standby that follows by streaming replication, called `name` (`synchronous_standby_names`).
    ///
    /// # Errors
    /// What `pg_basebackup` said.
    pub fn standby(&self, name: &str) -> io::Result<Self> {
        let mut standby = Self::empty(&self.programs.join("initdb"), self.password.clone())?;
        let from = format!("{} application_name={name}", self.conninfo());
        let mut copy = standby.command("pg_basebackup");
        copy.args([
            "--no-sync",
            "--checkpoint=fast",
            "--wal-method=stream",
            "--write-recovery-conf",
        ]);
        run(copy.args(["--dbname", &from]).arg("--pgdata").arg(standby.data()))?;
        standby.resume()?;
        Ok(standby)
    }

    /// Makes a standby the one that takes writes; returns when it does.
    ///
    /// # Errors
    /// What `pg_ctl` said.
    pub fn promote(&self) -> io::Result<()> {
        run(self.command("pg_ctl").args(["promote", "--wait", "--pgdata"]).arg(self.data()))
    }

    /// The administrative address of a database.
    pub fn url(&self, database: &str) -> String {
        let Self { password, port, .. } = self;
        format!("postgres://{SUPERUSER}:{password}@127.0.0.1:{port}/{database}")
    }

    /// Where it listens on loopback, also while it is stopped.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends the server; the data stay.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn stop(&mut self, ending: Ending) -> io::Result<()> {
        self.server.take().map_or(Ok(()), |server| server.end(ending))
    }

    /// Starts the server on the data that are there; at the same port after a [`Cluster::stop`].
    ///
    /// # Errors
    /// The last lines of its log.
    pub fn resume(&mut self) -> io::Result<()> {
        let log = self.home.path().join("log");
        let started = Server::start(&self.account, &self.programs, &self.data(), &log, self.port)?;
        (self.port, self.server) = (started.port(), Some(started));
        Ok(())
    }

    /// Reads `postgresql.conf` again, with these settings on top.
    ///
    /// # Errors
    /// When the disk or the server refuses.
    pub fn set(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        self.configure(settings)?;
        run(self.command("pg_ctl").args(["reload", "--pgdata"]).arg(self.data()))
    }

    /// Stops every process of the server in its tracks (SIGSTOP) until what is returned is dropped:
    /// connections stay, nothing answers.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub fn freeze(&self) -> io::Result<Frozen<'_>> {
        let server = self.server.as_ref().ok_or_else(|| io::Error::other("it is stopped"))?;
        server.signal_all("STOP")?;
        Ok(Frozen(server))
    }

    /// Lets it go on without this process, until [`stop_at`] its home, which is returned;
    /// [`url_at`] tells its address.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn leave(mut self) -> io::Result<PathBuf> {
        // There, nobody else may read it.
        fs::write(self.home.path().join(ADDRESS), self.url("postgres"))?;
        self.keeper.take().map_or(Ok(()), Keeper::dismiss)?;
        // Its end is nobody's business any more.
        drop(self.server.take());
        self.home.disable_cleanup(true);
        Ok(self.home.path().to_owned())
    }

    fn empty(initdb: &Path, password: String) -> io::Result<Self> {
        let programs = initdb.canonicalize()?.parent().unwrap_or(Path::new("/")).to_owned();
        let account = Account::to_run_as()?;
        let home = tempfile::Builder::new().prefix("vestibule-postgres-").tempdir()?;
        account.own(home.path())?;
        let keeper = Some(Keeper::start(&account, home.path(), server::PID_FILE)?);
        Ok(Self { programs, account, home, password, port: 0, server: None, keeper })
    }

    fn data(&self) -> PathBuf {
        self.home.path().join(DATA)
    }

    fn conninfo(&self) -> String {
        let Self { password, port, .. } = self;
        format!("host=127.0.0.1 port={port} user={SUPERUSER} password={password}")
    }

    fn configure(&self, settings: &[(&str, &str)]) -> io::Result<()> {
        let connections = MOST_CONNECTIONS.to_string();
        let ours = [
            ("listen_addresses", "127.0.0.1"),
            ("unix_socket_directories", ""),
            ("max_connections", &connections),
        ];
        let line = |(name, value): &(&str, &str)| format!("{name} = '{value}'\n");
        let text = ours.iter().chain(settings).map(line).collect::<String>();
        let place = self.data().join("postgresql.conf");
        io::Write::write_all(&mut File::options().append(true).open(place)?, text.as_bytes())
    }

    fn command(&self, program: &str) -> Command {
        self.account.command(&self.programs.join(program))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The keeper ends the server and removes the directory; a zombie would look alive to nobody.
        drop(self.keeper.take());
        if let Some(server) = self.server.take() {
            server.reap();
        }
    }
}

/// The administrative address of a cluster that was left.
///
/// # Errors
/// When there is none.
pub fn url_at(home: &Path) -> io::Result<String> {
    fs::read_to_string(home.join(ADDRESS))
}

/// A server that does not move. Dropping it lets it go on.
pub struct Frozen<'a>(&'a Server);

impl Drop for Frozen<'_> {
    fn drop(&mut self) {
        // One that ended meanwhile has nothing to go on with.
        let _ = self.0.signal_all("CONT");
    }
}

fn password() -> io::Result<String> {
    let bytes: [u8; 16] = random()?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn random<const LENGTH: usize>() -> io::Result<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Runs a program to its end.
fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let name = command.get_program().to_string_lossy();
    Err(io::Error::other(format!("{name}: {}: {}", output.status, said.trim())))
}
