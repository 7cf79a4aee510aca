//! Documents whose operations feed each other in a circle, against a server that says one thing.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use crate::outcome::{Outcome, Run};
use crate::{Credentials, Document, Expected, Limits, Options, plan, run};

const SAID: &str = r#"{"next":"n1"}"#;

/// A server that answers everything alike, and the request lines that it gets.
fn server() -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}", listener.local_addr().unwrap());
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for socket in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&socket).lines().map_while(Result::ok);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            let length = SAID.len();
            let head_out = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
            // Who asked may be gone already.
            let _ = write!(&socket, "{head_out}\r\nContent-Length: {length}\r\n\r\n{SAID}");
            if head.first().is_none_or(|line| tell.send(line.clone()).is_err()) {
                return;
            }
        }
    });
    (base_url, told)
}

/// An operation at `/<id>` whose answer feeds the parameter `next` of another.
fn feeding(id: &str, required: bool, fed: &str) -> serde_json::Value {
    let place = if required { "path" } else { "query" };
    let schema = json!({ "type": "string" });
    json!({ "get": {
        "operationId": id,
        "parameters": [{ "name": "next", "in": place, "required": required, "schema": schema }],
        "responses": { "200": {
            "content": { "application/json": { "schema": { "type": "object" } } },
            "links": { "more": {
                "operationId": fed,
                "parameters": { "next": "$response.body#/next" },
            } },
        } },
    } })
}

async fn tried(paths: serde_json::Value) -> (Run, Vec<String>) {
    let (base_url, told) = server();
    let document = json!({ "openapi": "3.0.3", "paths": paths }).to_string();
    let document = Document::read("circle", &document).unwrap();
    let options = Options { cases: 1, ..Options::default() };
    let plan = plan(&[document], Credentials::default(), &options).unwrap();
    let limits = Limits { rate: 10_000, ..Limits::default() };
    let run = run(plan, &base_url, &limits, &Expected::default(), &()).await.unwrap();
    (run, told.try_iter().collect())
}

fn ended<'r>(run: &'r Run, name: &str) -> &'r Outcome {
    &run.cases.iter().find(|case| case.name == name).unwrap().outcome
}

#[tokio::test]
async fn page_that_leads_to_the_next_ends() {
    let (run, sent) = tried(json!({ "/list": feeding("list", false, "list") })).await;
    for case in ["list/valid/plain", "list/valid/everything optional"] {
        assert!(matches!(ended(&run, case), Outcome::Passed), "{:?}", ended(&run, case));
    }
    let has = |line: &str| sent.iter().any(|it| it.starts_with(line));
    assert!(has("GET /list HTTP") && has("GET /list?next=n1 HTTP"), "{sent:?}");
}

#[tokio::test]
async fn operations_that_need_each_other_are_skipped_with_the_reason() {
    let paths =
        json!({ "/a/{next}": feeding("a", true, "b"), "/b/{next}": feeding("b", true, "a") });
    let (run, _) = tried(paths).await;
    for case in ["a/valid/plain", "b/valid/plain"] {
        let Outcome::Skipped { reason } = ended(&run, case) else { panic!("{case} was tried") };
        assert_eq!(reason, "nothing says which next exists here");
    }
}
