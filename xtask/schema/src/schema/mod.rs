//! Schemas of a bundled document, compiled once, and the violations they find in a value.
//!
//! The `jsonschema` crate does the walking; this module gives it the documents' dialect and turns
//! its errors into [`Violation`]s whose pointer names the offending member itself.

mod dialect;
mod report;
#[cfg(test)]
mod tests;

pub use dialect::sensitive_names;

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::{Value, json};

use crate::{Part, Violation};

/// One schema, ready to check values.
#[derive(Debug)]
pub struct Schema {
    validator: Validator,
    sensitive: BTreeSet<String>,
}

impl Schema {
    /// Compiles the named component of a bundled document.
    ///
    /// # Panics
    /// When the document has no such component or its schemas do not compile: the generator
    /// refuses such documents, so this is a defect of the build.
    pub fn component(document: &Value, name: &str) -> Self {
        let target = json!({ "$ref": format!("#/components/schemas/{name}") });
        Self::compile(document, target)
    }

    /// Compiles an inline schema whose references point into a bundled document.
    ///
    /// # Panics
    /// As [`Schema::component`].
    pub fn inline(document: &Value, schema: &Value) -> Self {
        Self::compile(document, dialect::translate(schema))
    }

    /// [`Schema::inline`] for documents that nobody has checked yet.
    ///
    /// # Errors
    /// When the schemas do not compile.
    pub fn try_inline(document: &Value, schema: &Value) -> Result<Self, String> {
        Self::try_compile(document, dialect::translate(schema))
    }

    fn compile(document: &Value, target: Value) -> Self {
        Self::try_compile(document, target)
            .unwrap_or_else(|bad| panic!("a generated schema does not compile: {bad}"))
    }

    fn try_compile(document: &Value, mut target: Value) -> Result<Self, String> {
        let components = &document["components"]["schemas"];
        target["components"] = json!({ "schemas": dialect::reached(components, &target) });
        let validator = dialect::options().build(&target).map_err(|bad| bad.to_string())?;
        Ok(Self { validator, sensitive: sensitive_names(components) })
    }

    /// Every violation of `value`, which stands in `part` of a request; none when it is valid.
    pub fn check(&self, part: Part, value: &Value) -> Vec<Violation> {
        if self.validator.is_valid(value) {
            return vec![];
        }
        let mut found = report::Report::new(part, &self.sensitive);
        for error in self.validator.iter_errors(value) {
            found.add(&error);
        }
        found.finish()
    }
}
