//! The documents as the generators need them: operations with names, credentials and answers.

use std::collections::BTreeSet;

use heck::{ToSnakeCase, ToUpperCamelCase};
use http::StatusCode;
use serde_json::Value;

use super::Ungenerable;
use crate::document::Documents;

/// All documents' operations.
pub struct Api {
    /// In the order of documents, paths and methods.
    pub operations: Vec<Operation>,
    /// Stable codes and their default messages, sorted.
    pub codes: Vec<(String, String)>,
}

/// One operation.
pub struct Operation {
    pub document: String,
    /// The `operationId` as written, and in the two spellings of Rust.
    pub id: String,
    pub snake: String,
    pub pascal: String,
    pub tag: String,
    pub method: String,
    pub path: String,
    pub summary: String,
    pub description: String,
    pub body: Option<Body>,
    /// Which of `path`, `query` and `header` have documented parameters.
    pub parts: Vec<&'static str>,
    pub parameters_code: String,
    /// What proves the caller, any one of them; empty when nothing does.
    pub credentials: Vec<Credential>,
    pub challenge: String,
    pub cors: bool,
    /// The headers of its answers that pages of other origins may read, as one header says them.
    pub exposed: String,
    pub idempotency: Option<Idempotency>,
    pub test_clock: Option<TestClock>,
    pub answers: Vec<Answer>,
}

/// The header that makes an operation take effect once, `x-idempotency` of a parameter.
pub struct Idempotency {
    /// Of the request.
    pub header: String,
    /// Of an answer that is given again.
    pub replayed: String,
    pub kept_ms: i64,
}

/// The header that moves the clock of one request, `x-test-clock` of a parameter.
pub struct TestClock {
    pub header: String,
    pub ahead_ms: i64,
    /// The code of who may not.
    pub refused: String,
}

/// The method that serves an operation.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Handler {
    /// The `operationId`.
    pub id: String,
    /// The file that people write it in, below the repository's root.
    pub file: String,
    pub method: String,
}

/// A JSON request body.
pub struct Body {
    pub schema: String,
    pub max_bytes: u64,
    pub code: String,
    /// Optional members that may be `null`.
    pub nullable: Vec<String>,
}

/// What proves one kind of caller.
pub struct Credential {
    /// `x-caller` in snake case.
    pub caller: String,
    /// The headers of a signature, as the document spells them; none for a token in the standard
    /// header.
    pub headers: Vec<String>,
    /// Whether a signature covers the time and the body alone (version 1).
    pub signs_body_alone: bool,
    pub browser_refused: bool,
}

impl Credential {
    /// Whether it is a token in the standard header.
    pub fn is_bearer(&self) -> bool {
        self.headers.is_empty()
    }

    fn challenge(&self) -> String {
        match self.is_bearer() {
            true => BEARER.to_owned(),
            false => {
                format!("HMAC-SHA256 realm=\"vestibule\", headers=\"{}\"", self.headers.join(" "))
            }
        }
    }
}

const BEARER: &str = "Bearer realm=\"vestibule\"";

/// One documented status.
pub struct Answer {
    pub status: u16,
    /// `Created`, `BadRequest`, …
    pub variant: String,
    pub description: String,
    /// The schema of a success body.
    pub schema: Option<String>,
    /// Headers of a success that the handler or the generator fills.
    pub headers: Vec<Header>,
    /// Stable codes; empty for success.
    pub codes: Vec<String>,
}

/// A documented header of a success.
pub struct Header {
    /// In lower case.
    pub name: String,
    /// The field of the response variant.
    pub field: String,
    pub required: bool,
    /// The only value there is; generated code sets it.
    pub constant: Option<String>,
}

impl Operation {
    /// Who serves it.
    pub fn handler(&self) -> Handler {
        let file = format!("src/api/{}.rs", self.tag.to_snake_case());
        Handler { id: self.id.clone(), file, method: self.snake.clone() }
    }
}

