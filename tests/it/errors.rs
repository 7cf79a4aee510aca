//! Every documented answer of every operation, produced once over the wire, with every documented
//! header.
//!
//! The test walks `register::OPERATIONS` and notes in the ledger what it saw.

use std::collections::BTreeSet;

use reqwest::{Client, Method};
use vestibule::limiter::{Mode, Rate};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::callers::{Proof, Target, Wallet, bearer, send_owned};
use crate::ledger::Ledger;
use crate::requests::{Answer, fresh_timestamp, raw, send};
use crate::service::Service;
use crate::{documented_answers, error_causes, error_failures, idempotency};

/// The codes of the error table in `surfaces.md` that the operations of today answer.
const TABLE: &[(u16, &[&str])] = &[
    (
        400,
        &["invalid_json", "invalid_request", "invalid_input", "unknown_source", "theme_conflict"],
    ),
    (400, &["test_clock_refused"]),
    (401, &["missing_credentials", "invalid_api_key", "invalid_signature"]),
    (401, &["timestamp_out_of_window", "signature_replayed", "invalid_session_token"]),
    (401, &["token_expired", "token_revoked", "invalid_customer_token"]),
    (403, &["insufficient_scope", "widget_disabled", "origin_not_allowed"]),
    (403, &["secret_key_in_browser", "key_disabled", "intent_not_allowed"]),
    (404, &["employee_not_found", "chat_not_found", "theme_not_found", "cache_key_not_found"]),
    (404, &["tenant_not_found", "key_not_found", "session_not_found", "message_not_found"]),
    (404, &["webhook_not_found", "delivery_not_found"]),
    (408, &["request_timeout"]),
    (409, &["idempotency_in_progress", "webhook_disabled"]),
    (409, &["session_ended", "lifetime_exhausted", "unknown_source"]),
    (410, &["cache_key_expired", "cache_key_used"]),
    (413, &["payload_too_large"]),
    (415, &["unsupported_media_type"]),
    (422, &["idempotency_key_reused", "validation_failed"]),
    (429, &["rate_limited", "limit_exceeded"]),
    (500, &["internal"]),
    (503, &["unavailable"]),
];

/// Which answers were seen.
pub struct Produced(Ledger);

impl Produced {
    /// Takes note of a refusal, which must be one that the operation documents.
    #[track_caller]
    pub fn note(&mut self, operation: &OperationInfo, code: &str, answer: &Answer) {
        let listed =
            |codes: &[vestibule_runtime::Code]| codes.iter().any(|known| known.name == code);
        let documented = operation.answers.iter().find(|(_, codes)| listed(codes));
        let (status, _) = documented.unwrap_or_else(|| panic!("{} has no {code}", operation.id));
        assert_eq!(answer.code(), code, "{}: {}", operation.id, answer.text);
        answer.refused(*status, code);
        self.0.note_answer(operation, answer);
    }

    /// Takes note of an answer to a request that nothing is wrong with.
    #[track_caller]
    pub fn note_success(&mut self, operation: &OperationInfo, answer: &Answer) {
        assert!(answer.status.is_success(), "{}: {}", operation.id, answer.text);
        self.0.note_answer(operation, answer);
    }
}

/// The operation with this id.
pub fn operation(id: &str) -> &'static OperationInfo {
    OPERATIONS.iter().find(|operation| operation.id == id).expect("a documented operation")
}

/// The right caller of every operation, with targets of its own.
pub struct Callers<'a> {
    /// What it calls.
    pub service: &'a Service,
    /// What proves it.
    pub wallet: Wallet,
    /// What it acts on.
    pub target: Target,
    client: Client,
}

impl<'a> Callers<'a> {
    /// The callers of the demo tenant.
    pub async fn new(service: &'a Service) -> Self {
        let wallet = Wallet::open(service, &service.demo.demo).await;
        Self { service, wallet, target: Target::create(service).await, client: Client::new() }
    }

    /// A body that the operation accepts, as text.
    pub fn body(&self, operation: &OperationInfo) -> Option<Vec<u8>> {
        let body = self.wallet.body(operation, &self.target.tenant_id)?;
        Some(body.to_string().into_bytes())
    }

