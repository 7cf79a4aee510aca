//! Bodies of every operation that takes one: one JSON value, one media type, nothing ambiguous.

use reqwest::{Client, Method};
use serde_json::{Value, json};
use vestibule_api::register::OPERATIONS;
use vestibule_runtime::OperationInfo;

use crate::callers::{Target, Wallet, send_owned};
use crate::requests::{Answer, send};
use crate::service::Service;

const FINE_TYPES: [&str; 5] = [
    "application/json",
    "application/json; charset=utf-8",
    "application/json;charset=UTF-8",
    "application/json; charset=\"utf-8\"",
    "Application/JSON; profile=x",
];

const BAD_TYPES: [&str; 12] = [
    "application/json; charset=latin1",
    "application/json; charset=iso-8859-1",
    "application/json; charset=utf-16",
    "application/problem+json",
    "application/vnd.api+json",
    "application/jsonp",
    "application/json, text/plain",
    "text/json",
    "text/plain",
    "application/x-www-form-urlencoded",
    "json",
    "",
];

/// The right caller of each operation that takes a body.
struct Callers<'a> {
    service: &'a Service,
    client: Client,
    wallet: Wallet,
    target: Target,
}

impl<'a> Callers<'a> {
    async fn new(service: &'a Service) -> Self {
        let wallet = Wallet::open(service, &service.demo.demo).await;
        Self { service, client: Client::new(), wallet, target: Target::create(service).await }
    }

