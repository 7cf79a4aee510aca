//! That every operation of our documents answers its example, and refuses what its constraints
//! exclude, over the wire.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule_runtime::json::MAX_VALUES;
use vestibule_runtime::strategy::{Caps, SchemaSet, breakages, sample};
use vestibule_runtime::{Part, Schema};

use crate::answer::example;
use crate::prefer::{APPLIED, PREFER, Preference};
use crate::request::Sample;
use crate::{Facts, MockOperation, Running, start};

#[tokio::test]
async fn every_operation_answers_its_example() {
    let mock = mock();
    for operation in &mock.operations {
        let answer = mock.send(operation, &Sample::of(operation)).await;
        let id = operation.info.id;
        let (status, _) = operation.info.answers.iter().find(|(_, c)| c.is_empty()).expect(id);
        assert_eq!(answer.status, *status, "{id}: {}", answer.body);
        answer.conforms(operation);
        let media = &operation.response(*status)["content"]["application/json"];
        let expected = if media.is_null() { None } else { example(operation, media) };
        assert_eq!(Some(&answer.body), expected.or(Some(&Value::Null)), "{id}");
    }
    assert!(mock.operations.len() >= 14, "our documents have as many");
}

#[tokio::test]
async fn every_documented_status_can_be_asked_for() {
    let mock = mock();
    for operation in &mock.operations {
        for (status, codes) in operation.info.answers {
            let asked = format!("code={status}");
            let answer = mock.prefer(operation, &asked).await;
            let id = operation.info.id;
            assert_eq!(answer.status, *status, "{id}: {}", answer.body);
            assert_eq!(answer.header(APPLIED.as_str()), asked);
            answer.conforms(operation);
            for code in *codes {
                let asked = format!("code={status}, example={}", code.name);
                assert_eq!(mock.prefer(operation, &asked).await.body["error"], code.name, "{id}");
            }
        }
    }
}

#[tokio::test]
async fn preference_that_nothing_meets_is_refused() {
    let mock = mock();
    let operation = mock.operation("embedSessionCreate");
    for asked in ["code=418", "code=401; example=x, example=chat_not_found", "example=other"] {
        let answer = mock.prefer(operation, asked).await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_request"), "{asked}");
        assert_eq!(answer.body["details"]["violations"][0]["pointer"], "/prefer");
    }
}

#[tokio::test]
async fn every_broken_constraint_of_a_body_is_refused_at_its_place() {
    let mock = mock();
    let mut cases = 0;
    for operation in &mock.operations {
        let Some(body) = &operation.info.body else { continue };
        let caps = Caps { body_bytes: body.max_bytes, values: MAX_VALUES };
        let set = Arc::new(SchemaSet::new(operation.document, caps));
        for way in breakages(&set, &body.schema.into()) {
            let broken = sample(&way.strategy(), 0);
            let request = Sample { body: Some(broken.value.clone()), ..Sample::of(operation) };
            let answer = mock.send(operation, &request).await;
            let status = operation.info.status_of(body.refused).map(|status| status.as_u16());
            assert_eq!(
                (Some(answer.status), answer.code()),
                (status, body.refused.name),
                "{way:?}"
            );
            let listed = answer.body["details"]["violations"].as_array().expect("a list");
            let is_it = |it: &Value| {
                it["pointer"] == *broken.pointer
                    && it["keyword"] == *broken.keyword
                    && it["in"] == "body"
            };
            assert!(listed.iter().any(is_it), "{way:?}: {listed:?}");
            cases += 1;
        }
    }
    assert!(cases > 100, "{cases}");
}

#[tokio::test]
async fn credential_must_be_there_and_is_not_looked_into() {
    let mock = mock();
    for operation in mock.operations.iter().filter(|it| !it.info.credentials.is_empty()) {
        let whole = Sample::of(operation);
        for left_out in 0..whole.headers.len() {
            let mut request = Sample::of(operation);
            let (name, _) = request.headers.remove(left_out);
            if name == "Content-Type" {
                continue;
            }
            let answer = mock.send(operation, &request).await;
            assert_eq!((answer.status, answer.code()), (401, "missing_credentials"), "{name}");
            assert_eq!(answer.header("www-authenticate"), operation.info.challenge);
            request.headers.push((name, "Basic YQ==".to_owned()));
            if name != "Authorization" {
                request.headers.push((name, "twice".to_owned()));
            }
            let answer = mock.send(operation, &request).await;
            assert_eq!(answer.status, 401, "{name}");
            assert_ne!(answer.code(), "missing_credentials", "{name}");
        }
    }
}

