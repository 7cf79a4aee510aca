//! The files of the client crate, `generated/client`: progenitor's clients from derived documents.
//!
//! A derived document has one error schema for all refusals and lenient answer models, because
//! progenitor reads no more than one error type and an old client must take a newer server's
//! answer.

use std::collections::BTreeSet;

use openapiv3::OpenAPI;
use proc_macro2::TokenStream;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle};
use quote::{format_ident, quote};
use serde_json::{Map, Value, json};

use super::api::{Api, Side, component_name, members, reachable, resolve};
use super::callers::headers;
use super::files::rust;
use super::{Files, Ungenerable};
use crate::document::Documents;

const CRATE: &str = "generated/client";

/// Every generated file of the crate.
pub fn files(api: &Api, documents: &Documents) -> Result<Files, Ungenerable> {
    let mut files = Files::new();
    for document in &documents.documents {
        let name = &document.name;
        let from = format!("openapi/{name}.yaml");
        let doc = format!("Client of the {name} surface.");
        let text = rust(&doc, &from, client(name, &document.value)?)?;
        files.insert(format!("{CRATE}/src/{name}.rs"), text);
    }
    let modules = documents.documents.iter().map(|document| format_ident!("{}", document.name));
    let headers = headers(documents)?;
    let by_body = api.signed_by_body().map(|operation| &operation.snake);
    let lib = quote! {
        #(pub mod #modules;)*
        mod signing;

        #headers

        /// Operations whose signature covers the time and the body alone; every other signature
        /// covers the whole request.
        const SIGNED_BY_BODY: &[&str] = &[#(#by_body),*];

        pub use progenitor_client::{ByteStream, Error, ResponseValue};
        pub use signing::Credentials;
    };
    let doc = "Generated from the documents: one client per surface; `Credentials` signs or \
               bears for each.";
    files.insert(format!("{CRATE}/src/lib.rs"), rust(doc, "openapi/*.yaml", lib)?);
    Ok(files)
}

fn client(name: &str, document: &Value) -> Result<TokenStream, Ungenerable> {
    let (mut generator, spec) = generator(name, document)?;
    generator
        .generate_tokens(&spec)
        .map_err(|bad| Ungenerable(format!("progenitor, {name}: {bad}")))
}

/// progenitor and the document that it reads, the same for everything made by it.
pub fn generator(name: &str, document: &Value) -> Result<(Generator, OpenAPI), Ungenerable> {
    let spec = serde_json::from_value(derive(document))
        .map_err(|bad| Ungenerable(format!("the client's copy of {name}: {bad}")))?;
    let mut settings = GenerationSettings::default();
    settings
        .with_interface(InterfaceStyle::Builder)
        .with_tag(TagStyle::Merged)
        .with_hooks(HooksMode::Expected)
        .with_inner_type(quote!(crate::Credentials))
        .with_map_type("::std::collections::BTreeMap");
    Ok((Generator::new(&settings), spec))
}

/// The copy of a document that progenitor reads.
fn derive(document: &Value) -> Value {
    let asked = reachable(document, Side::Request);
    let answered = reachable(document, Side::Answer);
    let schemas = members(&document["components"]["schemas"])
        .filter(|(name, _)| asked.contains(*name) || answered.contains(*name))
        .map(|(name, schema)| {
            let lenient = !asked.contains(name);
            (name.clone(), Leniency { document, asked: &asked, lenient }.schema(schema))
        });
    let schemas: Map<_, _> = schemas.collect();
    let paths = members(&document["paths"]).map(|(path, item)| {
        let item =
            members(item).map(|(method, it)| (method.clone(), operation(document, &asked, it)));
        (path.clone(), Value::Object(item.collect()))
    });
    json!({
        "openapi": document["openapi"],
        "info": document["info"],
        "paths": Value::Object(paths.collect()),
        "components": { "schemas": schemas },
    })
}

fn operation(document: &Value, asked: &BTreeSet<String>, it: &Value) -> Value {
    let strict = Leniency { document, asked, lenient: false };
    let lenient = Leniency { document, asked, lenient: true };
    let mut out = Map::new();
    for keyword in ["operationId", "summary", "description", "tags"] {
        out.insert(keyword.into(), it[keyword].clone());
    }
    let listed = it["parameters"].as_array().into_iter().flatten();
    let listed = listed.map(|parameter| resolve(document, parameter));
    // A client other than a browser has no origin to declare.
    let kept = listed.filter(|parameter| parameter["in"] != "header");
    out.insert("parameters".into(), kept.map(|parameter| strict.schema(parameter)).collect());
    if let Some(schema) = it.pointer("/requestBody/content/application~1json/schema") {
        let content = json!({ "application/json": { "schema": schema } });
        out.insert("requestBody".into(), json!({ "required": true, "content": content }));
    }
    let mut responses = Map::new();
    for (status, response) in
        members(&it["responses"]).filter(|(status, _)| status.starts_with('2'))
    {
        let response = resolve(document, response);
        let mut kept = json!({ "description": response["description"] });
        if let Some(schema) = response.pointer("/content/application~1json/schema") {
            let schema = lenient.schema(schema);
            kept["content"] = json!({ "application/json": { "schema": schema } });
        }
        responses.insert(status.clone(), kept);
    }
    for class in ["4XX", "5XX"] {
        let schema = json!({ "$ref": "#/components/schemas/Error" });
        let content = json!({ "application/json": { "schema": schema } });
        responses.insert(class.into(), json!({ "description": "Refused.", "content": content }));
    }
    out.insert("responses".into(), responses.into());
    Value::Object(out)
}

/// How one schema is copied: as it stands for requests, without bounds for answers.
struct Leniency<'a> {
    document: &'a Value,
    asked: &'a BTreeSet<String>,
    lenient: bool,
}

impl Leniency<'_> {
    fn schema(&self, node: &Value) -> Value {
        match node {
            Value::Object(_) if node["x-verbatim"] == true => {
                json!({ "description": node["description"] })
            }
            Value::Object(_) if self.lenient && self.is_strict_reference(node) => self.inline(node),
            Value::Object(all) => {
                let kept = all.iter().filter(|(keyword, value)| self.keeps(keyword, value));
                let copied = kept.map(|(keyword, value)| (keyword.clone(), self.schema(value)));
                Value::Object(copied.collect())
            }
            Value::Array(items) => items.iter().map(|item| self.schema(item)).collect(),
            other => other.clone(),
        }
    }

    /// A named schema that requests use too keeps its bounds; answers get a copy without.
    fn is_strict_reference(&self, node: &Value) -> bool {
        component_name(node).is_some_and(|name| self.asked.contains(name))
    }

    fn inline(&self, node: &Value) -> Value {
        let name = component_name(node).unwrap_or_default();
        self.schema(&self.document["components"]["schemas"][name])
    }

    fn keeps(&self, keyword: &str, value: &Value) -> bool {
        const BOUNDS: [&str; 11] = [
            "pattern",
            "minLength",
            "maxLength",
            "minimum",
            "maximum",
            "minItems",
            "maxItems",
            "uniqueItems",
            "minProperties",
            "maxProperties",
            "enum",
        ];
        // A keyword's value is a bound; a property that happens to be called so is a schema.
        let is_bound = BOUNDS.contains(&keyword) && !value.is_object();
        let is_closed = keyword == "additionalProperties" && value == false;
        let is_dropped =
            keyword.starts_with("x-") || (keyword == "example" && !value["type"].is_string());
        !is_dropped && !(self.lenient && (is_bound || is_closed))
    }
}
