//! Every constraint of every request body, over the wire; and of every schema, in this process.
//!
//! Values come from the strategy engine, which shares nothing with the server's validator. A
//! valid value must get past validation, whatever the domain says of it then; a broken one must
//! be refused as the operation documents it, with the violation that was made.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use futures::{StreamExt as _, stream};
use proptest::prelude::Strategy as _;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use reqwest::Client;
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_api::strategies;
use vestibule_runtime::strategy::{self, Boundary, Breakage, Broken, Caps, SchemaSet, sample};
use vestibule_runtime::{BodyInfo, OperationInfo, Part, Schema};

use crate::callers::{Target, Wallet, send_owned};
use crate::documented_constraints::{self, body_line};
use crate::ledger::Ledger;
use crate::requests::Answer;
use crate::service::Service;

/// Random cases of each kind for each operation, on top of the plain ones.
const CASES: u32 = 64;
/// Requests under way at once.
const AT_ONCE: usize = 8;

/// What the domain may refuse a valid body with. Everything else would be validation.
const DOMAIN_CODES: &[&str] = &[
    "cache_key_not_found",
    "key_not_found",
    "rotation_in_progress",
    "tenant_not_found",
    "theme_conflict",
    "theme_not_found",
    "unknown_source",
    "webhook_disabled",
    "widget_disabled",
];

/// An operation with a body, and everything that can be done to that body.
pub struct Bodied {
    /// The operation.
    pub operation: &'static OperationInfo,
    /// What it says of its body.
    pub body: &'static BodyInfo,
    /// Every way to break a constraint.
    pub breakages: Vec<Breakage>,
    set: Arc<SchemaSet>,
    schema: Value,
    boundaries: Vec<Boundary>,
}

/// All operations with a body.
pub static BODIED: LazyLock<Vec<Bodied>> = LazyLock::new(|| {
    let with_body = OPERATIONS.iter().filter_map(|it| Some((*it, it.body.as_ref()?)));
    with_body.map(|(operation, body)| Bodied::new(operation, body)).collect()
});

impl Bodied {
    fn new(operation: &'static OperationInfo, body: &'static BodyInfo) -> Self {
        let caps = Caps { body_bytes: body.max_bytes, ..Caps::default() };
        let set = Arc::new(SchemaSet::new(&document(operation.document), caps));
        let schema = Value::from(body.schema);
        let breakages = strategy::breakages(&set, &schema);
        let boundaries = strategy::boundaries(&set, &schema);
        Self { operation, body, breakages, set, schema, boundaries }
    }

    /// Whether a body lacks something when it is empty.
    pub fn has_required(&self) -> bool {
        self.breakages.iter().any(|way| {
            let below = way.pointer_to_constraint.strip_prefix(self.body.schema);
            below.is_some_and(|below| below.starts_with("/required"))
        })
    }

    /// What is wrong with the answer to a broken body.
    pub fn refusal_fault(
        &self,
        way: &Breakage,
        broken: &Broken,
        answer: &Answer,
    ) -> Option<String> {
        let status = self.operation.status_of(self.body.refused);
        if Some(answer.status) != status || answer.code() != self.body.refused.name {
            return Some(format!("{} {}", answer.status, answer.code()));
        }
        let listed = answer.violations();
        let expected = ("body".to_owned(), broken.pointer.clone(), broken.keyword.clone());
        let Some(at) = listed.iter().position(|violation| *violation == expected) else {
            return Some(format!("{expected:?} is not among {listed:?}"));
        };
        if broken.exact && listed.len() > 1 {
            return Some(format!("more than {expected:?}: {listed:?}"));
        }
        let told = &answer.body["details"]["violations"][at]["limit"];
        let limit = self.limit_of(way);
        limit.filter(|limit| limit != told).map(|limit| format!("limit {told}, not {limit}"))
    }

    /// What is wrong with the answer to a valid body.
    fn acceptance_fault(&self, answer: &Answer) -> Option<String> {
        let listed = answer.body["details"]["violations"].as_array();
        let of_the_domain = listed.is_some_and(|all| all.iter().all(|it| self.is_rule(it)));
        let is_fine = answer.status.is_success()
            || DOMAIN_CODES.contains(&answer.code())
            || answer.code() == self.body.refused.name && of_the_domain;
        (!is_fine).then(|| format!("{} {}", answer.status, answer.text))
    }

