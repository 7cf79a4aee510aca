//! One operation with everything that can be drawn for it: valid bodies and parameters, bounds,
//! and every way to break a constraint.
//!
//! All random cases come from a seed. Knows no deployment.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::Value;
use vestibule_schema::Part;
use vestibule_schema::strategy::{
    Boundary, Breakage, Broken, Caps, SchemaSet, boundaries, breakages, check, full, sample, valid,
};

use crate::credentials::text;
use crate::document::{Operation, Parameter, resolve};
use crate::judge::{Ending, Expect, Refusal, Wanted};
use crate::recipe::{Given, Recipe};

/// An operation and what can be drawn for it.
pub struct Subject {
    /// The operation.
    pub operation: Arc<Operation>,
    /// Every way to break its body.
    pub breakages: Vec<Breakage>,
    /// Every bound of its body.
    pub boundaries: Vec<Boundary>,
    set: Arc<SchemaSet>,
}

/// A request and what must come of it.
#[derive(Clone, Debug)]
pub struct Shot {
    /// The request.
    pub recipe: Recipe,
    /// What must come.
    pub expect: Expect,
}

/// How a random request was drawn, so that it can be drawn again and made simpler.
#[derive(Clone)]
pub struct Drawn {
    subject: Arc<Subject>,
    way: Option<usize>,
    seed: u64,
}

impl Subject {
    /// Looks at an operation.
    pub fn new(operation: Arc<Operation>) -> Self {
        let usual = Caps::default();
        let most = operation.body.as_ref().and_then(|body| body.max_bytes);
        let body_bytes = most.map_or(usual.body_bytes, |most| most.min(usual.body_bytes));
        let caps = Caps { body_bytes, ..usual };
        let set = Arc::new(operation.document.schemas.with_caps(caps));
        let (breakages, boundaries) = match &operation.body {
            Some(body) => (breakages(&set, &body.schema), boundaries(&set, &body.schema)),
            None => (vec![], vec![]),
        };
        Self { operation, breakages, boundaries, set }
    }

    /// The simplest valid request: the document's example, else required members alone.
    pub fn plain(&self) -> Recipe {
        let body = self.operation.body.as_ref();
        let value =
            body.map(|body| body.example.clone().unwrap_or_else(|| self.lean(&body.schema)));
        self.with_parameters(value.map_or_else(Recipe::default, Recipe::with))
    }

    /// A request whose body has every optional member, and which has every parameter.
    pub fn full(&self) -> Recipe {
        let body = self.operation.body.as_ref();
        let value = body.map(|body| sample(&full(&self.set, &body.schema), 0));
        let mut recipe = value.map_or_else(Recipe::default, Recipe::with);
        for parameter in &self.operation.parameters {
            self.give(parameter, 0, &mut recipe);
        }
        recipe
    }

    /// A random valid request.
    pub fn random(self: &Arc<Self>, seed: u64) -> Drawn {
        Drawn { subject: self.clone(), way: None, seed }
    }

    /// A request broken in one way, in surroundings that the seed decides.
    pub fn broken(self: &Arc<Self>, way: usize, seed: u64) -> Drawn {
        Drawn { subject: self.clone(), way: Some(way), seed }
    }

    /// The first way to break a member of the body and nothing else.
    pub fn any_broken(self: &Arc<Self>) -> Option<Shot> {
        let way = self.breakages.iter().position(|way| way.exact && way.keyword != "required")?;
        Some(self.broken(way, 0).shot())
    }

    /// A body in which two members are broken and nothing else, and what is broken of each; only
    /// places of which `is_free` is true.
    pub fn pair(&self, is_free: impl Fn(&str) -> bool) -> Option<(Value, [Broken; 2])> {
        let schema = &self.operation.body.as_ref()?.schema;
        let mut firsts = BTreeMap::<String, Broken>::new();
        // Unknown members are all alike; two constraints of known ones say more.
        let is_known = |way: &&Breakage| way.exact && way.keyword != "additionalProperties";
        for way in self.breakages.iter().filter(is_known) {
            let broken = sample(&way.strategy(), 0);
            let member = broken.pointer.split('/').nth(1).map(str::to_owned);
            let member =
                member.filter(|it| is_free(&broken.pointer) && broken.value.get(it).is_some());
            member.map(|it| firsts.entry(it).or_insert(broken));
        }
        let all: Vec<_> = firsts.into_iter().collect();
        let pairs = all
            .iter()
            .enumerate()
            .flat_map(|(i, one)| all[i + 1..].iter().map(move |other| (&one.1, other)));
        pairs.into_iter().find_map(|(one, (member, other))| {
            let mut value = one.value.clone();
            value[member] = other.value[member].clone();
            let found = check(&self.set, schema, &value);
            let is_one = |it: &Broken| {
                found.iter().any(|v| v.pointer == it.pointer && v.keyword == it.keyword)
            };
            let both = found.len() == 2 && is_one(one) && is_one(other);
            both.then(|| (value, [one.clone(), other.clone()]))
        })
    }

    /// Broken and bordering values of a parameter, as text.
    pub fn parameter(&self, parameter: &Parameter) -> (Vec<Boundary>, Vec<Broken>) {
        let broken = breakages(&self.set, &parameter.schema);
        let broken = broken.iter().map(|way| sample(&way.strategy(), 0)).collect();
        (boundaries(&self.set, &parameter.schema), broken)
    }

    /// The same request with the parameters that it cannot do without.
    pub fn with_parameters(&self, mut recipe: Recipe) -> Recipe {
        for parameter in self.operation.parameters.iter().filter(|it| it.required) {
            self.give(parameter, 0, &mut recipe);
        }
        recipe
    }

