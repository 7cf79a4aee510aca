//! The documents under `openapi/` as the generator sees them: parsed with positions, checked
//! against the dialect, joined with `common.yaml` and turned into plain JSON values.
//!
//! Everything below [`load`] is pure: file texts in, values or findings out, in one fixed order.
//! It must not know what is generated from the documents.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

mod bundle;
mod dialect;
mod files;
mod finding;
mod grammar;
mod keywords;
mod names;
mod references;
#[cfg(test)]
mod tests;
mod yaml;

pub use files::{Files, Place};
pub use finding::Finding;
pub use grammar::{Object, Shape};
pub use keywords::pointer_to;

use finding::Source;
use keywords::Mention;

/// The document that the others share components from; it describes no operations of its own.
pub const SHARED: &str = "common";

/// All documents, ready for the generator.
#[derive(Clone, Debug, PartialEq)]
pub struct Documents {
    /// Sorted by name.
    pub documents: Vec<Document>,
    /// Every stable error code with its default message for people, from `common.yaml`.
    pub error_codes: BTreeMap<String, String>,
}

/// One surface's document.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// The file's stem: `embed`, `chat`, ….
    pub name: String,
    /// The bundled document: complete OpenAPI, every `$ref` is `#/components/…`.
    pub value: serde_json::Value,
}

/// A parsed file with everything it names.
struct File<'t> {
    source: Source<'t>,
    root: yaml::Node,
    mentions: Vec<Mention>,
}

/// Reads every `*.yaml` file of a folder and loads them with [`load_texts`].
///
/// Findings name the files by the folder's last component and the file name
/// (`openapi/embed.yaml`), wherever the folder lies.
pub fn load(dir: &Path) -> Result<Documents, Vec<Finding>> {
    let texts = read(dir).map_err(|finding| vec![*finding])?;
    load_texts(&texts)
}

/// Checks and bundles documents given as file name (`openapi/embed.yaml`) and text.
///
/// Returns either all documents or all findings, sorted by file and position.
pub fn load_texts(texts: &BTreeMap<String, String>) -> Result<Documents, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut common = None;
    let mut surfaces = Vec::new();
    for (file, text) in texts {
        let source = Source { file, text };
        let is_common = source.stem() == SHARED;
        let object = if is_common { Object::Common } else { Object::Document };
        match parse(source, object, &mut findings) {
            Some(file) if is_common => common = Some(file),
            Some(file) => surfaces.push(file),
            None => {}
        }
    }
    if !texts.keys().any(|file| (Source { file, text: "" }).stem() == SHARED) {
        findings.push(Finding::of_file("common.yaml", "missing-file", "there is no common.yaml"));
    }
    // Without common.yaml every reference to it would be reported as well: noise.
    let Some(common) = common else { return Err(sorted(findings)) };

    findings.extend(names::check(&common, &surfaces));
    let bundled = bundle::bundle(&common, &surfaces, &mut findings);
    if !findings.is_empty() {
        return Err(sorted(findings));
    }
    Ok(Documents { error_codes: names::error_codes(&common), ..bundled })
}

/// Bundles documents of another time, whatever keywords they use.
///
/// Refuses only what cannot be understood at all: text that is not YAML, a `$ref` that leads
/// nowhere. A missing `common.yaml` counts as an empty one.
pub fn load_leniently(texts: &BTreeMap<String, String>) -> Result<Documents, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut common = None;
    let mut surfaces = Vec::new();
    for (file, text) in texts {
        let source = Source { file, text };
        let is_common = source.stem() == SHARED;
        let object = if is_common { Object::Common } else { Object::Document };
        let mut tolerated = Vec::new();
        match parse(source, object, &mut tolerated) {
            Some(file) if is_common => common = Some(file),
            Some(file) => surfaces.push(file),
            None => findings.extend(tolerated),
        }
    }
    let empty = Source { file: "common.yaml", text: "{}" };
    let Some(common) = common.or_else(|| parse(empty, Object::Common, &mut Vec::new())) else {
        return Err(sorted(findings));
    };
    let bundled = bundle::bundle(&common, &surfaces, &mut findings);
    if !findings.is_empty() {
        return Err(sorted(findings));
    }
    Ok(Documents { error_codes: names::error_codes(&common), ..bundled })
}

fn parse<'t>(source: Source<'t>, object: Object, findings: &mut Vec<Finding>) -> Option<File<'t>> {
    let (root, unread) = yaml::parse(source);
    findings.extend(unread);
    let root = root?;
    let (mentions, wrong) = keywords::check(source, &root, object);
    findings.extend(wrong);
    Some(File { source, root, mentions })
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    findings.dedup();
    findings
}

/// The text of every `*.yaml` file of a folder, by the name that findings give it.
pub fn read(dir: &Path) -> Result<BTreeMap<String, String>, Box<Finding>> {
    let folder = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
    let unreadable = |name: &str, error: std::io::Error| {
        let message = format!("cannot be read: {error}");
        Box::new(Finding::of_file(name, "unreadable-file", message))
    };
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|error| unreadable(&folder, error))? {
        let path = entry.map_err(|error| unreadable(&folder, error))?.path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{folder}/{name}");
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&file, error))?;
        texts.insert(file, text);
    }
    Ok(texts)
}
