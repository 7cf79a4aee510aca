//! A request that an operation accepts, made of its document's examples.

use serde_json::Value;
use vestibule_runtime::strategy::{self, sample};

use crate::MockOperation;
use crate::answer::example;
use crate::credentials::{Place, places};

/// A request in parts.
#[derive(Debug)]
pub struct Sample {
    /// The path with its variables filled, and the required query parameters.
    pub target: String,
    /// Content type, credentials and required parameters.
    pub headers: Vec<(&'static str, String)>,
    /// The body, when it takes one.
    pub body: Option<Value>,
}

impl Sample {
    /// The sample of an operation.
    pub fn of(operation: &'static MockOperation) -> Self {
        let (mut target, mut query) = (operation.info.path.to_owned(), Vec::new());
        let mut headers = credentials(operation);
        let listed = operation.definition()["parameters"].as_array().into_iter().flatten();
        for parameter in listed.map(|it| operation.resolve(it)) {
            let name = parameter["name"].as_str().unwrap_or_default();
            let value = || text(&value(operation, parameter, &parameter["schema"]));
            match parameter["in"].as_str() {
                Some("path") => target = target.replace(&format!("{{{name}}}"), &value()),
                Some("query") if parameter["required"] == true => {
                    query.push(format!("{name}={}", value()));
                }
                Some("header") if parameter["required"] == true => headers.push((name, value())),
                _ => {}
            }
        }
        if !query.is_empty() {
            target = format!("{target}?{}", query.join("&"));
        }
        let media = &operation.definition()["requestBody"]["content"]["application/json"];
        let body = operation.info.body.as_ref().map(|_| value(operation, media, &media["schema"]));
        if body.is_some() {
            headers.push(("Content-Type", "application/json".to_owned()));
        }
        Self { target, headers, body }
    }

    /// A line for a shell.
    pub fn curl(&self, operation: &MockOperation, base_url: &str) -> String {
        let mut words = vec!["curl -sS".to_owned()];
        if operation.info.method != http::Method::GET {
            words.push(format!("-X {}", operation.info.method));
        }
        words.push(quoted(&format!("{base_url}{}", self.target)));
        let headers = self.headers.iter();
        words.extend(
            headers.map(|(name, value)| format!("-H {}", quoted(&format!("{name}: {value}")))),
        );
        words.extend(self.body.as_ref().map(|body| format!("-d {}", quoted(&body.to_string()))));
        words.join(" ")
    }
}

fn credentials(operation: &MockOperation) -> Vec<(&'static str, String)> {
    let each = places(operation).next().into_iter().flatten().map(|place| match place {
        Place::Bearer => ("Authorization", "Bearer anything".to_owned()),
        Place::Header(name) => (name, "anything".to_owned()),
    });
    each.collect()
}

fn value(operation: &'static MockOperation, holder: &'static Value, schema: &Value) -> Value {
    let drawn = || sample(&strategy::full(&operation.schemas, schema), 0);
    example(operation, holder).cloned().unwrap_or_else(drawn)
}

/// A scalar as it stands in a path or a header.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}
