//! The pinned npm packages of `xtask/node`, installed below `target/node`.
//!
//! Which packages there are stands in `xtask/node/package.json` alone; what is done with them is
//! for the callers to know.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, io};

use anstream::eprintln;
use serde_json::Value;

use crate::generate::typescript::Types;
use crate::requirements::{self, NODE, NPM};

/// Tells tests where the installed packages are.
pub const MODULES_VARIABLE: &str = "VESTIBULE_TEST_NODE_MODULES";
/// What `npm ci` reads.
const INPUTS: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];
/// Beside the packages: the inputs that they were installed from.
const STAMP: &str = "installed-from";

/// Node.js and the packages, ready to run.
pub struct Tools {
    /// The program `node`.
    node: PathBuf,
    modules: PathBuf,
}

impl Tools {
    /// Makes them available, by apt and `npm ci` where they are not yet.
    ///
    /// # Errors
    /// When a program stays missing or the packages cannot be installed, with what to do.
    pub fn install(root: &Path) -> Result<Self, String> {
        Self::with(root, requirements::ensure(root, &[NODE, NPM])?)
    }

    /// Makes them available where Node.js is; brings nothing by apt.
    ///
    /// # Errors
    /// As above.
    pub fn find(root: &Path) -> Result<Self, String> {
        Self::with(root, requirements::find(&[NODE, NPM])?)
    }

    fn with(root: &Path, programs: Vec<PathBuf>) -> Result<Self, String> {
        let [node, npm] = <[PathBuf; 2]>::try_from(programs).expect("one place for each asked");
        let folder = root.join("target/node");
        let bad = |bad: io::Error| format!("target/node: {bad}");
        let _one_at_a_time = requirements::lock(root, "node").map_err(bad)?;
        let inputs = read_inputs(root).map_err(|bad| format!("xtask/node: {bad}"))?;
        let wanted: String = inputs.iter().map(|(_, text)| text.as_str()).collect();
        let stamp = folder.join(STAMP);
        if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
            ci(&npm, &folder, &inputs)?;
            fs::write(&stamp, wanted).map_err(bad)?;
        }
        Ok(Self { node, modules: folder.join("node_modules") })
    }

    /// The folder of the packages.
    pub fn modules(&self) -> &Path {
        &self.modules
    }

    /// Runs a script on `input` and gives what it printed. The script's one argument is the folder
    /// of the packages.
    fn run(&self, script: &Path, input: &[u8]) -> io::Result<Output> {
        let mut command = Command::new(&self.node);
        command.arg(script).arg(&self.modules);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        // The scripts read everything before they print; a broken one may end without reading.
        let _ = child.stdin.take().map(|mut pipe| pipe.write_all(input));
        child.wait_with_output()
    }
}

impl Types for Tools {
    fn of(&self, documents: &Value) -> Result<BTreeMap<String, String>, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("node/types.mjs");
        let output = self.run(&script, documents.to_string().as_bytes());
        let output = output.map_err(|bad| format!("node does not run: {bad}"))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("openapi-typescript: {}: {}", output.status, said.trim()));
        }
        serde_json::from_slice(&output.stdout).map_err(|bad| format!("openapi-typescript: {bad}"))
    }
}

fn read_inputs(root: &Path) -> io::Result<Vec<(&'static str, String)>> {
    let folder = root.join("xtask/node");
    INPUTS.iter().map(|name| Ok((*name, fs::read_to_string(folder.join(name))?))).collect()
}

/// A folder that npm left half done has no stamp, so the next run begins anew.
fn ci(npm: &Path, folder: &Path, inputs: &[(&str, String)]) -> Result<(), String> {
    let bad = |bad: io::Error| format!("target/node: {bad}");
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
    Err(format!("npm ci failed in target/node; is the registry reachable?\n{}", said.trim()))
}
