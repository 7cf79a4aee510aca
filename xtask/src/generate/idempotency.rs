//! What an operation that takes effect once has more than others: a parameter of its handler, an
//! answer that was kept, and the glue that asks for it before the handler is reached.
//!
//! Empty for every other operation.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};

use super::api::{Idempotency, Operation};

/// What a tag's trait asks of the service beyond the proof of callers.
pub fn supertrait(operations: &[&Operation]) -> Option<TokenStream> {
    let any = operations.iter().any(|operation| operation.idempotency.is_some());
    any.then(|| quote!(+ runtime::Recall))
}

/// The facts of `runtime::OperationInfo`.
pub fn info(operation: &Operation) -> TokenStream {
    let Some(Idempotency { header, replayed, kept_ms }) = &operation.idempotency else {
        return quote!(None);
    };
    let (header, replayed) = (header.to_lowercase(), replayed.to_lowercase());
    let kept_ms = proc_macro2::Literal::i64_unsuffixed(*kept_ms);
    quote!(Some(runtime::IdempotencyInfo {
        header: #header, replayed: #replayed, kept_ms: #kept_ms,
    }))
}

/// The type of the handler's last parameter. Where no credential says whose the key is, the
/// handler says it.
pub fn parameter(operation: &Operation) -> Option<TokenStream> {
    operation.idempotency.as_ref()?;
    Some(match operation.credentials.is_empty() {
        false => quote!(Option<Self::Once>),
        true => quote!(Option<runtime::Keyed>),
    })
}

/// The name of that parameter.
pub fn name(operation: &Operation) -> Ident {
    format_ident!("{}", if operation.credentials.is_empty() { "keyed" } else { "once" })
}

/// Asks whether the request took effect before, and answers what was answered then.
pub fn recall(operation: &Operation, response: &Ident) -> Option<TokenStream> {
    operation.idempotency.as_ref()?;
    let name = name(operation);
    Some(match operation.credentials.is_empty() {
        true => quote!(let #name = runtime::Keyed::of(&request.received);),
        false => quote! {
            let keyed = runtime::Keyed::of(&request.received);
            let #name = match runtime::recall(&*service, &caller, keyed).await? {
                runtime::Recalled::Fresh(#name) => #name,
                runtime::Recalled::Before(kept) => return Ok(#response::Kept(kept)),
            };
        },
    })
}

/// The variant of the response enum, its arms, and what makes one.
#[derive(Default)]
pub struct Variant {
    pub variant: TokenStream,
    pub code: TokenStream,
    pub to_result: TokenStream,
    pub status: TokenStream,
    pub made: TokenStream,
}

impl Variant {
    pub fn of(operation: &Operation, response: &Ident) -> Self {
        if operation.idempotency.is_none() {
            return Self::default();
        }
        let pascal = format_ident!("{}", operation.pascal);
        Self {
            variant: quote! {
                #[doc = " A success as it was kept."]
                Kept(runtime::Kept),
            },
            code: quote!(Self::Kept(_) => None,),
            to_result: quote! {
                Self::Kept(kept) => kept.into_response(<#pascal as runtime::Operation>::INFO),
            },
            status: quote!(Self::Kept(kept) => kept.status(),),
            made: quote! {
                impl runtime::Keeps for #response {
                    fn kept(kept: runtime::Kept) -> Self {
                        Self::Kept(kept)
                    }
                }
            },
        }
    }
}
