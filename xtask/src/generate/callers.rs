//! `authenticate.rs` of the server crate: the names of schemes and headers, a hook for each kind of
//! caller, and an enum for each combination of kinds of which any one opens an operation.

use std::collections::BTreeMap;

use heck::{ToShoutySnakeCase, ToUpperCamelCase};
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;

use super::Ungenerable;
use super::api::{Api, Credential, any_of, members};
use crate::document::Documents;

/// The whole file.
pub fn stream(api: &Api, documents: &Documents) -> Result<TokenStream, Ungenerable> {
    let headers = headers(documents)?;
    let (names, spelled) = (names(documents)?, spelled(documents)?);
    let windows = numbers(documents, "x-window-ms", ("MS", &quote!(i64)))?;
    let nonces = numbers(documents, "x-nonce-length", ("LENGTH", &quote!(usize)))?;
    let hooks = api.callers().into_iter().map(|caller| hook(api, caller));
    let alternatives = api.alternatives().into_iter().map(alternative);
    let codes = (!api.alternatives().is_empty()).then(|| {
        quote!(
            use crate::codes;
        )
    });
    Ok(quote! {
        use vestibule_runtime::{Host, Limited, Received, Refusal, Scoped};

        #codes

        #headers

        #spelled

        #names

        /// How far a timestamp may be from the service's clock, both ways, inclusive.
        pub mod windows {
            #(#windows)*
        }

        /// The most characters of a nonce.
        pub mod nonces {
            #(#nonces)*
        }

        /// Turns a request's credential into a caller; an operation that declares one cannot
        /// reach its handler without.
        pub trait Authenticate: Host {
            #(#hooks)*
        }

        #(#alternatives)*
    })
}

