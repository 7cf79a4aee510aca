//! One file per tag: the trait people implement, requests, answers, and the glue to dropshot.

use heck::{ToSnakeCase, ToUpperCamelCase};
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::api::{Answer, Operation, TestClock, any_of};
use super::idempotency;
use super::models::parameters_model;

/// The whole file of one tag.
pub fn stream(tag: &str, operations: &[&Operation]) -> TokenStream {
    let trait_name = trait_ident(tag);
    let doc = format!(
        "The operations tagged `{tag}`; implemented in `src/api/{}.rs`.",
        tag.to_snake_case()
    );
    let methods = operations.iter().map(|operation| method(operation));
    let each = operations.iter().map(|operation| {
        let (info, request) = (info(operation), request(operation));
        let (response, glue) = (response(operation), glue(operation, &trait_name));
        let max_age = max_age(operation);
        quote!(#max_age #info #request #response #glue)
    });
    let endpoints = operations.iter().map(|operation| endpoint(operation));
    let recall = idempotency::supertrait(operations);
    let register_doc = format!("Registers the operations tagged `{tag}`.");
    quote! {
        use std::sync::{Arc, LazyLock};

        use dropshot::{ApiDescription, ApiDescriptionRegisterError, ApiEndpoint, ApiEndpointVersions};
        use vestibule_runtime as runtime;

        use crate::authenticate::Authenticate;
        use crate::{codes, models};

        #[doc = #doc]
        pub trait #trait_name: Authenticate #recall {
            #(#methods)*
        }

        #[doc = #register_doc]
        ///
        /// # Errors
        /// When a path collides with one that is registered already.
        pub fn register<S: #trait_name>(
            api: &mut ApiDescription<Arc<S>>,
        ) -> Result<(), ApiDescriptionRegisterError> {
            #(#endpoints)*
            Ok(())
        }

        #(#each)*
    }
}

/// `embedSessions` → `EmbedSessions`.
pub fn trait_ident(tag: &str) -> Ident {
    format_ident!("{}", tag.to_upper_camel_case())
}

/// `invalid_json` → `INVALID_JSON`.
pub fn code_ident(code: &str) -> Ident {
    format_ident!("{}", code.to_uppercase())
}

pub fn request_ident(operation: &Operation) -> Ident {
    format_ident!("{}Request", operation.pascal)
}

fn response_ident(operation: &Operation) -> Ident {
    format_ident!("{}Response", operation.pascal)
}

