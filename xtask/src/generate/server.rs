//! The files of the server crate, `generated/server`.

use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::api::{Api, members};
use super::facts::FOLDER;
use super::files::rust;
use super::traits::code_ident;
use super::{Files, Ungenerable, callers, markdown, models, routing, strategies, traits};
use crate::document::Documents;

const CRATE: &str = "generated/server";

/// Every file of the crate.
pub fn files(api: &Api, documents: &Documents) -> Result<Files, Ungenerable> {
    let mut files = Files::new();
    let mut put = |name: &str, doc: &str, tokens: TokenStream| -> Result<(), Ungenerable> {
        let text = rust(doc, "openapi/*.yaml", tokens)?;
        files.insert(format!("{CRATE}/src/{name}.rs"), text);
        Ok(())
    };
    put("lib", LIB_DOC, lib(api))?;
    put(
        "models",
        "Models of every component and parameter object, and their schemas.",
        models::stream(api, documents)?,
    )?;
    put("codes", "The catalogue of stable error codes.", codes(api))?;
    put("documents", "The bundled documents, as the service serves them.", embedded(documents))?;
    put("schemas", "Every schema, compiled when it is first asked for.", schemas(documents))?;
    put(
        "authenticate",
        "What proves a caller, one hook per kind of credential.",
        callers::stream(api, documents)?,
    )?;
    put(
        "reference",
        "The reference for readers, as the service serves it.",
        markdown::stream(api),
    )?;
    put(
        "register",
        "Registration of whole documents with dropshot.",
        routing::stream(api, documents),
    )?;
    put(
        "strategies",
        "Strategies of valid and broken values, per schema.",
        strategies::stream(api, documents),
    )?;
    for (tag, operations) in api.tags() {
        let doc = format!("The operations tagged `{tag}`.");
        put(&tag.to_snake_case(), &doc, traits::stream(tag, &operations))?;
    }
    for document in &documents.documents {
        let text = serde_json::to_string_pretty(&document.value)
            .map_err(|bad| Ungenerable(format!("{}: {bad}", document.name)))?;
        files.insert(format!("{FOLDER}/{}.json", document.name), text + "\n");
    }
    Ok(files)
}

const LIB_DOC: &str = "Generated from the documents: models, validation, traits and routing of the server.\n\n\
    `register::all` puts every document into one dropshot `ApiDescription`; the compiler names \
    every trait method that is missing in `src/api`.";

fn lib(api: &Api) -> TokenStream {
    let tags = api.tags();
    let files = tags.iter().map(|(tag, _)| format_ident!("{}", tag.to_snake_case()));
    let all: Vec<_> =
        ["authenticate", "codes", "documents", "models", "reference", "register", "schemas"]
            .into_iter()
            .map(|name| format_ident!("{name}"))
            .chain(files)
            .collect();
    quote! {
        #(pub mod #all;)*
        #[cfg(feature = "strategies")]
        pub mod strategies;
    }
}

fn codes(api: &Api) -> TokenStream {
    let each = api.codes.iter().map(|(name, message)| {
        let ident = code_ident(name);
        quote! {
            #[doc = #message]
            pub const #ident: Code = Code { name: #name, message: #message };
        }
    });
    let idents: Vec<_> = api.codes.iter().map(|(name, _)| code_ident(name)).collect();
    let standard = [
        "internal",
        "invalid_json",
        "not_implemented",
        "origin_not_allowed",
        "payload_too_large",
        "request_timeout",
        "secret_key_in_browser",
        "unavailable",
        "unsupported_media_type",
    ];
    let fields = standard.map(|name| format_ident!("{name}"));
    let values = standard.map(code_ident);
    quote! {
        use vestibule_runtime::{Code, StandardCodes};

        #(#each)*

        /// Every code, sorted by name.
        pub const ALL: &[Code] = &[#(#idents),*];

        /// The codes that are refused with before a handler is reached.
        pub static STANDARD: StandardCodes = StandardCodes { #(#fields: #values),* };
    }
}

fn embedded(documents: &Documents) -> TokenStream {
    let each = documents.documents.iter().map(|document| {
        let (ident, name) = (format_ident!("{}", document.name), &document.name);
        let text = format_ident!("{}_JSON", document.name.to_uppercase());
        let path = format!("../documents/{name}.json");
        let doc = format!("`openapi/{name}.yaml`, bundled.");
        quote! {
            #[doc = #doc]
            pub const #text: &str = include_str!(#path);

            #[doc = #doc]
            pub fn #ident() -> &'static Value {
                static VALUE: LazyLock<Value> = LazyLock::new(|| parse(#text));
                &VALUE
            }
        }
    });
    let names = documents.documents.iter().map(|document| {
        let (name, text) = (&document.name, format_ident!("{}_JSON", document.name.to_uppercase()));
        quote!((#name, #text))
    });
    quote! {
        use std::sync::LazyLock;

        use serde_json::Value;

        /// Every document: name and text.
        pub static ALL: &[(&str, &str)] = &[#(#names),*];

        #(#each)*

        fn parse(text: &str) -> Value {
            serde_json::from_str(text).expect("the generator wrote JSON")
        }
    }
}

fn schemas(documents: &Documents) -> TokenStream {
    let modules = documents.documents.iter().map(|document| {
        let ident = format_ident!("{}", document.name);
        let doc = format!("Schemas of `openapi/{}.yaml`.", document.name);
        let names = members(&document.value["components"]["schemas"]).map(|(name, _)| name);
        let functions = names.map(|name| {
            let (function, doc) = (format_ident!("{}", name.to_snake_case()), format!("`{name}`."));
            quote! {
                #[doc = #doc]
                pub fn #function() -> &'static Schema {
                    static SCHEMA: LazyLock<Schema> =
                        LazyLock::new(|| Schema::component(crate::documents::#ident(), #name));
                    &SCHEMA
                }
            }
        });
        quote! {
            #[doc = #doc]
            pub mod #ident {
                use super::*;

                #(#functions)*
            }
        }
    });
    quote! {
        use std::sync::LazyLock;

        use vestibule_runtime::Schema;

        #(#modules)*
    }
}
