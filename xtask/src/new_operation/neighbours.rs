//! The operations of a document as examples for a new one: what they have in common is what the
//! new one should have, and their text is copied where it says the same.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::text::{begins_its_line, block, item, moved};
use crate::document::{Key, METHODS, Node, Tree};

/// Of these paths the one that begins most like a new one; the first of several, as documents
/// begin with what the rest is made of.
pub fn nearest<'p>(path: &str, paths: impl Iterator<Item = &'p str>) -> Option<&'p str> {
    let shared =
        |other: &str| path.split('/').zip(other.split('/')).take_while(|(a, b)| a == b).count();
    paths.min_by_key(|other| Reverse(shared(other)))
}

/// A document and its operations.
pub struct Neighbours<'t> {
    pub root: &'t Node,
    /// The document of shared parts.
    common: Option<&'t Node>,
    pub lines: Vec<String>,
    pub all: Vec<Neighbour<'t>>,
}

/// One operation.
#[derive(Clone, Copy)]
pub struct Neighbour<'t> {
    pub path: &'t str,
    pub node: &'t Node,
}

impl<'t> Neighbours<'t> {
    pub fn of(tree: &'t Tree<'_>, common: Option<&'t Tree<'_>>) -> Self {
        let items = tree.root.get("paths").map_or(&[][..], Node::entries);
        let operations = items.iter().flat_map(|(path, item)| {
            let mine = METHODS.iter().filter_map(|method| item.get(method));
            mine.map(|node| Neighbour { path: &path.text, node })
        });
        let lines = super::text::lines_of(tree.source.text);
        let common = common.map(|tree| &tree.root);
        Self { root: &tree.root, common, lines, all: operations.collect() }
    }

