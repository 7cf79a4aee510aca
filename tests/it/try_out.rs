//! `/docs/api`: the page, what it loads, what `--dev` adds to it, and the page in a browser.

use std::process::Command;

use reqwest::Method;
use serde_json::{Value, json};
use vestibule_api::documents;

use crate::callers::text;
use crate::constraints::document;
use crate::process::Process;
use crate::requests::{Answer, fresh_timestamp, send, signed};
use crate::service::Service;
use crate::tools;

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
    font-src 'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; \
    form-action 'none'; require-trusted-types-for 'script'";

const ASSETS: [(&str, &str); 4] = [
    ("/docs/api/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ("/docs/api/swagger-ui.css", "text/css; charset=utf-8"),
    ("/docs/api/reference.js", "text/javascript; charset=utf-8"),
    ("/docs/api/reference.css", "text/css; charset=utf-8"),
];

/// Where a request that refuses browsers goes by way of the relay.
const RELAYED: &str = "/dev/try/v1/embed/sessions";

#[tokio::test]
async fn the_page_runs_under_the_strict_policy() {
    let page = send(Method::GET, &Service::shared().url("/docs/api"), &[], None).await;
    assert_eq!(page.status, 200);
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("content-security-policy", POLICY),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
    ] {
        assert_eq!(page.header(name), value, "{name}");
    }
    for (name, _) in documents::ALL {
        assert!(page.text.contains(&format!("<option value=\"{name}\">")), "{name}");
    }
    for inline in ["<style", " style=", " onclick=", "//", "{mode}", "{documents}"] {
        assert!(!page.text.contains(inline), "{inline}");
    }
    assert_eq!(page.text.matches("<script").count(), page.text.matches("<script src=").count());
}

#[tokio::test]
async fn everything_the_page_loads_is_served_with_a_validator() {
    let service = Service::shared();
    let page = send(Method::GET, &service.url("/docs/api"), &[], None).await;
    for (path, kind) in ASSETS {
        assert!(page.text.contains(path), "{path}");
        let url = service.url(path);
        let served = send(Method::GET, &url, &[], None).await;
        assert_eq!((served.status.as_u16(), served.header("content-type")), (200, kind), "{path}");
        let etag = [("if-none-match", served.header("etag"))];
        assert_eq!(send(Method::GET, &url, &etag, None).await.status, 304, "{path}");
    }
}

#[tokio::test]
async fn swagger_ui_is_the_pinned_package_byte_for_byte() {
    for name in ["swagger-ui-bundle.js", "swagger-ui.css"] {
        let url = Service::shared().url(&format!("/docs/api/{name}"));
        let served = send(Method::GET, &url, &[], None).await;
        let package = tools::node_modules().join("swagger-ui-dist").join(name);
        let package = std::fs::read_to_string(package).expect("the package is installed");
        assert!(served.text == package, "{name}: run `cargo xtask generate`");
    }
}

#[tokio::test]
async fn without_dev_the_page_is_a_reader() {
    let service = Service::start(|config| config.dev = false);
    let own = [("origin", service.base_url.as_str())];
    let page = send(Method::GET, &service.url("/docs/api"), &[], None).await;
    assert!(page.text.contains("data-mode=\"reader\""), "{}", page.text);
    for path in ["/dev/credentials", RELAYED] {
        let answer = send(Method::POST, &service.url(path), &own, Some(b"{}".to_vec())).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.text);
    }
}

#[tokio::test]
async fn demo_credentials_are_for_the_own_pages_alone() {
    let service = Service::shared();
    let url = service.url("/dev/credentials");
    let own = send(Method::POST, &url, &[("origin", &service.base_url)], None).await;
    assert_eq!(own.status, 200, "{}", own.text);
    assert_eq!(own.header("cache-control"), "no-store");
    assert_eq!(text(&own, "/signing/secret"), service.demo.demo.embed.secret);
    for origin in [None, Some(("origin", "https://shop.example"))] {
        let refused = send(Method::POST, &url, origin.as_slice(), None).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "origin_not_allowed"));
        assert!(!refused.text.contains(&service.demo.demo.embed.secret));
    }
}

/// Behind a proxy on this machine everybody comes from a loopback address and can write any
/// `Origin`.
#[tokio::test]
async fn demo_credentials_stay_here_behind_a_proxy() {
    let service = Service::shared();
    for told in ["forwarded", "via", "x-forwarded-for"] {
        let headers = [("origin", service.base_url.as_str()), (told, "192.0.2.7")];
        for path in ["/dev/credentials", RELAYED] {
            let refused = send(Method::POST, &service.url(path), &headers, None).await;
            assert_eq!(refused.code(), "origin_not_allowed", "{told} {path}: {}", refused.text);
        }
    }
}

/// The schemes that credentials are given for are schemes of the documents, and so are operations.
#[tokio::test]
async fn demo_credentials_are_named_as_in_the_documents() {
    let service = Service::shared();
    let url = service.url("/dev/credentials");
    let given = send(Method::POST, &url, &[("origin", &service.base_url)], None).await.body;
    let all: Vec<_> = documents::ALL.iter().map(|(name, _)| document(name)).collect();
    let known =
        |scheme: &str| all.iter().any(|it| it["components"]["securitySchemes"][scheme].is_object());
    for scheme in given["schemes"].as_object().expect("schemes").keys() {
        assert!(known(scheme), "{scheme}");
    }
    let text = all.iter().map(Value::to_string).collect::<String>();
    for operation in given["bodies"].as_object().expect("bodies").keys() {
        assert!(text.contains(&format!("\"operationId\":\"{operation}\"")), "{operation}");
    }
}