fn method(operation: &Operation) -> TokenStream {
    let name = format_ident!("{}", operation.snake);
    let (request, response) = (request_ident(operation), response_ident(operation));
    let doc = format!("{}\n\n{}", operation.summary, operation.description);
    let missing = format!("Answers 501 until `{}` has this method.", operation.handler().file);
    let kind = caller_type(operation);
    let (caller, nobody) = (kind.iter().map(|k| quote!(caller: #k,)), kind.iter());
    let (kind_of_once, name_of_once) =
        (idempotency::parameter(operation), idempotency::name(operation));
    let (once, never) =
        (kind_of_once.iter().map(|k| quote!(#name_of_once: #k)), kind_of_once.iter());
    let future = quote!(impl Future<Output = Result<#response, runtime::Refusal>> + Send);
    quote! {
        #[doc = #doc]
        #[cfg(not(feature = "unfinished"))]
        fn #name(&self, #(#caller)* request: #request, #(#once)*) -> #future;

        #[doc = #missing]
        #[cfg(feature = "unfinished")]
        fn #name(&self, #(_: #nobody,)* _: #request, #(_: #never)*) -> #future {
            std::future::ready(Err(runtime::Refusal::new(codes::NOT_IMPLEMENTED)))
        }
    }
}

/// How long answers may be kept, where the document says it.
fn max_age(operation: &Operation) -> Option<TokenStream> {
    let headers = operation.answers.iter().flat_map(|answer| &answer.headers);
    let said = headers.filter(|it| it.name == "cache-control").find_map(|it| it.constant.as_ref());
    let seconds = said?.split(',').find_map(|it| it.trim().strip_prefix("max-age="))?;
    let seconds = proc_macro2::Literal::u32_unsuffixed(seconds.parse().ok()?);
    let name = format_ident!("{}_MAX_AGE_S", operation.snake.to_uppercase());
    let doc = format!("For how long an answer to `{}` may be kept, seconds.", operation.id);
    Some(quote!(#[doc = #doc] pub const #name: u32 = #seconds;))
}

fn info(operation: &Operation) -> TokenStream {
    let name = format_ident!("{}", operation.pascal);
    let doc = format!("`{}`: {} {}", operation.id, operation.method, operation.path);
    let Operation { document, id, path, challenge, cors, exposed, .. } = operation;
    let method = format_ident!("{}", operation.method);
    let parameters_refused = code_ident(&operation.parameters_code);
    let body = match &operation.body {
        None => quote!(None),
        Some(body) => {
            let (schema, refused) = (&body.schema, code_ident(&body.code));
            let max_bytes = proc_macro2::Literal::u64_unsuffixed(body.max_bytes);
            quote!(Some(runtime::BodyInfo {
                schema: #schema, max_bytes: #max_bytes, refused: codes::#refused,
            }))
        }
    };
    let credentials = operation.credentials.iter().map(|credential| {
        let (caller, refused) = (&credential.caller, credential.browser_refused);
        let headers = credential.headers.iter().map(|name| name.to_lowercase());
        quote!(runtime::CredentialInfo {
            caller: #caller, headers: &[#(#headers),*], browser_refused: #refused,
        })
    });
    let answers = operation.answers.iter().map(|answer| {
        let status = proc_macro2::Literal::u16_unsuffixed(answer.status);
        let codes = answer.codes.iter().map(|code| code_ident(code));
        quote!((#status, &[#(codes::#codes),*]))
    });
    let (metadata, idempotency) = (metadata(operation), idempotency::info(operation));
    let test_clock = test_clock(operation);
    quote! {
        #[doc = #doc]
        #[derive(Clone, Copy, Debug)]
        pub struct #name;

        impl runtime::Operation for #name {
            const INFO: &'static runtime::OperationInfo = &runtime::OperationInfo {
                document: #document,
                id: #id,
                method: http::Method::#method,
                path: #path,
                body: #body,
                parameters_refused: codes::#parameters_refused,
                credentials: &[#(#credentials),*],
                challenge: #challenge,
                cors: #cors,
                exposed: #exposed,
                idempotency: #idempotency,
                test_clock: #test_clock,
                answers: &[#(#answers),*],
            };

            fn metadata() -> dropshot::ExtractorMetadata {
                #metadata
            }
        }
    }
}

fn test_clock(operation: &Operation) -> TokenStream {
    let Some(TestClock { header, ahead_ms, refused }) = &operation.test_clock else {
        return quote!(None);
    };
    let (header, refused) = (header.to_lowercase(), code_ident(refused));
    let ahead_ms = proc_macro2::Literal::i64_unsuffixed(*ahead_ms);
    quote!(Some(runtime::TestClockInfo {
        header: #header, ahead_ms: #ahead_ms, refused: codes::#refused,
    }))
}

/// What dropshot documents of the parameters and the body.
fn metadata(operation: &Operation) -> TokenStream {
    let parts = operation.parts.iter().map(|part| {
        let model = format_ident!("{}", parameters_model(operation, part));
        let extractor = match *part {
            "path" => quote!(Path),
            "query" => quote!(Query),
            _ => quote!(Header),
        };
        quote! {
            parameters.extend(
                <dropshot::#extractor<models::#model> as dropshot::SharedExtractor>::metadata(json.clone())
                    .parameters,
            );
        }
    });
    let body = operation.body.as_ref().map(|body| {
        let model = format_ident!("{}", body.schema);
        quote! {
            parameters.extend(
                <dropshot::TypedBody<models::#model> as dropshot::ExclusiveExtractor>::metadata(json)
                    .parameters,
            );
        }
    });
    if operation.parts.is_empty() && operation.body.is_none() {
        return quote!(runtime::no_parameters());
    }
    let parts = parts.collect::<Vec<_>>();
    quote! {
        let json = dropshot::ApiEndpointBodyContentType::Json;
        let mut parameters = Vec::new();
        #(#parts)*
        #body
        dropshot::ExtractorMetadata {
            extension_mode: dropshot::ExtensionMode::None,
            parameters,
        }
    }
}

fn request(operation: &Operation) -> TokenStream {
    let name = request_ident(operation);
    let doc = format!("A `{}` request whose every documented constraint holds.", operation.id);
    let parts = operation.parts.iter().map(|part| {
        let (field, model) = part_names(operation, part);
        let doc = format!("The {part} parameters.");
        quote!(#[doc = #doc] pub #field: models::#model,)
    });
    let body = operation.body.as_ref().map(|body| {
        let model = format_ident!("{}", body.schema);
        let nulls = body.nullable.iter().map(|member| {
            let field = format_ident!("{}_is_null", member.to_snake_case());
            let doc = format!("Whether `{member}` was sent as `null` rather than left out.");
            quote!(#[doc = #doc] pub #field: bool,)
        });
        quote!(
            #[doc = " The body."]
            pub body: models::#model,
            #(#nulls)*
        )
    });
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        pub struct #name {
            #(#parts)*
            #body
            /// The request as it came: headers, raw bytes, peer.
            pub received: runtime::Received,
        }
    }
}

fn part_names(operation: &Operation, part: &str) -> (Ident, Ident) {
    let field = format_ident!("{}", if part == "header" { "headers" } else { part });
    (field, format_ident!("{}", parameters_model(operation, part)))
}

fn response(operation: &Operation) -> TokenStream {
    let name = response_ident(operation);
    let doc = format!("Every documented answer of `{}`.", operation.id);
    let variants = operation.answers.iter().map(variant);
    let refused = operation.answers.iter().filter(|answer| !answer.is_success());
    let refused_arms = refused.clone().map(|answer| {
        let variant = format_ident!("{}", answer.variant);
        let status = proc_macro2::Literal::u16_unsuffixed(answer.status);
        quote!(#status => Self::#variant(told),)
    });
    let code_arms = refused.map(|answer| {
        let variant = format_ident!("{}", answer.variant);
        quote!(Self::#variant(told) => Some(told.code()),)
    });
    let success_patterns = operation.answers.iter().filter(|a| a.is_success()).map(|answer| {
        let variant = format_ident!("{}", answer.variant);
        quote!(Self::#variant { .. } => None,)
    });
    let to_result = operation.answers.iter().map(to_result_arm);
    let status_arms = operation.answers.iter().map(|answer| {
        let (variant, status) = (format_ident!("{}", answer.variant), status_path(answer.status));
        quote!(Self::#variant { .. } => #status,)
    });
    let metadata = response_metadata(operation);
    let operation_name = format_ident!("{}", operation.pascal);
    let kept = idempotency::Variant::of(operation, &name);
    let (kept_variant, kept_code, kept_status) = (kept.variant, kept.code, kept.status);
    let (kept_result, keeps) = (kept.to_result, kept.made);
    quote! {
        #[doc = #doc]
        #[derive(Debug)]
        pub enum #name {
            #(#variants)*
            #kept_variant
        }

        #keeps

        impl runtime::Answer for #name {
            fn refused(refusal: runtime::Refusal, request_id: &str) -> Self {
                let (refusal, status) =
                    runtime::documented::<#operation_name>(refusal, codes::INTERNAL);
                let told = runtime::Told::new(refusal, request_id);
                match status.as_u16() {
                    #(#refused_arms)*
                    _ => Self::InternalServerError(told),
                }
            }

            fn code(&self) -> Option<&'static str> {
                match self {
                    #(#success_patterns)*
                    #(#code_arms)*
                    #kept_code
                }
            }
        }

        impl dropshot::HttpResponse for #name {
            fn to_result(self) -> Result<http::Response<dropshot::Body>, dropshot::HttpError> {
                match self {
                    #(#to_result)*
                    #kept_result
                }
            }

            fn response_metadata() -> dropshot::ApiEndpointResponse {
                #metadata
            }

            fn status_code(&self) -> http::StatusCode {
                match self {
                    #(#status_arms)*
                    #kept_status
                }
            }
        }
    }
}

fn variant(answer: &Answer) -> TokenStream {
    let (name, doc) = (format_ident!("{}", answer.variant), &answer.description);
    if !answer.is_success() {
        return quote!(#[doc = #doc] #name(runtime::Told),);
    }
    let body = answer.schema.as_ref().map(|schema| {
        let model = format_ident!("{schema}");
        quote!(#[doc = " The body."] body: models::#model,)
    });
    let headers = answer.headers.iter().filter(|header| header.constant.is_none()).map(|header| {
        let (field, doc) =
            (format_ident!("{}", header.field), format!("The `{}` header.", header.name));
        match header.required {
            true => quote!(#[doc = #doc] #field: String,),
            false => quote!(#[doc = #doc] #field: Option<String>,),
        }
    });
    quote!(#[doc = #doc] #name { #body #(#headers)* },)
}

fn to_result_arm(answer: &Answer) -> TokenStream {
    let (name, status) = (format_ident!("{}", answer.variant), status_path(answer.status));
    if !answer.is_success() {
        return quote!(Self::#name(told) => Ok(told.into_response(#status)),);
    }
    let fields = answer
        .headers
        .iter()
        .filter(|h| h.constant.is_none())
        .map(|h| format_ident!("{}", h.field));
    let headers = answer.headers.iter().map(|header| {
        let (name, field) = (&header.name, format_ident!("{}", header.field));
        match (&header.constant, header.required) {
            (Some(value), _) => quote!((#name, Some(#value.to_owned()))),
            (None, true) => quote!((#name, Some(#field))),
            (None, false) => quote!((#name, #field)),
        }
    });
    let (binding, body) = match &answer.schema {
        Some(_) => (quote!(body,), quote!(Some(&body))),
        None => (quote!(), quote!(None::<&()>)),
    };
    quote! {
        Self::#name { #binding #(#fields),* } => {
            runtime::success(#status, #body, &[#(#headers),*])
        }
    }
}

fn status_path(status: u16) -> TokenStream {
    let name = match status {
        413 => "PAYLOAD_TOO_LARGE".to_owned(),
        422 => "UNPROCESSABLE_ENTITY".to_owned(),
        _ => {
            let reason = http::StatusCode::from_u16(status).ok().and_then(|s| s.canonical_reason());
            reason.unwrap_or("OK").to_uppercase().replace([' ', '-'], "_")
        }
    };
    let ident = format_ident!("{name}");
    quote!(http::StatusCode::#ident)
}

fn response_metadata(operation: &Operation) -> TokenStream {
    let success = operation.answers.iter().find(|answer| answer.is_success());
    let documented = success.map(|answer| {
        let description = &answer.description;
        let inner = match (&answer.schema, answer.status) {
            (Some(schema), 201) => {
                let model = format_ident!("{schema}");
                quote!(dropshot::HttpResponseCreated::<models::#model>)
            }
            (Some(schema), 202) => {
                let model = format_ident!("{schema}");
                quote!(dropshot::HttpResponseAccepted::<models::#model>)
            }
            (Some(schema), _) => {
                let model = format_ident!("{schema}");
                quote!(dropshot::HttpResponseOk::<models::#model>)
            }
            (None, _) => quote!(dropshot::HttpResponseDeleted),
        };
        quote! {
            dropshot::ApiEndpointResponse {
                description: Some(#description.to_owned()),
                ..<#inner as dropshot::HttpResponse>::response_metadata()
            }
        }
    });
    documented.unwrap_or_else(|| quote!(dropshot::ApiEndpointResponse::default()))
}

fn glue(operation: &Operation, trait_name: &Ident) -> TokenStream {
    let name = format_ident!("{}", operation.snake);
    let checks = format_ident!("{}_CHECKS", operation.snake.to_uppercase());
    let pascal = format_ident!("{}", operation.pascal);
    let (request, response) = (request_ident(operation), response_ident(operation));
    let authentication = authentication(operation);
    let caller = (!operation.credentials.is_empty()).then(|| quote!(caller,));
    let counting = (!operation.credentials.is_empty())
        .then(|| quote!(runtime::Limited::count(&caller, &*service)?;));
    let parameters = operation.parts.iter().map(|part| {
        let field = part_names(operation, part).0;
        let code = code_ident(&operation.parameters_code);
        quote!(#field: checked.#field(codes::#code)?,)
    });
    let body = operation.body.as_ref().map(|body| {
        let code = code_ident(&body.code);
        let nulls = body.nullable.iter().map(|member| {
            let field = format_ident!("{}_is_null", member.to_snake_case());
            quote!(#field: checked.body_member_is_null(#member),)
        });
        quote!(#(#nulls)* body: checked.body(codes::#code)?,)
    });
    let mutable = (!operation.parts.is_empty() || operation.body.is_some())
        .then(|| quote!(let mut checked =));
    let static_checks = static_checks(operation, &checks);
    let recall = idempotency::recall(operation, &response);
    let once = recall.is_some().then(|| idempotency::name(operation)).into_iter();
    quote! {
        #static_checks

        impl #request {
            /// Checks every part of a received request and reads it.
            pub(crate) fn read(received: runtime::Received) -> Result<Self, runtime::Refusal> {
                #mutable #checks.run(&received, &codes::STANDARD)?;
                Ok(Self { #(#parameters)* #body received })
            }
        }

        async fn #name<S: #trait_name>(
            context: dropshot::RequestContext<Arc<S>>,
            incoming: runtime::Incoming<#pascal>,
        ) -> Result<runtime::Served<#response>, runtime::ErrorBody<models::Error>> {
            let handle = |service: Arc<S>, received: runtime::Received| async move {
                #authentication
                #counting
                let request = #request::read(received)?;
                #recall
                service.#name(#caller request, #(#once)*).await
            };
            runtime::serve(context, incoming, &codes::STANDARD, handle).await
        }
    }
}

/// How the glue comes by a caller. Where one credential alone opens the operation, pages are refused
/// before it is looked at.
fn authentication(operation: &Operation) -> TokenStream {
    match &*operation.credentials {
        [] => quote!(),
        [credential] => {
            let hook = format_ident!("{}", credential.caller);
            let browser = credential
                .browser_refused
                .then(|| quote!(runtime::refuse_browser(&received, &codes::STANDARD)?;));
            quote! {
                #browser
                let caller = service.#hook(&received).await?;
            }
        }
        several => {
            let name = format_ident!("{}", any_of(several));
            quote! {
                let caller = crate::authenticate::#name::prove(&*service, &received).await?;
            }
        }
    }
}

/// Whom a method gets; `None` when its operation is open.
fn caller_type(operation: &Operation) -> Option<TokenStream> {
    match &*operation.credentials {
        [] => None,
        [credential] => {
            let kind = format_ident!("{}", credential.caller.to_upper_camel_case());
            Some(quote!(Self::#kind))
        }
        several => {
            let name = format_ident!("{}", any_of(several));
            Some(quote!(crate::authenticate::#name<Self>))
        }
    }
}

fn static_checks(operation: &Operation, name: &Ident) -> TokenStream {
    let document = format_ident!("{}", operation.document);
    let (path, method) = (&operation.path, operation.method.to_lowercase());
    let parameters = |part: &str| quote!(runtime::parameters(crate::documents::#document(), #path, #method, #part));
    let optional = |part: &str| match operation.parts.contains(&part) {
        true => {
            let parameters = parameters(part);
            quote!(Some(#parameters))
        }
        false => quote!(None),
    };
    let (in_path, in_query, in_headers) =
        (optional("path"), parameters("query"), optional("header"));
    let body = match &operation.body {
        Some(body) => {
            let schema = &body.schema;
            quote!(Some(runtime::Schema::component(crate::documents::#document(), #schema)))
        }
        None => quote!(None),
    };
    quote! {
        pub(crate) static #name: LazyLock<runtime::Checks> = LazyLock::new(|| runtime::Checks {
            path: #in_path,
            query: #in_query,
            headers: #in_headers,
            body: #body,
        });
    }
}

fn endpoint(operation: &Operation) -> TokenStream {
    let (name, id) = (format_ident!("{}", operation.snake), &operation.id);
    let Operation { path, summary, description, tag, .. } = operation;
    let method = format_ident!("{}", operation.method);
    let max_bytes = operation.body.as_ref().map(|body| {
        let max_bytes = proc_macro2::Literal::u64_unsuffixed(body.max_bytes);
        quote!(.request_body_max_bytes(#max_bytes))
    });
    quote! {
        api.register(
            ApiEndpoint::new(
                #id.to_owned(), #name::<S>, http::Method::#method, "application/json", #path,
                ApiEndpointVersions::All,
            )
            .summary(#summary)
            .description(#description)
            .tag(#tag)
            #max_bytes,
        )?;
    }
}