impl Answer {
    /// Whether it is a 2xx.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Api {
    /// Reads every operation of every document.
    pub fn read(documents: &Documents) -> Result<Self, Ungenerable> {
        let mut operations = Vec::new();
        for document in &documents.documents {
            let reader = Reader { name: &document.name, root: &document.value };
            for (path, item) in members(&document.value["paths"]) {
                for (method, operation) in members(item) {
                    operations.push(reader.operation(path, method, operation)?);
                }
            }
        }
        let codes = documents.error_codes.iter().map(|(c, m)| (c.clone(), m.clone())).collect();
        Ok(Self { operations, codes })
    }

    /// The tags in use, sorted, each with its document and operations.
    pub fn tags(&self) -> Vec<(&str, Vec<&Operation>)> {
        let mut tags: Vec<(&str, Vec<&Operation>)> = Vec::new();
        for operation in &self.operations {
            match tags.iter_mut().find(|(tag, _)| *tag == operation.tag) {
                Some((_, mine)) => mine.push(operation),
                None => tags.push((&operation.tag, vec![operation])),
            }
        }
        tags.sort_by_key(|(tag, _)| *tag);
        tags
    }

    /// The combinations of credentials that open an operation, each any one of them.
    pub fn alternatives(&self) -> Vec<&[Credential]> {
        let mut all: Vec<&[Credential]> = Vec::new();
        for it in self.operations.iter().map(|it| &*it.credentials).filter(|it| it.len() > 1) {
            if !all.iter().any(|other| any_of(other) == any_of(it)) {
                all.push(it);
            }
        }
        all.sort_by_key(|it| any_of(it));
        all
    }

    /// The operations whose signature covers the time and the body alone.
    pub fn signed_by_body(&self) -> impl Iterator<Item = &Operation> {
        self.operations.iter().filter(|it| it.credentials.iter().any(|c| c.signs_body_alone))
    }

    /// The kinds of credentials in use, sorted, in snake case.
    pub fn callers(&self) -> Vec<&str> {
        let all = self.operations.iter().flat_map(|operation| &operation.credentials);
        let mut callers: Vec<_> = all.map(|credential| credential.caller.as_str()).collect();
        callers.sort_unstable();
        callers.dedup();
        callers
    }
}

/// `ApiKeyOrAdminKey`: what is proved by any one of several credentials.
pub fn any_of(credentials: &[Credential]) -> String {
    let kinds = credentials.iter().map(|it| it.caller.to_upper_camel_case());
    kinds.collect::<Vec<_>>().join("Or")
}

/// The members of an object node, sorted by name.
pub fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}

/// What a node stands for, through one local reference.
pub fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    let pointer = node["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| root.pointer(pointer)).unwrap_or(node)
}

/// The component that a node refers to.
pub fn component_name(node: &Value) -> Option<&str> {
    node["$ref"].as_str()?.strip_prefix("#/components/schemas/")
}

fn text(node: &Value) -> String {
    node.as_str().unwrap_or_default().to_owned()
}

/// The two directions of an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Request,
    Answer,
}

/// Names of the components that one side of the operations reaches.
pub fn reachable(document: &Value, side: Side) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (_, item) in members(&document["paths"]) {
        for (_, it) in members(item) {
            match side {
                Side::Request => {
                    walk(document, &it["requestBody"], &mut found);
                    walk(document, &it["parameters"], &mut found);
                }
                Side::Answer => walk(document, &it["responses"], &mut found),
            }
        }
    }
    found
}

fn walk(document: &Value, node: &Value, found: &mut BTreeSet<String>) {
    if let Some(name) = component_name(node) {
        if found.insert(name.to_owned()) {
            walk(document, &document["components"]["schemas"][name], found);
        }
        return;
    }
    // A response, a parameter or a header that stands among the components.
    let target = resolve(document, node);
    if !std::ptr::eq(target, node) {
        return walk(document, target, found);
    }
    match node {
        Value::Object(members) => members.values().for_each(|member| walk(document, member, found)),
        Value::Array(items) => items.iter().for_each(|item| walk(document, item, found)),
        _ => {}
    }
}

struct Reader<'a> {
    name: &'a str,
    root: &'a Value,
}

