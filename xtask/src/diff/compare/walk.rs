//! The walk over two documents at once, led by the dialect's tables and the rules.
//!
//! It knows shapes and references; what a keyword's change means is in `rules.rs` and `values.rs`.

use std::collections::{BTreeMap, BTreeSet};

use heck::ToKebabCase;
use serde_json::Value;

use super::Change;
use super::rules::{self, INCOMPARABLE, Rule};
use super::spot::Spot;
use super::values::{self, verb};
use crate::diff::class::{Class, Side, Verdict};
use crate::document::{Object, SHARED, Shape};

/// A component as both versions use it on one side.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Visit {
    /// `#/components/schemas/Error`.
    pub reference: String,
    pub side: Side,
}

/// Where the walk began.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    Document,
    /// By its id in the head.
    Operation(String),
    Component(Visit),
}

/// The comparison of one document.
pub struct Walk<'v> {
    document: &'v str,
    base: &'v Value,
    head: &'v Value,
    /// Whether `common.yaml` defines what a pointer leads to.
    pub(super) shared: &'v dyn Fn(&str) -> bool,
    pub(super) origin: Origin,
    /// The parameters of the path around an operation.
    pub(super) inherited: (Vec<Spot<'v>>, Vec<Spot<'v>>),
    found: Vec<(Origin, Change)>,
    leads_to: BTreeMap<Origin, BTreeSet<Visit>>,
    seen: BTreeSet<Visit>,
    open: Vec<Visit>,
    /// Pairs of places that different references lead to: schemas may be recursive.
    inlined: BTreeSet<(Origin, String, String, Side)>,
}

/// A difference before it is classed.
pub(super) struct Difference<'d, 'v> {
    pub object: Object,
    pub name: String,
    pub verdict: Verdict,
    pub side: Side,
    pub what: String,
    pub at: (&'d Spot<'v>, &'d Spot<'v>),
}

impl<'v> Walk<'v> {
    pub fn new(
        document: &'v str,
        base: &'v Value,
        head: &'v Value,
        shared: &'v dyn Fn(&str) -> bool,
    ) -> Self {
        Walk {
            document,
            base,
            head,
            shared,
            origin: Origin::Document,
            inherited: Default::default(),
            found: Vec::new(),
            leads_to: BTreeMap::new(),
            seen: BTreeSet::new(),
            open: Vec::new(),
            inlined: BTreeSet::new(),
        }
    }

    /// Compares two objects that are no references.
    pub fn object(&mut self, object: Object, base: &Spot<'v>, head: &Spot<'v>, side: Side) {
        let side = match (object, side) {
            (_, Side::Unused) => side,
            (Object::Response | Object::Header, _) => Side::Answer,
            (Object::Parameter | Object::RequestBody, _) => Side::Request,
            _ => side,
        };
        let inherited = std::mem::take(&mut self.inherited);
        if object == Object::PathItem {
            self.inherited = (base.member("parameters").items(), head.member("parameters").items());
        } else if object == Object::Operation {
            self.inherited = inherited.clone();
        }
        let is_object = |spot: &Spot<'_>| spot.value.is_some_and(Value::is_object);
        // A version without any components lacks each of them.
        if !(is_object(base) && is_object(head)) && object != Object::Components {
            self.unknown(object, "value", (base, head), side);
        }
        let mut names: BTreeSet<&str> = base.names().chain(head.names()).collect();
        if object == Object::Operation {
            // Even without a list of its own: that of the path may have changed.
            names.insert("parameters");
        }
        for name in names {
            match rules::rule(object, name) {
                Some(rule) => self.keyword(object, name, rule, (base, head), side),
                None => {
                    self.unknown(object, name, (&base.member(name), &head.member(name)), side);
                }
            }
        }
        self.inherited = inherited;
    }

    /// Compares two objects that may be references.
    pub fn pair(&mut self, object: Object, base: &Spot<'v>, head: &Spot<'v>, side: Side) {
        let reference = |spot: &Spot<'v>| object.section().and_then(|_| spot.text("$ref"));
        match (reference(base), reference(head)) {
            (None, None) => return self.object(object, base, head, side),
            (Some(old), Some(new)) if old == new => return self.follow(old, side),
            (old, new) => self.redirected(object, (base, head), (old, new), side),
        }
        let (old, new) = (resolved(self.base, base.clone()), resolved(self.head, head.clone()));
        let key = (self.origin.clone(), old.pointer.clone(), new.pointer.clone(), side);
        if self.inlined.insert(key) {
            self.object(object, &old, &new, side);
        }
    }

