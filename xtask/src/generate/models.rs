//! `models.rs`: typify's types for every component and parameter object, and `JsonSchema` impls
//! that return the document's own schema (a derive would lose patterns and lengths).

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::{Value, json};
use typify::{TypeSpace, TypeSpaceImpl, TypeSpaceSettings};

use super::api::{Api, Operation, Side, members, reachable, resolve};
use super::{Ungenerable, json_schema};
use crate::document::Documents;

/// The type that replaces components marked `x-verbatim`.
const VERBATIM: &str = "::serde_json::Value";
/// The type that replaces `format: date-time`.
const TIMESTAMP: &str = "::vestibule_runtime::Timestamp";

/// The models and their schemas.
pub fn stream(api: &Api, documents: &Documents) -> Result<TokenStream, Ungenerable> {
    let components = components(documents);
    let verbatim: Vec<_> =
        components.iter().filter(|(_, (_, schema))| schema["x-verbatim"] == true).collect();
    let mut settings = TypeSpaceSettings::default();
    settings
        .with_map_type("::std::collections::BTreeMap".to_owned())
        .with_derive("PartialEq".into());
    settings.with_replacement("Timestamp", TIMESTAMP, std::iter::empty::<TypeSpaceImpl>());
    for (name, _) in &verbatim {
        settings.with_replacement(name, VERBATIM, std::iter::empty::<TypeSpaceImpl>());
    }
    let mut definitions = BTreeMap::new();
    definitions.insert("Timestamp".to_owned(), json!({ "type": "string" }));
    let asked = asked(documents);
    for (name, (_, schema)) in &components {
        let definition = json_schema::definition(schema, asked.contains(*name));
        definitions.insert((*name).clone(), definition);
    }
    for operation in &api.operations {
        for part in &operation.parts {
            let object = parameters_object(documents, operation, part);
            definitions
                .insert(parameters_model(operation, part), json_schema::convert(&object, true));
        }
    }
    let mut space = TypeSpace::new(&settings);
    let parsed = definitions.into_iter().map(|(name, schema)| {
        let schema: schemars::schema::Schema = serde_json::from_value(schema)
            .map_err(|bad| Ungenerable(format!("schema {name} is unreadable: {bad}")))?;
        Ok((name, schema))
    });
    let parsed = parsed.collect::<Result<Vec<_>, Ungenerable>>()?;
    space.add_ref_types(parsed).map_err(|bad| Ungenerable(format!("typify: {bad}")))?;
    let types = space.to_stream();
    let schemas = components.iter().map(|(name, (document, schema))| {
        let marker = (schema["x-verbatim"] == true).then(|| marker(name));
        let impls = component_impl(name, document, schema);
        quote!(#marker #impls)
    });
    let parameters = api.operations.iter().flat_map(|operation| {
        operation.parts.iter().map(|part| parameters_impl(documents, operation, part))
    });
    Ok(quote! { #types #(#schemas)* #(#parameters)* })
}

/// The model of an operation's parameters in one part: `KeyListQuery`.
pub fn parameters_model(operation: &Operation, part: &str) -> String {
    let part = match part {
        "path" => "Path",
        "query" => "Query",
        _ => "Headers",
    };
    format!("{}{part}", operation.pascal)
}

/// Components by name, with the first document that has them.
pub fn components(documents: &Documents) -> BTreeMap<&String, (&String, &Value)> {
    let mut all = BTreeMap::new();
    for document in &documents.documents {
        for (name, schema) in members(&document.value["components"]["schemas"]) {
            all.entry(name).or_insert((&document.name, schema));
        }
    }
    all
}

/// Names of the components that some request reaches.
fn asked(documents: &Documents) -> BTreeSet<String> {
    documents
        .documents
        .iter()
        .flat_map(|document| reachable(&document.value, Side::Request))
        .collect()
}

/// The document's bundled value.
pub fn root<'a>(documents: &'a Documents, name: &str) -> &'a Value {
    let found = documents.documents.iter().find(|document| document.name == name);
    found.map_or(&Value::Null, |document| &document.value)
}

fn parameters_object(documents: &Documents, operation: &Operation, part: &str) -> Value {
    let root = root(documents, &operation.document);
    let method = operation.method.to_lowercase();
    let listed = &root["paths"][&operation.path][&method]["parameters"];
    let mine = listed.as_array().into_iter().flatten().map(|one| resolve(root, one));
    let (mut properties, mut required) = (serde_json::Map::new(), vec![]);
    for parameter in mine.filter(|parameter| parameter["in"] == part) {
        let name = parameter["name"].as_str().unwrap_or_default();
        if parameter["required"] == true {
            required.push(name);
        }
        properties.insert(name.to_owned(), parameter["schema"].clone());
    }
    json!({
        "type": "object",
        "description": format!("The {part} parameters of `{}`.", operation.id),
        "properties": properties,
        "required": required,
    })
}

fn marker(name: &str) -> TokenStream {
    let ident = format_ident!("{name}");
    let doc = format!("Stands for the schema `{name}`, whose values are kept verbatim.");
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
        pub struct #ident;
    }
}

fn component_impl(name: &str, document: &str, schema: &Value) -> TokenStream {
    let ident = format_ident!("{name}");
    let document = format_ident!("{document}");
    let dependencies = dependencies(schema);
    quote! {
        impl ::schemars::JsonSchema for #ident {
            fn schema_name() -> String {
                #name.into()
            }
            fn json_schema(
                generator: &mut ::schemars::r#gen::SchemaGenerator,
            ) -> ::schemars::schema::Schema {
                #(generator.subschema_for::<#dependencies>();)*
                let _ = &generator;
                ::vestibule_runtime::json_schema_of(crate::documents::#document(), #name)
            }
        }
    }
}

fn parameters_impl(documents: &Documents, operation: &Operation, part: &str) -> TokenStream {
    let name = parameters_model(operation, part);
    let (ident, document) = (format_ident!("{name}"), format_ident!("{}", operation.document));
    let (path, method) = (&operation.path, operation.method.to_lowercase());
    let dependencies = dependencies(&parameters_object(documents, operation, part));
    quote! {
        impl ::schemars::JsonSchema for #ident {
            fn schema_name() -> String {
                #name.into()
            }
            fn json_schema(
                generator: &mut ::schemars::r#gen::SchemaGenerator,
            ) -> ::schemars::schema::Schema {
                #(generator.subschema_for::<#dependencies>();)*
                let _ = &generator;
                ::vestibule_runtime::json_schema_of_parameters(
                    crate::documents::#document(), #path, #method, #part,
                )
            }
        }
    }
}

/// The components that a schema names directly.
fn dependencies(schema: &Value) -> Vec<proc_macro2::Ident> {
    let mut names = BTreeSet::new();
    collect_references(schema, &mut names);
    names.iter().map(|name| format_ident!("{name}")).collect()
}

fn collect_references(node: &Value, names: &mut BTreeSet<String>) {
    match node {
        Value::Object(members) => {
            if let Some(name) = super::api::component_name(node) {
                names.insert(name.to_owned());
            }
            members.values().for_each(|member| collect_references(member, names));
        }
        Value::Array(items) => items.iter().for_each(|item| collect_references(item, names)),
        _ => {}
    }
}