impl Reader<'_> {
    fn wrong(&self, pointer: &str, problem: &str) -> Ungenerable {
        Ungenerable::at(self.name, pointer, problem)
    }

    fn operation(&self, path: &str, method: &str, it: &Value) -> Result<Operation, Ungenerable> {
        let id = text(&it["operationId"]);
        let (credentials, challenge) = self.credentials(&id, &it["security"])?;
        let listed = it["parameters"].as_array().into_iter().flatten();
        let places: Vec<_> = listed.map(|p| text(&resolve(self.root, p)["in"])).collect();
        let known = ["path", "query", "header"];
        let parts = known.into_iter().filter(|part| places.iter().any(|p| p == part)).collect();
        let idempotency = self.idempotency(it);
        let of_the_runtime = idempotency.as_ref().map(|it| it.replayed.as_str());
        let answers =
            members(&it["responses"]).map(|(s, r)| self.answer(&id, s, r, of_the_runtime));
        let answers = answers.collect::<Result<_, _>>()?;
        Ok(Operation {
            document: self.name.to_owned(),
            snake: id.to_snake_case(),
            pascal: id.to_upper_camel_case(),
            tag: text(&it["tags"][0]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&it["summary"]),
            description: text(&it["description"]),
            body: self.body(&id, it)?,
            parts,
            parameters_code: text(&self.root["x-validation"]["parameters"]["code"]),
            credentials,
            challenge,
            cors: it["x-cors"] == true,
            exposed: exposed(self.root, it),
            idempotency,
            test_clock: self.test_clock(it),
            answers,
            id,
        })
    }

    /// The parameter of an operation that a keyword marks.
    fn marked<'v>(&'v self, operation: &'v Value, keyword: &str) -> Option<&'v Value> {
        let listed = operation["parameters"].as_array().into_iter().flatten();
        let mut parameters = listed.map(|parameter| resolve(self.root, parameter));
        parameters.find(|parameter| !parameter[keyword].is_null())
    }

    fn test_clock(&self, operation: &Value) -> Option<TestClock> {
        let header = self.marked(operation, "x-test-clock")?;
        let told = &header["x-test-clock"];
        Some(TestClock {
            header: text(&header["name"]),
            ahead_ms: told["ahead-ms"].as_i64()?,
            refused: text(&told["refused"]),
        })
    }

    fn idempotency(&self, operation: &Value) -> Option<Idempotency> {
        let key = self.marked(operation, "x-idempotency")?;
        let told = &key["x-idempotency"];
        Some(Idempotency {
            header: text(&key["name"]),
            replayed: text(&told["replayed"]),
            kept_ms: told["kept-ms"].as_i64()?,
        })
    }

    fn body(&self, id: &str, operation: &Value) -> Result<Option<Body>, Ungenerable> {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        if schema.is_null() {
            return Ok(None);
        }
        let name = component_name(schema)
            .ok_or_else(|| self.wrong(id, "a request body must be a named schema"))?;
        let max_bytes = operation["x-max-bytes"]
            .as_u64()
            .ok_or_else(|| self.wrong(id, "an operation with a body needs x-max-bytes"))?;
        let object = resolve(self.root, schema);
        let required = object["required"].as_array().cloned().unwrap_or_default();
        let nullable = members(&object["properties"])
            .filter(|(name, member)| {
                resolve(self.root, member)["nullable"] == true
                    && !required.iter().any(|r| r == name.as_str())
            })
            .map(|(name, _)| name.clone());
        let code = text(&self.root["x-validation"]["body"]["code"]);
        Ok(Some(Body { schema: name.to_owned(), max_bytes, code, nullable: nullable.collect() }))
    }

    /// The credentials of an operation's security requirements, and the challenge they imply.
    fn credentials(
        &self,
        id: &str,
        security: &Value,
    ) -> Result<(Vec<Credential>, String), Ungenerable> {
        let requirements = security
            .as_array()
            .ok_or_else(|| self.wrong(id, "security must be explicit, `[]` when there is none"))?;
        let all = requirements.iter().map(|it| self.credential(id, it));
        let all = all.collect::<Result<Vec<_>, _>>()?;
        let mut challenges: Vec<String> = Vec::new();
        for challenge in all.iter().map(Credential::challenge) {
            // Bearer tokens of several kinds are asked for once.
            if !challenges.contains(&challenge) {
                challenges.push(challenge);
            }
        }
        if challenges.is_empty() {
            challenges.push(BEARER.to_owned());
        }
        Ok((all, challenges.join(", ")))
    }

    fn credential(&self, id: &str, requirement: &Value) -> Result<Credential, Ungenerable> {
        let schemes: Vec<_> = members(requirement)
            .map(|(name, _)| &self.root["components"]["securitySchemes"][name])
            .collect();
        let caller = schemes.first().map_or_else(String::new, |it| text(&it["x-caller"]));
        let same = schemes.iter().all(|scheme| scheme["x-caller"] == caller.as_str());
        if !same || caller.is_empty() {
            return Err(self.wrong(id, "a security requirement must be of one x-caller"));
        }
        let headers = schemes.iter().filter_map(|scheme| scheme["name"].as_str());
        Ok(Credential {
            caller: caller.to_snake_case(),
            headers: headers.map(str::to_owned).collect(),
            signs_body_alone: schemes
                .iter()
                .any(|scheme| scheme["x-signature"] == "hmac-sha256-timestamp-body"),
            browser_refused: schemes.iter().any(|scheme| scheme["x-browser"] == "refused"),
        })
    }

    fn answer(
        &self,
        id: &str,
        status: &str,
        it: &Value,
        replayed: Option<&str>,
    ) -> Result<Answer, Ungenerable> {
        let it = resolve(self.root, it);
        let code = StatusCode::from_bytes(status.as_bytes())
            .map_err(|_| self.wrong(id, "responses are documented by single status codes"))?;
        let schema = &it["content"]["application/json"]["schema"];
        if !schema.is_null() && component_name(schema).is_none() {
            return Err(self.wrong(id, "a response body must be a named schema"));
        }
        let codes = it["x-codes"].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
        if code.is_success() != codes.is_empty() {
            return Err(self.wrong(id, "error responses, and only they, list x-codes"));
        }
        let headers = members(&it["headers"])
            .filter(|(name, _)| replayed.is_none_or(|it| !name.eq_ignore_ascii_case(it)))
            .map(|(name, header)| self.header(name, header));
        Ok(Answer {
            status: code.as_u16(),
            variant: variant(code),
            description: text(&it["description"]),
            schema: component_name(schema).filter(|_| code.is_success()).map(str::to_owned),
            headers: if code.is_success() { headers.flatten().collect() } else { vec![] },
            codes,
        })
    }

    /// A header that the handler or generated code sets; the runtime's own are left out.
    fn header(&self, name: &str, header: &Value) -> Option<Header> {
        let name = name.to_lowercase();
        let of_the_runtime = name.starts_with("access-control-")
            || matches!(name.as_str(), "vary" | "x-content-type-options" | "x-request-id");
        if of_the_runtime {
            return None;
        }
        let header = resolve(self.root, header);
        let options = resolve(self.root, &header["schema"])["enum"].as_array();
        let constant = options.filter(|o| o.len() == 1).map(|o| text(&o[0]));
        let (field, required) = (name.to_snake_case(), header["required"] == true);
        Some(Header { name, field, required, constant })
    }
}

/// What its answers carry beyond what every page may read anyway (Fetch, CORS-safelisted response
/// headers) and what is meant for the browser itself.
fn exposed(root: &Value, operation: &Value) -> String {
    if operation["x-cors"] != true {
        return String::new();
    }
    let answers = members(&operation["responses"]);
    let documented = answers.flat_map(|(_, answer)| members(&resolve(root, answer)["headers"]));
    let told = documented.map(|(name, _)| name.as_str()).filter(|name| {
        let name = name.to_lowercase();
        !name.starts_with("access-control-")
            && !matches!(name.as_str(), "cache-control" | "vary" | "x-content-type-options")
    });
    // The runtime's own, on every answer; no document repeats it.
    let all: BTreeSet<_> = told.chain(["X-Request-Id"]).collect();
    all.into_iter().collect::<Vec<_>>().join(", ")
}

/// `Created` for 201, `UnprocessableContent` for 422 (RFC 9110's names).
fn variant(status: StatusCode) -> String {
    match status.as_u16() {
        200 => "Ok".into(),
        413 => "ContentTooLarge".into(),
        422 => "UnprocessableContent".into(),
        _ => status.canonical_reason().unwrap_or(status.as_str()).to_upper_camel_case(),
    }
}