#[tokio::test]
async fn the_relay_hands_on_the_answer_of_the_service_itself() {
    let service = Service::shared();
    let embed = &service.demo.demo.embed;
    let body = json!({ "employeeId": embed.employee_id, "capabilities": ["showChatsList"] });
    let own = service.base_url.clone();
    let direct = open_embed("/v1/embed/sessions", &body, Some(&own)).await;
    assert_eq!((direct.status.as_u16(), direct.code()), (403, "secret_key_in_browser"));
    let relayed = open_embed(RELAYED, &body, Some(&own)).await;
    assert_eq!(relayed.status, 201, "{}", relayed.text);
    assert_eq!(relayed.header("location"), "/v1/embed/session");
    let broken = open_embed(RELAYED, &json!({}), Some(&own)).await;
    assert_eq!((broken.status.as_u16(), broken.code()), (400, "invalid_request"));
    assert!(!broken.header("x-request-id").is_empty());
}

#[tokio::test]
async fn the_relay_serves_the_own_pages_alone() {
    let service = Service::shared();
    let embed = &service.demo.demo.embed;
    let body = json!({ "employeeId": embed.employee_id, "capabilities": ["showChatsList"] });
    // What the relay sends has no origin, so it cannot be made to call itself.
    let twice = format!("/dev/try{RELAYED}");
    let (own, other) = (Some(service.base_url.as_str()), Some("https://shop.example"));
    for (path, origin) in [(RELAYED, None), (RELAYED, other), (&twice, own)] {
        let refused = open_embed(path, &body, origin).await;
        assert_eq!((refused.status.as_u16(), refused.code()), (403, "origin_not_allowed"));
    }
}

/// A signed request of the demo tenant, as a page of `origin` would send it.
async fn open_embed(path: &str, body: &Value, origin: Option<&str>) -> Answer {
    let (service, text) = (Service::shared(), body.to_string().into_bytes());
    let embed = &service.demo.demo.embed;
    let headers = signed(&embed.key, &embed.secret, fresh_timestamp(), &text);
    let signed = headers.iter().map(|(name, value)| (*name, value.as_str()));
    let headers: Vec<_> = signed.chain(origin.map(|origin| ("origin", origin))).collect();
    send(Method::POST, &service.url(path), &headers, Some(text)).await
}

/// Under its policy and offline: every document is shown, and each door opens at the first try.
#[test]
fn the_page_opens_every_door_in_a_browser() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let service = Process::start(data.path(), 0);
    let seen = browse(&service.base_url, "");
    for (operation, status, part) in [
        ("embedSessionCreate", "201", service.demo.demo.embed.chat_id.as_str()),
        ("chatSessionCreate", "200", "sessionToken"),
        ("iframeSessionCreate", "200", service.base_url.as_str()),
        ("tenantList", "200", "tenantId"),
    ] {
        let answer = &seen["answers"][operation];
        assert_eq!(answer["status"], status, "{answer}");
        assert!(answer["body"].as_str().is_some_and(|body| body.contains(part)), "{answer}");
    }
    let listed = &seen["answers"]["tenantList"];
    assert!(listed["curl"].as_str().is_some_and(|curl| !curl.contains("after=")), "{listed}");
    let documented = seen["answers"]["embedSessionCreate"]["documented"].as_str();
    assert!(documented.is_some_and(|text| text.contains("signature_replayed")), "{documented:?}");
}

#[test]
fn without_dev_the_page_takes_typed_credentials_in_a_browser() {
    let service = Service::start(|config| config.dev = false);
    let seen = browse(&service.base_url, &service.demo.admin.token);
    assert_eq!(seen["answers"]["tenantList"]["status"], "200", "{}", seen["answers"]);
}

/// What a browser saw of the page: nothing foreign, nothing forbidden, and every path of every
/// document.
fn browse(base_url: &str, token: &str) -> Value {
    let mut browser = Command::new(tools::node());
    browser.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser/reference.mjs"));
    browser.args([tools::node_modules(), tools::chromium()]).args([base_url, token]);
    let output = browser.output().expect("node runs");
    let said = String::from_utf8_lossy(&output.stderr);
    let seen: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}"));
    for nothing in ["violations", "foreign", "console"] {
        assert_eq!(seen[nothing], json!([]), "{nothing}");
    }
    assert_eq!(seen["problem"], Value::Null);
    for (name, text) in documents::ALL {
        let document: Value = serde_json::from_str(text).expect("JSON");
        // Swagger UI lets a path break at its slashes by a character of no width.
        let shown = seen["texts"][name].as_str().expect("a text").replace('\u{200b}', "");
        let paths = document["paths"].as_object().expect("paths").keys();
        paths.for_each(|path| assert!(shown.contains(path.as_str()), "{name}: {path} in {shown}"));
    }
    seen
}
