//! The documents against what was generated from them: the document that dropshot emits for the
//! generated routing, the table of operations, and what the service serves.
//!
//! What dropshot cannot emit is left out of the comparison by [`projection`], one step at a time,
//! each with the test that holds it instead.

use std::collections::BTreeSet;
use std::sync::Arc;

use dropshot::ApiDescription;
use reqwest::Method;
use semver::Version;
use serde_json::{Map, Value, json};
use vestibule::context::Context;
use vestibule_api::{codes, documents, register};
use vestibule_runtime::OperationInfo;

use crate::constraints::{document, none, resolved};
use crate::requests::send;
use crate::service::Service;

#[test]
fn emitted_document_equals_the_projected_source() {
    for (name, _) in documents::ALL {
        let source = document(name);
        let mut faults = Vec::new();
        differences(&projection(&source), &emitted(name, &source), "", &mut faults);
        none(faults);
    }
}

/// Otherwise the comparison above would be of two empty shells.
#[test]
fn projection_keeps_every_schema_whole() {
    for (name, _) in documents::ALL {
        let (source, kept) = (document(name), projection(&document(name)));
        for (schema, text) in members(&source["components"]["schemas"]) {
            let mut text = text.clone();
            sort_required(&mut text);
            assert_eq!(kept["components"]["schemas"][schema], text, "{name} {schema}");
        }
        assert!(
            operations(&kept).count() == operations(&source).count()
                && operations(&kept).count() > 0
        );
    }
}

/// A change of one bound must be found.
#[test]
fn comparison_finds_a_lost_constraint() {
    let source = document("embed");
    let mut other = projection(&source);
    let lost = other.pointer_mut("/components/schemas/CreateEmbedSession/properties/capabilities");
    lost.and_then(Value::as_object_mut).expect("a schema").remove("maxItems");
    let mut faults = Vec::new();
    differences(&other, &emitted("embed", &source), "", &mut faults);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("capabilities/maxItems"), "{faults:?}");
}

/// What dropshot says of the routing generated from one document alone.
fn emitted(name: &str, source: &Value) -> Value {
    let mut api: ApiDescription<Arc<Context>> = ApiDescription::new();
    let registered = match name {
        "admin" => register::admin(&mut api),
        "chat" => register::chat(&mut api),
        "embed" => register::embed(&mut api),
        "iframe" => register::iframe(&mut api),
        "lifecycle" => register::lifecycle(&mut api),
        other => panic!("tell this test how {other} is registered"),
    };
    registered.expect("no two paths collide");
    let text = |name: &str| source["info"][name].as_str().expect("info has a text");
    let version = Version::parse(text("version")).expect("a semantic version");
    api.openapi(text("title"), version).json().expect("JSON")
}

/// The source document as far as dropshot can emit it.
fn projection(source: &Value) -> Value {
    let mut paths = Map::new();
    for (path, method, operation) in operations(source) {
        let item = paths.entry(path).or_insert_with(|| json!({}));
        item[method] = projected_operation(source, operation);
    }
    let mut schemas = source["components"]["schemas"].clone();
    // dropshot takes `required` from a sorted set; the order says nothing.
    sort_required(&mut schemas);
    let mut tags: Vec<_> = source["tags"].as_array().into_iter().flatten().collect();
    tags.sort_by_key(|tag| tag["name"].to_string());
    json!({
        "openapi": source["openapi"],
        // Without description and licence, and without `servers` and `x-validation`: the service
        // serves the source itself (`served_document_is_the_source`), and the refusals of broken
        // parts are tried one by one (`constraints`, `parameters`).
        "info": { "title": source["info"]["title"], "version": source["info"]["version"] },
        "paths": paths,
        // Ad hoc tags have no description there.
        "tags": tags.iter().map(|tag| json!({ "name": tag["name"] })).collect::<Vec<_>>(),
        "components": {
            "schemas": schemas,
            // Security schemes are asserted by the credential matrix (`credentials`); named
            // headers are folded into the answers, see `projected_operation`.
            //
            // One error type for all operations.
            "responses": { "Error": {
                "description": "Error",
                "content": { "application/json": {
                    "schema": { "$ref": "#/components/schemas/Error" },
                } },
            } },
        },
    })
}

