//! How the store's values cross to PostgreSQL and back, and what its refusals mean.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArguments, PgRow, PgValueRef};
use sqlx::{Arguments as _, Decode, Postgres, Row as _, TypeInfo as _, ValueRef as _};
use vestibule_runtime::Violation;

use super::super::engine::{Cell, Failure, Row, Value};
use crate::error::Error;

/// The values, each as bigint, text or bytea: the server is told, so that no placeholder is guessed.
///
/// # Errors
/// `Refused` for a text with U+0000, which bodies never have, but paths may.
pub(super) fn arguments(values: &[Value<'_>]) -> Result<PgArguments, Failure> {
    filled(values, values.len(), |arguments| {
        values.iter().try_for_each(|value| match value {
            Value::Int(value) => arguments.add(*value),
            Value::Text(value) => arguments.add(value.as_deref()),
            Value::Bytes(value) => arguments.add(value.as_deref()),
        })
    })
}

/// The values of rows that are so many columns wide, an array for each column.
///
/// # Errors
/// As of [`arguments`].
pub(super) fn arrays(columns: usize, values: &[Value<'_>]) -> Result<PgArguments, Failure> {
    filled(values, columns, |arguments| {
        if !values.len().is_multiple_of(columns) {
            return Err("the last row is not whole".into());
        }
        (0..columns).try_for_each(|at| {
            let column = values.iter().skip(at).step_by(columns);
            match values.get(at) {
                None => Err("there are no rows".into()),
                Some(Value::Int(_)) => arguments.add(of_one_type(column, |value| match value {
                    Value::Int(value) => Some(*value),
                    Value::Text(_) | Value::Bytes(_) => None,
                })?),
                Some(Value::Text(_)) => arguments.add(of_one_type(column, |value| match value {
                    Value::Text(value) => Some(value.as_deref()),
                    Value::Int(_) | Value::Bytes(_) => None,
                })?),
                Some(Value::Bytes(_)) => arguments.add(of_one_type(column, |value| match value {
                    Value::Bytes(value) => Some(value.as_deref()),
                    Value::Int(_) | Value::Text(_) => None,
                })?),
            }
        })
    })
}

fn filled(
    values: &[Value<'_>],
    count: usize,
    fill: impl FnOnce(&mut PgArguments) -> Result<(), BoxDynError>,
) -> Result<PgArguments, Failure> {
    if holds_nul(values) {
        let broken = Violation::body("", "pattern").actual("a text with U+0000");
        return Err(Failure::Refused(Error::Rules(vec![broken])));
    }
    let mut arguments = PgArguments::default();
    arguments.reserve(count, 16 * values.len());
    fill(&mut arguments).map_err(|error| Failure::Statement(error.to_string()))?;
    Ok(arguments)
}

fn of_one_type<'v, T>(
    column: impl Iterator<Item = &'v Value<'v>>,
    read: impl Fn(&'v Value<'v>) -> Option<Option<T>>,
) -> Result<Vec<Option<T>>, BoxDynError> {
    let column: Option<Vec<_>> = column.map(read).collect();
    column.ok_or_else(|| "the rows of a column are not of one type".into())
}

/// Whether there is a text that no text of the database equals, because it can hold all characters
/// but U+0000.
pub(super) fn holds_nul(values: &[Value<'_>]) -> bool {
    let is_nul = |value: &Value| matches!(value, Value::Text(Some(text)) if text.contains('\0'));
    values.iter().any(is_nul)
}

/// The rows of an answer.
pub(super) fn cells(rows: &[PgRow]) -> Result<Vec<Row>, Failure> {
    let row = |row: &PgRow| {
        let cells: Result<_, sqlx::Error> = (0..row.len()).map(|at| cell(row, at)).collect();
        cells.map(Row)
    };
    rows.iter().map(row).collect::<Result<_, _>>().map_err(failure)
}

fn cell(row: &PgRow, at: usize) -> Result<Cell, sqlx::Error> {
    let value = row.try_get_raw(at)?;
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let decoded = match value.type_info().name() {
        "INT8" => decode(value).map(Cell::Int),
        // A literal, which SQLite knows no shorter type for.
        "INT4" => decode::<i32>(value).map(|value| Cell::Int(value.into())),
        "TEXT" => decode(value).map(Cell::Text),
        "BYTEA" => decode(value).map(Cell::Bytes),
        other => Err(format!("column {at} is {other}, which the store never writes").into()),
    };
    decoded.map_err(sqlx::Error::Decode)
}

fn decode<'r, T: Decode<'r, Postgres>>(value: PgValueRef<'r>) -> Result<T, BoxDynError> {
    T::decode(value)
}

/// Tells a statement's own fault from one that another transaction has caused, and both from a
/// database that cannot serve now.
pub(super) fn failure(error: sqlx::Error) -> Failure {
    let why = format!("the database: {error}");
    match &error {
        sqlx::Error::Database(error) => match error.code().as_deref() {
            // A serialization failure, a deadlock.
            Some("40001" | "40P01") => Failure::Again(why),
            Some(code) if is_of_statement(code) => Failure::Statement(why),
            Some(_) | None => Failure::Gone(why),
        },
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => {
            Failure::Statement(why)
        }
        _ => Failure::Gone(why),
    }
}

/// Whether the connection is of no use any more.
pub(super) fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        // Connection exceptions; shut down, crashed, starting; a standby now.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || code == "25006"
        }),
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } => false,
        _ => true,
    }
}

/// Data, integrity, syntax and names; features that are not there; a transaction that is spoilt
/// already; faults inside of functions. Not a server that has become a standby (25006).
fn is_of_statement(code: &str) -> bool {
    let classes = ["0A", "21", "22", "23", "25", "2F", "42", "P0", "XX"];
    code != "25006" && classes.iter().any(|class| code.starts_with(class))
}
