//! The documents under `openapi/` as the generator sees them: parsed with positions, checked
//! against the dialect, joined with `common.yaml` and turned into plain JSON values.
//!
//! Everything but [`read`] is pure: file texts in, values or findings out, in one fixed order.
//! It must not know what is generated from the documents.

use std::collections::{BTreeMap, BTreeSet};
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
mod surrogates;
#[cfg(test)]
mod tests;
mod yaml;

pub use files::{Files, Place, unescaped};
pub use finding::{Finding, Source, nearest, stem};
pub use grammar::{Mentioned, Object, Shape};
pub use keywords::{Mention, Site, pointer_to};
pub use names::{check as check_names, is_shared};
pub use references::{Component, Link, links};
pub use yaml::{Key, Node, NodeValue, Span};

use crate::rule;
use keywords::Walked;

/// The document that the others share components from; it describes no operations of its own.
pub const SHARED: &str = "common";

/// The members of a path item that are operations, in the order of listings.
pub const METHODS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// How the names of documents end.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// File names (`openapi/embed.yaml`) and texts.
pub type Texts = BTreeMap<String, String>;

/// How many names that lead nowhere are compared with all that exist, of each kind and file: who
/// has more of them has lost a file, not a letter.
const SUGGESTED: usize = 20;

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

/// A file's text and the tree that was read from it.
#[derive(Debug)]
pub struct Tree<'t> {
    pub source: Source<'t>,
    pub root: Node,
}

/// A checked file: everything it is made of and everything it names.
#[derive(Debug)]
pub struct File<'t> {
    pub source: &'t Source<'t>,
    pub root: &'t Node,
    pub sites: Vec<Site<'t>>,
    pub mentions: Vec<Mention>,
    /// Pointers of the objects that have a keyword of the wrong name, place or type.
    pub broken: BTreeSet<String>,
}

/// All files, checked against the dialect and against each other.
#[derive(Debug)]
pub struct Checked<'t> {
    /// `common.yaml`; without one there is nothing to refer to.
    pub common: Option<File<'t>>,
    /// Sorted by name.
    pub surfaces: Vec<File<'t>>,
}

/// Whether a file is a document, by its name.
pub fn is_document(path: &Path) -> bool {
    path.extension().is_some_and(|it| EXTENSIONS.iter().any(|extension| it == *extension))
}

/// Reads every document of a folder and loads them with [`load_texts`]; whoever is not a test
/// lints them as well.
#[cfg(test)]
pub fn load(dir: &Path) -> Result<Documents, Vec<Finding>> {
    load_texts(&read(dir).unwrap_or_else(|bad| panic!("{bad}")))
}

/// Checks and bundles documents given as file name (`openapi/embed.yaml`) and text.
///
/// Returns either all documents or all findings, sorted by file and position.
pub fn load_texts(texts: &BTreeMap<String, String>) -> Result<Documents, Vec<Finding>> {
    let (trees, mut findings) = parse(texts);
    if !texts.keys().any(|file| stem(file) == SHARED) {
        findings.push(missing_common());
    }
    let checked = check(&trees, &mut findings);
    // Without common.yaml every reference to it would be reported as well: noise.
    let Some(common) = &checked.common else { return Err(sorted(findings)) };
    findings.extend(names::check(Some(common), &checked.surfaces));
    let bundled = bundle::bundle(common, &checked.surfaces, &mut findings);
    if !findings.is_empty() {
        return Err(sorted(findings));
    }
    Ok(Documents { error_codes: names::error_codes(common), ..bundled })
}

/// Bundles documents of another time, whatever keywords they use.
///
/// Refuses only what cannot be understood at all: text that is not YAML, a `$ref` that leads
/// nowhere, two files of one name. A missing `common.yaml` counts as an empty one.
pub fn load_leniently(texts: &BTreeMap<String, String>) -> Result<Documents, Vec<Finding>> {
    let mut texts = texts.clone();
    if !texts.keys().any(|file| stem(file) == SHARED) {
        texts.insert(format!("{SHARED}.yaml"), "{}".to_owned());
    }
    let (trees, mut findings) = parse(&texts);
    findings.retain(|finding| trees.iter().all(|tree| tree.source.file != finding.file));
    let mut wrong = Vec::new();
    let checked = check(&trees, &mut wrong);
    findings.extend(wrong.into_iter().filter(|finding| finding.rule == &rule::SAME_DOCUMENT));
    let Some(common) = &checked.common else { return Err(sorted(findings)) };
    let bundled = bundle::bundle(common, &checked.surfaces, &mut findings);
    if !findings.is_empty() {
        return Err(sorted(findings));
    }
    Ok(Documents { error_codes: names::error_codes(common), ..bundled })
}

/// Reads texts as YAML; one that is none has no tree.
pub fn parse(texts: &BTreeMap<String, String>) -> (Vec<Tree<'_>>, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut trees = Vec::new();
    for (file, text) in texts {
        let source = Source::new(file, text);
        let (root, unread) = yaml::parse(&source);
        findings.extend(unread);
        trees.extend(root.map(|root| Tree { source, root }));
    }
    (trees, findings)
}

/// Checks each tree against the dialect; of two files with one name the second is left out.
pub fn check<'t>(trees: &'t [Tree<'t>], findings: &mut Vec<Finding>) -> Checked<'t> {
    let mut checked = Checked { common: None, surfaces: Vec::new() };
    let mut names = BTreeMap::new();
    for Tree { source, root } in trees {
        if let Some(other) = names.insert(source.stem(), source.file) {
            findings.push(same_name(source, other));
            continue;
        }
        let is_common = source.stem() == SHARED;
        let object = if is_common { Object::Common } else { Object::Document };
        let Walked { sites, mentions, broken, findings: wrong } =
            keywords::check(source, root, object);
        findings.extend(wrong);
        let file = File { source, root, sites, mentions, broken };
        match is_common {
            true => checked.common = Some(file),
            false => checked.surfaces.push(file),
        }
    }
    checked
}

/// That there is nothing to share.
pub fn missing_common() -> Finding {
    let finding = Finding::of_file("common.yaml", &rule::MISSING_FILE, "there is no common.yaml");
    finding.help("write `x-error-codes` and the schema `Error` into it")
}

fn same_name(source: &Source<'_>, other: &str) -> Finding {
    let message = format!("{other} is the document `{}` already", source.stem());
    Finding::of_file(source.file, &rule::SAME_DOCUMENT, message)
}

fn sorted(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort();
    findings.dedup();
    findings
}

/// The text of every document of a folder, by the name that findings give it.
///
/// # Errors
/// In one line what cannot be read.
pub fn read(dir: &Path) -> Result<Texts, String> {
    let folder = dir.file_name().unwrap_or(dir.as_os_str()).to_string_lossy().into_owned();
    let unreadable = |name: &str, error| format!("{name} cannot be read: {error}");
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(dir).map_err(|error| unreadable(&folder, error))? {
        let path = entry.map_err(|error| unreadable(&folder, error))?.path();
        if !is_document(&path) {
            continue;
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let file = format!("{folder}/{name}");
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&file, error))?;
        texts.insert(file, text);
    }
    Ok(texts)
}
