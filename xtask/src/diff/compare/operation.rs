//! Parameters and security: what an operation asks of its caller besides the body.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::spot::Spot;
use super::walk::{Difference, Walk};
use crate::diff::class::Class::{Additive, BreaksCaller, BreaksServer};
use crate::diff::class::Side;
use crate::diff::class::Verdict::{self, Is};
use crate::document::{METHODS, Object};

/// Where a parameter is, and its name.
type Parameters<'v> = BTreeMap<(String, String), Spot<'v>>;

impl<'v> Walk<'v> {
    /// The parameters of an operation with those of its path. A path's own are compared alone only
    /// where no operation takes them along.
    pub(super) fn parameters(&mut self, object: Object, at: (&Spot<'v>, &Spot<'v>)) {
        let is_common =
            |method: &str| at.0.member(method).is_there() && at.1.member(method).is_there();
        if object == Object::PathItem && METHODS.iter().any(|method| is_common(method)) {
            return;
        }
        let (old, new) = (self.effective(at, true), self.effective(at, false));
        let keys: BTreeSet<_> = old.keys().chain(new.keys()).cloned().collect();
        for key in keys {
            match (old.get(&key), new.get(&key)) {
                (Some(base), Some(head)) => self.pair(Object::Parameter, base, head, Side::Request),
                (Some(base), None) => {
                    let elsewhere = new.iter().find(|((_, name), _)| *name == key.1);
                    let moved = elsewhere.filter(|(other, _)| !old.contains_key(*other));
                    self.gone(object, &key, base, moved.map(|((place, _), head)| (place, head)));
                }
                (None, Some(head)) => {
                    let came = old.keys().any(|other| other.1 == key.1 && !new.contains_key(other));
                    if !came {
                        self.came(object, &key, head);
                    }
                }
                (None, None) => {}
            }
        }
    }

    /// Alternatives of credentials. An empty list and an empty alternative both mean: none needed.
    pub(super) fn security(&mut self, at: (&Spot<'v>, &Spot<'v>)) {
        let (old, new) = (alternatives(at.0), alternatives(at.1));
        for name in old.iter().chain(&new).flat_map(|(_, schemes)| schemes.keys()) {
            self.follow(&format!("#/components/securitySchemes/{name}"), Side::Request);
        }
        let has = |all: &Alternatives<'v>, one: &Schemes| all.iter().any(|(_, it)| it == one);
        // Who sends more than is asked for is let in, to an open door as well.
        let is_enough = |sent: &Schemes| {
            new.iter().any(|(_, asked)| asked.iter().all(|(name, it)| sent.get(name) == Some(it)))
        };
        for (spot, gone) in old.iter().filter(|(_, it)| !is_enough(it)) {
            let absent = Spot { value: None, pointer: spot.pointer.clone() };
            let what = format!("credentials no longer accepted: {}", shown(gone));
            let name = "security-alternative-removed";
            self.credentials(name, Is(BreaksCaller), what, (spot, &absent));
        }
        for (spot, came) in new.iter().filter(|(_, it)| !has(&old, it)) {
            let absent = Spot { value: None, pointer: spot.pointer.clone() };
            let (name, what) = if came.is_empty() {
                ("security-opened", "no credentials needed any more".to_owned())
            } else {
                ("security-alternative-added", format!("credentials to accept: {}", shown(came)))
            };
            self.credentials(name, Is(BreaksServer), what, (&absent, spot));
        }
    }

    fn credentials(
        &mut self,
        name: &str,
        verdict: Verdict,
        what: String,
        at: (&Spot<'v>, &Spot<'v>),
    ) {
        let (name, object, side) = (name.to_owned(), Object::Operation, Side::Request);
        self.report(Difference { object, name, verdict, side, what, at });
    }

    fn gone(
        &mut self,
        object: Object,
        (place, name): &(String, String),
        base: &Spot<'v>,
        moved: Option<(&String, &Spot<'v>)>,
    ) {
        let absent = Spot { value: None, pointer: base.pointer.clone() };
        let (change, what, head) = match moved {
            Some((to, head)) => {
                ("parameter-moved", format!("parameter `{name}` moved from {place} to {to}"), head)
            }
            None => ("parameter-removed", format!("{place} parameter `{name}` removed"), &absent),
        };
        let (verdict, side, name) = (Is(BreaksCaller), Side::Request, change.to_owned());
        self.report(Difference { object, name, verdict, side, what, at: (base, head) });
    }

    fn came(&mut self, object: Object, (place, name): &(String, String), head: &Spot<'v>) {
        let absent = Spot { value: None, pointer: head.pointer.clone() };
        let is_required = place == "path" || self.resolved((&absent, head)).1.flag("required");
        let (change, verdict) = if is_required {
            ("required-parameter-added", Is(BreaksCaller))
        } else {
            ("parameter-added", Is(Additive))
        };
        let optional = if is_required { "required" } else { "optional" };
        let what = format!("{optional} {place} parameter `{name}` added");
        let (side, name) = (Side::Request, change.to_owned());
        self.report(Difference { object, name, verdict, side, what, at: (&absent, head) });
    }

    /// An operation's own parameters win over those of its path.
    fn effective(&self, at: (&Spot<'v>, &Spot<'v>), of_base: bool) -> Parameters<'v> {
        let (inherited, own) = if of_base {
            (&self.inherited.0, at.0.member("parameters").items())
        } else {
            (&self.inherited.1, at.1.member("parameters").items())
        };
        let mut parameters = Parameters::new();
        for spot in inherited.iter().cloned().chain(own) {
            let (before, after) = self.resolved((&spot, &spot));
            let target = if of_base { before } else { after };
            let place = target.text("in").unwrap_or_default().to_owned();
            let mut name = target.text("name").unwrap_or_default().to_owned();
            if place == "header" {
                name.make_ascii_lowercase();
            }
            parameters.insert((place, name), spot);
        }
        parameters
    }
}

/// Schemes that are needed together, with their scopes.
type Schemes = BTreeMap<String, Value>;

type Alternatives<'v> = Vec<(Spot<'v>, Schemes)>;

fn alternatives<'v>(at: &Spot<'v>) -> Alternatives<'v> {
    let items = at.items();
    let listed = if items.is_empty() { vec![at.clone()] } else { items };
    let with_schemes = |spot: Spot<'v>| {
        let members = spot.value.and_then(Value::as_object).cloned().unwrap_or_default();
        (spot, members.into_iter().collect())
    };
    listed.into_iter().map(with_schemes).collect()
}

fn shown(schemes: &Schemes) -> String {
    if schemes.is_empty() {
        return "none at all".to_owned();
    }
    let names: Vec<String> = schemes
        .iter()
        .map(|(name, scopes)| match scopes.as_array().filter(|scopes| !scopes.is_empty()) {
            Some(_) => format!("`{name}` with {scopes}"),
            None => format!("`{name}`"),
        })
        .collect();
    names.join(" and ")
}
