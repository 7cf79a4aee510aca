//! A bundled document as the run needs it: operations with their parameters, bodies, answers,
//! credentials, and where the values come from that only a deployment knows.
//!
//! Everything is read from the document alone. Knows no transport and no credential's value.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use http::Method;
use serde_json::{Map, Value};
use vestibule_schema::strategy::{Caps, SchemaSet};
use vestibule_schema::{Part, Schema};

pub use crate::scheme::{Carrier, Covers, Role, Scheme};
use crate::{links, reach};

/// One document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Its name: `embed`.
    pub name: String,
    /// All of it.
    pub value: Arc<Value>,
    /// Its schemas, to draw from.
    pub schemas: Arc<SchemaSet>,
}

impl Document {
    /// Reads a bundled document: complete OpenAPI, every `$ref` inside it.
    ///
    /// # Errors
    /// One line that says why it is none.
    pub fn read(name: &str, text: &str) -> Result<Self, String> {
        let mut value: Value =
            serde_json::from_str(text).map_err(|bad| format!("the document is not JSON: {bad}"))?;
        reach::without_annotations(&mut value);
        let version = value["openapi"].as_str().unwrap_or_default();
        if !version.starts_with("3.0.") {
            let told = ["openapi", "swagger"].iter().find_map(|it| value[it].as_str());
            let told = told.map_or("says no version".to_owned(), |it| format!("is version {it}"));
            return Err(format!("the document {told}; this run reads OpenAPI 3.0"));
        }
        if !value["paths"].is_object() {
            return Err("the document has no `paths`; give a bundled OpenAPI document".into());
        }
        let schemas = Arc::new(SchemaSet::new(&value, Caps::default()));
        Ok(Self { name: name.to_owned(), value: Arc::new(value), schemas })
    }
}

/// One operation.
#[derive(Debug)]
pub struct Operation {
    /// The document that describes it.
    pub document: Document,
    /// Its `operationId`.
    pub id: String,
    /// Its method.
    pub method: Method,
    /// Its path with variables.
    pub path: String,
    /// Everything beside the body that can be given.
    pub parameters: Vec<Parameter>,
    /// Its JSON body.
    pub body: Option<Body>,
    /// Its answers by status (`200`, `4XX`, `default`).
    pub answers: BTreeMap<String, Answer>,
    /// Ways to prove the caller: one of these groups of schemes, each group as a whole.
    pub security: Vec<Vec<Scheme>>,
    /// Whether pages of other origins may call it.
    pub cors: bool,
    /// What of the document keeps it from being tried.
    pub obstacle: Option<String>,
    /// Methods that the document describes for the same path.
    pub siblings: Vec<Method>,
    /// What a broken body is answered with.
    pub body_refused: Option<Refused>,
    /// What broken parameters are answered with.
    pub parameters_refused: Option<Refused>,
}

/// A documented refusal: `x-validation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its status.
    pub status: u16,
    /// Its stable code.
    pub code: String,
}

/// A path, query or header parameter.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub part: Part,
    /// Whether it must be given.
    pub required: bool,
    /// Its schema.
    pub schema: Value,
    /// Where a value comes from that the deployment knows.
    pub source: Option<Source>,
    /// What makes it the key under which a request takes effect once.
    pub idempotency: Option<Idempotency>,
    /// The code that refuses it from everybody but test keys, when it moves a request's clock.
    pub test_clock: Option<String>,
}

/// A documented idempotency key: `x-idempotency`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Idempotency {
    /// The header of an answer that is given again.
    pub replayed: String,
    /// The code that refuses another request under the key.
    pub reused: String,
}

/// A JSON body.
#[derive(Debug)]
pub struct Body {
    /// Its media type.
    pub media_type: String,
    /// Its schema.
    pub schema: Value,
    /// The document's example of it.
    pub example: Option<Value>,
    /// The most bytes taken.
    pub max_bytes: Option<usize>,
    /// Members whose values the deployment knows.
    pub known: Vec<Known>,
    /// What a valid body may be refused with all the same.
    pub rules: Vec<Rule>,
}

/// A member of a body whose value only a deployment knows.
#[derive(Clone, Debug)]
pub struct Known {
    /// Where it stands; `*` is any item or member.
    pub pointer: String,
    /// Where its value comes from.
    pub source: Source,
    /// The code that refuses another tenant's value.
    pub foreign: Option<String>,
    /// The code that refuses a value that nobody has, where its status alone would not tell.
    pub unknown: Option<String>,
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// A path in the credentials file: `iframe.source_ids`.
    Credential(String),
    /// The answer of another operation, and the pointer there.
    Answer {
        /// Its id.
        operation: String,
        /// `/tenant/tenantId`
        pointer: String,
    },
}

