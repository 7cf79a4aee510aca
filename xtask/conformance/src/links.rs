//! OpenAPI's `links`: a value in an operation's answer that feeds a parameter or a member of
//! another operation's request.
//!
//! Knows the documents alone.

use serde_json::{Map, Value};

use crate::document::{Document, Known, Operation, Source, members, resolve};

/// One link.
pub struct Link {
    /// The operation whose answer has it.
    pub from: String,
    to: Option<String>,
    parameters: Map<String, Value>,
    body: Map<String, Value>,
}

impl Link {
    fn new(from: &str, source: &Value) -> Self {
        let map = |name: &str| source[name].as_object().cloned().unwrap_or_default();
        Self {
            from: from.to_owned(),
            to: source["operationId"].as_str().map(str::to_owned),
            parameters: map("parameters"),
            body: map("requestBody"),
        }
    }

    /// The names it gives values to, and the pointers into the answer.
    pub fn pointers(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.parameters.iter().chain(&self.body);
        all.filter_map(|(name, it)| Some((bare(name), pointer(it)?)))
    }

    fn source(&self, expression: &Value) -> Option<Source> {
        let (operation, pointer) = (self.from.clone(), pointer(expression)?.to_owned());
        Some(Source::Answer { operation, pointer })
    }
}

/// Every link of some documents.
pub fn of(documents: &[Document]) -> Vec<Link> {
    let mut found = Vec::new();
    for document in documents {
        let root = &*document.value;
        let sources = members(&root["paths"]).flat_map(|(_, item)| members(item));
        for (_, source) in sources {
            let Some(from) = source["operationId"].as_str() else { continue };
            let answers = members(&source["responses"]).filter(|(key, _)| key.starts_with('2'));
            for (_, link) in answers.flat_map(|(_, it)| members(&resolve(root, it)["links"])) {
                found.push(Link::new(from, resolve(root, link)));
            }
        }
    }
    found
}

/// Tells operations which of their values come from the answers of others.
pub fn connect(documents: &[Document], all: &mut [Operation]) {
    for link in of(documents) {
        let Some(target) = all.iter_mut().find(|it| Some(&it.id) == link.to.as_ref()) else {
            continue;
        };
        for (name, expression) in &link.parameters {
            let parameter = target.parameters.iter_mut().find(|it| it.name == bare(name));
            if let (Some(parameter), Some(source)) = (parameter, link.source(expression)) {
                parameter.source.get_or_insert(source);
            }
        }
        let Some(body) = &mut target.body else { continue };
        for (name, expression) in &link.body {
            let mut pointer = String::new();
            vestibule_schema::pointer_push(&mut pointer, name);
            if let Some(source) = link.source(expression) {
                body.known.push(Known { pointer, source, foreign: None, unknown: None });
            }
        }
    }
}

/// A parameter's name without the part of the request before it: `path.keyId`.
fn bare(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The pointer of a runtime expression: `$response.body#/key/keyId`.
fn pointer(expression: &Value) -> Option<&str> {
    expression.as_str()?.strip_prefix("$response.body#")
}
