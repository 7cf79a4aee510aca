//! The texts of grouped statements: each is written once for each number of rows that its engine tells
//! apart.

use std::collections::HashMap;
use std::sync::Arc;

use super::engine::{Rows, Sql};

/// How an engine writes a statement of so many rows.
type Render = fn(&Rows, usize) -> String;

/// What was written, by head, tail and number of rows.
pub(super) struct Texts {
    render: Render,
    written: HashMap<(&'static str, &'static str, usize), Arc<str>>,
}

/// A statement's text.
pub(super) enum Text<'a> {
    Fixed(&'static str),
    Grouped(&'a Arc<str>),
}

impl Texts {
    pub(super) fn new(render: Render) -> Self {
        Self { render, written: HashMap::new() }
    }

    pub(super) fn of(&mut self, sql: Sql) -> Text<'_> {
        match sql {
            Sql::Text(text) => Text::Fixed(text),
            Sql::Rows(rows, count) => {
                let written = self.written.entry((rows.head, rows.tail, count));
                Text::Grouped(written.or_insert_with(|| (self.render)(rows, count).into()))
            }
        }
    }
}
