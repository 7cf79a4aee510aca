//! `cargo xtask conformance`: bundles documents that are given as YAML and starts the runner.
//!
//! The runner is a package of its own, so that nobody waits for an HTTP client who only generates.
//! Knows nothing of what it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::document::{self, Finding};

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

/// One document together with the `common.yaml` beside it; without one, as it stands.
fn bundle(file: &Path) -> Result<String, String> {
    let common = file.with_file_name("common.yaml");
    let is_ours = common.is_file();
    let mut texts = BTreeMap::new();
    for path in [Some(file.to_owned()), is_ours.then_some(common)].into_iter().flatten() {
        let text = fs::read_to_string(&path);
        let text = text.map_err(|bad| format!("error: {}: {bad}", path.display()))?;
        texts.insert(path.display().to_string(), text);
    }
    if !is_ours {
        return converted(file, &texts);
    }
    let loaded =
        document::load_texts(&texts).map_err(|it| refused(file, "cannot be bundled", &it))?;
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let found = loaded.documents.iter().find(|it| it.name == name);
    let found = found.ok_or_else(|| format!("error: {} describes nothing", file.display()))?;
    serde_json::to_string_pretty(&found.value).map_err(|bad| format!("error: {bad}"))
}

/// Somebody else's document in JSON: it refers to nothing of ours and keeps no rule of ours.
fn converted(file: &Path, texts: &BTreeMap<String, String>) -> Result<String, String> {
    let (trees, findings) = document::parse(texts);
    match trees.first() {
        Some(tree) if findings.is_empty() => Ok(tree.root.to_json().to_string()),
        _ => Err(refused(file, "cannot be read", &findings)),
    }
}

fn refused(file: &Path, what: &str, findings: &[Finding]) -> String {
    let told: Vec<_> = findings.iter().map(|finding| format!("{finding:#}\n")).collect();
    format!("{}error: {} {what}", told.join("\n"), file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_without_a_common_file_beside_it_is_converted_as_it_stands() {
        let folder = tempfile::tempdir().unwrap();
        let pets = "openapi: 3.0.3\ninfo: { title: Pets }\npaths: { /pets: { get: {} } }\n";
        fs::write(folder.path().join("pets.yaml"), pets).unwrap();
        let argument = format!("--document={}", folder.path().join("pets.yaml").display());
        let given = bundled(folder.path(), &argument).unwrap();
        let text = fs::read_to_string(given.strip_prefix("--document=").unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["openapi"], "3.0.3");
        assert!(value["paths"]["/pets"]["get"].is_object(), "{value}");
        fs::write(folder.path().join("pets.yaml"), "openapi: [").unwrap();
        let line = bundled(folder.path(), &argument).unwrap_err();
        assert!(line.contains("pets.yaml cannot be read"), "{line}");
    }
}
