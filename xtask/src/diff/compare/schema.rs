//! What only schemas have: members and whether they are required, values to choose from, and
//! alternatives.

use std::collections::BTreeSet;

use serde_json::Value;

use super::rules::INCOMPARABLE;
use super::spot::Spot;
use super::values::{same, shown, verb};
use super::walk::{Difference, Walk};
use crate::diff::class::Class::{Additive, BreaksCaller};
use crate::diff::class::Effect::{Narrower, Wider};
use crate::diff::class::Side;
use crate::diff::class::Verdict::{self, By, Is};
use crate::document::Object;

impl<'v> Walk<'v> {
    pub(super) fn properties(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        let (old, new) = (at.0.member("properties"), at.1.member("properties"));
        let names: BTreeSet<&str> = old.names().chain(new.names()).collect();
        for name in names {
            let (base, head) = (old.member(name), new.member(name));
            if base.is_there() && head.is_there() {
                self.pair(Object::Schema, &base, &head, side);
                continue;
            }
            let is_required = head.is_there() && requires(at.1, name);
            let verb = verb(base.value, head.value);
            let (noun, verdict) = match (head.is_there(), is_required) {
                (true, true) => ("required-member", By(Narrower)),
                (true, false) => ("member", Is(Additive)),
                // What callers sent is refused, what they read does not come.
                (false, _) => ("member", Is(BreaksCaller)),
            };
            let what = format!("{} `{name}` {verb}", noun.replace('-', " "));
            self.schema(format!("{noun}-{verb}"), verdict, side, what, (&base, &head));
        }
    }

    /// Members that both have (or neither describes) and one requires; the others are told with
    /// the member itself.
    pub(super) fn required(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        let has = |schema: &Spot<'v>, name| schema.member("properties").member(name).is_there();
        let (old, new) = (at.0.member("required").items(), at.1.member("required").items());
        for (change, verdict, mine, other) in [
            ("member-optional", By(Wider), &old, at.1),
            ("member-required", By(Narrower), &new, at.0),
        ] {
            for item in mine {
                let Some(name) = item.value.and_then(Value::as_str) else { continue };
                if requires(other, name) || has(at.0, name) != has(at.1, name) {
                    continue;
                }
                let now = change.trim_start_matches("member-");
                let what = format!("member `{name}` is {now} now");
                let absent = Spot { value: None, pointer: item.pointer.clone() };
                let at = if now == "required" { (&absent, item) } else { (item, &absent) };
                self.schema(change.to_owned(), verdict, side, what, at);
            }
        }
    }

    /// Absent and `true` both let any member in.
    pub(super) fn additional_properties(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        let openness = |spot: &Spot<'v>| match spot.value {
            None | Some(Value::Bool(true)) => Openness::Any,
            Some(Value::Bool(false)) => Openness::None,
            Some(_) => Openness::Some,
        };
        let (verb, verdict) = match (openness(at.0), openness(at.1)) {
            (Openness::Some, Openness::Some) => {
                return self.pair(Object::Schema, at.0, at.1, side);
            }
            (old, new) if old == new => return,
            // Readers ignore members that they do not know.
            (Openness::None, _) => ("opened", Is(Additive)),
            (Openness::Some, Openness::Any) => ("widened", By(Wider)),
            (Openness::Some, _) => ("closed", INCOMPARABLE),
            (Openness::Any, Openness::None) => ("closed", By(Narrower)),
            (Openness::Any, _) => ("narrowed", By(Narrower)),
        };
        let what = format!("`additionalProperties` {verb}");
        self.schema(format!("additional-properties-{verb}"), verdict, side, what, at);
    }

    pub(super) fn enumeration(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        if at.0.is_there() && at.1.is_there() {
            let verdicts = (By(Wider), By(Narrower));
            return self.words(Object::Schema, "enum", verdicts, at, side);
        }
        let verb = verb(at.0.value, at.1.value);
        let what = format!("`enum` {verb}{}", shown(at.0.value, at.1.value));
        let verdict = By(if at.1.is_there() { Narrower } else { Wider });
        self.schema(format!("enum-{verb}"), verdict, side, what, at);
    }

    /// Alternatives are the same when they are equal, or of the same reference or type.
    pub(super) fn alternatives(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        if !(at.0.is_there() && at.1.is_there()) {
            let verb = verb(at.0.value, at.1.value);
            let what = format!("`anyOf` {verb}");
            return self.schema(format!("any-of-{verb}"), INCOMPARABLE, side, what, at);
        }
        let mut unmatched = at.1.items();
        let mut gone = Vec::new();
        for base in at.0.items() {
            let equal = unmatched.iter().position(|head| same(base.value, head.value));
            let alike = || unmatched.iter().position(|head| kind(head) == kind(&base));
            match equal.or_else(alike) {
                Some(index) => {
                    let head = unmatched.remove(index);
                    self.pair(Object::Schema, &base, &head, side);
                }
                None => gone.push(base),
            }
        }
        for base in &gone {
            self.alternative("removed", By(Narrower), side, base);
        }
        for head in &unmatched {
            self.alternative("added", By(Wider), side, head);
        }
    }

    fn alternative(&mut self, verb: &str, verdict: Verdict, side: Side, there: &Spot<'v>) {
        let absent = Spot { value: None, pointer: there.pointer.clone() };
        let at = if verb == "added" { (&absent, there) } else { (there, &absent) };
        let what = format!("alternative `{}` {verb}", kind(there));
        self.schema(format!("alternative-{verb}"), verdict, side, what, at);
    }

    fn schema(
        &mut self,
        name: String,
        verdict: Verdict,
        side: Side,
        what: String,
        at: (&Spot<'v>, &Spot<'v>),
    ) {
        self.report(Difference { object: Object::Schema, name, verdict, side, what, at });
    }
}

/// Which members besides the described ones an object may have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Openness {
    Any,
    Some,
    None,
}

fn requires(schema: &Spot<'_>, name: &str) -> bool {
    schema
        .member("required")
        .items()
        .iter()
        .any(|it| it.value.and_then(Value::as_str) == Some(name))
}

fn kind<'v>(schema: &Spot<'v>) -> &'v str {
    let reference = schema.text("$ref").and_then(|it| it.rsplit('/').next());
    reference.or_else(|| schema.text("type")).unwrap_or("any value")
}