    /// Whether a violation is one that only the domain can find: `x-rules` of the document. The
    /// validator tells what its keyword allows as the limit, the domain has none.
    fn is_rule(&self, violation: &Value) -> bool {
        let document = document(self.operation.document);
        let method = self.operation.method.as_str().to_lowercase();
        let rules = &document["paths"][self.operation.path][method]["requestBody"]["x-rules"];
        let text = |name: &str| violation[name].as_str().unwrap_or_default();
        let is_there = |pointer: &str| match pointer.strip_suffix('*') {
            Some(list) => text("pointer").starts_with(list),
            None => text("pointer") == pointer,
        };
        violation.get("limit").is_none()
            && rules.as_array().into_iter().flatten().any(|rule| {
                rule["keyword"] == text("keyword") && rule["pointer"].as_str().is_some_and(is_there)
            })
    }

    /// What the document's keyword says at the place that breaks, where it is one number.
    fn limit_of(&self, way: &Breakage) -> Option<Value> {
        let document = document(self.operation.document);
        let schemas = &document["components"]["schemas"];
        let resolve = |schema: &'_ Value| match schema["$ref"].as_str() {
            Some(name) => schemas[name.trim_start_matches("#/components/schemas/")].clone(),
            None => schema.clone(),
        };
        let root = json!({ "$ref": format!("#/components/schemas/{}", self.body.schema) });
        let (root_name, steps) = way.pointer_to_constraint.split_once('/')?;
        assert_eq!(root_name, self.body.schema);
        let limit = steps.split('/').fold(root, |schema, step| {
            let schema = resolve(&schema);
            schema
                .get(step)
                .or_else(|| schema.get(step.parse::<usize>().ok()?))
                .cloned()
                .unwrap_or_default()
        });
        limit.is_number().then_some(limit)
    }
}

/// A caller who may call everything.
struct Caller {
    service: &'static Service,
    wallet: Wallet,
    target: Target,
    client: Client,
}

impl Caller {
    async fn new() -> Self {
        let service = Service::shared();
        let wallet = Wallet::open(service, &service.demo.demo).await;
        let target = Target::create(service).await;
        Self { service, wallet, target, client: Client::new() }
    }

    async fn send(&self, bodied: &Bodied, body: &Value) -> Answer {
        let (operation, body) = (bodied.operation, body.to_string().into_bytes());
        let headers = self.wallet.headers(operation, &body);
        let (method, url) =
            (operation.method.clone(), self.service.url(&self.target.path(operation)));
        send_owned(&self.client, method, &url, &headers, Some(body)).await
    }
}

#[tokio::test]
async fn every_broken_constraint_is_refused_at_its_place() {
    let caller = Caller::new().await;
    let cases =
        BODIED.iter().flat_map(|bodied| bodied.breakages.iter().map(move |way| (bodied, way)));
    let answers = stream::iter(cases).map(|(bodied, way)| {
        let caller = &caller;
        async move {
            let broken = sample(&way.strategy(), 0);
            let answer = caller.send(bodied, &broken.value).await;
            (bodied, way, broken, answer)
        }
    });
    let mut answers = answers.buffer_unordered(AT_ONCE);
    let (mut ledger, mut faults) = (Ledger::new(documented_constraints::of_bodies()), Vec::new());
    while let Some((bodied, way, broken, answer)) = answers.next().await {
        let operation = bodied.operation;
        match bodied.refusal_fault(way, &broken, &answer) {
            None => ledger.note(body_line(operation, &way.pointer_to_constraint)),
            Some(fault) => {
                let value = cut(&broken.value);
                faults.push(format!("{} {way:?}: {fault}\n  {value}", operation.id));
            }
        }
    }
    none(faults);
    ledger.settle();
}

#[tokio::test]
async fn every_boundary_is_accepted() {
    let caller = Caller::new().await;
    let cases =
        BODIED.iter().flat_map(|bodied| bodied.boundaries.iter().map(move |it| (bodied, it)));
    let faults = stream::iter(cases).map(|(bodied, boundary)| {
        let caller = &caller;
        async move {
            let answer = caller.send(bodied, &boundary.value).await;
            let fault = bodied.acceptance_fault(&answer)?;
            let Boundary { constraint, label, value } = boundary;
            Some(format!(
                "{} {constraint} ({label}): {fault}\n  {}",
                bodied.operation.id,
                cut(value)
            ))
        }
    });
    none(faults.buffer_unordered(AT_ONCE).filter_map(async |fault| fault).collect().await);
}

