//! The plan of a run: every case of every operation, before anything is sent.
//!
//! Which cases there are follows from the documents, the seed and the number of cases alone, so
//! that names are stable and `--dry-run` tells the truth. What each check tries is in the modules
//! below.

mod bodies;
mod callers;
mod origins;
mod pairs;
mod parameters;
mod repetitions;

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use http::Method;

use crate::credentials::Credentials;
use crate::document::{Document, Operation, Parameter, Source, operations};
use crate::judge::{Ending, Expect};
use crate::outcome::{Check, OperationRow};
use crate::recipe::Recipe;
use crate::revealed::Revealed;
use crate::subject::{Drawn, Shot, Subject};
use crate::world::Plain;

/// What a plan is made for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Cases of each operation at least; every constraint is tried whatever this says.
    pub cases: usize,
    /// Where random cases come from.
    pub seed: u64,
    /// Only these operations; all when there are none.
    pub operations: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { cases: 100, seed: 0, operations: vec![] }
    }
}

/// Every case of a run.
#[derive(Clone)]
pub struct Plan {
    /// The documents' names.
    pub documents: Vec<String>,
    /// Every operation that has cases.
    pub operations: Vec<OperationRow>,
    /// The cases in order.
    pub cases: Vec<Planned>,
    /// The seed they were made from.
    pub seed: u64,
    pub(crate) credentials: Credentials,
    pub(crate) plain: Plain,
    pub(crate) revealed: Revealed,
}

/// One case that was not tried yet.
#[derive(Clone)]
pub struct Planned {
    /// The operation.
    pub operation: Arc<Operation>,
    /// What it is about.
    pub check: Check,
    /// Unique in the plan.
    pub name: String,
    pub(crate) act: Act,
}

/// What is done.
#[derive(Clone)]
pub(crate) enum Act {
    /// One request.
    Once(Box<Shot>),
    /// One request that can be drawn in simpler forms.
    Drawn(Drawn),
    /// One request that is accepted, and the very same again, which is not; with a header in
    /// another case of letters the second time, when there is one.
    Replay { shot: Box<Shot>, respelt: Option<String> },
    /// One request under a key that is accepted, the same under the same key, which is given the
    /// same answer, and another body under that key, which is refused.
    Repeat { key: Parameter, first: Box<Recipe>, other: Option<Box<Recipe>> },
    /// Nothing, for this reason.
    Skip(String),
}

impl Plan {
    /// The same with the cases of one operation alone.
    #[must_use]
    pub fn only(&self, operation: &str) -> Self {
        let mut plan = self.clone();
        plan.operations.retain(|row| row.id == operation);
        plan.cases.retain(|case| case.operation.id == operation);
        plan
    }

    /// How many cases each operation has of each check.
    pub fn matrix(&self) -> BTreeMap<(&str, Check), usize> {
        let mut matrix = BTreeMap::new();
        for case in &self.cases {
            *matrix.entry((case.operation.id.as_str(), case.check)).or_default() += 1;
        }
        matrix
    }
}

/// Makes the plan.
///
/// # Errors
/// One line that says what of the documents or the options cannot be used.
pub fn plan(
    documents: &[Document],
    credentials: Credentials,
    options: &Options,
) -> Result<Plan, String> {
    let all = operations(documents)?;
    for id in &options.operations {
        if !all.iter().any(|it| it.id == *id) {
            let known: Vec<_> = all.iter().map(|it| it.id.as_str()).collect();
            return Err(format!(
                "no document has the operation `{id}`; they have {}",
                known.join(", ")
            ));
        }
    }
    let tokens = tokens(&all);
    let mut plan = Plan {
        documents: documents.iter().map(|it| it.name.clone()).collect(),
        operations: vec![],
        cases: vec![],
        seed: options.seed,
        credentials,
        plain: Plain::new(),
        revealed: Revealed::of(documents),
    };
    for operation in all {
        let looked = looked_at(operation.clone());
        if let Ok(subject) = &looked {
            let plain = subject.plain().fresh();
            plan.plain.insert(operation.id.clone(), (operation.clone(), plain));
        }
        if !options.operations.is_empty() && !options.operations.contains(&operation.id) {
            continue;
        }
        plan.operations.push(OperationRow {
            document: operation.document.name.clone(),
            id: operation.id.clone(),
            method: operation.method.to_string(),
            path: operation.path.clone(),
        });
        let found = looked.and_then(|subject| {
            let mut cases = Cases::new(Arc::new(subject), &tokens, &plan.credentials);
            guarded(|| cases.all(options)).map(|()| cases.found)
        });
        match found {
            Ok(found) => plan.cases.extend(found),
            Err(reason) => plan.cases.push(Planned {
                check: Check::Valid,
                name: format!("{}/{}/anything", operation.id, Check::Valid),
                act: Act::Skip(reason),
                operation,
            }),
        }
    }
    Ok(plan)
}

/// Looks at an operation.
fn looked_at(operation: Arc<Operation>) -> Result<Subject, String> {
    operation.usable()?;
    guarded(|| {
        let subject = Subject::new(operation);
        let _ = (subject.plain(), subject.full());
        subject
    })
}

/// Draws for an operation. Somebody else's document may hold what the strategies cannot draw from;
/// they say so by a panic, which must not take the other operations' run away without a word.
fn guarded<T>(draw: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::catch_unwind(AssertUnwindSafe(draw))
        .map_err(|panic| format!("nothing can be drawn for it: {}", said(&*panic)))
}

