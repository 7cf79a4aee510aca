//! The account that servers run as. PostgreSQL refuses to run as root, so root hands over to an
//! account that has no rights here.

use std::io;
use std::path::Path;
use std::process::Command;

/// Who runs the programs of a cluster.
pub(crate) struct Account {
    /// User and group; `None` for whoever we are.
    other: Option<(u32, u32)>,
}

impl Account {
    /// Ourselves, or for root the first of `postgres` and `nobody` that there is.
    pub(crate) fn to_run_as() -> io::Result<Self> {
        if number("-u", None)? != 0 {
            return Ok(Self { other: None });
        }
        let found = ["postgres", "nobody"].into_iter().find_map(|name| {
            Some((number("-u", Some(name)).ok()?, number("-g", Some(name)).ok()?))
        });
        let other = found.ok_or_else(|| {
            io::Error::other("PostgreSQL does not run as root, and there is no user `nobody`")
        })?;
        Ok(Self { other: Some(other) })
    }

    /// Hands a file or folder over.
    pub(crate) fn own(&self, path: &Path) -> io::Result<()> {
        #[cfg(unix)]
        if let Some((user, group)) = self.other {
            return std::os::unix::fs::chown(path, Some(user), Some(group));
        }
        Ok(())
    }

    /// A program to be run by this account, in a place that it may read and in a process group of
    /// its own, so that the terminal's ctrl-c does not reach it.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/");
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
            if let Some((user, group)) = self.other {
                command.uid(user).gid(group);
            }
        }
        command
    }
}

fn number(which: &str, user: Option<&str>) -> io::Result<u32> {
    let output = Command::new("id").arg(which).args(user).output()?;
    let told = String::from_utf8_lossy(&output.stdout);
    told.trim().parse().map_err(|_| io::Error::other(format!("id {which} does not tell a number")))
}