/// Whichever way a body is broken, and whatever stands around it, the violation comes back.
#[test]
fn any_broken_body_is_refused() {
    let runtime = runtime();
    let caller = runtime.block_on(Caller::new());
    for bodied in BODIED.iter() {
        let ways = 0..bodied.breakages.len();
        let any = ways.prop_flat_map(|way| {
            bodied.breakages[way].strategy().prop_map(move |broken| (way, broken))
        });
        let run = runner(1).run(&any, |(way, broken)| {
            let answer = runtime.block_on(caller.send(bodied, &broken.value));
            let fault = bodied.refusal_fault(&bodied.breakages[way], &broken, &answer);
            fault.map_or(Ok(()), |fault| Err(TestCaseError::fail(fault)))
        });
        run.unwrap_or_else(|bad| panic!("{}: {bad}", bodied.operation.id));
    }
}

/// Any valid body gets past validation.
#[test]
fn any_valid_body_is_accepted() {
    let runtime = runtime();
    let caller = runtime.block_on(Caller::new());
    for bodied in BODIED.iter() {
        let run = runner(2).run(&strategy::valid(&bodied.set, &bodied.schema), |value| {
            let answer = runtime.block_on(caller.send(bodied, &value));
            let fault = bodied.acceptance_fault(&answer);
            fault.map_or(Ok(()), |fault| Err(TestCaseError::fail(fault)))
        });
        run.unwrap_or_else(|bad| panic!("{}: {bad}", bodied.operation.id));
    }
}

/// Answers' schemas have no operation that takes them, so the validator is asked directly.
#[test]
fn every_schema_of_every_document_is_enforced() {
    let (mut faults, mut constraints, mut cases) = (Vec::new(), BTreeSet::new(), 0);
    for it in strategies::ALL {
        let schema = Schema::component(&document(it.document), it.name);
        for boundary in (it.boundaries)() {
            cases += 1;
            let found = schema.check(Part::Body, &boundary.value);
            let Boundary { constraint, label, .. } = &boundary;
            faults.extend(found.first().map(|v| format!("{constraint} ({label}): {v:?}")));
        }
        for way in (it.breakages)() {
            cases += 1;
            constraints.insert(format!("{}/{}", it.document, way.pointer_to_constraint));
            let broken = sample(&way.strategy(), 0);
            let found = schema.check(Part::Body, &broken.value);
            let asked = |v: &&vestibule_runtime::Violation| {
                v.pointer == broken.pointer && v.keyword == broken.keyword
            };
            if !found.iter().any(|v| asked(&v)) || (broken.exact && found.len() != 1) {
                faults.push(format!("{way:?}: {found:?}"));
            }
        }
    }
    none(faults);
    let (schemas, constraints) = (strategies::ALL.len(), constraints.len());
    println!("all documents: {schemas} schemas, {constraints} constraints, {cases} cases");
}

#[test]
fn every_operation_with_a_body_has_cases() {
    for Bodied { operation, breakages, boundaries, .. } in BODIED.iter() {
        assert!(!breakages.is_empty() && !boundaries.is_empty(), "{}", operation.id);
        let constraints: BTreeSet<_> =
            breakages.iter().map(|it| &it.pointer_to_constraint).collect();
        println!(
            "{}: {} constraints, {} broken cases, {} boundaries, {} random cases",
            operation.id,
            constraints.len(),
            breakages.len(),
            boundaries.len(),
            2 * CASES,
        );
    }
}

/// What a part of a document, such as a parameter or a schema, stands for.
pub fn resolved<'a>(document: &'a Value, part: &'a Value) -> &'a Value {
    let pointer = part["$ref"].as_str().and_then(|text| text.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(part)
}

/// A bundled document.
pub fn document(name: &str) -> Value {
    let found = vestibule_api::documents::ALL.iter().find(|(known, _)| *known == name);
    let (_, text) = found.unwrap_or_else(|| panic!("there is no document {name}"));
    serde_json::from_str(text).expect("documents are JSON")
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The same cases on every run: a failure must not depend on luck.
fn runner(seed: u8) -> TestRunner {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
}

/// Fails with the first faults in full and the number of all.
pub fn none(faults: Vec<String>) {
    let first: Vec<_> = faults.iter().take(12).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), first.join("\n"));
}

fn cut(value: &Value) -> String {
    value.to_string().chars().take(300).collect()
}
