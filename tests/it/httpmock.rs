//! The generated typed mock, as a caller's tests use it: the client cannot tell it from the
//! service.

use httpmock::MockServer;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vestibule_client::{Credentials, Error, embed};
use vestibule_httpmock::embed::MockServerExt as _;

use crate::constraints::document;

fn example<T: DeserializeOwned>(schema: &str) -> T {
    let example = &document("embed")["components"]["schemas"][schema]["example"];
    serde_json::from_value(example.clone()).expect("an example is valid")
}

fn scheme_header(scheme: &str) -> String {
    let name = document("embed")["components"]["securitySchemes"][scheme]["name"].clone();
    serde_json::from_value(name).expect("it is a header")
}

#[tokio::test]
async fn the_mock_opens_a_session_for_the_body_and_the_signature_that_it_expects() {
    let server = MockServer::start_async().await;
    let (body, answer) = (example("CreateEmbedSession"), example("EmbedSessionEnvelope"));
    let mock = server.embed_session_create(|when, then| {
        let signed = when.body(&body).into_inner();
        signed
            .header(scheme_header("embedKey"), "yk_1")
            .header_exists(scheme_header("embedSignature"));
        then.created(&answer);
    });
    let signed = embed::Client::new(&server.base_url(), Credentials::signed("yk_1", "ysk_1"));
    let opened = signed.embed_session_create().body(body.clone()).send().await.expect("expected");
    let whole = |it: &embed::types::EmbedSessionEnvelope| serde_json::to_value(it).expect("JSON");
    assert_eq!(whole(&opened), whole(&answer));
    mock.assert_calls(1);
    let stranger = embed::Client::new(&server.base_url(), Credentials::signed("yk_2", "ysk_1"));
    stranger.embed_session_create().body(body).send().await.expect_err("not expected");
    mock.assert_calls(1);
}

#[tokio::test]
async fn the_mock_refuses_with_a_typed_error() {
    let server = MockServer::start_async().await;
    let refusal: embed::types::Error = example("Error");
    server.embed_session_read(|_, then| {
        then.client_error(400, &refusal);
    });
    let client = embed::Client::new(&server.base_url(), Credentials::bearer("t"));
    let refused = client.embed_session_read().send().await.expect_err("a refusal");
    let Error::ErrorResponse(refused) = refused else { panic!("{refused:?}") };
    assert_eq!(refused.status(), 400);
    assert_eq!(refused.error, refusal.error);
    let violations: &Value = &refused.details.0["violations"];
    assert_eq!(
        violations[0],
        json!({ "in": "body", "pointer": "/employeeId", "keyword": "required" })
    );
}
