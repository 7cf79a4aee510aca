//! The pinned npm packages of `xtask/node`, installed below `target/node`.
//!
//! Which packages there are stands in `xtask/node/package.json` alone; what is done with them is
//! for the callers to know.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use anstream::eprintln;

use crate::requirements::{self, NODE, NPM};

/// Tells tests where the installed packages are.
pub const MODULES_VARIABLE: &str = "VESTIBULE_TEST_NODE_MODULES";
/// What `npm ci` reads.
const INPUTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// Beside the packages: the inputs that they were installed from.
const STAMP: &str = "installed-from";

/// Node.js and the packages, ready to run.
pub struct Tools {
    modules: PathBuf,
}

impl Tools {
    /// Makes them available, by apt and `npm ci` where they are not yet.
    ///
    /// # Errors
    /// When a program stays missing or the packages cannot be installed, with what to do.
    pub fn install(root: &Path) -> Result<Self, String> {
        let places = requirements::ensure(root, &[NODE, NPM])?;
        let [_, npm] = <[PathBuf; 2]>::try_from(places).expect("one place for each asked");
        let folder = root.join("target/node");
        let bad = |bad: io::Error| format!("error: target/node: {bad}");
        let _one_at_a_time = requirements::lock(root, "node").map_err(bad)?;
        let inputs = read_inputs(root).map_err(|bad| format!("error: xtask/node: {bad}"))?;
        let wanted: String = inputs.iter().map(|(_, text)| text.as_str()).collect();
        let stamp = folder.join(STAMP);
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            ci(&npm, &folder, &inputs)?;
            fs::write(&stamp, wanted).map_err(bad)?;
        }
        Ok(Self { modules: folder.join("node_modules") })
    }

    /// The folder of the packages.
    pub fn modules(&self) -> &Path {
        &self.modules
    }
}

fn read_inputs(root: &Path) -> io::Result<Vec<(&'static str, String)>> {
    let folder = root.join("xtask/node");
    INPUTS.iter().map(|name| Ok((*name, fs::read_to_string(folder.join(name))?))).collect()
}

/// A folder that npm left half done has no stamp, so the next run begins anew.
fn ci(npm: &Path, folder: &Path, inputs: &[(&str, String)]) -> Result<(), String> {
    let bad = |bad: io::Error| format!("error: target/node: {bad}");
    let _ = fs::remove_file(folder.join(STAMP));
    fs::create_dir_all(folder).map_err(bad)?;
    for (name, text) in inputs {
        fs::write(folder.join(name), text).map_err(bad)?;
    }
    eprintln!("installing the packages of xtask/node below target/node");
    let output = Command::new(npm).args(["ci", "--loglevel=error"]).current_dir(folder).output();
    let output = output.map_err(bad)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\nerror: npm ci failed in target/node; is the registry reachable?", said.trim()))
}
