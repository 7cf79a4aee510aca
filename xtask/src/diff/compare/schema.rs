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
            let is_required = requires(at.1, name) && !requires(at.0, name);
            let verb = verb(base.value, head.value);
            let (noun, verdict) = match (head.is_there(), is_required) {
                (true, true) => ("required-member", By(Narrower)),
                (true, false) => ("member", described(at.0, &head, side)),
                // What callers sent is refused, what they read does not come.
                (false, _) => ("member", Is(BreaksCaller)),
            };
            let what = format!("{} `{name}` {verb}", noun.replace('-', " "));
            self.schema(format!("{noun}-{verb}"), verdict, side, what, (&base, &head));
        }
    }

    /// Members that one requires; those that are gone, or came as required, are told with the
    /// member itself.
    pub(super) fn required(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
        let has = |schema: &Spot<'v>, name| schema.member("properties").member(name).is_there();
        let (old, new) = (at.0.member("required").items(), at.1.member("required").items());
        for (change, verdict, mine, other) in [
            ("member-optional", By(Wider), &old, at.1),
            ("member-required", By(Narrower), &new, at.0),
        ] {
            for item in mine {
                let Some(name) = item.value.and_then(Value::as_str) else { continue };
                let now = change.trim_start_matches("member-");
                let is_told = match (has(at.0, name), has(at.1, name)) {
                    (true, false) => true,
                    (false, true) => now == "required",
                    _ => false,
                };
                if is_told || requires(other, name) {
                    continue;
                }
                let what = format!("member `{name}` is {now} now");
                let absent = Spot { value: None, pointer: item.pointer.clone() };
                let at = if now == "required" { (&absent, item) } else { (item, &absent) };
                self.schema(change.to_owned(), verdict, side, what, at);
            }
        }
    }

    /// Absent and `true` both let any member in.
    pub(super) fn additional_properties(&mut self, at: (&Spot<'v>, &Spot<'v>), side: Side) {
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
        let (mut gone, mut came) = (at.0.items(), at.1.items());
        // All equal ones first: one that is only alike must not take an equal one's place.
        let mut pairs = matched(&mut gone, &mut came, |a, b| same(a.value, b.value));
        pairs.extend(matched(&mut gone, &mut came, |a, b| kind(a) == kind(b)));
        for (base, head) in &pairs {
            self.pair(Object::Schema, base, head, side);
        }
        for base in &gone {
            self.alternative("removed", By(Narrower), side, base);
        }
        for head in &came {
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

fn openness(additional: &Spot<'_>) -> Openness {
    match additional.value {
        None | Some(Value::Bool(true)) => Openness::Any,
        Some(Value::Bool(false)) => Openness::None,
        Some(_) => Openness::Some,
    }
}

/// What it means that a member is described now: as an additional one it may have been allowed
/// already, with more values or with others. Readers of an answer did not know it.
fn described(base: &Spot<'_>, member: &Spot<'_>, side: Side) -> Verdict {
    let additional = base.member("additionalProperties");
    let is_any = member.value.and_then(Value::as_object).is_some_and(serde_json::Map::is_empty);
    match openness(&additional) {
        Openness::None => Is(Additive),
        Openness::Any if is_any || side == Side::Answer => Is(Additive),
        Openness::Any => By(Narrower),
        Openness::Some if same(additional.value, member.value) => Is(Additive),
        Openness::Some => INCOMPARABLE,
    }
}

/// Takes what fits together out of both lists, each item once.
fn matched<'v>(
    bases: &mut Vec<Spot<'v>>,
    heads: &mut Vec<Spot<'v>>,
    fits: impl Fn(&Spot<'v>, &Spot<'v>) -> bool,
) -> Vec<(Spot<'v>, Spot<'v>)> {
    let mut pairs = Vec::new();
    bases.retain(|base| {
        let Some(index) = heads.iter().position(|head| fits(base, head)) else { return true };
        pairs.push((base.clone(), heads.remove(index)));
        false
    });
    pairs
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