/// A rule between members, which no schema says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The refusal has a code of its own; it may come only when all these members are there.
    Code {
        /// The code.
        code: String,
        /// Names of members of the body.
        when: Vec<String>,
    },
    /// The refusal is that of a broken constraint, with this violation.
    Violation {
        /// Where; `*` is any item or member.
        pointer: String,
        /// Which keyword.
        keyword: String,
    },
}

/// One documented answer.
#[derive(Debug)]
pub struct Answer {
    /// The stable codes it may have; empty when the document says none.
    pub codes: Vec<String>,
    /// Its headers.
    pub headers: Vec<Header>,
    /// Its bodies by media type.
    pub content: BTreeMap<String, Content>,
}

impl Answer {
    /// Of its headers and bodies.
    fn schemas(&self) -> impl Iterator<Item = &Compiled> {
        let headers = self.headers.iter().map(|it| &it.schema);
        headers.chain(self.content.values().filter_map(|it| it.schema.as_ref()))
    }
}

/// A documented header of an answer.
#[derive(Debug)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Whether every such answer has it.
    pub required: bool,
    /// What its value is.
    pub schema: Compiled,
}

/// A body of an answer.
#[derive(Debug)]
pub struct Content {
    /// What the body is.
    pub schema: Option<Compiled>,
}

/// A schema that is compiled when it is first asked.
#[derive(Debug)]
pub struct Compiled {
    document: Arc<Value>,
    schema: Value,
    ready: OnceLock<Result<Schema, String>>,
}

impl Compiled {
    fn new(document: &Document, schema: &Value) -> Self {
        let (document, schema) = (document.value.clone(), schema.clone());
        Self { document, schema, ready: OnceLock::new() }
    }

    /// The schema, ready to check values.
    ///
    /// # Panics
    /// When it does not compile, which [`Operation::judgeable`] has found before.
    pub fn get(&self) -> &Schema {
        self.compile().as_ref().unwrap_or_else(|bad| panic!("nobody asked for it before: {bad}"))
    }

    fn compile(&self) -> &Result<Schema, String> {
        self.ready.get_or_init(|| Schema::try_inline(&self.document, &self.schema))
    }

    /// The type it asks for, behind its references.
    pub fn kind(&self) -> Option<&str> {
        resolve(&self.document, &self.schema)["type"].as_str()
    }
}

impl Operation {
    /// What the document says of a status.
    pub fn answer(&self, status: u16) -> Option<&Answer> {
        let class = format!("{}XX", status / 100);
        let of = |key: &str| self.answers.get(key);
        of(&status.to_string()).or_else(|| of(&class)).or_else(|| of("default"))
    }

    /// Whether the document names this status itself or its class.
    pub fn documents(&self, status: u16) -> bool {
        self.answer(status).is_some()
    }

    /// The status that a code is documented with.
    pub fn status_of(&self, code: &str) -> Option<u16> {
        let with = self.answers.iter().find(|(_, it)| it.codes.iter().any(|known| known == code));
        with.and_then(|(status, _)| status.parse().ok())
    }

    /// The ways to prove the caller, or the one at this place.
    pub fn ways(&self, way: Option<usize>) -> &[Vec<Scheme>] {
        way.map_or(&self.security[..], |at| self.security.get(at..=at).unwrap_or_default())
    }

    /// Whether everything that it needs can be drawn from and checked by.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn usable(&self) -> Result<(), String> {
        self.obstacle.clone().map_or(Ok(()), Err)?;
        let root = &*self.document.value;
        let sent = self.parameters.iter().map(|it| &it.schema);
        let sent = sent.chain(self.body.iter().map(|it| &it.schema));
        let answers = self.answers.values().flat_map(Answer::schemas);
        let mut all = sent.chain(answers.map(|it| &it.schema));
        let foreign = all.find_map(|schema| reach::foreign(root, schema));
        foreign.map_or(Ok(()), |what| {
            Err(format!("its schemas use {what}, which this run cannot judge"))
        })
    }

    /// Whether an answer of this status can be judged; compiles its schemas.
    ///
    /// # Errors
    /// What of the document cannot be used.
    pub fn judgeable(&self, status: u16) -> Result<(), String> {
        let mut schemas = self.answer(status).into_iter().flat_map(Answer::schemas);
        let bad = schemas.find_map(|schema| schema.compile().as_ref().err());
        bad.map_or(Ok(()), |bad| {
            Err(format!("the document's {status} of {} cannot be judged: {bad}", self.id))
        })
    }
}

/// Behind any chain of references inside the document.
pub fn resolve<'a>(document: &'a Value, node: &'a Value) -> &'a Value {
    let target = |node: &Value| document.pointer(node.get("$ref")?.as_str()?.strip_prefix('#')?);
    let mut node = node;
    // A chain longer than this goes in a circle.
    for _ in 0..16 {
        let Some(next) = target(node) else { break };
        node = next;
    }
    node
}

