//! A place of a document: a JSON pointer, and the value if there is one.

use serde_json::Value;

use crate::document::pointer_to;

/// Absent values have a place too: the one where they would be.
#[derive(Clone, Debug)]
pub struct Spot<'v> {
    pub value: Option<&'v Value>,
    pub pointer: String,
}

impl<'v> Spot<'v> {
    pub fn root(value: &'v Value) -> Self {
        Spot { value: Some(value), pointer: String::new() }
    }

    pub fn member(&self, name: &str) -> Self {
        let value = self.value.and_then(|value| value.as_object()?.get(name));
        Spot { value, pointer: pointer_to(&self.pointer, name) }
    }

    /// The names of an object's members, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'v str> {
        let members = self.value.and_then(Value::as_object);
        members.into_iter().flat_map(|members| members.keys().map(String::as_str))
    }

    pub fn items(&self) -> Vec<Self> {
        let items = self.value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let spot = |(index, value): (usize, &'v Value)| Spot {
            value: Some(value),
            pointer: pointer_to(&self.pointer, &index.to_string()),
        };
        items.iter().enumerate().map(spot).collect()
    }

    /// The text of a member, if it is one.
    pub fn text(&self, name: &str) -> Option<&'v str> {
        self.value?.get(name)?.as_str()
    }

    pub fn flag(&self, name: &str) -> bool {
        self.value.and_then(|value| value.get(name)?.as_bool()).unwrap_or(false)
    }

    pub fn is_there(&self) -> bool {
        self.value.is_some()
    }
}
