//! What the documents say of answers, read from the documents themselves: which there are for each
//! operation, and what one of them must carry.
//!
//! Knows nothing of how an answer came about.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, LazyLock};

use reqwest::Method;
use serde_json::{Map, Value};
use vestibule_api::documents;
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::{OperationInfo, Part, Schema};

use crate::constraints::document;
use crate::requests::Answer;

/// Headers of every answer, which no document repeats.
const EVERYWHERE: &[&str] = &[
    "connection",
    "content-length",
    "content-type",
    "date",
    "transfer-encoding",
    "x-content-type-options",
    "x-request-id",
];

/// What an answer says that its operation does not document: its status, its code, a header that
/// is missing, unknown or breaks its schema, a body that breaks its schema.
pub fn conforms(info: &OperationInfo, answer: &Answer) -> Option<String> {
    // Only the build that lacks handlers on purpose says so.
    if cfg!(feature = "unfinished") && answer.code() == "not_implemented" {
        return None;
    }
    let Some(documented) = ANSWERS.get(&(info.id, answer.status.as_u16())) else {
        return Some(format!("{} is not documented", answer.status));
    };
    if !documented.codes.is_empty() && !documented.codes.contains(answer.code()) {
        return Some(format!("{} is not documented with {}", answer.code(), answer.status));
    }
    documented.header_fault(answer).or_else(|| documented.body_fault(answer))
}

/// Every documented answer as lines of the ledger: each status of each operation, with each of its
/// codes, and each header of it.
pub fn all() -> BTreeSet<String> {
    let each = ANSWERS.iter().flat_map(|((id, status), documented)| {
        let codes: Vec<_> = match documented.codes.is_empty() {
            true => vec![String::new()],
            false => documented.codes.iter().map(|code| format!(" {code}")).collect(),
        };
        let answers = codes.into_iter().map(move |code| format!("answer {id} {status}{code}"));
        let headers = documented.headers.iter();
        answers.chain(headers.map(move |header| format!("header {id} {status} {}", header.name)))
    });
    each.collect()
}

/// The lines that one answer produces.
pub fn lines_of(info: &OperationInfo, answer: &Answer) -> Vec<String> {
    let (id, status) = (info.id, answer.status.as_u16());
    let code = if answer.status.is_success() { "" } else { answer.code() };
    let headers = ANSWERS.get(&(id, status)).into_iter().flat_map(|it| &it.headers);
    let sent = headers.filter(|header| answer.headers.contains_key(&header.name));
    let mut lines: Vec<_> = sent.map(|it| format!("header {id} {status} {}", it.name)).collect();
    lines.push(format!("answer {id} {status} {code}").trim_end().to_owned());
    lines
}

/// The operation that a request asks for; none when the router has another word for it.
pub fn operation_at(method: &Method, url: &str) -> Option<&'static OperationInfo> {
    let path = url.split_once("://")?.1.split_once('/')?.1.split(['?', '#']).next()?;
    let is_there = |template: &str| {
        let (wanted, sent) = (template[1..].split('/'), path.split('/'));
        wanted.clone().count() == sent.clone().count()
            && wanted.zip(sent).all(|(w, s)| w == s || w.starts_with('{') && !s.is_empty())
    };
    OPERATIONS.iter().copied().find(|it| it.method == method && is_there(it.path))
}

/// One documented status of one operation.
struct Documented {
    /// Empty for successes.
    codes: BTreeSet<String>,
    headers: Vec<Header>,
    body: Option<Arc<Schema>>,
}

struct Header {
    name: String,
    is_required: bool,
    schema: Arc<Schema>,
}

impl Documented {
    fn header_fault(&self, answer: &Answer) -> Option<String> {
        for Header { name, is_required, schema } in &self.headers {
            let mut sent = answer.headers.get_all(name).iter();
            let Some(value) = sent.next() else {
                if *is_required {
                    return Some(format!("{name} is missing"));
                }
                continue;
            };
            let text = String::from_utf8_lossy(value.as_bytes());
            let broken = schema.check(Part::Header, &Value::from(text.as_ref()));
            if sent.next().is_some() {
                return Some(format!("{name} is there twice"));
            }
            if let Some(violation) = broken.first() {
                return Some(format!("{name} is {text:?}, which breaks {violation:?}"));
            }
        }
        let is_known = |name: &str| {
            EVERYWHERE.contains(&name)
                || self.headers.iter().any(|header| header.name.eq_ignore_ascii_case(name))
        };
        let unknown = answer.headers.keys().find(|name| !is_known(name.as_str()));
        unknown.map(|name| format!("{name} is not documented with {}", answer.status))
    }

    fn body_fault(&self, answer: &Answer) -> Option<String> {
        let Some(schema) = &self.body else {
            return (!answer.text.is_empty()).then(|| format!("a body: {}", answer.text));
        };
        let broken = schema.check(Part::Body, &answer.body);
        broken.first().map(|violation| format!("its body breaks {violation:?}"))
    }
}

/// By operation and status.
static ANSWERS: LazyLock<HashMap<(&'static str, u16), Documented>> = LazyLock::new(|| {
    let sources: HashMap<_, _> =
        documents::ALL.iter().map(|(name, _)| (*name, Source::new(document(name)))).collect();
    let each = OPERATIONS.iter().flat_map(|info| {
        let source = &sources[info.document];
        let method = info.method.as_str().to_lowercase();
        let responses = source.document["paths"][info.path][method]["responses"].as_object();
        let responses = responses.expect("an operation has answers").iter();
        responses.map(move |(status, answer)| {
            ((info.id, status.parse().expect("a status")), source.read(answer))
        })
    });
    each.collect()
});

/// A document whose schemas are compiled once, however often answers refer to them.
struct Source {
    document: Value,
    compiled: RefCell<HashMap<String, Arc<Schema>>>,
}

impl Source {
    fn new(document: Value) -> Self {
        Self { document, compiled: RefCell::default() }
    }

    fn read(&self, answer: &Value) -> Documented {
        let codes = answer["x-codes"].as_array().into_iter().flatten();
        let codes = codes.map(|code| code.as_str().expect("a code").to_owned()).collect();
        let none = Map::new();
        let headers = answer["headers"].as_object().unwrap_or(&none).iter();
        let headers = headers.map(|(name, header)| self.header(name, header)).collect();
        let schema = &answer["content"]["application/json"]["schema"];
        let body = (!schema.is_null()).then(|| self.compile(schema));
        Documented { codes, headers, body }
    }

    fn header(&self, name: &str, header: &Value) -> Header {
        let pointer = header["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
        let header = pointer.and_then(|it| self.document.pointer(it)).unwrap_or(header);
        let is_required = header["required"] == true;
        Header { name: name.to_owned(), is_required, schema: self.compile(&header["schema"]) }
    }

    fn compile(&self, schema: &Value) -> Arc<Schema> {
        let mut compiled = self.compiled.borrow_mut();
        let new = || Arc::new(Schema::inline(&self.document, schema));
        compiled.entry(schema.to_string()).or_insert_with(new).clone()
    }
}
