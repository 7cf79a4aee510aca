//! `cargo xtask conformance`: bundles documents that are given as YAML and starts the runner.
//!
//! The runner is a package of its own, so that nobody waits for an HTTP client who only generates.
//! Knows nothing of what it does.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;

use crate::document::{self, Finding};
use crate::program;

/// Runs `vestibule-conformance` with these arguments; its exit code is ours.
pub fn conformance(root: &Path, arguments: &[String]) -> Result<ExitCode, String> {
    let arguments = with_bundles(arguments, |file| bundled(root, file))?;
    program::run(root, "vestibule-conformance", &arguments)
}

/// The arguments, with the bundle of each document that is named as a file of YAML.
fn with_bundles(
    arguments: &[String],
    bundled: impl Fn(&Path) -> Result<PathBuf, String>,
) -> Result<Vec<String>, String> {
    let mut is_value = false;
    let replaced = arguments.iter().map(|argument| {
        let joined = argument.strip_prefix("--document=");
        let named = joined.or_else(|| is_value.then_some(argument.as_str()));
        is_value = argument == "--document";
        let Some(file) = named.map(Path::new).filter(|file| is_yaml(file)) else {
            return Ok(argument.clone());
        };
        let option = if joined.is_some() { "--document=" } else { "" };
        bundled(file).map(|bundle| format!("{option}{}", bundle.display()))
    });
    replaced.collect()
}

fn is_yaml(file: &Path) -> bool {
    file.extension().is_some_and(|it| it == "yaml" || it == "yml") && file.is_file()
}

/// Writes the bundle of a document and says where.
fn bundled(root: &Path, file: &Path) -> Result<PathBuf, String> {
    let write = |text: String| {
        let out = place(&root.join("target/conformance"), &file.canonicalize()?);
        fs::create_dir_all(out.parent().unwrap_or(root))?;
        fs::write(&out, text)?;
        Ok(out)
    };
    write(bundle(file)?).map_err(|bad: std::io::Error| format!("error: {}: {bad}", file.display()))
}

/// Where below a folder the bundle of a document stands: as deep as its whole path is, since
/// documents of one name are not one document.
fn place(folder: &Path, file: &Path) -> PathBuf {
    let steps = file.components().filter(|it| matches!(it, Component::Normal(_)));
    folder.join(steps.collect::<PathBuf>()).with_extension("json")
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
        let file = folder.path().join("pets.yaml");
        let text = fs::read_to_string(bundled(folder.path(), &file).unwrap()).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["openapi"], "3.0.3");
        assert!(value["paths"]["/pets"]["get"].is_object(), "{value}");
        fs::write(folder.path().join("pets.yaml"), "openapi: [").unwrap();
        let line = bundled(folder.path(), &file).unwrap_err();
        assert!(line.contains("pets.yaml cannot be read"), "{line}");
    }

    #[test]
    fn documents_alone_are_bundled_and_of_one_name_each_to_a_place_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            path.display().to_string()
        };
        let (one, other, keys) = (file("a/embed.yaml"), file("b/embed.yaml"), file("keys.yaml"));
        let arguments = [
            "--document".to_owned(),
            one.clone(),
            format!("--document={other}"),
            "--credentials".to_owned(),
            keys.clone(),
            "--document".to_owned(),
            "embed".to_owned(),
        ];
        let out = Path::new("out");
        let found = with_bundles(&arguments, |file| Ok(place(out, file))).unwrap();
        let bundle = |file: &str| place(out, Path::new(file)).display().to_string();
        assert_ne!(bundle(&one), bundle(&other));
        let mut expected = arguments.clone();
        expected[1] = bundle(&one);
        expected[2] = format!("--document={}", bundle(&other));
        assert_eq!(found, expected);
        assert!(bundle(&one).starts_with("out/") && bundle(&one).ends_with("/a/embed.json"));
    }
}
