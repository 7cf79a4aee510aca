//! What an answer gives away that no report may hold: tokens, secrets, and ids of objects.
//!
//! The documents say where: `x-obtained-by`, `links` and `x-sensitive`. A sensitive member is known
//! by its name wherever it stands, since an answer that is wrong may have it anywhere.

use std::collections::BTreeSet;

use serde_json::Value;
use vestibule_schema::{pointer_push, sensitive_names};

use crate::document::{Document, members};
use crate::links;

/// Where the answers of some documents have what must be hidden.
#[derive(Clone, Debug, Default)]
pub struct Revealed {
    places: Vec<Place>,
    sensitive: BTreeSet<String>,
}

#[derive(Clone, Debug)]
struct Place {
    operation: String,
    pointer: String,
    name: String,
    is_secret: bool,
}

/// A value that must be hidden.
#[derive(Debug, PartialEq, Eq)]
pub struct Hidden<'v> {
    /// The value: neither a list nor an object.
    pub value: &'v Value,
    /// What it is called.
    pub name: String,
    /// Where it stands.
    pub pointer: String,
    /// Whether it proves anything, so that a refusal may not repeat it; an id does not.
    pub is_secret: bool,
}

impl Revealed {
    /// What the documents say.
    pub fn of(documents: &[Document]) -> Self {
        let mut revealed = Self::default();
        for document in documents {
            let components = &document.value["components"];
            revealed.sensitive.extend(sensitive_names(&document.value));
            for (name, scheme) in members(&components["securitySchemes"]) {
                let obtained = &scheme["x-obtained-by"];
                let told = (obtained["operationId"].as_str(), obtained["pointer"].as_str());
                if let (Some(operation), Some(pointer)) = told {
                    revealed.add(operation, pointer, name, true);
                }
            }
        }
        for link in links::of(documents) {
            for (name, pointer) in link.pointers() {
                revealed.add(&link.from, pointer, name, false);
            }
        }
        revealed
    }

    fn add(&mut self, operation: &str, pointer: &str, name: &str, is_secret: bool) {
        let (operation, pointer, name) = (operation.into(), pointer.into(), name.into());
        self.places.push(Place { operation, pointer, name, is_secret });
    }

    /// What must be hidden of an operation's answer, secrets before ids.
    pub fn within<'v>(&self, operation: &str, body: &'v Value) -> Vec<Hidden<'v>> {
        let mut found = Vec::new();
        for place in self.places.iter().filter(|it| it.operation == operation) {
            if let Some(value) = body.pointer(&place.pointer) {
                values(value, &place.pointer, &place.name, place.is_secret, &mut found);
            }
        }
        self.sensitive_members(body, "", &mut found);
        found.sort_by_key(|it| !it.is_secret);
        found
    }

    fn sensitive_members<'v>(&self, node: &'v Value, at: &str, found: &mut Vec<Hidden<'v>>) {
        for (name, inner) in children(node) {
            let at = below(at, &name);
            if self.sensitive.contains(&name) {
                values(inner, &at, &name, true, found);
                continue;
            }
            self.sensitive_members(inner, &at, found);
        }
    }
}

/// The values in a node, however deep.
fn values<'v>(node: &'v Value, at: &str, name: &str, is_secret: bool, found: &mut Vec<Hidden<'v>>) {
    if !node.is_object() && !node.is_array() {
        let (name, pointer) = (name.to_owned(), at.to_owned());
        return found.push(Hidden { value: node, name, pointer, is_secret });
    }
    for (segment, inner) in children(node) {
        values(inner, &below(at, &segment), name, is_secret, found);
    }
}

fn children(node: &Value) -> Vec<(String, &Value)> {
    let items = node.as_array().into_iter().flatten().enumerate();
    let members = members(node).map(|(name, inner)| (name.clone(), inner));
    members.chain(items.map(|(i, inner)| (i.to_string(), inner))).collect()
}

fn below(at: &str, segment: &str) -> String {
    let mut pointer = at.to_owned();
    pointer_push(&mut pointer, segment);
    pointer
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::request::{Request, Secrets, curl};

    fn revealed() -> Revealed {
        let document = json!({ "openapi": "3.0.3",
            "paths": { "/things": { "post": {
                "operationId": "thingCreate",
                "responses": { "201": { "links": {
                    "read": { "operationId": "elsewhere", "parameters": {
                        "path.thingId": "$response.body#/thing/id",
                    } },
                    "redeem": { "operationId": "x", "requestBody": {
                        "code": "$response.body#/code",
                    } },
                } } },
            } } },
            "components": {
                "securitySchemes": { "thingToken": { "x-obtained-by": {
                    "operationId": "thingCreate", "pointer": "/data/token",
                } } },
                "schemas": { "Key": { "properties": {
                    "secret": { "type": "string", "x-sensitive": true },
                } } },
            },
        });
        Revealed::of(&[Document::read("things", &document.to_string()).unwrap()])
    }

    fn body() -> Value {
        json!({
            "thing": { "id": "thg_aaaaaaaa" },
            "code": "a+b/c\"==aaaa",
            "data": { "token": "eyJ.token.xx", "url": "https://a/#token=eyJ.token.xx" },
            "deep": [{ "secret": ["sk_bbbbbbbbb", { "old": "sk_ccccccccc" }] }],
            "plain": "stays as it is",
        })
    }

    #[test]
    fn every_place_that_the_documents_name_is_found() {
        let body = body();
        let found = revealed();
        let found = found.within("thingCreate", &body);
        let told: Vec<_> =
            found.iter().map(|it| (it.pointer.as_str(), it.name.as_str(), it.is_secret)).collect();
        let expected = [
            ("/data/token", "thingToken", true),
            ("/deep/0/secret/0", "secret", true),
            ("/deep/0/secret/1/old", "secret", true),
            ("/thing/id", "thingId", false),
            ("/code", "code", false),
        ];
        assert_eq!(told, expected);
        let others = revealed();
        let others = others.within("thingRead", &body);
        assert!(others.iter().all(|it| it.name == "secret"), "pointers are of one operation");
    }

    #[test]
    fn what_was_found_stands_in_no_body_header_or_curl_line() {
        let body = body();
        let mut secrets = Secrets::default();
        for hidden in revealed().within("thingCreate", &body) {
            secrets.hide(&hidden, "thingCreate");
        }
        let request = Request {
            method: http::Method::POST,
            url: "http://a/things/thg_aaaaaaaa?code=a%2Bb%2Fc%22%3D%3Daaaa".into(),
            headers: vec![("Authorization".into(), "Bearer eyJ.token.xx".into())],
            body: Some(body.to_string().into_bytes()),
            signed: None,
        };
        let line = curl(&request, &secrets);
        for text in [secrets.masked(&body.to_string()), line.clone()] {
            let told = ["aaaa", "eyJ", "sk_"].iter().find(|part| text.contains(**part));
            assert_eq!(told, None, "{text}");
            assert!(text.contains("stays as it is"), "{text}");
        }
        assert!(line.contains("# THING_TOKEN is /data/token of thingCreate's answer"), "{line}");
        assert!(secrets.are_in("again: eyJ.token.xx") && !secrets.are_in("no thg_aaaaaaaa"));
    }
}
