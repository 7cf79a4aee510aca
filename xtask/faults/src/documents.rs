//! The bundled documents that faults are planted in: their operations, schemas and headers.
//!
//! Every bound and every name that a fault needs is read from here. Knows no server.

use std::path::Path;

use http::{HeaderName, Method};
use serde_json::Value;
use vestibule_schema::Schema;

/// The documents as they are bundled beside the generated server.
const NAMES: [&str; 5] = ["embed", "chat", "iframe", "admin", "lifecycle"];
const BUNDLES: &str = "generated/server/documents";

/// All documents.
pub struct Documents {
    all: Vec<(&'static str, Value)>,
    operations: Vec<Operation>,
}

/// One operation of a document.
pub struct Operation {
    /// Its `operationId`.
    pub id: String,
    /// The document it stands in.
    pub document: &'static str,
    /// Its method.
    pub method: Method,
    /// Its path with `{…}` for parameters.
    pub template: String,
    /// The schema of its body, ready to check, where it takes one.
    pub body: Option<Schema>,
    /// The most bytes of a body, where the document says so.
    pub max_bytes: Option<usize>,
    /// The operation as it stands in the document.
    pub node: Value,
}

impl Operation {
    /// Whether a path is one of this operation's.
    pub fn is_at(&self, path: &str) -> bool {
        let (mut asked, mut known) = (path.split('/'), self.template.split('/'));
        loop {
            match (asked.next(), known.next()) {
                (None, None) => return true,
                (Some(asked), Some(known)) if known.starts_with('{') || asked == known => {}
                (_, _) => return false,
            }
        }
    }
}

impl Documents {
    /// Reads the bundled documents of the repository at `root`.
    ///
    /// # Errors
    /// In words, when one cannot be read.
    pub fn read(root: &Path) -> Result<Self, String> {
        let mut all = Vec::new();
        for name in NAMES {
            let path = root.join(BUNDLES).join(format!("{name}.json"));
            let text = std::fs::read_to_string(&path)
                .map_err(|bad| format!("{} cannot be read: {bad}", path.display()))?;
            let document = serde_json::from_str(&text)
                .map_err(|bad| format!("{} is not JSON: {bad}", path.display()))?;
            all.push((name, document));
        }
        let operations = all.iter().flat_map(|(name, it)| operations(name, it)).collect();
        Ok(Self { all, operations })
    }

    /// The documents by name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.all.iter().map(|(name, document)| (*name, document))
    }

    /// The operation of this id.
    ///
    /// # Panics
    /// When no document has it: a fault was planted in an operation that is gone.
    pub fn operation(&self, id: &str) -> &Operation {
        let found = self.operations.iter().find(|operation| operation.id == id);
        found.unwrap_or_else(|| panic!("no document has the operation {id}"))
    }

    /// The document that an operation stands in.
    pub fn document(&self, operation: &Operation) -> &Value {
        let mut all = self.all.iter();
        let found = all.find(|(name, _)| *name == operation.document);
        found.map(|(_, document)| document).expect("operations are read from these documents")
    }

    /// The schema of the value at a pointer into an operation's body, references resolved.
    pub fn schema_at<'a>(&'a self, operation: &'a Operation, pointer: &str) -> Option<&'a Value> {
        let document = self.document(operation);
        let found = operation.node.pointer("/requestBody/content/application~1json/schema")?;
        let mut found = resolved(document, found)?;
        for segment in pointer.split('/').skip(1) {
            let listed = found["properties"].get(segment);
            let next = listed.or_else(|| found.get("items"));
            let next = next.or_else(|| found.get("additionalProperties"))?;
            found = resolved(document, next)?;
        }
        Some(found)
    }

    /// The name of the header that a security scheme stands for.
    ///
    /// # Panics
    /// When no document has such a scheme.
    pub fn header(&self, scheme: &str) -> HeaderName {
        let name = self.scheme(scheme)["name"].as_str().unwrap_or_default();
        HeaderName::from_bytes(name.as_bytes()).expect("the lint admits header names alone")
    }

    /// A security scheme.
    ///
    /// # Panics
    /// When no document has it.
    pub fn scheme(&self, name: &str) -> &Value {
        let mut schemes = self.all.iter().map(|(_, it)| &it["components"]["securitySchemes"][name]);
        let found = schemes.find(|scheme| !scheme.is_null());
        found.unwrap_or_else(|| panic!("no document has the scheme {name}"))
    }
}

fn operations<'a>(name: &'static str, document: &'a Value) -> impl Iterator<Item = Operation> + 'a {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(move |(template, path)| {
        let methods = path.as_object().into_iter().flatten();
        methods.filter_map(move |(method, node)| {
            let id = node["operationId"].as_str()?.to_owned();
            let body = node.pointer("/requestBody/content/application~1json/schema");
            let max = node["x-max-bytes"].as_u64();
            Some(Operation {
                id,
                document: name,
                method: method.to_uppercase().parse().ok()?,
                template: template.clone(),
                body: body.map(|schema| Schema::inline(document, schema)),
                max_bytes: max.and_then(|bytes| bytes.try_into().ok()),
                node: node.clone(),
            })
        })
    })
}

/// The schema behind any chain of references of a bundled document.
pub fn resolved<'a>(document: &'a Value, mut schema: &'a Value) -> Option<&'a Value> {
    while let Some(reference) = schema["$ref"].as_str() {
        schema = document.pointer(reference.trim_start_matches('#'))?;
    }
    Some(schema)
}
