//! Every constraint of path, query and header parameters, over the wire.
//!
//! A parameter is text, so values of other types are sent as their text. Unknown and doubled
//! parameters are tried on every operation, together with a broken body where there is one.

use std::sync::Arc;

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::strategy::{self, Caps, SchemaSet, sample};
use vestibule_runtime::{Code, OperationInfo};

use crate::callers::{Target, Wallet, send_owned};
use crate::constraints::{BODIED, document, none, resolved};
use crate::documented_constraints::{self, parameter_line};
use crate::ledger::Ledger;
use crate::requests::Answer;
use crate::service::Service;

/// One documented parameter.
struct Parameter {
    operation: &'static OperationInfo,
    name: String,
    place: String,
    schema: Value,
    set: Arc<SchemaSet>,
}

/// The parameters of every operation.
fn parameters() -> Vec<Parameter> {
    let each = OPERATIONS.iter().flat_map(|operation| {
        let document = document(operation.document);
        let set = Arc::new(SchemaSet::new(&document, Caps::default()));
        let method = operation.method.as_str().to_lowercase();
        let listed = document["paths"][operation.path][method]["parameters"].as_array().cloned();
        let text = |value: &Value| value.as_str().expect("a parameter has names").to_owned();
        let listed = listed.unwrap_or_default().into_iter();
        listed.map(move |it| {
            let it = resolved(&document, &it);
            let schema = resolved(&document, &it["schema"]).clone();
            let (name, place) = (text(&it["name"]), text(&it["in"]));
            Parameter { operation, name, place, schema, set: set.clone() }
        })
    });
    each.collect()
}

impl Parameter {
    /// A value as the text of a parameter; `None` when the text reads as another, valid value or
    /// cannot be sent there.
    fn text_of(&self, value: &Value) -> Option<String> {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let text = if self.place == "header" { self.printable(&text) } else { text };
        let typed = text.parse::<i64>().map_or_else(|_| Value::from(text.as_str()), Value::from);
        let takes_text = strategy::check(&self.set, &self.schema, &"".into())
            .iter()
            .all(|violation| violation.keyword != "type");
        let sent = if takes_text { Value::from(text.as_str()) } else { typed };
        let is_same = self.place == "header" && value.is_string()
            || sent == *value
            || !takes_text && value.as_i64().is_none() && sent.is_string();
        // An empty segment is another path.
        let fits_there = self.place != "path" || !text.is_empty();
        (is_same && fits_there).then_some(text)
    }

    /// A header carries no other characters, and bounds count them alike; so do patterns, none of
    /// which takes what stands in for them.
    fn printable(&self, text: &str) -> String {
        let schema = self.schema.as_object().expect("a schema");
        let bounds = ["type", "minLength", "maxLength", "description", "example", "x-sensitive"];
        let is_known = |keyword: &str| bounds.contains(&keyword) || keyword == "pattern";
        assert!(schema.keys().all(|keyword| is_known(keyword)), "{schema:?}");
        let stand_in = if schema.contains_key("pattern") { '\u{e9}' } else { 'x' };
        text.chars().map(|c| if c.is_ascii_graphic() { c } else { stand_in }).collect()
    }

    /// The violation that a broken value must come back with.
    fn violation(&self, below: &str, keyword: &str) -> (String, String, String) {
        (self.place.clone(), format!("/{}{below}", self.name), keyword.to_owned())
    }
}

/// A caller who may call everything, and what the calls act on.
struct Caller {
    service: &'static Service,
    wallet: Wallet,
    target: Target,
    client: Client,
}

/// What is changed in a request that would otherwise be right.
#[derive(Default)]
struct Change<'a> {
    path: Option<String>,
    query: String,
    header: Option<(&'static str, String)>,
    body: Option<&'a Value>,
}

impl Caller {
    async fn new() -> Self {
        let service = Service::shared();
        let wallet = Wallet::open(service, &service.demo.demo).await;
        Self { service, wallet, target: Target::create(service).await, client: Client::new() }
    }

