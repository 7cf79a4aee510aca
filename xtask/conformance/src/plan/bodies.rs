//! Cases of a body: bounds, broken constraints, media types, malformed texts, and size.

use std::sync::Arc;

use vestibule_schema::json::{MAX_DEPTH, MAX_VALUES};
use vestibule_schema::strategy::Breakage;

use super::{Act, Cases};
use crate::document::Body;
use crate::judge::{Ending, Expect, Refusal};
use crate::outcome::Check;
use crate::place;
use crate::recipe::{Form, Recipe};

/// Media types that are not the documented one, and how they are told.
const OTHER_TYPES: &[(&str, &[&str])] = &[
    ("none", &[]),
    ("empty", &[""]),
    ("text", &["text/plain"]),
    ("a form", &["application/x-www-form-urlencoded"]),
    ("another JSON", &["application/vnd.api+json"]),
    ("a longer name", &["application/jsonx"]),
    ("charset latin1", &["application/json; charset=iso-8859-1"]),
    ("charset utf-16", &["application/json; charset=utf-16"]),
    ("twice", &["application/json", "application/json"]),
];

/// Ways to write the documented one that mean the same (RFC 9110, section 8.3).
const SAME_TYPES: &[(&str, &str)] = &[
    ("charset utf-8", "application/json; charset=utf-8"),
    ("upper case", "Application/JSON"),
    ("a quoted charset", "application/json;charset=\"UTF-8\""),
];

const MALFORMED: &[(&str, Form)] = &[
    ("empty", Form::Empty),
    ("truncated", Form::Truncated),
    ("a second value behind it", Form::Trailing),
    ("a trailing comma", Form::TrailingComma),
    ("a member twice", Form::DoubledMember),
    ("a byte order mark", Form::Marked),
    ("nested too deep", Form::Nested(MAX_DEPTH + 1)),
    ("too many values", Form::Many(MAX_VALUES + 1)),
    ("U+0000 in a string", Form::Nul),
    ("not UTF-8", Form::NotUtf8),
];

/// Which check a broken constraint belongs to.
pub fn check_of(way: &Breakage) -> Check {
    match way.keyword.as_str() {
        "additionalProperties" => Check::UnknownMember,
        _ => Check::Broken,
    }
}

impl Cases<'_> {
    /// Everything that can be done to a body.
    pub fn bodies(&mut self) {
        let operation = self.subject.operation.clone();
        let Some(body) = &operation.body else { return };
        self.boundaries();
        self.broken();
        self.malformed();
        self.media_types(body);
        self.sizes(body);
    }

    fn boundaries(&mut self) {
        let subject = self.subject.clone();
        for it in &subject.boundaries {
            let pinned = place::of_constraint(&it.constraint);
            let mut recipe = self.subject.with_parameters(Recipe::with(it.value.clone())).fresh();
            if !pinned.is_empty() {
                recipe = recipe.pinned(pinned);
            }
            let label = format!("{} ({})", below_root(&it.constraint), it.label);
            self.once(Check::Boundary, &label, recipe, Expect::accepted());
        }
    }

    fn broken(&mut self) {
        let subject = self.subject.clone();
        for (n, way) in subject.breakages.iter().enumerate() {
            let label = format!("{} ({})", below_root(&way.pointer_to_constraint), way.label);
            let drawn = subject.broken(n, 0);
            self.push(check_of(way), &label, Act::Drawn(drawn));
        }
    }

    fn malformed(&mut self) {
        let operation = self.subject.operation.clone();
        let usual = operation.body_refused.as_ref();
        let is_malformed = |status: &u16| operation.answers.contains_key(&status.to_string());
        let statuses: Vec<u16> = [400].into_iter().filter(is_malformed).collect();
        let has_another = operation.answer(400).is_some_and(|it| it.codes.len() > 1);
        let refusal = Refusal {
            statuses,
            // What is no JSON has no member that could break a constraint.
            not_code: usual.filter(|_| has_another).map(|it| it.code.clone()),
            ..Refusal::default()
        };
        for (label, form) in MALFORMED {
            let recipe = self.subject.plain().form(*form);
            let expect = Expect::new(Ending::Refused(refusal.clone()));
            self.once(Check::Malformed, label, recipe, expect);
        }
    }

    fn media_types(&mut self, body: &Body) {
        if body.media_type != "application/json" {
            return self.skip(Check::MediaType, "the body is not application/json");
        }
        let expect = Expect::refused(&self.statuses(&[415]));
        for (label, types) in OTHER_TYPES {
            let types = types.iter().map(ToString::to_string).collect();
            let recipe = Recipe { media_types: Some(types), ..self.subject.plain() };
            self.once(Check::MediaType, label, recipe, expect.clone());
        }
        let encoded = self.subject.plain().header("Content-Encoding", "gzip");
        self.once(Check::MediaType, "encoded", encoded, expect);
        for (label, same) in SAME_TYPES {
            let types = Some(vec![(*same).to_owned()]);
            let recipe = Recipe { media_types: types, ..self.subject.plain() };
            self.once(Check::MediaType, label, recipe.fresh(), Expect::accepted());
        }
    }

    fn sizes(&mut self, body: &Body) {
        let Some(most) = body.max_bytes else {
            return self.skip(Check::Oversize, "the document has no x-max-bytes");
        };
        let expect = Expect::refused(&self.statuses(&[413]));
        let over = self.subject.plain().form(Form::Padded(most + 1));
        self.once(Check::Oversize, "one byte over", over, expect.clone());
        let twice = self.subject.plain().form(Form::Padded(2 * most));
        self.once(Check::Oversize, "twice as much", twice, expect);
        let chunked = |recipe: Recipe| recipe.header("Transfer-Encoding", "chunked");
        let over = chunked(self.subject.plain().form(Form::Padded(most + 1)));
        let expect = Expect::refused(&self.statuses(&[413]));
        self.once(Check::Oversize, "one byte over, unannounced", over, expect);
        let full = chunked(self.subject.plain().form(Form::Padded(most))).fresh();
        self.once(Check::Oversize, "exactly as much, unannounced", full, Expect::accepted());
        let full = self.subject.plain().form(Form::Padded(most)).fresh();
        self.once(Check::Oversize, "exactly as much", full, Expect::accepted());
    }

    /// Those that the document names; none, which stands for any 4xx, when it names none.
    pub fn statuses(&self, wanted: &[u16]) -> Vec<u16> {
        let operation = Arc::clone(&self.subject.operation);
        wanted.iter().copied().filter(|it| operation.documents(*it)).collect()
    }
}

/// A place without the name of the root schema, which says nothing beside the operation's.
fn below_root(place: &str) -> &str {
    place.split_once('/').map_or(place, |(_, below)| below)
}
