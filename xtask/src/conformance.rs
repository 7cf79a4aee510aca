//! `cargo xtask conformance`: bundles documents that are given as YAML and starts the runner.
//!
//! The runner is a package of its own, so that nobody waits for an HTTP client who only generates.
//! Knows nothing of what it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::document;

/// Runs `vestibule-conformance` with these arguments; its exit code is ours.
pub fn conformance(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let arguments = arguments.iter().map(|argument| bundled(root, argument));
    let arguments = arguments.collect::<Result<Vec<_>, _>>()?;
    let mut command = Command::new("cargo");
    // From where the user stands, so that paths mean what was meant.
    command.args(["run", "--quiet", "--manifest-path"]).arg(root.join("Cargo.toml"));
    command.args(["-p", "vestibule-conformance", "--"]).args(arguments);
    let status = command.status().map_err(|bad| format!("error: cargo does not run: {bad}"))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

/// The argument itself, or the bundle of the YAML document that it names.
fn bundled(root: &Path, argument: &str) -> Result<String, String> {
    let (option, path) = match argument.split_once('=') {
        Some((option, path)) if option.starts_with("--") => (format!("{option}="), path),
        _ => (String::new(), argument),
    };
    let file = Path::new(path);
    let is_yaml = file.extension().is_some_and(|it| it == "yaml" || it == "yml");
    if !is_yaml || !file.is_file() {
        return Ok(argument.to_owned());
    }
    let out = root
        .join("target/conformance")
        .join(file.with_extension("json").file_name().unwrap_or_default());
    let bundle = bundle(file)?;
    let write = || {
        fs::create_dir_all(root.join("target/conformance"))?;
        fs::write(&out, bundle)
    };
    write().map_err(|bad| format!("error: {}: {bad}", out.display()))?;
    Ok(format!("{option}{}", out.display()))
}

/// One document together with the `common.yaml` beside it.
fn bundle(file: &Path) -> Result<String, String> {
    let mut texts = BTreeMap::new();
    for path in [file.to_owned(), file.with_file_name("common.yaml")] {
        let text = fs::read_to_string(&path);
        let text = text.map_err(|bad| format!("error: {}: {bad}", path.display()))?;
        texts.insert(path.display().to_string(), text);
    }
    let loaded = document::load_texts(&texts).map_err(|findings| {
        let told: Vec<_> = findings.iter().map(|finding| format!("{finding:#}\n")).collect();
        format!("{}error: {} cannot be bundled", told.join("\n"), file.display())
    })?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let found = loaded.documents.iter().find(|it| it.name == name);
    let found = found.ok_or_else(|| format!("error: {} describes nothing", file.display()))?;
    serde_json::to_string_pretty(&found.value).map_err(|bad| format!("error: {bad}"))
}
