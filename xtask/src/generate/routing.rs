//! Registration of whole documents, preflights, and the table of all operations.

use std::collections::{BTreeMap, BTreeSet};

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::api::{Api, Operation};
use super::models::parameters_model;
use super::traits::{request_ident, trait_ident};
use crate::document::Documents;

/// `register.rs`.
pub fn stream(api: &Api, documents: &Documents) -> TokenStream {
    let tags = api.tags();
    let traits: Vec<_> = tags.iter().map(|(tag, _)| tag_path(tag)).collect();
    let names: Vec<_> = documents.documents.iter().map(|document| &document.name).collect();
    let each = names.iter().map(|name| {
        let mine = tags.iter().filter(|(_, operations)| operations[0].document == **name);
        document(name, &mine.collect::<Vec<_>>())
    });
    let all = names.iter().map(|name| format_ident!("{name}"));
    let operations = api.operations.iter().map(|operation| {
        let (file, name) = (
            format_ident!("{}", operation.tag.to_snake_case()),
            format_ident!("{}", operation.pascal),
        );
        quote!(<crate::#file::#name as Operation>::INFO)
    });
    let readers = api.operations.iter().map(|operation| {
        let file = format_ident!("{}", operation.tag.to_snake_case());
        let (name, request) = (format_ident!("{}", operation.pascal), request_ident(operation));
        quote! {
            (<crate::#file::#name as Operation>::INFO, |received| {
                crate::#file::#request::read(received).map(drop)
            })
        }
    });
    let warm = api.operations.iter().map(|operation| {
        let file = format_ident!("{}", operation.tag.to_snake_case());
        let checks = format_ident!("{}_CHECKS", operation.snake.to_uppercase());
        quote!(LazyLock::force(&crate::#file::#checks);)
    });
    quote! {
        use std::sync::{Arc, LazyLock};

        use dropshot::{ApiDescription, ApiDescriptionRegisterError, ApiEndpoint, ApiEndpointVersions};
        use vestibule_runtime::{Operation, OperationInfo};

        /// Everything the documents ask of the service.
        pub trait Service: #(#traits)+* {}

        impl<S: #(#traits)+*> Service for S {}

        /// Every operation of every document.
        pub static OPERATIONS: &[&OperationInfo] = &[#(#operations),*];

        /// Reads a received request as its operation does, and drops it.
        #[cfg(feature = "strategies")]
        pub type Reader = fn(vestibule_runtime::Received) -> Result<(), vestibule_runtime::Refusal>;

        /// Every operation with its reader, for tests that send whatever comes to mind.
        #[cfg(feature = "strategies")]
        pub static READERS: &[(&OperationInfo, Reader)] = &[#(#readers),*];

        /// Compiles every schema now rather than at the first request.
        pub fn compile_schemas() {
            #(#warm)*
        }

        /// Registers every document and the preflights.
        ///
        /// # Errors
        /// When two paths collide.
        pub fn all<S: Service>(api: &mut ApiDescription<Arc<S>>) -> Result<(), ApiDescriptionRegisterError> {
            #(#all(api)?;)*
            preflights(api)
        }

        #(#each)*
    }
    .into_iter()
    .chain(preflights(api))
    .collect()
}

fn tag_path(tag: &str) -> TokenStream {
    let (file, name) = (format_ident!("{}", tag.to_snake_case()), trait_ident(tag));
    quote!(crate::#file::#name)
}

fn document(name: &str, tags: &[&(&str, Vec<&Operation>)]) -> TokenStream {
    let ident = format_ident!("{name}");
    let doc = format!("Registers `openapi/{name}.yaml` alone.");
    let bounds = tags.iter().map(|(tag, _)| tag_path(tag));
    let files = tags.iter().map(|(tag, _)| format_ident!("{}", tag.to_snake_case()));
    quote! {
        #[doc = #doc]
        ///
        /// # Errors
        /// When two paths collide.
        pub fn #ident<S: #(#bounds)+*>(
            api: &mut ApiDescription<Arc<S>>,
        ) -> Result<(), ApiDescriptionRegisterError> {
            #(crate::#files::register(api)?;)*
            Ok(())
        }
    }
}

/// One unpublished `OPTIONS` endpoint per path whose operations other origins may call.
fn preflights(api: &Api) -> TokenStream {
    let mut paths: BTreeMap<&str, Vec<&Operation>> = BTreeMap::new();
    for operation in api.operations.iter().filter(|operation| operation.cors) {
        paths.entry(&operation.path).or_default().push(operation);
    }
    let endpoints = paths.iter().map(|(path, operations)| preflight(path, operations));
    quote! {
        fn preflights<S: vestibule_runtime::Host>(
            api: &mut ApiDescription<Arc<S>>,
        ) -> Result<(), ApiDescriptionRegisterError> {
            #(#endpoints)*
            Ok(())
        }
    }
}

fn preflight(path: &str, operations: &[&Operation]) -> TokenStream {
    let methods: Vec<_> = operations.iter().map(|operation| operation.method.as_str()).collect();
    let (methods, id) = (methods.join(", "), format!("preflight {path}").to_upper_camel_case());
    let keys = operations.iter().filter_map(|it| Some(it.idempotency.as_ref()?.header.as_str()));
    let clocks = operations.iter().filter_map(|it| Some(it.test_clock.as_ref()?.header.as_str()));
    let more: BTreeSet<_> = keys.chain(clocks).collect();
    let headers: Vec<_> = ["Authorization", "Content-Type"].into_iter().chain(more).collect();
    let headers = headers.join(", ");
    let endpoint = quote! {
        ApiEndpoint::new(
            #id.to_owned(),
            |context: dropshot::RequestContext<Arc<S>>| {
                vestibule_runtime::preflight(context, #path, #methods, #headers)
            },
            http::Method::OPTIONS,
            "application/json",
            #path,
            ApiEndpointVersions::All,
        )
        .visible(false)
    };
    let Some(with_variables) = operations.iter().find(|it| it.parts.contains(&"path")) else {
        return quote!(api.register(#endpoint)?;);
    };
    // dropshot refuses an endpoint that does not name the variables of its path.
    let model = format_ident!("{}", parameters_model(with_variables, "path"));
    quote! {
        let mut preflight = #endpoint;
        preflight.parameters =
            <dropshot::Path<crate::models::#model> as dropshot::SharedExtractor>::metadata(
                dropshot::ApiEndpointBodyContentType::Json,
            )
            .parameters;
        api.register(preflight)?;
    }
}
