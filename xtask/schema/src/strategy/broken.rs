//! Values with one constraint broken and the violation that must come back.
//!
//! Each candidate is judged by `check`: kept when the asked violation shows, exact when it is
//! the only one.

use std::sync::Arc;

use proptest::strategy::BoxedStrategy;
use serde_json::Value;

use super::check::check;
use super::fault::{Fault, faults};
use super::schema::SchemaSet;
use super::seeded::{Appetite, Dice, Seeded};
use super::site::{Site, sites, surround};
use super::valid::{Draw, Room, excess};

/// What shrinking tries: the surroundings get smaller, the broken part stays.
const APPETITES: &[Appetite] = &[Appetite::Wild, Appetite::Small, Appetite::Lean];
/// Candidates looked at before a way counts as impossible.
const TRIALS: u64 = 24;

/// A value that must be refused.
#[derive(Clone, Debug, PartialEq)]
pub struct Broken {
    /// The whole value.
    pub value: Value,
    /// Pointer of the violation that must come back.
    pub pointer: String,
    /// Its keyword.
    pub keyword: String,
    /// Whether it must be the only one; otherwise it must be among several.
    pub exact: bool,
    /// What was done: `maxLength + 1`.
    pub label: String,
}

/// One way to break one constraint, known to work.
#[derive(Clone)]
pub struct Breakage {
    /// The place in the schema: `CreateChatSession/properties/customerId/maxLength`.
    pub pointer_to_constraint: String,
    /// The keyword that breaks.
    pub keyword: String,
    /// What is done: `maxLength + 1`.
    pub label: String,
    /// Whether every drawn value breaks nothing else.
    pub exact: bool,
    attempt: Attempt,
    witness: Broken,
}

/// Every way to break every constraint that can be reached from the schema; a recursive
/// component is entered twice on one way, then cut.
pub fn breakages(set: &Arc<SchemaSet>, schema: &Value) -> Vec<Breakage> {
    survey(set, schema).0
}

/// The constraints that no body within the caps can break, each with the reason.
pub fn unreachable(set: &Arc<SchemaSet>, schema: &Value) -> Vec<(String, String)> {
    survey(set, schema).1
}

/// A value broken in any of the ways.
///
/// # Panics
/// When the schema has no constraint.
pub fn broken(set: &Arc<SchemaSet>, schema: &Value) -> BoxedStrategy<Broken> {
    let ways = breakages(set, schema);
    assert!(!ways.is_empty(), "{schema} accepts everything");
    Seeded::boxed(APPETITES, move |mut dice, appetite| {
        let way = dice.below(ways.len());
        ways[way].draw(dice, appetite)
    })
}

impl Breakage {
    /// Values broken in this way.
    pub fn strategy(&self) -> BoxedStrategy<Broken> {
        let this = self.clone();
        Seeded::boxed(APPETITES, move |dice, appetite| this.draw(dice, appetite))
    }

    /// A few tries with the asked surroundings, then lean ones, then the known witness.
    fn draw(&self, mut dice: Dice, appetite: Appetite) -> Broken {
        let ladder = [appetite, appetite, Appetite::Small, Appetite::Lean, Appetite::Lean];
        ladder
            .into_iter()
            .filter_map(|appetite| self.attempt.run(Dice::new(dice.roll()), appetite).ok())
            .find(|broken| broken.exact || !self.exact)
            .unwrap_or_else(|| self.witness.clone())
    }
}

impl std::fmt::Debug for Breakage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let exact = if self.exact { "" } else { ", among others" };
        write!(f, "{} ({}{exact})", self.pointer_to_constraint, self.label)
    }
}

type Unreachable = Vec<(String, String)>;

/// Tries every way of every place. A constraint is unreachable when all its ways fail.
fn survey(set: &Arc<SchemaSet>, schema: &Value) -> (Vec<Breakage>, Unreachable) {
    let root = Arc::new(schema.clone());
    let mut reached: Vec<Breakage> = Vec::new();
    let mut failed: Unreachable = Vec::new();
    for site in sites(set, schema).into_iter().map(Arc::new) {
        for fault in faults(set, &site) {
            let place = place(&site, &fault);
            let (set, root, site) = (set.clone(), root.clone(), site.clone());
            match explore(Attempt { set, root, site, fault }, place.clone()) {
                Ok(breakage) => reached.push(breakage),
                Err(_) if failed.iter().any(|(known, _)| *known == place) => {}
                Err(reason) => failed.push((place, reason)),
            }
        }
    }
    failed.retain(|(place, _)| reached.iter().all(|b| b.pointer_to_constraint != *place));
    (reached, failed)
}

/// The constraint's place; a required member is a constraint of its own.
fn place(site: &Site, fault: &Fault) -> String {
    let place = format!("{}/{}", site.place, fault.keyword);
    match fault.label.strip_suffix(" missing") {
        Some(member) if fault.keyword == "required" => format!("{place}/{member}"),
        Some(_) | None => place,
    }
}

/// Looks for a value that breaks nothing else, else for one that breaks more.
fn explore(attempt: Attempt, pointer_to_constraint: String) -> Result<Breakage, String> {
    let mut witness: Option<Broken> = None;
    let mut reason = String::new();
    for seed in 0..TRIALS {
        let appetite = if seed % 3 == 2 { Appetite::Small } else { Appetite::Lean };
        match attempt.run(Dice::new(seed), appetite) {
            Ok(broken) if broken.exact => {
                witness = Some(broken);
                break;
            }
            Ok(broken) => witness = Some(broken),
            Err(why) => reason = why,
        }
    }
    let witness = witness.ok_or(reason)?;
    Ok(Breakage {
        pointer_to_constraint,
        keyword: witness.keyword.clone(),
        label: witness.label.clone(),
        exact: witness.exact,
        attempt,
        witness,
    })
}

/// One way at one place of one root schema.
#[derive(Clone)]
struct Attempt {
    set: Arc<SchemaSet>,
    root: Arc<Value>,
    site: Arc<Site>,
    fault: Fault,
}

impl Attempt {
    /// One candidate, or why it will not do.
    fn run(&self, dice: Dice, appetite: Appetite) -> Result<Broken, String> {
        let Fault { keyword, label, fill } = &self.fault;
        let mut draw = Draw::new(&self.set, dice, appetite);
        let leaf = surround(&mut draw, &self.root, &self.site.steps, Room::ROOT, fill.as_ref())
            .ok_or("the schema leaves no value that breaks it")?;
        if let Some(excess) = excess(&self.set, &leaf.value) {
            return Err(excess);
        }
        let found = check(&self.set, &self.root, &leaf.value);
        if !found.iter().any(|v| v.pointer == leaf.pointer && v.keyword == *keyword) {
            return Err("the rest of the schema hides it".to_owned());
        }
        Ok(Broken {
            value: leaf.value,
            pointer: leaf.pointer,
            keyword: (*keyword).to_owned(),
            exact: found.len() == 1,
            label: label.clone(),
        })
    }
}
