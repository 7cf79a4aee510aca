//! What the mock serves: the generator's facts of each operation, tied to its document.
//!
//! Read once at the start and kept for good, as generated code keeps them.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::Method;
use serde::Deserialize;
use serde_json::Value;
use vestibule_runtime::json::MAX_VALUES;
use vestibule_runtime::strategy::{Caps, SchemaSet};
use vestibule_runtime::{
    BodyInfo, Checks, Code, CredentialInfo, IdempotencyInfo, OperationInfo, Schema, StandardCodes,
    TestClockInfo, parameters,
};

/// The most bytes of a drawn answer.
const ANSWER_BYTES: usize = 64 << 10;

/// What the mock cannot work with, as one line.
#[derive(Debug)]
pub struct Unusable(pub String);

/// Everything there is to serve.
#[derive(Debug)]
pub struct Facts {
    pub(crate) operations: Vec<&'static MockOperation>,
    pub(crate) codes: &'static StandardCodes,
}

/// One operation.
#[derive(Debug)]
pub struct MockOperation {
    /// What generated code would know of it.
    pub info: &'static OperationInfo,
    /// Its document, bundled.
    pub document: &'static Value,
    pub(crate) checks: Checks,
    pub(crate) schemas: Arc<SchemaSet>,
}

impl MockOperation {
    /// Its own object in the document.
    pub fn definition(&self) -> &'static Value {
        let method = self.info.method.as_str().to_lowercase();
        &self.document["paths"][self.info.path][method.as_str()]
    }

    /// The answer that it documents for a status.
    pub fn response(&self, status: u16) -> &'static Value {
        self.resolve(&self.definition()["responses"][status.to_string()])
    }

    /// What a node stands for, through any chain of references.
    pub(crate) fn resolve(&self, node: &'static Value) -> &'static Value {
        let mut node = node;
        while let Some(pointer) = node["$ref"].as_str().and_then(|text| text.strip_prefix('#')) {
            let Some(next) = self.document.pointer(pointer) else { return node };
            node = next;
        }
        node
    }
}