    /// Notes that the walk's origin uses a component on a side.
    pub(super) fn follow(&mut self, reference: &str, side: Side) {
        let visit = Visit { reference: reference.to_owned(), side };
        self.leads_to.entry(self.origin.clone()).or_default().insert(visit.clone());
        if self.seen.insert(visit.clone()) {
            self.open.push(visit);
        }
    }

    /// Compares every component that both versions reach by the same reference.
    pub fn components_in_use(&mut self) {
        while let Some(visit) = self.open.pop() {
            self.component(visit);
        }
    }

    /// Compares those that are left, as far as they are wanted: nobody exchanges them.
    pub fn components_not_in_use(&mut self, wanted: &dyn Fn(&str) -> bool) {
        let in_use = self.visited();
        let (base, head) = (Spot::root(self.base), Spot::root(self.head));
        let sections = (base.member("components"), head.member("components"));
        for section in sections.1.names() {
            let (old, new) = (sections.0.member(section), sections.1.member(section));
            for name in old.names().filter(|name| new.member(name).is_there()) {
                let pointer = new.member(name).pointer;
                if wanted(&pointer) && !in_use.contains(&pointer) {
                    let reference = format!("#{pointer}");
                    self.component(Visit { reference, side: Side::Unused });
                }
            }
        }
        // Those lead to others that are not used either, or were compared already.
        self.open.clear();
    }

    /// The pointers of the components that were compared as used.
    pub fn visited(&self) -> BTreeSet<String> {
        let visits = self.seen.iter().filter(|it| it.side != Side::Unused);
        visits.map(|visit| visit.reference.trim_start_matches('#').to_owned()).collect()
    }

    /// What was found, with the operations that are touched.
    pub fn changes(self) -> Vec<Change> {
        let mut used_by: BTreeMap<&Visit, BTreeSet<String>> = BTreeMap::new();
        for (origin, visits) in &self.leads_to {
            let Origin::Operation(id) = origin else { continue };
            let mut open: Vec<&Visit> = visits.iter().collect();
            while let Some(visit) = open.pop() {
                if used_by.entry(visit).or_default().insert(id.clone()) {
                    let next = self.leads_to.get(&Origin::Component(visit.clone()));
                    open.extend(next.into_iter().flatten());
                }
            }
        }
        let with_operations = |(origin, change): &(Origin, Change)| {
            let operations = match origin {
                Origin::Document => BTreeSet::new(),
                Origin::Operation(id) => BTreeSet::from([id.clone()]),
                Origin::Component(visit) => used_by.get(visit).cloned().unwrap_or_default(),
            };
            let operations = operations.into_iter().chain(change.operations.clone()).collect();
            Change { operations, ..change.clone() }
        };
        self.found.iter().map(with_operations).collect()
    }

    pub(super) fn report(&mut self, difference: Difference<'_, 'v>) {
        let Difference { object, name, verdict, side, what, at: (base, head) } = difference;
        // Texts are the same on both sides: one change.
        let is_text = verdict == Verdict::Is(Class::Wording);
        let side = (rules::has_side(object) && !is_text).then_some(side);
        let class = verdict.class(side.unwrap_or(self.side_of_origin()));
        let pointer = if head.is_there() { &head.pointer } else { &base.pointer };
        let document = if (self.shared)(pointer) { SHARED } else { self.document };
        let name = side.map_or_else(|| name.clone(), |side| format!("{side}-{name}"));
        let change = Change {
            document: document.to_owned(),
            pointer: pointer.clone(),
            name,
            class,
            side,
            what,
            old: base.value.cloned(),
            new: head.value.cloned(),
            operations: BTreeSet::new(),
        };
        self.found.push((self.origin.clone(), change));
    }

    /// What the latest difference touches besides its origin.
    pub(super) fn touches(&mut self, operations: impl Iterator<Item = String>) {
        if let Some((_, change)) = self.found.last_mut() {
            change.operations.extend(operations);
        }
    }

    pub(super) fn resolved(&self, at: (&Spot<'v>, &Spot<'v>)) -> (Spot<'v>, Spot<'v>) {
        (resolved(self.base, at.0.clone()), resolved(self.head, at.1.clone()))
    }

    /// An operation without side (`x-max-bytes`) is asked by requests.
    fn side_of_origin(&self) -> Side {
        match &self.origin {
            Origin::Component(visit) => visit.side,
            Origin::Document | Origin::Operation(_) => Side::Request,
        }
    }

    fn component(&mut self, visit: Visit) {
        let pointer = visit.reference.trim_start_matches('#').to_owned();
        let Some(object) = object_at(&pointer) else { return };
        let spot =
            |root: &'v Value| Spot { value: root.pointer(&pointer), pointer: pointer.clone() };
        let (base, head, side) = (spot(self.base), spot(self.head), visit.side);
        if !(base.is_there() && head.is_there()) {
            return;
        }
        let outer = std::mem::replace(&mut self.origin, Origin::Component(visit));
        self.pair(object, &base, &head, side);
        self.origin = outer;
    }