    async fn send(&self, operation: &OperationInfo, change: Change<'_>) -> Answer {
        let usual = self.wallet.body(operation, &self.target.tenant_id);
        let body = change.body.or(usual.as_ref()).map(|body| body.to_string().into_bytes());
        let mut headers = self.wallet.headers(operation, body.as_deref().unwrap_or_default());
        if let Some(header) = change.header {
            headers.retain(|(name, _)| *name != header.0);
            headers.push(header);
        }
        let path = change.path.unwrap_or_else(|| self.target.path(operation));
        let url = self.service.url(&format!("{path}{}", change.query));
        send_owned(&self.client, operation.method.clone(), &url, &headers, body).await
    }

    /// A request in which one parameter has this text.
    async fn send_with(&self, parameter: &Parameter, text: &str) -> Answer {
        let encoded = encode(text);
        let change = match parameter.place.as_str() {
            "path" => {
                let name = format!("{{{}}}", parameter.name);
                let path = parameter.operation.path.replace(&name, &encoded);
                let path = Some(self.target.fill(&path));
                Change { path, ..Change::default() }
            }
            "query" => {
                Change { query: format!("?{}={encoded}", parameter.name), ..Change::default() }
            }
            "header" => {
                let name = match parameter.name.as_str() {
                    "Origin" => "origin",
                    "Idempotency-Key" => "idempotency-key",
                    "Vestibule-Test-Clock" => "vestibule-test-clock",
                    other => panic!("tell this test how {other} is sent"),
                };
                Change { header: Some((name, text.to_owned())), ..Change::default() }
            }
            other => panic!("no request has parameters in {other}"),
        };
        self.send(parameter.operation, change).await
    }
}

/// What is wrong with a refusal.
fn refusal_fault(
    operation: &OperationInfo,
    code: Code,
    expected: &[(String, String, String)],
    answer: &Answer,
) -> Option<String> {
    let listed = answer.violations();
    let is_right = Some(answer.status) == operation.status_of(code)
        && answer.code() == code.name
        && expected.iter().all(|violation| listed.contains(violation))
        && listed.len() == expected.len();
    (!is_right)
        .then(|| format!("{}: {expected:?} but {} {}", operation.id, answer.status, answer.text))
}

#[tokio::test]
async fn every_broken_parameter_is_refused_at_its_place() {
    let caller = Caller::new().await;
    let (mut faults, mut cases) = (Vec::new(), 0);
    let mut ledger = Ledger::new(documented_constraints::of_parameters());
    for parameter in &parameters() {
        let before = cases;
        for way in strategy::breakages(&parameter.set, &parameter.schema) {
            let broken = sample(&way.strategy(), 0);
            let Some(text) = parameter.text_of(&broken.value) else { continue };
            cases += 1;
            let answer = caller.send_with(parameter, &text).await;
            let Parameter { operation, place, name, .. } = parameter;
            let asked = parameter.violation(&broken.pointer, &broken.keyword);
            let listed = answer.violations();
            let is_among = !broken.exact && listed.contains(&asked);
            let expected = if is_among { listed } else { vec![asked] };
            let code = operation.parameters_refused;
            let fault = refusal_fault(operation, code, &expected, &answer);
            if fault.is_none() {
                let (_, keyword) = way.pointer_to_constraint.split_once('/').expect("a place");
                ledger.note(parameter_line(operation, place, name, &format!("/{keyword}")));
            }
            faults.extend(fault.map(|fault| format!("{text:?} {way:?} {fault}")));
        }
        assert!(cases > before, "{} {} has no case", parameter.operation.id, parameter.name);
    }
    none(faults);
    ledger.settle();
    println!("parameters: {} with {cases} broken cases", parameters().len());
}

#[tokio::test]
async fn every_boundary_of_a_parameter_is_accepted() {
    let caller = Caller::new().await;
    let mut faults = Vec::new();
    for parameter in &parameters() {
        for boundary in strategy::boundaries(&parameter.set, &parameter.schema) {
            let Some(text) = parameter.text_of(&boundary.value) else { continue };
            let answer = caller.send_with(parameter, &text).await;
            let refused = parameter.operation.parameters_refused.name;
            if answer.status.is_server_error() || answer.code() == refused {
                let id = parameter.operation.id;
                faults.push(format!("{id} {boundary:?}: {} {}", answer.status, answer.text));
            }
        }
    }
    none(faults);
}