#[tokio::test]
async fn requests_are_received_as_the_service_receives_them() {
    let mock = mock();
    let operation = mock.operation("embedSessionCreate");
    let base = || Sample::of(operation);
    let with = |name, value: &str| {
        let mut request = base();
        request.headers.retain(|(known, _)| *known != name);
        request.headers.push((name, value.to_owned()));
        request
    };
    let large = json!({ "employeeId": "a".repeat(9000) });
    let query = Sample { target: format!("{}?a=1", base().target), ..base() };
    for (request, status, code) in [
        (with("Content-Type", "text/plain"), 415, "unsupported_media_type"),
        (with("Origin", "https://a.example"), 403, "secret_key_in_browser"),
        (Sample { body: Some(large), ..base() }, 413, "payload_too_large"),
        (query, 400, "invalid_request"),
    ] {
        let answer = mock.send(operation, &request).await;
        assert_eq!((answer.status, answer.code()), (status, code));
        answer.conforms(operation);
    }
    let doubled = Some(b"{\"employeeId\":1,\"employeeId\":2}".to_vec());
    assert_eq!(mock.raw(operation, &base(), doubled).await.code(), "invalid_json");
    let client = Client::new();
    let url = format!("{}/v1/embed/sessions", mock.base_url());
    let put = client.put(&url).send().await.expect("an answer");
    let nowhere = client.get(format!("{url}/x/y")).send().await.expect("an answer");
    assert_eq!((put.status().as_u16(), nowhere.status().as_u16()), (405, 404));
}