fn projected_operation(document: &Value, source: &Value) -> Value {
    let mut operation = source.clone();
    let members = operation.as_object_mut().expect("an operation is an object");
    // `security` is asserted by the credential matrix; `x-cors` and `x-max-bytes` by the table of
    // operations (`operations_table_is_the_documents`) and the chat and wire tests.
    for left_out in ["security", "x-cors", "x-max-bytes"] {
        members.remove(left_out);
    }
    if let Some(body) = members.get_mut("requestBody").and_then(Value::as_object_mut) {
        // What a conformance run needs to know is no concern of routing.
        for left_out in ["description", "x-credentials", "x-rules"] {
            body.remove(left_out);
        }
    }
    if let Some(parameters) = members.get_mut("parameters").and_then(Value::as_array_mut) {
        for parameter in parameters.iter_mut() {
            // Written out: dropshot has no named parameters.
            *parameter = resolved(document, parameter).clone();
            project_parameter(parameter);
        }
        // dropshot tells of the path first and of headers last.
        let place = |it: &Value| ["path", "query", "header"].iter().position(|at| it["in"] == **at);
        parameters.sort_by_key(|it| (place(it), it["name"].to_string()));
    }
    // One 2xx, without its headers, which the response enums set and `conforms` looks for. All
    // refusals are folded into two classes; `operations_table_is_the_documents` has each status
    // and code.
    let success =
        members["responses"].as_object().into_iter().flatten().filter(|(s, _)| s.starts_with('2'));
    let mut responses: Map<_, _> = success.map(|(s, answer)| (s.clone(), answer.clone())).collect();
    assert_eq!(responses.len(), 1, "dropshot knows one success: {}", source["operationId"]);
    for answer in responses.values_mut() {
        let answer = answer.as_object_mut().expect("an answer is an object");
        answer.remove("headers");
        answer.remove("links");
    }
    for class in ["4XX", "5XX"] {
        responses.insert(class.to_owned(), json!({ "$ref": "#/components/responses/Error" }));
    }
    members.insert("responses".to_owned(), responses.into());
    operation
}

/// Descriptions and defaults of parameters are lost on the way through dropshot, and what is not
/// required is not said. That defaults hold is seen in `parameters_have_their_defaults`.
fn project_parameter(parameter: &mut Value) {
    let members = parameter.as_object_mut().expect("a parameter is an object");
    members.remove("description");
    members.remove("x-credential");
    // Asserted by the table of operations.
    members.remove("x-idempotency");
    members.remove("x-test-clock");
    if members.get("required") == Some(&false.into()) {
        members.remove("required");
    }
    if let Some(schema) = members.get_mut("schema").and_then(Value::as_object_mut) {
        schema.remove("default");
    }
}