/// Every operation of some documents, with links between them.
///
/// # Errors
/// A sentence that says what of a document cannot be used.
pub fn operations(documents: &[Document]) -> Result<Vec<Arc<Operation>>, String> {
    let mut all = Vec::new();
    for document in documents {
        let paths = members(&document.value["paths"]);
        for (path, item) in paths {
            let methods = members(item).filter_map(|(name, it)| Some((verb(name)?, it)));
            let methods: Vec<_> = methods.collect();
            let siblings: Vec<_> = methods.iter().map(|(method, _)| method.clone()).collect();
            for (method, source) in methods {
                let place = Place { document, path, item, siblings: &siblings };
                all.push(place.operation(method, source)?);
            }
        }
    }
    if all.is_empty() {
        let names: Vec<_> = documents.iter().map(|it| it.name.as_str()).collect();
        return Err(format!("no operation is described by {}", names.join(", ")));
    }
    unlike(&all)?;
    links::connect(documents, &mut all);
    Ok(all.into_iter().map(Arc::new).collect())
}

/// One operation that two documents describe has no name of its own.
fn unlike(all: &[Operation]) -> Result<(), String> {
    let mut seen = BTreeMap::new();
    for it in all {
        let (method, path, name) = (it.method.as_str(), it.path.as_str(), &it.document.name);
        if let Some(other) = seen.insert((path, method), name) {
            return Err(format!(
                "{method} {path} is described by {other} and by {name}; give each document once"
            ));
        }
    }
    Ok(())
}

struct Place<'a> {
    document: &'a Document,
    path: &'a str,
    item: &'a Value,
    siblings: &'a [Method],
}

impl Place<'_> {
    fn operation(&self, method: Method, source: &Value) -> Result<Operation, String> {
        let root = &*self.document.value;
        let fallback = format!("{method} {}", self.path);
        let id = source["operationId"].as_str().map_or(fallback, str::to_owned);
        let parameters = self.parameters(source);
        let answers = members(&source["responses"])
            .map(|(status, it)| (status.clone(), self.answer(resolve(root, it))))
            .collect();
        let security = source.get("security").or_else(|| root.get("security"));
        let security = security.into_iter().flat_map(list).map(|group| self.group(group));
        let (security, obstacle) = match security.collect::<Result<_, _>>() {
            Ok(security) => (security, None),
            Err(why) => (vec![], Some(why)),
        };
        let refused = |part: &str| {
            let told = &root["x-validation"][part];
            let status = u16::try_from(told["status"].as_u64()?).ok()?;
            Some(Refused { status, code: told["code"].as_str()?.to_owned() })
        };
        Ok(Operation {
            document: self.document.clone(),
            method,
            path: self.path.to_owned(),
            parameters,
            body: body(root, source),
            answers,
            obstacle,
            security,
            cors: source["x-cors"] == true,
            siblings: self.siblings.to_vec(),
            body_refused: refused("body"),
            parameters_refused: refused("parameters"),
            id,
        })
    }

    /// Those of the path, and of the operation; of two at one place the operation's counts.
    fn parameters(&self, source: &Value) -> Vec<Parameter> {
        let root = &*self.document.value;
        let of = |node| list(node).filter_map(|it| parameter(root, resolve(root, it)));
        let own: Vec<_> = of(&source["parameters"]).collect();
        let is_own = |it: &Parameter| own.iter().any(|o| (o.part, &o.name) == (it.part, &it.name));
        let shared: Vec<_> = of(&self.item["parameters"]).filter(|it| !is_own(it)).collect();
        shared.into_iter().chain(own).collect()
    }

    fn answer(&self, source: &Value) -> Answer {
        let root = &*self.document.value;
        let headers = members(&source["headers"]).map(|(name, it)| {
            let header = resolve(root, it);
            let schema = Compiled::new(self.document, &header["schema"]);
            Header { name: name.clone(), required: header["required"] == true, schema }
        });
        let content = members(&source["content"]).map(|(media_type, it)| {
            let schema = it.get("schema").map(|schema| Compiled::new(self.document, schema));
            (media_type.clone(), Content { schema })
        });
        Answer {
            codes: texts(&source["x-codes"]),
            headers: headers.collect(),
            content: content.collect(),
        }
    }

    fn group(&self, group: &Value) -> Result<Vec<Scheme>, String> {
        members(group).map(|(name, _)| self.scheme(name)).collect()
    }

    fn scheme(&self, name: &str) -> Result<Scheme, String> {
        let root = &*self.document.value;
        let source = resolve(root, &root["components"]["securitySchemes"][name]);
        let carrier = match (source["type"].as_str(), source["name"].as_str()) {
            (Some("http"), _) if source["scheme"] == "bearer" => Carrier::Bearer,
            (Some("oauth2" | "openIdConnect"), _) => Carrier::Bearer,
            (Some("apiKey"), Some(header)) if source["in"] == "header" => {
                Carrier::Header(header.to_owned())
            }
            (kind, _) => {
                let kind = kind.unwrap_or("nothing");
                return Err(format!(
                    "the security scheme `{name}` is of a kind that cannot be tried ({kind}); \
                     bearer tokens and headers can"
                ));
            }
        };
        let obtained = &source["x-obtained-by"];
        let from = match (obtained["operationId"].as_str(), obtained["pointer"].as_str()) {
            (Some(operation), Some(pointer)) => {
                Source::Answer { operation: operation.to_owned(), pointer: pointer.to_owned() }
            }
            // Somebody else's document does not say where: then under the scheme's own name.
            _ => Source::Credential(source["x-credential"].as_str().unwrap_or(name).to_owned()),
        };
        let role = match (source["x-window-ms"].as_i64(), source["x-signature"].as_str()) {
            (Some(window_ms), _) => Role::Timestamp { window_ms },
            (None, Some("hmac-sha256-vestibule2")) => Role::Signature { covers: Covers::Request },
            (None, Some(_)) => Role::Signature { covers: Covers::Body },
            (None, None) if source["x-nonce-length"].is_number() => Role::Nonce,
            (None, None) => Role::Credential,
        };
        Ok(Scheme {
            name: name.to_owned(),
            carrier,
            source: from,
            role,
            refuses_browsers: source["x-browser"] == "refused",
        })
    }
}

