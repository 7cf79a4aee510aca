//! What is found in an answer that is not what the document says.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::document::{Document, operations};
use crate::request::Request;

fn operation() -> Arc<Operation> {
    let header = |kind: Value| json!({ "required": true, "schema": kind });
    let error =
        json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
    let document = json!({
        "openapi": "3.0.3",
        "x-validation": {
            "body": { "status": 422, "code": "broken" },
            "parameters": { "status": 400, "code": "odd" },
        },
        "paths": { "/things": { "post": {
            "operationId": "thingCreate",
            "requestBody": {
                "x-credentials": { "/id": { "credential": "ids", "foreign": "not_yours" } },
                "x-rules": [
                    { "code": "clash", "when": ["a", "b"] },
                    { "pointer": "/list/*", "keyword": "pattern" },
                ],
                "content": { "application/json": { "schema": { "type": "object" } } },
            },
            "responses": {
                "201": {
                    "headers": {
                        "Cache-Control": header(json!({ "type": "string", "enum": ["no-store"] })),
                        "X-Left": { "schema": { "type": "integer", "maximum": 5 } },
                    },
                    "content": { "application/json": { "schema": {
                        "type": "object",
                        "additionalProperties": false,
                        "required": ["at"],
                        "properties": { "at": { "type": "string", "format": "date-time" } },
                    } } },
                },
                "204": {},
                "400": { "x-codes": ["no_such_thing"], "content": error },
                "403": { "x-codes": ["not_yours", "no_page"], "content": error },
                "429": { "content": error },
                "401": { "x-codes": ["nobody"], "content": error },
                "404": { "x-codes": ["gone", "clash"], "content": error },
                "422": { "x-codes": ["broken"], "content": error },
            },
        } } },
        "components": { "schemas": { "Error": { "type": "object", "required": ["error"] } } },
    });
    let document = Document::read("things", &document.to_string()).unwrap();
    operations(&[document]).unwrap().remove(0)
}

fn reply(status: u16, headers: &[(&str, &str)], body: Value) -> Reply {
    let mut all = vec![("content-type".to_owned(), "application/json".to_owned())];
    all.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Reply { status, headers: all, body: body.into(), took: Duration::ZERO }
}

fn created(headers: &[(&str, &str)], body: Value) -> Reply {
    reply(201, &[&[("cache-control", "no-store")], headers].concat(), body)
}

fn sent(value: Value) -> Built {
    Built { request: Request::get("http://a/"), value: Some(value), is_unknown: false }
}

fn refused(code: &str, violations: Value) -> Reply {
    let status = if code == "broken" { 422 } else { 404 };
    reply(status, &[], json!({ "error": code, "details": { "violations": violations } }))
}

/// What is wrong with an answer, or nothing.
fn found(expect: &Expect, built: &Built, reply: &Reply) -> String {
    let verdict = expect.judge(&operation(), built, reply);
    verdict.err().map(|it| format!("{}: {}", it.expectation, it.observed)).unwrap_or_default()
}

#[test]
fn documented_answers_have_nothing_wrong() {
    let now = json!({ "at": "2026-05-08T12:00:00.000Z" });
    for reply in
        [created(&[], now.clone()), created(&[("x-left", "5")], now), reply(204, &[], Value::Null)]
    {
        assert_eq!(found(&Expect::accepted(), &sent(json!({})), &reply), "");
    }
}

#[test]
fn each_part_of_an_answer_is_held_against_the_document() {
    let now = || json!({ "at": "2026-05-08T12:00:00Z" });
    let cases = [
        (reply(200, &[], json!({})), "a documented status"),
        (reply(500, &[], json!({})), "a failure of the server"),
        (reply(201, &[], now()), "the header Cache-Control"),
        (reply(201, &[("cache-control", "public")], now()), "Cache-Control as documented"),
        (created(&[("cache-control", "private")], now()), "one Cache-Control"),
        (created(&[("x-left", "6")], now()), "X-Left as documented (maximum 5"),
        (created(&[("x-left", "few")], now()), "X-Left as documented (type"),
        (created(&[("access-control-allow-origin", "*")], now()), "no CORS header"),
        (created(&[], json!({})), "required at \"/at\""),
        (created(&[], json!({ "at": "2026-05-08T12:00:00" })), "format date-time at"),
        (created(&[], json!({ "at": "2026-05-08T12:00:00Z", "b": 1 })), "additionalProperties"),
        (created(&[], json!([])), "type object"),
        (reply(204, &[], json!({})), "204 without a body"),
    ];
    for (reply, part) in cases {
        let told = found(&Expect::accepted(), &sent(json!({})), &reply);
        assert!(told.contains(part), "{told:?} lacks {part}");
    }
    let mut text = created(&[], now());
    text.headers[0].1 = "text/html".to_owned();
    assert!(
        found(&Expect::accepted(), &sent(json!({})), &text).contains("a body of application/json")
    );
    let mut broken = created(&[], now());
    broken.body = "{".into();
    assert!(found(&Expect::accepted(), &sent(json!({})), &broken).contains("a JSON body"));
}