impl Facts {
    /// Reads `facts.json` and the documents beside it.
    ///
    /// # Errors
    /// When a file is not there or not what the generator writes.
    pub fn read(folder: &Path) -> Result<Self, Unusable> {
        let raw: RawFacts = read(&folder.join("facts.json"))?;
        let codes: Vec<Code> = raw.codes.iter().map(RawCode::leaked).collect();
        let mut documents: Vec<(String, &'static Value, Arc<SchemaSet>)> = Vec::new();
        let mut operations = Vec::new();
        for operation in raw.operations {
            if !documents.iter().any(|(name, ..)| *name == operation.document) {
                let file = folder.join("documents").join(format!("{}.json", operation.document));
                let value: &'static Value = Box::leak(Box::new(read(&file)?));
                let caps = Caps { body_bytes: ANSWER_BYTES, values: MAX_VALUES };
                let set = Arc::new(SchemaSet::new(value, caps));
                documents.push((operation.document.clone(), value, set));
            }
            let known = documents.iter().find(|(name, ..)| *name == operation.document);
            let Some((_, document, schemas)) = known else { continue };
            operations.push(operation.leaked(document, schemas, &codes)?);
        }
        Ok(Self { operations, codes: standard(&codes)? })
    }

    /// Those of some documents; of all when none is named.
    ///
    /// # Errors
    /// When there is no such document.
    pub fn only(mut self, documents: &[String]) -> Result<Self, Unusable> {
        for name in documents {
            if !self.operations.iter().any(|operation| operation.info.document == name) {
                let mut known: Vec<_> = self.operations.iter().map(|it| it.info.document).collect();
                known.dedup();
                let known = known.join(", ");
                return Err(Unusable(format!("there is no document `{name}`; there are {known}")));
            }
        }
        let is_wanted = |it: &&MockOperation| documents.iter().any(|n| *n == it.info.document);
        self.operations.retain(|operation| documents.is_empty() || is_wanted(operation));
        Ok(self)
    }
}

fn read<T: serde::de::DeserializeOwned>(file: &Path) -> Result<T, Unusable> {
    let unusable = |bad: &dyn std::fmt::Display| {
        Unusable(format!("{}: {bad}; start the mock by `cargo xtask mock`", file.display()))
    };
    let text = fs::read_to_string(file).map_err(|bad| unusable(&bad))?;
    serde_json::from_str(&text).map_err(|bad| unusable(&bad))
}

#[derive(Deserialize)]
struct RawFacts {
    codes: Vec<RawCode>,
    operations: Vec<RawOperation>,
}

#[derive(Deserialize)]
struct RawCode {
    name: String,
    message: String,
}

#[derive(Deserialize)]
struct RawOperation {
    document: String,
    id: String,
    method: String,
    path: String,
    parts: Vec<String>,
    body: Option<RawBody>,
    parameters_refused: String,
    credentials: Vec<RawCredential>,
    challenge: String,
    cors: bool,
    exposed: String,
    idempotency: Option<RawIdempotency>,
    test_clock: Option<RawTestClock>,
    answers: Vec<RawAnswer>,
}

#[derive(Deserialize)]
struct RawBody {
    schema: String,
    max_bytes: usize,
    refused: String,
}

#[derive(Deserialize)]
struct RawCredential {
    caller: String,
    headers: Vec<String>,
    browser_refused: bool,
}

#[derive(Deserialize)]
struct RawIdempotency {
    header: String,
    replayed: String,
    kept_ms: i64,
}

#[derive(Deserialize)]
struct RawTestClock {
    header: String,
    ahead_ms: i64,
    refused: String,
}

#[derive(Deserialize)]
struct RawAnswer {
    status: u16,
    codes: Vec<String>,
}

impl RawCode {
    fn leaked(&self) -> Code {
        Code { name: leaked(&self.name), message: leaked(&self.message) }
    }
}

impl RawOperation {
    fn leaked(
        &self,
        document: &'static Value,
        schemas: &Arc<SchemaSet>,
        codes: &[Code],
    ) -> Result<&'static MockOperation, Unusable> {
        let method = Method::from_bytes(self.method.as_bytes())
            .map_err(|bad| Unusable(format!("facts.json: {}: {bad}", self.method)))?;
        let mut answers: Vec<(u16, &'static [Code])> = Vec::new();
        for answer in &self.answers {
            let mine: Result<Vec<_>, _> = answer.codes.iter().map(|c| named(codes, c)).collect();
            answers.push((answer.status, Vec::leak(mine?)));
        }
        let body = self.body.as_ref().map(|body| {
            let refused = named(codes, &body.refused)?;
            Ok(BodyInfo { schema: leaked(&body.schema), max_bytes: body.max_bytes, refused })
        });
        let credentials = self.credentials.iter().map(|it| CredentialInfo {
            caller: leaked(&it.caller),
            headers: Vec::leak(it.headers.iter().map(|name| leaked(name)).collect()),
            browser_refused: it.browser_refused,
        });
        let idempotency = self.idempotency.as_ref().map(|it| IdempotencyInfo {
            header: leaked(&it.header),
            replayed: leaked(&it.replayed),
            kept_ms: it.kept_ms,
        });
        let test_clock = self.test_clock.as_ref().map(|it| {
            let refused = named(codes, &it.refused)?;
            Ok(TestClockInfo { header: leaked(&it.header), ahead_ms: it.ahead_ms, refused })
        });
        let part = |name: &str| parameters(document, &self.path, &self.method.to_lowercase(), name);
        let has = |name: &str| self.parts.iter().any(|it| it == name);
        let checks = Checks {
            path: has("path").then(|| part("path")),
            query: part("query"),
            headers: has("header").then(|| part("header")),
            body: self.body.as_ref().map(|body| Schema::component(document, &body.schema)),
        };
        let info = Box::leak(Box::new(OperationInfo {
            document: leaked(&self.document),
            id: leaked(&self.id),
            method,
            path: leaked(&self.path),
            body: body.transpose()?,
            parameters_refused: named(codes, &self.parameters_refused)?,
            credentials: Vec::leak(credentials.collect()),
            challenge: leaked(&self.challenge),
            cors: self.cors,
            exposed: leaked(&self.exposed),
            idempotency,
            test_clock: test_clock.transpose()?,
            answers: Vec::leak(answers),
        }));
        let schemas = Arc::clone(schemas);
        Ok(Box::leak(Box::new(MockOperation { info, document, checks, schemas })))
    }
}

fn standard(codes: &[Code]) -> Result<&'static StandardCodes, Unusable> {
    Ok(Box::leak(Box::new(StandardCodes {
        internal: named(codes, "internal")?,
        invalid_json: named(codes, "invalid_json")?,
        not_implemented: named(codes, "not_implemented")?,
        origin_not_allowed: named(codes, "origin_not_allowed")?,
        payload_too_large: named(codes, "payload_too_large")?,
        request_timeout: named(codes, "request_timeout")?,
        secret_key_in_browser: named(codes, "secret_key_in_browser")?,
        unavailable: named(codes, "unavailable")?,
        unsupported_media_type: named(codes, "unsupported_media_type")?,
    })))
}

fn named(codes: &[Code], name: &str) -> Result<Code, Unusable> {
    let found = codes.iter().find(|code| code.name == name).copied();
    found.ok_or_else(|| Unusable(format!("facts.json: there is no code `{name}`")))
}

fn leaked(text: &str) -> &'static str {
    String::leak(text.to_owned())
}