    fn keyword(
        &mut self,
        object: Object,
        name: &str,
        rule: Rule,
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        let (base, head) = (at.0.member(name), at.1.member(name));
        let inner = (&base, &head);
        match rule {
            Rule::Member { added, removed } => {
                self.member(object, name, (added, removed), inner, side);
            }
            Rule::Entries { noun, added, removed } => {
                let Some(child) = child(object, name) else {
                    return self.unknown(object, name, inner, side);
                };
                let judges = (added, removed);
                self.entries(object, child, noun, judges, inner, side);
            }
            Rule::Words { added, removed } => {
                self.words(object, name, (added, removed), inner, side);
            }
            Rule::Enum => self.enumeration(inner, side),
            Rule::Alternatives => self.alternatives(inner, side),
            Rule::Properties => self.properties(at, side),
            Rule::Required => self.required(at, side),
            Rule::AdditionalProperties => self.additional_properties(inner, side),
            Rule::Parameters => self.parameters(object, at),
            Rule::Security => self.security(inner),
            Rule::Components => self.components(inner),
            _ => self.value(object, name, rule, inner, side),
        }
    }

    fn value(
        &mut self,
        object: Object,
        name: &str,
        rule: Rule,
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        let Some((verb, verdict)) = values::judge(rule, at.0.value, at.1.value) else { return };
        let shown = values::shown(at.0.value, at.1.value);
        let what = format!("`{name}` {verb}{shown}");
        let name = format!("{}-{verb}", name.to_kebab_case());
        self.report(Difference { object, name, verdict, side, what, at });
    }

    /// A keyword of another time: nobody knows what it meant.
    pub(super) fn unknown(
        &mut self,
        object: Object,
        name: &str,
        at: (&Spot<'v>, &Spot<'v>),
        side: Side,
    ) {
        if at.0.value == at.1.value {
            return;
        }
        let verb = verb(at.0.value, at.1.value);
        let what = format!("`{name}`, which is no keyword of {}, {verb}", object.noun());
        let name = format!("unknown-keyword-{verb}");
        self.report(Difference { object, name, verdict: INCOMPARABLE, side, what, at });
    }

    /// One place refers to something else than before. For a schema that is another type in every
    /// generated client, whatever stands there.
    fn redirected(
        &mut self,
        object: Object,
        at: (&Spot<'v>, &Spot<'v>),
        (old, new): (Option<&str>, Option<&str>),
        side: Side,
    ) {
        let verdict = rules::redirected(object);
        let shown = |reference: Option<&str>| {
            let name = reference.and_then(|it| it.rsplit('/').next());
            name.map_or_else(|| "written out".to_owned(), |name| format!("`{name}`"))
        };
        let what = format!("refers to something else: {} → {}", shown(old), shown(new));
        let (before, after) = (at.0.member("$ref"), at.1.member("$ref"));
        // The pointer names the place itself, there whatever stands in it.
        let place = |spot: &Spot<'v>, value| Spot { value, pointer: spot.pointer.clone() };
        let (before, after) = (place(at.0, before.value), place(at.1, after.value));
        let at = (&before, &after);
        let name = "reference-changed".to_owned();
        self.report(Difference { object, name, verdict, side, what, at });
    }
}

/// The object that a keyword holds, directly or in a map or list.
pub(super) fn child(object: Object, keyword: &str) -> Option<Object> {
    fn inner(shape: Shape) -> Option<Object> {
        match shape {
            Shape::Is(object) | Shape::FlagOr(object) => Some(object),
            Shape::List(_, shape) | Shape::Map(_, shape) => inner(*shape),
            _ => None,
        }
    }
    inner(object.keywords().iter().find(|it| it.name == keyword)?.shape)
}

pub(super) fn object_of(section: &str) -> Option<Object> {
    child(Object::Components, section)
}

/// The kind of component that a pointer names.
fn object_at(pointer: &str) -> Option<Object> {
    object_of(pointer.strip_prefix("/components/")?.split('/').next()?)
}

/// The target of a reference, or the thing itself.
fn resolved<'v>(document: &'v Value, spot: Spot<'v>) -> Spot<'v> {
    let mut spot = spot;
    // As many steps as there can be aliases in a sane document: a circle must end too.
    for _ in 0..16 {
        let Some(pointer) = spot.text("$ref").and_then(|it| it.strip_prefix('#')) else { break };
        spot = Spot { value: document.pointer(pointer), pointer: pointer.to_owned() };
    }
    spot
}
