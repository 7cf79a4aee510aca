//! `new-operation`: sets a skeleton with everything that the lint asks for into a document, as text,
//! so that what people wrote stays as it is.
//!
//! [`added`] is pure, texts in and a text out; [`NewOperation::run`] alone touches the disk.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anstream::println;
use anstyle::Style;
use clap::Args;

use crate::document::{self, METHODS, Node, SHARED, Texts, Tree, nearest, stem};
use crate::generate;
use crate::lint;

mod naming;
mod neighbours;
mod place;
mod refusals;
mod skeleton;
#[cfg(test)]
mod tests;
mod text;

use naming::Naming;
use neighbours::Neighbours;
use skeleton::Asked;

const BOLD: Style = Style::new().bold();

/// Set the skeleton of an operation into a document.
#[derive(Args, Debug)]
pub struct NewOperation {
    /// get, put, post, patch or delete.
    method: String,
    /// The path with its variables: `/v1/things/{thingId}`.
    path: String,
    /// The document, e.g. `embed` for openapi/embed.yaml.
    #[arg(long, value_name = "D")]
    document: String,
    /// Its operationId, instead of one made of method and path.
    #[arg(long)]
    id: Option<String>,
    /// Its tag, instead of the one of the operation with the nearest path.
    #[arg(long)]
    tag: Option<String>,
    /// Who calls it: an `x-caller` of the document, or `none`; instead of the nearest path's.
    #[arg(long, value_name = "CALLER")]
    security: Option<String>,
}

/// A document with a new operation.
#[derive(Debug)]
struct Added {
    /// `openapi/embed.yaml`.
    file: String,
    text: String,
    id: String,
    /// The line of the operation, from 1.
    line: usize,
    /// Names of the schemas that were added.
    schemas: Vec<String>,
}

impl NewOperation {
    /// Adds, holds the lint against it, writes, and says what comes next.
    ///
    /// # Errors
    /// One line: what cannot be added, and why.
    pub fn run(&self, root: &Path) -> Result<ExitCode, String> {
        let input = lint::command::folder(&root.join("openapi"), "openapi")?;
        let error = |problem: String| format!("error: {problem}");
        let added = self.checked(&input).map_err(error)?;
        let handler = handler(&added, input.texts).map_err(error)?;
        fs::write(root.join(&added.file), &added.text)
            .map_err(|bad| error(format!("{} cannot be written: {bad}", added.file)))?;
        println!("{}", told(&added, &handler));
        Ok(ExitCode::SUCCESS)
    }

    /// The new text, if the documents had no finding before and have none with it.
    fn checked(&self, input: &lint::Input) -> Result<Added, String> {
        if let Some(finding) = lint::check(input).findings.first() {
            let place = format!("{}:{}:{}", finding.file, finding.line, finding.column);
            return Err(format!("{place}: {}; mend that first", finding.message));
        }
        let added = self.added(&input.texts)?;
        let mut texts = input.texts.clone();
        texts.insert(added.file.clone(), added.text.clone());
        let silences = input.silences.clone();
        let after = lint::Input { texts, silences, is_whole: true, ..lint::Input::default() };
        match lint::check(&after).findings.first() {
            Some(finding) => Err(format!("{}; nothing was changed", finding.message)),
            None => Ok(added),
        }
    }

    /// The document's text with the operation in it.
    fn added(&self, texts: &Texts) -> Result<Added, String> {
        let method = self.method.to_lowercase();
        if !METHODS.contains(&method.as_str()) {
            return Err(format!("`{}` is none of {}", self.method, METHODS.join(", ")));
        }
        let (trees, _) = document::parse(texts);
        let tree = self.tree(&trees)?;
        let item = tree.root.get("paths").and_then(|paths| paths.get(&self.path));
        if let Some(known) = item.and_then(|item| item.get(&method)) {
            let id = known.get("operationId").and_then(Node::as_str).unwrap_or_default();
            let (method, path) = (method.to_uppercase(), &self.path);
            return Err(format!("{method} {path} is there already: {id}"));
        }
        let common = trees.iter().find(|it| stem(it.source.file) == SHARED);
        let neighbours = Neighbours::of(tree, common);
        let naming = Naming::of(&method, &self.path, tree.source.stem());
        let asked = Asked {
            method: &method,
            path: &self.path,
            id: self.id.clone().unwrap_or_else(|| naming.id()),
            tag: self.tag(tree, &neighbours)?,
            caller: self.caller(&neighbours)?,
            naming,
            taken: taken(&trees),
        };
        let skeleton = skeleton::write(&asked, &neighbours);
        let (text, line) = place::set_in(tree, &self.path, &skeleton)?;
        let schemas = skeleton.schemas.into_iter().map(|(name, _)| name).collect();
        Ok(Added { file: tree.source.file.to_owned(), text, id: asked.id, line, schemas })
    }

