//! Faults that take a body which breaks one constraint: a bound one off, a check that is missing.
//!
//! The server behind gets a body that is fine, so the caller sees a success. Every bound is read
//! from the violation, which has it from the document.

use serde_json::Value;
use vestibule_conformance::outcome::Check;
use vestibule_schema::{Part, Violation, json};

use crate::fault::Fault;

/// Which broken values are taken.
#[derive(Clone, Copy)]
enum Taken {
    /// Those one past the bound.
    OnePast,
    /// All.
    Every,
    /// Those of which this is true.
    Of(fn(&Value) -> bool),
}
use Taken::{Every, Of, OnePast};

/// One constraint that does not hold as documented.
struct Loosened {
    name: &'static str,
    operation: &'static str,
    /// Where the value stands; `*` is any segment.
    pointer: &'static str,
    keyword: &'static str,
    taken: Taken,
    imitates: &'static str,
}

const LOOSENED: &[Loosened] = &[
    Loosened {
        name: "max-length-plus-one",
        operation: "iframeSessionCreate",
        pointer: "/uid",
        keyword: "maxLength",
        taken: OnePast,
        imitates: "a length compared with < bound + 2",
    },
    Loosened {
        name: "min-length-minus-one",
        operation: "tenantCreate",
        pointer: "/name",
        keyword: "minLength",
        taken: OnePast,
        imitates: "an empty text taken as a text",
    },
    Loosened {
        name: "max-items-plus-one",
        operation: "embedSessionCreate",
        pointer: "/capabilities",
        keyword: "maxItems",
        taken: OnePast,
        imitates: "a list cut off one entry too late",
    },
    Loosened {
        name: "min-items-minus-one",
        operation: "embedSessionCreate",
        pointer: "/capabilities",
        keyword: "minItems",
        taken: OnePast,
        imitates: "an empty list taken as a list",
    },
    Loosened {
        name: "minimum-minus-one",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "minimum",
        taken: OnePast,
        imitates: "> bound - 2 in place of >= bound",
    },
    Loosened {
        name: "maximum-plus-one",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "maximum",
        taken: OnePast,
        imitates: "a lifetime clamped where it should be refused",
    },
    Loosened {
        name: "max-properties-plus-one",
        operation: "chatSessionCreate",
        pointer: "/variables",
        keyword: "maxProperties",
        taken: OnePast,
        imitates: "members counted before the last one is added",
    },
    Loosened {
        name: "max-bytes-plus-one",
        operation: "chatSessionCreate",
        pointer: "/variables",
        keyword: "x-max-bytes",
        taken: OnePast,
        imitates: "a size counted without one bracket",
    },
    Loosened {
        name: "max-depth-plus-one",
        operation: "chatSessionCreate",
        pointer: "/variables/*",
        keyword: "x-max-depth",
        taken: Every,
        imitates: "nesting counted from zero",
    },
    Loosened {
        name: "pattern-unchecked",
        operation: "embedSessionCreate",
        pointer: "/employeeId",
        keyword: "pattern",
        taken: Every,
        imitates: "a pattern that is documented and never run",
    },
    Loosened {
        name: "names-unchecked",
        operation: "chatSessionCreate",
        pointer: "/variables/*",
        keyword: "propertyNames",
        taken: Every,
        imitates: "names of a map taken as they come",
    },
    Loosened {
        name: "duplicates-in-a-set",
        operation: "iframeSessionCreate",
        pointer: "/srcs",
        keyword: "uniqueItems",
        taken: Every,
        imitates: "repeated entries folded in silence",
    },
    Loosened {
        name: "enum-widened",
        operation: "embedSessionCreate",
        pointer: "/capabilities/*",
        keyword: "enum",
        taken: Every,
        imitates: "an unknown value dropped in place of refused",
    },
    Loosened {
        name: "extra-member",
        operation: "embedSessionCreate",
        pointer: "/*",
        keyword: "additionalProperties",
        taken: Every,
        imitates: "unknown members ignored (serde without deny_unknown_fields)",
    },
    Loosened {
        name: "extra-member-nested",
        operation: "iframeSessionCreate",
        pointer: "/theme/*",
        keyword: "additionalProperties",
        taken: Every,
        imitates: "unknown members refused at the top level only",
    },
    Loosened {
        name: "null-as-absent",
        operation: "embedSessionCreate",
        pointer: "/chatId",
        keyword: "type",
        taken: Of(Value::is_null),
        imitates: "null read as absent (serde's Option)",
    },
    Loosened {
        name: "required-missing",
        operation: "iframeSessionCreate",
        pointer: "/uid",
        keyword: "required",
        taken: Every,
        imitates: "a default for a member that has none",
    },
    Loosened {
        name: "number-as-text",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "type",
        taken: Of(Value::is_string),
        imitates: "texts turned into numbers",
    },
    Loosened {
        name: "decimal-as-integer",
        operation: "iframeSessionCreate",
        pointer: "/ttl",
        keyword: "type",
        taken: Of(Value::is_f64),
        imitates: "900.0 taken for 900",
    },
    Loosened {
        name: "scalar-as-list",
        operation: "iframeSessionCreate",
        pointer: "/srcs",
        keyword: "type",
        taken: Of(|value| !value.is_array()),
        imitates: "one value taken for a list of one",
    },
];