    /// A drawn text, unless the deployment knows one. A key under which a request takes effect
    /// once has cases of its own: drawn ones would be the same in the next run. So has a clock,
    /// which the credentials of a run are refused.
    fn give(&self, parameter: &Parameter, seed: u64, recipe: &mut Recipe) {
        let is_apart = parameter.idempotency.is_some() || parameter.test_clock.is_some();
        if is_apart && !parameter.required {
            return;
        }
        if parameter.source.is_some() {
            recipe.given.insert(parameter.name.clone(), Given::Known);
            return;
        }
        let drawn = text(&sample(&valid(&self.set, &parameter.schema), seed));
        let given = if can_travel(parameter.part, &drawn) { drawn } else { "x".to_owned() };
        recipe.given.insert(parameter.name.clone(), Given::Text(given));
    }

    fn lean(&self, schema: &Value) -> Value {
        let mut tree = grow(&valid(&self.set, schema), 0);
        while tree.simplify() {}
        tree.current()
    }

    /// What must come of a body broken in this way.
    fn refusal(&self, way: &Breakage, broken: &Broken) -> Expect {
        let Some(refused) = &self.operation.body_refused else { return Expect::refused(&[]) };
        Expect::new(Ending::Refused(Refusal {
            statuses: vec![refused.status],
            code: Some(refused.code.clone()),
            not_code: None,
            violation: Some(Wanted {
                part: Part::Body,
                pointer: broken.pointer.clone(),
                keyword: Some(broken.keyword.clone()),
                limit: self.limit(&way.pointer_to_constraint),
                exact: broken.exact,
            }),
        }))
    }

    /// What the document's keyword says at a place of the body, where it is one number.
    fn limit(&self, place: &str) -> Option<Value> {
        let document = &*self.operation.document.value;
        let root = &self.operation.body.as_ref()?.schema;
        let steps = place.split('/').skip(1);
        let found = steps.fold(root, |schema, step| {
            let schema = resolve(document, schema);
            let item = || schema.get(step.parse::<usize>().ok()?);
            schema.get(step).or_else(item).unwrap_or(&Value::Null)
        });
        found.is_number().then(|| found.clone())
    }
}

impl Drawn {
    /// The request as it is sent first.
    pub fn shot(&self) -> Shot {
        self.shots().pop().expect("a draw has at least one form")
    }

    /// All forms of the request, simplest first; the last one is the one that is sent first.
    pub fn shots(&self) -> Vec<Shot> {
        let Some(body) = &self.subject.operation.body else {
            return vec![self.valid(None)];
        };
        let mut shots = Vec::new();
        match self.way {
            None => {
                let mut tree = grow(&valid(&self.subject.set, &body.schema), self.seed);
                shots.push(self.valid(Some(tree.current())));
                while tree.simplify() {
                    shots.push(self.valid(Some(tree.current())));
                }
            }
            Some(way) => {
                let mut tree = grow(&self.subject.breakages[way].strategy(), self.seed);
                shots.push(self.invalid(way, &tree.current()));
                while tree.simplify() {
                    shots.push(self.invalid(way, &tree.current()));
                }
            }
        }
        shots.reverse();
        shots
    }

    /// Whether a body with less in it is still what was drawn: valid, or broken in this one way.
    pub fn is_still(&self, shot: &Shot, value: &Value) -> bool {
        let Some(body) = &self.subject.operation.body else { return false };
        let found = check(&self.subject.set, &body.schema, value);
        let wanted = match &shot.expect.ending {
            Ending::Refused(refusal) => refusal.violation.as_ref(),
            _ => None,
        };
        let Some(wanted) = wanted else { return self.way.is_none() && found.is_empty() };
        let is_it = |pointer: &str, keyword: &str| {
            pointer == wanted.pointer && wanted.keyword.as_deref() == Some(keyword)
        };
        found.iter().any(|it| is_it(&it.pointer, &it.keyword))
            && (!wanted.exact || found.len() == 1)
    }

    /// Whether the request is another one without this parameter.
    pub fn needs(&self, parameter: &str) -> bool {
        let mut all = self.subject.operation.parameters.iter();
        all.any(|it| it.name == parameter && (it.required || it.part == Part::Path))
    }

    fn valid(&self, value: Option<Value>) -> Shot {
        let mut recipe = value.map_or_else(Recipe::default, Recipe::with);
        for (i, parameter) in self.subject.operation.parameters.iter().enumerate() {
            // Optional ones come and go.
            if parameter.required || (self.seed >> (i % 8)) & 1 == 1 {
                self.subject.give(parameter, self.seed, &mut recipe);
            }
        }
        Shot { recipe: recipe.fresh(), expect: Expect::accepted() }
    }

    fn invalid(&self, way: usize, broken: &Broken) -> Shot {
        let recipe = Recipe::with(broken.value.clone()).pinned(broken.pointer.clone());
        let recipe = self.subject.with_parameters(recipe);
        let expect = self.subject.refusal(&self.subject.breakages[way], broken);
        Shot { recipe, expect }
    }
}

/// Whether a text can stand in a part of a request and means itself there.
pub fn can_travel(part: Part, text: &str) -> bool {
    match part {
        // An empty segment and dots lead to other paths.
        Part::Path => !matches!(text, "" | "." | "..") && !text.contains(['/', '\\', '\0']),
        Part::Header => text.trim() == text && text.bytes().all(|b| (b' '..=b'~').contains(&b)),
        Part::Query | Part::Body => true,
    }
}

type Tree<T> = Box<dyn proptest::strategy::ValueTree<Value = T>>;

fn grow<T: std::fmt::Debug>(strategy: &proptest::strategy::BoxedStrategy<T>, seed: u64) -> Tree<T> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    strategy.new_tree(&mut runner).expect("these strategies reject nothing")
}
