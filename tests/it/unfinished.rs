//! The build in which a handler that nobody wrote answers 501; any other does not compile.
//!
//! A module of its own run: the rest of the tests is built without the feature.

use std::sync::Arc;

use dropshot::{ApiDescription, HttpServer};
use http::Method;
use serde_json::json;
use vestibule_api::chat_sessions::{self, ChatSessions};
use vestibule_runtime::{Keyed, Recall, Recalled, Refusal, Scope};

use crate::failing_handlers::{Clumsy, answer};
use crate::process::Process;
use crate::requests::{post, send};

/// Knows no request from before.
impl Recall for Clumsy {
    type Once = ();

    async fn recall(&self, _: Scope<'_>, _: Keyed) -> Result<Recalled<()>, Refusal> {
        Ok(Recalled::Fresh(()))
    }
}

/// Without the feature: missing `chat_session_create`.
impl ChatSessions for Clumsy {}

#[tokio::test]
async fn operation_without_a_handler_answers_501() {
    let server = start();
    let answer = post(&url(&server), &[], &json!({ "publicKey": public_key() })).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (501, "not_implemented"));
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.body["request_id"], answer.header("x-request-id"));
}

#[tokio::test]
async fn constraints_hold_before_there_is_a_handler() {
    let server = start();
    let answer = post(&url(&server), &[], &json!({ "publicKey": 1 })).await;
    assert_eq!((answer.status.as_u16(), answer.code()), (422, "validation_failed"));
    let headers = [("content-type", "text/plain")];
    let text = send(Method::POST, &url(&server), &headers, Some(b"{}".to_vec())).await;
    assert_eq!(text.status, 415);
}

#[test]
fn unfinished_build_starts_in_dev_alone() {
    let data = tempfile::tempdir().expect("a temporary directory");
    let refused = Process::command().arg("serve").current_dir(&data).output().expect("it runs");
    let text = String::from_utf8(refused.stderr).expect("UTF-8");
    assert_eq!(refused.status.code(), Some(2), "{text}");
    assert!(text.starts_with("error: this build: ") && text.contains("--dev"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(Process::start(data.path(), 0).terminate().success());
}

fn start() -> HttpServer<Arc<Clumsy>> {
    let mut api = ApiDescription::new();
    chat_sessions::register(&mut api).expect("one path");
    answer(api)
}

fn url(server: &HttpServer<Arc<Clumsy>>) -> String {
    format!("http://{}/api/public/v1/chat/sessions", server.local_addr())
}

fn public_key() -> String {
    format!("pk_live_{}", "0".repeat(32))
}