#[tokio::test]
async fn every_operation_refuses_unknown_and_doubled_query_parameters() {
    let caller = Caller::new().await;
    let mut faults = Vec::new();
    let violation =
        |pointer: &str, keyword: &str| ("query".to_owned(), pointer.to_owned(), keyword.to_owned());
    for operation in OPERATIONS {
        let unknown = violation("/unexpected", "additionalProperties");
        let twice = violation("/unexpected", "x-once");
        for (query, expected) in [
            ("?unexpected=1", vec![unknown.clone()]),
            ("?unexpected", vec![unknown.clone()]),
            ("?unexpected=1&unexpected=2", vec![unknown, twice]),
            ("?%61%2Fb~c=", vec![violation("/a~1b~0c", "additionalProperties")]),
            (
                "?nul=%00",
                vec![violation("/nul", "x-no-nul"), violation("/nul", "additionalProperties")],
            ),
        ] {
            let change = Change { query: query.to_owned(), ..Change::default() };
            let answer = caller.send(operation, change).await;
            let code = operation.parameters_refused;
            faults.extend(refusal_fault(operation, code, &expected, &answer));
        }
    }
    none(faults);
}

#[tokio::test]
async fn every_query_parameter_is_taken_once() {
    let caller = Caller::new().await;
    let mut faults = Vec::new();
    for parameter in parameters().iter().filter(|it| it.place == "query") {
        let value = sample(&strategy::valid(&parameter.set, &parameter.schema), 0);
        let text = encode(&parameter.text_of(&value).expect("a valid value is text"));
        let (name, operation) = (&parameter.name, parameter.operation);
        let query = format!("?{name}={text}&{name}={text}");
        let answer = caller.send(operation, Change { query, ..Change::default() }).await;
        let expected = [parameter.violation("", "x-once")];
        faults.extend(refusal_fault(operation, operation.parameters_refused, &expected, &answer));
    }
    none(faults);
}

/// Violations of query, headers and body come back at once, with the code of the body.
#[tokio::test]
async fn every_part_of_a_request_is_judged_in_one_answer() {
    let caller = Caller::new().await;
    let mut faults = Vec::new();
    for bodied in BODIED.iter() {
        let operation = bodied.operation;
        let long_origin = format!("https://{}", "a".repeat(505));
        let takes_origin =
            parameters().iter().any(|it| it.name == "Origin" && it.operation.id == operation.id);
        let query = "?unexpected=1".to_owned();
        let header = takes_origin.then_some(("origin", long_origin));
        let change = Change { query, header, body: Some(&json!({ "unexpected": 1 })), path: None };
        let answer = caller.send(operation, change).await;
        let listed = answer.violations();
        let has = |part: &str, pointer: &str, keyword: &str| {
            listed.contains(&(part.to_owned(), pointer.to_owned(), keyword.to_owned()))
        };
        let is_right = answer.code() == bodied.body.refused.name
            && Some(answer.status) == operation.status_of(bodied.body.refused)
            && has("query", "/unexpected", "additionalProperties")
            && has("body", "/unexpected", "additionalProperties")
            && (!takes_origin || has("header", "/Origin", "maxLength"))
            && listed.iter().any(|(part, _, keyword)| part == "body" && keyword == "required")
                == bodied.has_required();
        if !is_right {
            faults.push(format!("{}: {} {}", operation.id, answer.status, answer.text));
        }
    }
    none(faults);
}

#[tokio::test]
async fn every_broken_query_parameter_comes_back_at_once() {
    let caller = Caller::new().await;
    let list = OPERATIONS.iter().find(|it| it.id == "keyList").expect("there is keyList");
    assert_eq!(list.method, Method::GET);
    let query = "?tenantId=ten_&kind=widget&limit=0&after=&unexpected=1".to_owned();
    let answer = caller.send(list, Change { query, ..Change::default() }).await;
    let found: Vec<_> =
        answer.violations().into_iter().map(|(_, at, keyword)| at + " " + &keyword).collect();
    let expected = [
        "/after minLength",
        "/after pattern",
        "/kind enum",
        "/limit minimum",
        "/tenantId pattern",
        "/unexpected additionalProperties",
    ];
    assert_eq!(found, expected, "{}", answer.text);
}

/// Percent-encodes everything but letters and digits.
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric();
    let each = text.bytes().map(|byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    });
    each.collect()
}
