//! Every documented refusal of every operation, produced once over the wire.
//!
//! The test walks `register::OPERATIONS` and subtracts what it saw; what it cannot produce stands
//! in [`UNCOVERED`], which may only shrink.

use std::collections::BTreeSet;

use reqwest::{Client, Method};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::callers::{Proof, Target, Wallet, bearer, send_owned};
use crate::requests::{Answer, raw, send};
use crate::service::Service;
use crate::{error_causes, error_failures};

/// Documented refusals that nothing here produces: no stored data and no lost database makes these
/// operations fail that way. A panic does, behind the same glue: see `failing_handlers`.
const UNCOVERED: &[(&str, u16, &str)] = &[
    ("iframeSessionCreate", 500, "internal"),
    ("keyCreate", 500, "internal"),
    ("keyRevoke", 500, "internal"),
    ("tenantCreate", 500, "internal"),
    ("tenantRevoke", 500, "internal"),
];

/// The codes of the error table in `surfaces.md` that the operations of today answer.
const TABLE: &[(u16, &[&str])] = &[
    (
        400,
        &["invalid_json", "invalid_request", "invalid_input", "unknown_source", "theme_conflict"],
    ),
    (401, &["missing_credentials", "invalid_api_key", "invalid_signature"]),
    (401, &["timestamp_out_of_window", "signature_replayed", "invalid_session_token"]),
    (401, &["token_expired", "token_revoked", "invalid_customer_token"]),
    (403, &["insufficient_scope", "widget_disabled", "origin_not_allowed"]),
    (403, &["secret_key_in_browser"]),
    (404, &["employee_not_found", "chat_not_found", "theme_not_found", "cache_key_not_found"]),
    (404, &["tenant_not_found", "key_not_found"]),
    (408, &["request_timeout"]),
    (410, &["cache_key_expired", "cache_key_used"]),
    (413, &["payload_too_large"]),
    (415, &["unsupported_media_type"]),
    (422, &["validation_failed"]),
    (429, &["rate_limited"]),
    (500, &["internal"]),
    (503, &["unavailable"]),
];

type Triple = (&'static str, u16, String);

/// Which refusals were seen.
#[derive(Default)]
pub struct Produced(BTreeSet<Triple>);

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
        self.0.insert((operation.id, *status, code.to_owned()));
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
async fn every_documented_refusal_is_produced_and_the_uncovered_list_is_true() {
    let mut produced = Produced::default();
    let callers = Callers::new(Service::shared()).await;
    for operation in OPERATIONS {
        wrong_parameters(&callers, operation, &mut produced).await;
        wrong_bodies(&callers, operation, &mut produced).await;
        wrong_credentials(&callers, operation, &mut produced).await;
    }
    late_and_crowded_bodies(&mut produced);
    error_causes::produce(&mut produced).await;
    error_failures::produce(&mut produced).await;
    let documented = OPERATIONS.iter().flat_map(|operation| {
        let answers = operation.answers.iter();
        answers
            .flat_map(|(status, codes)| codes.iter().map(|code| (operation.id, *status, code.name)))
    });
    let missing: BTreeSet<_> = documented
        .filter(|(id, status, code)| !produced.0.contains(&(id, *status, (*code).to_owned())))
        .collect();
    assert_eq!(
        missing,
        UNCOVERED.iter().copied().collect(),
        "left: not produced; right: UNCOVERED"
    );
    for (status, codes) in TABLE {
        for code in *codes {
            assert!(produced.0.iter().any(|(_, s, c)| s == status && c == code), "{status} {code}");
        }
    }
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
    let typed = vec![("content-type", "text/plain".to_owned())];
    let refused = callers.send_as(operation, "", typed, callers.body(operation)).await;
    produced.note(operation, "unsupported_media_type", &refused);
    let large = raw(&callers.service.base_url, &head(operation, info.max_bytes + 1));
    produced.note(operation, "payload_too_large", &large);
    assert_eq!(large.header("connection"), "close");
}

async fn wrong_credentials(
    callers: &Callers<'_>,
    operation: &OperationInfo,
    produced: &mut Produced,
) {
    let Some(credential) = operation.credential else { return };
    let body = callers.body(operation);
    let nobody = callers.send_as(operation, "", vec![], body.clone()).await;
    produced.note(operation, "missing_credentials", &nobody);
    let (headers, code) = match Proof::of(operation) {
        Proof::AdminKey | Proof::ApiKey => (vec![bearer("nonsense")], "invalid_api_key"),
        Proof::ChatToken | Proof::EmbedToken => (vec![bearer("nonsense")], "invalid_session_token"),
        Proof::SignedKey => {
            (callers.wallet.headers(operation, b"another body"), "invalid_signature")
        }
        Proof::PublishableKey | Proof::CacheKey => panic!("{} asks for nothing", operation.id),
    };
    let wrong = callers.send_as(operation, "", headers, body.clone()).await;
    produced.note(operation, code, &wrong);
    if credential.browser_refused {
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
        let late = raw(&slow.base_url, &head(operation, 9));
        produced.note(operation, "request_timeout", &late);
        assert_eq!(late.header("connection"), "close");
        let crowded = raw(&full.base_url, &head(operation, 9));
        produced.note(operation, "unavailable", &crowded);
    }
}

/// A request that announces a body and sends none.
fn head(operation: &OperationInfo, length: usize) -> String {
    let (method, path) = (&operation.method, operation.path);
    format!(
        "{method} {path} HTTP/1.1\r\nhost: v\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n"
    )
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
