//! A small process that waits for our end and then ends the server and removes its directory: it
//! holds the other end of a pipe, which the kernel closes whatever we die of.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::account::Account;
use crate::server;

/// The folder that a server works in, below its home.
pub(crate) const DATA: &str = "data";

/// Ends the server whose home is `$1`, by its number in the file `$2`, and removes the home. A process
/// is the server's only while it works in the data directory: a number may have found another owner.
/// What was stopped with SIGSTOP hears nothing else before SIGCONT.
const END: &str = r#"
data="$(readlink -f "$1")/data"
pid=$(head -n 1 "$data/$2" 2>/dev/null)
is_ours() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$data" ]; }
if is_ours; then
    children=$(grep -lsx "PPid:[[:space:]]*$pid" /proc/[0-9]*/status | tr -cs '0-9\n' ' ')
    kill -CONT $pid $children 2>/dev/null
    kill -QUIT $pid
fi
tries=0
while is_ours && [ $tries -lt 100 ]; do
    sleep 0.1
    tries=$((tries + 1))
done
is_ours && kill -KILL $pid
rm -rf "$1"
"#;

pub(crate) struct Keeper(Child);

impl Keeper {
    /// `pid_file` is the name of the file in the data directory that the server's number stands in.
    pub(crate) fn start(account: &Account, home: &Path, pid_file: &str) -> io::Result<Self> {
        let mut command = account.command(Path::new("sh"));
        let script = format!("read -r dismissed && exit 0\n{END}");
        command.args(["-c", &script, "keeper"]).arg(home).arg(pid_file);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self)
    }

    /// Lets it go without doing anything.
    pub(crate) fn dismiss(mut self) -> io::Result<()> {
        let mut pipe = self.0.stdin.take().ok_or_else(|| io::Error::other("no pipe"))?;
        io::Write::write_all(&mut pipe, b"go\n")?;
        self.0.wait().map(drop)
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Closing the pipe is the word.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Ends a cluster that was left running, and removes its home.
///
/// # Errors
/// When there is no shell.
pub fn stop_at(home: &Path) -> io::Result<()> {
    let mut command = Command::new("sh");
    command.args(["-c", END, "keeper"]).arg(home).arg(server::PID_FILE);
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("sh: {status}"))) }
}