    /// The right request, with a body of the caller's choice.
    pub async fn send(&self, operation: &OperationInfo, body: Option<Vec<u8>>) -> Answer {
        let headers = self.wallet.headers(operation, body.as_deref().unwrap_or_default());
        self.send_as(operation, "", headers, body).await
    }

    /// A request with headers and a query of the caller's choice.
    pub async fn send_as(
        &self,
        operation: &OperationInfo,
        query: &str,
        headers: Vec<(&'static str, String)>,
        body: Option<Vec<u8>>,
    ) -> Answer {
        let url = self.service.url(&format!("{}{query}", self.target.path(operation)));
        send_owned(&self.client, operation.method.clone(), &url, &headers, body).await
    }
}

#[tokio::test]
async fn every_documented_answer_is_produced_or_listed() {
    let mut produced = Produced(Ledger::new(documented_answers::all()));
    let callers = Callers::new(Service::shared()).await;
    for operation in OPERATIONS {
        success(operation, &mut produced).await;
        wrong_parameters(&callers, operation, &mut produced).await;
        wrong_bodies(&callers, operation, &mut produced).await;
        wrong_credentials(&callers, operation, &mut produced).await;
    }
    late_and_crowded_bodies(&mut produced);
    too_many_requests(&mut produced).await;
    error_causes::produce(&mut produced).await;
    idempotency::produce(&mut produced).await;
    error_failures::produce(&mut produced).await;
    produced.0.settle();
    for (status, codes) in TABLE {
        for code in *codes {
            let line = |id| format!("answer {id} {status} {code}");
            let seen = OPERATIONS.iter().any(|operation| produced.0.has(&line(operation.id)));
            assert!(seen, "{status} {code}");
        }
    }
}

/// The right caller with targets of its own, since some operations end them.
async fn success(operation: &OperationInfo, produced: &mut Produced) {
    let callers = Callers::new(Service::shared()).await;
    produced.note_success(operation, &callers.send(operation, callers.body(operation)).await);
}

async fn wrong_parameters(
    callers: &Callers<'_>,
    operation: &OperationInfo,
    produced: &mut Produced,
) {
    let body = callers.body(operation);
    let headers = callers.wallet.headers(operation, body.as_deref().unwrap_or_default());
    let refused = callers.send_as(operation, "?no_such_parameter=1", headers, body).await;
    produced.note(operation, operation.parameters_refused.name, &refused);
}

async fn wrong_bodies(callers: &Callers<'_>, operation: &OperationInfo, produced: &mut Produced) {
    let Some(info) = &operation.body else { return };
    produced.note(operation, "invalid_json", &callers.send(operation, Some(b"{".to_vec())).await);
    let unknown = callers.send(operation, Some(b"{\"no_such_member\":1}".to_vec())).await;
    produced.note(operation, info.refused.name, &unknown);
    let mut typed = vec![("content-type", "text/plain".to_owned())];
    typed.extend(origin(callers.service, operation));
    let refused = callers.send_as(operation, "", typed, callers.body(operation)).await;
    produced.note(operation, "unsupported_media_type", &refused);
    let large = head(callers.service, operation, info.max_bytes + 1);
    produced.note(operation, "payload_too_large", &large);
    assert_eq!(large.header("connection"), "close");
}

async fn wrong_credentials(
    callers: &Callers<'_>,
    operation: &OperationInfo,
    produced: &mut Produced,
) {
    if operation.credentials.is_empty() {
        return;
    }
    let body = callers.body(operation);
    let nobody = callers.send_as(operation, "", vec![], body.clone()).await;
    produced.note(operation, "missing_credentials", &nobody);
    let (headers, code) = match Proof::of(operation) {
        Proof::AdminKey | Proof::ApiKey => (vec![bearer("nonsense")], "invalid_api_key"),
        Proof::ChatToken | Proof::EmbedToken => (vec![bearer("nonsense")], "invalid_session_token"),
        Proof::SignedV2 => panic!("{} is opened by a token too", operation.id),
        Proof::SignedKey => {
            (callers.wallet.headers(operation, b"another body"), "invalid_signature")
        }
        Proof::PublishableKey | Proof::CacheKey | Proof::Nobody => {
            panic!("{} asks for nothing", operation.id)
        }
    };
    let wrong = callers.send_as(operation, "", headers, body.clone()).await;
    produced.note(operation, code, &wrong);
    if operation.credentials[0].browser_refused {
        let mut headers = callers.wallet.headers(operation, body.as_deref().unwrap_or_default());
        headers.push(("origin", "https://shop.example".to_owned()));
        let page = callers.send_as(operation, "", headers, body).await;
        produced.note(operation, "secret_key_in_browser", &page);
    }
}

/// Bodies that never come, and bodies for which there is no room.
fn late_and_crowded_bodies(produced: &mut Produced) {
    let slow = Service::start(|config| config.limits.body_deadline_ms = 50);
    let full = Service::start(|config| config.limits.in_flight_bytes = 8);
    for operation in OPERATIONS.iter().filter(|operation| operation.body.is_some()) {
        let late = head(&slow, operation, 9);
        produced.note(operation, "request_timeout", &late);
        assert_eq!(late.header("connection"), "close");
        let crowded = head(&full, operation, 9);
        produced.note(operation, "unavailable", &crowded);
    }
}

/// What one address gets that asks a second time, whatever it asks.
async fn too_many_requests(produced: &mut Produced) {
    let service = Service::start(|config| {
        config.limits.edge_mode = Mode::Enforce;
        config.limits.address = Rate { per_minute: 1, burst: 1 };
    });
    // The minute does not end here.
    service.context.clock.hold_at_ms(fresh_timestamp());
    let client = Client::new();
    for (n, operation) in OPERATIONS.iter().chain(OPERATIONS).enumerate() {
        let (url, method) = (service.url(operation.path), operation.method.clone());
        let headers: Vec<_> = origin(&service, operation).into_iter().collect();
        let answer = send_owned(&client, method, &url, &headers, None).await;
        if n > 0 {
            produced.note(operation, "rate_limited", &answer);
        }
    }
}

/// The answer to a request that announces a body and sends none.
fn head(service: &Service, operation: &OperationInfo, length: usize) -> Answer {
    let (method, path) = (&operation.method, operation.path);
    let origin = origin(service, operation).map(|(name, value)| format!("{name}: {value}\r\n"));
    let origin = origin.unwrap_or_default();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: v\r\n{origin}content-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    );
    raw(&service.base_url, &request)
}