    fn tree<'t>(&self, trees: &'t [Tree<'t>]) -> Result<&'t Tree<'t>, String> {
        let names = || trees.iter().map(|it| stem(it.source.file)).filter(|it| *it != SHARED);
        let found = trees.iter().find(|it| stem(it.source.file) == self.document);
        found.filter(|_| self.document != SHARED).ok_or_else(|| {
            let known = names().collect::<Vec<_>>().join(", ");
            unknown("document", &self.document, names(), &known)
        })
    }

    fn tag(&self, tree: &Tree<'_>, neighbours: &Neighbours<'_>) -> Result<String, String> {
        let tags = tree.root.get("tags").map_or(&[][..], Node::items).iter();
        let tags: Vec<&str> = tags.filter_map(|tag| tag.get("name")?.as_str()).collect();
        let near = neighbours.nearest(&self.path).and_then(|it| it.node.get("tags"));
        let near = near.and_then(|tags| tags.items().first()).and_then(Node::as_str);
        let known = tags.join(", ");
        match (&self.tag, near, &tags[..]) {
            (Some(tag), ..) if tags.contains(&tag.as_str()) => Ok(tag.clone()),
            (Some(tag), ..) => Err(unknown("tag", tag, tags.iter().copied(), &known)),
            (None, Some(near), _) => Ok(near.to_owned()),
            (None, None, [only]) => Ok((*only).to_owned()),
            (None, None, _) => Err(format!("give --tag, one of: {known}")),
        }
    }

    fn caller(&self, neighbours: &Neighbours<'_>) -> Result<Option<String>, String> {
        let callers = neighbours.callers();
        let known = callers.iter().copied().collect::<Vec<_>>().join(", ");
        match &self.security {
            Some(none) if none == "none" => Ok(None),
            Some(caller) if callers.contains(caller.as_str()) => Ok(Some(caller.clone())),
            Some(other) => {
                Err(unknown("caller", other, callers.iter().copied(), &format!("{known}, none")))
            }
            None => match neighbours.nearest(&self.path) {
                Some(near) => Ok(neighbours.caller(&near).map(str::to_owned)),
                None => Err(format!("give --security, one of: {known}, none")),
            },
        }
    }
}

fn unknown<'n>(
    what: &str,
    name: &str,
    names: impl Iterator<Item = &'n str>,
    known: &str,
) -> String {
    match nearest(name, names) {
        Some(near) => format!("there is no {what} `{name}`; did you mean `{near}`?"),
        None => format!("there is no {what} `{name}`; there are: {known}"),
    }
}

/// Names of schemas over all documents: each becomes one Rust type.
fn taken(trees: &[Tree<'_>]) -> BTreeSet<String> {
    let schemas = trees.iter().filter_map(|it| it.root.get("components")?.get("schemas"));
    schemas.flat_map(Node::entries).map(|(key, _)| key.text.to_lowercase()).collect()
}

/// What the compiler will miss: found before anything is written, since a silence lets documents
/// through the lint that the generator cannot read.
fn handler(added: &Added, mut texts: Texts) -> Result<generate::Handler, String> {
    texts.insert(added.file.clone(), added.text.clone());
    let documents = document::load_texts(&texts).map_err(|findings| {
        let first = findings.first().map(|it| format!("{}:{}: {}", it.file, it.line, it.message));
        format!("{}; nothing was changed", first.unwrap_or_default())
    })?;
    let handlers = generate::handlers(&documents).map_err(|bad| bad.to_string())?;
    let handler = handlers.into_iter().find(|handler| handler.id == added.id);
    handler.ok_or_else(|| format!("{} would have no handler; nothing was changed", added.id))
}

fn told(added: &Added, handler: &generate::Handler) -> String {
    let Added { file, id, line, schemas, .. } = added;
    let schemas = match schemas.is_empty() {
        true => String::new(),
        false => format!(", with {}", schemas.join(", ")),
    };
    let (method, handlers) = (&handler.method, &handler.file);
    format!(
        "{file}:{line}: {BOLD}{id}{BOLD:#} is there{schemas}.\n\nNext:\n  \
         1. Replace every \"Placeholder\" in {file}, and add what only this operation refuses.\n  \
         2. cargo xtask generate\n  \
         3. cargo check: the compiler misses `{method}` in {handlers}\n     \
         (until it is there, `cargo xtask dev` answers 501 and `cargo xtask mock` an example)."
    )
}