#[test]
fn refusals_have_the_status_code_and_challenge_of_the_document() {
    let nobody = json!({ "error": "nobody" });
    let challenge = [("www-authenticate", "Bearer")];
    let expect = Expect::refused(&[401]);
    assert_eq!(found(&expect, &sent(json!({})), &reply(401, &challenge, nobody.clone())), "");
    assert!(
        found(&expect, &sent(json!({})), &reply(401, &[], nobody)).contains("WWW-Authenticate")
    );
    let other = reply(401, &challenge, json!({ "error": "gone" }));
    assert!(found(&expect, &sent(json!({})), &other).contains("with a code of"));
    let told = found(&expect, &sent(json!({})), &refused("gone", json!([])));
    assert!(told.starts_with("a refusal with 401: 404 gone"), "{told}");
    let told = found(&expect, &sent(json!({})), &created(&[], json!({ "at": "x" })));
    assert!(told.starts_with("a refusal with 401: 201"), "{told}");
}

#[test]
fn violations_are_the_ones_that_were_made() {
    let wanted = |limit: Option<Value>| Wanted {
        part: Part::Body,
        pointer: "/a".into(),
        keyword: Some("maxLength".into()),
        limit,
        exact: true,
    };
    let expect = |limit| {
        Expect::new(Ending::Refused(Refusal {
            statuses: vec![422],
            code: Some("broken".into()),
            not_code: None,
            violation: Some(wanted(limit)),
        }))
    };
    let it = json!({ "in": "body", "pointer": "/a", "keyword": "maxLength", "limit": 3 });
    let other = json!({ "in": "body", "pointer": "/b", "keyword": "type" });
    let judge = |limit, listed| found(&expect(limit), &sent(json!({})), &refused("broken", listed));
    assert_eq!(judge(Some(json!(3)), json!([it])), "");
    assert!(judge(Some(json!(4)), json!([it])).contains("with its limit"));
    assert!(judge(None, json!([it, other])).contains("as the only violation"));
    assert!(judge(None, json!([other])).contains("among the violations"));
    assert!(judge(None, json!([])).contains("among the violations"));
}

#[test]
fn only_documented_rules_excuse_the_refusal_of_a_valid_body() {
    let accepted = Expect::accepted();
    let both = sent(json!({ "a": 1, "b": 2 }));
    assert_eq!(found(&accepted, &both, &refused("clash", json!([]))), "");
    assert_ne!(found(&accepted, &sent(json!({ "a": 1 })), &refused("clash", json!([]))), "");
    assert_ne!(found(&accepted, &both, &refused("gone", json!([]))), "");
    let unknown = Built { is_unknown: true, ..sent(json!({})) };
    assert_eq!(found(&accepted, &unknown, &refused("gone", json!([]))), "");
    assert_ne!(found(&accepted, &unknown, &refused("broken", json!([]))), "");
    let rule = json!({ "in": "body", "pointer": "/list/3", "keyword": "pattern" });
    assert_eq!(found(&accepted, &both, &refused("broken", json!([rule]))), "");
    let limit = json!({ "in": "body", "pointer": "/list/3", "keyword": "pattern", "limit": "^a$" });
    assert_ne!(found(&accepted, &both, &refused("broken", json!([limit]))), "");
    assert_ne!(found(&accepted, &both, &refused("broken", json!([]))), "");
}

#[test]
fn headers_that_matter_to_a_case_are_judged_too() {
    let reply = created(&[("vary", "Accept, origin")], json!({ "at": "2026-05-08T12:00:00Z" }));
    let judge = |name, is| found(&Expect::accepted().header(name, is), &sent(json!({})), &reply);
    assert_eq!(judge("Vary", Is::Listing("Origin".into())), "");
    assert_ne!(judge("Vary", Is::Exactly("Origin".into())), "");
    assert_ne!(judge("Vary", Is::Absent), "");
    assert_eq!(judge("Location", Is::Absent), "");
    assert_ne!(judge("Location", Is::Present), "");
}

#[test]
fn unknown_value_excuses_no_refusal_of_the_caller_the_form_or_the_time() {
    let built = Built { is_unknown: true, ..sent(json!({ "id": "drawn" })) };
    let verdict = |status: u16, code: &str, headers: &[(&str, &str)]| {
        found(&Expect::accepted(), &built, &reply(status, headers, json!({ "error": code })))
    };
    assert_eq!(verdict(400, "no_such_thing", &[]), "");
    assert_eq!(verdict(403, "not_yours", &[]), "", "the document announces it for this value");
    let basic = [("www-authenticate", "Bearer")];
    for (status, code) in [(401, "nobody"), (403, "no_page"), (429, "slow_down")] {
        let told = verdict(status, code, &basic);
        assert!(told.starts_with("acceptance, or a refusal of a value"), "{status}: {told}");
    }
}