/// The page that may read the answer, where pages may.
fn origin(service: &Service, operation: &OperationInfo) -> Option<(&'static str, String)> {
    operation.cors.then(|| ("origin", service.demo.demo.chat.origin.clone()))
}

#[tokio::test]
async fn the_routers_own_refusals_are_a_readable_subset() {
    let service = Service::shared();
    let cases = [
        (Method::GET, "/no/such/path", 404),
        (Method::GET, "/v1/embed", 404),
        (Method::GET, "/v1/embed/sessions", 405),
        (Method::PUT, "/api/v1/iframe/create", 405),
        (Method::OPTIONS, "/v1/embed/sessions", 405),
        (Method::DELETE, "/api/public/v1/chat/sessions", 405),
    ];
    for (method, path, status) in cases {
        let answer = send(method.clone(), &service.url(path), &[], None).await;
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
        assert!(answer.body["message"].as_str().is_some_and(|text| !text.is_empty()));
        let members = answer.body.as_object().expect("an object").keys();
        let known = ["error_code", "message", "request_id"];
        assert!(members.into_iter().all(|name| known.contains(&name.as_str())), "{}", answer.text);
    }
}

#[tokio::test]
async fn what_dev_adds_is_neither_kept_nor_sniffed() {
    let service = Service::shared();
    for (path, body) in [
        ("/dev/sessions", "{\"surface\":\"embed\"}"),
        ("/dev/sessions", "{}"),
        ("/dev/clock", "{}"),
    ] {
        let answer = send(Method::POST, &service.url(path), &[], Some(body.into())).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path} {body}");
        assert_eq!(answer.header("cache-control"), "no-store", "{path} {body}");
    }
}

#[tokio::test]
async fn request_ids_are_the_services_own_and_never_twice_the_same() {
    let service = Service::shared();
    let url = service.url("/v1/embed/session");
    let mut seen = BTreeSet::new();
    for _ in 0..5 {
        let refused = send(Method::GET, &url, &[("x-request-id", "chosen")], None).await;
        let id = refused.body["request_id"].as_str().expect("an id").to_owned();
        assert!(id != "chosen" && seen.insert(id), "{}", refused.text);
    }
}
