//! The files behind the bundled documents: where a place of a bundle stands, and what is shared.
//!
//! It knows pointers and positions; what a change there means is not its business.

use std::collections::BTreeMap;

use serde_json::Value;

use super::SHARED;
use super::finding::Source;
use super::yaml::{self, Key, Node, Span};

/// Every file that can be parsed, by stem.
#[derive(Debug, Default)]
pub struct Files {
    files: BTreeMap<String, (String, Node)>,
}

/// A line and a column of a file, both 1-based.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub file: String,
    pub line: usize,
    pub column: usize,
}

impl Files {
    /// Parses texts by file name (`openapi/embed.yaml`); what is not YAML is left out.
    pub fn new(texts: &BTreeMap<String, String>) -> Self {
        let parsed = texts.iter().filter_map(|(file, text)| {
            let source = Source::new(file, text);
            let (root, _) = yaml::parse(&source);
            Some((source.stem().to_owned(), (file.clone(), root?)))
        });
        Files { files: parsed.collect() }
    }

    /// `common.yaml` as it is written; an empty object when there is none.
    pub fn shared(&self) -> Value {
        let empty = || Value::Object(serde_json::Map::new());
        self.files.get(SHARED).map_or_else(empty, |(_, root)| root.to_json())
    }

    /// Whether a pointer into a bundle leads into a component that `common.yaml` defines.
    pub fn is_shared(&self, pointer: &str) -> bool {
        let mut parts = pointer.split('/').skip(1);
        let (Some("components"), Some(section), Some(name)) =
            (parts.next(), parts.next(), parts.next())
        else {
            return false;
        };
        let Some((_, root)) = self.files.get(SHARED) else { return false };
        let section = root.get("components").and_then(|node| node.get(section));
        section.is_some_and(|section| section.get(&unescaped(name)).is_some())
    }

    /// Where a pointer into a bundled document leads: the nearest key above it that is there.
    pub fn place(&self, document: &str, pointer: &str) -> Option<Place> {
        let stem = if self.is_shared(pointer) { SHARED } else { document };
        let (file, root) = self.files.get(stem)?;
        let mut node = root;
        let mut found: Option<Span> = None;
        for part in pointer.split('/').skip(1) {
            let Some((span, inner)) = step(node, &unescaped(part)) else { break };
            (node, found) = (inner, Some(span));
        }
        found.map(|span| Place { file: file.clone(), line: span.line, column: span.column })
    }
}

/// One member or one entry further: where it begins and what it is.
fn step<'n>(node: &'n Node, part: &str) -> Option<(Span, &'n Node)> {
    let by_key = node.entry(part).map(|(Key { span, .. }, inner)| (*span, inner));
    by_key.or_else(|| node.items().get(part.parse::<usize>().ok()?).map(|item| (item.span, item)))
}

/// The name that one part of a JSON pointer stands for.
pub fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}
