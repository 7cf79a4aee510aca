//! Variables of a conversation: their rules, their exactness, how they are merged.

use serde_json::{Map, Value, json};

use crate::callers::text;
use crate::requests::{Answer, open_chat, send};
use crate::service::Service;

/// Opens a session of the demo widget with these variables, as text so that nothing is rounded.
async fn open(service: &Service, variables: &str) -> Answer {
    let demo = &service.demo.demo.chat;
    let body = format!(r#"{{"publicKey":"{}","variables":{variables}}}"#, demo.public_key);
    let url = service.url("/api/public/v1/chat/sessions");
    let origin = [("origin", demo.origin.as_str())];
    send(reqwest::Method::POST, &url, &origin, Some(body.into())).await
}

async fn read(service: &Service, opened: &Answer) -> Answer {
    let bearer = format!("Bearer {}", text(opened, "/sessionToken"));
    let origin = service.demo.demo.chat.origin.as_str();
    let headers = [("authorization", bearer.as_str()), ("origin", origin)];
    let url = service.url("/api/public/v1/chat/conversation");
    send(reqwest::Method::GET, &url, &headers, None).await
}

/// Asserts that the variables are refused, with these pointers and keywords below `/variables`.
async fn refuses(service: &Service, variables: &str, expected: &[(&str, &str)]) {
    let refused = open(service, variables).await;
    refused.refused(422, "validation_failed");
    let mut found: Vec<_> =
        refused.violations().into_iter().map(|(_, at, key)| (at, key)).collect();
    found.sort();
    let below = |(at, key): &(&str, &str)| (format!("/variables{at}"), (*key).to_owned());
    assert_eq!(found, expected.iter().map(below).collect::<Vec<_>>(), "{}", refused.text);
}

fn many(count: usize) -> String {
    let all: Map<String, Value> = (0..count).map(|n| (format!("k{n}"), n.into())).collect();
    Value::Object(all).to_string()
}

#[tokio::test]
async fn fifty_keys_are_kept_and_fifty_one_are_not() {
    let service = Service::shared();
    let opened = open(service, &many(50)).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let read = read(service, &opened).await;
    assert_eq!(read.body["variables"].to_string(), many(50));
    refuses(service, &many(51), &[("", "maxProperties")]).await;
}

#[tokio::test]
async fn bytes_are_counted_as_compact_utf8_json() {
    let service = Service::shared();
    // {"a":"…"} is 8 bytes around the text; white space between does not count, umlauts do twice.
    let of = |bytes: usize| format!("{{ \"a\" :  \"{}\" }}", "x".repeat(bytes - 8));
    assert_eq!(open(service, &of(4096)).await.status, 200);
    refuses(service, &of(4097), &[("", "x-max-bytes")]).await;
    let umlauts = |count: usize| format!("{{\"a\":\"{}\"}}", "\u{fc}".repeat(count));
    assert_eq!(open(service, &umlauts(2044)).await.status, 200);
    refuses(service, &umlauts(2045), &[("", "x-max-bytes")]).await;
    let escaped = format!("{{\"a\":\"{}\"}}", "\\u00fc".repeat(2044));
    assert_eq!(open(service, &escaped).await.status, 200, "how it was escaped does not count");
}

#[tokio::test]
async fn arrays_nest_four_deep_and_no_deeper() {
    let service = Service::shared();
    let nested = |depth: usize| format!("{{\"a\":{}1{}}}", "[".repeat(depth), "]".repeat(depth));
    for depth in 0..=4 {
        assert_eq!(open(service, &nested(depth)).await.status, 200, "depth {depth}");
    }
    refuses(service, &nested(5), &[("/a", "x-max-depth")]).await;
    refuses(service, r#"{"a":[[[[[]]]]],"b":[[[[]]]]}"#, &[("/a", "x-max-depth")]).await;
}

#[tokio::test]
async fn values_are_scalars_null_or_arrays_and_never_objects() {
    let service = Service::shared();
    let fine = r#"{"a":"x","b":-1.5,"c":true,"d":null,"e":[],"f":["x",[1,null]]}"#;
    let opened = open(service, fine).await;
    assert_eq!(opened.status, 200, "{}", opened.text);
    let expected: Value = serde_json::from_str(fine).expect("JSON");
    assert_eq!(read(service, &opened).await.body["variables"], expected);
    refuses(service, r#"{"a":{}}"#, &[("/a", "type")]).await;
    refuses(service, r#"{"a":[1,[{"b":2}]]}"#, &[("/a/1/0", "type")]).await;
}

#[tokio::test]
async fn keys_are_short_snake_case() {
    let service = Service::shared();
    let long = format!("{{\"{}\":1}}", "a".repeat(64));
    assert_eq!(open(service, &long).await.status, 200);
    for bad in ["A", "aB", "_a", "1a", "a-b", "a b", "", "\u{e4}"] {
        let variables = json!({ bad: 1 }).to_string();
        refuses(service, &variables, &[(&format!("/{bad}"), "propertyNames")]).await;
    }
    let too_long = "a".repeat(65);
    let variables = json!({ too_long.as_str(): 1 }).to_string();
    let refused = open(service, &variables).await;
    refused.refused(422, "validation_failed");
    let pointers = refused.violations();
    assert!(
        pointers.iter().all(|(_, at, _)| *at == format!("/variables/{too_long}")),
        "{}",
        refused.text
    );
}

#[tokio::test]
async fn numbers_are_kept_exactly_or_refused() {
    let service = Service::shared();
    let exact = [
        "0",
        "-7",
        "0.1",
        "9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "2.5e-7",
    ];
    for number in exact {
        let opened = open(service, &format!("{{\"n\":[{number}]}}")).await;
        assert_eq!(opened.status, 200, "{number}: {}", opened.text);
        let read = read(service, &opened).await;
        assert!(read.text.contains(&format!("\"n\":[{number}]")), "{number}: {}", read.text);
    }
    for number in ["0.1000000000000000055", "123456789012345678901", "3.141592653589793238462643"] {
        refuses(service, &format!("{{\"n\":[{number}]}}"), &[("/n/0", "x-exact-number")]).await;
    }
    open(service, r#"{"n":1e400}"#).await.refused(400, "invalid_json");
}

#[tokio::test]
async fn every_broken_rule_of_the_variables_is_named_at_once() {
    let service = Service::shared();
    let broken = [("/A", "propertyNames"), ("/b", "type"), ("/c", "x-max-depth")];
    refuses(service, r#"{"A":1,"b":{},"c":[[[[[1]]]]]}"#, &broken).await;
    for not_an_object in ["[]", "1", "\"{}\"", "null", "true"] {
        refuses(service, not_an_object, &[("", "type")]).await;
    }
}

#[tokio::test]
async fn variables_are_data_and_come_back_as_they_went() {
    let service = Service::shared();
    let demo = &service.demo.demo;
    let nasty = json!({
        "a": "{{ 7 * 7 }}", "b": "<script>alert(1)</script>", "c": "'; DROP TABLE sessions; --",
        "d": "\u{202e}\u{feff}\n\t", "e": "\u{1f600}",
    });
    let body = json!({ "publicKey": demo.chat.public_key, "variables": nasty });
    let opened = open_chat(&service.base_url, demo, &body).await;
    assert_eq!(read(service, &opened).await.body["variables"], nasty);
}
