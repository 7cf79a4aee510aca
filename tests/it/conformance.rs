//! The conformance run against our own service: it finds nothing, and it finds what is planted.
//!
//! Here a fault is planted in the document; faults of a server are planted by the script beside
//! the runner.

use std::process::Command;

use serde_json::{Value, json};
use vestibule_api::documents;
use vestibule_conformance::outcome::{Check, Outcome, Run};
use vestibule_conformance::{Credentials, Document, Expected, Limits, Options, plan, report, run};

use crate::constraints::document;
use crate::service::Service;
use crate::tools;

/// The bound that the tests change.
const LOCALE_BOUND: &str = "/components/schemas/CreateChatSession/properties/locale/maxLength";

/// Random cases on top of every constraint; a release is measured with a hundred and more.
const CASES: usize = 24;

fn service() -> Service {
    Service::start(|config| config.limits.redeem_per_minute = 1 << 16)
}

fn ours() -> Vec<Document> {
    let all = documents::ALL.iter();
    all.map(|(name, text)| Document::read(name, text).expect("our own document")).collect()
}

fn read(name: &str, value: &Value) -> Document {
    Document::read(name, &value.to_string()).expect("a document")
}

fn credentials(service: &Service) -> Credentials {
    let mut file = serde_json::to_value(&service.demo).expect("JSON");
    file["base_url"] = service.base_url.as_str().into();
    Credentials::new(file)
}

async fn tried(service: &Service, documents: &[Document], options: &Options) -> Run {
    let plan = plan(documents, credentials(service), options).expect("a plan");
    let limits = Limits { rate: 10_000, ..Limits::default() };
    run(plan, &service.base_url, &limits, &Expected::default(), &()).await.expect("it answers")
}