/// What a panic said, in one line.
pub fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason")
}

/// Every credential that travels as bearer token, by the scheme's name.
fn tokens(all: &[Arc<Operation>]) -> Vec<(String, Source)> {
    let schemes = all.iter().flat_map(|it| it.security.iter().flatten());
    let bearers = schemes.filter(|it| it.carrier == crate::document::Carrier::Bearer);
    let found: BTreeMap<_, _> = bearers.map(|it| (it.name.clone(), it.source.clone())).collect();
    found.into_iter().collect()
}

/// The cases of one operation, while they are collected.
struct Cases<'a> {
    subject: Arc<Subject>,
    tokens: &'a [(String, Source)],
    credentials: &'a Credentials,
    found: Vec<Planned>,
    names: HashMap<String, usize>,
}

impl<'a> Cases<'a> {
    fn new(
        subject: Arc<Subject>,
        tokens: &'a [(String, Source)],
        credentials: &'a Credentials,
    ) -> Self {
        Self { subject, tokens, credentials, found: vec![], names: HashMap::new() }
    }

    fn all(&mut self, options: &Options) {
        self.valid();
        self.bodies();
        self.parameters();
        self.pairs();
        self.callers();
        self.methods();
        self.origins();
        self.repetitions();
        self.random(options);
    }

    fn valid(&mut self) {
        let (plain, full) = (self.subject.plain(), self.subject.full());
        self.once(Check::Valid, "plain", plain.fresh(), Expect::accepted());
        self.once(Check::Valid, "everything optional", full.fresh(), Expect::accepted());
    }

    fn methods(&mut self) {
        let tried =
            [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::TRACE];
        for method in tried {
            if self.subject.operation.siblings.contains(&method) {
                continue;
            }
            let label = method.to_string();
            let recipe = Recipe { method: Some(method), ..self.subject.plain() };
            self.once(Check::Method, &label, recipe, Expect::new(Ending::NotRouted));
        }
    }

    /// Random cases until there are as many as were asked for, and always a few.
    fn random(&mut self, options: &Options) {
        let is_tried = |case: &&Planned| !matches!(case.act, Act::Skip(_));
        let tried = self.found.iter().filter(is_tried).count();
        let missing = options.cases.saturating_sub(tried);
        let count = missing.max(options.cases / 4);
        let ways = self.subject.breakages.len();
        for n in 0..count {
            let seed = seed_of(options.seed, &self.subject.operation.id, n);
            if ways > 0 && n % 2 == 1 {
                let way = usize::try_from(seed % ways as u64).unwrap_or(0);
                let drawn = self.subject.broken(way, seed);
                let check = bodies::check_of(&self.subject.breakages[way]);
                self.push(check, &format!("random {n}"), Act::Drawn(drawn));
                continue;
            }
            let drawn = self.subject.random(seed);
            self.push(Check::Valid, &format!("random {n}"), Act::Drawn(drawn));
        }
    }

    fn once(&mut self, check: Check, label: &str, recipe: Recipe, expect: Expect) {
        self.push(check, label, Act::Once(Box::new(Shot { recipe, expect })));
    }

    fn skip(&mut self, check: Check, reason: &str) {
        self.push(check, "none", Act::Skip(reason.to_owned()));
    }

    fn push(&mut self, check: Check, label: &str, act: Act) {
        let mut name = format!("{}/{check}/{label}", self.subject.operation.id);
        let times = self.names.entry(name.clone()).or_default();
        *times += 1;
        if *times > 1 {
            name = format!("{name} #{times}");
        }
        self.found.push(Planned { operation: self.subject.operation.clone(), check, name, act });
    }
}

/// A seed of its own for each case, that other operations do not move.
fn seed_of(seed: u64, operation: &str, n: usize) -> u64 {
    // FNV-1a: short, and the same on every machine and in every release of the standard library.
    let bytes = operation.bytes().chain(seed.to_le_bytes()).chain((n as u64).to_le_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Nothing is drawn for a parameter whose value the credentials have until its cases are made.
    #[test]
    fn operation_that_cannot_be_drawn_for_is_skipped_and_the_others_are_not() {
        let odd = json!([{
            "name": "odd", "in": "query", "x-credential": "odd",
            "schema": { "type": "string", "pattern": "(" },
        }]);
        let operation = |id: &str, parameters: &serde_json::Value| {
            let responses = json!({ "200": {} });
            json!({ "get": { "operationId": id, "parameters": parameters, "responses": responses } })
        };
        let paths =
            json!({ "/odd": operation("odd", &odd), "/fine": operation("fine", &json!([])) });
        let document = json!({ "openapi": "3.0.3", "paths": paths }).to_string();
        let document = Document::read("some", &document).unwrap();
        let plan = plan(&[document], Credentials::default(), &Options::default()).unwrap();
        let cases_of =
            |id: &str| plan.cases.iter().filter(|case| case.operation.id == id).collect::<Vec<_>>();
        let [only] = cases_of("odd")[..] else { panic!("not one skip") };
        let Act::Skip(reason) = &only.act else { panic!("{} is tried", only.name) };
        assert!(reason.starts_with("nothing can be drawn for it: "), "{reason}");
        assert!(cases_of("fine").len() >= Options::default().cases);
    }
}