    async fn send(
        &self,
        operation: &OperationInfo,
        media: &[(&'static str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut headers = self.wallet.headers(operation, body);
        headers.extend(media.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let url = self.service.url(&self.target.path(operation));
        let method = operation.method.clone();
        send_owned(&self.client, method, &url, &headers, Some(body.to_vec())).await
    }

    fn body(&self, operation: &OperationInfo) -> String {
        self.wallet.body(operation, &self.target.tenant_id).expect("it takes a body").to_string()
    }
}

fn with_bodies() -> impl Iterator<Item = &'static OperationInfo> {
    OPERATIONS.iter().copied().filter(|operation| operation.body.is_some())
}

fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// Texts that are not exactly one JSON value, made of one that is.
fn not_one_value(fine: &str) -> Vec<Vec<u8>> {
    let inner = &fine[1..fine.len() - 1];
    vec![
        vec![],
        b" ".to_vec(),
        fine[..fine.len() - 1].into(),
        format!("{fine}x").into(),
        format!("{fine}{fine}").into(),
        format!("{fine},").into(),
        format!("{{{inner},{inner}}}").into(),
        format!("{{{inner},\"a\":1,\"\\u0061\":2}}").into(),
        format!("{{{inner},\"a\":[{{\"b\":1,\"b\":1}}]}}").into(),
        format!("{{{inner},}}").into(),
        format!("{{{inner},\"a\":\"\\u0000\"}}").into(),
        format!("{{{inner},\"a\\u0000\":1}}").into(),
        format!("{{{inner},\"a\":\"\\ud800\"}}").into(),
        format!("{{{inner},\"a\":01}}").into(),
        format!("{{{inner},\"a\":NaN}}").into(),
        format!("{{{inner},\"a\":1e999}}").into(),
        format!("{{{inner},\"a\":'x'}}").into(),
        format!("{{{inner}}} // x").into(),
        [b"\xef\xbb\xbf", fine.as_bytes()].concat(),
        [fine.as_bytes(), b"\0"].concat(),
        [b"{\"a\":\"\xff\"}".as_slice()].concat(),
        format!("{{{inner},\"a\":{}}}", nested(16)).into(),
        nested(17).into(),
    ]
}

#[tokio::test]
async fn what_is_not_exactly_one_json_value_is_invalid_json() {
    let callers = Callers::new(Service::shared()).await;
    for operation in with_bodies() {
        for case in not_one_value(&callers.body(operation)) {
            let refused = callers.send(operation, &[], &case).await;
            assert_eq!(
                refused.code(),
                "invalid_json",
                "{} {}",
                operation.id,
                String::from_utf8_lossy(&case)
            );
            refused.refused(400, "invalid_json");
        }
    }
}

#[tokio::test]
async fn nesting_of_16_and_2000_values_are_json_and_one_more_is_not() {
    let callers = Callers::new(Service::shared()).await;
    for operation in with_bodies() {
        let deep = callers.send(operation, &[], nested(16).as_bytes()).await;
        assert_ne!(deep.code(), "invalid_json", "{}", operation.id);
        if operation.body.as_ref().is_some_and(|body| body.max_bytes < 4100) {
            continue;
        }
        let flat = |count: usize| format!("[{}]", vec!["1"; count - 1].join(","));
        let most = callers.send(operation, &[], flat(2000).as_bytes()).await;
        assert_ne!(most.code(), "invalid_json", "{}", operation.id);
        let more = callers.send(operation, &[], flat(2001).as_bytes()).await;
        more.refused(400, "invalid_json");
    }
}

#[tokio::test]
async fn white_space_and_escapes_around_the_same_value_mean_the_same() {
    let service = Service::shared();
    let callers = Callers::new(service).await;
    let operation = with_bodies().find(|it| it.id == "embedSessionCreate").expect("documented");
    let body = " \r\n\t{ \"employee\\u0049d\" : \"64f00000000000000000000\\u0031\" ,\
                 \"capabilities\":[ \"showChatsList\" ]}\n";
    let opened = callers.send(operation, &[], body.as_bytes()).await;
    assert_eq!(opened.status, 201, "{}", opened.text);
}

#[tokio::test]
async fn the_media_type_is_json_in_utf8_and_nothing_else() {
    let callers = Callers::new(Service::shared()).await;
    for operation in with_bodies() {
        let body = callers.body(operation).into_bytes();
        for fine in FINE_TYPES {
            let taken = callers.send(operation, &[("content-type", fine)], &body).await;
            assert!(
                taken.status.as_u16() < 300 || taken.code() == "cache_key_used",
                "{}, {fine}: {}",
                operation.id,
                taken.text
            );
        }
        for bad in BAD_TYPES {
            let refused = callers.send(operation, &[("content-type", bad)], &body).await;
            assert_eq!(refused.code(), "unsupported_media_type", "{}: {bad:?}", operation.id);
            refused.refused(415, "unsupported_media_type");
        }
        let json = ("content-type", "application/json");
        let twice = callers.send(operation, &[json, json], &body).await;
        twice.refused(415, "unsupported_media_type");
        for encoding in ["gzip", "identity", "br"] {
            let encoded =
                callers.send(operation, &[json, ("content-encoding", encoding)], &body).await;
            encoded.refused(415, "unsupported_media_type");
        }
    }
}

#[tokio::test]
async fn a_body_without_a_media_type_is_unsupported() {
    let service = Service::shared();
    for operation in with_bodies() {
        // An empty list of types is not what the client sends by itself, so this goes by hand.
        let url = service.url(&operation.path.replace("{tenantId}", "t"));
        let sent = Client::new().request(operation.method.clone(), url).body("{}").send().await;
        let sent = sent.expect("an answer");
        assert_eq!(sent.status(), 415, "{}", operation.id);
    }
}

#[tokio::test]
async fn integers_are_written_as_integers() {
    let service = Service::shared();
    let demo = &service.demo.demo.iframe;
    let bearer = format!("Bearer {}", demo.api_key);
    let url = service.url("/api/v1/iframe/create");
    let create = async |ttl: &str| {
        let body = format!(r#"{{"uid":"u","srcs":[{}],"ttl":{ttl}}}"#, demo.source_ids[0]);
        send(Method::POST, &url, &[("authorization", &bearer)], Some(body.into())).await
    };
    assert_eq!(create("900").await.status, 200);
    for bad in [
        "900.0",
        "9e2",
        "9.0e2",
        "900.5",
        "\"900\"",
        "true",
        "[900]",
        "1e20",
        "99999999999999999999",
        "-0.0",
    ] {
        let refused = create(bad).await;
        refused.refused(400, "invalid_input");
        assert!(
            refused.violations().iter().all(|(_, at, _)| at == "/ttl"),
            "{bad}: {}",
            refused.text
        );
    }
}

#[tokio::test]
async fn a_body_that_is_json_but_no_object_breaks_its_type() {
    let callers = Callers::new(Service::shared()).await;
    for operation in with_bodies() {
        let body = operation.body.as_ref().expect("it takes a body");
        let status = operation.status_of(body.refused).expect("documented").as_u16();
        for other in ["[]", "null", "1", "\"{}\"", "true", "[{}]"] {
            let refused = callers.send(operation, &[], other.as_bytes()).await;
            refused.refused(status, body.refused.name);
            let expected = ("body".to_owned(), String::new(), "type".to_owned());
            assert_eq!(refused.violations(), [expected], "{} {other}", operation.id);
        }
    }
}

#[tokio::test]
async fn violations_are_at_most_64_and_then_truncated() {
    let callers = Callers::new(Service::shared()).await;
    for operation in with_bodies() {
        let body = operation.body.as_ref().expect("it takes a body");
        let status = operation.status_of(body.refused).expect("documented").as_u16();
        let mut value: Value = serde_json::from_str(&callers.body(operation)).expect("JSON");
        for (count, listed) in [(64, 64), (65, 64), (200, 64)] {
            for n in 0..count {
                value[format!("x{n}")] = json!(n);
            }
            let refused = callers.send(operation, &[], value.to_string().as_bytes()).await;
            refused.refused(status, body.refused.name);
            assert_eq!(refused.violations().len(), listed, "{}", operation.id);
            let truncated = refused.body["details"].get("truncated");
            assert_eq!(truncated, (count > 64).then_some(&Value::Bool(true)), "{}", operation.id);
        }
    }
}