fn failures(run: &Run) -> Vec<String> {
    let told = run.failures().map(|(case, failure)| {
        format!("{}: {}; came {}", case.name, failure.expectation, failure.observed)
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn our_own_service_conforms() {
    let service = service();
    let run = tried(&service, &ours(), &Options { cases: CASES, ..Options::default() }).await;
    crate::constraints::none(failures(&run));
    let skipped = run.cases.iter().filter_map(|case| match &case.outcome {
        Outcome::Skipped { reason } => Some((case.operation.as_str(), reason.as_str())),
        Outcome::Passed | Outcome::Failed(_) => None,
    });
    let open = "the operation asks for no credential";
    let open = [("chatSessionCreate", open), ("iframeTokenRedeem", open), ("jwksRead", open)];
    assert_eq!(skipped.collect::<Vec<_>>(), open);
    for row in &run.operations {
        let tried = run.cases.iter().filter(|case| case.operation == row.id);
        assert!(tried.count() >= CASES, "{}", row.id);
    }
    let matrix = run.matrix();
    for check in Check::ALL {
        assert!(matrix.keys().any(|(_, it)| *it == check), "nothing tries {check}");
    }
}

/// A document that allows one character less than the service takes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bound_that_is_off_by_one_is_found_and_told() {
    let service = service();
    let mut value = document("chat");
    *value.pointer_mut(LOCALE_BOUND).expect("the bound of a locale") = 15.into();
    let document = read("chat", &value);
    let options = Options { operations: vec!["chatSessionCreate".into()], ..Options::default() };
    let run = tried(&service, &[document], &options).await;
    let found = failures(&run);
    let broken = "chatSessionCreate/broken/properties/locale/maxLength (maxLength + 1)";
    let failure = run.failures().find(|(case, _)| case.name == broken);
    let (_, failure) = failure.unwrap_or_else(|| panic!("{found:?}"));
    assert!(failure.expectation.contains("422"), "{}", failure.expectation);
    assert!(failure.observed.starts_with("200"), "{}", failure.observed);
    let body: Value = serde_json::from_str(failure.body.as_deref().expect("a body")).expect("JSON");
    let names: Vec<_> = body.as_object().expect("an object").keys().collect();
    assert_eq!(names, ["locale", "publicKey"], "what has nothing to do with it is gone");
    let line = &failure.curl;
    assert!(line.starts_with("curl ") && line.contains("--data-binary"), "{line}");
}

/// A service whose window is wider than the document says; the token it gave is in no report.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn window_that_is_off_by_a_second_is_found_without_telling_secrets() {
    let service = service();
    let mut value = document("embed");
    let window = "/components/securitySchemes/embedTimestamp/x-window-ms";
    let window = value.pointer_mut(window).expect("the window of a signature");
    *window = (window.as_i64().expect("milliseconds") - 1000).into();
    let document = read("embed", &value);
    let options = Options { operations: vec!["embedSessionCreate".into()], ..Options::default() };
    let run = tried(&service, &[document], &options).await;
    let found: Vec<_> = run.failures().map(|(case, _)| case.name.as_str()).collect();
    let edge = |edge| format!("embedSessionCreate/signature/beyond the {edge} edge of the window");
    assert_eq!(found, [edge("old"), edge("new")]);
    let report = serde_json::to_string(&run).expect("JSON");
    assert!(!report.contains(&service.demo.demo.embed.secret), "the secret is told");
    assert!(!report.contains("\"embedToken\\\":\\\"eyJ"), "a token is told");
    assert!(report.contains("EMBED_TOKEN") && report.contains("vestibule sign"), "{report}");
}

/// Operations whose answers give something away, its member, and what such values begin with.
const GIVING: [(&str, &str, &str); 6] = [
    ("admin", "tenantCreate", "identitySecret"),
    ("admin", "keyCreate", "secret"),
    ("chat", "chatSessionCreate", "sessionToken"),
    ("embed", "embedSessionCreate", "embedToken"),
    ("iframe", "iframeSessionCreate", "cache_key"),
    ("iframe", "iframeTokenRedeem", "access_token"),
];
const GIVEN: [&str; 5] = ["cis_", "ysk_", "iak_", "ck_", "eyJ"];

/// Every answer is wrong here, since it lacks a header; none is told with what it gave away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_answers_give_away_is_in_no_report() {
    let service = service();
    let mut all = ours();
    for (document, id, _) in GIVING {
        let document = all.iter_mut().find(|it| it.name == document).expect("our own document");
        *document = Document::read(&document.name, &with_a_header(document, id)).expect("read");
    }
    let operations = GIVING.map(|(_, id, _)| id.to_owned()).to_vec();
    let run = tried(&service, &all, &Options { operations, cases: 1, seed: 0 }).await;
    for (_, id, member) in GIVING {
        let mine = run.failures().filter(|(case, _)| case.operation == id);
        let answered = mine.filter_map(|(_, it)| Some((it.response.as_ref()?, &it.curl)));
        let good: Vec<_> = answered.filter(|(it, _)| it.status < 300).collect();
        let hidden = format!("\"{member}\":\"$");
        assert!(good.iter().any(|(it, _)| it.body.contains(&hidden)), "{id}: {good:?}");
        for (response, curl) in good {
            let has = |edge: char, start: &str| response.body.contains(&format!("{edge}{start}"));
            let told = GIVEN.iter().find(|start| has('"', start) || has('=', start));
            assert_eq!(told, None, "{id}: {}", response.body);
            assert!(id != "iframeTokenRedeem" || curl.contains("${CACHE_KEY}"), "{curl}");
        }
    }
}

fn with_a_header(document: &Document, id: &str) -> String {
    let mut value = Value::clone(&document.value);
    let paths = value["paths"].as_object_mut().expect("paths").values_mut();
    let mut operations = paths.flat_map(|item| item.as_object_mut().expect("methods").values_mut());
    let operation = operations.find(|it| it["operationId"] == id).expect("the operation");
    for (status, answer) in operation["responses"].as_object_mut().expect("answers") {
        if status.starts_with('2') {
            answer["headers"]["X-Nowhere"] = json!({ "required": true, "schema": {} });
        }
    }
    value.to_string()
}

/// A bound on requests leaves cases out, and then nothing was shown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn run_that_is_cut_short_is_not_fine() {
    let service = service();
    let operations = vec!["chatSessionCreate".to_owned()];
    let options = Options { operations, cases: 1, seed: 0 };
    let plan = plan(&ours(), credentials(&service), &options).expect("a plan");
    let limits = Limits { max_requests: 10, ..Limits::default() };
    let expected = Expected::default();
    let run = run(plan, &service.base_url, &limits, &expected, &()).await.expect("it answers");
    let counts = run.counts();
    assert!(counts.is_fine() && counts.passed > 0, "{:?}", failures(&run));
    assert_eq!(run.requests, limits.max_requests, "what was kept back was not sent");
    assert!(run.untried > 0 && run.untried <= counts.skipped && !run.is_fine(), "{counts:?}");
}