fn sort_required(node: &mut Value) {
    match node {
        Value::Array(items) => items.iter_mut().for_each(sort_required),
        Value::Object(members) => {
            if let Some(Value::Array(names)) = members.get_mut("required") {
                names.sort_by_key(Value::to_string);
            }
            members.values_mut().for_each(sort_required);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Every place at which two documents differ.
fn differences(source: &Value, emitted: &Value, at: &str, faults: &mut Vec<String>) {
    match (source, emitted) {
        (Value::Object(a), Value::Object(b)) => {
            let names: BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                let nothing = Value::String("(nothing)".to_owned());
                let (a, b) = (a.get(name).unwrap_or(&nothing), b.get(name).unwrap_or(&nothing));
                differences(a, b, &format!("{at}/{name}"), faults);
            }
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.for_each(|(i, (a, b))| differences(a, b, &format!("{at}/{i}"), faults));
        }
        // A whole number passes through a double on its way.
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => {}
        (a, b) if a == b => {}
        (a, b) => faults.push(format!("{at}: the source says {a}, dropshot {b}")),
    }
}

#[test]
fn operations_table_is_the_documents() {
    let mut in_documents = BTreeSet::new();
    for (name, _) in documents::ALL {
        let source = document(name);
        for (path, method, operation) in operations(&source) {
            let id = operation["operationId"].as_str().expect("an operation has an id");
            in_documents.insert(id.to_owned());
            let info = register::OPERATIONS.iter().find(|info| info.id == id);
            let info = info.unwrap_or_else(|| panic!("{id} is not in the table"));
            assert_eq!((info.document, info.path), (*name, path.as_str()));
            assert_eq!(info.method.as_str().to_lowercase(), *method);
            assert_facts(info, operation, &source["x-validation"]);
            assert_key(info, &source, operation);
            assert_clock(info, &source, operation);
        }
    }
    let in_table: BTreeSet<_> =
        register::OPERATIONS.iter().map(|info| info.id.to_owned()).collect();
    assert_eq!(in_table, in_documents);
}

fn assert_facts(info: &OperationInfo, operation: &Value, validation: &Value) {
    let id = info.id;
    let documented = members(&operation["responses"]).map(|(status, answer)| {
        let codes = answer["x-codes"].as_array().cloned().unwrap_or_default();
        let codes = codes.iter().map(|code| code.as_str().expect("a code").to_owned());
        (status.parse().expect("a status"), codes.collect::<BTreeSet<_>>())
    });
    let listed = info.answers.iter().map(|(status, codes)| {
        (*status, codes.iter().map(|code| code.name.to_owned()).collect::<BTreeSet<_>>())
    });
    let (documented, listed): (BTreeSet<(u16, _)>, BTreeSet<_>) =
        (documented.collect(), listed.collect());
    assert_eq!(listed, documented, "{id}");
    for code in listed.iter().flat_map(|(_, codes)| codes) {
        assert!(
            codes::ALL.iter().any(|known| known.name == code),
            "{id}: {code} is in no catalogue"
        );
    }
    let refused = |part: &str| validation[part]["code"].as_str().expect("a code").to_owned();
    let status = |part: &str| validation[part]["status"].as_u64().expect("a status");
    assert_eq!(info.parameters_refused.name, refused("parameters"), "{id}");
    let told = info.status_of(info.parameters_refused).map(|status| u64::from(status.as_u16()));
    assert_eq!(told, Some(status("parameters")), "{id}");
    assert_eq!(info.body.is_some(), operation.get("requestBody").is_some(), "{id}");
    if let Some(body) = &info.body {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
        assert_eq!(*schema, format!("#/components/schemas/{}", body.schema), "{id}");
        assert_eq!(operation["x-max-bytes"], body.max_bytes, "{id}");
        assert_eq!(body.refused.name, refused("body"), "{id}");
        let told = info.status_of(body.refused).map(|status| u64::from(status.as_u16()));
        assert_eq!(told, Some(status("body")), "{id}");
    }
    assert_eq!(info.cors, operation["x-cors"] == true, "{id}");
    let is_open = operation["security"].as_array().is_some_and(Vec::is_empty);
    assert_eq!(info.credentials.is_empty(), is_open, "{id}");
}

/// What the table says of idempotency keys is what the operation's parameter says.
fn assert_key(info: &OperationInfo, source: &Value, operation: &Value) {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    let mut told = listed.filter_map(|parameter| {
        let parameter = resolved(source, parameter);
        Some((parameter["name"].as_str()?, parameter.get("x-idempotency")?))
    });
    let told = told.next().map(|(name, it)| {
        let replayed = it["replayed"].as_str().expect("a header").to_lowercase();
        (name.to_lowercase(), replayed, it["kept-ms"].as_i64().expect("a time"))
    });
    let listed = info.idempotency.as_ref();
    let listed = listed.map(|it| (it.header.to_owned(), it.replayed.to_owned(), it.kept_ms));
    assert_eq!(listed, told, "{}", info.id);
}

/// What the table says of test clocks is what the operation's parameter says.
fn assert_clock(info: &OperationInfo, source: &Value, operation: &Value) {
    let listed = operation["parameters"].as_array().into_iter().flatten();
    let mut told = listed.filter_map(|parameter| {
        let parameter = resolved(source, parameter);
        Some((parameter["name"].as_str()?, parameter.get("x-test-clock")?))
    });
    let told = told.next().map(|(name, it)| {
        let refused = it["refused"].as_str().expect("a code").to_owned();
        (name.to_lowercase(), it["ahead-ms"].as_i64().expect("a time"), refused)
    });
    let listed = info.test_clock.as_ref();
    let listed = listed.map(|it| (it.header.to_owned(), it.ahead_ms, it.refused.name.to_owned()));
    assert_eq!(listed, told, "{}", info.id);
}

#[tokio::test]
async fn parameters_have_their_defaults() {
    let service = Service::start(|_| {});
    let bearer = format!("Bearer {}", service.demo.admin.token);
    let admin = [("authorization", bearer.as_str())];
    let path = "/api/admin/v1/tenants";
    for _ in 0..49 {
        let body = Some(br#"{"name":"t"}"#.to_vec());
        send(Method::POST, &service.url(path), &admin, body).await;
    }
    let default = &document("admin")["paths"][path]["get"]["parameters"][0]["schema"]["default"];
    let listed = send(Method::GET, &service.url(path), &admin, None).await;
    let items = listed.body["items"].as_array().map(Vec::len);
    assert_eq!((items, listed.body["next"].is_string()), (Some(50), true), "51 tenants are there");
    assert_eq!(*default, 50);
}

#[tokio::test]
async fn served_document_is_the_source() {
    let service = Service::shared();
    for (name, text) in documents::ALL {
        let url = service.url(&format!("/openapi/{name}.json"));
        let served = send(Method::GET, &url, &[], None).await;
        assert_eq!((served.status.as_u16(), served.text.as_str()), (200, *text), "{name}");
        assert_eq!(served.header("content-type"), "application/json");
        assert_eq!(served.header("x-content-type-options"), "nosniff");
        let etag = served.header("etag");
        assert!(etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'), "{etag}");
        for known in [etag, &format!("W/{etag}"), &format!("\"a\", {etag}"), "*"] {
            let again = send(Method::GET, &url, &[("if-none-match", known)], None).await;
            assert_eq!((again.status.as_u16(), again.text.as_str()), (304, ""), "{known}");
            assert_eq!(again.header("etag"), etag);
        }
        let other = send(Method::GET, &url, &[("if-none-match", "\"a\"")], None).await;
        assert_eq!(other.status, 200);
    }
    let etags = documents::ALL.iter().map(|(name, _)| async move {
        let url = service.url(&format!("/openapi/{name}.json"));
        send(Method::GET, &url, &[], None).await.header("etag").to_owned()
    });
    let etags: BTreeSet<_> = futures::future::join_all(etags).await.into_iter().collect();
    assert_eq!(etags.len(), documents::ALL.len(), "each document has its own");
}

fn operations(document: &Value) -> impl Iterator<Item = (&String, &String, &Value)> {
    let paths = members(&document["paths"]);
    paths.flat_map(|(path, item)| members(item).map(move |(method, it)| (path, method, it)))
}

fn members(node: &Value) -> impl Iterator<Item = (&String, &Value)> {
    node.as_object().into_iter().flatten()
}
