//! The files of `generated/cli`: progenitor's commands, one module per surface, and the list of
//! surfaces with what each operation's caller proves itself with.
//!
//! How credentials are given and how answers are printed is written by hand in that crate.

use std::collections::BTreeMap;

use heck::ToKebabCase;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use serde_json::Value;
use syn::visit_mut::{VisitMut, visit_expr_mut, visit_impl_item_fn_mut, visit_trait_item_fn_mut};
use syn::{Expr, ExprLit, Lit, TypeParamBound, WherePredicate, parse_quote};

use super::api::{Api, Operation, members, resolve};
use super::client::generator;
use super::files::rust;
use super::{Files, Ungenerable};
use crate::document::{Document, Documents};

const CRATE: &str = "generated/cli";

/// Every generated file of the crate.
pub fn files(api: &Api, documents: &Documents) -> Result<Files, Ungenerable> {
    let mut files = Files::new();
    for document in &documents.documents {
        let name = &document.name;
        let (mut generator, spec) = generator(name, &document.value)?;
        let commands = generator
            .cli(&spec, &format!("vestibule_client::{name}"))
            .map_err(|bad| Ungenerable(format!("progenitor's cli, {name}: {bad}")))?;
        let mut commands = syn::parse2(commands)
            .map_err(|bad| Ungenerable(format!("progenitor's cli, {name}: {bad}")))?;
        Mended::of(api, document).visit_file_mut(&mut commands);
        let doc = format!("Commands of the {name} surface.");
        let text = rust(&doc, &format!("openapi/{name}.yaml"), quote!(#commands))?;
        files.insert(format!("{CRATE}/src/surfaces/{name}.rs"), text);
    }
    let surfaces = surfaces(api, &documents.documents);
    let doc = "Every surface, and what the caller of each operation proves itself with.";
    let path = format!("{CRATE}/src/surfaces/mod.rs");
    files.insert(path, rust(doc, "openapi/*.yaml", surfaces)?);
    Ok(files)
}

/// What progenitor's commands promise and do not do, mended: a template of a body that is never
/// printed and a JSON schema of answers that clients do not have go; an argument whose description
/// stands in a shared schema gets it; arguments change the body from a file, not the other way.
struct Mended {
    /// Descriptions of the members of each operation's body, by argument.
    described: BTreeMap<String, BTreeMap<String, String>>,
    /// The operation whose arguments are being visited.
    operation: String,
}

impl Mended {
    fn of(api: &Api, document: &Document) -> Self {
        let schemas = &document.value["components"]["schemas"];
        let operations = api.operations.iter().filter(|it| it.document == document.name);
        let described = operations.filter_map(|operation| {
            let body = &schemas[&operation.body.as_ref()?.schema];
            let members = members(&body["properties"]).filter_map(|(name, member)| {
                let text = description(&document.value, member)?;
                Some((name.to_kebab_case(), text))
            });
            Some((operation.snake.clone(), members.collect()))
        });
        Self { described: described.collect(), operation: String::new() }
    }

    fn describe(&self, argument: &mut Expr) {
        let Some(name) = argument_name(argument) else { return };
        let described = self.described.get(&self.operation).and_then(|it| it.get(&name));
        let Some(text) = described.filter(|_| !has_help(argument)) else { return };
        *argument = parse_quote!(#argument.help(#text));
    }
}

impl VisitMut for Mended {
    fn visit_impl_item_fn_mut(&mut self, node: &mut syn::ImplItemFn) {
        let name = node.sig.ident.to_string();
        self.operation = name.strip_prefix("cli_").unwrap_or_default().to_owned();
        visit_impl_item_fn_mut(self, node);
        let statements = &mut node.block.stmts;
        let is_file = |it: &syn::Stmt| quote!(#it).to_string().contains("\"json-body\"");
        if name.starts_with("execute_")
            && let Some(at) = statements.iter().position(is_file)
        {
            // Right behind `let mut request = …`.
            statements[1..=at].rotate_right(1);
        }
    }

    fn visit_expr_mut(&mut self, node: &mut Expr) {
        visit_expr_mut(self, node);
        let Expr::MethodCall(call) = node else { return };
        if call.method != "arg" {
            return;
        }
        if let Some(argument) = call.args.first_mut() {
            self.describe(argument);
        }
        let name = call.args.first().and_then(argument_name);
        if name.is_some_and(|name| name == "json-body-template") {
            *node = (*call.receiver).clone();
        }
    }

    fn visit_trait_item_fn_mut(&mut self, node: &mut syn::TraitItemFn) {
        visit_trait_item_fn_mut(self, node);
        for predicate in node.sig.generics.where_clause.iter_mut().flat_map(|it| &mut it.predicates)
        {
            let WherePredicate::Type(it) = predicate else { continue };
            let bounds = std::mem::take(&mut it.bounds).into_iter();
            it.bounds = bounds.filter(|bound| !is_json_schema(bound)).collect();
        }
    }
}

/// A member's own description, else that of the schema it refers to.
fn description(root: &Value, member: &Value) -> Option<String> {
    let text = member["description"].as_str();
    text.or_else(|| resolve(root, member)["description"].as_str()).map(str::to_owned)
}

/// The name in `::clap::Arg::new("name")` with anything called on it.
fn argument_name(argument: &Expr) -> Option<String> {
    match argument {
        Expr::MethodCall(call) => argument_name(&call.receiver),
        Expr::Call(call) => match call.args.first()? {
            Expr::Lit(ExprLit { lit: Lit::Str(name), .. }) => Some(name.value()),
            _ => None,
        },
        _ => None,
    }
}

fn has_help(argument: &Expr) -> bool {
    let Expr::MethodCall(call) = argument else { return false };
    call.method == "help" || has_help(&call.receiver)
}

fn is_json_schema(bound: &TypeParamBound) -> bool {
    let TypeParamBound::Trait(bound) = bound else { return false };
    bound.path.segments.last().is_some_and(|last| last.ident == "JsonSchema")
}

fn surfaces(api: &Api, documents: &[Document]) -> TokenStream {
    let modules = documents.iter().map(|it| format_ident!("{}", it.name));
    let listed = documents.iter().map(|it| {
        let module = format_ident!("{}", it.name);
        let text = |keyword: &str| it.value["info"][keyword].as_str().unwrap_or_default();
        let (title, description) = (text("title"), text("description"));
        let server = it.value["servers"][0]["url"].as_str().unwrap_or_default();
        quote!(#module, #title, #description, #server;)
    });
    let proofs = api.operations.iter().map(proofs);
    quote! {
        #(
            #[allow(dead_code, unused_imports, unused_variables, reason = "not all has a use here")]
            #[allow(clippy::unwrap_used, reason = "values that were read before")]
            pub mod #modules;
        )*

        /// What an operation's caller proves itself with.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Proof {
            /// A bearer token.
            Bearer,
            /// A signature over the request.
            Signature,
        }

        /// What the caller of the operation with this id proves itself with: any one of these, nothing
        /// where there are none. `None` when there is no such operation.
        pub fn proofs(operation: &str) -> Option<&'static [Proof]> {
            match operation {
                #(#proofs,)*
                _ => None,
            }
        }

        /// Calls a macro with every surface: its module, and its document's title, description and
        /// first server.
        macro_rules! with_surfaces {
            ($call:ident) => { $call! { #(#listed)* } };
        }
        pub(crate) use with_surfaces;
    }
}

fn proofs(operation: &Operation) -> TokenStream {
    let mut proofs: Vec<_> = Vec::new();
    for credential in &operation.credentials {
        let proof = if credential.is_bearer() { "Bearer" } else { "Signature" };
        if !proofs.contains(&proof) {
            proofs.push(proof);
        }
    }
    let (id, proofs) = (&operation.snake, proofs.iter().map(|it| format_ident!("{it}")));
    quote!(#id => Some(&[#(Proof::#proofs),*]))
}