#[tokio::test]
async fn pages_of_other_origins_may_call_where_the_document_says_so() {
    let mock = mock();
    let operation = mock.operation("chatSessionCreate");
    let mut request = Sample::of(operation);
    request.headers.push(("Origin", "https://a.example".to_owned()));
    let answer = mock.send(operation, &request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://a.example");
    let url = format!("{}{}", mock.base_url(), operation.info.path);
    let preflight = Client::new().request(Method::OPTIONS, url);
    let preflight = preflight.header("Origin", "https://a.example").send().await.expect("answer");
    assert_eq!(preflight.status(), 204);
    assert_eq!(preflight.headers()["access-control-allow-methods"], "POST");
}

#[tokio::test]
async fn same_seed_draws_the_same_answer_and_another_one_another() {
    let dir = without_examples();
    let drawn = async |seed| {
        let mock = at(dir.path(), seed);
        let mut bodies = Vec::new();
        for operation in &mock.operations {
            let answer = mock.send(operation, &Sample::of(operation)).await;
            assert!(answer.status < 300, "{}: {}", operation.info.id, answer.body);
            answer.conforms(operation);
            bodies.push(answer.body);
        }
        bodies
    };
    let first = drawn(1).await;
    assert_eq!(first, drawn(1).await);
    assert_ne!(first, drawn(2).await);
}

#[tokio::test]
async fn dynamic_answer_is_drawn_although_there_is_an_example() {
    let mock = mock();
    let operation = mock.operation("tenantCreate");
    let answer = mock.prefer(operation, "dynamic=true").await;
    answer.conforms(operation);
    let plain = mock.send(operation, &Sample::of(operation)).await;
    assert_ne!(answer.body, plain.body);
}

#[tokio::test]
async fn only_what_was_kept_is_said_to_be_applied() {
    let mock = mock();
    let operation = mock.operation("tenantCreate");
    let applied = async |asked: &str| {
        let answer = mock.prefer(operation, asked).await;
        answer.header(APPLIED.as_str()).to_owned()
    };
    assert_eq!(applied("dynamic=true").await, "dynamic=true");
    assert_eq!(applied("code=401, dynamic=true").await, "code=401", "a refusal is not drawn");
    let (status, codes) =
        operation.info.answers.iter().find(|(_, codes)| !codes.is_empty()).expect("a refusal");
    let name = codes[0].name;
    let asked = format!("code={status}, example={name}, dynamic=true");
    assert_eq!(applied(&asked).await, format!("code={status}, example=\"{name}\""));
    let silent = |it: &&&MockOperation| it.info.answers.iter().any(|(status, _)| *status == 204);
    let operation = *mock.operations.iter().find(silent).expect("an answer without a body");
    let answer = mock.prefer(operation, "code=204, example=x, dynamic=true").await;
    assert_eq!((answer.status, answer.header(APPLIED.as_str())), (204, "code=204"));
}

#[test]
fn one_document_can_be_served_alone() {
    let only = |name: &str| Facts::read(&ours()).expect("ours").only(&[name.to_owned()]);
    let chat = only("chat").expect("it is there");
    assert!(chat.operations.iter().all(|operation| operation.info.document == "chat"));
    let refused = only("chats").expect_err("there is none").0;
    assert_eq!(
        refused,
        "there is no document `chats`; there are admin, chat, embed, iframe, lifecycle"
    );
}

#[tokio::test]
async fn table_lists_every_operation_and_a_line_that_works() {
    let mock = mock();
    let table = anstream::adapter::strip_str(&mock.table()).to_string();
    for operation in &mock.operations {
        let info = operation.info;
        let row = table.lines().find(|line| line.contains(info.id)).expect(info.id);
        assert!(row.starts_with(info.method.as_str()) && row.contains(info.path), "{row}");
    }
    assert!(table.contains("curl -sS -X POST 'http://127.0.0.1:"), "{table}");
}

#[test]
fn prefer_is_read_as_its_rfc_writes_it() {
    let read = |texts: &[&str]| {
        let mut headers = http::HeaderMap::new();
        for text in texts {
            headers.append(PREFER, text.parse().expect("a header value"));
        }
        let Preference { code, example, dynamic } = Preference::read(&headers);
        (code.unwrap_or_default(), example.unwrap_or_default(), dynamic)
    };
    let of = |code: &str, example: &str, dynamic| (code.to_owned(), example.to_owned(), dynamic);
    assert_eq!(read(&[]), of("", "", false));
    assert_eq!(read(&["respond-async, Code = 404;x=\"a,b\""]), of("404", "", false));
    assert_eq!(read(&["example=\"a, b\"", "code=404, dynamic=true"]), of("404", "a, b", true));
    assert_eq!(read(&["code=404, code=500"]), of("404", "", false), "the first counts");
    assert_eq!(read(&["dynamic=false", "dynamic=true"]), of("", "", false), "the first counts");
}

/// An answer, read whole.
struct Answer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

impl Answer {
    fn code(&self) -> &str {
        self.body["error"].as_str().unwrap_or_default()
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Panics unless the operation documents this answer: body, and headers that are required.
    fn conforms(&self, operation: &'static MockOperation) {
        let (id, documented) = (operation.info.id, operation.response(self.status));
        let headers = documented["headers"].as_object().into_iter().flatten();
        for (name, header) in headers.map(|(name, it)| (name, operation.resolve(it))) {
            let is_there = !self.header(name).is_empty() || header["required"] != true;
            assert!(is_there, "{id} {}: {name}", self.status);
        }
        let schema = &documented["content"]["application/json"]["schema"];
        if schema.is_null() {
            return assert_eq!(self.body, Value::Null, "{id}");
        }
        let broken = Schema::inline(operation.document, schema).check(Part::Body, &self.body);
        assert!(broken.is_empty(), "{id} {}: {broken:?} {}", self.status, self.body);
    }
}

impl Running {
    fn operation(&self, id: &str) -> &'static MockOperation {
        self.operations.iter().find(|operation| operation.info.id == id).expect("an operation")
    }

    async fn send(&self, operation: &MockOperation, request: &Sample) -> Answer {
        let body = request.body.as_ref().map(|body| body.to_string().into_bytes());
        self.raw(operation, request, body).await
    }

    async fn prefer(&self, operation: &'static MockOperation, asked: &str) -> Answer {
        let mut request = Sample::of(operation);
        request.headers.push(("Prefer", asked.to_owned()));
        self.send(operation, &request).await
    }

    async fn raw(
        &self,
        operation: &MockOperation,
        request: &Sample,
        body: Option<Vec<u8>>,
    ) -> Answer {
        let url = format!("{}{}", self.base_url(), request.target);
        let mut sending = Client::new().request(operation.info.method.clone(), url);
        for (name, value) in &request.headers {
            sending = sending.header(*name, value);
        }
        let sent = sending.body(body.unwrap_or_default()).send().await.expect("an answer");
        let (status, headers) = (sent.status().as_u16(), sent.headers().clone());
        let text = sent.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer { status, headers, body }
    }
}

/// What the generator wrote of our documents.
fn ours() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../generated/server")
}

fn mock() -> Running {
    at(&ours(), 0)
}

fn at(folder: &Path, seed: u64) -> Running {
    let bind = "127.0.0.1:0".parse().expect("an address");
    let facts = Facts::read(folder).expect("the generator wrote them");
    start(facts, bind, seed, false).expect("a free port")
}

/// Our documents without any example.
fn without_examples() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let documents = dir.path().join("documents");
    std::fs::create_dir(&documents).expect("the disk");
    std::fs::copy(ours().join("facts.json"), dir.path().join("facts.json")).expect("the disk");
    for entry in std::fs::read_dir(ours().join("documents")).expect("the documents") {
        let entry = entry.expect("the disk");
        let text = std::fs::read_to_string(entry.path()).expect("the disk");
        let mut document: Value = serde_json::from_str(&text).expect("JSON");
        strip(&mut document);
        std::fs::write(documents.join(entry.file_name()), document.to_string()).expect("the disk");
    }
    dir
}

/// `example` is a keyword everywhere but in `properties`, where ours have no such member.
fn strip(node: &mut Value) {
    match node {
        Value::Object(members) => {
            members.remove("example");
            members.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