fn parameter(root: &Value, source: &Value) -> Option<Parameter> {
    let part = match source["in"].as_str()? {
        "path" => Part::Path,
        "query" => Part::Query,
        "header" => Part::Header,
        _ => return None,
    };
    let credential = source["x-credential"].as_str();
    let idempotency = &source["x-idempotency"];
    let told = |name: &str| idempotency[name].as_str().map(str::to_owned);
    Some(Parameter {
        name: source["name"].as_str()?.to_owned(),
        part,
        required: source["required"] == true,
        schema: resolve(root, &source["schema"]).clone(),
        source: credential.map(|path| Source::Credential(path.to_owned())),
        idempotency: told("replayed")
            .zip(told("reused"))
            .map(|(replayed, reused)| Idempotency { replayed, reused }),
        test_clock: source["x-test-clock"]["refused"].as_str().map(str::to_owned),
    })
}

fn body(root: &Value, operation: &Value) -> Option<Body> {
    let source = resolve(root, operation.get("requestBody")?);
    let is_json = |media_type: &str| {
        let essence = media_type.split(';').next().unwrap_or_default().trim();
        essence == "application/json" || essence.ends_with("+json")
    };
    let (media_type, content) = members(&source["content"]).find(|(name, _)| is_json(name))?;
    let schema = content.get("schema")?;
    let example = content.get("example").or_else(|| resolve(root, schema).get("example"));
    let known = members(&source["x-credentials"]).filter_map(|(pointer, told)| {
        let path = told.as_str().or_else(|| told["credential"].as_str())?;
        Some(Known {
            pointer: pointer.clone(),
            source: Source::Credential(path.to_owned()),
            foreign: told["foreign"].as_str().map(str::to_owned),
            unknown: told["unknown"].as_str().map(str::to_owned),
        })
    });
    let max_bytes = operation["x-max-bytes"].as_u64().and_then(|n| usize::try_from(n).ok());
    Some(Body {
        media_type: media_type.clone(),
        schema: schema.clone(),
        example: example.cloned(),
        max_bytes,
        known: known.collect(),
        rules: list(&source["x-rules"]).filter_map(rule).collect(),
    })
}

fn rule(source: &Value) -> Option<Rule> {
    let text = |name: &str| source[name].as_str().map(str::to_owned);
    if let Some(code) = text("code") {
        return Some(Rule::Code { code, when: texts(&source["when"]) });
    }
    Some(Rule::Violation { pointer: text("pointer")?, keyword: text("keyword")? })
}

fn verb(name: &str) -> Option<Method> {
    match name {
        "get" => Some(Method::GET),
        "put" => Some(Method::PUT),
        "post" => Some(Method::POST),
        "patch" => Some(Method::PATCH),
        "delete" => Some(Method::DELETE),
        "head" => Some(Method::HEAD),
        _ => None,
    }
}

/// The members of an object.
pub fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flat_map(Map::iter)
}

fn list(node: &Value) -> impl Iterator<Item = &Value> {
    node.as_array().into_iter().flatten()
}

fn texts(node: &Value) -> Vec<String> {
    list(node).filter_map(Value::as_str).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