/// Names of the headers that `apiKey` schemes are sent in, by scheme.
///
/// # Errors
/// When documents mean different things by a scheme.
pub fn headers(documents: &Documents) -> Result<TokenStream, Ungenerable> {
    let constants = schemes(documents)?.into_iter().filter(|(_, it)| it["type"] == "apiKey");
    let constants = constants.map(|(scheme, it)| {
        let ident = format_ident!("{}", scheme.to_shouty_snake_case());
        let name = it["name"].as_str().unwrap_or_default().to_lowercase();
        let doc = format!("Of the scheme `{scheme}`.");
        quote!(#[doc = #doc] pub const #ident: &str = #name;)
    });
    Ok(quote! {
        /// Headers that carry credentials, in lower case.
        pub mod headers {
            #(#constants)*
        }
    })
}

/// The same names as the documents spell them, for people.
fn spelled(documents: &Documents) -> Result<TokenStream, Ungenerable> {
    let constants = schemes(documents)?.into_iter().filter_map(|(scheme, it)| {
        let ident = format_ident!("{}", scheme.to_shouty_snake_case());
        let (name, doc) = (it["name"].as_str()?, format!("Of the scheme `{scheme}`."));
        Some(quote!(#[doc = #doc] pub const #ident: &str = #name;))
    });
    Ok(quote! {
        /// Headers that carry credentials, spelled as in the documents.
        pub mod spelled {
            #(#constants)*
        }
    })
}

/// Every security scheme by its name, which means the same in every document.
///
/// # Errors
/// When it does not.
pub fn schemes(documents: &Documents) -> Result<BTreeMap<&String, &Value>, Ungenerable> {
    let mut all = BTreeMap::new();
    for document in &documents.documents {
        for (name, scheme) in members(&document.value["components"]["securitySchemes"]) {
            if all.insert(name, scheme).is_some_and(|other| other != scheme) {
                let pointer = format!("#/components/securitySchemes/{name}");
                let problem = "another document means something else by this security scheme; \
                               put it into common.yaml and refer to it";
                return Err(Ungenerable::at(&document.name, &pointer, problem));
            }
        }
    }
    Ok(all)
}

/// Names of the schemes as the documents give them.
fn names(documents: &Documents) -> Result<TokenStream, Ungenerable> {
    let constants = schemes(documents)?.into_keys().map(|scheme| {
        let ident = format_ident!("{}", scheme.to_shouty_snake_case());
        let doc = format!("`{scheme}`.");
        quote!(#[doc = #doc] pub const #ident: &str = #scheme;)
    });
    Ok(quote! {
        /// Names of the security schemes.
        pub mod schemes {
            #(#constants)*
        }
    })
}

/// What schemes say by a keyword, as constants.
fn numbers(
    documents: &Documents,
    keyword: &str,
    (unit, kind): (&str, &TokenStream),
) -> Result<Vec<TokenStream>, Ungenerable> {
    let told = schemes(documents)?.into_iter();
    let told = told.filter_map(|(name, scheme)| Some((name, scheme[keyword].as_i64()?)));
    let constants = told.map(|(scheme, number)| {
        let ident = format_ident!("{}_{unit}", scheme.to_shouty_snake_case());
        let doc = format!("Of the scheme `{scheme}`.");
        let number = proc_macro2::Literal::i64_unsuffixed(number);
        quote!(#[doc = #doc] pub const #ident: #kind = #number;)
    });
    Ok(constants.collect())
}

fn hook(api: &Api, caller: &str) -> TokenStream {
    let (hook, kind) =
        (format_ident!("{caller}"), format_ident!("{}", caller.to_upper_camel_case()));
    let used = api.operations.iter().filter(|it| it.credentials.iter().any(|c| c.caller == caller));
    let used: Vec<_> = used.map(|operation| format!("`{}`", operation.id)).collect();
    let kind_doc = format!("Who a `{}` credential proved.", caller.to_upper_camel_case());
    let doc = format!("Checks the credential of {}.", used.join(", "));
    quote! {
        #[doc = #kind_doc]
        type #kind: Limited<Self> + Scoped + Send + Sync;

        #[doc = #doc]
        fn #hook(
            &self,
            request: &Received,
        ) -> impl Future<Output = Result<Self::#kind, Refusal>> + Send;
    }
}

/// Who was proved by any one of these, and how it is found out which.
fn alternative(credentials: &[Credential]) -> TokenStream {
    let name = format_ident!("{}", any_of(credentials));
    let variants = credentials.iter().map(|it| {
        let kind = format_ident!("{}", it.caller.to_upper_camel_case());
        let doc = match it.is_bearer() {
            true => "Its token was sent as `Authorization: Bearer`.".to_owned(),
            false => format!("It signed, with {}.", it.headers.join(", ")),
        };
        quote!(#[doc = #doc] #kind(S::#kind),)
    });
    let counted = credentials.iter().map(|it| {
        let (_, _, kind) = names_of(it);
        quote!(Self::#kind(proved) => proved.count(service),)
    });
    let signed = credentials.iter().filter(|it| !it.is_bearer()).map(|it| {
        let (caller, hook, kind) = names_of(it);
        quote! {
            if request.presents(#caller) {
                let proved = service.#hook(request).await?;
                return request.admit(#caller, Self::#kind(proved), &codes::STANDARD);
            }
        }
    });
    let otherwise = otherwise(credentials);
    let scopes = credentials.iter().map(|it| {
        let (_, _, kind) = names_of(it);
        quote!(Self::#kind(caller) => caller.scope(),)
    });
    quote! {
        /// Who was proved by any one of several credentials. Which of them a request shows is decided
        /// so: one that comes in headers of its own decides alone as soon as one of these headers is
        /// there. Otherwise the bearer token is tried as each of the kinds in this order; when it is
        /// none of them, the first one's refusal is told.
        #[derive(Debug)]
        pub enum #name<S: Authenticate + ?Sized> {
            #(#variants)*
        }

        impl<S: Authenticate> Limited<S> for #name<S> {
            fn count(&self, service: &S) -> Result<(), Refusal> {
                match self {
                    #(#counted)*
                }
            }
        }

        impl<S: Authenticate> #name<S> {
            /// Checks the credential that a request shows.
            ///
            /// # Errors
            /// The refusal of the one credential that was shown.
            pub async fn prove(service: &S, request: &Received) -> Result<Self, Refusal> {
                #(#signed)*
                #otherwise
            }
        }

        impl<S: Authenticate> Scoped for #name<S> {
            fn scope(&self) -> vestibule_runtime::Scope<'_> {
                match self {
                    #(#scopes)*
                }
            }
        }
    }
}

/// The bearer tokens in order; the first signature where there are none, to say what is missing.
fn otherwise(credentials: &[Credential]) -> TokenStream {
    let mut bearers = credentials.iter().filter(|it| it.is_bearer());
    let Some(first) = bearers.next() else {
        let (_, hook, kind) = names_of(&credentials[0]);
        return quote!(service.#hook(request).await.map(Self::#kind));
    };
    let (caller, hook, kind) = names_of(first);
    let others = bearers.map(|it| {
        let (caller, hook, kind) = names_of(it);
        quote! {
            match service.#hook(request).await {
                Ok(proved) => return request.admit(#caller, Self::#kind(proved), &codes::STANDARD),
                Err(refused) if !request.is_unproved(&refused) => return Err(refused),
                Err(_) => {}
            }
        }
    });
    quote! {
        let first = match service.#hook(request).await {
            Ok(proved) => return request.admit(#caller, Self::#kind(proved), &codes::STANDARD),
            Err(refused) if !request.is_unproved(&refused) => return Err(refused),
            Err(refused) => refused,
        };
        #(#others)*
        Err(first)
    }
}

fn names_of(it: &Credential) -> (&str, proc_macro2::Ident, proc_macro2::Ident) {
    let kind = format_ident!("{}", it.caller.to_upper_camel_case());
    (&it.caller, format_ident!("{}", it.caller), kind)
}