/// Faults that take too much.
pub fn faults() -> Vec<Fault> {
    LOOSENED.iter().map(fault).collect()
}

/// Name, operation, pointer and keyword of each.
#[cfg(test)]
pub fn places() -> impl Iterator<Item = (&'static str, &'static str, &'static str, &'static str)> {
    LOOSENED.iter().map(|it| (it.name, it.operation, it.pointer, it.keyword))
}

fn fault(loosened: &'static Loosened) -> Fault {
    let Loosened { name, operation, imitates, .. } = *loosened;
    let by = match loosened.keyword {
        "additionalProperties" => Check::UnknownMember,
        _ => Check::Broken,
    };
    Fault::before(name, operation, imitates, by, move |request, place| {
        let body = json::read(&request.body).ok()?.value;
        let schema = place.operation.body.as_ref()?;
        if loosened.takes(&schema.check(Part::Body, &body), &body) {
            request.set_json(&place.world.fine_body(operation));
        }
        None
    })
}

impl Loosened {
    /// Whether this constraint is the only one that is broken, and in the way that is overlooked.
    fn takes(&self, violations: &[Violation], body: &Value) -> bool {
        let [only] = violations else { return false };
        if only.keyword != self.keyword || !matches(self.pointer, &only.pointer) {
            return false;
        }
        let value = body.pointer(&only.pointer);
        match self.taken {
            Every => true,
            Of(is_taken) => value.is_some_and(is_taken),
            OnePast => {
                let bound = only.limit.as_ref().and_then(Value::as_i64);
                let size = value.and_then(|value| size(&only.keyword, value));
                bound.zip(size).is_some_and(|(bound, size)| bound.abs_diff(size) == 1)
            }
        }
    }
}

/// What a keyword counts of a value.
pub fn size(keyword: &str, value: &Value) -> Option<i64> {
    let counted = match (keyword, value) {
        ("x-max-bytes", _) => value.to_string().len(),
        ("maxLength" | "minLength", Value::String(text)) => text.chars().count(),
        ("maxItems" | "minItems", Value::Array(items)) => items.len(),
        ("maxProperties" | "minProperties", Value::Object(members)) => members.len(),
        ("maximum" | "minimum", Value::Number(number)) => return number.as_i64(),
        (_, _) => return None,
    };
    counted.try_into().ok()
}

fn matches(wanted: &str, pointer: &str) -> bool {
    let (mut wanted, mut found) = (wanted.split('/'), pointer.split('/'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || wanted == found => {}
            (_, _) => return false,
        }
    }
}