/// Credentials of nobody are told as such and not only as faults of the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_credentials_are_named_with_the_code_that_refuses_them() {
    let service = service();
    let mut file = serde_json::to_value(&service.demo).expect("JSON");
    file["embed"]["secret"] = "not the secret".into();
    let operations = vec!["embedSessionCreate".to_owned(), "tenantList".to_owned()];
    let options = Options { operations, cases: 1, seed: 0 };
    let plan = plan(&ours(), Credentials::new(file), &options).expect("a plan");
    let (limits, expected) = (Limits::default(), Expected::default());
    let run = run(plan, &service.base_url, &limits, &expected, &()).await.expect("it answers");
    let [refused] = &run.refused_credentials[..] else { panic!("{:?}", run.refused_credentials) };
    assert_eq!(refused.places, ["embed.key", "embed.secret"]);
    assert_eq!((refused.status, refused.code.as_deref()), (401, Some("invalid_signature")));
    assert!(!run.is_fine());
}

/// Telephones are this wide; the matrix of checks scrolls in its own frame there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn report_is_as_wide_as_a_narrow_window() {
    const WIDTH: u32 = 360;
    let service = service();
    let mut value = document("chat");
    let options = Options { operations: vec!["chatSessionCreate".into()], ..Options::default() };
    let clean = tried(&service, &[read("chat", &value)], &options).await;
    *value.pointer_mut(LOCALE_BOUND).expect("the bound of a locale") = 15.into();
    let failing = tried(&service, &[read("chat", &value)], &options).await;
    assert!(clean.counts().is_fine() && !failing.counts().is_fine());
    let folder = tempfile::tempdir().expect("a folder");
    let mut browser = Command::new(tools::node());
    browser.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/browser/report.mjs"));
    browser.args([tools::node_modules(), tools::chromium()]).arg(WIDTH.to_string());
    for (name, run) in [("clean", &clean), ("failing", &failing)] {
        let folder = folder.path().join(name);
        report::write(&folder, run).expect("the reports");
        browser.arg(folder.join("report.html"));
    }
    let output = browser.output().expect("node starts");
    let problem = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{problem}");
    let widths: Vec<u32> = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(widths, [WIDTH, WIDTH]);
}

/// A credential that is nearly right is told as little as the right one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn credentials_that_are_nearly_right_are_not_told() {
    let service = service();
    let of = [("iframe", "iframeSessionCreate"), ("embed", "embedSessionCreate")];
    let documents = of.map(|(wanted, id)| {
        let mut value = document(wanted);
        let paths = value["paths"].as_object_mut().expect("paths");
        let of_paths = paths.values_mut().flat_map(|it| it.as_object_mut().expect("a path"));
        let found = of_paths.map(|(_, it)| it).find(|it| it["operationId"] == id).expect(id);
        found["responses"]["401"]["x-codes"] = json!(["no_code_of_ours"]);
        read(wanted, &value)
    });
    let operations = of.map(|(_, id)| id.to_owned()).to_vec();
    let options = Options { cases: 1, operations, ..Options::default() };
    let run = tried(&service, &documents, &options).await;
    let report = serde_json::to_string(&run).expect("JSON");
    let demo = &service.demo.demo;
    // The key of a signature is an id that its line for a shell names.
    for secret in [&demo.iframe.api_key, &demo.embed.secret] {
        // One character is changed some places before the end.
        let most = &secret[..secret.len() - 6];
        let told = report.find(most).map(|at| &report[at.saturating_sub(300)..at]);
        assert_eq!(told, None, "most of a credential is told");
    }
    for variable in ["API_KEY_SHORT", "EMBED_KEY_ONE_OFF"] {
        assert!(report.contains(variable), "{report}");
    }
}

/// Names and number of cases depend on documents, options and seed alone.
#[test]
fn plan_is_the_same_every_time() {
    let names = |seed| {
        let options = Options { seed, ..Options::default() };
        let plan = plan(&ours(), Credentials::default(), &options).expect("a plan");
        plan.cases.into_iter().map(|case| case.name).collect::<Vec<_>>()
    };
    let (first, again) = (names(1), names(1));
    assert_eq!(first, again);
    let different: std::collections::BTreeSet<_> = first.iter().collect();
    assert_eq!(different.len(), first.len(), "two cases have one name");
}

#[tokio::test]
async fn deployment_that_is_down_is_one_line() {
    let plan = plan(&ours(), Credentials::default(), &Options::default()).expect("a plan");
    let limits = Limits::default();
    let bad = run(plan, "http://127.0.0.1:1", &limits, &Expected::default(), &()).await;
    let bad = bad.expect_err("nobody listens there");
    assert!(bad.starts_with("http://127.0.0.1:1 does not answer: "), "{bad}");
    assert!(!bad.contains('\n'), "{bad}");
}
