//! `strategies.rs`: valid and broken values of every schema, drawn by the runtime's engine.

use heck::ToSnakeCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};

use super::api::{Api, members};
use crate::document::Documents;

/// The whole file.
pub fn stream(api: &Api, documents: &Documents) -> TokenStream {
    let modules = documents.documents.iter().map(|document| {
        let name = &document.name;
        let ident = format_ident!("{name}");
        let doc = format!("Schemas of `openapi/{name}.yaml`.");
        let caps = body_cap(api, name);
        let schemas = members(&document.value["components"]["schemas"]);
        let each = schemas.map(|(schema, _)| one_schema(schema));
        quote! {
            #[doc = #doc]
            pub mod #ident {
                use super::*;

                /// The document's schemas, for drawing values.
                pub fn set() -> &'static Arc<SchemaSet> {
                    static SET: LazyLock<Arc<SchemaSet>> = LazyLock::new(|| {
                        let caps = Caps { body_bytes: #caps, values: json::MAX_VALUES };
                        Arc::new(SchemaSet::new(crate::documents::#ident(), caps))
                    });
                    &SET
                }

                #(#each)*
            }
        }
    });
    let rows = documents.documents.iter().flat_map(|document| {
        let schemas = members(&document.value["components"]["schemas"]);
        schemas.map(|(schema, _)| row(&document.name, schema))
    });
    quote! {
        use std::sync::{Arc, LazyLock};

        use proptest::strategy::BoxedStrategy;
        use serde_json::Value;
        use vestibule_runtime::json;
        use vestibule_runtime::strategy::{self, Breakage, Boundary, Broken, Caps, SchemaSet};

        /// The strategies of one schema.
        #[derive(Clone, Copy, Debug)]
        pub struct SchemaStrategies {
            /// The document it stands in.
            pub document: &'static str,
            /// Its name.
            pub name: &'static str,
            /// The document's schemas.
            pub set: fn() -> &'static Arc<SchemaSet>,
            /// Any valid value.
            pub valid: fn() -> BoxedStrategy<Value>,
            /// A value with exactly one broken constraint.
            pub broken: fn() -> BoxedStrategy<Broken>,
            /// Every constraint that can be broken.
            pub breakages: fn() -> Vec<Breakage>,
            /// Accepted values at every boundary.
            pub boundaries: fn() -> Vec<Boundary>,
        }

        /// Every schema of every document.
        pub static ALL: &[SchemaStrategies] = &[#(#rows),*];

        #(#modules)*

        fn reference(name: &str) -> Value {
            serde_json::json!({ "$ref": format!("#/components/schemas/{name}") })
        }
    }
}

/// How large values may be where no operation of the document takes a body, bytes.
const UNSAID: u64 = 1 << 16;

/// The largest body that an operation of the document takes, bytes.
fn body_cap(api: &Api, document: &str) -> proc_macro2::Literal {
    let mine = api.operations.iter().filter(|operation| operation.document == document);
    let caps = mine.filter_map(|operation| operation.body.as_ref()).map(|body| body.max_bytes);
    proc_macro2::Literal::u64_unsuffixed(caps.max().unwrap_or(UNSAID))
}

fn one_schema(name: &str) -> TokenStream {
    let ident = format_ident!("{}", name.to_snake_case());
    let doc = format!("Values of `{name}`.");
    quote! {
        #[doc = #doc]
        pub mod #ident {
            use super::*;

            /// Any valid value.
            pub fn valid() -> BoxedStrategy<Value> {
                strategy::valid(set(), &reference(#name))
            }

            /// A value with exactly one broken constraint, and the violation that must come back.
            pub fn broken() -> BoxedStrategy<Broken> {
                strategy::broken(set(), &reference(#name))
            }

            /// Every constraint that can be broken.
            pub fn breakages() -> Vec<Breakage> {
                strategy::breakages(set(), &reference(#name))
            }

            /// Accepted values at every boundary.
            pub fn boundaries() -> Vec<Boundary> {
                strategy::boundaries(set(), &reference(#name))
            }
        }
    }
}

fn row(document: &str, name: &str) -> TokenStream {
    let (module, schema) = (format_ident!("{document}"), format_ident!("{}", name.to_snake_case()));
    quote! {
        SchemaStrategies {
            document: #document,
            name: #name,
            set: #module::set,
            valid: #module::#schema::valid,
            broken: #module::#schema::broken,
            breakages: #module::#schema::breakages,
            boundaries: #module::#schema::boundaries,
        }
    }
}