    /// The first operation of the path that begins most like this one.
    pub fn nearest(&self, path: &str) -> Option<Neighbour<'t>> {
        let near = nearest(path, self.all.iter().map(|it| it.path))?;
        self.all.iter().find(|it| it.path == near).copied()
    }

    /// The schemes of a kind of caller, in the document's order.
    pub fn schemes(&self, caller: &str) -> Vec<&'t str> {
        let mine = schemes_of(self.root).iter().filter(|(_, it)| self.called(it) == Some(caller));
        mine.map(|(key, _)| key.text.as_str()).collect()
    }

    /// Every kind of caller that the document knows.
    pub fn callers(&self) -> BTreeSet<&'t str> {
        schemes_of(self.root).iter().filter_map(|(_, it)| self.called(it)).collect()
    }

    /// The operations that a kind of caller may call.
    pub fn called_by(&self, caller: Option<&str>) -> Vec<Neighbour<'t>> {
        self.all.iter().filter(|it| self.caller(it) == caller).copied().collect()
    }

    /// Who calls an operation; nobody in particular when it is open.
    pub fn caller(&self, it: &Neighbour<'t>) -> Option<&'t str> {
        let (scheme, _) = it.node.get("security")?.items().first()?.entries().first()?;
        let (_, node) = schemes_of(self.root).iter().find(|(name, _)| name.text == scheme.text)?;
        self.called(node)
    }

    /// Whom a security scheme proves; it may stand in common.yaml.
    fn called(&self, scheme: &'t Node) -> Option<&'t str> {
        let shared = scheme.get("$ref").and_then(Node::as_str).and_then(|it| it.rsplit('/').next());
        let scheme = match shared {
            None => scheme,
            Some(shared) => {
                &schemes_of(self.common?).iter().find(|(name, _)| name.text == shared)?.1
            }
        };
        scheme.get("x-caller")?.as_str()
    }

    /// An answer with exactly these codes, copied to an indentation.
    pub fn answer(
        &self,
        among: &[Neighbour<'t>],
        status: &str,
        codes: &BTreeSet<String>,
        to: usize,
    ) -> Option<Vec<String>> {
        among.iter().find_map(|it| {
            let (key, answer) = it.answers().find(|(key, _)| key.text == status)?;
            let is_same =
                codes_of(answer).iter().eq(codes.iter()) && begins_its_line(&self.lines, key);
            is_same.then(|| self.copy(key, to))
        })
    }

    /// The operations that know a caller, by credentials or by what stands in the body.
    pub fn proving(&self) -> impl Iterator<Item = &Neighbour<'t>> {
        self.all.iter().filter(|it| it.node.knows_caller())
    }

    /// The parameters of common.yaml that every operation here has that knows a caller.
    pub fn shared_parameters(&self) -> BTreeSet<String> {
        let mine = |it: &Neighbour<'_>| {
            let listed = it.node.get("parameters").map_or(&[][..], Node::items).iter();
            let targets = listed.filter_map(|it| it.get("$ref")?.as_str());
            let shared = targets.filter(|it| it.starts_with("common.yaml#"));
            shared.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        self.proving().map(mine).reduce(|a, b| &a & &b).unwrap_or_default()
    }

    /// A path parameter of this name, copied to an indentation.
    pub fn parameter(&self, name: &str, to: usize) -> Option<Vec<String>> {
        let listed = self.all.iter().filter_map(|it| it.node.get("parameters"));
        listed.flat_map(|it| it.items()).find_map(|it| {
            let is_it = |key, value| it.get(key).and_then(Node::as_str) == Some(value);
            let (range, from) = item(&self.lines, it)?;
            (is_it("name", name) && is_it("in", "path"))
                .then(|| moved(&self.lines[range], from, to))
        })
    }

    /// Headers out of common.yaml that all such answers to a caller have: name and reference.
    pub fn common_headers(
        &self,
        caller: Option<&str>,
        is_meant: impl Fn(&str) -> bool,
    ) -> BTreeSet<(String, String)> {
        let among = self.called_by(caller);
        let among = if among.is_empty() { self.all.clone() } else { among };
        let answers = among.iter().flat_map(Neighbour::answers);
        let each = answers.filter(|(key, _)| is_meant(&key.text)).map(|(_, answer)| {
            let headers = answer.get("headers").map_or(&[][..], Node::entries).iter();
            let shared = headers.filter_map(|(name, header)| {
                Some((name.text.clone(), header.get("$ref")?.as_str()?.to_owned()))
            });
            shared.collect::<BTreeSet<_>>()
        });
        each.reduce(|kept, other| &kept & &other).unwrap_or_default()
    }

    /// A schema of the document.
    pub fn schema(&self, name: &str) -> Option<&'t Node> {
        self.root.get("components")?.get("schemas")?.get(name)
    }

    /// Whether every successful body here is `{data: …}`.
    pub fn answers_in_envelopes(&self) -> bool {
        let answers = self.all.iter().flat_map(Neighbour::answers);
        let bodies = answers.filter(|(key, _)| key.text.starts_with('2')).filter_map(|(_, it)| {
            let schema = it.get("content")?.get("application/json")?.get("schema")?;
            let name = schema.get("$ref")?.as_str()?.rsplit('/').next()?;
            let properties = self.schema(name)?.get("properties")?.entries();
            Some(properties.len() == 1 && properties[0].0.text == "data")
        });
        let all: Vec<bool> = bodies.collect();
        !all.is_empty() && all.into_iter().all(|it| it)
    }

    /// Whether a caller's secret does not belong into a page.
    pub fn browser_refused(&self, caller: &str) -> bool {
        let schemes = self.root.get("components").and_then(|it| it.get("securitySchemes"));
        let mine = self.schemes(caller).into_iter();
        let mut mine = mine.filter_map(|name| schemes?.get(name)?.get("x-browser"));
        mine.any(|it| it.as_str() == Some("refused"))
    }

    pub fn copy(&self, key: &Key, to: usize) -> Vec<String> {
        moved(&self.lines[block(&self.lines, key)], key.span.column - 1, to)
    }
}

impl<'t> Neighbour<'t> {
    pub fn answers(&self) -> impl Iterator<Item = (&'t Key, &'t Node)> {
        let answers = self.node.get("responses").map_or(&[][..], Node::entries);
        answers.iter().map(|(key, node)| (key, node))
    }

    pub fn is_set(&self, name: &str) -> bool {
        matches!(self.node.get(name).map(Node::to_json), Some(serde_json::Value::Bool(true)))
    }

    /// The codes of a status; none when it is not documented.
    pub fn codes(&self, status: &str) -> BTreeSet<&'t str> {
        let answer = self.answers().find(|(key, _)| key.text == status);
        answer.map(|(_, node)| codes_of(node)).unwrap_or_default()
    }
}

fn codes_of(answer: &Node) -> BTreeSet<&str> {
    let codes = answer.get("x-codes").map_or(&[][..], Node::items);
    codes.iter().filter_map(Node::as_str).collect()
}

fn schemes_of(root: &Node) -> &[(Key, Node)] {
    let schemes = root.get("components").and_then(|it| it.get("securitySchemes"));
    schemes.map_or(&[][..], Node::entries)
}
