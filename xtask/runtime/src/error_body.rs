//! The error type dropshot asks of every handler; generated ones never return it.
//!
//! It exists so that dropshot documents `Error` as the shape of 4xx and 5xx answers.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use dropshot::{ErrorStatusCode, HttpError, HttpResponseError};
use schemars::JsonSchema;
use schemars::r#gen::SchemaGenerator;
use schemars::schema::Schema;
use serde::Serialize;

/// A failure of dropshot's own, documented as the shape `E`.
#[derive(Debug, Serialize)]
pub struct ErrorBody<E> {
    error: Cow<'static, str>,
    message: String,
    #[serde(skip)]
    status: ErrorStatusCode,
    #[serde(skip)]
    documented_as: PhantomData<fn() -> E>,
}

impl<E> fmt::Display for ErrorBody<E> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: {}", self.error, self.message)
    }
}

impl<E> From<HttpError> for ErrorBody<E> {
    fn from(error: HttpError) -> Self {
        let code = error.error_code.map_or(Cow::Borrowed("internal"), Cow::Owned);
        let (message, status) = (error.external_message, error.status_code);
        Self { error: code, message, status, documented_as: PhantomData }
    }
}

impl<E: JsonSchema + 'static> HttpResponseError for ErrorBody<E> {
    fn status_code(&self) -> ErrorStatusCode {
        self.status
    }
}

impl<E: JsonSchema> JsonSchema for ErrorBody<E> {
    fn schema_name() -> String {
        E::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        E::json_schema(generator)
    }
}
